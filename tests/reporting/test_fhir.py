"""The bundles are valid FHIR in both releases, say what the CSV says, and name nobody."""

import importlib
import json

import pytest

from ecg_tasks.reporting.fhir import RECORDS_PER_BUNDLE, RELEASES, ClassCode, RunIdentity, bundles
from ecg_tasks.signals.measurements import VALUES

RUN = RunIdentity(run="manual__2026", issued="2026-01-02T03:04:05+00:00")


def row(number: int = 0, **changes) -> dict:
    """One record's row."""
    plain = {
        "record_id": f"{number:032x}",
        "name": "Smith, John",
        "decision": "abnormal",
        "probability": 0.812345,
        "quality": 0.9,
        "recipe": "twelve_lead",
        "version": "abc",
        "model_digest": "d" * 64,
        "threshold": 0.25,
        "synthetic": False,
        "age": None,
        "sex": None,
        "recorded": None,
        "device": None,
        "filters": None,
        "source_format": None,
        "site": None,
        **dict.fromkeys([*VALUES, "rhythm", "not_measurable"]),
    }
    return plain | changes


def valid(bundle: dict, release: str):
    """The bundle as fhir.resources reads it, every resource by its own class."""
    where = "fhir.resources" if release == "R5" else "fhir.resources.R4B"
    return importlib.import_module(f"{where}.bundle").Bundle.model_validate(bundle)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("decision", ["normal", "abnormal", "uncertain", "uninterpretable"])
def test_every_decision_is_valid_in_every_release(release, decision):
    """Validated by fhir.resources, which refuses unknown and missing elements."""
    one = row(decision=decision, probability=None if decision == "uninterpretable" else 0.3, synthetic=decision == "normal")
    (bundle,) = bundles([one, row(1)], run=RUN, release=release)
    read = valid(json.loads(json.dumps(bundle)), release)
    kinds = [type(entry.resource).__name__ for entry in read.entry]
    assert kinds == ["Device", "DiagnosticReport", "Observation", "DiagnosticReport", "Observation"]
    reports = [entry.resource for entry in read.entry if type(entry.resource).__name__ == "DiagnosticReport"]
    assert all(report.status == "preliminary" and report.code.coding[0].code == "11524-6" for report in reports)
    assert "not a medical device" in reports[0].conclusion


def test_the_validator_does_refuse():
    """A resource with a wrong element or without its status is found: the test above can fail."""
    (bundle,) = bundles([row()], run=RUN, release="R5")
    del bundle["entry"][1]["resource"]["status"]
    with pytest.raises(ValueError, match="status"):
        valid(bundle, "R5")


def test_the_observation_says_what_the_row_says():
    """Probability, threshold, quality, decision, model; without a probability the reason stands there instead."""
    (bundle,) = bundles([row(), row(1, decision="uninterpretable", probability=None)], run=RUN, release="R5")
    first, second = (entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == "Observation")
    assert first["valueQuantity"]["value"] == 0.812345
    assert first["interpretation"][0]["coding"][0]["code"] == "A"
    assert first["referenceRange"][0]["high"]["value"] == 0.25
    assert first["component"][0]["valueQuantity"]["value"] == 0.9
    assert first["identifier"][0]["value"] == f"{0:032x}"
    assert "valueQuantity" not in second
    assert second["dataAbsentReason"]["coding"][0]["code"] == "not-performed"


MEASURED = {"rate_bpm": 61.8, "qrs_ms": 92.1, "qt_ms": 401.5, "axis_deg": -48.2, "rhythm": "irregular", "not_measurable": "pr_ms:no_p"}


@pytest.mark.parametrize("release", RELEASES)
def test_measurements_are_components_with_their_codes_and_units(release):
    """A value has LOINC's code and a unit of UCUM; what is not measurable says why; what nobody measured is not there."""
    (bundle,) = bundles([row(**MEASURED), row(1), row(2, not_measurable="all:one_beat")], run=RUN, release=release)
    valid(json.loads(json.dumps(bundle)), release)
    found = [
        {one["code"]["coding"][0]["code"]: one for one in entry["resource"]["component"]}
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "Observation"
    ]
    assert found[0]["8867-4"]["valueQuantity"] == {"value": 61.8, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"}
    assert {code: found[0][code]["valueQuantity"]["unit"] for code in ("8633-0", "8634-8", "8632-2")} == {
        "8633-0": "ms",
        "8634-8": "ms",
        "8632-2": "deg",
    }
    assert found[0]["8625-6"]["dataAbsentReason"]["text"] == "no P wave at the same place in most beats"
    assert found[0]["rhythm"]["valueCodeableConcept"]["coding"][0]["code"] == "irregular"
    assert set(found[1]) == {"quality"}
    assert set(found[2]) == {"quality", "8867-4", "8625-6", "8633-0", "8634-8", "76634-5", "76635-2", "8632-2", "rhythm"}
    assert all("dataAbsentReason" in one for code, one in found[2].items() if code != "quality")


def test_references_lead_to_entries_of_the_same_bundle():
    """Each report to its observation, each observation to the model."""
    (bundle,) = bundles([row(0), row(1, model_digest="e" * 64)], run=RUN, release="R5")
    known = {entry["fullUrl"] for entry in bundle["entry"]}
    assert len(known) == len(bundle["entry"]) == 6
    for entry in bundle["entry"]:
        resource = entry["resource"]
        for reference in [*resource.get("result", []), *([resource["device"]] if "device" in resource else [])]:
            assert reference["reference"] in known


def test_nothing_names_the_patient_and_synthetic_records_say_so():
    """The file's name may hold a person's: it is not told."""
    (bundle,) = bundles([row(synthetic=True)], run=RUN, release="R5")
    text = json.dumps(bundle)
    assert "Smith" not in text
    assert "Patient" not in text
    assert "HTEST" in text
    assert "HTEST" not in json.dumps(next(bundles([row()], run=RUN, release="R5")))


def test_pages_of_a_thousand_and_the_same_again():
    """2,500 records are three bundles with ids of their own; a second time gives the same."""
    made = list(bundles((row(number) for number in range(2 * RECORDS_PER_BUNDLE + 500)), run=RUN, release="R4B"))
    assert [len(bundle["entry"]) for bundle in made] == [2001, 2001, 1001]
    assert len({bundle["id"] for bundle in made}) == 3
    assert made == list(bundles((row(number) for number in range(2 * RECORDS_PER_BUNDLE + 500)), run=RUN, release="R4B"))
    assert list(bundles([], run=RUN, release="R5")) == []


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(("age", "comparator"), [(0.4167, None), (89.0, None), (90.0, ">=")])
def test_an_age_of_ninety_says_that_it_may_be_more(release, age, comparator):
    """All who are older are stored as 90; the record's page says it in words."""
    (bundle,) = bundles([row(age=age)], run=RUN, release=release)
    read = valid(json.loads(json.dumps(bundle)), release)
    said = next(one for one in read.entry[2].resource.component if one.code.coding[0].code == "30525-0").valueQuantity
    assert (float(said.value), said.comparator, said.code) == (age, comparator, "a")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("recorded", "effective"),
    [
        ("2024", "2024"),
        ("2024-05", "2024-05"),
        ("2024-05-03", "2024-05-03"),
        ("2024-05-03T10:11:12", "2024-05-03"),
        ("2024-05-03T10:11:12-05:00", "2024-05-03T10:11:12-05:00"),
        ("2024-05-03T10:11:12+00:00", "2024-05-03T10:11:12+00:00"),
        (None, None),
    ],
)
def test_the_effective_time_has_the_precision_that_is_kept(release, recorded, effective):
    """Valid in both releases, which know no time of day without a time zone; without any time it is absent."""
    known = {"age": 61.0, "sex": "female", "device": "Mortara ELI 250", "filters": "0.05 to 150 Hz", "source_format": "HL7 aECG"}
    (bundle,) = bundles([row(recorded=recorded, **known)], run=RUN, release=release)
    valid(json.loads(json.dumps(bundle)), release)
    _, report, observation = (entry["resource"] for entry in bundle["entry"])
    assert [one.get("effectiveDateTime") for one in (report, observation)] == [effective, effective]
    said = {one["code"]["coding"][0]["code"]: one for one in observation["component"]}
    assert said["30525-0"]["valueQuantity"] == {"value": 61.0, "unit": "a", "system": "http://unitsofmeasure.org", "code": "a"}
    assert said["46098-0"]["valueCodeableConcept"]["coding"][0]["code"] == "female"
    assert [said[code]["valueString"] for code in ("device", "filters", "source-format")] == list(known.values())[2:]


SNOMED = "http://snomed.info/sct"
CLASSES = {
    ("twelve_lead", "abc"): [
        ClassCode(name="MI", system=SNOMED, code="164865005", display="ECG: myocardial infarction"),
        ClassCode(name="AF"),
        ClassCode(name="CD", system=SNOMED, code="44808001", display="Conduction disorder of the heart"),
    ]
}


def of_class(name: str, decision: str | None, probability: float | None = None, band=(None, None)) -> dict:
    """What a row says of a class."""
    limits = {f"threshold_{name}": 0.5, f"abstain_low_{name}": band[0], f"abstain_high_{name}": band[1]}
    return {f"p_{name}": probability, f"class_{name}": decision} | limits


@pytest.mark.parametrize("release", RELEASES)
def test_classes_are_components_with_their_codes(release):
    """Probability, decision, threshold and band of each class under its SNOMED CT code, and under our own; valid in every release."""
    said = of_class("MI", "present", 0.75, (0.25, 0.375)) | of_class("AF", "absent", 0.125) | of_class("CD", "uninterpretable")
    unsaid = of_class("MI", None) | of_class("AF", None) | of_class("CD", "uncertain", 0.5, (0.25, 0.5))
    other = row(2, version="other")
    (bundle,) = bundles([row(**said), row(1, **unsaid), other], run=RUN, release=release, classes=CLASSES)
    valid(json.loads(json.dumps(bundle)), release)
    observations = [entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == "Observation"]
    first, second, third = ([part for part in one["component"] if "Probability of" in part["code"]["text"]] for one in observations)
    infarction, fibrillation, conduction = first
    assert [(coding["system"], coding["code"]) for coding in infarction["code"]["coding"]] == [
        (SNOMED, "164865005"),
        ("urn:ecg-spectrograms:class", "MI"),
    ]
    assert [coding["code"] for coding in fibrillation["code"]["coding"]] == ["AF"]
    assert infarction["valueQuantity"]["value"] == 0.75
    assert [one["interpretation"][0]["coding"][0]["code"] for one in (infarction, fibrillation, second[0])] == ["POS", "NEG", "IND"]
    assert infarction["referenceRange"][0]["high"]["value"] == 0.5
    assert (infarction["referenceRange"][1]["low"]["value"], infarction["referenceRange"][1]["high"]["value"]) == (0.25, 0.375)
    assert len(fibrillation["referenceRange"]) == 1
    assert conduction["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
    assert "valueQuantity" not in conduction
    assert (len(second), third) == (1, [])
