"""Which list of classes counts follows from everything that was said of labels and classes, in whatever order it is read."""

from dataclasses import replace
from itertools import permutations

from ecg_tasks.archive import keys
from ecg_tasks.archive.class_lists import ClassEntry, KnownClasses, classes_in_force, stored_classes, write_classes
from ecg_tasks.archive.labelling import LabelEntry
from ecg_tasks.labels import WITHDRAWN

SOURCE = LabelEntry(record_id="a", label="normal", who="source:labels.csv", when="2026-01-01T00:00:00+00:00")
ANNA = LabelEntry(record_id="a", label="abnormal", who="review:anna", when="2026-01-02T00:00:00.000001+00:00")
UNDONE = replace(ANNA, label=WITHDRAWN, when="2026-01-04T00:00:00.000001+00:00", withdraws=ANNA.when)
SAID = ClassEntry(record_id="a", classes="NORM", who=SOURCE.who, when=SOURCE.when)
NAMED = ClassEntry(record_id="a", classes="MI STTC", who=ANNA.who, when=ANNA.when)


def known(lists, *labels):
    """What is known of the classes of record a, as words."""
    (one,) = {classes_in_force(order, labels=labels).get("a") for order in permutations(lists)}
    return (" ".join(sorted(one.has)), " ".join(sorted(one.lacks))) if one else None


def test_the_latest_list_counts_unless_it_contradicts_the_label_in_force():
    """A verdict without classes leaves those of the source, as long as they fit; one with classes stands in their place."""
    assert known([SAID], SOURCE) == ("NORM", "CD HYP MI STTC")
    assert known([SAID], SOURCE, replace(ANNA, label="normal")) == ("NORM", "CD HYP MI STTC")
    assert known([SAID], SOURCE, ANNA) is None
    assert known([SAID], SOURCE, replace(ANNA, label="uninterpretable")) is None
    assert known([SAID, NAMED], SOURCE, ANNA) == ("MI STTC", "CD HYP NORM")


def test_a_reviewers_list_counts_while_the_verdict_does():
    """It goes with the verdict when that is taken back, and is none where the verdict was never written."""
    assert known([SAID, NAMED], SOURCE, ANNA, UNDONE) == ("NORM", "CD HYP MI STTC")
    assert known([SAID, NAMED], SOURCE) == ("NORM", "CD HYP MI STTC")
    assert known([NAMED], replace(ANNA, record_id="b")) is None


def test_classes_are_known_without_a_label():
    """A record may have several classes, NORM among them, and no label: neither is made of the other."""
    assert known([replace(SAID, classes="NORM CD")]) == ("CD NORM", "HYP MI STTC")
    assert known([], SOURCE) is None


def test_what_a_source_never_names_is_not_known():
    """It looked for the names that it uses, and of the five superclasses for all; a list that is not whole says nothing of the others."""

    def of_source(who, **classes):
        entries = [replace(SAID, record_id=record_id, who=f"source:{who}", classes=text) for record_id, text in classes.items()]
        return classes_in_force(entries, labels=[])

    five, own = of_source("five", a="MI"), of_source("own", a="AF", b="-", c="paced AF", d="AF ?")
    assert five["a"] == KnownClasses(has=frozenset({"MI"}), lacks=frozenset({"NORM", "STTC", "CD", "HYP"}), who="source:five")
    assert (own["a"].lacks, own["b"].lacks, own["c"].lacks, own["d"].lacks) == ({"paced"}, {"AF", "paced"}, set(), set())


def test_whatever_a_source_ever_named_it_looked_for():
    """Also what it named as absent, and in a list that a later one of its own stands in place of."""
    absent = replace(SAID, record_id="b", classes="-paced ?")
    assert known([replace(SAID, classes="AF"), absent]) == ("AF", "paced")
    before = replace(SAID, classes="AF paced", when="2025-12-31T00:00:00+00:00")
    assert known([before, replace(SAID, classes="AF")]) == ("AF", "paced")


def test_of_an_uninterpretable_record_no_class_is_known():
    """Not even that there is none of them."""
    for said in ("-", "-MI ?"):
        assert known([replace(SAID, classes=said)], replace(SOURCE, label="uninterpretable")) is None


def test_what_is_said_to_be_absent_is_known():
    """Also in a list that is not whole, as a reviewer's, who was asked for some classes."""
    assert known([SAID, replace(NAMED, classes="MI -AF ?")], SOURCE, ANNA) == ("MI", "AF")


def test_a_normal_record_without_the_class_norm_is_not_said_to_lack_it():
    """A table with names of its own says normal by the label."""
    other = replace(SAID, record_id="b")
    assert known([replace(SAID, classes="early_beat"), other], SOURCE) == ("early_beat", "CD HYP MI STTC")


def test_lists_are_stored_apart_from_labels(bucket):
    """So label tables are what they were, and a program that knows no classes reads them on."""
    write_classes(bucket, [SAID, NAMED])
    assert sorted(stored_classes(bucket), key=lambda one: one.when) == [SAID, NAMED]
    assert bucket.list_keys(keys.LABELS) == []
