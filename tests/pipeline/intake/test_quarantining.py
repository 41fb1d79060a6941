"""A quarantine entry keeps its history, is closed when its files were read, and belongs to one name."""

import json

import pytest

from ecg_tasks import readers
from ecg_tasks.actions.quarantine import put_back
from ecg_tasks.archive import audit, keys
from ecg_tasks.errors import BadInputError, ConfigurationError, Reason
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.queries import overview, quarantine
from ecg_tasks.queries.lineage import tracing

BAD = b"these,are,words\n"


@pytest.fixture
def take_in():
    """Function that runs one intake; returns its manifest."""

    def run(name: str) -> dict:
        key = ingest_records.publish(name, [ingest_records.ingest_batch(job) for job in ingest_records.plan(name)])
        return json.loads(ingest_records.open_store().get(key))

    return run


def open_entries(store):
    """What is in quarantine and not closed."""
    return quarantine.entries(store).entries


def acts(store) -> list[str]:
    """Who put something back, as the log has it."""
    return [entry.who for _, entry in audit.entries(store) if entry.action == audit.Action.RETRY]


def test_every_time_an_entry_is_put_back_is_kept_and_logged(bucket, take_in):
    """Three persons put the same file back, and it is refused each time: three acts in the log, three lines in its history."""
    inbox.put_files([("ward/a.csv", BAD)])
    take_in("r0")
    (entry,) = open_entries(bucket)
    for number, who in enumerate(("ada", "bob", "ada"), start=1):
        put_back(bucket, entry.id, who=who)
        take_in(f"r{number}")
    (entry,) = open_entries(bucket)
    assert [one.who for one in entry.retried] == ["ada", "bob", "ada"]
    assert [one.outcome for one in entry.retried] == ["refused again"] * 3
    assert acts(bucket) == ["ada", "bob", "ada"]


@pytest.mark.usefixtures("read_in_this_process")
def test_a_file_that_is_read_after_all_closes_its_entry(bucket, take_in, beat_rows, heartbeat_csv, monkeypatch):
    """The program learns the format, the entry is put back and read: it is closed, no longer counted, and cannot be put back again."""
    inbox.put_files([("ward/a.csv", heartbeat_csv(beat_rows(3))), ("ward/b.csv", BAD)])
    with monkeypatch.context() as patch:
        patch.setattr(readers, "read", refuse_all)
        take_in("r0")
    assert overview.overview(bucket).n_quarantined == 2
    entry = next(one for one in open_entries(bucket) if one.name == "ward/a.csv")
    put_back(bucket, entry.id, who="ada")
    assert take_in("r1")["account"]["records"] == 3
    assert overview.overview(bucket).n_quarantined == 1
    assert [one.name for one in open_entries(bucket)] == ["ward/b.csv"]
    (closed,) = quarantine.entries(bucket, closed=True).entries
    assert (closed.id, closed.retried[0].outcome, closed.retried[0].run) == (entry.id, "read", "r1")
    assert closed.closed
    with pytest.raises(ConfigurationError, match="is closed since"):
        put_back(bucket, entry.id, who="ada")
    with monkeypatch.context() as patch:
        patch.setattr(readers, "read", refuse_all)
        inbox.put_files([("ward/a.csv", heartbeat_csv(beat_rows(3)))])
        take_in("r2")
    again = next(one for one in open_entries(bucket) if one.name == "ward/a.csv")
    assert (again.id, again.closed, len(again.retried)) == (entry.id, "", 1)


def refuse_all(name, contents):
    """A reader that knows no format."""
    raise BadInputError(Reason.UNKNOWN_FORMAT, f"{name} is not known yet")


def test_rows_that_stay_bad_go_to_an_entry_of_their_own(bucket, take_in, beat_rows, heartbeat_csv):
    """A file's bad rows are put back: what still cannot be read has its own entry, and the first one is closed and leads there."""
    lines = heartbeat_csv(beat_rows(4)).splitlines(keepends=True)
    inbox.put_files([("a.csv", b"".join([*lines[:3], lines[3].replace(b"0.", b"nan.", 1)]))])
    take_in("r0")
    (entry,) = open_entries(bucket)
    assert entry.n_rows == 1
    put_back(bucket, entry.id, who="ada")
    take_in("r1")
    (left,) = open_entries(bucket)
    (closed,) = quarantine.entries(bucket, closed=True).entries
    assert (closed.id, closed.went_to) == (entry.id, (left.id,))


def test_the_same_bytes_under_two_names_are_two_entries(bucket, take_in):
    """Two wards drop the same unreadable file: both are listed, and each is put back where it lay."""
    inbox.put_files([("ward1/a.csv", BAD), ("ward2/a.csv", BAD), ("ward2/b.csv", BAD)])
    take_in("r0")
    assert sorted(one.name for one in open_entries(bucket)) == ["ward1/a.csv", "ward2/a.csv", "ward2/b.csv"]
    second = next(one for one in open_entries(bucket) if one.name == "ward2/a.csv")
    assert put_back(bucket, second.id, who="ada") == ("ward2/a.csv",)
    traced = tracing.trace(bucket, second.source)
    assert {one.name for one in traced.beneath if one.what == "quarantine"} == {"ward1/a.csv", "ward2/a.csv", "ward2/b.csv"}


def test_an_entry_of_an_older_bucket_is_read_and_goes_on_under_its_name(bucket, take_in):
    """Until 2026-11-28 an entry's folder was the digest of its bytes: it is listed, put back, and its history grows in its place."""
    inbox.put_files([("ward/a.csv", BAD)])
    take_in("r0")
    (entry,) = open_entries(bucket)
    old = json.loads(bucket.get(keys.quarantine_reason(entry.id)))
    del old["entry"]
    for key in bucket.list_keys(f"{keys.QUARANTINE}{entry.id}/"):
        bucket.copy(key, key.replace(entry.id, entry.source))
        bucket.delete_many([key])
    bucket.put(keys.quarantine_reason(entry.source), json.dumps(old).encode())
    (listed,) = open_entries(bucket)
    assert listed.id == listed.source == entry.source
    assert put_back(bucket, entry.source, who="ada") == ("ward/a.csv",)
    take_in("r1")
    (after,) = open_entries(bucket)
    assert (after.id, [one.outcome for one in after.retried]) == (entry.source, ["refused again"])
    inbox.put_files([("other/a.csv", BAD)])
    take_in("r2")
    assert len(open_entries(bucket)) == 2


def test_a_recording_that_is_too_short_says_how_long_it_is(bucket, take_in, make_wfdb):
    """As WFDB and as a table of leads: a reason code, and a sentence with its seconds for whoever looks at the quarantine."""
    files = make_wfdb("r", seed=1, seconds=4.98)
    rows = [f"{row / 250:.3f},{row % 100 / 100},{row % 90 / 100}" for row in range(1245)]
    table = "\n".join(["time_s,I_mV,II_mV", *rows, ""]).encode()
    inbox.put_files([*((f"ward/{name}", data) for name, data in files.items()), ("ward/t.csv", table)])
    account = take_in("r0")["account"]
    assert (account["records"], account["quarantined"]) == (0, 2)
    assert sorted(entry.reason for entry in open_entries(bucket)) == [Reason.TOO_SHORT] * 2
    assert all("the recording lasts 4.980 s; it must last at least 5 s" in entry.message for entry in open_entries(bucket))
