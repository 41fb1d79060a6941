"""Predictions are joined with the index of their records in one way, and a run's table is sorted, filtered and paged as row by row."""

import io
import tracemalloc
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ecg_tasks import disk_rows, report_columns
from ecg_tasks.archive import grouped_table, keys, predictions, run_table_writer, tables
from ecg_tasks.archive.descriptions import Descriptions, Person
from ecg_tasks.archive.grouped_table import GroupedTable
from ecg_tasks.archive.predictions import RunTable, VersionPredictions, join, join_shard
from ecg_tasks.archive.run_table_writer import RunTableWriter
from ecg_tasks.archive.temporary_file import new_file
from ecg_tasks.errors import DamagedStoreError
from ecg_tasks.report_columns import Column, Query, sorts
from tests.run_tables import ROW, columns_of, run_table

FIRST = ("uncertain", "abnormal", "uninterpretable", "normal")
COLUMNS = ("record_id", "name", "probability", "recipe", "version", "split_bucket", "beat_s")


def said(archive, shard, recipe="heartbeat", version="v1"):
    """What a version said of a shard, as it is stored."""
    return VersionPredictions(recipe=recipe, version=version, data=archive.store.get(keys.predictions(recipe, shard, version)))


def test_the_first_recipe_that_took_a_record_decides_on_it(archive):
    """A row for each decided record in the index's order, and the ids of the others; numbers to the last bit."""
    ids = archive.ids(4)
    archive.put_shard("s", ids, [0.1, 0.2, 0.3, 0.4])
    archive.put_shard("s", [ids[3], ids[1]], [0.9, np.nan], recipe="twelve_lead", version="v2")
    columns, undecided = join_shard(archive.store, "s", {"twelve_lead": "v2", "heartbeat": "v1"}, COLUMNS)
    assert columns["record_id"] == ids
    assert columns["recipe"] == ["heartbeat", "twelve_lead", "heartbeat", "twelve_lead"]
    assert np.array_equal(columns["probability"], np.float32([0.1, np.nan, 0.3, 0.9]), equal_nan=True)
    assert columns["name"] == [f"name {one[:8]}" for one in ids]
    assert undecided == ()
    only = join_shard(archive.store, "s", {"twelve_lead": "v2"}, COLUMNS, only=ids[:2])
    assert (only.columns["record_id"], only.undecided) == ([ids[1]], (ids[0],))


def test_a_shard_waits_while_one_version_has_not_decided(archive):
    """The other's decisions do not count: it could be a record that the missing one takes."""
    archive.put_shard("s", archive.ids(2), [0.1, 0.2])
    columns, undecided = join_shard(archive.store, "s", {"twelve_lead": "v2", "heartbeat": "v1"}, COLUMNS)
    assert (tables.n_rows(columns), undecided) == (0, tuple(archive.ids(2)))
    assert join_shard(archive.store, "s", {}, COLUMNS).undecided == tuple(archive.ids(2))


def test_older_predictions_and_late_descriptions(archive):
    """What an older prediction lacks is none; what became known of a patient later stands in place of the index."""
    ids = archive.ids(2)
    archive.put_shard("s", ids, [0.1, 0.2])
    old = pq.read_table(io.BytesIO(said(archive, "s").data)).drop_columns(["beat_s", "seconds_read"])
    file = io.BytesIO()
    pq.write_table(old, file)
    late = Descriptions({ids[1]: Person(patient="p", bucket=7)})
    found = join(
        [VersionPredictions(recipe="heartbeat", version="v1", data=file.getvalue())],
        archive.store.get(keys.record_index("s")),
        (*COLUMNS, "seconds_read", "patient"),
        late=late,
    ).columns
    assert np.isnan(found["beat_s"]).all()
    assert found["seconds_read"] == ["", ""]
    assert (found["split_bucket"].tolist(), found["patient"]) == ([-1, 7], [None, "p"])


def test_damage_is_told_and_nothing_is_joined(archive):
    """A record twice, or a decision on a record that no index has, is no row more or less."""
    archive.put_shard("s", archive.ids(2), [0.1, 0.2])
    archive.put_shard("t", archive.ids(3), [0.1, 0.2, 0.3])
    index = archive.store.get(keys.record_index("s"))
    with pytest.raises(DamagedStoreError, match=f"decided on {archive.ids(3)[2]}, which no index has"):
        join([said(archive, "t")], index, COLUMNS)
    archive.put_shard("s", [archive.ids(1)[0]] * 2, [0.1, 0.2], version="v2")
    with pytest.raises(DamagedStoreError, match="heartbeat v2 has a record twice"):
        join([said(archive, "s", version="v2")], index, COLUMNS)


@pytest.fixture(scope="module")
def rows():
    """300 rows; names with commas, quotes, line breaks and NA among them; many equal qualities."""
    rng = np.random.default_rng(0)
    names = ("NA", 'a "quoted", one', "two\nlines", "=1+1", "Ünïcode", "plain")
    made = []
    for row in rng.permutation(300).tolist():
        decision = FIRST[rng.integers(4)]
        made.append(
            ROW
            | {
                "record_id": f"{row:032x}",
                "name": f"{names[row % 6]}#{row}",
                "decision": decision,
                "probability": None if decision == "uninterpretable" else float(np.float32(np.round(rng.random(), 2))),
                "quality": float(np.round(rng.random(), 1)),
                "flags": "noise,lead_off" if row % 5 == 0 else None,
                "label": (None, "normal", "abnormal")[rng.integers(3)],
                "synthetic": row % 2 == 0,
                "version": "v1" if row % 3 else "v2",
            }
        )
    return made


@pytest.fixture(scope="module", params=["whole", "in parts", "in parts by a sample"])
def table(request, rows):
    """The rows as a table, sorted at once or in parts, and read a few rows at a time; nothing changes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predictions, "ROWS_AT_ONCE", 16)
        patch.setattr(run_table_writer, "ROWS_AT_ONCE", 16)
        if request.param != "whole":
            patch.setattr(predictions, "ROWS_TAKEN", 50)
            patch.setattr(run_table_writer, "SORTED_AT_ONCE", 64)
        if request.param == "in parts by a sample":
            patch.setattr(run_table_writer, "_SAMPLED", 16)
            patch.setattr(run_table_writer, "_DEALT_AT_ONCE", 100)
        with RunTableWriter() as writer:
            for start in range(0, len(rows), 7):
                writer.append(columns_of(rows[start : start + 7]))
            yield writer.finish()


def in_order(rows):
    """The rows as a table has them."""
    return sorted(rows, key=lambda row: (FIRST.index(row["decision"]), -(row["probability"] or 0), row["record_id"]))


def test_what_needs_eyes_comes_first(table, rows):
    """Uncertain, abnormal, uninterpretable, normal, each by falling probability and then by id; every value as it was given."""
    assert list(table.all_rows()) == in_order(rows)
    assert table.rows(table.order(Query(descending=True))) == in_order(rows)[::-1]


def test_rows_that_are_alike_are_dealt_into_parts_of_one_size():
    """A night may have a hundred thousand records without a probability: their ids put them in order, and no part holds them all."""
    ids = [f"{number:032x}" for number in (*range(30), 2**64 + 3, 2**64 + 2, 2**127, 2**127 + 1, 2**64 + 1)]
    shuffled = np.random.default_rng(0).permutation(len(ids))
    keys = run_table_writer._keys_of(
        pa.table(
            {"record_id": [ids[at] for at in shuffled], "decision": ["uninterpretable"] * 35, "probability": pa.nulls(35, pa.float64())}
        )
    )
    parts = np.searchsorted(run_table_writer._begins(keys, 4), keys, side="right")
    assert np.bincount(parts).tolist() == [9, 9, 9, 8]
    in_order = sorted(range(35), key=lambda at: ids[shuffled[at]])
    assert parts[in_order].tolist() == sorted(parts.tolist())


def test_a_long_table_has_longer_groups(rows, monkeypatch):
    """Their description stays in memory, so there are not too many; what is read at a time is no longer, and says the same."""
    monkeypatch.setattr(run_table_writer, "ROWS_AT_ONCE", 16)
    monkeypatch.setattr(run_table_writer, "_MOST_GROUPS", 4)
    monkeypatch.setattr(grouped_table, "_ROWS_AT_ONCE", 16)
    with RunTableWriter() as writer:
        writer.append(columns_of(rows))
        table = writer.finish()
    groups = pq.ParquetFile(io.BytesIO(b"".join(table.pieces()))).metadata
    n_rows = [groups.row_group(number).num_rows for number in range(groups.num_row_groups)]
    assert len(n_rows) <= 4
    assert (min(n_rows[:-1]), sum(n_rows)) == (max(n_rows), len(rows))
    assert {len(part["record_id"]) for part in table.parts()} <= set(range(17))
    assert list(table.all_rows()) == in_order(rows)
    assert table.rows(table.order(Query(sort="quality"))) == sorted(in_order(rows), key=lambda row: row["quality"])
    gone = [row["record_id"] for row in rows[::3]]
    without = run_table_writer.table_without(table, gone)
    assert list(without.all_rows()) == [row for row in in_order(rows) if row["record_id"] not in gone]
    assert pq.ParquetFile(io.BytesIO(b"".join(without.pieces()))).num_row_groups == len(n_rows)


def test_a_table_takes_no_more_memory_for_more_rows(rows, monkeypatch):
    """Ids and rows wait on the disk, a sample of the keys tells where parts begin; the file is the same as of one that knows them all."""
    monkeypatch.setattr(run_table_writer, "SORTED_AT_ONCE", 64)
    written = []
    for n_sampled in (1000, 16):
        monkeypatch.setattr(run_table_writer, "_SAMPLED", n_sampled)
        with RunTableWriter() as writer:
            for start in range(0, len(rows), 7):
                writer.append(columns_of(rows[start : start + 7]))
            n_kept = sum(map(len, writer._sample))
            assert all(keys.base is None for keys in writer._sample)  # a view would keep the keys of every row
            written.append(b"".join(writer.finish().pieces()))
        assert n_kept <= 2 * n_sampled
    assert written[0] == written[1]


def test_more_rows_take_no_more_memory_to_be_sorted(monkeypatch):
    """They are dealt out more often, not into more files or longer parts: rows that come one at a time take several times as much."""
    values = {"ROWS_AT_ONCE": 64, "SORTED_AT_ONCE": 64, "_DEALT_AT_ONCE": 64, "_DEALT_INTO": 8, "_SAMPLED": 10_000}
    for name, value in values.items():
        monkeypatch.setattr(run_table_writer, name, value)
    rng, whole, peaks = np.random.default_rng(6), pa.default_memory_pool(), []
    for n_rows in (1024, 8192):
        with RunTableWriter() as writer:
            for start in range(0, n_rows, 64):
                rows = {name: [value] * 64 for name, value in ROW.items()} | {"probability": rng.random(64)}
                writer.append(rows | {"record_id": [f"{number:032x}" for number in range(start, start + 64)]})
            writer._flush()
            begins = run_table_writer._begins(np.concatenate(writer._sample), n_rows // 64)
            counted = pa.proxy_memory_pool(whole)
            pa.set_memory_pool(counted)
            try:
                parts = [
                    (part.num_rows, pc.min_max(part["probability"]).as_py())
                    for part in map(run_table_writer._sorted, run_table_writer._dealt(writer._file, begins, writer._schema))
                ]
            finally:
                pa.set_memory_pool(whole)
            peaks.append(counted.max_memory())
        assert {n for n, _ in parts} == {64}
        assert len(parts) == n_rows // 64
        assert all(one["min"] > other["max"] for (_, one), (_, other) in pairwise(parts))
    assert peaks[1] < 1.2 * peaks[0], peaks


def test_the_first_rows_of_a_long_table_take_no_memory_for_the_others():
    """Not even a number of each; forwards and backwards."""
    file, n_groups = new_file(), 64
    with pq.ParquetWriter(file, predictions.schema()) as writer:
        for number in range(n_groups):
            nulls = {field.name: pa.nulls(4096, field.type) for field in predictions.schema()}
            numbers = np.arange(4096, dtype=np.int32) + number * 4096
            writer.write_table(pa.table(nulls | {"n_windows": numbers}, schema=predictions.schema()))
    file.flush()
    table = RunTable(file)
    table.first(Query(), 3)  # imports what is needed
    for query, found in ((Query(), [0, 1, 2]), (Query(descending=True), [n_groups * 4096 - at for at in (1, 2, 3)])):
        tracemalloc.start()
        first = table.first(query, 3)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert [row["n_windows"] for row in first] == found
        assert peak < len(table), peak  # bytes; a number has eight


@pytest.mark.parametrize(
    ("query", "passes"),
    [
        (Query(text="LEAD off"), lambda row: "lead_off" in (row["flags"] or "")),
        (Query(text="#29 plain"), lambda row: "#29" in row["name"] and "plain" in row["name"]),
        (Query(text="ünï"), lambda row: row["name"].startswith("Ünï")),
        (Query(text="0" * 31), lambda row: int(row["record_id"], 16) < 16),
        (Query(decision="uncertain"), lambda row: row["decision"] == "uncertain"),
        (Query(label="none"), lambda row: row["label"] is None),
        (Query(label="normal", decision="abnormal"), lambda row: (row["label"], row["decision"]) == ("normal", "abnormal")),
        (Query(differs=True), lambda row: {row["label"], row["decision"]} == {"normal", "abnormal"}),
        (Query(recipe="twelve_lead"), lambda row: False),  # noqa: ARG005
    ],
)
def test_filters_keep_the_rows_that_pass(table, rows, query, passes):
    """The same rows as one by one, in the table's order."""
    assert table.rows(table.order(query)) == [row for row in in_order(rows) if passes(row)]


@pytest.mark.parametrize("sort", [sort for sort in sorts() if sort != "attention"])
@pytest.mark.parametrize("descending", [False, True])
def test_orders(table, rows, sort, descending):
    """Each column rises or falls; a value that is not known counts as the lowest, and equal ones stay in the table's order."""
    lowest = "" if isinstance(ROW[sort], str) or sort == "label" else -1
    expected = sorted(in_order(rows), key=lambda row: lowest if row[sort] is None else row[sort], reverse=descending)
    places = table.order(Query(sort=sort, descending=descending))
    assert table.rows(places) == expected
    assert [record_id for part in table.parts(places) for record_id in part["record_id"]] == [row["record_id"] for row in expected]


@pytest.mark.parametrize("query", [Query(sort="quality"), Query(sort="name", descending=True, decision="normal"), Query(label="none")])
def test_the_first_rows_are_those_of_the_order(table, query, monkeypatch):
    """Of rows in another order than the table's only the first ones are kept while it is gone through."""
    monkeypatch.setattr(predictions, "ROWS_TAKEN", 5)
    table._orders.clear()
    found = table.first(query, 20)
    assert not table._orders
    assert found == table.rows(table.order(query)[:20])


def test_a_place_is_looked_for_once(table, monkeypatch):
    """Of a record that was shown, or stood beside one, the table is not gone through again; what is remembered has a bound."""
    looked = []
    groups = table._stored.groups
    monkeypatch.setattr(table._stored, "groups", lambda columns: looked.append(columns.names) or groups(columns))
    monkeypatch.setattr(table, "_places", {})
    query = Query()
    ids = [row["record_id"] for row in table.first(query, 3)]
    assert [table.neighbours(query, one) for one in ids[:2]] == [(None, ids[1]), (ids[0], ids[2])]
    assert looked == []
    monkeypatch.setattr(table, "_places", {})
    assert table.neighbours(query, ids[1]) == table.neighbours(query, ids[1]) == (ids[0], ids[2])
    assert table.neighbours(query, ids[2])[0] == ids[1]
    assert table.neighbours(query, "f" * 32) == table.neighbours(query, "f" * 32) == (None, None)
    assert looked == [["record_id"]] * 2
    monkeypatch.setattr(predictions, "_PLACES_KEPT", 1)
    table.first(query, 3)
    table.first(query, 1)
    assert len(table._places) == 1


def test_neighbours_are_those_of_the_filter(table):
    """Before and after a record stand the rows beside it; at the ends, and for a row that does not pass, nobody."""
    query = Query(decision="normal", sort="quality")
    ids = [row["record_id"] for row in table.rows(table.order(query))]
    assert table.neighbours(query, ids[0]) == (None, ids[1])
    assert table.neighbours(query, ids[5]) == (ids[4], ids[6])
    assert table.neighbours(query, ids[-1]) == (ids[-2], None)
    assert table.neighbours(Query(recipe="none"), ids[0]) == (None, None)
    assert table.neighbours(query, "f" * 32) == (None, None)


def test_counts_and_scores_are_those_of_the_rows(table, rows):
    """All rows of a model and of no other, with NaN for a record without a probability."""
    for decision, count in table.decisions.items():
        assert count == sum(row["decision"] == decision for row in rows)
    assert table.n_synthetic == 150
    assert table.n_by_model == {("heartbeat", "v1"): 200, ("heartbeat", "v2"): 100}
    of_model = [(row["decision"], row["probability"]) for row in in_order(rows) if row["version"] == "v2"]
    found = [pair for kinds, values in table.scores("heartbeat", "v2") for pair in zip(kinds, values.tolist(), strict=True)]
    assert [(kind, None if np.isnan(value) else value) for kind, value in found] == of_model


def test_rows_of_records_come_in_the_order_asked_for(table, rows):
    """A record that is not there is named."""
    wanted = [rows[3], rows[200], rows[0]]
    assert table.find([row["record_id"] for row in wanted]) == wanted
    with pytest.raises(KeyError, match="f" * 32):
        table.find(["f" * 32])


def test_a_stored_table_is_read_by_anybody_and_read_again(table, rows):
    """The pieces are a Parquet file whose columns tell what they are; a copy of it says the same."""
    data = b"".join(table.pieces())
    read = pq.read_table(io.BytesIO(data))
    assert read.to_pylist() == in_order(rows)
    described = {field.name: field.metadata[b"description"].decode() for field in read.schema}
    assert described == {column.name: column.description for column in report_columns.COLUMNS}
    assert list(RunTable.copied(iter([data[:1000], data[1000:]]), new_file()).all_rows()) == in_order(rows)


def test_a_column_that_came_later_is_none_in_an_older_table(table, monkeypatch):
    """An older table is shown, sorted and searched as if it had the column."""
    made = Column(name="made", type=str, description="x.", head="Made", place=99, searched=True)
    monkeypatch.setattr(report_columns, "COLUMNS", (*report_columns.COLUMNS, made))
    places = table.order(Query(sort="made", text="plain"))
    assert len(places) == 50
    assert {row["made"] for row in table.rows(places)} == {None}


def test_what_is_no_row_is_refused(monkeypatch):
    """Nothing is filled in for a missing column, and no record has two rows."""
    whole = columns_of([{}])
    with RunTableWriter() as writer:
        with pytest.raises(ValueError, match="quality"):
            writer.append({name: values for name, values in whole.items() if name != "quality"})
        with pytest.raises(ValueError, match="not of one length"):
            writer.append(whole | {"quality": [0.5, 0.6]})
        assert len(writer.finish()) == 0
    with pytest.raises(ValueError, match="maybe"):
        run_table([{"decision": "maybe"}])
    with pytest.raises(ValueError, match="32 lower-case hex digits"):
        run_table([{"record_id": "../../etc/passwd"}])
    for at_once in (1_000_000, 2):
        monkeypatch.setattr(disk_rows, "SORTED_AT_ONCE", at_once)
        with pytest.raises(ValueError, match=f"repeat a record, '{'c' * 32}'"):
            run_table([{"record_id": one * 32, "probability": place / 10} for place, one in enumerate("cabc")])


def test_a_table_without_rows():
    """It answers every question."""
    empty = run_table()
    assert (len(empty), empty.first(Query(sort="name", text="x"), 5), list(empty.all_rows())) == (0, [], [])
    assert empty.neighbours(Query(), "0" * 32) == (None, None)
    assert set(empty.decisions.values()) == {0}


def test_a_first_view_reads_one_group_of_rows(table, monkeypatch):
    """The file's order is the page's own; another order reads one column of all rows, and then the rows that it shows."""
    read = []
    whole = GroupedTable._read
    monkeypatch.setattr(GroupedTable, "_read", lambda *args: read.append((args[2], len(args[3]))) or whole(*args))
    table.first(Query(), 10)
    assert read == [(0, len(report_columns.COLUMNS))]
    read.clear()
    table.first(Query(sort="quality"), 1)
    assert read[:-1] == [(number, 1) for number in range(len(read) - 1)]
    assert len(read) > 19


def test_versions_with_and_without_a_class_stand_in_one_table(archive):
    """A version that does not report a class, or is older, says nothing of it; what the other says comes with all its bits."""
    ids = archive.ids(4)
    archive.put_shard("s", ids, [0.1, 0.2, 0.3, 0.4])
    stored = tables.load(said(archive, "s").data)
    told = {name: values[2:] for name, values in stored.items()}
    told |= {"p_MI": np.float32([0.7, np.nan]), "class_MI": ["present", "uninterpretable"]}
    archive.store.put(keys.predictions("twelve_lead", "s", "v2"), tables.dump(tables.predictions_with(["MI"]), told))
    versions = {"twelve_lead": "v2", "heartbeat": "v1"}
    columns = join_shard(archive.store, "s", versions, COLUMNS, classes=["MI", "CD"]).columns
    assert columns["class_MI"] == ["", "", "present", "uninterpretable"]
    assert np.array_equal(columns["p_MI"], np.float32([np.nan, np.nan, 0.7, np.nan]), equal_nan=True)
    assert (columns["class_CD"], np.isnan(columns["p_CD"]).all()) == ([""] * 4, True)
    assert join_shard(archive.store, "s", versions, COLUMNS).columns.keys() == set(COLUMNS)


def test_a_table_knows_its_classes():
    """They stand in its columns with a description, come back from the file, and are counted by version; other tables have none."""
    of_class = {"p_MI": 0.7, "class_MI": "present", "threshold_MI": 0.5, "abstain_low_MI": 0.4, "abstain_high_MI": 0.45}
    unknown = {"recipe": "twelve_lead", "p_MI": None, "class_MI": "uninterpretable", "threshold_MI": 0.5}
    rows = [{"record_id": "a" * 32}, {"record_id": "b" * 32} | of_class, {"record_id": "c" * 32} | unknown]
    table = run_table(rows, classes=("MI", "CD"))
    again = RunTable.copied(table.pieces(), new_file())
    assert again.classes == ("MI", "CD")
    first, second, third = again.find([row["record_id"] for row in rows])
    assert {name: second[name] for name in of_class} == of_class
    assert (third["p_MI"], third["class_MI"], third["abstain_low_MI"], second["class_CD"]) == (None, "uninterpretable", None, None)
    assert {first[name] for name in of_class} == {None}
    assert again.n_by_class == {
        ("heartbeat", "v1", "MI"): {"present": 1, "absent": 0, "uncertain": 0, "uninterpretable": 0},
        ("twelve_lead", "v1", "MI"): {"present": 0, "absent": 0, "uncertain": 0, "uninterpretable": 1},
    }
    assert again.n_by_class is again.n_by_class  # a report asks for each class of each version, and the table may be long
    read = pq.read_table(io.BytesIO(b"".join(again.pieces())))
    assert read.schema.names == [column.name for column in report_columns.columns_with(("MI", "CD"))]
    assert all(field.metadata[b"description"] for field in read.schema)
    assert (run_table().classes, run_table().n_by_class) == ((), {})
