"""Here: a resting ECG that GE MUSE exported as XML (``RestingECG``). Not here: parsing XML (``text``), or the leads not stored.

References
----------
GE Healthcare, MUSE XML Developer's Guide; restecg.dtd.
"""

import zlib
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from xml.etree.ElementTree import Element

import numpy as np

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import metadata
from ecg_tasks.readers.base import Acquisition, Filters, Lead, Recording
from ecg_tasks.readers.blanking import age_and_unit, kept_names
from ecg_tasks.readers.xml_formats import kept
from ecg_tasks.readers.xml_formats.base import XmlReader
from ecg_tasks.readers.xml_formats.text import bytes_in, needed, number, parse_xml, text_at

_UNITS = MappingProxyType({"MICROVOLTS": "uV", "MILLIVOLTS": "mV", "VOLTS": "V", "NANOVOLTS": "nV"})
_SAMPLE_BYTES = 2
_HIGHPASS_STEP_HZ = 0.01
_UNSEEN = ("FirstSampleBaseline", "LeadOffsetFirstSample")
"""Not explained by the documentation, and 0 in every file that was seen."""
_OF_LEAD = (
    *("LeadByteCountTotal", "LeadTimeOffset", "LeadSampleCountTotal", "LeadAmplitudeUnitsPerBit"),
    *("LeadSampleSize", "LeadDataCRC32", *_UNSEEN),
)
_KEPT = (
    {"PatientDemographics/Gender": kept.nothing, "TestDemographics/AcquisitionDevice": kept.model}
    | {"Waveform/WaveformType": kept.one_of("Rhythm")}
    | kept.below(
        "Waveform",
        dict.fromkeys(("NumberofLeads", "SampleBase", "SampleExponent"), kept.number)
        | dict.fromkeys(("HighPassFilter", "LowPassFilter"), kept.hertz),
    )
    | {"Waveform/ACFilter": kept.matching(r"\d{1,3}|(?i:none|off)")}
    | kept.below("Waveform/LeadData", dict.fromkeys(_OF_LEAD, kept.number))
    | {"Waveform/LeadData/LeadAmplitudeUnits": kept.one_of(*_UNITS), "Waveform/LeadData/WaveFormData": kept.base64}
)
"""What stays of a file without identifiers, beside the names of its leads."""


class MuseXmlReader(XmlReader):
    """MUSE's XML: its rhythm, never its median beats."""

    name = "muse_xml"
    title = "a GE MUSE XML file"
    root = "restingecg"

    def recordings(self, root: Element, *, name: str) -> tuple[Recording, ...]:
        """Read the rhythm: the leads that are stored, in most files I, II and V1 to V6. The others follow from these and are not made here.

        Raises
        ------
        BadInputError
            ``checksum_mismatch`` against the CRC of a lead; ``incomplete`` with both counts; ``unit_unknown``.
        """
        rhythms = list(filter(_is_rhythm, root.findall("Waveform")))
        if not rhythms:
            raise BadInputError(
                Reason.UNREADABLE, f"{name}: it has no waveform of the type Rhythm; export the recording with its rhythm data"
            )
        recorded_on = _day(text_at(root, "TestDemographics/AcquisitionDate"))
        clock = text_at(root, "TestDemographics/AcquisitionTime").split(":")
        recorded = metadata.moment(recorded_on, *(clock[:3] if len(clock) > 1 else ("", "")))
        who = root.find("PatientDemographics")
        patient = metadata.person(
            id_text=text_at(who, "PatientID"),
            age=f"{text_at(who, 'PatientAge')} {text_at(who, 'AgeUnits').lower()}" if text_at(who, "AgeUnits") else "",
            born=_day(text_at(who, "DateofBirth")),
            on=recorded_on,
            sex=text_at(who, "Gender"),
        )
        device = metadata.line(text_at(root, "TestDemographics/AcquisitionDevice"))
        recordings = []
        for n, rhythm in enumerate(rhythms, start=1):
            made = Acquisition(recorded=recorded, device=device, filters=_filters(rhythm), source_format="GE MUSE XML")
            leads = _leads(rhythm, name=name)
            recordings.append(Recording(name=metadata.numbered(name, n, of=len(rhythms)), leads=leads, patient=patient, acquisition=made))
        return tuple(recordings)

    def deidentified(self, files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
        """Write the rhythm again, with age, sex, year and device; median beats, measurements and statements are left out."""
        ((file, data),) = files.items()
        root = parse_xml(data, name=name)
        for one in root.findall("Waveform"):
            if not _is_rhythm(one):
                root.remove(one)
        names = [text_at(one, "LeadID") for one in root.findall("Waveform/LeadData")]
        leads = dict(zip(names, kept_names(names), strict=True))
        tree = kept.copy_of(root, _KEPT | {"Waveform/LeadData/LeadID": lambda text: leads.get(text, "")})
        patient = self.read(files, name).recordings[0].patient
        age, unit = age_and_unit(patient.age)
        kept.put(tree, "PatientDemographics/PatientAge", age)
        kept.put(tree, "PatientDemographics/AgeUnits", unit.upper())
        kept.put(tree, "PatientDemographics/Gender", (patient.sex or "").upper())
        if recorded := _day(text_at(root, "TestDemographics/AcquisitionDate")):
            kept.put(tree, "TestDemographics/AcquisitionDate", f"01-01-{recorded.year:04}")
            kept.put(tree, "TestDemographics/AcquisitionTime", "00:00:00")
        return {file: kept.written(tree)}


def _is_rhythm(waveform: Element) -> bool:
    return text_at(waveform, "WaveformType").casefold() == "rhythm"


def _leads(rhythm: Element, *, name: str) -> tuple[Lead, ...]:
    base = needed(text_at(rhythm, "SampleBase"), what="SampleBase, the sampling rate,", name=name)
    exponent = number(text_at(rhythm, "SampleExponent")) or 0
    if abs(exponent) > 10 or exponent != round(exponent):  # noqa: PLR2004 - powers of ten between any two rates
        raise BadInputError(
            Reason.UNREADABLE,
            f"{name}: SampleExponent is {exponent:g}, which is not possible; the sampling rate is SampleBase × 10^SampleExponent",
        )
    fs = base * 10 ** int(exponent) if exponent >= 0 else base / 10 ** -int(exponent)
    stored = rhythm.findall("LeadData")
    promised = number(text_at(rhythm, "NumberofLeads"))
    if promised is not None and promised != len(stored):
        raise BadInputError(Reason.INCOMPLETE, f"{name}: {len(stored)} leads are stored; NumberofLeads is {promised:g}")
    if len({number(text_at(one, "LeadTimeOffset")) or 0 for one in stored}) > 1:
        raise BadInputError(
            Reason.UNREADABLE,
            f"{name}: its leads begin at different times (LeadTimeOffset); export leads that were recorded at the same time",
        )
    leads = tuple(_lead(one, fs=fs, what=f"lead {n} of {len(stored)}", name=name) for n, one in enumerate(stored, start=1))
    metadata.check_lengths(leads, name=name)
    return leads


def _lead(stored: Element, *, fs: float, what: str, name: str) -> Lead:
    data = bytes_in(text_at(stored, "WaveFormData"), what=f"WaveFormData of {what}", name=name)
    size = number(text_at(stored, "LeadSampleSize"))
    if size not in {None, _SAMPLE_BYTES}:
        raise BadInputError(Reason.UNREADABLE, f"{name}: {what} has samples of {size:g} bytes; they must have {_SAMPLE_BYTES}")
    for tag, there, kind in (
        ("LeadByteCountTotal", len(data), "bytes"),
        ("LeadSampleCountTotal", len(data) / _SAMPLE_BYTES, "samples"),
    ):
        promised = number(text_at(stored, tag))
        if promised is not None and promised != there:
            raise BadInputError(Reason.INCOMPLETE, f"{name}: {what} has {there:g} {kind}; {tag} is {promised:g}")
    if len(data) % _SAMPLE_BYTES:
        raise BadInputError(Reason.INCOMPLETE, f"{name}: {what} ends within a sample, after {len(data):,} bytes")
    checksum = text_at(stored, "LeadDataCRC32")
    if checksum and checksum.lstrip("0") != str(zlib.crc32(data)).lstrip("0"):
        raise BadInputError(Reason.CHECKSUM_MISMATCH, f"{name}: the samples of {what} do not match its LeadDataCRC32; export it again")
    for tag in _UNSEEN:
        if number(text_at(stored, tag)) not in {None, 0.0}:
            raise BadInputError(Reason.UNREADABLE, f"{name}: {what} has a {tag} that is not 0; what that means is not known")
    unit = _UNITS.get(text_at(stored, "LeadAmplitudeUnits").upper())
    per_bit = text_at(stored, "LeadAmplitudeUnitsPerBit")
    if unit is None or not per_bit:
        missing = "LeadAmplitudeUnits (such as MICROVOLTS)" if unit is None else "LeadAmplitudeUnitsPerBit"
        raise BadInputError(Reason.UNIT_UNKNOWN, f"{name}: {what} has no {missing}, so its samples cannot be converted to mV")
    scale = needed(per_bit, what=f"LeadAmplitudeUnitsPerBit of {what}", name=name)
    return Lead(name=text_at(stored, "LeadID"), units=unit, fs=fs, samples=np.frombuffer(data, dtype="<i2") * scale)


def _filters(rhythm: Element) -> Filters:
    """Return the filters of a rhythm: the high-pass filter stands there in hundredths of a Hz, 0 where it is off."""
    highpass = number(text_at(rhythm, "HighPassFilter"))
    mains = text_at(rhythm, "ACFilter")
    return Filters(
        highpass_hz=metadata.hertz(None if highpass is None else round(highpass * _HIGHPASS_STEP_HZ, 6)),
        lowpass_hz=metadata.hertz(number(text_at(rhythm, "LowPassFilter"))),
        notch_hz=0.0 if mains.upper() in {"NONE", "OFF"} else metadata.hertz(number(mains)),
    )


def _day(text: str) -> date | None:
    """Read a day as MUSE writes it, month first."""
    parts = text.replace("/", "-").split("-")
    return metadata.day(parts[2], parts[0], parts[1]) if len(parts) == 3 else None  # noqa: PLR2004 - a date has three parts
