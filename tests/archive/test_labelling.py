"""Labels are only ever added to: which one counts follows from all of them, in whatever order they are read."""

from dataclasses import replace
from itertools import permutations

import pyarrow as pa

from ecg_tasks.archive import tables
from ecg_tasks.archive.labelling import (
    KnownClasses,
    LabelEntry,
    append_labels,
    classes_in_force,
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


SAID = replace(SOURCE, label="", classes="NORM")
"""Of classes, by the same table: a row of its own."""


def known(*entries):
    """What is known of the classes of record a, as words."""
    found = classes_in_force(entries, in_force(entries)).get("a")
    return None if found is None else (" ".join(sorted(found.has)), " ".join(sorted(found.lacks)))


def test_the_latest_list_counts_unless_it_contradicts_the_label_in_force():
    """A verdict without classes leaves those of the source, as long as they fit; one with classes stands in their place."""
    agrees = replace(ANNA, label="normal")
    named = replace(ANNA, classes="MI STTC")
    for entries in permutations([SOURCE, SAID]):
        assert in_force(entries) == {"a": SOURCE}
        assert known(*entries) == ("NORM", "CD HYP MI STTC")
        assert known(*entries, agrees) == ("NORM", "CD HYP MI STTC")
        assert known(*entries, ANNA) is None
        assert known(*entries, replace(ANNA, label="uninterpretable")) is None
        assert known(*entries, named) == ("MI STTC", "CD HYP NORM")
        assert known(*entries, named, UNDONE) == ("NORM", "CD HYP MI STTC")


def test_classes_alone_are_no_label():
    """A record may have classes and no label: neither is made of the other."""
    both = replace(SAID, classes="NORM CD")
    assert in_force([both]) == {}
    assert known(both) == ("CD NORM", "HYP MI STTC")
    assert known(SOURCE) is None


def test_what_a_source_never_names_is_not_known():
    """It looked for the names that it uses, and of the five superclasses for all; a list that is not whole says nothing of the others."""

    def of_source(who, **classes):
        entries = [replace(SAID, record_id=record_id, who=f"source:{who}", classes=text) for record_id, text in classes.items()]
        return classes_in_force(entries, {})

    five, own = of_source("five", a="MI"), of_source("own", a="AF", b="-", c="paced AF", d="AF ?")
    assert five["a"] == KnownClasses(has=frozenset({"MI"}), lacks=frozenset({"NORM", "STTC", "CD", "HYP"}), who="source:five")
    assert (own["a"].lacks, own["b"].lacks, own["c"].lacks, own["d"].lacks) == ({"paced"}, {"AF", "paced"}, set(), set())


def test_what_is_said_to_be_absent_is_known():
    """Also in a list that is not whole, as a reviewer's, who was asked for some classes."""
    asked = replace(ANNA, classes="MI -AF ?")
    assert known(SOURCE, SAID, asked) == ("MI", "AF")


def test_a_normal_record_without_the_class_norm_is_not_said_to_lack_it():
    """A table with names of its own says normal by the label."""
    own = replace(SAID, classes="early_beat")
    assert known(own, SOURCE, replace(SAID, record_id="b")) == ("early_beat", "CD HYP MI STTC")


def test_tables_without_classes_are_the_bytes_they_were():
    """The column is there only where it says something, and is read back; without it classes are not known."""
    assert "classes" not in tables.load(dump_labels([SOURCE, ANNA]))
    columns = {name: [getattr(one, name) for one in (SOURCE, ANNA)] for name in tables.LABELS.names}
    assert dump_labels([SOURCE, ANNA]) == tables.dump(tables.LABELS, columns)
    assert set(load_labels(dump_labels([SOURCE, SAID]))) == {SOURCE, SAID}
