"""The label in force of every record, known in few bytes, is what all entries together say."""

import numpy as np

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


def test_a_record_takes_few_bytes(bucket):
    """Sixteen bytes of an id and one of a label, and nothing else that grows, where sources alone have spoken."""
    ids = [f"{number:032x}" for number in range(1000)]
    write_labels(bucket, [LabelEntry(record_id=one, label="normal", who=f"source:{one}.hea", when="2026-01-01") for one in ids])
    known = KnownLabels.read(bucket)
    assert known.exact == {}
    assert known.ids.nbytes + known.labels.nbytes == 17 * len(ids)
    assert known.words == ("normal",)
