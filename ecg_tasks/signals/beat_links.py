"""Here: pairs of heartbeat rows and beats that are alike, found by an index and decided exactly.

Not here: whole recordings (``near_duplicates``).

Comparing every beat with every other one at five lags takes four times as long for twice as many. So an index proposes and the correlation
decides. The index loses no pair: beats are vectors of length 1, and a correlation of c is a distance of sqrt(2 - 2c); a projection onto a
few orthonormal directions only shortens distances; so two beats that are alike lie within that distance of each other after the projection
too, where a k-d tree finds all that do.

References
----------
k-d trees: Bentley, Commun. ACM 18(9), 1975. Filtering by a distance that is never longer than the true one, without false dismissals:
Faloutsos, Ranganathan and Manolopoulos, SIGMOD 1994.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals.record import HEARTBEAT_SAMPLES

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

BEAT_SIMILAR = 0.997
"""Correlation of two beats, at the best lag: fewer than one pair in a million of beats of different patients reaches it."""
BEAT_SAME = 0.9995
LAGS = (-2, -1, 0, 1, 2)
"""Samples at 125 Hz, 8 ms each."""

_DIRECTIONS = 12
"""Of the projection: more propose fewer pairs in vain, and take longer to search."""
_SLACK = 1e-4
"""Added to the distance, against rounding in float32."""
_ROWS_AT_ONCE = 4096
_PAIRS_AT_ONCE = 1_000_000
"""Proposed pairs held at one time: some 50 MB."""
_DECIDED_AT_ONCE = 65_536
_TRUNK = 20_000
"""Beats, at most, from which the directions are learnt."""


@dataclass(kw_only=True)
class Pairs:
    """Pairs of records, each once, as ``first * n_records + second`` in ascending order, and whether they are the same signal."""

    n_records: int
    code: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    same: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))

    def add(self, first: NDArray[np.int64], second: NDArray[np.int64], same: NDArray[np.bool_]) -> None:
        """Take more pairs, in any order and either way round; of a pair that is there already the graver finding counts."""
        code = np.concatenate([self.code, np.minimum(first, second) * self.n_records + np.maximum(first, second)])
        same = np.concatenate([self.same, same])
        order = np.lexsort((~same, code))
        code, same = code[order], same[order]
        once = np.diff(code, prepend=-1) != 0
        self.code, self.same = code[once], same[once]

    @property
    def ends(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The smaller and the larger record of each pair."""
        return self.code // self.n_records, self.code % self.n_records


class Connected:
    """Which records are connected by the pairs seen so far: where only that matters, a pair inside adds nothing."""

    def __init__(self, n_records: int, joinable: NDArray[np.bool_]) -> None:
        self._component: NDArray[np.int64] = np.arange(n_records)
        self._joinable = joinable

    def tells_nothing(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Find pairs of joinable records that are connected already."""
        inside: NDArray[np.bool_] = self._component[first] == self._component[second]
        return inside & self._joinable[first] & self._joinable[second]

    def join(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> None:
        """Connect the joinable pairs among these."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        both = self._joinable[first] & self._joinable[second]
        ends = self._component[first[both]], self._component[second[both]]
        n = len(self._component)
        graph = coo_matrix((np.ones(len(ends[0]), np.int8), ends), shape=(n, n))
        self._component = connected_components(graph, directed=False)[1][self._component].astype(np.int64)


def beat_links(
    beats: NDArray[np.float32],
    beat_of: NDArray[np.int64],
    is_row: NDArray[np.bool_],
    *,
    wanted: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]],
    connected: Connected | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return pairs of records of which one is a heartbeat row and has a beat that correlates with one of the other, at the best lag.

    Beats of two recordings are not compared: their median beats are (``near_duplicates``).

    Parameters
    ----------
    beats : shape (n_beats, 187)
    beat_of : shape (n_beats,): index of the record
    is_row : shape (n_records,)
    wanted : which pairs of records are looked for, from the indices of both
    connected : leave out pairs of records that are connected already; None for all pairs

    Returns
    -------
    Records first and second (first below second), and whether the correlation is ``BEAT_SAME``.
    """
    from scipy.spatial import cKDTree

    found = Pairs(n_records=len(is_row))
    margin = max(LAGS)
    middle = slice(margin, HEARTBEAT_SAMPLES - margin)
    rows = np.flatnonzero(is_row[beat_of])
    base = unit(beats[rows, middle])
    rows, base = rows[base.any(axis=1)], base[base.any(axis=1)]  # a constant row is like nothing
    if not len(rows):
        return *found.ends, found.same
    directions = _directions(base)
    near = base @ directions
    for lag in sorted(LAGS, key=abs):  # most pairs are found at once, and are connected then
        moved = unit(beats[:, middle.start + lag : middle.stop + lag])
        theirs = np.flatnonzero(moved.any(axis=1))
        tree = cKDTree(moved[theirs] @ directions)
        parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]] = []
        for a, b in _proposed(near, tree):
            first, second = beat_of[rows[a]], beat_of[theirs[b]]
            open_ = (first != second) & wanted(first, second)
            if connected is not None:
                open_ &= ~connected.tells_nothing(first, second)
            first, second = first[open_], second[open_]
            correlation = _correlations(base, a[open_], moved, theirs[b[open_]])
            alike = correlation >= BEAT_SIMILAR
            parts.append((first[alike], second[alike], correlation[alike] >= BEAT_SAME))
            if connected is not None:
                connected.join(first[alike], second[alike])
        found.add(*(np.concatenate(some) for some in zip(*parts, strict=True)))
    return *found.ends, found.same


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows without their mean, of length 1; a constant row becomes zero and correlates with nothing."""
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-6)  # noqa: PLR2004 - rounding of a constant
    return scaled


def _directions(base: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return orthonormal directions along which beats differ most, shape (n_samples, k); with any others the result would be the same."""
    some = base[:: -(-len(base) // _TRUNK)].astype(np.float64)
    _, vectors = np.linalg.eigh(some.T @ some)
    directions: NDArray[np.float32] = vectors[:, ::-1][:, :_DIRECTIONS].astype(np.float32)
    return directions


def _proposed(near: NDArray[np.float32], tree: "cKDTree") -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return pairs of a row of ``near`` and a point of the tree that are close enough, some at a time."""
    from scipy.spatial import cKDTree

    radius = np.sqrt(2 - 2 * BEAT_SIMILAR) + _SLACK
    for start in range(0, len(near), _ROWS_AT_ONCE):
        part = near[start : start + _ROWS_AT_ONCE]
        share = np.cumsum(tree.query_ball_point(part, radius, return_length=True)) // _PAIRS_AT_ONCE
        for piece in np.split(np.arange(len(part)), np.flatnonzero(np.diff(share)) + 1):
            pairs = cKDTree(part[piece]).sparse_distance_matrix(tree, radius, output_type="ndarray")
            yield start + piece[pairs["i"]], pairs["j"]


def _correlations(base: NDArray[np.float32], a: NDArray[np.int64], moved: NDArray[np.float32], b: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the correlation of each pair of rows."""
    found = np.empty(len(a), np.float32)
    for start in range(0, len(a), _DECIDED_AT_ONCE):
        part = slice(start, start + _DECIDED_AT_ONCE)
        found[part] = np.einsum("ij,ij->i", base[a[part]], moved[b[part]])
    return found
