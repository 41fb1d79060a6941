"""Classes beside normal and abnormal, by the steps alone: from a label table to the version that tells of them."""

import json

import numpy as np
import pytest

from ecg_tasks.archive import keys, registry
from ecg_tasks.learning.version import Metrics
from ecg_tasks.pipeline import ingest_records, render_spectrograms, retrain_model
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.pipeline.training import promoting
from ecg_tasks.pipeline.training.class_rules import MIN_PATIENTS

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
N_PATIENTS = 240


def classes_of(number: int) -> list[str]:
    """NORM or STTC by the T wave, WIDE by the R wave, and RARE, which is no more than a word."""
    named = {"NORM": number % 2 == 0, "STTC": number % 2 == 1, "WIDE": number // 2 % 2 == 1, "RARE": number % 6 == 0}
    return [name for name, has in named.items() if has]


def _drop() -> list[tuple[str, bytes]]:
    """Beats of many patients: those without a T wave are abnormal; of every eighth no class is known."""
    rng, t = np.random.default_rng(5), np.arange(187)
    rows, table = [], ["record,label,patient_id,classes"]
    for number in range(N_PATIENTS):
        length = rng.integers(100, 150)
        width = 9 if "WIDE" in classes_of(number) else 4
        t_wave = 0.35 * np.exp(-(((t - 45 - rng.normal(0, 2)) / 9) ** 2))
        beat = np.exp(-((t / width) ** 2)) + (1 - number % 2) * t_wave + np.exp(-(((t - length * 0.83) / width) ** 2))
        rows.append(np.where(t < length, np.clip(beat * 0.9 + 0.05 * rng.random(187), 0, 1), 0))
        label, named = ("normal", "abnormal")[number % 2], "" if number % 8 == 7 else " ".join(classes_of(number))
        table.append(f"beats.csv#{number + 1},{label},patient {number},{named}")
    beats = "\n".join(",".join(f"{value:.5f}" for value in row) for row in rows)
    return [("w/beats.csv", beats.encode()), ("w/labels.csv", "\n".join(table).encode())]


@pytest.fixture(scope="module")
def store(bucket_in):
    """A bucket with these beats, taken over and rendered."""
    with pytest.MonkeyPatch.context() as patch:
        bucket = bucket_in(patch, ECG_RECIPES="heartbeat")
        inbox.put_files(_drop())
        ingest_records.publish("i", [ingest_records.ingest_batch(job) for job in ingest_records.plan("i")])
        render_spectrograms.publish("r", [render_spectrograms.render_shard(job) for job in render_spectrograms.plan("r")])
        yield bucket


def _retrain(run_id: str, *, seed: int = 0, epochs: int = 6) -> dict:
    """One run of the DAG ``retrain_model``; returns the verdict."""
    job = retrain_model.assemble_dataset(run_id, recipe="heartbeat", epochs=epochs, ensemble_size=2, seed=seed)
    decision = retrain_model.gate(retrain_model.evaluate(retrain_model.train(job)))
    if promoting.is_promotable(run_id):
        promoting.promote(run_id, asked=False)
    return json.loads(retrain_model.open_store().get(decision))


@pytest.fixture(scope="module")
def champion(store):
    """The files of the version that serves, and the verdict on it."""
    verdict = _retrain("first")
    assert verdict["promote"], verdict["reason"]
    return registry.read_version(store, "heartbeat", registry.read_champion(store, "heartbeat").version), verdict


def test_a_version_tells_of_the_classes_of_its_data(champion):
    """Each class has an output, a rule and a code where one is known; one of too few patients is not served, and that is told."""
    files, _ = champion
    spec = json.loads(files["model.json"])
    assert [(one["name"], one["output"], one["code"]) for one in spec["classes"]] == [
        ("NORM", 1, "164854000"),
        ("STTC", 2, "428750005"),
        ("WIDE", 4, ""),
    ]
    told = json.loads(files["metrics.json"])["classes"]
    assert told["calibration"].keys() == {"NORM", "STTC", "WIDE"}
    assert all(one["n_records"] < json.loads(files["metrics.json"])["calibration"]["n_records"] for one in told["calibration"].values())
    assert told["left_out"]["RARE"].endswith(f"at least {MIN_PATIENTS} of each are needed")
    card = files["card.md"].decode()
    assert "- RARE was trained and is not served: " in card
    assert "| STTC | 428750005 (Nonspecific ST-T abnormality on electrocardiogram) | " in card
    assert "names no disease" not in card


def test_classes_are_told_of_patients_that_were_not_trained_on(champion):
    """The T wave and the width of the R wave are found; figures have intervals, and their mean has one too."""
    files, _ = champion
    found = Metrics.from_json(files["metrics.json"]).classes
    assert found.evaluations.keys() == {"NORM", "STTC", "WIDE"}
    assert all(one.auroc.value > 0.85 and one.auroc.low < one.auroc.high for one in found.evaluations.values())
    assert found.macro_auroc.low <= found.macro_auroc.value <= found.macro_auroc.high


def test_the_same_training_is_the_same_version(store, champion):
    """The classes are part of the data set, and so of the version's name: nothing is trained or judged anew."""
    before = {item.key: item.etag for item in store.list_objects(keys.MODELS)}
    _retrain("again")
    assert {item.key: item.etag for item in store.list_objects(keys.MODELS)} == before


def test_a_later_candidate_is_compared_class_by_class(store, champion, monkeypatch):
    """One that is better at abnormal passes only if no class may have fallen; the classes that fell are named."""
    from ecg_tasks.evaluation import gate

    decide = gate.evaluate_candidate
    given = {}

    def told(labels, candidate, incumbent, groups, **asked):
        given.update(asked["classes"])
        worse = gate.Scored(probabilities=np.full(len(labels), 0.5), threshold=0.5)
        return decide(labels, candidate, worse, groups, **asked)

    monkeypatch.setattr(gate, "evaluate_candidate", told)
    verdict = _retrain("second", seed=1, epochs=1)
    assert given.keys() == {"NORM", "STTC", "WIDE"}
    assert {"auroc_difference_NORM", "auroc_difference_STTC", "auroc_difference_WIDE"} <= verdict["figures"].keys()
    assert verdict["limits"]["class_margin"] == 0.05
