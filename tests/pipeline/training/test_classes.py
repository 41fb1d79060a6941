"""Classes in a dataset: which are taught, of which records they are known, and what the dataset is called then."""

import numpy as np
import pytest

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.class_lists import ClassEntry, write_classes
from ecg_tasks.evaluation.splits import Split
from ecg_tasks.labels import CLASS_ORDER, Label
from ecg_tasks.learning.dataset import NOT_KNOWN, TrainingSet
from ecg_tasks.pipeline import retrain_model
from ecg_tasks.pipeline.training import dataset
from ecg_tasks.pipeline.training.classes import MIN_TRAINING_RECORDS, class_matrix, class_names
from ecg_tasks.pipeline.training.dataset import DatasetRow
from ecg_tasks.signals.recipes import get_recipe
from tests.pipeline.training.test_leakage import N_PEOPLE, _archive, _everybody, _people, _stored

HEARTBEAT = get_recipe("heartbeat")
N_NAMED = {"MI": 2, "STTC": 3, "AF": 30}
"""Every so many abnormal people have the class; there are about 42 to train on."""
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")


def row(number, *, has="", lacks="", split=Split.TRAIN, label="abnormal"):
    """A row of a dataset."""
    return DatasetRow(
        record_id=f"{number:04d}",
        shard="s",
        group=f"g{number}",
        patient_bucket=1,
        split_bucket=1,
        split=split,
        label=label,
        synthetic=False,
        has=has,
        lacks=lacks,
    )


def test_a_class_of_too_few_records_to_train_on_is_not_taught():
    """Those that have it and those that have it not are counted, and only where something is learnt from them."""
    enough = [*(row(n, has="MI AF") for n in range(MIN_TRAINING_RECORDS)), *(row(n, lacks="MI AF") for n in range(MIN_TRAINING_RECORDS))]
    assert class_names(enough) == ("MI", "AF")
    assert class_names(enough[1:]) == class_names(enough[:-1]) == ()
    assert class_names([*enough[1:], row(0, has="MI", split=Split.VALIDATION)]) == ("MI",)
    assert class_names([*enough[1:], row(0, has="MI", split=Split.TEST)]) == ()


def test_the_matrix_tells_what_is_known():
    """In the order of the names: present, absent, or not known."""
    rows = [row(0, has="AF", lacks="MI"), row(1, has="MI"), row(2), row(3, lacks="AF other")]
    expected = [[0, 1], [1, NOT_KNOWN], [NOT_KNOWN, NOT_KNOWN], [NOT_KNOWN, 0]]
    assert class_matrix(rows, ("MI", "AF")).tolist() == expected
    assert class_matrix(rows, ()).shape == (4, 0)


@pytest.fixture
def people(bucket):
    """An archive of people with labels; the function puts lists of classes, by record."""
    shard, labels = _people()
    _archive(bucket, shard, labels)

    def put(lists, when="2026-01-02"):
        entries = [ClassEntry(record_id=one, classes=text, who="source:test", when=when) for one, text in lists.items()]
        write_classes(bucket, entries)

    return bucket, [one.record.record_id for one in shard], put


def lists_of(ids):
    """Every other person is normal, of the class NORM; of the abnormal the classes are spread."""
    found = dict.fromkeys(ids[::2], "NORM")
    for number, one in enumerate(ids[1::2]):
        found[one] = " ".join(name for name, every in N_NAMED.items() if number % every == 0) or "-"
    return found


def test_a_dataset_of_people_with_classes(people):
    """The classes of enough records are taught, those of too few are left out; what is read back is what was stored."""
    store, ids, put = people
    put(lists_of(ids))
    dataset_id, rows = dataset.assemble(store, HEARTBEAT)
    assert (names := class_names(rows)) == ("NORM", "MI")
    assert dataset.load_rows(store, dataset_id) == rows
    by_id = {one.record_id: one for one in rows}
    told = lists_of(ids)
    assert {one.record_id: one.has for one in rows} == {one: " ".join(name for name in told[one].split() if name in names) for one in by_id}
    assert all({*one.has.split(), *one.lacks.split()} == {*names} for one in rows)
    counts = dataset.load_manifest(store, dataset_id).counts["train"]
    assert counts.classes == {name: sum(name in one.has.split() and one.split == Split.TRAIN for one in rows) for name in names}
    assert counts.records == counts.normal + counts.abnormal


def test_without_classes_a_dataset_has_the_name_it_had(people):
    """No column, and so no other bytes and no other digest; nor where all classes are of too few records to be taught."""
    store, ids, put = people
    dataset_id, rows = dataset.assemble(store, HEARTBEAT)
    stored = store.get(keys.dataset(dataset_id, "split.parquet"))
    before = {"patient_bucket": "bucket", "split_bucket": "place", "split": "side"}
    fields = ("record_id", "shard", "group", "patient_bucket", "split_bucket", "split", "label", "labelled_by", "synthetic")
    assert stored == tables.dump(tables.SPLIT, {before.get(name, name): [getattr(one, name) for one in rows] for name in fields})
    assert b'"classes"' not in store.get(keys.dataset(dataset_id, "manifest.json"))
    put({ids[1]: "MI"})
    assert dataset.assemble(store, HEARTBEAT)[0] == dataset_id


def test_other_classes_make_another_dataset(people):
    """One list that changes is enough; the same lists again are the same dataset."""
    store, ids, put = people
    put(lists_of(ids))
    first, _ = dataset.assemble(store, HEARTBEAT)
    assert dataset.assemble(store, HEARTBEAT)[0] == first
    put({ids[1]: "STTC"}, when="2026-01-03")
    assert dataset.assemble(store, HEARTBEAT)[0] != first


def test_records_of_which_classes_alone_are_known_are_trained_on_and_nothing_else(people):
    """They are in no figure of the test, and those that teach no class are left out."""
    store, ids, put = people
    put(lists_of(ids))
    places = {"train": 100, "validation": 6500, "calibration": 8000, "test": 9500, "nothing": 200}
    extra = [_stored(_everybody()[N_PEOPLE + number][0], f"extra {name}", bucket) for number, (name, bucket) in enumerate(places.items())]
    _archive(store, extra, [None] * len(extra))
    extra_ids = {name: one.record.record_id for name, one in zip(places, extra, strict=True)}
    put({one: "AF ?" if name == "nothing" else "NORM MI" for name, one in extra_ids.items()})
    dataset_id, rows = dataset.assemble(store, HEARTBEAT)
    alone = {one.record_id: one for one in rows if not one.label}
    assert alone.keys() == {extra_ids["train"], extra_ids["validation"]}
    assert {(one.has, one.labelled_by) for one in alone.values()} == {("NORM MI", "source:test")}
    counts = dataset.load_manifest(store, dataset_id).counts["train"]
    assert counts.records == counts.normal + counts.abnormal + 1


def test_the_training_set_has_the_classes_of_each_window(people):
    """As they are trained on: a column a class for every window, and not known where only classes are known."""
    store, ids, put = people
    put(lists_of(ids))
    extra = _stored(_everybody()[N_PEOPLE][0], "extra", 100)
    _archive(store, [extra], [None])
    put({extra.record.record_id: "NORM MI"})
    _, rows = dataset.assemble(store, HEARTBEAT)
    pictures = dataset.load_pictures(store, HEARTBEAT, dataset.on_splits(rows, Split.TRAIN, Split.VALIDATION))
    windows = retrain_model._training_set(pictures, class_names(rows))
    assert isinstance(windows, TrainingSet)
    assert (windows.class_names, windows.n_outputs) == (("NORM", "MI"), 3)
    mine = [one.record_id for one in pictures.rows].index(extra.record.record_id)
    assert {tuple(one) for one in windows.truth[pictures.record == mine].tolist()} == {(NOT_KNOWN, 1, 1)}
    normal = windows.labels == CLASS_ORDER.index(Label.NORMAL)
    assert np.array_equal(windows.classes[:, 0] == 1, normal | (pictures.record == mine))
