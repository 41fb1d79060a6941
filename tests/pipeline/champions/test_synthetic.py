"""Synthetic and real never mix: what serves, what is trained on, and what is decided when a real recording comes."""

import csv
import io

import pytest

from ecg_tasks.archive import audit, keys, registry
from ecg_tasks.archive.documents import StoredVerdict, TrainingJob, write
from ecg_tasks.errors import ConfigurationError, NotEnoughDataError
from ecg_tasks.pipeline import backfill_version, classify_records, decide_champion, ingest_records, render_spectrograms
from ecg_tasks.pipeline.champions import seed
from ecg_tasks.pipeline.champions.hand_over import hand_over
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.pipeline.training import dataset, promoting
from ecg_tasks.queries import models
from ecg_tasks.signals.recipes import get_recipe
from ecg_tasks.signals.sample_drop import sample_drop
from tests.plain_json import get_json
from tests.versions import write_dataset

RECIPE = "heartbeat"
MADE_UP = "aaaa00000001"
"""A version trained on synthetic recordings."""


@pytest.fixture
def demonstrated(bucket_in, monkeypatch, todays_version):
    """A bucket after a demonstration: synthetic recordings only, and a version trained on them serves after the one that was installed."""
    bucket = bucket_in(monkeypatch, ECG_RECIPES=RECIPE)
    monkeypatch.setattr("ecg_tasks.pipeline.champions.fresh_process.fault_of", lambda _files: "")
    registry.write_version(bucket, RECIPE, "0123456789ab", todays_version(RECIPE, "0123456789ab"))
    registry.write_champion(bucket, recipe=RECIPE, version="0123456789ab", since="t0", who="installation", why="shipped")
    inbox.put_files(sample_drop(seed=3, n_patients=2, recordings_per_patient=1).items())
    _take_over("first")
    registry.write_version(bucket, RECIPE, MADE_UP, todays_version(RECIPE, MADE_UP, synthetic=True))
    registry.write_champion(bucket, recipe=RECIPE, version=MADE_UP, since="t1", who="retrain_model/r", why="a refresh")
    return bucket


def _take_over(run):
    ingest_records.publish(run, [ingest_records.ingest_batch(job) for job in ingest_records.plan(run)])
    render_spectrograms.publish(run, [render_spectrograms.render_shard(job) for job in render_spectrograms.plan(run)])


def _real(beat_rows, heartbeat_csv):
    inbox.put_files([("ward/beats.csv", heartbeat_csv(beat_rows(3, seed=9)))])


def _night(run):
    pin = classify_records.pin_champion(run, date="2026-01-02", scope="all", details=1)
    return classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])


def _serving(store):
    return registry.read_champion(store, RECIPE).version


def test_a_demonstration_goes_on_with_its_own_model(demonstrated):
    """While every recording is synthetic, the version trained on such may serve, and its report says what it is."""
    report = _night("night")
    assert _serving(demonstrated) == MADE_UP
    assert b"Trained on synthetic recordings." in demonstrated.get(report)
    assert get_json(demonstrated, report.replace("index.html", "summary.json"))["synthetic"]["models"] == [RECIPE]


def test_the_first_real_recording_brings_the_model_before_back(demonstrated, beat_rows, heartbeat_csv):
    """With the next night the shipped version decides on everything; champion, log and report say why, and again changes nothing."""
    _night("before")
    _real(beat_rows, heartbeat_csv)
    _take_over("real")
    report = _night("after")
    champion = registry.read_champion(demonstrated, RECIPE)
    assert (champion.version, champion.who) == ("0123456789ab", "classify_records/after")
    assert champion.why == f"{MADE_UP} was trained on synthetic recordings, and this bucket holds real ones"
    assert ("classify_records/after", "promote", f"{RECIPE}/0123456789ab") in [
        (entry.who, str(entry.action), entry.subject) for _, entry in audit.entries(demonstrated)
    ]
    assert "0123456789ab serves from now on" in get_json(demonstrated, report.replace("index.html", "summary.json"))["notes"][0]
    table = demonstrated.get(report.replace("index.html", "predictions.csv")).decode()
    assert {row["version"] for row in csv.DictReader(io.StringIO(table, newline=""))} == {"0123456789ab"}
    before = demonstrated.get(keys.champion(RECIPE))
    _night("later")
    assert demonstrated.get(keys.champion(RECIPE)) == before


def test_a_hand_over_whose_entry_was_lost_is_logged_by_the_next_try(demonstrated, beat_rows, heartbeat_csv, monkeypatch):
    """A task that was killed between the hand-over and its log entry logs it when it runs again, once."""
    _real(beat_rows, heartbeat_csv)
    _take_over("real")
    with monkeypatch.context() as patch:
        patch.setattr(audit, "append", lambda *_, **__: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            hand_over(demonstrated, RECIPE, who="classify_records/n")
    for _ in range(2):
        hand_over(demonstrated, RECIPE, who="classify_records/n")
    assert [entry.who for _, entry in audit.entries(demonstrated)].count("classify_records/n") == 1


def test_the_shipped_version_serves_where_none_served_before(demonstrated, beat_rows, heartbeat_csv, monkeypatch):
    """Without an earlier version that was trained on real recordings, the one that the project ships is installed."""
    demonstrated.delete(keys.champion(RECIPE))
    registry.write_champion(demonstrated, recipe=RECIPE, version=MADE_UP, since="t1", who="test", why="test")
    _real(beat_rows, heartbeat_csv)
    _take_over("real")
    shipped = seed.install_version(demonstrated, RECIPE)
    fits = get_json(demonstrated, keys.model_file(RECIPE, shipped, "model.json"))["recipe_digest"] == get_recipe(RECIPE).digest
    champion = hand_over(demonstrated, RECIPE, who="test")
    assert (champion and champion.version) == (shipped if fits else None)


def test_nothing_decides_on_real_recordings_where_nothing_may(demonstrated, beat_rows, heartbeat_csv, monkeypatch):
    """With no version to hand over to, real recordings wait, and the report says why."""
    decided = registry.read_champion(demonstrated, RECIPE)
    demonstrated.delete(keys.champion(RECIPE))
    registry.write_champion(demonstrated, recipe=RECIPE, version=decided.version, since="t1", who="test", why="test")
    monkeypatch.setattr(seed, "shipped_version", lambda *_: None)
    _real(beat_rows, heartbeat_csv)
    _take_over("real")
    summary = get_json(demonstrated, _night("night").replace("index.html", "summary.json"))
    assert summary["notes"][0] == f"The heartbeat model {MADE_UP} was trained on synthetic recordings, and this bucket holds real ones."
    assert summary["counts"]["records"] == summary["counts"]["pending"]


def test_a_night_under_way_decides_on_no_real_recording(demonstrated, beat_rows, heartbeat_csv):
    """A real recording that comes after the version was pinned waits for the next night; forced upon the version, it is refused."""
    pin = classify_records.pin_champion("night", date="2026-01-02", scope="all", details=1)
    before = {keys.stem(key) for key in demonstrated.list_keys(keys.RECORDS)}
    _real(beat_rows, heartbeat_csv)
    _take_over("real")
    (real,) = {keys.stem(key) for key in demonstrated.list_keys(keys.RECORDS)} - before
    shards = {item["shard"] for job in classify_records.plan(pin) for item in get_json(demonstrated, job)["shards"]}
    assert shards
    assert real not in shards
    model = classify_records.load_champion(demonstrated, RECIPE, MADE_UP)
    with pytest.raises(ConfigurationError, match=r"was trained on synthetic recordings; .* holds real ones"):
        classify_records.classify_one(demonstrated, model, get_recipe(RECIPE), real)


def test_nobody_promotes_it_over_real_recordings(demonstrated, beat_rows, heartbeat_csv):
    """Neither a person, nor a rollback, nor the gate's own promotion, nor a backfill lets it decide once a real recording is there."""
    _real(beat_rows, heartbeat_csv)
    _take_over("real")
    assert hand_over(demonstrated, RECIPE, who="test").version == "0123456789ab"
    with pytest.raises(ConfigurationError, match="holds real ones: it may not serve"):
        decide_champion.decide("p", recipe=RECIPE, action="promote", version=MADE_UP, why="so", who="alice", override="I insist")
    with pytest.raises(ConfigurationError, match="nothing to roll back to"):
        decide_champion.decide("b", recipe=RECIPE, action="rollback", version="", why="so", who="alice")
    with pytest.raises(ConfigurationError, match="holds real ones: it may not decide on them"):
        backfill_version.pin_versions("f", date="2026-01-02", recipe=RECIPE, version=MADE_UP)
    champion = registry.read_champion(demonstrated, RECIPE)
    verdict = StoredVerdict(
        recipe=RECIPE,
        version=MADE_UP,
        promote=True,
        kind="better",
        policy="better",
        reason="because",
        champion=champion.version,
        evaluated="t",
    )
    write(demonstrated, keys.model_file(RECIPE, MADE_UP, registry.VERDICT), verdict)
    write_dataset(demonstrated)
    write(demonstrated, promoting.job_key("r"), TrainingJob(run="r", recipe=RECIPE, version=MADE_UP, dataset_id="ds", epochs=1, seed=0))
    assert promoting.promote("r", asked=False) is None
    assert "holds real ones" in get_json(demonstrated, keys.manifest(promoting.DAG, "r"))["outcome"]
    assert _serving(demonstrated) == "0123456789ab"


def test_a_data_set_never_mixes_them(bucket_in, monkeypatch, beat_rows, heartbeat_csv):
    """Synthetic recordings alone are trained on; with a real one in the archive none of them is, and the refusal counts them."""
    bucket = bucket_in(monkeypatch, ECG_RECIPES=RECIPE)
    monkeypatch.setattr(dataset, "MIN_RECORDS_PER_CLASS", 1)
    inbox.put_files([(name, data) for name, data in sample_drop(seed=3, n_patients=2).items() if name.endswith("synthetic_heartbeats.csv")])
    _take_over("synthetic")
    dataset_id, rows = dataset.assemble(bucket, get_recipe(RECIPE))
    assert all(row.synthetic for row in rows)
    assert dataset.load_manifest(bucket, dataset_id).synthetic_records == len(rows)
    inbox.put_files([("ward/beats.csv", heartbeat_csv(beat_rows(2, seed=9)))])  # without labels
    _take_over("real")
    with pytest.raises(NotEnoughDataError, match=r"\d+ synthetic ones are left out, because the archive holds real recordings"):
        dataset.assemble(bucket, get_recipe(RECIPE))
    inbox.put_files([("ward/labelled.csv", heartbeat_csv(beat_rows(60, seed=4), [n % 2 for n in range(60)]))])
    _take_over("labelled")
    _, rows = dataset.assemble(bucket, get_recipe(RECIPE))
    assert rows
    assert not any(row.synthetic for row in rows)


def test_the_list_of_versions_says_it(demonstrated):
    """`./ecg models` tells which version was trained on synthetic recordings."""
    (found,) = models.models(demonstrated)
    assert {one.version.version: one.version.synthetic for one in found.versions} == {
        MADE_UP: True,
        "0123456789ab": False,
    }
