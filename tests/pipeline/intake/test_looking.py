"""Here: a look at the inbox, and what a person does there: it says what the intake does next. Not here: pages or commands."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from ecg_tasks.actions import waiting_files
from ecg_tasks.archive import audit, keys
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import headers, looking
from ecg_tasks.queries import inbox as query
from tests.fuzz.corpus import beat, recording
from tests.pipeline.intake.test_arrivals import Inbox
from tests.pipeline.intake.test_arrivals import inbox as inbox_of

__all__ = ["inbox_of"]
HALF = {"Erika/r.hea": recording()["r.hea"]}
TABLE = {"labels.csv": b"record,label\nnever,normal\n"}


def run(inbox) -> dict:
    """One run of the DAG's tasks; returns its manifest, empty where it had nothing to account for."""
    inbox.number = getattr(inbox, "number", 0) + 1
    name = f"r{inbox.number}"
    if jobs := ingest_records.plan(name):
        ingest_records.publish(name, [ingest_records.ingest_batch(job) for job in jobs])
    key = keys.manifest("ingest_records", name)
    return json.loads(inbox.store.get(key)) if inbox.store.exists(key) else {}


@pytest.fixture
def inbox(inbox_of) -> Inbox:
    """An inbox with whole beats, half a recording, an upload that goes on, and labels without a recording; names are not stored."""
    inbox_of.put({"beats.csv": beat(1) + b"\n", "late.edf.part": b"0"} | HALF | TABLE)
    return inbox_of


def told(inbox) -> dict[str, str]:
    """What each file waits for."""
    return {one.key.removeprefix(keys.INBOX): one.wait.why for one in looking.look(inbox.store).files}


def test_each_file_says_what_it_waits_for_and_until_when(inbox):
    """What is complete lacks its turn only; the rest says what is missing, and when it will be refused. Nothing is written."""
    before = set(inbox.client.objects)
    found = {one.key.removeprefix(keys.INBOX): one.wait for one in looking.look(inbox.store).files}
    assert found["beats.csv"].why == "the next run"
    assert found["beats.csv"].until is None
    assert found["Erika/r.hea"].why == "the other files that its header names"
    assert found["late.edf.part"].why == "the end of its upload"
    assert found["labels.csv"].why == "the next run, or recordings that its rows mean"
    assert {wait.until for name, wait in found.items() if name != "beats.csv"} == {inbox.client.modified + timedelta(hours=1)}
    assert set(inbox.client.objects) == before
    assert not looking.is_taken_over(inbox.store)
    run(inbox)
    assert looking.is_taken_over(inbox.store)
    assert set(told(inbox)) == {"Erika/r.hea", "late.edf.part", "labels.csv"}


def test_an_overdue_file_lacks_its_turn_only(inbox):
    """When its grace period is over the next run refuses it, so it waits for nothing else."""
    inbox.client.modified = datetime.now(UTC) - timedelta(hours=2)
    assert set(told(inbox).values()) == {"the next run"}


def test_sums_have_the_last_moment(inbox):
    """Of files that wait for the same the last one's moment is told; what lacks its turn has none."""
    until = (inbox.client.modified + timedelta(hours=1)).isoformat(timespec="seconds")
    found = {one.why: (one.files, one.until) for one in looking.waits_for(inbox.store, 4)}
    assert found["the next run"] == (1, "")
    assert found["the end of its upload"] == (1, until)


def test_a_long_inbox_is_told_by_the_last_intake(inbox, monkeypatch):
    """Of more files than a look holds the first ones are named, and what they wait for is what the last intake has counted."""
    run(inbox)
    monkeypatch.setattr(looking, "MOST", 2)
    monkeypatch.setattr(looking, "SHOWN", 1)
    found = looking.look(inbox.store)
    assert (found.n_files, len(found.files)) == (3, 1)
    assert {one.why for one in looking.waits_for(inbox.store, 3)} >= {"the end of its upload", "the other files that its header names"}
    assert not looking.is_taken_over(inbox.store)


def ids_of(inbox, *names) -> list[str]:
    """What forms call these files."""
    return [one.id for one in query.waiting(inbox.store).files if one.name in names]


@pytest.mark.parametrize("name", ["Erika/r.hea", "late.edf.part", "labels.csv"])
def test_a_released_file_waits_no_longer(inbox, name):
    """The next intake takes it as if its hour were over; the note is gone with it, and the log says who did it."""
    run(inbox)
    assert name in inbox.left()
    assert waiting_files.release(inbox.store, ids_of(inbox, name), who="ada") == (name,)
    assert told(inbox)[name] == "the next run"
    manifest = run(inbox)
    assert name not in inbox.left()
    assert [entry["reason"] for entry in manifest["quarantined"]] == ["bad_label" if name == "labels.csv" else "incomplete"]
    run(inbox)
    assert not looking.released_notes(inbox.store.list_keys(keys.INTAKES))
    entry = next(one for _, one in audit.entries(inbox.store) if one.action == audit.Action.RELEASE)
    assert (entry.who, entry.detail["inbox"]) == ("ada", [name])


def test_other_bytes_are_not_released(inbox):
    """A note is on the bytes that were there: what comes under the same name waits again."""
    run(inbox)
    waiting_files.release(inbox.store, ids_of(inbox, "late.edf.part"), who="ada")
    inbox.put({"late.edf.part": b"01"})
    assert told(inbox)["late.edf.part"] == "the end of its upload"
    run(inbox)
    assert "late.edf.part" in inbox.left()


def test_a_deleted_file_is_gone_and_logged_without_its_name(inbox, monkeypatch):
    """It leaves the inbox and nothing else does; the log has its digest only where names are not stored."""
    monkeypatch.delenv("ECG_KEEP_NAMES")
    (one,) = ids_of(inbox, "Erika/r.hea")
    assert waiting_files.delete(inbox.store, [one], who="ada") == ("Erika/r.hea",)
    assert sorted(inbox.left()) == ["beats.csv", "labels.csv", "late.edf.part"]
    ((_, entry),) = audit.entries(inbox.store)
    assert (entry.who, entry.action, entry.detail["files"]) == ("ada", audit.Action.DELETE, 1)
    assert "Erika" not in inbox.store.get(audit_keys(inbox)[0]).decode()
    with pytest.raises(ConfigurationError, match="not in the inbox any more"):
        waiting_files.delete(inbox.store, [one], who="ada")


def test_nothing_is_kept_of_what_left_the_inbox(inbox, monkeypatch):
    """What headers said is kept of what waits: not of what was taken while something waits, nor of what a person deleted."""
    monkeypatch.delenv("ECG_KEEP_NAMES")
    inbox.put({f"Anna/{name}": data for name, data in recording("s").items()})
    assert run(inbox)["account"]["records"]
    assert set(headers.remembered(inbox.store)) == {"inbox/Erika/r.hea"}
    waiting_files.delete(inbox.store, ids_of(inbox, "Erika/r.hea"), who="ada")
    assert headers.MEMO not in inbox.client.objects


def audit_keys(inbox) -> list[str]:
    """Keys of the log."""
    return inbox.store.list_keys(keys.AUDIT)


def test_names_are_for_those_who_may_see_them(inbox, monkeypatch):
    """Everybody else reads a digest, in the list as in the overview; and the same file has the same id for both."""
    monkeypatch.delenv("ECG_KEEP_NAMES")
    seen, all_of_it = query.waiting(inbox.store, told=False), query.waiting(inbox.store)
    assert not [one.name for one in seen.files if "Erika" in one.name or "." in one.name]
    assert [one.id for one in seen.files] == [one.id for one in all_of_it.files]
    assert seen.waits_for == all_of_it.waits_for
