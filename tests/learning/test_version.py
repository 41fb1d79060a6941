"""A model version's files: what comes back, what is refused, and that other tools can check them."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecg_tasks.errors import ModelRefusedError
from ecg_tasks.learning.decisions import SiteRule
from ecg_tasks.learning.version import (
    SUMS,
    Golden,
    Metrics,
    ModelSpec,
    check_checksums,
    checksums,
    training_patients,
    training_patients_csv,
    training_records,
    version_files,
    without_buckets,
)
from tests.versions import patients_with_buckets

NAMES = {
    "model.keras",
    "model.tflite",
    "model.json",
    "metrics.json",
    "card.md",
    "golden.npz",
    "training_records.csv",
    "training_patients.csv",
    "roc.svg",
    "SHA256SUMS",
}


def test_a_version_has_all_its_files(files):
    """Exactly the files of the bucket's layout are made, none of them empty."""
    assert files.keys() == NAMES
    assert all(files.values())


def test_the_same_version_gives_the_same_bytes(files, version_input):
    """Nothing in the files depends on when or where they were made."""
    assert version_files(**version_input) == files


def test_sha256sum_agrees(files, tmp_path):
    """The tool that everybody has can check a version."""
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum is not installed")
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    checked = subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert checked.stdout.count(": OK") == len(NAMES) - 1


def test_training_records_are_listed(files):
    """Every record is listed with its split in a fixed order, and nothing that is made of its patient's id."""
    assert files["training_records.csv"].decode().splitlines() == ["record_id,side", f"{'a' * 32},test", f"{'b' * 32},train"]
    assert list(training_records(files["training_records.csv"])) == [("a" * 32, "test", -1), ("b" * 32, "train", -1)]
    with pytest.raises(ModelRefusedError, match=r"training_records\.csv"):
        list(training_records(b"record_id\n1\n"))


def test_a_version_of_before_leaves_without_the_buckets_that_it_lists(files, version_input):
    """Ids and splits are the same, and so is everything else; its checksums are right, and what has no buckets is left as it is."""
    patients = [one._replace(bucket=number) for number, one in enumerate(version_input["patients"])]
    records = f"record_id,side,bucket\n{'a' * 32},test,9000\n{'b' * 32},train,17\n".encode()
    old = {name: data for name, data in files.items() if name != SUMS}
    old |= {"training_records.csv": records, "training_patients.csv": patients_with_buckets(patients)}
    old |= {SUMS: checksums(old)}
    assert list(training_records(records)) == [("a" * 32, "test", 9000), ("b" * 32, "train", 17)]
    assert list(training_patients(old["training_patients.csv"])) == sorted(patients)
    assert without_buckets(old) == files == without_buckets(files)
    nameless = {name: data for name, data in old.items() if name not in {SUMS, "training_patients.csv"}}
    assert without_buckets(nameless)["training_records.csv"] == files["training_records.csv"]
    check_checksums(without_buckets(nameless), needed=("training_records.csv",))


def test_roundtrip_of_the_specification(spec):
    """What is written to model.json is what is read from it."""
    assert ModelSpec.from_json(spec.to_json()) == spec


def test_roundtrip_of_classes(spec_with_classes):
    """Each class comes back with its rule and its code."""
    back = ModelSpec.from_json(spec_with_classes.to_json())
    assert back == spec_with_classes
    assert back.classes[0].band.holds([0.5]).all()


def test_specifications_without_classes_are_what_they_were(spec):
    """They have no word of classes; the shipped ones, which report some, come back as they are."""
    assert b"classes" not in spec.to_json()
    assert ModelSpec.from_json(spec.to_json()).classes == ()
    for path in (Path(__file__).parents[2] / "models").glob("*/*/model.json"):
        stored = ModelSpec.from_json(path.read_bytes())
        assert [one.name for one in stored.classes] == ["NORM", "MI", "STTC", "CD", "HYP"]
        assert json.loads(stored.to_json()) == {"bias": 0.0} | json.loads(path.read_bytes())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": 2}, "classes is"),
        ({"output": 0}, "classes is"),
        ({"name": ""}, "classes is"),
        ({"temperature": -1}, "classes is"),
        ({"abstain": [0.6, 0.4]}, "classes is"),
        ({"abstain": 5}, "cannot be read"),
        ({"limit": 1}, "cannot be read"),
    ],
)
def test_impossible_classes_are_refused(spec_with_classes, change, message):
    """Each field of a class is checked, and no class may stand twice."""
    stored = json.loads(spec_with_classes.to_json())
    for classes, expected in (([stored["classes"][0] | change], message), (stored["classes"] * 2, "classes is"), (3, "must be a list")):
        with pytest.raises(ModelRefusedError, match=expected):
            ModelSpec.from_json(json.dumps(stored | {"classes": classes}).encode())


def test_rules_of_sites_come_back_and_impossible_ones_are_refused(spec):
    """A version without any is what it was; each field of a rule is checked, and no site may stand twice."""
    rule = SiteRule(site="north", temperature=1.2, bias=-0.4, threshold=0.3, abstain=(0.2, 0.4))
    assert ModelSpec.from_json(replace(spec, sites=(rule,)).to_json()).sites == (rule,)
    assert b"sites" not in spec.to_json()
    stored = json.loads(replace(spec, sites=(rule,)).to_json())
    changes = ({"site": ""}, {"temperature": 0}, {"bias": None}, {"threshold": 2}, {"abstain": [0.6, 0.4]})
    wrong = [([stored["sites"][0] | change], "sites is") for change in changes]
    wrong += [(stored["sites"] * 2, "sites is"), (3, "must be a list"), ([{"site": "north"}], "cannot be read")]
    for sites, expected in wrong:
        with pytest.raises(ModelRefusedError, match=expected):
            ModelSpec.from_json(json.dumps(stored | {"sites": sites}).encode())


def test_metrics_of_the_shipped_versions_are_read():
    """Figures with intervals, what the version remembers of its test, and the digests of its data set."""
    for path in (Path(__file__).parents[2] / "models").glob("*/*/metrics.json"):
        metrics = Metrics.from_json(path.read_bytes())
        assert metrics.test.as_dict().items() <= json.loads(path.read_bytes())["test"].items()
        assert metrics.baseline_models.keys() == {"beat_length", "simple_features"}
        assert metrics.provenance.keys() == {"manifest_sha256", "split_sha256"}


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"test": {"auroc": 1}}', b'{"reference": {"score": {}}}'])
def test_metrics_that_cannot_be_read_are_refused(data):
    """The file is named."""
    with pytest.raises(ModelRefusedError, match=r"metrics\.json cannot be read"):
        Metrics.from_json(data)


def test_roundtrip_of_golden_pictures(version_input):
    """Pictures and scores keep every bit."""
    golden = version_input["golden"]
    back = Golden.from_bytes(golden.to_bytes())
    assert np.array_equal(back.images, golden.images)
    assert np.array_equal(back.scores, golden.scores)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"thresold": 0.5}, "unknown fields: thresold"),
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"threshold": True}, "threshold is True"),
        ({"abstain": [0.6, 0.4]}, "abstain"),
        ({"abstain": 0.5}, "must be a list"),
        ({"temperature": 0}, "temperature"),
        ({"image_shape": [16, 24]}, "image_shape"),
        ({"image_shape": [16, 24, 2.0]}, "image_shape"),
        ({"class_order": ["abnormal", "normal"]}, "class_order"),
        ({"recipe": ""}, "recipe"),
        ({"seed": "1"}, "seed"),
        ({"synthetic": 1}, "synthetic"),
        ({"training": []}, "training"),
        ({"sources": [1]}, "sources"),
    ],
)
def test_impossible_specifications_are_refused(spec, change, message):
    """Each field is checked, and the message names it."""
    with pytest.raises(ModelRefusedError, match=message):
        ModelSpec.from_json(json.dumps(json.loads(spec.to_json()) | change).encode())


def test_every_field_is_needed(spec):
    """A specification that lacks any one field is refused by that field's name, but for the bias, which older versions have not."""
    whole = json.loads(spec.to_json())
    for name in whole.keys() - {"bias"}:
        with pytest.raises(ModelRefusedError, match=f"lacks {name}"):
            ModelSpec.from_json(json.dumps({field: value for field, value in whole.items() if field != name}).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff"])
def test_what_is_no_specification_is_refused(data):
    """Empty, cut, foreign and binary content is refused with the file's name."""
    with pytest.raises(ModelRefusedError, match=r"model\.json"):
        ModelSpec.from_json(data)


def test_figures_that_are_nan_are_refused(version_input):
    """JSON has no nan: a figure that could not be computed must be None."""
    with pytest.raises(ModelRefusedError, match="nan"):
        version_files(**(version_input | {"metrics": {"auroc": float("nan")}}))


def test_golden_pictures_must_fit(version_input):
    """A version cannot be made with golden pictures of another shape, or without any."""
    golden = version_input["golden"]
    for images in (golden.images[:, :-1], golden.images[:0]):
        with pytest.raises(ModelRefusedError, match="golden pictures"):
            version_files(**(version_input | {"golden": Golden(images=images, scores=golden.scores)}))


def test_checksums_notice_everything():
    """A changed, an unlisted and a missing file are refused by name; a listed file that nobody needs may be absent."""
    files = {"a": b"1", "b": b"2"}
    files["SHA256SUMS"] = checksums(files)
    check_checksums(files, needed=("a", "b"))
    check_checksums({name: files[name] for name in ("a", "SHA256SUMS")}, needed=("a",))
    with pytest.raises(ModelRefusedError, match="b is damaged"):
        check_checksums(files | {"b": b"3"}, needed=("a",))
    with pytest.raises(ModelRefusedError, match="c is not listed"):
        check_checksums(files | {"c": b"3"}, needed=("a",))
    with pytest.raises(ModelRefusedError, match="lacks b"):
        check_checksums({name: files[name] for name in ("a", "SHA256SUMS")}, needed=("a", "b"))
    with pytest.raises(ModelRefusedError, match="not a checksum"):
        check_checksums(files | {"SHA256SUMS": b"x\n"}, needed=("a",))


def test_training_patients_come_back_and_are_named_once(version_input, files):
    """In an order of their own, one row a patient; a file that is none is refused by its name."""
    data = files["training_patients.csv"]
    assert data.decode().splitlines() == [
        "patient,key,public_patient",
        f"{'b' * 24},{'d' * 12},{'e' * 24}",
        f"{'c' * 24},{'d' * 12},",
    ]
    patients = version_input["patients"]
    assert list(training_patients(data)) == sorted(patients)
    assert training_patients_csv([*patients, *patients[::-1]]) == data
    for damaged in (b"\xff", b"patient,key\na,b\n", patients_with_buckets(patients).replace(b"-1", b"x")):
        with pytest.raises(ModelRefusedError, match=r"training_patients\.csv"):
            list(training_patients(damaged))
