"""Here: what is watched of incoming records, and how a version remembers what it was tested on. Not here: the nights (``monitoring``)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.evaluation.drift import Reference
from ecg_tasks.pipeline.training.dataset import Pictures

MEASURES: Mapping[str, str] = {
    "score": "P(abnormal)",
    "abnormal": "Share at or above the threshold",
    "quality": "Signal quality",
    "beat_s": "Length of the beats, in s",
    "input": "Leads and sampling rate",
}
"""What is watched, and what it is called."""
ABOVE, BELOW = "at or above", "below"


def reference_of(
    held_out: Sequence[tuple[Pictures, NDArray[np.floating], NDArray[np.floating]]], *, inputs: Mapping[str, int]
) -> dict[str, Any]:
    """Return the spread of every measure over records that the network was not fitted to, for ``metrics.json``.

    One record a patient counts, since a patient's records resemble one another and the test takes them for independent.

    Parameters
    ----------
    held_out : pictures of the calibration and the test split, each with P(abnormal) of its records and the thresholds that hold for
        them, shape (n_records,)
    inputs : records of the dataset by the kind of recording
    """
    firsts = [np.unique(pictures.groups, return_index=True)[1] for pictures, *_ in held_out]
    score = np.concatenate([np.asarray(scores)[first] for (_, scores, _), first in zip(held_out, firsts, strict=True)])
    quality = np.concatenate([pictures.mean_quality[first] for (pictures, *_), first in zip(held_out, firsts, strict=True)])
    beat_s = np.concatenate([pictures.beat_s[first] for (pictures, *_), first in zip(held_out, firsts, strict=True)])
    thresholds = np.concatenate([limits[first] for (_, _, limits), first in zip(held_out, firsts, strict=True)])
    called = called_abnormal(score, threshold=thresholds)
    measured = {
        "score": Reference.of_numbers(score),
        "abnormal": Reference.of_kinds({ABOVE: called.count(ABOVE), BELOW: called.count(BELOW)}),
        "quality": Reference.of_numbers(quality),
        "beat_s": Reference.of_numbers(beat_s),
        "input": Reference.of_kinds(inputs),
    }
    return {name: reference.as_dict() for name, reference in measured.items()}


def called_abnormal(score: NDArray[np.floating], *, threshold: NDArray[np.floating]) -> list[str]:
    """Say for each probability whether it is at or above its threshold, or below; missing ones are left out."""
    return [ABOVE if is_above else BELOW for is_above in (score >= threshold)[~np.isnan(score)]]
