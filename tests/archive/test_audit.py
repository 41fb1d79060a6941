"""The log of who did what: appending, by many at once too, and finding whatever was done to it afterwards."""

import hashlib
import multiprocessing

import pytest

from ecg_tasks.archive import audit, keys
from ecg_tasks.archive.workspace import open_store
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.queries import audit_log


def append(store, n, **changes):
    """One entry that no other one is like; returns its digest."""
    return audit.append(store, **({"who": "alice", "action": "verdict", "subject": f"r{n}", "detail": {"n": n}} | changes))


def test_each_entry_names_the_one_before_by_its_sha256(bucket):
    """The first names none, every other one the digest of the bytes of the one before."""
    digests = [append(bucket, n) for n in range(4)]
    log = audit.entries(bucket)
    assert [name.digest for name, _ in log] == digests
    assert [hashlib.sha256(bucket.get(name.key)).hexdigest() for name, _ in log] == digests
    assert [entry.before for _, entry in log] == [(), *((digest,) for digest in digests[:-1])]
    assert [(entry.number, entry.who, entry.subject, entry.detail) for _, entry in log] == [
        (n + 1, "alice", f"r{n}", {"n": n}) for n in range(4)
    ]


def test_the_same_act_is_logged_once(bucket):
    """A task that runs twice leaves one entry; the same act by somebody else, or with another detail, is another."""
    first = append(bucket, 1)
    append(bucket, 2)
    assert append(bucket, 1) == first
    assert append(bucket, 1, who="bob") != first
    assert append(bucket, 1, detail={"n": 1, "again": True}) != first
    assert len(audit.entries(bucket)) == 4


@pytest.mark.parametrize("wrong", [{"who": " "}, {"subject": ""}, {"action": "sing"}])
def test_an_entry_needs_who_what_and_to_what(bucket, wrong):
    """Nothing is logged that names nobody, nothing, or an act that does not exist."""
    with pytest.raises(ConfigurationError, match="a log entry needs"):
        append(bucket, 1, **wrong)
    assert bucket.list_keys(keys.AUDIT) == []


def test_a_fork_is_joined_by_whoever_appends_next(bucket, monkeypatch):
    """Two writers that saw the same log both name its end; the next entry names both of theirs."""
    append(bucket, 0)
    seen = audit.recent(bucket)
    with monkeypatch.context() as patch:
        patch.setattr(audit, "recent", lambda _store: seen)
        both = {append(bucket, 1), append(bucket, 2)}
    append(bucket, 3)
    append(bucket, 4)
    log = [entry for _, entry in audit.entries(bucket)]
    assert [entry.number for entry in log] == [1, 2, 2, 3, 4]
    assert log[1].before == log[2].before
    assert set(log[3].before) == both
    assert len(log[4].before) == 1


def test_the_end_of_a_long_log_is_found_by_one_listing(bucket):
    """Who knows a number that it had finds the same names as who knows none, however old that number is."""
    for number in (*range(1, 4), *range(998, 1003), *range(1999, 2003)):
        bucket.put(keys.audit_entry(number, act="0" * 16, digest=f"{number:064d}"), b"")
    end = audit.recent(bucket)
    assert [name.number for name in end] == [*range(1000, 1003), *range(1999, 2003)]
    assert all(audit.recent(bucket, since=number) == end for number in (1, 999, 1000, 1002, 1999, 2002))
    assert audit.recent(bucket, since=9_999) == end  # a number that the log lost since, as after a restore


def test_one_that_comes_late_is_joined_too(bucket, monkeypatch):
    """An entry whose writer was slow is found by the next one, however many were written meanwhile."""
    append(bucket, 0)
    seen = audit.recent(bucket)
    for n in range(1, 20):
        append(bucket, n)
    with monkeypatch.context() as patch:
        patch.setattr(audit, "recent", lambda _store: seen)
        late = append(bucket, "late")
    last = append(bucket, 20)
    log = {name.digest: entry for name, entry in audit.entries(bucket)}
    assert late in log[last].before
    assert len(log[last].before) == 2
    append(bucket, 21)
    assert audit.entries(bucket)[-1][1].before == (last,)


def test_folders_of_a_thousand_are_crossed(bucket, monkeypatch):
    """The chain goes on from the last entry of one folder to the first of the next, and over a third."""
    monkeypatch.setattr(keys, "audit_entry", lambda number, act, digest: f"audit/{number // 5:06d}/{number:09d}-{act}-{digest}.json")
    for n in range(23):
        append(bucket, n)
    log = audit.entries(bucket)
    assert bucket.list_folders(keys.AUDIT) == [f"{n:06d}" for n in range(5)]
    assert [entry.before for _, entry in log[1:]] == [(name.digest,) for name, _ in log[:-1]]


@pytest.mark.parametrize(("forked", "n_read"), [(False, 0), (True, 1)])
def test_appending_to_a_long_log_reads_one_entry_at_most(bucket, monkeypatch, forked, n_read):
    """What an entry costs does not grow with the log; where the names alone tell that each names the one before, nothing is read."""
    append(bucket, 0)
    seen = audit.recent(bucket)
    for n in range(1, 30):
        append(bucket, n)
    if forked:
        with monkeypatch.context() as patch:
            patch.setattr(audit, "recent", lambda _store: seen)
            append(bucket, "late")
        append(bucket, 30)
    read = []
    get = bucket.get
    monkeypatch.setattr(bucket, "get", lambda key: read.append(key) or get(key))
    append(bucket, 31)
    assert len(read) == n_read
    monkeypatch.undo()
    assert len(audit.entries(bucket)[-1][1].before) == 1


def test_an_entry_that_was_taken_out_of_the_log_leaves_two_ends(bucket):
    """Names with a number missing do not tell that each names the one before: what is left is read, as the next entry says."""
    for n in range(4):
        append(bucket, n)
    names = audit.recent(bucket)
    bucket.delete(names[2].key)
    append(bucket, 4)
    assert set(audit.entries(bucket)[-1][1].before) == {names[1].digest, names[3].digest}


def _append_some(writer: int) -> list[str]:
    store = open_store()
    return [audit.append(store, who=f"writer {writer}", action="verdict", subject=f"{writer}-{n}") for n in range(10)]


def test_processes_that_append_at_once_lose_nothing(bucket):
    """Of 40 entries by four processes every one is there, the log is sound, and the next entry joins all ends."""
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        written = {digest for part in pool.map(_append_some, range(4)) for digest in part}
        pool.close()  # else they are killed in the middle of what they do at their end, and one may never end
        pool.join()
    assert {name.digest for name, _ in audit.entries(bucket)} == written
    assert len(written) == 40
    audit.append(bucket, who="last", action="verdict", subject="last")
    found = audit_log.check(bucket)
    assert (found.n_entries, len(found.ends), found.faults) == (41, 1, ())
