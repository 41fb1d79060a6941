"""The catalogue says what the indexes say, whatever order it came in, and costs little however often it grows."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_tasks.archive import catalog, keys, record_shards, tables
from ecg_tasks.archive.catalog import ALIAS, DESCRIPTION, LABEL, RECORD, Catalog, rebuild
from ecg_tasks.archive.descriptions import Person, persons_in_order
from ecg_tasks.archive.descriptions import write as write_descriptions
from ecg_tasks.archive.labelling import LabelEntry, write_labels
from ecg_tasks.archive.record_shards import StoredRecord, shard_name
from ecg_tasks.pipeline.intake import names
from ecg_tasks.signals.record import Record
from tests.fuzz.memory_s3 import memory_store


def stored(number: int, *, synthetic: bool = False) -> StoredRecord:
    """One record that is unlike any other of another number."""
    samples = np.full((1, 187), number, dtype=np.float32)
    record = Record(samples=samples, fs=125.0, leads=("II",), unit="relative", name=f"w/{number}.csv#1", synthetic=synthetic)
    return StoredRecord(record=record, source=f"{number:064d}", patient=None, split_bucket=-1)


def put_shard(store, numbers, *, received: int) -> tuple[str, bytes]:
    """Write a shard with its index; returns its name and the index."""
    shard = [stored(number) for number in numbers]
    name = shard_name(one.record.record_id for one in shard)
    index = record_shards.dump_index(shard, received=received)
    store.put(keys.record_shard(name), record_shards.dump_shard(shard))
    store.put(keys.record_index(name), index)
    return name, index


def intake(store, numbers, *, run: str) -> Catalog:
    """Publish one shard."""
    found = Catalog.open(store).before(run)
    number = found.head.number + 1
    name, index = put_shard(store, numbers, received=number)
    with found.grow() as growing:
        growing.add(catalog.of_index(name, index))
        return growing.publish(run=run, number=number)


def everything(found: Catalog) -> list[tuple]:
    """Every row of a catalogue, in order."""
    rows = []
    for kind in (RECORD, ALIAS, DESCRIPTION, LABEL):
        for part in found.rows(tables.CATALOG.names, kind=kind):
            rows += [tuple(map(str, row)) for row in zip(*part.values(), strict=True)]
    return sorted(rows)


def ids(*numbers):
    """Ids of records, as an array."""
    return np.array([stored(number).record.record_id for number in numbers], dtype="S32")


@pytest.fixture
def store():
    """An empty bucket in memory."""
    return memory_store()[0]


@settings(max_examples=25)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.sampled_from([0, 10, 40, catalog.TAIL_ROWS]))
def test_a_rebuild_gives_the_same(sizes, tail_rows):
    """However many intakes of however many records: the catalogue that grew is the one that is made of the indexes."""
    (store, _), first = memory_store(), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "TAIL_ROWS", tail_rows)
        for run, size in enumerate(sizes):
            grown = intake(store, range(first, first + size), run=f"r{run}")
            first += size
        before = everything(grown)
        assert len(before) == first
        assert everything(rebuild(store)) == before
    assert Catalog.open(store).head.number == len(sizes)


def test_what_is_known_is_found_and_nothing_else(store):
    """Ids of records of any intake are known, others are not."""
    for run in range(6):
        intake(store, range(10 * run, 10 * run + 10), run=f"r{run}")
    found = Catalog.open(store)
    assert found.known(ids(0, 59, 60, 7)).tolist() == [True, True, False, True]
    assert found.known(ids()).tolist() == []


@pytest.fixture(params=["segments", "tail"])
def shape(request, monkeypatch):
    """The catalogue in segments alone, or in its head alone."""
    monkeypatch.setattr(catalog, "TAIL_ROWS", 0 if request.param == "segments" else catalog.TAIL_ROWS)


def test_few_records_are_one_object(store):
    """They stand in the head, so that an intake reads and writes one object; more become a segment, with those that came before."""
    found = intake(store, range(10), run="r0")
    assert store.list_keys(keys.CATALOG) == [keys.CATALOG_HEAD]
    with found.before("r1").grow() as growing:
        for number in range(10, 10 + catalog.TAIL_ROWS, 64):
            growing.add(catalog.of_index(*put_shard(store, range(number, number + 64), received=2)))
        found = growing.publish(run="r1", number=2)
    assert [segment.n_rows for segment in found.head.segments] == [10 + catalog.TAIL_ROWS]
    assert found.head.tail == b""
    assert len(intake(store, [9999], run="r2").head.segments) == 1


def test_many_intakes_leave_few_segments(store, monkeypatch):
    """Each segment has more than four times the rows of the next, so their number grows with the logarithm; nothing else is left behind."""
    monkeypatch.setattr(catalog, "TAIL_ROWS", 0)
    for run in range(300):
        found = intake(store, [run], run=f"r{run}")
        sizes = [segment.n_rows for segment in found.head.segments]
        assert sum(sizes) == run + 1
        assert all(one > catalog.GROWTH * other for one, other in pairwise(sizes))
    assert len(sizes) <= 4
    named = {segment.key for segment in found.head.segments} | set(found.head.retired)
    assert set(store.list_keys(keys.CATALOG)) - {keys.CATALOG_HEAD} <= named


@pytest.mark.usefixtures("shape")
def test_a_publication_that_is_tried_again_starts_from_where_it_began(store):
    """Its own records are no duplicates of themselves, and the catalogue is the same in the end."""
    intake(store, range(5), run="r0")
    first = intake(store, range(5, 8), run="r1")
    again = Catalog.open(store).before("r1")
    assert again.known(ids(4, 5)).tolist() == [True, False]
    assert everything(intake(store, range(5, 8), run="r1")) == everything(first)
    assert Catalog.open(store).before("r2").known(ids(4, 5)).tolist() == [True, True]


@pytest.mark.usefixtures("shape")
def test_a_reader_of_the_head_before_reads_on(store):
    """Segments that were merged stay until the next intake: who opened the catalogue before reads what it names."""
    intake(store, range(5), run="r0")
    reader = Catalog.open(store)
    intake(store, range(5, 10), run="r1")
    assert reader.known(ids(3, 7)).tolist() == [True, False]


def test_a_bucket_of_before_gets_its_catalogue(store):
    """Without a head, all is read once: records, other names, persons and labels of sources, less what reviewers said."""
    name, _ = put_shard(store, [1, 2], received=3)
    one, other = (stored(number).record.record_id for number in (1, 2))
    store.put(keys.aliases("a"), tables.dump(tables.ALIASES, {"record_id": [one], "name": ["w/again.csv#1"], "received": [4]}))
    write_descriptions(store, {other: Person("hash", 17, 61.0, "female")}, number=5)
    said = {"source:w/1.csv": "normal", "review:ada": "abnormal"}
    write_labels(store, [LabelEntry(record_id=one, label=label, who=who, when="2026-01-01") for who, label in said.items()])
    found = Catalog.open(store)
    assert found.head.number == 5
    assert [part["called"] for part in found.rows(["called"], kind=ALIAS)] == [["w/again.csv#1"]]
    (person,) = found.rows(["record_id", "patient", "split_bucket", "age"], kind=DESCRIPTION)
    assert (person["record_id"], person["patient"], person["age"].tolist()) == ([other], ["hash"], [61.0])
    (labels,) = found.rows(["label", "who"], kind=LABEL)
    assert labels == {"label": ["normal"], "who": ["source:w/1.csv"]}
    (record,) = found.rows(["shard"], kind=RECORD, where={"record_id": [one], "called": ["nothing"]})
    assert record["shard"] == [name]


def test_shards_that_another_version_wrote_are_caught_up_with(store):
    """An earlier version knows no catalogue; what it let in is found by one listing."""
    intake(store, [1], run="r0")
    assert catalog.catch_up(store).known(ids(1, 2)).tolist() == [True, False]
    put_shard(store, [2], received=0)
    assert catalog.catch_up(store).known(ids(1, 2)).tolist() == [True, True]


def test_segments_of_before_have_no_folds_and_go_on(store, monkeypatch):
    """Rows without the newest columns are read with nothing in these, and are merged with rows that have them."""
    monkeypatch.setattr(catalog, "TAIL_ROWS", 0)
    old = tables.CATALOG.remove(tables.CATALOG.get_field_index("fold"))
    old = old.remove(old.get_field_index("public_patient"))
    with monkeypatch.context() as before:
        before.setattr(tables, "CATALOG", old)
        intake(store, [1, 2], run="r0")
    write_descriptions(store, {"x": Person("hash", 17, None, None, 9, "public")}, number=2)
    found = Catalog.open(store)
    (part,) = found.rows(["record_id", *tables.PERSON], kind=RECORD, where={"record_id": [stored(1).record.record_id]})
    assert (part["public_patient"], [person.fold for person in persons_in_order(part)]) == ([None], [None])
    data = store.get(store.list_keys(keys.DESCRIPTIONS)[0])
    with found.grow() as growing:
        growing.add(catalog.of_descriptions(data, number=2))
        grown = growing.publish(run="r1", number=2)
    assert len(grown.head.segments) == 1
    assert grown.described(["x"]) == {"x": Person("hash", 17, None, None, 9, "public")}
    assert names.folds_of(grown, ["hash", "nobody"]) == {"hash": {9: "x"}}
