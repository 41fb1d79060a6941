"""Shards of records: what goes in comes out, and shards stay small."""

import io
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_tasks.archive import record_shards, tables
from ecg_tasks.archive.descriptions import Descriptions, Person, persons_in_order
from ecg_tasks.archive.record_shards import StoredRecord
from ecg_tasks.signals.record import STANDARD_LEADS, Record


def stored(seed: int, *, n_samples: int = 50, heartbeat: bool = False, **known) -> StoredRecord:
    """A record of noise."""
    leads = ("II",) if heartbeat else STANDARD_LEADS
    samples = np.random.default_rng(seed).standard_normal((len(leads), n_samples)).astype(np.float32)
    record = Record(samples=samples, fs=250.0, leads=leads, unit="relative" if heartbeat else "mV", name=f"r{seed}", **known)
    return StoredRecord(record=record, source="f" * 64, patient="ab" if seed % 2 else None, split_bucket=seed if seed % 2 else -1)


def test_roundtrip_keeps_samples_identity_and_origin():
    """A shard read back holds the same records, bit for bit."""
    shard = [stored(1, age=40.0, sex="female"), stored(2, synthetic=True)]
    again = record_shards.load_shard(record_shards.dump_shard(shard))
    for before, after in zip(shard, again, strict=True):
        assert np.array_equal(before.record.samples, after.record.samples)
        assert (before.record.record_id, before.record.age, before.record.sex, before.record.synthetic, before.record.leads) == (
            after.record.record_id,
            after.record.age,
            after.record.sex,
            after.record.synthetic,
            after.record.leads,
        )
        assert (before.patient, before.split_bucket, before.source) == (after.patient, after.split_bucket, after.source)


def test_how_a_recording_was_made_comes_back_and_is_not_known_in_older_shards():
    """In shard and index; a shard of before has none of these columns, and its ids are the same."""
    known = {"recorded": "2024-05", "device": "Mortara ELI 250", "filters": "0.05 to 150 Hz", "source_format": "HL7 aECG", "site": "north"}
    shard = [stored(1, **known), stored(2)]
    data, index = record_shards.dump_shard(shard), record_shards.dump_index(shard)
    for one, told in zip(record_shards.load_shard(data), (known, dict.fromkeys(known)), strict=True):
        assert {name: getattr(one.record, name) for name in tables.ACQUISITION} == told
    assert [tables.load(index)[name] for name in tables.ACQUISITION] == [[told, None] for told in known.values()]
    table = pq.read_table(io.BytesIO(data)).drop_columns(list(tables.ACQUISITION))
    old = io.BytesIO()
    pq.write_table(table, old)
    (first, _) = record_shards.load_shard(old.getvalue())
    assert (first.record.record_id, first.record.recorded, first.record.device) == (shard[0].record.record_id, None, None)


def test_fold_and_public_patient_come_back_and_are_not_known_in_older_shards():
    """In shard and index; one of before has neither column."""
    shard = [replace(stored(1), fold=9, public_patient="ab"), stored(2)]
    data = record_shards.dump_shard(shard)
    assert [(one.fold, one.public_patient) for one in record_shards.load_shard(data)] == [(9, "ab"), (None, None)]
    index = tables.load(record_shards.dump_index(shard))
    assert [(person.fold, person.public_patient) for person in persons_in_order(index)] == [(9, "ab"), (None, None)]
    old = io.BytesIO()
    pq.write_table(pq.read_table(io.BytesIO(data)).drop_columns(["fold", "public_patient"]), old)
    assert [(one.fold, one.public_patient) for one in record_shards.load_shard(old.getvalue())] == [(None, None)] * 2
    lacking = {name: values for name, values in index.items() if name not in {"fold", "public_patient"}}
    late = Descriptions({index["record_id"][1]: Person("p", 7, None, None, 3, "cd")})
    assert [tuple(person)[4:] for person in persons_in_order(late.index(lacking))] == [(None, None), (3, "cd")]
    assert (late.stored(shard[1]).fold, late.stored(shard[1]).public_patient) == (3, "cd")


def test_one_record_is_found_as_the_whole_shard_has_it():
    """Reading one row gives the record that reading all gives; an id that is not there gives None."""
    data = record_shards.dump_shard([stored(1), stored(2, age=61.0)])
    columns = tables.load(data)
    whole = record_shards.load_shard(data)[1]
    found = record_shards.find_record(columns, whole.record.record_id)
    assert np.array_equal(found.record.samples, whole.record.samples)
    assert (found.record.record_id, found.record.age, found.source) == (whole.record.record_id, 61.0, whole.source)
    assert record_shards.find_record(columns, "0" * 32) is None


def test_some_records_are_read_as_the_whole_shard_has_them():
    """Those that are wanted, in the shard's order, and no others."""
    data = record_shards.dump_shard([stored(seed) for seed in range(4)])
    whole = record_shards.load_shard(data)
    some = record_shards.load_shard(data, only={whole[3].record.record_id, whole[1].record.record_id, "0" * 32})
    assert [one.record.name for one in some] == ["r1", "r3"]
    assert [one.record.samples.tobytes() for one in some] == [whole[place].record.samples.tobytes() for place in (1, 3)]
    assert record_shards.load_shard(data, only=()) == []


def test_same_shard_gives_the_same_bytes():
    """Writing is a function of the content, so a repeated task overwrites with what was there."""
    assert record_shards.dump_shard([stored(1)]) == record_shards.dump_shard([stored(1)])


def test_patient_is_never_written():
    """A patient's id does not reach the shard even when it is left on the record."""
    shard = [stored(1, patient="Erika Mustermann")]
    assert b"Mustermann" not in record_shards.dump_shard(shard) + record_shards.dump_index(shard)
    assert record_shards.anonymous(shard[0].record).patient is None


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4000), st.booleans()), max_size=60))
def test_splitting_keeps_order_and_bounds(wanted):
    """Every record is in one shard, in order; no shard is mixed or above its bounds."""
    stream = [stored(seed, n_samples=n * 100, heartbeat=beat) for seed, (n, beat) in enumerate(wanted)]
    shards = list(record_shards.split_into_shards(stream))
    assert [one for shard in shards for one in shard] == stream
    for shard in shards:
        assert len({one.record.is_heartbeat for one in shard}) == 1
        assert len(shard) == 1 or sum(one.record.samples.nbytes for one in shard) <= record_shards.MAX_SHARD_BYTES


def test_a_shard_of_beats_is_cut_at_its_count():
    """Small records are cut by number."""
    beats = [stored(1, heartbeat=True)] * (record_shards.MAX_SHARD_RECORDS + 1)
    assert [len(shard) for shard in record_shards.split_into_shards(beats)] == [record_shards.MAX_SHARD_RECORDS, 1]


@pytest.mark.parametrize(
    "schema",
    [
        tables.RECORDS,
        tables.RECORD_INDEX,
        tables.ALIASES,
        tables.DESCRIPTIONS,
        tables.LABEL_ROWS,
        tables.LABELS,
        tables.SPECTROGRAMS,
        tables.SPLIT,
        tables.PREDICTIONS,
    ],
)
def test_every_table_can_be_empty(schema):
    """A table without rows is written and read back with its columns."""
    again = tables.load(tables.dump(schema, {name: [] for name in schema.names}))
    assert list(again) == schema.names
    assert tables.n_rows(again) == 0


def test_a_column_that_a_table_has_no_room_for_is_not_dropped_in_silence():
    """It is a mistake of ours, and told."""
    columns = {name: ["x"] for name in [*tables.LABELS.names, "mood"]}
    with pytest.raises(ValueError, match=r"no columns \['mood'\]"):
        tables.dump(tables.LABELS, columns)


def test_samples_are_stored_with_the_bytes_that_they_always_had():
    """Packed in one copy or one by one, leads that lie apart in memory too: the same Parquet."""
    rng = np.random.default_rng(4)
    arrays = [rng.normal(size=(n, 60)).astype(np.float32) for n in (2, 1, 3)]
    one_by_one = [array.tobytes() for array in arrays]
    columns = {"record_id": ["a", "b", "c"], "kind": ["wave"] * 3}
    packed = tables.dump(tables.SIGNATURES, columns | {"values": tables.packed(arrays)})
    assert packed == tables.dump(tables.SIGNATURES, columns | {"values": one_by_one})
    assert tables.load(packed)["values"] == one_by_one
    assert tables.packed([]).to_pylist() == []
