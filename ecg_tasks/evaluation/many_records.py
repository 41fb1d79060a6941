"""Here: all figures of very many records, for one drawing of their patients after another. Not here: those of few (``summary``).

The records lie on the disk in the order of their probabilities, the highest first. A drawing goes through them once, some ten thousand at
a time, with running sums: nothing is sorted again, and nothing is made that is as long as all records. Memory holds of each patient how
often it is drawn, a byte, of this drawing and of the next.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ecg_tasks.disk_rows import ROWS_AT_ONCE, Rows, dealt, n_parts_of
from ecg_tasks.evaluation.metrics import MAX_BINS, bin_edges, confusion_figures, ratio

BLOCK = 32_768
"""Records at a time, so that what is made of them stays in the cache of a core; their places must fit into two bytes."""
ABNORMAL, CALLED, DECIDED = 1, 2, 4
"""What a record may be: abnormal, called so, not uncertain."""
_CALLED, _DECIDED = CALLED >> 1, DECIDED >> 1
LABELLED = np.dtype([("probability", np.float64), ("patient", np.uint64), ("kind", np.uint8)])
"""A labelled record: P(abnormal), a number that no other patient has, and the sum of `ABNORMAL`, `CALLED` and `DECIDED`."""
_NUMBERED = np.dtype([("probability", np.float64), ("patient", np.int32), ("kind", np.uint8)])
_PLACED = np.dtype([("of", np.uint64), ("place", np.int64)])
_SAMPLED = 65_536
"""So many probabilities at least, or all, tell where parts begin."""
_KINDS = np.arange(8)
GROUPS = {
    "abnormal": _KINDS & ABNORMAL > 0,
    "normal": _KINDS & ABNORMAL == 0,
    "called": _KINDS & CALLED > 0,
    "not called": _KINDS & CALLED == 0,
    "abnormal or called": _KINDS & (ABNORMAL | CALLED) > 0,
    "decided": _KINDS & DECIDED > 0,
}
"""Groups of records whose patients are counted, by the kinds in them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Block:
    """Some records, one after another.

    Parameters
    ----------
    probability : shape (n,)
    patients : of each record, shape (n,)
    ends : the places of the last records of each probability; None where no two records have the same
    runs : the places of the last records of each run that is called and decided alike, shape (n_runs,)
    kinds : of each run, `_CALLED` where it is called abnormal plus `_DECIDED` where it is not uncertain, shape (n_runs,)
    is_abnormal : 0 or 1, shape (n,)
    """

    probability: NDArray[np.float64]
    patients: NDArray[np.int32]
    ends: NDArray[np.uint16] | None
    runs: NDArray[np.uint16]
    kinds: NDArray[np.uint8]
    is_abnormal: NDArray[np.uint8]

    @property
    def columns(self) -> list[NDArray[Any]]:
        """Those that are there, in an order in which each begins where its numbers may lie."""
        return [column for column in vars(self).values() if column is not None]


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where the disk has a block, and how much of it; ``bins`` are the calibration bins with the places where they begin and end in it."""

    start: int
    n: int
    n_ends: int | None
    n_runs: int
    n_bytes: int
    bins: tuple[tuple[int, int, int], ...]


class ManyRecords:
    """Records whose figures are computed for many drawings of their patients, who are numbered from 0 on as they first occur.

    ``n_records`` counts records by kind, shape (8,), ``n_patients_of`` the patients that have a record in each of `GROUPS`.

    Parameters
    ----------
    records : as `LABELLED`, one at least
    """

    def __init__(self, records: Rows) -> None:
        numbered, self.n_patients = _numbered(records)
        self.n_records = np.zeros(8, np.int64)
        groups_of_kind = sum(is_in.astype(np.uint8) << place for place, is_in in enumerate(GROUPS.values()))
        groups_of_patient = np.zeros(self.n_patients, np.uint8)
        for piece in numbered.pieces():
            self.n_records += np.bincount(piece["kind"], minlength=8)
            np.bitwise_or.at(groups_of_patient, piece["patient"], groups_of_kind[piece["kind"]])
        self.n_patients_of = {name: int(np.count_nonzero(groups_of_patient & (1 << place))) for place, name in enumerate(GROUPS)}
        del groups_of_patient
        self._file = Rows(np.uint8)
        self._places = list(_written(_by_probability(numbered), self._file))
        self._buffer = np.empty(max(place.n_bytes for place in self._places), np.uint8)

    def figures(self, times: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the figures in the order of `metrics.FIGURES`, shape (13,), where each patient is drawn so often, shape (n_patients,)."""
        weight = abnormal = 0.0  # of all records so far, and of the abnormal ones: whole numbers
        seen = seen_abnormal = 0.0  # the same, up to the last record of a probability
        concordant = precise = squares = 0.0
        excess, by_kind, abnormal_by_kind = np.zeros(MAX_BINS), np.zeros(4), np.zeros(4)
        for place in self._places:
            block = self._read(place)
            drawn = times[block.patients]
            drawn_abnormal = drawn * block.is_abnormal
            own, own_abnormal = drawn.astype(np.float64), drawn_abnormal.astype(np.float64)
            weights, abnormals = np.cumsum(drawn, dtype=np.int64) + weight, np.cumsum(drawn_abnormal, dtype=np.int64) + abnormal
            if block.ends is None:
                concordant += _dot(own, abnormals) - _dot(own_abnormal, abnormals)
                precise += _dot(own_abnormal, abnormals / np.maximum(weights, 1))
                seen, seen_abnormal = weights[-1], abnormals[-1]
            elif len(block.ends):
                above, above_abnormal = weights[block.ends], abnormals[block.ends]
                here, here_abnormal = np.diff(above, prepend=seen), np.diff(above_abnormal, prepend=seen_abnormal)
                concordant += _dot(here - here_abnormal, above_abnormal - here_abnormal / 2)
                precise += _dot(here_abnormal, above_abnormal / np.maximum(above, 1))
                seen, seen_abnormal = above[-1], above_abnormal[-1]
            expected = own * block.probability
            squares += _dot(expected - 2 * own_abnormal, block.probability)
            for number, start, end in place.bins:
                excess[number] += expected[start:end].sum() - own_abnormal[start:end].sum()
            by_kind += np.bincount(block.kinds, np.diff(weights[block.runs], prepend=weight), minlength=4)
            abnormal_by_kind += np.bincount(block.kinds, np.diff(abnormals[block.runs], prepend=abnormal), minlength=4)
            weight, abnormal = weights[-1], abnormals[-1]
        normal_by_kind = by_kind - abnormal_by_kind
        is_called = np.arange(4) & _CALLED > 0
        true_positive, false_negative = abnormal_by_kind[is_called].sum(), abnormal_by_kind[~is_called].sum()
        false_positive, true_negative = normal_by_kind[is_called].sum(), normal_by_kind[~is_called].sum()
        n_decided, right = by_kind[_DECIDED:].sum(), abnormal_by_kind[_CALLED | _DECIDED] + normal_by_kind[_DECIDED]
        of_confusion = confusion_figures(np.array([true_positive, false_positive, true_negative, false_negative]))
        parts = [abnormal, concordant, precise, squares + abnormal, np.abs(excess).sum(), n_decided, right]
        wholes = [weight, abnormal * (weight - abnormal), abnormal, weight, weight, weight, n_decided]
        found = ratio(np.array(parts), np.array(wholes))
        return np.concatenate([found[:3], of_confusion, found[3:]])

    def _read(self, place: _Place) -> _Block:
        self._file.read_into(self._buffer[: place.n_bytes], place.start)
        at = 0

        def column(kind: DTypeLike, n: int) -> NDArray[Any]:
            nonlocal at
            start, at = at, at + n * np.dtype(kind).itemsize
            return self._buffer[start:at].view(kind)

        return _Block(
            probability=column(np.float64, place.n),
            patients=column(np.int32, place.n),
            ends=None if place.n_ends is None else column(np.uint16, place.n_ends),
            runs=column(np.uint16, place.n_runs),
            kinds=column(np.uint8, place.n_runs),
            is_abnormal=column(np.uint8, place.n),
        )


def labelled(
    *,
    probability: NDArray[np.floating],
    patients: ArrayLike,
    is_abnormal: NDArray[np.bool_],
    is_called: NDArray[np.bool_],
    is_decided: NDArray[np.bool_],
) -> NDArray[np.void]:
    """Return records as `LABELLED`, shape (n,)."""
    kind = is_abnormal * np.uint8(ABNORMAL) + is_called * np.uint8(CALLED) + is_decided * np.uint8(DECIDED)
    return _rows(LABELLED, probability=probability, patient=patients, kind=kind)


def _numbered(records: Rows) -> tuple[Rows, int]:
    """Return records with their patients numbered from 0 on as they first occur, and the number of patients."""
    n_records, n_parts = len(records), n_parts_of(len(records))
    of_patients = Rows(_PLACED)
    for piece in records.pieces():
        places = np.arange(len(of_patients), len(of_patients) + len(piece))
        of_patients.append(_rows(_PLACED, of=piece["patient"], place=places))
    of_firsts = Rows(_PLACED)  # the place of the patient's first record, and that of the record
    for part in dealt(of_patients, lambda rows: (rows["of"] % n_parts).astype(np.int64), n_parts):
        rows = part.read()
        rows = rows[np.argsort(rows["of"], kind="stable")]
        is_first = np.append(np.ones(min(len(rows), 1), bool), rows["of"][1:] != rows["of"][:-1])
        of_firsts.append(_rows(_PLACED, of=rows["place"][is_first][np.cumsum(is_first) - 1], place=rows["place"]))
    of_numbers, n_patients = Rows(_PLACED), 0
    begins = np.unique(_ends_of_parts(of_firsts, "of"))
    for part in dealt(of_firsts, lambda rows: np.searchsorted(begins, rows["of"], side="right"), len(begins) + 1):
        rows = part.read()
        firsts, number = np.unique(rows["of"], return_inverse=True)
        of_numbers.append(_rows(_PLACED, of=n_patients + number, place=rows["place"]))
        n_patients += len(firsts)
    found = Rows(_NUMBERED)
    for part in dealt(of_numbers, lambda rows: rows["place"] * n_parts // n_records, n_parts):
        rows, start = part.read(), len(found)
        patient = np.empty(len(rows), np.int32)
        patient[rows["place"] - start] = rows["of"]
        there = records.read(start, start + len(rows))
        found.append(_rows(_NUMBERED, probability=there["probability"], patient=patient, kind=there["kind"]))
    return found, n_patients


def _by_probability(records: Rows) -> Rows:
    """Return records by falling probability; of equals the last comes first."""
    picked = _ends_of_parts(records, "probability")
    frequent = picked[1:][picked[1:] == picked[:-1]]  # a part has only one of these, for it may be too long to be sorted
    begins = np.unique(np.concatenate([picked, np.nextafter(frequent, np.inf)]))
    found = Rows(_NUMBERED)
    parts = dealt(records, lambda rows: len(begins) - np.searchsorted(begins, rows["probability"], side="right"), len(begins) + 1)
    for part, begin in zip(parts, [*begins[::-1], -np.inf], strict=True):
        if begin in frequent:
            for stop in range(len(part), 0, -ROWS_AT_ONCE):
                found.append(part.read(max(stop - ROWS_AT_ONCE, 0), stop)[::-1])
        else:
            rows = part.read()
            found.append(rows[np.argsort(rows["probability"], kind="stable")[::-1]])
    return found


def _ends_of_parts(rows: Rows, column: str) -> NDArray[Any]:
    """Return the values at which as many rows end as can be sorted at once, in rising order, by a sample; what is frequent is repeated."""
    n_parts, every = n_parts_of(len(rows)), max(len(rows) // _SAMPLED, 1)
    sample = np.sort(np.concatenate([piece[column][::every].copy() for piece in rows.pieces()]))  # no views, which would keep all rows
    found: NDArray[Any] = sample[[-(-part * len(sample) // n_parts) for part in range(1, n_parts)]]
    return found


def _written(records: Rows, file: Rows) -> Iterator[_Place]:
    """Write sorted records to a file of bytes, block by block; yields where they are."""
    n_records = len(records)
    edges = bin_edges(n_records, lambda place: float(records.read(n_records - 1 - place, n_records - place)["probability"][0]))
    for start in range(0, n_records, BLOCK):
        before = min(start, 1)
        around = records.read(start - before, start + BLOCK + 1)
        is_end = np.append(around["probability"][1:] != around["probability"][:-1], True)[: BLOCK + before]
        rows, kinds = around[before : BLOCK + before], around["kind"][before : BLOCK + before] >> 1
        is_run_end = np.append(np.diff(kinds) != 0, True)
        block = _Block(
            probability=np.ascontiguousarray(rows["probability"]),
            patients=np.ascontiguousarray(rows["patient"]),
            ends=None if is_end.all() else _places(is_end[before:]),
            runs=_places(is_run_end),
            kinds=kinds[is_run_end],
            is_abnormal=rows["kind"] & np.uint8(ABNORMAL),
        )
        at = len(file)
        for column in block.columns:
            file.append(column.view(np.uint8))
        yield _Place(
            start=at,
            n=len(rows),
            n_ends=None if block.ends is None else len(block.ends),
            n_runs=len(block.runs),
            n_bytes=len(file) - at,
            bins=tuple(_stretches(np.searchsorted(edges, block.probability).astype(np.uint8))),
        )


def _rows(of: np.dtype[np.void], /, **columns: ArrayLike) -> NDArray[np.void]:
    """Return columns as rows of a type, shape (n,)."""
    found = np.empty(len(np.asarray(next(iter(columns.values())))), of)
    for name, values in columns.items():
        found[name] = values
    return found


def _dot(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Return the sum of products; not by BLAS, whose last digits depend on the number of its threads."""
    return float(np.einsum("i,i", one, other))


def _places(is_there: NDArray[np.bool_]) -> NDArray[np.uint16]:
    return np.flatnonzero(is_there).astype(np.uint16)


def _stretches(values: NDArray[np.uint8]) -> Iterator[tuple[int, int, int]]:
    """Yield each value that stands several times in a row, with the places where it begins and ends."""
    ends = (np.flatnonzero(np.append(np.diff(values) != 0, True)) + 1).tolist()
    for start, end in pairwise([0, *ends]):
        yield int(values[start]), start, end
