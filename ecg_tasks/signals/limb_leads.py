"""Here: how the six limb leads depend on one another. Not here: which of them a recording has (``preparing``), or faults (``lead_checks``).

Two of the six fix the other four (Einthoven 1908; Goldberger 1942): III = II - I, aVR = -(I + II) / 2, aVL = I - II / 2,
aVF = II - I / 2.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals.record import STANDARD_LEADS

LIMB_LEADS = STANDARD_LEADS[:6]
FROM_I_AND_II: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"I": (1, 0), "II": (0, 1), "III": (-1, 1), "aVR": (-0.5, -0.5), "aVL": (1, -0.5), "aVF": (-0.5, 1)}
)
"""Each limb lead as so much of I and so much of II."""
_BLOCK = 2**16


def pair_of(leads: Collection[str]) -> tuple[str, str] | None:
    """Return the first two limb leads among ``leads``, which all others can be computed from; None where there are not two."""
    return next(combinations([lead for lead in LIMB_LEADS if lead in leads], 2), None)


def weights(lead: str, pair: Sequence[str]) -> NDArray[np.float64]:
    """Return how much of each lead of the pair makes ``lead``, shape (2,).

    >>> weights("aVF", ("I", "III")).tolist()
    [0.5, 1.0]
    """
    basis = np.array([FROM_I_AND_II[one] for one in pair]).T
    return np.asarray(np.linalg.solve(basis, np.array(FROM_I_AND_II[lead], dtype=np.float64)))


def derive(lead: str, pair: Sequence[str], samples: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Compute a limb lead from two others.

    Parameters
    ----------
    lead : the lead wanted
    pair : two other limb leads
    samples : two of ndarray, shape (n_samples,), mV; of the pair

    Returns
    -------
    ndarray, shape (n_samples,), float32, mV
    """
    first, second = weights(lead, pair)
    found = np.empty(len(samples[0]), np.float32)
    for start in range(0, found.size, _BLOCK):  # in double precision, of which all at once would be four times as large
        one, other = (signal[start : start + _BLOCK].astype(np.float64) for signal in samples)
        found[start : start + _BLOCK] = first * one + second * other
    return found
