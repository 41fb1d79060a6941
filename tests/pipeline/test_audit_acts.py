"""Everything that is to be logged is: by whom, once, and again where a task was killed between the act and its entry."""

import json

import pytest

from ecg_tasks.actions.quarantine import put_back
from ecg_tasks.archive import audit, keys, registry, verdicts
from ecg_tasks.errors import ConfigurationError, StoreError
from ecg_tasks.pipeline import classify_records, decide_champion, ingest_records, render_spectrograms
from ecg_tasks.pipeline.champions import fresh_process, seed
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.queries import audit_log, quarantine


def told(store):
    """Who did what to what, in the log's order."""
    return [(entry.who, str(entry.action), entry.subject) for _, entry in audit.entries(store)]


@pytest.fixture
def versions(bucket, monkeypatch, todays_version):
    """Versions a and b of which both may serve; a does."""
    monkeypatch.setattr(fresh_process, "fault_of", lambda _files: "")
    for version in "ab":
        files = {"model.json": todays_version("heartbeat", version)["model.json"]}
        registry.write_version(bucket, "heartbeat", version, files | {registry.SUMS: b"x  model.json\n"})
        verdict = {"promote": True, "kind": "better", "reason": "because", "recipe": "heartbeat", "version": version}
        bucket.put(keys.model_file("heartbeat", version, registry.VERDICT), json.dumps(verdict).encode())
    registry.write_champion(bucket, recipe="heartbeat", version="a", since="t0", who="gate", why="first")
    return bucket


def decide(run, action, version="", *, why="a reason", who="alice"):
    """One run of the DAG ``decide_champion``."""
    decide_champion.decide(run, recipe="heartbeat", action=action, version=version, why=why, who=who)


def test_decisions_on_versions_are_logged(versions):
    """A promotion, a rollback and a rejection each have one entry with who, why and run; a refusal has none."""
    decide("one", "promote", "b", why="looks right")
    decide("one", "promote", "b", why="looks right")  # the task again
    decide("two", "promote", "b", who="bob")  # serves already: nothing is done
    decide("three", "rollback", why="too many alarms")
    with pytest.raises(ConfigurationError):
        decide("four", "reject", "nothing")
    decide("five", "reject", "b", who="bob")  # was rejected by the rollback
    assert told(versions) == [("alice", "promote", "heartbeat/b"), ("alice", "rollback", "heartbeat/a")]
    assert audit.entries(versions)[0][1].detail == {"run": "one", "why": "looks right", "override": ""}


def test_a_promotion_whose_entry_was_lost_is_logged_by_the_next_try(versions, monkeypatch):
    """A store that goes away between the act and the entry fails the task, and the next try logs it."""

    def gone(*_args, **_kwargs):
        raise StoreError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(audit, "append", gone)
        with pytest.raises(StoreError):
            decide("one", "promote", "b")
    assert registry.read_champion(versions, "heartbeat").version == "b"
    decide("one", "promote", "b")
    assert told(versions) == [("alice", "promote", "heartbeat/b")]


def test_verdicts_and_undos_are_logged_without_comments(archive):
    """Who judged what, and took it back, is in the log; the comment, which may name somebody, is not."""
    (record,) = archive.ids(1)
    saved = verdicts.save_verdict(archive.store, record, verdict="normal", user="alice", comment="Mr Smith")
    verdicts.save_verdict(archive.store, record, verdict="normal", user="alice", comment="Mr Smith")
    verdicts.withdraw(archive.store, record, user="alice", when=saved.when)
    verdicts.withdraw(archive.store, record, user="alice", when=saved.when)
    assert told(archive.store) == [("alice", "verdict", record), ("alice", "withdraw", record)]
    details = [entry.detail for _, entry in audit.entries(archive.store)]
    assert details == [{"verdict": "normal", "when": saved.when}, {"when": saved.when}]


def test_installed_champions_are_logged(bucket):
    """The versions that came with the installation are the first to be promoted; a second start promotes nothing."""
    installed = seed.install_champions()
    seed.install_champions()
    assert [(who, action) for who, action, _ in told(bucket)] == [("installation", "promote")] * len(installed)


def test_intake_retry_and_night_are_logged(bucket, monkeypatch, beat_rows, heartbeat_csv, todays_version):
    """What a run took over and what a run decided have an entry each, and so has putting a file back; runs with nothing have none."""
    monkeypatch.setenv("ECG_RECIPES", "heartbeat")
    registry.write_version(bucket, "heartbeat", "v1", todays_version("heartbeat", "v1"))
    registry.write_champion(bucket, recipe="heartbeat", version="v1", since="t0", who="test", why="test")
    inbox.put_files([("a/beats.csv", heartbeat_csv(beat_rows(3))), ("a/bad.csv", b"1,2,3\n")])
    taken_over = [ingest_records.ingest_batch(job) for job in ingest_records.plan("one")]
    ingest_records.publish("one", taken_over)
    ingest_records.publish("one", taken_over)
    assert ingest_records.plan("empty") == []
    (bad,) = [entry.source for entry in quarantine.entries(bucket).entries]
    put_back(bucket, bad, who="alice")
    render_spectrograms.publish("one", [render_spectrograms.render_shard(job) for job in render_spectrograms.plan("one")])
    pin = classify_records.pin_champion("night", date="2026-01-02", details=0)
    results = [classify_records.classify_shard(job) for job in classify_records.plan(pin)]
    classify_records.write_report(pin, results)
    classify_records.write_report(pin, results)
    assert told(bucket) == [
        ("ingest_records/one", "ingest", "one"),
        ("alice", "retry", bad),
        ("classify_records/night", "classify", "night"),
    ]
    (_, taken), _, (name, night) = audit.entries(bucket)
    assert taken.detail["manifest_sha256"] == bucket.sha256([keys.manifest("ingest_records", "one")])
    assert night.detail["account"]["records"] == 3
    assert json.loads(bucket.get(keys.manifest("classify_records", "night")))["audit"] == name.digest
    found = audit_log.check(bucket)
    assert (found.n_entries, found.n_anchors, found.faults) == (3, 1, ())
