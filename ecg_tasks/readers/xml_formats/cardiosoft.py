"""Here: the rhythm of an ECG that CardioSoft (CASE, MAC) exported as XML. Not here: parsing XML (``text``), its median beats.

References
----------
GE Healthcare, CardioSoft XML export: ``CardiologyXML`` with ``StripData``, as the ECGs of UK Biobank have it.
"""

from collections.abc import Mapping
from datetime import date
from xml.etree.ElementTree import Element

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import metadata
from ecg_tasks.readers.base import Acquisition, Filters, Lead, Recording
from ecg_tasks.readers.blanking import age_and_unit, kept_names
from ecg_tasks.readers.xml_formats import kept
from ecg_tasks.readers.xml_formats.base import XmlReader
from ecg_tasks.readers.xml_formats.text import needed, number, parse_xml, samples_in, text_at

_UNIT = "uvperlsb"
_NOTCHES = (("Filter50Hz", 50.0), ("Filter60Hz", 60.0))
_STATES = kept.one_of("yes", "no", "true", "false", "on", "off")
_HZ = kept.one_of("Hz")
_KEPT = (
    {"ObservationType": kept.one_of("RestECG"), "ClinicalInfo/DeviceInfo/Desc": kept.model}
    | {"ObservationDateTime/Year": kept.nothing, "PatientInfo/Gender": kept.nothing}
    | kept.below("FilterSetting", {"LowPass": kept.hertz, "LowPass@units": _HZ, "HighPass": kept.hertz, "HighPass@units": _HZ})
    | kept.below("FilterSetting", dict.fromkeys(("CubicSpline", *(tag for tag, _ in _NOTCHES)), _STATES))
    | kept.below("StripData", dict.fromkeys(("NumberOfLeads", "SampleRate", "ChannelSampleCountTotal", "Resolution"), kept.number))
    | kept.below("StripData", {"SampleRate@units": _HZ, "Resolution@units": kept.one_of(_UNIT), "WaveformData": kept.samples})
)
"""What stays of a file without identifiers, beside the names of its leads."""


class CardiosoftXmlReader(XmlReader):
    """CardioSoft's XML: the strip of a resting ECG, all leads as they are stored, since III is not exactly II - I there."""

    name = "cardiosoft_xml"
    title = "a CardioSoft XML file"
    root = "cardiologyxml"

    def recordings(self, root: Element, *, name: str) -> tuple[Recording, ...]:
        """Read the strip.

        Raises
        ------
        BadInputError
            ``unreadable`` without a strip, as in an exercise test; ``incomplete`` with both counts; ``unit_unknown``.
        """
        strip = root.find("StripData")
        if strip is None:
            sentence = "it has no StripData, the rhythm of a resting ECG; full disclosure and exercise tests are not supported"
            raise BadInputError(Reason.UNREADABLE, f"{name}: {sentence}")
        when = root.find("ObservationDateTime")
        recorded_on = _day(when)
        who, age = root.find("PatientInfo"), root.find("PatientInfo/Age")
        patient = metadata.person(
            id_text=text_at(who, "PID"),
            age="" if age is None else f"{text_at(who, 'Age')} {age.get('units', '').lower()}",
            born=_day(root.find("PatientInfo/BirthDateTime")),
            on=recorded_on,
            sex=text_at(who, "Gender"),
        )
        made = Acquisition(
            recorded=metadata.moment(recorded_on, *(text_at(when, part) for part in ("Hour", "Minute", "Second"))),
            device=metadata.line(text_at(root, "ClinicalInfo/DeviceInfo/Desc")),
            filters=_filters(root.find("FilterSetting")),
            source_format="CardioSoft XML",
        )
        return (Recording(name=name, leads=_leads(strip, name=name), patient=patient, acquisition=made),)

    def deidentified(self, files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
        """Write the strip again, with age, sex, year, device and filters; median beats, measurements and statements are left out."""
        ((file, data),) = files.items()
        root = parse_xml(data, name=name)
        names = [one.get("lead", "") for one in root.findall("StripData/WaveformData")]
        leads = dict(zip(names, kept_names([lead.strip() for lead in names]), strict=True))
        tree = kept.copy_of(root, _KEPT | {"StripData/WaveformData@lead": lambda text: leads.get(text, "")})
        patient = self.read(files, name).recordings[0].patient
        age, unit = age_and_unit(patient.age)
        if age:
            kept.put(tree, "PatientInfo/Age", age, units=unit)
        kept.put(tree, "PatientInfo/Gender", (patient.sex or "").upper())
        if recorded := _day(root.find("ObservationDateTime")):
            for part, value in (
                ("Hour", "0"),
                ("Minute", "0"),
                ("Second", "0"),
                ("Day", "1"),
                ("Month", "1"),
                ("Year", str(recorded.year)),
            ):
                kept.put(tree, f"ObservationDateTime/{part}", value)
        return {file: kept.written(tree)}


def _day(element: Element | None) -> date | None:
    return metadata.day(*(text_at(element, part) for part in ("Year", "Month", "Day")))


def _leads(strip: Element, *, name: str) -> tuple[Lead, ...]:
    resolution = strip.find("Resolution")
    unit = "" if resolution is None else resolution.get("units", "").strip().lower()
    if unit != _UNIT:
        raise BadInputError(Reason.UNIT_UNKNOWN, f"{name}: its Resolution is not in uVperLsb, so its samples cannot be converted to mV")
    scale = needed(text_at(strip, "Resolution"), what="Resolution", name=name)
    fs = needed(text_at(strip, "SampleRate"), what="SampleRate", name=name)
    rate = strip.find("SampleRate")
    if rate is not None and rate.get("units", "Hz").strip().lower() != "hz":
        raise BadInputError(Reason.UNREADABLE, f"{name}: its SampleRate is not in Hz")
    stored = strip.findall("WaveformData")
    promised = number(text_at(strip, "NumberOfLeads"))
    if promised is not None and promised != len(stored):
        raise BadInputError(Reason.INCOMPLETE, f"{name}: {len(stored)} leads are stored; NumberOfLeads is {promised:g}")
    leads = tuple(
        Lead(
            name=one.get("lead", "").strip(),
            units="uV",
            fs=fs,
            samples=samples_in("".join(one.itertext()), separator=",", what=f"lead {n} of {len(stored)}", name=name) * scale,
        )
        for n, one in enumerate(stored, start=1)
    )
    n_samples = number(text_at(strip, "ChannelSampleCountTotal"))
    metadata.check_lengths(leads, name=name, promised=None if n_samples is None else int(n_samples))
    return leads


def _filters(settings: Element | None) -> Filters:
    """Return the filters of the strip; a notch is off where neither is said to be on."""
    mains = {hz: text_at(settings, tag).lower() for tag, hz in _NOTCHES}
    on = [hz for hz, state in mains.items() if state in {"yes", "true", "on"}]
    return Filters(
        highpass_hz=metadata.hertz(number(text_at(settings, "HighPass"))),
        lowpass_hz=metadata.hertz(number(text_at(settings, "LowPass"))),
        notch_hz=on[0] if on else 0.0 if all(mains.values()) else None,
    )
