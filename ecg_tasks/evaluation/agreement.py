"""Here: how far two reviewers agree beyond chance. Not here: who they are, or which recordings they share (``queries.review_queue``)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.intervals import Interval, wilson


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How two reviewers of the same recordings agree.

    Parameters
    ----------
    n : recordings that both gave a verdict on
    observed : share on which they said the same
    by_chance : share expected by chance, if each gave his or her own verdicts at random
    kappa : (observed - by_chance) / (1 - by_chance); 1 is perfect, 0 chance; nan where both gave one and the same verdict to all
    """

    n: int
    observed: float
    by_chance: float
    kappa: Interval


def cohens_kappa(first: Sequence[str], second: Sequence[str]) -> Agreement:
    """Return Cohen's kappa of two reviewers, with its 95 % interval.

    The interval is Wilson's of the observed agreement, converted to kappa with the agreement by chance kept fixed. Unlike the usual
    standard error and the bootstrap, it has a width where two reviewers agreed on all of a few recordings.

    Parameters
    ----------
    first, second : one verdict a recording, in the same order

    Raises
    ------
    SignalError
        If they differ in length.

    References
    ----------
    Cohen, Educ. Psychol. Meas. 20(1), 1960; Wilson, J. Am. Statist. Assoc. 22(158), 1927.

    >>> cohens_kappa(["normal", "normal", "abnormal", "abnormal"], ["normal", "abnormal", "abnormal", "abnormal"]).kappa.value
    0.5
    """
    if len(first) != len(second):
        raise SignalError(f"the first reviewer has {len(first)} verdicts, the second {len(second)}")
    n = len(first)
    if n == 0:
        return Agreement(n=0, observed=np.nan, by_chance=np.nan, kappa=wilson(np.nan, 0))
    counts, others = Counter(first), Counter(second)
    observed = sum(one == other for one, other in zip(first, second, strict=True)) / n
    by_chance = sum(counts[word] * others[word] for word in counts) / n**2
    if by_chance == 1:
        return Agreement(n=n, observed=observed, by_chance=by_chance, kappa=wilson(np.nan, 0))
    found = wilson(observed, n)
    value, low, high = ((share - by_chance) / (1 - by_chance) for share in (found.value, found.low, found.high))
    return Agreement(n=n, observed=observed, by_chance=by_chance, kappa=Interval(value, max(low, -1.0), high, "wilson"))
