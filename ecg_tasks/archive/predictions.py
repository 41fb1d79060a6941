"""Here: predictions joined with what the archive knows of their records, and a run's table of them: sorted, filtered, paged.

Not here: its columns (``report_columns``), making the table (``run_table_writer``), or how a page looks.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, reduce
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ecg_tasks import report_columns
from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.descriptions import Descriptions
from ecg_tasks.archive.grouped_table import GroupedTable, numbers
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import DamagedStoreError, MissingObjectError
from ecg_tasks.labels import ClassDecision, Decision
from ecg_tasks.report_columns import Query, Row
from ecg_tasks.signals.measurements import METHOD

ROWS_AT_ONCE = 4096
"""Rows that are in memory together where a table is gone through from its start to its end."""
ROWS_TAKEN = 65_536
"""Rows that are in memory together where they come in another order: 0.4 kB each."""
_MEASURED = frozenset(tables.MEASUREMENTS.names) - {"record_id"}
_ORDERS_KEPT = 4
"""Answers that a table keeps: a page's next page, and a record's neighbours, are in the same order. One of a million rows takes 8 MB."""

_PLACES_KEPT = 20_000
"""Records whose place in it a table remembers, in 2 MB; then it begins anew."""


@dataclass(frozen=True, kw_only=True)
class VersionPredictions:
    """What one version said of one shard, as it is stored."""

    recipe: str
    version: str
    data: bytes


class JoinedShard(NamedTuple):
    """A row for each record of a shard on which a version decided, in the index's order; and the ids of those on which none did."""

    columns: tables.Columns
    undecided: tuple[str, ...]


def join(
    said: Sequence[VersionPredictions],
    index: bytes,
    columns: Collection[str],
    *,
    late: Descriptions | None = None,
    only: Collection[str] | None = None,
    measured: bytes | None = None,
    classes: Sequence[str] = (),
) -> JoinedShard:
    """Join what versions said of one shard with the shard's index: the first that took a record decides on it.

    Parameters
    ----------
    columns : of ``tables.PREDICTIONS``, ``tables.RECORD_INDEX`` or ``tables.MEASUREMENTS``, ``recipe`` or ``version``; what an older object
        lacks is none
    late : what became known of the patients since
    only : ids; other records of the shard are left out
    measured : what was measured of the shard's records; without it, nothing was
    classes : whose columns are joined too; a version that does not report one says nothing of it

    Raises
    ------
    DamagedStoreError
        If a version or the index has a record twice, or a version one that the index has not.
    """
    known = tables.load(index, [name for name in tables.RECORD_INDEX.names if name in columns or name == "record_id"])
    ids = _unrepeated(known["record_id"], "the index of a shard")
    known = (late or Descriptions({})).index(known)
    known |= {name: [None] * len(ids) for name in tables.ACQUISITION if name in columns and name not in known}
    place: dict[str, tuple[int, int]] = {}
    parts = [_decisions(one, columns, classes) for one in said]
    for number, part in enumerate(parts):
        decided = _unrepeated(part["record_id"], f"{said[number].recipe} {said[number].version}")
        if unknown := decided.keys() - ids.keys():
            raise DamagedStoreError(f"{said[number].recipe} {said[number].version} decided on {min(unknown)}, which no index has")
        place |= {record_id: (number, row) for record_id, row in decided.items() if record_id not in place}
    chosen = None if only is None else frozenset(only)
    wanted = [record_id for record_id in ids if chosen is None or record_id in chosen]
    rows = [record_id for record_id in wanted if record_id in place]
    starts = np.cumsum([0, *(tables.n_rows(part) for part in parts)])
    of_part = np.array([starts[place[record_id][0]] + place[record_id][1] for record_id in rows], dtype=np.int64)
    of_index = np.array([ids[record_id] for record_id in rows], dtype=np.int64)
    found = {name: _taken(values, of_index) for name, values in known.items()} | _measured(measured, columns, rows)
    if parts:
        found |= {name: _taken(values, of_part) for name, values in tables.concatenate(parts).items() if name != "record_id"}
    given = [*columns, *tables.predictions_with(classes).names[len(tables.PREDICTIONS.names) :]]
    return JoinedShard({name: found[name] for name in given if name in found}, tuple(one for one in wanted if one not in place))


def join_shard(
    store: ObjectStore,
    shard: str,
    versions: Mapping[str, str],
    columns: Collection[str],
    *,
    late: Descriptions | None = None,
    only: Collection[str] | None = None,
    classes: Sequence[str] = (),
) -> JoinedShard:
    """Read a shard's index and what versions said of it, and `join` them.

    ``versions`` is recipe to version, in the order in which they take a record. While one of them has not decided on the shard, no record
    of it counts as decided: it could be one that the version takes.
    """
    said: list[VersionPredictions] = []
    for recipe, version in versions.items():
        try:
            said.append(VersionPredictions(recipe=recipe, version=version, data=store.get(keys.predictions(recipe, shard, version))))
        except MissingObjectError:
            said = []
            break
    measured = None
    if not _MEASURED.isdisjoint(columns):
        try:
            measured = store.get(keys.measurements(METHOD, shard))
        except MissingObjectError:
            measured = None  # by an earlier version of this program, or a run of render_spectrograms has not come to it
    return join(said, store.get(keys.record_index(shard)), columns, late=late, only=only, measured=measured, classes=classes)


def _measured(data: bytes | None, columns: Collection[str], record_ids: Sequence[str]) -> tables.Columns:
    """Return what was measured of records; NaN or an empty text where nothing was."""
    wanted = [name for name in tables.MEASUREMENTS.names if name in columns and name in _MEASURED]
    if not wanted:
        return {}
    stored = {} if data is None else tables.load(data, ["record_id", *wanted])
    place = {record_id: row for row, record_id in enumerate(stored.get("record_id", ()))}
    at = [place.get(record_id, -1) for record_id in record_ids]
    return {
        name: [stored[name][row] if row >= 0 else "" for row in at]
        if tables.MEASUREMENTS.field(name).type == pa.string()
        else np.array([stored[name][row] if row >= 0 else np.nan for row in at], dtype=np.float32)
        for name in wanted
    }


def _unrepeated(ids: Sequence[str], where: str) -> dict[str, int]:
    place = {record_id: row for row, record_id in enumerate(ids)}
    if len(place) < len(ids):
        raise DamagedStoreError(f"{where} has a record twice")
    return place


def _decisions(said: VersionPredictions, columns: Collection[str], classes: Sequence[str]) -> tables.Columns:
    """Return what a version said; nothing stands in a column that an older prediction, or a version without the class, lacks."""
    of_classes = tables.predictions_with(classes)
    wanted = [field for field in of_classes if field.name in {*columns, "record_id"} or field.name not in tables.PREDICTIONS.names]
    stored = tables.load(said.data, [field.name for field in wanted])
    n = tables.n_rows(stored)
    found = {
        field.name: stored.get(field.name, [""] * n if field.type == pa.string() else np.full(n, np.nan, np.float32)) for field in wanted
    }
    return found | {name: [value] * n for name, value in (("recipe", said.recipe), ("version", said.version)) if name in columns}


def _taken(values: Any, rows: NDArray[np.int64]) -> Any:
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows.tolist()]


class RunTable:
    """What a run says of each record: the rows of a Parquet file on the disk, in the order of `report_columns.ATTENTION`.

    Memory holds a few thousand rows at a time, and for each row that a sorted answer has a number and what it is sorted by. Several
    threads may ask at once.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self._stored = GroupedTable(file)
        self.classes = report_columns.classes_in(self._stored.names)
        self._orders: dict[Query, NDArray[np.int64]] = {}
        self._places: dict[str, int] = {}

    @classmethod
    def copied(cls, pieces: Iterable[bytes], file: BinaryIO) -> "RunTable":
        """Copy a stored table to the disk, where it can be read again and again."""
        file.writelines(pieces)
        file.flush()
        return cls(file)

    def __len__(self) -> int:
        return len(self._stored)

    @property
    def _schema(self) -> pa.Schema:
        return schema(classes=self.classes)

    def pieces(self) -> Iterator[bytes]:
        """Return the Parquet file, piece by piece."""
        return self._stored.pieces()

    @cached_property
    def _counts(self) -> Counter[tuple[str, str, str, bool]]:
        names = ["decision", "recipe", "version", "synthetic"]
        counts: Counter[tuple[str, str, str, bool]] = Counter()
        for _, group in self._stored.groups(schema(names)):
            for row in group.group_by(names, use_threads=False).aggregate([([], "count_all")]).to_pylist():
                counts[row["decision"], row["recipe"], row["version"], row["synthetic"]] += row["count_all"]
        return counts

    @property
    def decisions(self) -> dict[Decision, int]:
        """How many records got each decision; every decision is there, with 0 where it did not occur."""
        return {kind: sum(n for (decision, *_), n in self._counts.items() if decision == kind) for kind in Decision}

    @property
    def n_synthetic(self) -> int:
        """How many of the records were made by a program."""
        return sum(n for (*_, synthetic), n in self._counts.items() if synthetic)

    @property
    def n_by_model(self) -> dict[tuple[str, str], int]:
        """How many records each (recipe, version) decided on."""
        found: Counter[tuple[str, str]] = Counter()
        for (_, recipe, version, _), n in self._counts.items():
            found[recipe, version] += n
        return dict(found)

    @cached_property
    def n_by_class(self) -> dict[tuple[str, str, str], dict[ClassDecision, int]]:
        """How many records got each decision on a class, by (recipe, version, class); every decision is there, if only with 0."""
        found: dict[tuple[str, str, str], dict[ClassDecision, int]] = {}
        for name in self.classes:
            names = ["recipe", "version", f"class_{name}"]
            for _, group in self._stored.groups(pa.schema([self._schema.field(column) for column in names])):
                for row in group.group_by(names, use_threads=False).aggregate([([], "count_all")]).to_pylist():
                    recipe, version, decision = (row[column] for column in names)
                    if decision is not None:
                        counts = found.setdefault((recipe, version, name), dict.fromkeys(ClassDecision, 0))
                        counts[ClassDecision(decision)] += row["count_all"]
        return found

    def scores(self, recipe: str, version: str) -> Iterator[tuple[NDArray[np.object_], NDArray[np.float64]]]:
        """Yield decisions and probabilities (NaN for none) of the records that a model decided on, some thousand at a time."""
        for _, group in self._stored.groups(schema(["decision", "probability", "recipe", "version"])):
            mine = group.filter(pc.and_(pc.equal(group["recipe"], recipe), pc.equal(group["version"], version)))
            yield mine["decision"].to_numpy(), mine["probability"].to_numpy()

    def order(self, query: Query) -> NDArray[np.int64]:
        """Return the places, from 0, of the rows that pass, in the order asked for, shape (n_found,); equals are in the table's order."""
        found = self._orders.get(query)
        if found is None:
            found = self._ordered(query)
            for old in list(self._orders)[: 1 - _ORDERS_KEPT]:
                self._orders.pop(old, None)
            self._orders[query] = found
        return found

    def rows(self, places: NDArray[np.int64]) -> list[dict[str, Any]]:
        """Return the rows at these places; a value that is not known is None."""
        found: list[dict[str, Any]] = self._stored.take(places, self._schema).to_pylist()
        self._remember([row["record_id"] for row in found], places)
        return found

    def first(self, query: Query, limit: int) -> list[dict[str, Any]]:
        """Return the first rows that pass, in the order asked for; memory holds little more than these."""
        found = self._orders.get(query)
        return self.rows((self._ordered(query, limit) if found is None else found)[:limit])

    def parts(self, places: NDArray[np.int64] | None = None) -> Iterator[dict[str, list[Any]]]:
        """Yield the columns of all rows, or of those at these places, some thousand rows at a time.

        Rows in another order than the table's are taken out of all of it, `ROWS_TAKEN` at a time.
        """
        if places is None:
            for _, group in self._stored.groups(self._schema):
                yield group.to_pydict()
            return
        at_once = ROWS_AT_ONCE if bool((np.diff(places) > 0).all()) else ROWS_TAKEN
        for start in range(0, len(places), at_once):
            taken = self._stored.take(places[start : start + at_once], self._schema)
            for first in range(0, taken.num_rows, ROWS_AT_ONCE):
                yield taken.slice(first, ROWS_AT_ONCE).to_pydict()

    def all_rows(self) -> Iterator[Row]:
        """Yield rows from the first to the last, one at a time."""
        for part in self.parts():
            for values in zip(*part.values(), strict=True):
                yield dict(zip(part, values, strict=True))

    def find(self, record_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the rows of these records, in the order asked for; a ``KeyError`` names one that is not there."""
        wanted = pa.array(list(record_ids), type=pa.string())
        at = [
            start + np.flatnonzero(pc.is_in(group["record_id"], value_set=wanted))
            for start, group in self._stored.groups(schema(["record_id"]))
        ]
        found = {row["record_id"]: row for row in self.rows(np.concatenate([np.empty(0, dtype=np.int64), *at]))}
        return [found[record_id] for record_id in record_ids]

    def neighbours(self, query: Query, record_id: str) -> tuple[str | None, str | None]:
        """Return the records before and after this one among the rows that pass."""
        places, at = self.order(query), self._place(record_id)
        if not len(rank := np.flatnonzero(places == at)):
            return None, None
        first, last = max(int(rank[0]) - 1, 0), int(rank[0]) + 1
        ids = self._stored.take(places[first : last + 1], schema(["record_id"]))["record_id"].to_pylist()
        self._remember(ids, places[first : last + 1])
        return (ids[0] if rank[0] else None), (ids[-1] if last < len(places) else None)

    def _place(self, record_id: str) -> int:
        """Return where a record stands, -1 if nowhere; of one that was shown, or stood beside one, without going through the table."""
        at = self._places.get(record_id)
        if at is None:
            groups = self._stored.groups(schema(["record_id"]))
            at = next((start + row for start, group in groups if (row := _index(group, record_id)) >= 0), -1)
            self._remember([record_id], [at])
        return at

    def _remember(self, record_ids: Iterable[str], places: Iterable[int]) -> None:
        if len(self._places) > _PLACES_KEPT:
            self._places = {}
        self._places |= {record_id: int(place) for record_id, place in zip(record_ids, places, strict=True)}

    def _ordered(self, query: Query, limit: int | None = None) -> NDArray[np.int64]:
        """Return the order of all rows that pass, or of so many first ones at least."""
        names = [] if query.sort == "attention" else [query.sort]
        columns = schema(list(dict.fromkeys([*names, *_filtered(query)])))
        if not columns.names:
            n = len(self) if limit is None else min(limit, len(self))
            return np.arange(len(self) - 1, len(self) - 1 - n, -1) if query.descending else np.arange(n)
        enough = None if limit is None else max(limit, ROWS_TAKEN)
        places, sorted_by = [np.empty(0, dtype=np.int64)], [columns.empty_table().select(names)]
        for start, group in self._stored.groups(columns):
            passes = _passing(group, query)
            places.append(start + (np.arange(group.num_rows) if passes is None else np.flatnonzero(passes)))
            sorted_by.append((group if passes is None else group.filter(passes)).select(names))
            if names and enough is not None and sum(map(len, places)) > 2 * enough:
                found, key = _in_order(places, sorted_by, query)
                places, sorted_by = [found[:enough]], [key.slice(0, enough)]
        if names:
            return _in_order(places, sorted_by, query)[0]
        found = np.concatenate(places)
        return found[::-1] if query.descending else found


def _in_order(places: Sequence[NDArray[np.int64]], sorted_by: Sequence[pa.Table], query: Query) -> tuple[NDArray[np.int64], pa.Table]:
    """Return the places of rows in the order of what they are sorted by, and that."""
    found, table = np.concatenate(places), pa.concat_tables(sorted_by)
    key = table[query.sort].combine_chunks()
    key = pc.fill_null(key, "" if pa.types.is_string(key.type) else -1)
    falls = "descending" if query.descending else "ascending"
    sort_keys = [("key", falls), ("place", "ascending")]
    order = pc.sort_indices(pa.Table.from_arrays([key, numbers(found)], names=["key", "place"]), sort_keys=sort_keys)
    return found[order.to_numpy()], table.take(order)


def schema(names: Sequence[str] | None = None, *, classes: Iterable[str] = ()) -> pa.Schema:
    """Return the Parquet schema of a run's table, or of these columns of it; the description of each stands beside it."""
    types = {str: pa.string(), float: pa.float64(), int: pa.int32(), bool: pa.bool_(), date: pa.date32()}
    columns = {column.name: column for column in report_columns.columns_with(classes)}
    chosen = [columns[name] for name in (columns if names is None else names)]
    return pa.schema([pa.field(one.name, types[one.type], metadata={"description": one.description}) for one in chosen])


def _index(group: pa.Table, record_id: str) -> int:
    return int(pc.index(group["record_id"], record_id).as_py())


def _searched() -> list[str]:
    return [column.name for column in report_columns.COLUMNS if column.searched]


def _filtered(query: Query) -> Iterator[str]:
    """Yield the columns that a filter looks into."""
    if query.text.strip():
        yield from _searched()
    for name in ("decision", "recipe", "label"):
        if getattr(query, name) or (query.differs and name != "recipe"):
            yield name


def _passing(group: pa.Table, query: Query) -> pa.ChunkedArray | None:
    """Return which rows pass; None where all do."""
    masks = [pc.equal(group[name], wanted) for name in ("decision", "recipe") if (wanted := getattr(query, name))]
    if query.label:
        masks.append(pc.is_null(group["label"]) if query.label == "none" else pc.equal(group["label"], query.label))
    if query.differs:
        masks += [pc.not_equal(group["decision"], group["label"])]
        masks += [pc.is_in(group[name], value_set=pa.array([Decision.NORMAL, Decision.ABNORMAL])) for name in ("decision", "label")]
    if words := query.text.lower().split():
        texts = [pc.utf8_lower(pc.fill_null(group[name], "")) for name in _searched()]
        masks += [reduce(pc.or_, [pc.match_substring(text, word) for text in texts]) for word in words]
    return pc.fill_null(reduce(pc.and_, masks), fill_value=False) if masks else None
