"""Here: what a run says of its records as FHIR bundles, R5 or R4B, as plain dictionaries. Not here: files, or where rows come from.

Codes of LOINC: this material contains content from LOINC (http://loinc.org). LOINC is copyright Regenstrief Institute, Inc. and the Logical
Observation Identifiers Names and Codes (LOINC) Committee and is available at no cost under the license at http://loinc.org/license.

Nothing in a bundle tells who the patient is: the record's id is all that a hospital's own tables can be joined by.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any, TypeAlias

from ecg_tasks.labels import RESEARCH_USE, ClassDecision, Decision
from ecg_tasks.signals.measurements import reasons
from ecg_tasks.signals.record import OLDEST_AGE

RELEASES = ("R5", "R4B")
RECORDS_PER_BUNDLE = 1000
SYSTEM = "urn:ecg-spectrograms"
"""Of this project's own codes and identifiers."""
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
HL7 = "http://terminology.hl7.org/CodeSystem"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, SYSTEM)
_INTERPRETATIONS = {Decision.NORMAL: ("N", "Normal"), Decision.ABNORMAL: ("A", "Abnormal"), Decision.UNCERTAIN: ("IND", "Indeterminate")}
_CLASS_INTERPRETATIONS = {
    ClassDecision.PRESENT: ("POS", "Positive"),
    ClassDecision.ABSENT: ("NEG", "Negative"),
    ClassDecision.UNCERTAIN: ("IND", "Indeterminate"),
}
_CONCLUSIONS = {
    Decision.NORMAL: "Normal: the probability lies below the model's threshold.",
    Decision.ABNORMAL: "Abnormal: the probability reaches the model's threshold.",
    Decision.UNCERTAIN: "Uncertain: the probability lies in the band in which the model abstains.",
    Decision.UNINTERPRETABLE: "Uninterpretable: the signal is too poor for a decision.",
}
_OF_THE_RECORDING = {
    "device": "Device that recorded",
    "filters": "Filters before the recording was stored",
    "source_format": "Format of the file",
    "site": "Site that the recording comes from",
}
_MEASURED = {
    "rate_bpm": ("8867-4", "Heart rate", "/min"),
    "pr_ms": ("8625-6", "P-R Interval", "ms"),
    "qrs_ms": ("8633-0", "QRS duration", "ms"),
    "qt_ms": ("8634-8", "Q-T interval", "ms"),
    "qtc_fridericia_ms": ("76634-5", "Q-T interval corrected based on Fridericia formula", "ms"),
    "qtc_bazett_ms": ("76635-2", "Q-T interval corrected based on Bazett formula", "ms"),
    "axis_deg": ("8632-2", "QRS axis", "deg"),
}
"""LOINC's code and name of each measurement, and its unit in UCUM."""


@dataclass(frozen=True, kw_only=True)
class ClassCode:
    """A class, and what it is in a terminology; empty texts where that is not known."""

    name: str
    system: str = ""
    code: str = ""
    display: str = ""


Classes: TypeAlias = Mapping[tuple[str, str], Sequence[ClassCode]]
"""What each version (recipe, version) reports beside normal and abnormal."""


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """Which run the bundles are of; ``issued`` is when its report was made, ISO 8601 with a time zone."""

    run: str
    issued: str


def bundles(
    rows: Iterable[Mapping[str, Any]], *, run: RunIdentity, release: str, classes: Classes = MappingProxyType({})
) -> Iterator[dict[str, Any]]:
    """Yield collections of up to 1,000 records each: a DiagnosticReport and an Observation a record, and a Device for each model.

    Each class is a component of the Observation. The same rows give the same bundles; a resource keeps its id from run to run for the same
    record and model.

    Parameters
    ----------
    rows : ``record_id``, ``decision``, ``probability`` (None for none), ``quality``, ``recipe``, ``version``, ``model_digest``,
        ``threshold`` and ``synthetic`` of each record; ``recorded``, ``age``, ``sex``, ``device``, ``filters``, ``source_format`` and
        ``site``, each None where it is not known, which is left out then; what was measured, as in the report's columns; of a class
        that its version reports, the columns that ``report_columns.of_class`` names
    release : ``R5`` or ``R4B``
    """
    following, number = iter(rows), 0
    while page := list(islice(following, RECORDS_PER_BUNDLE)):
        number += 1
        yield _bundle(page, run=run, release=release, number=number, classes=classes)


def _bundle(rows: Iterable[Mapping[str, Any]], *, run: RunIdentity, release: str, number: int, classes: Classes) -> dict[str, Any]:
    devices: dict[str, dict[str, Any]] = {}
    resources: list[dict[str, Any]] = []
    for row in rows:
        device = _device(row, release=release)
        devices.setdefault(device["id"], device)
        told = classes.get((row["recipe"], row["version"]), ())
        observation = _observation(row, run=run, device=device["id"], classes=told)
        resources += [_report(row, run=run, observation=observation["id"], release=release), observation]
    return {
        "resourceType": "Bundle",
        "id": _id("bundle", run.run, str(number), release),
        "meta": _meta(synthetic=False),
        "identifier": {"system": f"{SYSTEM}:run", "value": f"{run.run}/{number}"},
        "type": "collection",
        "timestamp": run.issued,
        "entry": [{"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource} for resource in [*devices.values(), *resources]],
    }


def _report(row: Mapping[str, Any], *, run: RunIdentity, observation: str, release: str) -> dict[str, Any]:
    conclusion = _CONCLUSIONS[Decision(row["decision"])]
    report = {
        "resourceType": "DiagnosticReport",
        "id": _id("report", row["record_id"], row["model_digest"]),
        "meta": _meta(synthetic=row["synthetic"]),
        "identifier": [{"system": f"{SYSTEM}:record", "value": row["record_id"]}],
        "status": "preliminary",
        "category": [_concept(f"{HL7}/v2-0074", "EC", "Electrocardiac (e.g., EKG, EEC, Holter)")],
        "code": _concept(LOINC, "11524-6", "EKG study"),
        **_effective(row),
        "issued": run.issued,
        "result": [{"reference": f"urn:uuid:{observation}"}],
        "conclusion": f"{conclusion} {RESEARCH_USE}",
        "conclusionCode": [_concept(f"{SYSTEM}:decision", row["decision"], row["decision"])],
    }
    if release == "R5":
        report["note"] = [{"text": RESEARCH_USE}]  # earlier releases have none there
    return report


def _observation(row: Mapping[str, Any], *, run: RunIdentity, device: str, classes: Sequence[ClassCode]) -> dict[str, Any]:
    decision = Decision(row["decision"])
    observation = {
        "resourceType": "Observation",
        "id": _id("observation", row["record_id"], row["model_digest"]),
        "meta": _meta(synthetic=row["synthetic"]),
        "identifier": [{"system": f"{SYSTEM}:record", "value": row["record_id"]}],
        "status": "preliminary",
        "category": [_concept(f"{HL7}/observation-category", "procedure", "Procedure")],
        "code": _concept(f"{SYSTEM}:measure", "p-abnormal", "Probability that the electrocardiogram is abnormal"),
        **_effective(row),
        "issued": run.issued,
        "note": [{"text": RESEARCH_USE}],
        "method": {"text": f"{row['recipe']} {row['version']}"},
        "device": {"reference": f"urn:uuid:{device}"},
        "referenceRange": [{"high": _quantity(row["threshold"]), "text": "below the threshold: normal"}],
        "component": [
            {
                "code": _concept(f"{SYSTEM}:measure", "quality", "Signal quality, 0 useless to 1 clean"),
                "valueQuantity": _quantity(row["quality"]),
            },
            *_recording(row),
            *_measurements(row),
            *(_class(row, one) for one in classes if row[f"class_{one.name}"]),
        ],
    }
    if row["probability"] is None:
        return observation | {"dataAbsentReason": _concept(f"{HL7}/data-absent-reason", "not-performed", "Not Performed")}
    return observation | {
        "valueQuantity": _quantity(row["probability"]),
        "interpretation": [_concept(f"{HL7}/v3-ObservationInterpretation", *_INTERPRETATIONS[decision])],
    }


def _class(row: Mapping[str, Any], one: ClassCode) -> dict[str, Any]:
    """Return a component: the probability of a class, from which on it is present, and where it is uncertain."""
    own = {"system": f"{SYSTEM}:class", "code": one.name, "display": one.name}
    known = [{"system": one.system, "code": one.code, "display": one.display}] if one.code else []
    component: dict[str, Any] = {"code": {"coding": [*known, own], "text": f"Probability of {one.name}"}}
    probability, decision = row[f"p_{one.name}"], ClassDecision(row[f"class_{one.name}"])
    if probability is None:
        component |= {"dataAbsentReason": _concept(f"{HL7}/data-absent-reason", "not-performed", "Not Performed")}
    else:
        component |= {
            "valueQuantity": _quantity(probability),
            "interpretation": [_concept(f"{HL7}/v3-ObservationInterpretation", *_CLASS_INTERPRETATIONS[decision])],
        }
    ranges = [{"high": _quantity(row[f"threshold_{one.name}"]), "text": "below the threshold: absent"}]
    low, high = row[f"abstain_low_{one.name}"], row[f"abstain_high_{one.name}"]
    if low is not None and high is not None:
        ranges.append({"low": _quantity(low), "high": _quantity(high), "text": "inside, ends included: uncertain"})
    return component | {"referenceRange": ranges}


def _effective(row: Mapping[str, Any]) -> dict[str, str]:
    """Return when the recording was made, as far as that is kept: FHIR has no time of day without a time zone, so the day alone stays."""
    recorded = row["recorded"]
    if not recorded:
        return {}
    day, _, clock = recorded.partition("T")
    return {"effectiveDateTime": recorded if "+" in clock or "-" in clock else day}


def _recording(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what is known of the person and of how the recording was made, as components."""
    if row["age"] is not None:
        older = {"comparator": ">="} if row["age"] == OLDEST_AGE else {}  # it stands for all who are older, too
        years = {"value": row["age"], **older, "unit": "a", "system": UCUM, "code": "a"}
        yield {"code": _concept(LOINC, "30525-0", "Age"), "valueQuantity": years}
    if row["sex"]:
        sex = _concept("http://hl7.org/fhir/administrative-gender", row["sex"], row["sex"].capitalize())
        yield {"code": _concept(LOINC, "46098-0", "Sex"), "valueCodeableConcept": sex}
    for name, display in _OF_THE_RECORDING.items():
        if row[name]:
            yield {"code": _concept(f"{SYSTEM}:measure", name.replace("_", "-"), display), "valueString": row[name]}


def _measurements(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what was measured, as components; what is not measurable says so, and what nobody has measured is left out."""
    why = reasons(row["not_measurable"] or "")
    codes = {name: _concept(LOINC, code, display) for name, (code, display, _) in _MEASURED.items()}
    codes["rhythm"] = _concept(f"{SYSTEM}:measure", "rhythm", "Regularity of the R-R intervals")
    for name, code in codes.items():
        if row[name] not in {None, ""}:
            yield {"code": code} | _measured_value(name, row[name])
        elif name in why:
            absent = {**_concept(f"{HL7}/data-absent-reason", "not-applicable", "Not Applicable"), "text": why[name]}
            yield {"code": code, "dataAbsentReason": absent}


def _measured_value(name: str, value: Any) -> dict[str, Any]:
    if name == "rhythm":
        return {"valueCodeableConcept": _concept(f"{SYSTEM}:rhythm", value, value)}
    unit = _MEASURED[name][2]
    return {"valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit}}


def _device(row: Mapping[str, Any], *, release: str) -> dict[str, Any]:
    name = f"ecg-spectrograms {row['recipe']}"
    return {
        "resourceType": "Device",
        "id": _id("device", row["model_digest"]),
        "identifier": [{"system": f"{SYSTEM}:model", "value": row["model_digest"]}],
        **({"displayName": name} if release == "R5" else {"deviceName": [{"name": name, "type": "model-name"}]}),
        "version": [{"value": row["version"]}],
        "note": [{"text": RESEARCH_USE}],
    }


def _meta(*, synthetic: bool) -> dict[str, Any]:
    tags = [{"system": f"{HL7}/v3-ActReason", "code": "HRESCH", "display": "healthcare research"}]
    if synthetic:
        tags.append({"system": f"{HL7}/v3-ActReason", "code": "HTEST", "display": "test health data"})
    return {"tag": tags}


def _concept(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def _quantity(value: float) -> dict[str, Any]:
    return {"value": float(value), "unit": "1", "system": UCUM, "code": "1"}


def _id(*parts: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))
