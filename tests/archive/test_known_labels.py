"""The label in force of every record, known in few bytes, is what all entries together say."""

import tracemalloc

import numpy as np

from ecg_tasks import disk_rows
from ecg_tasks.archive.known_labels import KnownLabels
from ecg_tasks.archive.labelling import LabelEntry, labels_in_force, write_labels
from ecg_tasks.labels import WITHDRAWN

NAMES = ("0a" * 16, "0b" * 16, "00" * 16, "dd" * 15 + "00", "ff" * 16)


def entry(rng):
    """One thing said of one of four records, at one of three moments, by a source or a reviewer, perhaps taking back a verdict."""
    record_id, when = NAMES[rng.integers(4)], f"2026-01-0{rng.integers(1, 4)}T00:00:00+00:00"
    if rng.random() < 0.7:
        return LabelEntry(
            record_id=record_id, label=("normal", "abnormal")[rng.integers(2)], who=f"source:{rng.integers(3)}.csv", when=when
        )
    label = ("normal", "abnormal", "skip", WITHDRAWN)[rng.integers(4)]
    withdraws = f"2026-01-0{rng.integers(1, 4)}T00:00:00+00:00" if label == WITHDRAWN else ""
    return LabelEntry(record_id=record_id, label=label, who=f"review:{rng.integers(2)}", when=when, withdraws=withdraws)


def test_it_knows_what_all_entries_together_say(bucket):
    """However they lie in tables: of sources, of reviewers, of several at one moment, withdrawn or skipped."""
    rng = np.random.default_rng(1)
    assert KnownLabels.read(bucket).of(NAMES) == [None] * len(NAMES)
    for _ in range(40):
        bucket.delete_many(bucket.list_keys("labels/"))
        for _ in range(rng.integers(1, 5)):
            write_labels(bucket, [entry(rng) for _ in range(rng.integers(1, 5))])
        found = labels_in_force(bucket)
        assert KnownLabels.read(bucket).of(NAMES) == [found[name].label if name in found else None for name in NAMES]


def test_labels_lie_on_the_disk_however_many_moments_there_are(bucket, monkeypatch):
    """Memory has an eighth of a byte for each label; those of all parts are found, and those of records that have none are not."""
    monkeypatch.setattr(disk_rows, "SORTED_AT_ONCE", 300)
    rng = np.random.default_rng(2)
    ids = [rng.bytes(16).hex() for _ in range(1000)]
    said = {one: ("normal", "abnormal")[rng.integers(2)] for one in ids}
    moments = [f"2026-01-01T00:00:00.{number:06d}+00:00" for number in range(2000)]
    write_labels(bucket, [LabelEntry(record_id=one, label="other", who="source:a", when=moments[at]) for at, one in enumerate(ids)])
    write_labels(bucket, [LabelEntry(record_id=one, label=said[one], who="source:b", when=moments[-1 - at]) for at, one in enumerate(ids)])
    known = KnownLabels.read(bucket)
    assert known.exact == {}
    assert (len(known.rows), known.heads.nbytes) == (1000, 16 * 8)
    others = [rng.bytes(16).hex() for _ in range(100)]
    asked = [*ids[::-1], *others]
    assert known.of(asked) == [said[one] for one in ids[::-1]] + [None] * 100
    assert [known.of([one]) for one in ids[:50]] == [[said[one]] for one in ids[:50]]


def test_a_moment_that_is_written_otherwise_counts_as_its_text(bucket):
    """One that is too long for its place on the disk is compared as a whole."""
    moments = ("2026-01-01T00:00:00.000000+00:00:00.000001", "2026-01-01T00:00:00.000000+00:00:00.000002")
    entries = [
        LabelEntry(record_id=NAMES[0], label=label, who="source:a", when=when)
        for label, when in zip(("normal", "abnormal"), moments, strict=True)
    ]
    write_labels(bucket, entries)
    assert KnownLabels.read(bucket).of(NAMES[:1]) == ["abnormal"]


def test_more_labels_take_no_more_memory(bucket, monkeypatch):
    """They are read, put in order and asked for some at a time."""
    for name, value in (("ROWS_AT_ONCE", 500), ("SORTED_AT_ONCE", 1000)):
        monkeypatch.setattr(disk_rows, name, value)
    rng, held = np.random.default_rng(4), []
    for n_more in (500, 4500, 15_000):  # the first imports what is needed
        for _ in range(n_more // 500):
            ids = [rng.bytes(16).hex() for _ in range(500)]
            write_labels(bucket, [LabelEntry(record_id=one, label="normal", who="source:a", when="2026-01-01") for one in ids])
        data = [bucket.get(key) for key in bucket.list_keys("labels/")]
        monkeypatch.setattr(type(bucket), "get_many", lambda _, listed, data=data: iter(data) if listed else iter(()))
        tracemalloc.start()
        known = KnownLabels.read(bucket)
        assert known.of(ids[:2]) == ["normal"] * 2
        held.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (held[2] - held[1]) / 15_000 < 6, held  # bytes; an id has 16, and a part, which is small here, some kilobytes
