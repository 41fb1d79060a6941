"""An evaluation leaves out whom the version has seen, all of these and nobody else, however many patients it was trained on."""

import numpy as np
import pytest
from typer.testing import CliRunner

from ecg_tasks.archive import registry
from ecg_tasks.archive.workspace import key_digest, patient_hash, public_patient
from ecg_tasks.cli.__main__ import app
from ecg_tasks.evaluation.splits import split_bucket
from ecg_tasks.learning.version import SUMS, TRAINING_PATIENTS, TrainingPatient, checksums, training_patients_csv
from ecg_tasks.offline.evaluate_folder import evaluate_folder
from ecg_tasks.pipeline.champions import seed
from tests.versions import patients_with_buckets

KEY, OTHER_KEY = b"a key of this installation, of 32 bytes", b"a key of some other place, also of 32 b"
N_TRAINED, N_STRANGERS, N_SEEN = 15_000, 2000, 300


def named(number, *, key=KEY):
    """A patient whom the version has seen: the even ones of a collection, the others of a hospital."""
    name = f"sph-p{number}" if number % 2 == 0 else f"p{number}"
    public = public_patient(name, collection="sph") if number % 2 == 0 else None
    return TrainingPatient(patient_hash(name, key=key), key_digest(key), public, split_bucket(name))


def shipped(models, patients, *, with_buckets=True):
    """Put the shipped version into a folder, as if it had been trained on these patients; None for one of before, which names none.

    Until 2026-11-30 a version told their buckets.
    """
    (champion,) = (one for one in registry.shipped_champions(seed.SHIPPED_MODELS) if one.recipe == "heartbeat")
    files = registry.read_shipped(seed.SHIPPED_MODELS, champion)
    files = {name: data for name, data in files.items() if name not in {SUMS, TRAINING_PATIENTS}}
    if patients is not None:
        files[TRAINING_PATIENTS] = patients_with_buckets(patients) if with_buckets else training_patients_csv(patients)
    registry.write_shipped(models, champion, files | {SUMS: checksums(files)})
    return models


def beats_of(folder, numbers):
    """Write a beat of each patient, unlike any other, with the table that says whose it is; of a hospital's there is no collection."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    t = np.arange(187)
    shape = 0.8 * np.exp(-((t / 4) ** 2)) + 0.3 * np.exp(-(((t - 40) / 9) ** 2)) + 0.8 * np.exp(-(((t - 120) / 4) ** 2))
    rows = np.where(t < 140, shape + 0.05 * rng.random((len(numbers), 187)), 0)
    (folder / "beats.csv").write_text("\n".join(",".join(f"{value:.4f}" for value in row) for row in rows))
    lines = [f"beats.csv#{row},{row % 2},p{number},{'' if number % 2 else 'sph'}" for row, number in enumerate(numbers, start=1)]
    (folder / "labels.csv").write_text("\n".join(["record,label,patient_id,collection", *lines]) + "\n")
    return folder


@pytest.mark.slow
def test_strangers_are_judged_and_the_seen_are_left_out(tmp_path):
    """By a version that was trained on 15,000 patients, in three of four buckets: half of both are of a collection, half of a hospital."""
    models = shipped(tmp_path / "models", map(named, range(N_TRAINED)))
    strangers = range(N_TRAINED, N_TRAINED + N_STRANGERS)
    taken = {named(number).bucket for number in range(N_TRAINED)}
    assert sum(named(number).bucket in taken for number in strangers) > 0.7 * N_STRANGERS
    folder = beats_of(tmp_path / "folder", [*range(N_SEEN), *strangers])
    found = evaluate_folder(folder, models=models, patient_key=KEY)
    (one,) = found.evaluated
    assert [left.name for left in one.left_out] == [f"beats.csv#{row}" for row in range(1, N_SEEN + 1)]
    assert {left.why for left in one.left_out} == {"patient"}
    assert found.counts.evaluated + found.counts.uninterpretable == N_STRANGERS
    assert found.counts.evaluated > 0.9 * N_STRANGERS


@pytest.mark.parametrize("key", [None, OTHER_KEY])
def test_without_the_key_a_private_patient_is_told_by_the_bucket_and_a_public_one_by_name(tmp_path, key):
    """The account tells both; and a record that is in a bucket of a public patient alone is judged."""
    models = shipped(tmp_path / "models", map(named, range(N_TRAINED)))
    private = {one.bucket for one in map(named, range(N_TRAINED)) if one.public_patient is None}
    numbers = [*range(20), *range(N_TRAINED, N_TRAINED + 200)]
    found = evaluate_folder(beats_of(tmp_path / "folder", numbers), models=models, patient_key=key)
    (one,) = found.evaluated
    whys = {left.name: left.why for left in one.left_out}
    for row, number in enumerate(numbers, start=1):
        public = number < N_TRAINED and number % 2 == 0
        expected = "patient" if public else "bucket" if named(number).bucket in private else None
        assert whys.get(f"beats.csv#{row}") == expected
    assert found.as_dict()["left_out"]["by_bucket"] == one.n_by_bucket == sum(why == "bucket" for why in whys.values()) > 50


@pytest.mark.parametrize("key", [None, OTHER_KEY])
def test_without_key_and_buckets_private_patients_are_not_compared_and_it_is_said(tmp_path, key):
    """Of a version of today public patients are known by name, private ones by the key alone; the rest is judged, and not in silence."""
    models = shipped(tmp_path / "models", map(named, range(200)), with_buckets=False)
    folder = beats_of(tmp_path / "folder", range(100, 300))
    (one,) = evaluate_folder(folder, models=models, patient_key=key).evaluated
    assert {left.name for left in one.left_out} == {f"beats.csv#{row}" for row in range(1, 101, 2)}
    assert one.n_not_compared == 100
    found = evaluate_folder(folder, models=models, patient_key=KEY)
    assert (len(found.evaluated[0].left_out), found.as_dict()["left_out"]["not_compared"]) == (100, 0)
    version = next(path.parent for path in models.glob(f"*/*/{SUMS}"))
    environment = {"COLUMNS": "300", "ECG_HOME": str(tmp_path / "no stack"), "ECG_PATIENT_KEY": "" if key is None else key.decode()}
    done = CliRunner().invoke(app, ["evaluate", str(folder), "--model", str(version)], env=environment)
    assert "100 private patients that it was trained on under another key" in done.output


def test_the_command_takes_the_key_of_the_installation_and_says_what_buckets_leave_out(tmp_path, monkeypatch):
    """With the environment's key nobody is left out by a bucket; by a version of before everybody is who is left out."""
    models = shipped(tmp_path / "models", map(named, range(200)))
    numbers = range(190, 500)
    folder = beats_of(tmp_path / "folder", numbers)
    version = next(path.parent for path in models.glob(f"*/*/{SUMS}"))

    def said(**environment):
        done = CliRunner().invoke(app, ["evaluate", str(folder), "--model", str(version)], env={"COLUMNS": "300", **environment})
        assert done.exit_code == 0, done.output
        return done.output

    nowhere = {"ECG_HOME": str(tmp_path / "no stack")}
    by_name = said(ECG_PATIENT_KEY=KEY.decode(), **nowhere)
    assert "10 records (10 by patient)" in by_name
    assert "buckets" not in by_name
    private = {named(number).bucket for number in range(1, 200, 2)}
    public = {named(number).public_patient for number in range(0, 200, 2)}
    n = sum(one.bucket in private and one.public_patient not in public for one in map(named, numbers))
    assert f"{n} of these share one of 10,000 buckets" in said(ECG_PATIENT_KEY="", **nowhere)
    assert not (tmp_path / "no stack").exists()
    with monkeypatch.context() as installed:
        installed.setattr("deploy.embedded.stack.CHECKOUT", tmp_path)  # as in an installed package, which has no stack
        assert f"{n} of these share one of 10,000 buckets" in said(ECG_PATIENT_KEY="")
    files = {name: data for name, data in registry.read_folder(version).items() if name not in {SUMS, TRAINING_PATIENTS}}
    (version / SUMS).write_bytes(checksums(files))
    records = [line.split(",") for line in files["training_records.csv"].decode().splitlines()[1:]]
    buckets = {int(bucket) for _, side, bucket in records if side != "test"}
    n = sum(named(number).bucket in buckets for number in numbers)
    assert n > 0
    assert f"{n} of these share one of 10,000 buckets" in said(ECG_PATIENT_KEY=KEY.decode(), **nowhere)
