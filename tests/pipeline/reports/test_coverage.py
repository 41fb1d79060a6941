"""A report covers each record once, says what still waits, and tells which decisions a new champion changed."""

import csv
import io
import json
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest

from ecg_tasks.archive import keys, registry, tables
from ecg_tasks.archive.descriptions import Descriptions
from ecg_tasks.archive.documents import ReportPin, read
from ecg_tasks.archive.object_store import ObjectInfo
from ecg_tasks.archive.workspace import now
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.pipeline import classify_records, ingest_records, render_spectrograms
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.pipeline.reports import report_builder
from ecg_tasks.pipeline.reports.coverage import waiting
from ecg_tasks.queries import runs
from ecg_tasks.queries.overview import overview
from ecg_tasks.signals.recipes import get_recipe

pytestmark = pytest.mark.slow

FIRST, SECOND = "aaaa00000001", "aaaa00000002"


@pytest.fixture
def store(bucket, todays_version, monkeypatch):
    """A bucket in which one version of ``heartbeat`` serves, and a second one is there."""
    monkeypatch.setenv("ECG_RECIPES", "heartbeat")
    registry.write_version(bucket, "heartbeat", FIRST, todays_version("heartbeat", FIRST, threshold=0.5, abstain=[0.5, 0.5]))
    registry.write_version(bucket, "heartbeat", SECOND, todays_version("heartbeat", SECOND, threshold=0.001, abstain=[0.001, 0.001]))
    serve(bucket, FIRST)
    return bucket


def serve(store, version: str) -> None:
    """Let a version serve."""
    registry.write_champion(store, recipe="heartbeat", version=version, since=now(), who="test", why="test")


def take_in(run: str) -> dict:
    """One intake; returns its account."""
    jobs = ingest_records.plan(run)
    manifest = ingest_records.publish(run, [ingest_records.ingest_batch(job) for job in jobs])
    return json.loads(classify_records.open_store().get(manifest))["account"]


def draw(run: str) -> None:
    """Draw what has no pictures."""
    render_spectrograms.publish(run, [render_spectrograms.render_shard(job) for job in render_spectrograms.plan(run)])


def night(store, run: str, **form) -> dict:
    """One run of the DAG; returns its manifest."""
    pin = classify_records.pin_champion(run, date="2026-01-02", **form)
    classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])
    return json.loads(store.get(keys.manifest("classify_records", run)))


def told(store, manifest: dict) -> dict:
    """The report's ``summary.json``."""
    return json.loads(store.get(manifest["report"].replace("index.html", "summary.json")))


def test_a_pending_record_is_covered_again_and_nothing_else_is(store, beat_rows, heartbeat_csv):
    """Of an intake with duplicates, bad files and one shard without pictures, the next report covers that shard's records only."""
    rows = beat_rows(12)
    inbox.put_files(
        [("a.csv", heartbeat_csv(rows[:8])), ("again.csv", heartbeat_csv(rows[:8])), ("bad.csv", b"no numbers\n"), ("Thumbs.db", b"")]
    )
    counts = take_in("i1")
    assert [counts[name] for name in ("received", "records", "duplicates", "quarantined")] == [17, 8, 8, 1]
    draw("r1")
    inbox.put_files([("b.csv", heartbeat_csv(rows[8:])), ("a.csv", heartbeat_csv(rows[:8])), ("worse.csv", b"words\n")])
    take_in("i2")
    first = night(store, "n1")
    assert first["account"]["pending"] == 4
    assert any("1 file beside the recordings" in note for note in told(store, first)["notes"])
    assert first["waits"] == {"inbox_files": 0, "records_without_pictures": 4, "inbox": []}
    draw("r2")
    second = night(store, "n2")
    covered = {name: second["account"][name] for name in ("received", "records", "duplicates", "quarantined", "pending")}
    assert covered == {"received": 4, "records": 4, "duplicates": 0, "quarantined": 0, "pending": 0}
    assert any("4 of these records were pending in the report before" in note for note in told(store, second)["notes"])
    third = night(store, "n3")
    assert third["account"]["received"] == third["account"]["records"] == 0


def test_a_shard_that_waits_does_not_bring_back_its_decided_neighbour(store, beat_rows, heartbeat_csv, monkeypatch):
    """One intake made two shards and one of them has pictures: the other alone is in the next report."""
    monkeypatch.setattr("ecg_tasks.archive.record_shards.MAX_SHARD_RECORDS", 5, raising=True)
    inbox.put_files([("a.csv", heartbeat_csv(beat_rows(10)))])
    take_in("i1")
    draw("r1")
    shards = sorted(keys.stem(key) for key in store.list_keys(keys.RECORDS))
    pictures = keys.spectrograms(get_recipe("heartbeat").key, shards[0])
    kept = store.get(pictures)
    store.delete_many([pictures])
    first = night(store, "n1")
    assert first["account"]["pending"] == 5
    store.put(pictures, kept)
    second = night(store, "n2")
    assert second["account"]["records"] == 5
    assert second["account"]["pending"] == 0


def test_an_account_of_an_older_version_is_carried_on(store, beat_rows, heartbeat_csv):
    """A manifest that names pending intake runs only: their undecided shards are covered, their account is not counted again."""
    inbox.put_files([("a.csv", heartbeat_csv(beat_rows(3))), ("bad.csv", b"no numbers\n")])
    take_in("i1")
    old = night(store, "n1")
    del old["pending"], old["waits"]
    old["pending_ingests"] = ["i1"]
    old["ingests"].pop("carried")
    store.replace(keys.manifest("classify_records", "n1"), json.dumps(old).encode())
    draw("r1")
    counts = night(store, "n2")["account"]
    assert (counts["received"], counts["records"], counts["quarantined"], counts["pending"]) == (3, 3, 0, 0)


def test_no_night_is_silent_over_unread_files(store, beat_rows, heartbeat_csv):
    """Files still in the inbox are told in the manifest, the report, its summary and the run's note."""
    inbox.put_files([(f"ward/{number}.csv", heartbeat_csv(beat_rows(1, seed=number))) for number in range(20)])
    manifest = night(store, "n1")
    assert manifest["waits"]["inbox_files"] == 20
    waits_for = [{"why": "the next run", "files": 20, "until": ""}]
    assert told(store, manifest)["waiting"] == {"inbox_files": 20, "records_without_pictures": 0, "inbox": waits_for}
    assert "20 files are still in the inbox and not in this report: 20 for the next run" in store.get(manifest["report"]).decode()
    assert "20 files still in the inbox: 20 for the next run" in runs.headline(manifest["report"])
    assert take_in("i1")["records"] == 20
    after = night(store, "n2")
    assert "20 records without pictures" in runs.headline(after["report"])


def test_what_became_known_of_patients_is_read_once(store, beat_rows, heartbeat_csv, monkeypatch):
    """However many models decide and pages are drawn, from however many shards: a report has one state of it."""
    monkeypatch.setattr("ecg_tasks.archive.record_shards.MAX_SHARD_RECORDS", 2, raising=True)
    inbox.put_files([("a.csv", heartbeat_csv(beat_rows(4)))])
    take_in("i1")
    draw("r1")
    pin = classify_records.pin_champion("n1", date="2026-01-02", details=4)
    for job in classify_records.plan(pin):
        classify_records.classify_shard(job)
    asked, whole = [], Descriptions.read
    monkeypatch.setattr(Descriptions, "read", lambda *given: asked.append(given) or whole(*given))
    report = report_builder.write_report(store, read(store, ReportPin, pin))
    assert len(store.list_keys(f"{report.index_key.rpartition('/')[0]}/records/")) == 4
    assert len(asked) == 1


def test_a_new_champion_tells_which_decisions_changed(store, beat_rows, heartbeat_csv):
    """The first report of another champion has every changed decision of the archive: counts, a list, a table; the next has none."""
    inbox.put_files([("a.csv", heartbeat_csv(beat_rows(30)))])
    take_in("i1")
    draw("r1")
    before = night(store, "n1")
    assert told(store, before)["changes"] is None
    serve(store, SECOND)
    after = night(store, "n2")
    (shard,) = (keys.stem(key) for key in store.list_keys(keys.RECORDS))
    said = [tables.load(store.get(keys.predictions("heartbeat", shard, version))) for version in (FIRST, SECOND)]
    expected = {
        one: (was, now_is)
        for one, was, now_is in zip(said[0]["record_id"], said[0]["decision"], said[1]["decision"], strict=True)
        if was != now_is
    }
    assert expected
    changes = told(store, after)["changes"]
    assert (changes["n_records"], changes["n_changed"]) == (30, len(expected))
    assert changes["before"] == {"heartbeat": FIRST}
    assert changes["after"] == {"heartbeat": SECOND}
    listed = list(csv.DictReader(io.StringIO(store.get(after["report"].replace("index.html", "changes.csv")).decode())))
    assert {row["record_id"]: (row["decision_before"], row["decision_after"]) for row in listed} == expected
    page = store.get(after["report"]).decode()
    assert f"{len(expected)} of 30 earlier decisions changed" in page
    assert after["account"]["records"] == 0
    assert f"{len(expected)} of 30 earlier decisions changed" in runs.headline(after["report"])
    assert told(store, night(store, "n3"))["changes"] is None


def test_a_run_that_pictures_started_has_work_once(store, beat_rows, heartbeat_csv):
    """New records, or an intake that no report has told of, are work; after the report of them there is none, and the pin is gone."""

    def has_work(run, run_type="asset_triggered"):
        return classify_records.has_work(classify_records.pin_champion(run, date="2026-01-02"), run_type=run_type)

    inbox.put_files([("a.csv", heartbeat_csv(beat_rows(3)))])
    take_in("i1")
    draw("r1")
    assert has_work("n0")
    night(store, "n1")
    assert not has_work("n2")
    assert not [key for key in store.list_keys(keys.STAGING) if "/n2/" in key]
    assert has_work("n3", "manual")
    inbox.put_files([("bad.csv", b"no numbers\n")])
    take_in("i2")
    assert has_work("n4")


def test_an_intake_is_over_when_all_is_taken_and_drawn(store, beat_rows, heartbeat_csv):
    """What waits for other files does not hold up a decision; a moment that is past ends any waiting."""
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert classify_records.is_intake_over(until=later, patience_s=0)
    inbox.put_files([("a.csv", heartbeat_csv(beat_rows(3))), ("late.edf.part", b"0")])
    assert not classify_records.is_intake_over(until=later, patience_s=0)
    assert classify_records.is_intake_over(until="2026-01-01T00:00:00+00:00", patience_s=0)
    take_in("i1")
    assert not classify_records.is_intake_over(until=later, patience_s=0)
    draw("r1")
    assert classify_records.is_intake_over(until=later, patience_s=0)


def test_a_backfill_over_dates_is_refused(store):
    """Airflow would run ten dates at once, and all but the first would have nothing: the first task says so, and what to use."""
    with pytest.raises(ConfigurationError, match="backfill_version"):
        classify_records.pin_champion("backfill__2026-01-01T00:00:00+00:00", date="2026-01-01", run_type="backfill")
    assert not store.list_keys(keys.STAGING)


def test_files_that_wait_are_counted_and_not_held(bucket, monkeypatch):
    """A hundred thousand of them take no more memory than a few; the overview names the five that came first."""
    listed = bucket.list_objects
    at = datetime(2026, 1, 1, tzinfo=UTC)

    def many(prefix, **options):
        if prefix != keys.INBOX:
            return listed(prefix, **options)
        return (ObjectInfo(key=f"inbox/{n:06d}.csv", size=1, etag="", modified=at + timedelta(seconds=-n)) for n in range(100_000))

    monkeypatch.setattr(bucket, "list_objects", many)
    for look in (lambda: waiting(bucket, recipes=["heartbeat"]).inbox_files, lambda: overview(bucket).n_waiting):
        look()
        tracemalloc.start()
        assert look() == 100_000
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1e6
    assert overview(bucket).waiting == tuple(f"{n:06d}.csv" for n in range(99_999, 99_994, -1))
