"""Here: the attribution of a model's answer to the parts of a picture, without TensorFlow. Not here: drawing that (``reporting``).

Each part of a picture is exchanged for what the typical normal recording shows there, and the change of the answer is the part's
effect (occlusion; Zeiler and Fergus, ECCV 2014, arXiv 1311.2901). It is measured from both ends, taken out of the picture and put
into the typical one, and averaged: a finding that shows in several leads would otherwise hide behind itself, since each of them alone can
be spared. These are the last and the first of the orders that Shapley values average over (Lundberg and Lee, arXiv 1705.07874).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.calibration import logit

if TYPE_CHECKING:
    from ecg_tasks.learning.serving import Classifier

MAX_PARTS = 16
"""Parts along an axis at most; pictures with more rows or columns are exchanged in patches."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Explanation:
    """Attribution to the parts of each of n pictures, in calibrated log-odds: above 0 supports abnormal, below 0 normal.

    Parameters
    ----------
    cells : ndarray, shape (n, height, width), float32: effect of the part of the picture that a pixel belongs to, all leads together; the
        first row is the picture's first, its highest frequency
    leads : ndarray, shape (n, n_leads, width), float32: effect of a column of one lead, all frequencies together
    log_odds : ndarray, shape (n,), float64: of the whole picture, less those of the typical one
    """

    cells: NDArray[np.float32]
    leads: NDArray[np.float32]
    log_odds: NDArray[np.float64]


def explain(classifier: "Classifier", images: NDArray[np.uint8], *, n_leads: int, site: str | None = None) -> Explanation:
    """Explain what a model says of each picture; the same pictures always give the same explanation.

    Parameters
    ----------
    images : ndarray, shape (n, height, width, channels), uint8, as the recipe decodes them
    n_leads : leads in a picture; its channels show each of them as many times, in the same order. A picture whose channels
        are no leads has one.
    site : where the record comes from; its calibration counts where the version has one for it

    Raises
    ------
    SignalError
        If the channels cannot be those of so many leads, or the version does not know a typical picture.
    """
    height, width, n_channels = classifier.spec.image_shape
    if n_leads < 1 or n_channels % n_leads:
        raise SignalError(f"{n_channels} channels cannot show {n_leads} leads")
    if classifier.typical is None:
        raise SignalError("this version has no typical picture to compare with")
    row, column = _part_of(height), _part_of(width)
    lead = np.arange(n_channels) % n_leads
    n_rows, n_columns = row[-1] + 1, column[-1] + 1
    cell = (row[:, None] * n_columns + column)[:, :, None] + np.zeros(n_channels, np.int64)
    strip = np.broadcast_to(lead * n_columns + column[:, None], (height, width, n_channels))
    slope = 1 / next((one.temperature for one in classifier.spec.sites if one.site == site), classifier.spec.temperature)
    typical = float(logit(classifier.predict(classifier.typical[None]))[0])
    whole = logit(classifier.predict(images))
    cells = np.empty((len(images), height, width), np.float32)
    leads = np.empty((len(images), n_leads, width), np.float32)
    for index, image in enumerate(images):
        pair = _Pair(image=image, typical=classifier.typical, log_odds=float(whole[index]), typical_log_odds=typical)
        by_cell = slope * _effects(classifier, pair, cell, n_rows * n_columns)
        by_strip = slope * _effects(classifier, pair, strip, n_leads * n_columns)
        cells[index] = by_cell.reshape(n_rows, n_columns)[row][:, column]
        leads[index] = by_strip.reshape(n_leads, n_columns)[:, column]
    return Explanation(cells=cells, leads=leads, log_odds=slope * (whole - typical))


class _Pair(NamedTuple):
    """A picture and the typical one, with what the network says of each before calibration."""

    image: NDArray[np.uint8]
    typical: NDArray[np.uint8]
    log_odds: float
    typical_log_odds: float


def _effects(classifier: "Classifier", pair: _Pair, part: NDArray[np.integer], n_parts: int) -> NDArray[np.float64]:
    """Return the effect of each part on the log-odds, shape (n_parts,); ``part`` (height, width, channels) gives the part of each value."""
    inside = part == np.arange(n_parts)[:, None, None, None]
    without = logit(classifier.predict(np.where(inside, pair.typical, pair.image)))
    alone = logit(classifier.predict(np.where(inside, pair.image, pair.typical)))
    return np.asarray((pair.log_odds - without + alone - pair.typical_log_odds) / 2)


def _part_of(n: int) -> NDArray[np.int64]:
    """Return the part, counted from 0, that each of n rows or columns belongs to."""
    return np.arange(n) * min(n, MAX_PARTS) // n
