"""Here: whether the columns of a table can be 187 samples of a beat and its label. Not here: the values of a row (``heartbeat_csv``).

A label or an index in the place of a sample is in range more often than not, so such a table would be read without a word.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.signals.record import HEARTBEAT_SAMPLES

MAX_LABEL = 4
"""MIT-BIH's classes are 0 to 4: 0 is a normal beat, 1 to 4 are four kinds of abnormal ones."""

VALUE_RANGE = (-0.01, 1.01)
"""A row was scaled to [0, 1] when it was made; a hundredth on either side is left to rounding and filters."""

_LAYOUT = f"the columns must be {HEARTBEAT_SAMPLES} samples, which begin at the R peak, and then, optionally, the label"
_MOST = 0.9
_TOP, _PEAK, _HIGH = 0.999, 0.92, 0.3
"""Least values of a row's maximum, of nearly every first sample, and of a sample beside the R peak, in parts of the range."""
_SOME_ROWS = 4
"""So many rows are no chance any more."""
_PADDING, _AWAY, _NEAR = 10, 10, 2
"""In samples: zeros that are padding; a peak away from the first sample; peaks in the same place."""
_KEPT = 4096
_INDEX_NAMES = {"", "index", "id", "idx", "row", "record", "name", "file", "unnamed: 0"}
_LABEL_NAMES = {"label", "labels", "target", "class", "classes", "y", "diagnosis", "annotation", "category"}


def check_names(names: Sequence[bytes], *, name: str) -> None:
    """Refuse a table whose column names say that a column is no sample: an index in front, or a label that isn't the last column.

    Raises
    ------
    BadInputError
        ``wrong_width``, with the column and its name.
    """
    words = [field.strip().strip(b"\"'").decode("utf-8", "replace").casefold() for field in names]
    for column, word in enumerate(words, start=1):
        if word in _LABEL_NAMES and column != len(words):
            raise _refusal(name, f"column {column} is named {word!r}")
    if len(words) > 1 and words[0] in _INDEX_NAMES:
        named = f"is named {words[0]!r}" if words[0] else "has no name"
        raise _refusal(name, f"column 1 {named}, as an index has; leave it out (pandas: to_csv(index=False))")


class BeatLayout:
    """What the rows of one table, taken together, show of its columns.

    Each row counts as one piece of evidence, and nothing is kept of it but a few numbers. A table is refused only where its rows
    cannot be beats of this format; a single row that could be one is read.
    """

    def __init__(self) -> None:
        self._n_rows = self._n_labelled = 0
        self._n_zero = self._n_one = self._n_above_one = 0
        self._n_like_a_label = self._n_surely_a_label = 0
        self._n_classes = self._n_fractions = 0
        self._n_binary_end = self._n_one_at_end = self._n_whole_before_end = 0
        self._n_padded_in_front = 0
        self._fractions: list[float] = []
        self._first: list[NDArray[np.float64]] = []
        self._peaks: list[NDArray[np.intp]] = []

    def add(self, values: NDArray[np.float64], *, widths: NDArray[np.int_]) -> None:
        """Take up rows.

        Parameters
        ----------
        values : shape (n, 188), NaN behind the width of a row, and in rows that could not be read at once
        widths : shape (n,), columns of each row
        """
        samples = values[:, :HEARTBEAT_SAMPLES]
        readable = np.isfinite(samples).all(axis=1)
        samples, labels, widths = samples[readable], values[readable, HEARTBEAT_SAMPLES], widths[readable]
        if not len(samples):
            return
        first, second = samples[:, 0], samples[:, 1]
        top, foot = samples[:, 1:].max(axis=1), samples[:, 1:].min(axis=1)
        beside = (foot >= VALUE_RANGE[0]) & (top <= VALUE_RANGE[1]) & (foot < top)
        zero, one = beside & (first == 0), beside & (first == 1)
        self._n_rows += len(samples)
        self._n_zero += int(zero.sum())
        self._n_one += int(one.sum())
        self._n_above_one += int((beside & (first > 1) & (first == np.round(first))).sum())
        # a row that is scaled to [0, 1] has one 1 as a rule: with another behind a 1 in front, these are a label and a beat
        self._n_like_a_label += int(((one & (top >= _TOP)) | (zero & (second >= _HIGH))).sum())
        self._n_surely_a_label += int(((one & (top >= _TOP) & (second >= _PEAK)) | (zero & (second >= _HIGH))).sum())
        self._n_padded_in_front += int(((samples[:, :_PADDING] == 0).all(axis=1) & (samples[:, -_PADDING:] != 0).any(axis=1)).sum())
        if sum(map(len, self._first)) < _KEPT:
            self._first.append(first.copy())
            self._peaks.append(np.where(first < 0.5, samples.argmax(axis=1), 0))  # noqa: PLR2004 - half of the range
        self._add_last(samples, labels, has_label=widths > HEARTBEAT_SAMPLES)

    def _add_last(self, samples: NDArray[np.float64], labels: NDArray[np.float64], *, has_label: NDArray[np.bool_]) -> None:
        """Take up the last column: of rows with 188 what should be the label, of rows with 187 what should be a sample."""
        end = samples[~has_label, -1]
        self._n_binary_end += int(((end == 0) | (end == 1)).sum())
        self._n_one_at_end += int((end == 1).sum())
        self._n_whole_before_end += int(((end == 1) & (samples[~has_label, :-1].max(axis=1) >= _TOP)).sum())
        labels = labels[has_label]
        fractions = labels[(labels > 0) & (labels < 1)]
        self._n_labelled += len(labels)
        self._n_classes += int(((labels == np.round(labels)) & (labels >= 1) & (labels <= MAX_LABEL)).sum())
        self._n_fractions += len(fractions)
        self._fractions += fractions[: max(0, 3 - len(self._fractions))].tolist()

    def check(self, *, name: str) -> None:
        """Refuse the table whole where its columns are others than 187 samples and a label.

        Raises
        ------
        BadInputError
            ``wrong_width``, with what each column looks like.
        """
        n = self._n_rows
        if not n:
            return
        if self._n_above_one and self._n_above_one + self._n_zero + self._n_one >= _MOST * n:
            raise _refusal(name, self._whole_numbers_in_front())
        if self._is_label_in_front():
            seen = "0 or 1" if self._n_zero and self._n_one else "0" if self._n_zero else "1"
            where = "all rows" if self._n_zero + self._n_one == n else "nearly all rows"
            raise _refusal(name, f"column 1 is {seen} in {where}: it looks like a label or an index, and the beat begins in column 2")
        if self._n_fractions > self._n_classes:
            seen = ", ".join(f"{value:.3g}" for value in self._fractions)
            raise _refusal(
                name, f"column {HEARTBEAT_SAMPLES + 1} has values such as {seen}: it looks like one more sample, not like a label"
            )
        if self._n_one_at_end and self._n_whole_before_end == self._n_one_at_end and self._n_binary_end == n:
            seen = f"column {HEARTBEAT_SAMPLES} is 0 or 1 in all rows"
            raise _refusal(name, f"{seen} and looks like a label after {HEARTBEAT_SAMPLES - 1} samples")
        if self._n_padded_in_front >= _MOST * n:
            raise _refusal(name, "the zeros that fill up a row are before the beat and not after it")
        peaks = np.concatenate(self._peaks)
        middle = int(np.median(peaks))
        if len(peaks) >= _SOME_ROWS and middle > _AWAY and (np.abs(peaks - middle) <= _NEAR).mean() >= _MOST:
            raise _refusal(name, f"the R peak is in column {middle + 1} of the rows and not in column 1")

    def _is_label_in_front(self) -> bool:
        """Return whether column 1 is a label, or an index that has not come further than 1."""
        n = self._n_rows
        if 0 < self._n_classes < self._n_labelled:
            return False  # the last column has several classes, so that is the label
        if n == 1:
            return self._n_surely_a_label == 1
        if self._n_like_a_label >= _MOST * n:
            return True
        both = min(self._n_zero, self._n_one) > 0 and self._n_zero + self._n_one == n
        return n >= _SOME_ROWS and (both or self._n_zero >= _MOST * n)

    def _whole_numbers_in_front(self) -> str:
        first = np.concatenate(self._first)
        if len(first) > 1 and (np.diff(first) == 1).all():
            return f"column 1 counts {first[0]:.0f}, {first[1]:.0f}, … and looks like an index; leave it out (pandas: to_csv(index=False))"
        if first.max() <= MAX_LABEL:
            return f"column 1 has the whole numbers {first.min():.0f} to {first.max():.0f} and looks like a label"
        return "column 1 has whole numbers above 1 and looks like an index or a number of a person; leave it out"


def _refusal(name: str, sentence: str) -> BadInputError:
    return BadInputError(Reason.WRONG_WIDTH, f"{name}: {sentence}. Nothing was read: {_LAYOUT}")
