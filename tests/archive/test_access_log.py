"""The access log: written in batches by several at once, killed anywhere, packed by day, and reported with what is missing."""

import csv
import io
import multiprocessing
import os
import signal
import time

import pytest

from ecg_tasks.archive import access_log, keys
from ecg_tasks.archive.access_log import Access, AccessLog, AccessOutcome, Act
from ecg_tasks.archive.workspace import open_store
from ecg_tasks.errors import EcgError, StoreError
from ecg_tasks.queries import access_report

DAY = "2026-03-02"


def access(n=0, **changes):
    """One read that no other one is like."""
    given = {
        "when": f"{DAY}T12:00:{n:02d}+00:00",
        "who": "ada",
        "act": Act.READ,
        "page": "/p",
        "outcome": AccessOutcome.SHOWN,
        "record": f"{n:032x}",
    }
    return Access(**given | changes)


@pytest.fixture
def log(bucket, monkeypatch):
    """A writer whose thread does nothing: the test says when it writes."""
    monkeypatch.setattr(AccessLog, "_run", lambda _self: None)
    return AccessLog(bucket)


def write(log, *accesses):
    """One batch."""
    for one in accesses:
        log.note(one)
    log.flush()


def move(bucket, day):
    """Put all that was written today below another day."""
    for key in bucket.list_keys(keys.ACCESS):
        target = keys.access_day(day) + key.rpartition("/")[2]
        if target != key:
            bucket.copy(key, target)
            bucket.delete(key)


def records(found):
    """The records of a report, in its order."""
    return [int(one.record, 16) for one in found.accesses]


def test_a_batch_is_an_object_and_names_the_one_before(bucket, log):
    """Nothing is overwritten; the report has everything in order, and nothing is missing."""
    write(log, access(1), access(0))
    write(log, access(2))
    log.flush()
    assert len(bucket.list_keys(keys.ACCESS)) == 2
    assert sorted(line.batch.number for line in access_log.lines(bucket, access_log.days(bucket))) == [0, 1]
    found = access_report.report(bucket)
    assert (records(found), found.left_out, found.faults) == ([0, 1, 2], 0, ())


def test_accesses_of_a_batch_that_are_alike_are_counted(bucket, log):
    """The first moment stays, and how often it was."""
    write(log, access(1), access(1, when=f"{DAY}T12:00:02+00:00"), access(1, outcome=AccessOutcome.ABSENT))
    found = access_report.report(bucket).accesses
    assert [(one.outcome, one.times, one.when[-8:-6]) for one in found] == [("shown", 2, "01"), ("absent", 1, "01")]


def test_what_cannot_be_written_waits_and_is_bounded(bucket, log, monkeypatch):
    """It is written under the same name later; what is too much is counted, and the report says so."""
    monkeypatch.setattr(access_log, "MAX_WAITING", 2)

    def refuses(*_arguments, **_more):
        raise StoreError("no")

    with monkeypatch.context() as patch:
        patch.setattr(type(bucket), "put", refuses)
        for n in range(5):
            log.note(access(n))
            with pytest.raises(StoreError):
                log.flush()
    log.flush()
    found = access_report.report(bucket)
    assert (records(found), found.left_out, found.faults) == ([0, 1, 2], 2, ())


def _writes(n_accesses):
    log = AccessLog(open_store())
    for n in range(n_accesses):
        log.note(access(n, who=f"{os.getpid()}"))
        if n % 3 == 0:
            log.flush()
    log.flush()


def test_several_processes_write_at_once(bucket):
    """Each its own chain: all is there, and nothing is missing."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_writes, args=(10,)) for _ in range(3)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    found = access_report.report(bucket)
    assert (len(found.accesses), len({one.who for one in found.accesses}), found.faults) == (30, 3, ())


def _writes_for_ever():
    log, n = AccessLog(open_store()), 0
    while True:
        log.note(access(n % 60, who=f"{n}"))
        n += 1
        time.sleep(0.001)


def test_a_kill_loses_the_end_only(bucket, monkeypatch):
    """What is there is whole, and of the writer's own order nothing is missing before it."""
    killed = multiprocessing.get_context("spawn").Process(target=_writes_for_ever)
    killed.start()
    while len(bucket.list_keys(keys.ACCESS)) < 2:
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    found = access_report.report(bucket)
    assert found.faults == ()
    assert sorted(int(one.who) for one in found.accesses) == list(range(len(found.accesses)))


def test_a_batch_that_was_taken_away_or_changed_is_noticed(bucket, log):
    """Between two others of its writer; what replaces it does not fit."""
    for n in range(4):
        write(log, access(n))
    (_, second, third, _) = sorted(bucket.list_keys(keys.ACCESS), key=lambda key: key.split("-")[-2])
    stored = bucket.get(second)
    bucket.delete(second)
    (fault,) = access_report.report(bucket).faults
    assert fault.startswith("1 batches are missing between")
    bucket.put(second, stored.replace(b"ada", b"eve"))
    damaged, _gap = access_report.report(bucket).faults
    assert damaged == f"{second} is damaged: it is not what its name says"
    with pytest.raises(EcgError, match="is not packed"):
        access_log.pack(bucket, until="9999-01-01")
    other = AccessLog(bucket)
    other._writer, other._number = log._writer, 1
    bucket.delete(second)
    write(other, access(9))
    faults = access_report.report(bucket).faults
    assert [fault.endswith("came after") for fault in faults] == [True, True]
    assert third in faults[1]


def test_days_that_are_over_are_packed(bucket, log, monkeypatch):
    """All of a day in one object, what comes late too; broken off anywhere, nothing is lost or there twice."""
    for n in range(3):
        write(log, access(n))
    move(bucket, DAY)
    write(log, access(3))
    before = access_report.report(bucket)
    with monkeypatch.context() as patch:
        patch.setattr(type(bucket), "delete_many", lambda *_: (_ for _ in ()).throw(StoreError("killed")))
        with pytest.raises(StoreError):
            access_log.pack(bucket, until="2026-03-03")
    assert access_report.report(bucket) == before
    assert access_log.pack(bucket, until="2026-03-03") == 3
    assert len(bucket.list_keys(keys.access_day(DAY))) == 1
    assert access_report.report(bucket) == before
    assert access_log.pack(bucket, until="2026-03-03") == 0
    write(log, access(4))
    move(bucket, DAY)
    assert access_log.pack(bucket, until="2026-03-03") == 3
    assert records(access_report.report(bucket)) == [0, 1, 2, 3, 4]
    (packed,) = bucket.list_keys(keys.ACCESS)
    bucket.put(packed, bucket.get(packed)[:-1])
    assert access_report.report(bucket).faults == (f"{packed} is damaged: it is not what its name says",)


def test_a_report_by_days_user_and_record(bucket, log):
    """Days count both; what was written a day late is found by its own moment."""
    write(log, access(1), access(2, who="eve", when="2026-03-04T00:00:00+00:00"), access(3, when="2026-03-05T23:59:59+00:00"))
    assert records(access_report.report(bucket, first="2026-03-03", last="2026-03-04")) == [2]
    assert records(access_report.report(bucket, first="2026-03-04")) == [2, 3]
    assert records(access_report.report(bucket, last=DAY)) == [1]
    assert records(access_report.report(bucket, who="eve")) == [2]
    assert records(access_report.report(bucket, record=f"{3:032x}")) == [3]


def test_a_spreadsheet_runs_nothing_of_it(bucket, log):
    """A name that was entered at a login may be anything."""
    write(log, access(1, who="=cmd|'/c calc'!A1"))
    heads, row = csv.reader(io.StringIO(access_report.as_csv(access_report.report(bucket).accesses)))
    assert heads[:2] == ["when", "who"]
    assert row[1].startswith("'=cmd")
