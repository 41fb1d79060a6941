"""Here: all figures of very many records, for one drawing of their patients after another. Not here: those of few (``summary``).

The records lie in the order of their probabilities, the highest first. A drawing goes through them once, some ten thousand at a time,
with running sums: nothing is sorted again, and nothing is made that is as long as all records.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.evaluation.metrics import MAX_BINS, calibration_bins, confusion_figures, ratio

BLOCK = 32_768
"""Records at a time, so that what is made of them stays in the cache of a core; their places must fit into two bytes."""
_CALLED, _DECIDED = 1, 2


@dataclass(frozen=True, kw_only=True, eq=False)
class _Block:
    """Some records, one after another.

    Parameters
    ----------
    patients : of each record, shape (n,)
    is_abnormal : 0 or 1, shape (n,)
    probability : shape (n,)
    ends : the places of the last records of each probability; None where no two records have the same
    bins : each calibration bin, with the places where it begins and ends here
    runs : the places of the last records of each run that is called and decided alike, shape (n_runs,)
    kinds : of each run, `_CALLED` where it is called abnormal plus `_DECIDED` where it is not uncertain, shape (n_runs,)
    """

    patients: NDArray[np.int32]
    is_abnormal: NDArray[np.uint8]
    probability: NDArray[np.float64]
    ends: NDArray[np.uint16] | None
    bins: list[tuple[int, int, int]]
    runs: NDArray[np.uint16]
    kinds: NDArray[np.uint8]


class ManyRecords:
    """Records whose figures are computed for many drawings of their patients.

    Parameters
    ----------
    truth, called, decided : whether a record is abnormal, is called so, and is not uncertain, shape (n_records,) each
    probability : P(abnormal), shape (n_records,)
    patients : numbers from 0 on, shape (n_records,)
    """

    def __init__(
        self,
        truth: NDArray[np.bool_],
        probability: NDArray[np.float64],
        called: NDArray[np.bool_],
        decided: NDArray[np.bool_],
        patients: NDArray[np.int32],
    ) -> None:
        self.n_patients = int(patients.max()) + 1
        bins = calibration_bins(probability).astype(np.uint8)
        order = np.argsort(probability, kind="stable").astype(np.int32)[::-1]
        bins, score, of_patient, is_abnormal = bins[order], probability[order], patients[order], truth[order].view(np.uint8)
        kinds = called[order] * np.uint8(_CALLED) + decided[order] * np.uint8(_DECIDED)
        del order
        is_end = np.append(score[1:] != score[:-1], True)
        self._blocks = []
        for start in range(0, len(score), BLOCK):
            here = slice(start, start + BLOCK)
            is_run_end = np.append(np.diff(kinds[here]) != 0, True)
            self._blocks.append(
                _Block(
                    patients=of_patient[here],
                    is_abnormal=is_abnormal[here],
                    probability=score[here],
                    ends=None if is_end[max(start - 1, 0) : here.stop].all() else _places(is_end[here]),
                    bins=list(_stretches(bins[here])),
                    runs=_places(is_run_end),
                    kinds=kinds[here][is_run_end],
                )
            )

    def figures(self, times: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the figures in the order of `metrics.FIGURES`, shape (13,), where each patient is drawn so often, shape (n_patients,)."""
        weight = abnormal = 0.0  # of all records so far, and of the abnormal ones: whole numbers
        seen = seen_abnormal = 0.0  # the same, up to the last record of a probability
        concordant = precise = squares = 0.0
        excess, by_kind, abnormal_by_kind = np.zeros(MAX_BINS), np.zeros(4), np.zeros(4)
        for block in self._blocks:
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
            for number, start, end in block.bins:
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
