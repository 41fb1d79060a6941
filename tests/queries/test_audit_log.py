"""Whoever has been at the log is found out: each kind of change is made here by hand, to the objects themselves."""

import hashlib
import json
from dataclasses import replace

import pytest

from ecg_tasks.archive import audit, keys
from ecg_tasks.archive.documents import write_manifest
from ecg_tasks.queries import audit_log
from tests import whole_documents

HOURS = [f"2026-01-01T{hour:02d}:00:00+00:00" for hour in range(24)]


@pytest.fixture
def log(bucket, monkeypatch):
    """Names of twelve entries, an hour apart."""
    hours = iter(HOURS)
    monkeypatch.setattr(audit, "now", lambda: next(hours))
    for n in range(12):
        audit.append(bucket, who="alice", action="verdict", subject=f"r{n}")
    return [name for name, _ in audit.entries(bucket)]


def kinds(store, **known):
    """What was found, each kind once."""
    return {fault.kind for fault in audit_log.check(store, **known).faults}


def forge(store, entry, *, act="0" * 16):
    """Write an entry under the name that its content asks for, as somebody would who knows how."""
    data = entry.to_json()
    digest = hashlib.sha256(data).hexdigest()
    store.put(keys.audit_entry(entry.number, act=act, digest=digest), data)
    return digest


def test_a_log_that_nobody_touched_is_sound(bucket, log):
    """Nothing is found, and the one end is told, which is the last entry's digest."""
    found = audit_log.check(bucket, known=[log[3].digest, log[11].digest[:12]])
    assert (found.n_entries, found.n_anchors, found.faults) == (12, 2, ())
    assert found.ends == (log[-1].digest,)


def test_an_empty_log_is_sound(bucket):
    """Before anything was done there is nothing to find."""
    assert audit_log.check(bucket).faults == ()


@pytest.mark.parametrize("place", [0, 5, 11])
def test_a_changed_entry_is_found(bucket, log, place):
    """Another name in one entry, the first, one between or the last, no longer fits the name of the object."""
    data = bucket.get(log[place].key)
    bucket.replace(log[place].key, data.replace(b"alice", b"mallo"))
    assert kinds(bucket) == {"changed"}


def test_a_changed_entry_with_a_name_that_fits_is_found(bucket, log):
    """Renaming it to its new digest does not help: the next entry names the old one."""
    entry = audit.Entry.from_json(bucket.get(log[5].key))
    forge(bucket, replace(entry, who="mallory"))
    bucket.delete(log[5].key)
    assert kinds(bucket) == {"removed"}


@pytest.mark.parametrize("place", [0, 5, 10])
def test_a_removed_entry_is_found(bucket, log, place):
    """An entry that a later one names is missed."""
    bucket.delete(log[place].key)
    found = audit_log.check(bucket).faults
    assert [(fault.kind, fault.what) for fault in found] == [("removed", log[place].digest)]


def test_an_inserted_entry_is_found(bucket, log):
    """One that says it is old, and names rightly what was before it, is betrayed by the later ones, which did not know it."""
    entry = audit.Entry.from_json(bucket.get(log[5].key))
    forged = forge(bucket, replace(entry, who="mallory"))
    found = audit_log.check(bucket).faults
    assert [(fault.kind, fault.what) for fault in found] == [("inserted", forged)]


def test_an_inserted_entry_is_found_after_an_honest_writer_joined_it(bucket, log):
    """That the next writer takes it for one that came late does not make it genuine."""
    entry = audit.Entry.from_json(bucket.get(log[5].key))
    forged = forge(bucket, replace(entry, who="mallory"))
    audit.append(bucket, who="alice", action="verdict", subject="later")
    assert forged in audit.entries(bucket)[-1][1].before
    assert [(fault.kind, fault.what) for fault in audit_log.check(bucket).faults] == [("inserted", forged)]


def test_an_entry_that_an_inserted_one_names_is_not_thereby_genuine(bucket, log):
    """Two that were inserted, the second naming the first, are both found."""
    entry = audit.Entry.from_json(bucket.get(log[5].key))
    first = forge(bucket, replace(entry, who="mallory"))
    second = forge(bucket, replace(audit.Entry.from_json(bucket.get(log[6].key)), before=(log[5].digest, first), who="mallory"))
    assert {(fault.kind, fault.what) for fault in audit_log.check(bucket).faults} == {("inserted", first), ("inserted", second)}


def test_an_inserted_first_entry_is_found(bucket, log):
    """Nor can there be a second beginning."""
    entry = audit.Entry.from_json(bucket.get(log[0].key))
    forge(bucket, replace(entry, who="mallory"))
    assert kinds(bucket) == {"inserted"}


def test_reordered_entries_are_found(bucket, log):
    """Two entries that change places, in name or in content, are found."""
    third, fourth = bucket.get(log[3].key), bucket.get(log[4].key)
    bucket.replace(log[3].key, fourth)
    bucket.replace(log[4].key, third)
    assert kinds(bucket) == {"changed"}
    for name, data in ((log[3], third), (log[4], fourth)):
        bucket.delete(name.key)
        bucket.replace(name.key.replace(f"{name.number:09d}", f"{7 - name.number + 2:09d}"), data)
    assert kinds(bucket) == {"reordered"}


def test_something_else_in_the_log_is_found(bucket, log):
    """An object that is no entry is told."""
    bucket.put(f"{keys.AUDIT}000000/notes.txt", b"")
    forge_name = hashlib.sha256(b"[]").hexdigest()
    bucket.put(keys.audit_entry(4, act="0" * 16, digest=forge_name), b"[]")
    found = audit_log.check(bucket).faults
    assert [fault.kind for fault in found] == ["foreign", "foreign"]


def test_a_tail_cut_off_is_found_by_what_was_kept_elsewhere(bucket, log):
    """A manifest of a night that names a later entry, or a digest that a person kept, tells that the end is gone."""
    write_manifest(bucket, whole_documents.night("night", audit=log[9].digest))
    for name in log[8:]:
        bucket.delete(name.key)
    found = audit_log.check(bucket, known=[log[11].digest[:12]]).faults
    assert [(fault.kind, fault.what) for fault in found] == [("truncated", log[9].digest), ("truncated", log[11].digest[:12])]


def test_a_tail_cut_off_after_the_last_that_was_kept_cannot_be_found(bucket, log):
    """What nothing outside the log knows of can be cut off unseen: this is the limit of the log, and documented."""
    write_manifest(bucket, whole_documents.night("night", audit=log[9].digest))
    for name in log[10:]:
        bucket.delete(name.key)
    assert audit_log.check(bucket).faults == ()


def test_writers_at_once_look_like_nothing_else(bucket, log, monkeypatch):
    """A fork of the same minute, joined later, is no fault."""
    monkeypatch.setattr(audit, "now", lambda: HOURS[20])
    seen = audit.recent(bucket)
    with monkeypatch.context() as patch:
        patch.setattr(audit, "recent", lambda _store: seen)
        for who in ("alice", "bob", "carol"):
            audit.append(bucket, who=who, action="verdict", subject="one")
    assert len(audit_log.check(bucket).ends) == 3
    audit.append(bucket, who="dora", action="verdict", subject="r1")
    found = audit_log.check(bucket)
    assert (len(found.ends), found.faults) == (1, ())


def test_the_same_entry_under_two_names_is_found(bucket, log):
    """A copy of an entry at another place is found, though its digest is right."""
    bucket.put(log[5].key.replace(f"{log[5].number:09d}", "000000099"), bucket.get(log[5].key))
    assert kinds(bucket) == {"reordered"}


def test_faults_are_plain_for_programs(bucket, log):
    """What was found can be written as JSON."""
    from dataclasses import asdict

    bucket.delete(log[5].key)
    assert json.loads(json.dumps(asdict(audit_log.check(bucket))))["faults"][0]["kind"] == "removed"
