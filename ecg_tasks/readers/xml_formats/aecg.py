"""Here: the rhythm of an HL7 annotated ECG (``AnnotatedECG``). Not here: parsing XML (``text``), representative beats, annotations.

References
----------
ANSI/HL7 V3 ECG, R1-2004; HL7 aECG Implementation Guide, 2005.
"""

import re
from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from xml.etree.ElementTree import Element

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import metadata
from ecg_tasks.readers.base import Acquisition, Filters, Lead, Patient, Recording
from ecg_tasks.readers.blanking import age_and_unit, birth_of
from ecg_tasks.readers.leads import millivolts_per
from ecg_tasks.readers.xml_formats import kept
from ecg_tasks.readers.xml_formats.base import XmlReader
from ecg_tasks.readers.xml_formats.text import number, parse_xml, plain_unit, rate_of, samples_in, text_at

_LEAD = re.compile(r"\w+_ECG_LEAD_(\w+)")
_TIMES = ("TIME_ABSOLUTE", "TIME_RELATIVE")
_SECONDS_IN = MappingProxyType({"s": "1", "ms": "0.001", "us": "0.000001"})
_FILTERS = MappingProxyType({"LOW_PASS": "lowpass_hz", "HIGH_PASS": "highpass_hz", "NOTCH": "notch_hz"})
_SERIES = "component/series"
_SUBJECT = "componentOf/timepointEvent/componentOf/subjectAssignment/subject/trialSubject"
_NAMESPACE = "urn:hl7-org:v3"
_SEXES = "2.16.840.1.113883.5.1"
_DATE_CHARS = 8


class AecgXmlReader(XmlReader):
    """HL7 aECG: each series of the code RHYTHM is a recording."""

    name = "aecg_xml"
    title = "an HL7 aECG"
    root = "annotatedecg"

    def recordings(self, root: Element, *, name: str) -> tuple[Recording, ...]:
        """Read the rhythm, never the beats derived from it, which have the same lead codes.

        Raises
        ------
        BadInputError
            ``unreadable`` without a rhythm, or where its leads were recorded one after the other; ``incomplete`` where one lead is
            shorter than another.
        """
        rhythms = list(filter(_is_rhythm, root.findall(_SERIES)))
        if not rhythms:
            raise BadInputError(Reason.UNREADABLE, f"{name}: it has no series of the code RHYTHM; export the recording with its rhythm")
        recordings = []
        for n, rhythm in enumerate(rhythms, start=1):
            leads, head = _leads(rhythm, name=name)
            recorded = metadata.timestamp(_started(rhythm, root, head))
            made = Acquisition(recorded=recorded, device=_device(rhythm), filters=_filters(rhythm), source_format="HL7 aECG")
            recordings.append(
                Recording(
                    name=metadata.numbered(name, n, of=len(rhythms)),
                    leads=leads,
                    patient=_patient(root.find(_SUBJECT), on=metadata.day_of(recorded)),
                    acquisition=made,
                )
            )
        return tuple(recordings)

    def deidentified(self, files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
        """Write the rhythm again, with age, sex, year, device and filters; derived beats, annotations and all ids are left out.

        An age that follows from a date of birth is written as the date that gives it on 1 January of the year of the recording.
        """
        ((file, data),) = files.items()
        root = parse_xml(data, name=name)
        for component in root.findall("component"):
            for series in component.findall("series"):
                if not _is_rhythm(series):
                    component.remove(series)
        for component in root.findall(f"{_SERIES}/component/sequenceSet/component"):
            for sequence in component.findall("sequence"):
                if not _code_kept(_attribute(sequence, "code", "code")):
                    component.remove(sequence)
        tree = kept.copy_of(root, _KEPT)
        patient = self.read(files, name).recordings[0].patient
        rhythm = root.find(_SERIES)
        who = f"{_SUBJECT}/subjectDemographicPerson"
        if patient.sex is not None:
            kept.put(tree, f"{who}/administrativeGenderCode", "", code=patient.sex[0].upper(), codeSystem=_SEXES)
        if text_at(root, f"{who}/Age"):
            kept.put(tree, f"{who}/Age", " ".join(age_and_unit(patient.age)).strip())
        elif rhythm is not None and (born := birth_of(patient.age, _day(_started(rhythm, root, _leads(rhythm, name=name)[1])))):
            kept.put(tree, f"{who}/birthTime", "", value=f"{born:%Y%m%d}")
        return {file: kept.written(tree, namespace=_NAMESPACE)}


def _is_rhythm(series: Element) -> bool:
    return _attribute(series, "code", "code").upper() == "RHYTHM"


def _code_kept(code: str) -> str:
    """Return the code of a sequence that is read, that of a lead as the standard spells it; nothing for any other."""
    found = _LEAD.fullmatch(code.strip())
    return f"MDC_ECG_LEAD_{found[1]}" if found else code if code.strip().upper() in _TIMES else ""


def _year(text: str) -> str:
    """Keep the year of a moment, and the number of a time that counts from the beginning."""
    on = _day(text.strip())
    return f"{on.year:04}0101000000" if on else kept.number(text) if len(text.strip()) < _DATE_CHARS else ""


def _unit(text: str) -> str:
    unit = plain_unit(text)
    return unit if unit in _SECONDS_IN or millivolts_per(unit) is not None else ""


def _started(rhythm: Element, root: Element, head: str) -> str:
    return head or _recorded(rhythm) or _recorded(root)


def _leads(series: Element, *, name: str) -> tuple[tuple[Lead, ...], str]:
    """Return the leads of all sequence sets of a series, and when they begin as far as the times are absolute."""
    begins: set[tuple[str, str]] = set()
    leads: list[Lead] = []
    for together in series.findall("component/sequenceSet"):
        sequences = together.findall("component/sequence")
        times = [one for one in sequences if _attribute(one, "code", "code").upper() in _TIMES]
        if not times:
            raise BadInputError(Reason.UNREADABLE, f"{name}: a sequence set without TIME_ABSOLUTE or TIME_RELATIVE has no sampling rate")
        code, start = _attribute(times[0], "code", "code").upper(), _attribute(times[0], "value/head", "value")
        begins.add((code, start))
        fs = _rate(times[0], name=name)
        for sequence in sequences:
            if found := _LEAD.fullmatch(_attribute(sequence, "code", "code")):
                leads.append(_lead(sequence, found[1], fs=fs, what=f"lead {len(leads) + 1}", name=name))
    if len(begins) > 1:
        sentence = f"its leads begin at {len(begins)} different times; export leads that were recorded at the same time"
        raise BadInputError(Reason.UNREADABLE, f"{name}: {sentence}")
    metadata.check_lengths(leads, name=name)
    heads = [start for code, start in begins if code == _TIMES[0]]
    return tuple(leads), heads[0] if heads else ""


def _rate(times: Element, *, name: str) -> float:
    unit = plain_unit(_attribute(times, "value/increment", "unit"))
    step = _attribute(times, "value/increment", "value")
    rate = rate_of(step, unit_s=_SECONDS_IN[unit]) if unit in _SECONDS_IN else None
    if rate is None:
        raise BadInputError(
            Reason.UNREADABLE, f"{name}: the increment between samples is not a time in s, ms or us, so there is no sampling rate"
        )
    return rate


def _lead(sequence: Element, lead: str, *, fs: float, what: str, name: str) -> Lead:
    """Return a lead in the unit of its scale: origin and scale may be in different units."""
    digits = samples_in(text_at(sequence, "value/digits"), separator=" ", what=what, name=name)
    unit = plain_unit(_attribute(sequence, "value/scale", "unit"))
    scale = number(_attribute(sequence, "value/scale", "value"))
    factor = millivolts_per(unit)
    if factor is None or not scale:
        sentence = f"{what} has no scale in nV, uV, mV or V, so its samples cannot be converted to mV"
        raise BadInputError(Reason.UNIT_UNKNOWN, f"{name}: {sentence}")
    samples = digits * scale
    origin = number(_attribute(sequence, "value/origin", "value") or "0")
    if origin != 0:
        origin_factor = millivolts_per(plain_unit(_attribute(sequence, "value/origin", "unit")))
        if origin is None or origin_factor is None:
            raise BadInputError(Reason.UNIT_UNKNOWN, f"{name}: {what} has an origin that is not in nV, uV, mV or V")
        samples += origin * (origin_factor / factor)
    return Lead(name=lead, units=unit, fs=fs, samples=samples)


def _patient(subject: Element | None, *, on: date | None) -> Patient:
    """Return the subject: an id is a root (who gave it) and an extension, or a root that is an id itself. Mindray has its own elements."""
    root, extension = _attribute(subject, "id", "root"), _attribute(subject, "id", "extension")
    who = None if subject is None else subject.find("subjectDemographicPerson")
    return metadata.person(
        id_text=extension or root or text_at(who, "PatientID"),
        issuer=root if extension else "",
        age=text_at(who, "Age"),
        born=_day(_attribute(who, "birthTime", "value")),
        on=on,
        sex=_attribute(who, "administrativeGenderCode", "code"),
    )


def _device(series: Element) -> str | None:
    author = series.find("author/seriesAuthor")
    return metadata.line(
        text_at(author, "manufacturerOrganization/name"), text_at(author, "manufacturedSeriesDevice/manufacturerModelName")
    )


def _filters(series: Element) -> Filters:
    """Return the cut-off frequencies, and the notch, that the series' control variables give in Hz."""
    found: dict[str, float | None] = {}
    for variable in series.findall("controlVariable/controlVariable"):
        kind = _attribute(variable, "code", "code").rpartition("_FILTER_")[2]
        for value in variable.findall("component/controlVariable/value"):
            if kind in _FILTERS and value.get("unit") == "Hz":
                found[_FILTERS[kind]] = metadata.hertz(number(value.get("value", "")))
    return Filters(**found)


def _recorded(element: Element) -> str:
    return next(
        (text for edge in ("low", "center") if (text := _attribute(element, f"effectiveTime/{edge}", "value"))),
        _attribute(element, "effectiveTime", "value"),
    )


def _day(text: str) -> date | None:
    return metadata.day_of(metadata.timestamp(text))


def _attribute(element: Element | None, path: str, attribute: str) -> str:
    found = None if element is None else element.find(path)
    return "" if found is None else found.get(attribute, "").strip()


_TIMED = {f"effectiveTime{edge}@value": _year for edge in ("", "/low", "/center", "/high")}
_TYPES = {
    f"@{kept.SCHEMA_TYPE}": kept.one_of("SLIST_PQ", "SLIST_INT", "SLIST_TS", "GLIST_TS", "GLIST_PQ", "GLIST_INT", "PQ", "IVL_PQ", "TS")
}
_CODED = {"code@codeSystem": kept.matching(r"2\.16\.840\.1\.113883\.(5\.4|6\.24)")}
_MEASURE = {"@value": kept.number, "@unit": _unit}
_VALUE = _TYPES | {"digits": kept.samples, "head@value": _year, "head@unit": _unit}
_VALUE |= {path for which in ("origin", "scale", "increment") for path in kept.below(which, _MEASURE).items()}
_VARIABLE = _CODED | {"code@code": kept.matching(r"MDC_[A-Z_]*?ATTR_FILTER_(?:LOW_PASS|HIGH_PASS|NOTCH|CUTOFF_FREQ|NOTCH_FREQ)")}
_KEPT: dict[str, kept.Keep] = (
    _TIMED
    | {f"{_SUBJECT}/subjectDemographicPerson/administrativeGenderCode@codeSystem": kept.one_of(_SEXES)}
    | kept.below(_SERIES, _TIMED | _CODED | {"code@code": kept.one_of("RHYTHM")})
    | kept.below(
        f"{_SERIES}/author/seriesAuthor",
        {"manufacturerOrganization/name": kept.model, "manufacturedSeriesDevice/manufacturerModelName": kept.model},
    )
    | kept.below(f"{_SERIES}/controlVariable/controlVariable", _VARIABLE)
    | kept.below(f"{_SERIES}/controlVariable/controlVariable/component/controlVariable", _VARIABLE)
    | kept.below(
        f"{_SERIES}/controlVariable/controlVariable/component/controlVariable/value",
        _TYPES | {"@value": kept.hertz, "@unit": kept.one_of("Hz")},
    )
    | kept.below(f"{_SERIES}/component/sequenceSet/component/sequence", _CODED | {"code@code": _code_kept} | kept.below("value", _VALUE))
)
"""What stays of a file without identifiers, beside the person's age and sex."""
