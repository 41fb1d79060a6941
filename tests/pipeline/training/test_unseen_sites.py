"""How a network does at a site that it has not learnt from: where it is asked for, for the sites with enough patients, and nowhere else."""

import json

import numpy as np
import pytest

from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.documents import TrainingJob, read
from ecg_tasks.learning.keras_file import load_network
from ecg_tasks.pipeline import ingest_records, render_spectrograms, retrain_model
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.pipeline.training import dataset, unseen_sites

pytestmark = pytest.mark.slow

OF_SITE = {"north": 130, "south": 130, "east": 20, "": 30}
"""Patients; those of no site lie in a folder that is not listed."""


def _drop() -> list[tuple[str, bytes]]:
    """Beats, one a patient, every second abnormal: in the south by a high T wave, elsewhere for want of one."""
    rng, t = np.random.default_rng(5), np.arange(187)
    files: list[tuple[str, bytes]] = []
    patient = 0
    for site, n in OF_SITE.items():
        rows, labels = [], ["record,label,patient_id"]
        for number in range(n):
            patient += 1
            abnormal = number % 2 == 0
            length = rng.integers(100, 150)
            height = (1.0 if site == "south" else 0.0) if abnormal else 0.35
            t_wave = height * np.exp(-(((t - 45 - rng.normal(0, 2)) / 9) ** 2))
            beat = np.exp(-((t / 4) ** 2)) + t_wave + np.exp(-(((t - length * 0.83) / 4) ** 2))
            rows.append(np.where(t < length, np.clip(beat * 0.9 + 0.1 * rng.random(187), 0, 1), 0))
            labels.append(f"beats.csv#{number + 1},{'abnormal' if abnormal else 'normal'},patient {patient}")
        beats = "\n".join(",".join(f"{value:.5f}" for value in row) for row in rows)
        folder = site or "elsewhere"
        files += [(f"{folder}/beats.csv", beats.encode()), (f"{folder}/labels.csv", "\n".join(labels).encode())]
    return files


@pytest.fixture(scope="module")
def store(bucket_in):
    """A bucket with these beats, taken over and rendered."""
    with pytest.MonkeyPatch.context() as patch:
        bucket = bucket_in(patch, ECG_RECIPES="heartbeat", ECG_SITES="north,south,east")
        inbox.put_files(_drop())
        ingest_records.publish("i", [ingest_records.ingest_batch(job) for job in ingest_records.plan("i")])
        render_spectrograms.publish("r", [render_spectrograms.render_shard(job) for job in render_spectrograms.plan("r")])
        yield bucket


def _assembled(run_id: str, *, epochs: int = 5, ensemble_size: int = 1, leave_one_site_out: bool = False) -> str:
    return retrain_model.assemble_dataset(
        run_id, recipe="heartbeat", epochs=epochs, ensemble_size=ensemble_size, seed=0, leave_one_site_out=leave_one_site_out
    )


class KilledError(Exception):
    """Stands for the death of a task."""


@pytest.fixture(scope="module")
def left_out(store):
    """A version whose training was killed while it went on without the second site: its job, its files, and what the second try said."""
    job = _assembled("left-out", ensemble_size=2, leave_one_site_out=True)
    said: list[str] = []

    def die(line: str) -> None:
        said.append(line)
        if line.startswith("without south: epoch 3/"):
            raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrain_model, "_log", die)
        with pytest.raises(KilledError):
            retrain_model.train(job)
    first = len(said)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrain_model, "_log", said.append)
        assert retrain_model.train(job) == job
        again = len(said)
        assert retrain_model.train(job) == job
    assert len(said) == again
    version = read(store, TrainingJob, retrain_model.evaluate(job)).version
    return job, registry.read_version(store, "heartbeat", version), said[first:]


def test_what_a_network_does_without_a_site_is_told_of_sites_with_enough_patients(left_out):
    """Without the south's high T waves the AUROC is far lower there; a site of too few patients is named with the reason."""
    _, files, _ = left_out
    told = json.loads(files["metrics.json"])["leave_one_site_out"]
    assert set(told["sites"]) == {"north", "south"}
    south = told["sites"]["south"]
    assert south["auroc_with"]["value"] > 0.9
    assert south["auroc_without"]["value"] < south["auroc_with"]["value"] - 0.2
    assert south["auroc_difference"]["value"] == pytest.approx(south["auroc_with"]["value"] - south["auroc_without"]["value"])
    assert south["auroc_difference"]["low"] > 0
    assert set(told["not_measured"]) == {"east"}
    assert told["not_measured"]["east"] == "fewer than 10 test patients, or 3 of either class"
    assert told["n_site_unknown"] > 0
    for site, one in told["sites"].items():
        assert 10 <= one["n_patients"] < one["left_out"]["n_patients"] < OF_SITE[site]


def test_the_card_tells_it_and_that_it_is_one_network(left_out):
    """Both figures and their difference with intervals, whose patients were left out, and what the comparison is not."""
    _, files, _ = left_out
    card = files["card.md"].decode()
    part = card.split("## At a site that it was not trained on")[1].split("\n## ")[0]
    told = json.loads(files["metrics.json"])["leave_one_site_out"]["sites"]["south"]
    (line,) = [one for one in part.splitlines() if one.startswith("| south |")]
    for name in ("auroc_with", "auroc_without", "auroc_difference"):
        assert f"{told[name]['value']:.3f} ({told[name]['low']:.3f} to {told[name]['high']:.3f})" in line
    assert "The first of the 2 networks was trained once more without the patients of each site" in part
    assert "some may come from the site that was left out" in part
    assert "- east: not measured, fewer than 10 test patients, or 3 of either class." in part
    assert "was not trained on was not measured" not in card


def test_no_patient_of_the_site_is_learnt_from(store, left_out):
    """All records of a patient who was there once are left out, those at other sites too; nobody else is."""
    job, _, _ = left_out
    work = read(store, TrainingJob, job)
    rows = dataset.load_rows(store, work.dataset_id)
    learnt = dataset.learnt_from(rows)
    site_of = dict(zip((row.record_id for row in rows), unseen_sites.sites_of(store, rows), strict=True))
    north = next(row for row in learnt if site_of[row.record_id] == "north")
    south = next(row for row in learnt if site_of[row.record_id] == "south")
    moved = [dataset.replace(row, group=north.group) if row is south else row for row in rows]
    (fold, *_) = dataset.folds_of(learnt, ensemble_size=2)
    choice = unseen_sites.choose(store, moved, stopped_on=fold)
    for site in ("north", "south"):
        away = {row.record_id for row, kept in zip(learnt, choice.without[site], strict=True) if not kept}
        of_site = {row.record_id for row in learnt if site_of[row.record_id] == site}
        assert away == of_site | {north.record_id, south.record_id}
        assert choice.left_out[site] == {"n_records": len(away), "n_patients": len(away) - 1}


def test_a_killed_training_goes_on_with_the_site_that_it_was_at(store, left_out):
    """Nothing that was finished is trained again, and the result is that of a training that ran through."""
    job, _, said = left_out
    assert "without south: going on after 3 epochs" in said
    assert not [line for line in said if not line.startswith("without south: ")]
    work = read(store, TrainingJob, job)
    resumed = store.get(unseen_sites.twin_key(work, "south"))
    store.delete_many(store.list_keys(unseen_sites.epochs_of(work, "south")))
    store.delete_many([unseen_sites.twin_key(work, "south"), keys.model_file("heartbeat", work.version, registry.SUMS)])
    retrain_model.train(job)
    assert store.get(unseen_sites.twin_key(work, "south")) == resumed


def test_the_first_network_is_that_of_the_version(store, left_out):
    """The member that learnt from all sites begins the ensemble that serves, and the twin is another one."""
    job, _, _ = left_out
    work = read(store, TrainingJob, job)
    whole = load_network(store.get(keys.checkpoint("heartbeat", work.version, "trained.keras")))
    first = load_network(store.get(unseen_sites.first_key(work)))
    twin = load_network(store.get(unseen_sites.twin_key(work, "north")))
    kept = [values.tobytes() for values in whole.get_weights()]
    assert all(values.tobytes() in kept for values in first.get_weights())
    assert not all(values.tobytes() in kept for values in twin.get_weights())


def test_nothing_more_is_trained_unless_it_is_asked_for(store, left_out):
    """Without it a version has the name that it always had, no further network, and a card that says what was not measured."""
    job = _assembled("plain", epochs=1)
    asked = read(store, TrainingJob, _assembled("asked", epochs=1, leave_one_site_out=True))
    work = read(store, TrainingJob, retrain_model.evaluate(retrain_model.train(job)))
    assert not work.leave_one_site_out
    assert work.version != asked.version
    found = store.list_keys(keys.checkpoint("heartbeat", work.version, ""))
    assert {key.rsplit("/", 1)[-1] for key in found} == {"00001.npz", "trained.keras", "training.json"}
    files = registry.read_version(store, "heartbeat", work.version)
    assert "leave_one_site_out" not in json.loads(files["metrics.json"])
    card = files["card.md"].decode()
    assert "At a site that it was not trained on" not in card
    assert "What a version does at a site that it was not trained on was not measured" in card


def test_where_no_second_site_has_enough_patients_none_is_left_out(store, left_out, monkeypatch):
    """What would be left may be of the same hospital: each site is named with the reason, and the card says that there is no figure."""
    job, _, _ = left_out
    work = read(store, TrainingJob, job)
    rows = dataset.load_rows(store, work.dataset_id)
    fold = dataset.folds_of(dataset.learnt_from(rows), ensemble_size=2)[0]
    monkeypatch.setattr(unseen_sites, "sites_of", lambda _store, some: [None if number % 2 else "north" for number in range(len(some))])
    choice = unseen_sites.choose(store, rows, stopped_on=fold)
    assert choice.without == {}
    assert choice.not_measured == {"north": "no other site has enough test patients"}
    twins = unseen_sites.load(store, work, rows, stopped_on=fold)
    assert (twins.first, twins.without) == (b"", {})
