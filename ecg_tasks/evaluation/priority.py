"""Here: which recordings are most useful to review. Not here: reviewers and their verdicts (``queries.review_queue``)."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.calibration import logit, sigmoid


@dataclass(frozen=True, kw_only=True)
class PriorityWeights:
    """Largest contribution of each reason to a recording's priority.

    Parameters
    ----------
    disputed : reviewers differ, and none of their labels has a majority
    contradicts_label : the model clearly predicts the opposite of the label: one of the two is wrong
    uncertain : the probability lies in or near the abstain band, where a label changes the model most
    recipes_disagree : models of different recipes differ
    low_quality : the recording may not be readable
    """

    disputed: float = 2.0
    contradicts_label: float = 1.0
    uncertain: float = 0.6
    recipes_disagree: float = 0.5
    low_quality: float = 0.2


REASONS = tuple(field.name for field in fields(PriorityWeights))


@dataclass(frozen=True, kw_only=True, eq=False)
class Priority:
    """Priorities of n recordings; ``total`` is the sum of ``shares``, each of shape (n,), by reason.

    A share is the ``strength`` of its reason, from 0 to 1, times its weight.
    """

    total: NDArray[np.float64]
    shares: Mapping[str, NDArray[np.float64]]
    strength: Mapping[str, NDArray[np.float64]]


def centred(probability: NDArray[np.floating], *, threshold: ArrayLike) -> NDArray[np.float64]:
    """Return the probability with its log-odds counted from the threshold's, so that models with different thresholds compare.

    >>> centred(np.array([0.2, 0.5]), threshold=0.2).round(2).tolist()
    [0.5, 0.8]
    """
    return sigmoid(logit(probability) - logit(threshold))


def uncertainty(probability: NDArray[np.floating], *, threshold: ArrayLike, abstain: tuple[ArrayLike, ArrayLike]) -> NDArray[np.float64]:
    """Return 1 in the abstain band or at the threshold, halved for each unit of log-odds away from them; 0 without a probability."""
    low, high = np.minimum(abstain[0], threshold), np.maximum(abstain[1], threshold)
    at = logit(probability)
    away = np.maximum(np.maximum(logit(low) - at, at - logit(high)), 0)
    return np.nan_to_num(0.5**away)


def prioritise(
    *,
    scores: NDArray[np.floating],
    uncertain: NDArray[np.floating],
    quality: NDArray[np.floating],
    label: NDArray[np.integer],
    disputed: NDArray[np.bool_],
    weights: PriorityWeights | None = None,
) -> Priority:
    """Return how useful a review of each of n recordings is: the weighted sum of five reasons, each from 0 to 1.

    Parameters
    ----------
    scores : ndarray, shape (n_recipes, n), ``centred`` probabilities; nan where a recipe has none. The first one that has a value decides
    uncertain : ndarray, shape (n,), ``uncertainty`` of the recipe that decides
    quality : ndarray, shape (n,), 0 to 1
    label : ndarray, shape (n,), the label in force: 0 normal, 1 abnormal, -1 neither or none
    disputed : ndarray, shape (n,)
    weights : larger ones move recordings with that reason up the queue

    Raises
    ------
    SignalError
        If the shapes do not match.

    References
    ----------
    Lewis and Gale, SIGIR 1994 (uncertainty); Seung, Opper, Sompolinsky, COLT 1992 (disagreement); Northcutt, Jiang, Chuang,
    J. Artif. Intell. Res. 70, 2021 (a model's confidence against the label finds wrong labels).
    """
    n = scores.shape[1]
    if not n == len(uncertain) == len(quality) == len(label) == len(disputed):
        raise SignalError(f"scores are of {n} recordings, the others of {len(uncertain)}, {len(quality)}, {len(label)}, {len(disputed)}")
    score = np.full(n, np.nan)
    for row in scores[::-1]:
        score = np.where(np.isnan(row), score, row)
    against = np.select([label == 0, label == 1], [score, 1 - score], default=0.0)
    filled_high, filled_low = np.where(np.isnan(scores), -np.inf, scores), np.where(np.isnan(scores), np.inf, scores)
    apart = filled_high.max(axis=0) - filled_low.min(axis=0)
    strength = {
        "disputed": disputed.astype(np.float64),
        "contradicts_label": np.clip(np.nan_to_num(2 * against - 1), 0, 1),
        "uncertain": np.asarray(uncertain, dtype=np.float64),
        "recipes_disagree": np.where(np.isfinite(apart), apart, 0.0),
        "low_quality": np.clip(1 - quality, 0, 1),
    }
    weighed = weights or PriorityWeights()
    shares = {reason: getattr(weighed, reason) * strength[reason] for reason in REASONS}
    return Priority(total=np.sum(list(shares.values()), axis=0), shares=shares, strength=strength)
