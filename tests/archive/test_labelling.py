"""Labels are only ever added to: which one counts follows from all of them, in whatever order they are read."""

from dataclasses import replace
from itertools import permutations

import pyarrow as pa

from ecg_tasks.archive import tables
from ecg_tasks.archive.labelling import (
    LabelEntry,
    append_labels,
    dump_labels,
    in_force,
    labels_in_force,
    latest_said,
    load_labels,
    write_labels,
)
from ecg_tasks.labels import WITHDRAWN

SOURCE = LabelEntry(record_id="a", label="normal", who="source:labels.csv", when="2026-01-01T00:00:00+00:00")
ANNA = LabelEntry(record_id="a", label="abnormal", who="review:anna", when="2026-01-02T00:00:00.000001+00:00", comment="ST")
SKIPPED = LabelEntry(record_id="a", label="skip", who="review:bert", when="2026-01-03T00:00:00.000001+00:00")
UNDONE = replace(ANNA, label=WITHDRAWN, when="2026-01-04T00:00:00.000001+00:00", comment="", withdraws=ANNA.when)


def test_the_latest_wins_a_skip_says_nothing_and_a_withdrawn_verdict_gives_way_to_the_one_before():
    """Whatever order the tables are read in."""
    for entries in permutations([SOURCE, ANNA, SKIPPED]):
        assert in_force(entries) == {"a": ANNA}
        assert in_force([UNDONE, *entries]) == {"a": SOURCE}


def test_a_withdrawal_touches_nothing_but_the_verdict_it_names():
    """Not a later one of the same person, and not another person's of the same moment."""
    again = replace(ANNA, label="uninterpretable", when="2026-01-05T00:00:00+00:00")
    assert in_force([SOURCE, ANNA, UNDONE, again]) == {"a": again}
    other = replace(ANNA, who="review:bert")
    assert in_force([SOURCE, ANNA, UNDONE, other]) == {"a": other}


def test_roundtrip_of_rows_with_comments():
    """What is written is read back, comments and withdrawals too."""
    assert sorted(load_labels(dump_labels([ANNA, UNDONE])), key=lambda entry: entry.when) == [ANNA, UNDONE]


def test_tables_from_before_there_were_comments_are_read():
    """A table of four columns gives entries without comment or withdrawal."""
    first = pa.schema([tables.LABELS.field(name) for name in ("record_id", "label", "who", "when")])
    data = tables.dump(first, {name: [getattr(SOURCE, name)] for name in first.names})
    assert list(load_labels(data)) == [SOURCE]


def test_dropping_a_corrected_file_again_does_not_undo_the_correction(bucket):
    """The source says what it said before, so nothing is appended, and the reviewer's verdict stays in force."""
    write_labels(bucket, [SOURCE])
    write_labels(bucket, [ANNA])
    again = replace(SOURCE, when="2026-02-01T00:00:00+00:00")
    earlier = pa.table({"record_id": ["a", "b"], "label": ["abnormal", "abnormal"]})
    said = latest_said([earlier, pa.table({"record_id": ["a"], "label": ["normal"]})])
    assert append_labels(bucket, rows_of(again), said=said).num_rows == 0
    assert labels_in_force(bucket) == {"a": ANNA}
    other = replace(again, label="abnormal", when="2026-02-01T00:00:00.5+00:00")
    new = append_labels(bucket, rows_of(replace(again, record_id="c"), other, again), said=said)
    assert (new["record_id"].to_pylist(), new["label"].to_pylist()) == (["a", "c"], ["abnormal", "normal"])
    assert labels_in_force(bucket)["a"] == other
    assert append_labels(bucket, rows_of(), said=said).num_rows == 0


def rows_of(*entries):
    """Rows of a label table as an Arrow table."""
    return tables.load_table(dump_labels(entries))
