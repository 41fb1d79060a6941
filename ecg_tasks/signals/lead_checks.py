"""Here: leads that contradict one another, copied leads, electrodes that were probably exchanged, and amplitudes that no ECG has.

All of it is seen in the matrix of the leads' products between 1 and 40 Hz, where wander and noise do not show. Not here: noise and other
faults of single windows (``quality``), or the arithmetic of the limb leads (``limb_leads``).

The bounds were set on 6,548 recordings of PTB-XL at 100 Hz (folds 1 to 3), 353 at 500 Hz and 100 of LUDB, whose leads are scaled singly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals.flags import Flag
from ecg_tasks.signals.limb_leads import FROM_I_AND_II, LIMB_LEADS
from ecg_tasks.signals.preparing import Prepared, prepare
from ecg_tasks.signals.record import STANDARD_LEADS, Record

LOOKED_AT_S = 60.0
"""Seconds from the start that are looked at: electrodes are not exchanged while a recording runs."""
BAND_HZ = (1.0, 40.0)
MAX_RESIDUAL = 0.1
"""Share of the limb leads (root mean square) that may contradict the rule of Einthoven and Goldberger. PTB-XL has 0.002 as a rule,
0.005 in 99 of 100 recordings; leads that are scaled singly (LUDB) have 0.19, at most 0.37."""
EXPLAINED = 3.0
"""Where turning, exchanging or leaving out one lead makes the residual smaller by this factor, that lead is wrong (LUDB: at most 2.9)."""
FOREIGN = 0.3
"""Below it a lead that fits no other is still believed: a pacemaker's spikes in one lead alone give up to 0.23."""
MAX_COPY = 0.005
"""Two leads that differ by a smaller share (root mean square) are one signal. Different leads of PTB-XL differ by 0.018 at least."""
REVERSAL_MARGIN = 0.6
"""How much better (correlation, -1 to 1) exchanged electrodes fit what the chest leads predict. Made in 353 recordings of PTB-XL, it finds
89 of 100 exchanges of the right and the left arm, 92 of the right arm and the leg, 95 of all three, and none of the left arm and the leg,
which look like another heart. None of the 353 is flagged as it is, and 5 of the 6,548."""
MAX_AMPLITUDE_MV = 3.5
"""Bound of the median over the leads of the range that holds 99 of 100 samples: 1 of 1,000 recordings of PTB-XL lies above."""
CENTRAL = (0.5, 99.5)
"""Percentiles."""
_CERTAIN = 0.999
"""Of a bound: what is below is so whatever the rounding."""

_NAME = "lead_checks"
_PREDICTED = np.array([[-0.563, -0.035], [0.224, -0.088], [0.037, 0.124], [-0.065, 0.065], [0.142, 0.035], [0.245, 0.429]])
"""I and II (columns) from V1 to V6 (rows): least squares over 4,300 recordings of PTB-XL, each of total power 1."""
_EXCHANGES: Mapping[str, NDArray[np.float64]] = MappingProxyType(
    {
        "RA and LA": np.array([[-1.0, 0.0], [-1.0, 1.0]]),
        "RA and LL": np.array([[1.0, -1.0], [0.0, -1.0]]),
        "RA to LA to LL": np.array([[-1.0, 1.0], [-1.0, 0.0]]),
        "RA to LL to LA": np.array([[0.0, -1.0], [1.0, -1.0]]),
    }
)
"""I and II (rows) as they are recorded, from the true I and II (columns), when electrodes are exchanged."""
_TURNED_BACK = tuple(np.linalg.inv(one) for one in _EXCHANGES.values())


@dataclass(frozen=True, kw_only=True)
class LeadFindings:
    """What was found in the leads of a recording.

    Parameters
    ----------
    flags : to be shown
    suspects : leads that cannot be trusted; no decision is based on them
    """

    flags: tuple[Flag, ...] = ()
    suspects: frozenset[str] = frozenset()


def leads_checked(record: Record) -> LeadFindings:
    """Look once at the leads of a recording, as it is stored."""
    if _NAME not in record.known:
        record.known[_NAME] = check_leads(prepare(record))
    found: LeadFindings = record.known[_NAME]
    return found


def check_leads(ready: Prepared) -> LeadFindings:
    """Look for leads that cannot be what their names say; a recording of one lead has little to look at."""
    leads = [lead for lead in STANDARD_LEADS if ready.has((lead,))]
    if ready.record.is_heartbeat or not leads:
        return LeadFindings()
    record = ready.record
    rows = [record.leads.index(lead) for lead in leads]
    samples = record.samples[rows, : round(LOOKED_AT_S * record.fs)]
    power = _products(samples, fs=record.fs)
    flags: list[Flag] = []
    suspects: set[str] = set()
    if _is_large(samples):
        flags.append(Flag.LARGE_AMPLITUDE)
    stored = [at for at, lead in enumerate(leads) if lead not in ready.derived]
    found = _contradiction([leads[at] for at in stored], power[np.ix_(stored, stored)])
    if found is not None:
        flags.append(Flag.LEADS_CONTRADICT if found else Flag.LEADS_DISAGREE)
        suspects |= found
    if copied := _copied(leads, power, derived=ready.derived):
        flags.append(Flag.COPIED_LEAD)
        suspects |= copied
    if not suspects and len(leads) == len(STANDARD_LEADS) and _is_reversed(power):
        flags.append(Flag.SUSPECTED_REVERSAL)
        suspects |= set(LIMB_LEADS)
    return LeadFindings(flags=tuple(flags), suspects=frozenset(suspects))


def _is_large(samples: NDArray[np.float32]) -> bool:
    """Return whether most leads span more than ``MAX_AMPLITUDE_MV``, but for their rarest samples."""
    if float(np.median(samples.max(axis=1) - samples.min(axis=1))) <= _CERTAIN * MAX_AMPLITUDE_MV:
        return False  # all samples span no less than most of them
    low, high = np.percentile(samples, CENTRAL, axis=1)
    return float(np.median(high - low)) > MAX_AMPLITUDE_MV


def _products(samples: NDArray[np.float32], *, fs: float) -> NDArray[np.float64]:
    """Return sums of the products of any two leads in ``BAND_HZ``, shape (n_leads, n_leads)."""
    freqs = np.fft.rfftfreq(samples.shape[1], 1 / fs)
    centred = samples.astype(np.float64) - samples.mean(axis=1, keepdims=True, dtype=np.float64)
    spectrum = np.fft.rfft(centred, axis=1)[:, (freqs >= BAND_HZ[0]) & (freqs <= BAND_HZ[1])]
    return np.asarray((spectrum @ spectrum.conj().T).real)


def limb_residual(power: NDArray[np.float64], limb: list[str]) -> float:
    """Return what of these limb leads contradicts the rule, as a share of all of them; ``power`` has one row and column a lead."""
    return float(np.sqrt(max(float((_against(tuple(limb)) * power).sum()), 0.0) / max(float(np.trace(power)), 1e-30)))


@lru_cache(maxsize=64)
def _against(limb: tuple[str, ...]) -> NDArray[np.float64]:
    """Return what takes off limb leads all that two of them explain, shape (n_leads, n_leads)."""
    basis = np.array([FROM_I_AND_II[lead] for lead in limb])
    return np.asarray(np.eye(len(limb)) - basis @ np.linalg.pinv(basis))


def _contradiction(leads: list[str], power: NDArray[np.float64]) -> set[str] | None:
    """Return the leads to distrust if one is turned, exchanged or foreign; empty if only scales differ; None if nothing is wrong."""
    limb = [lead for lead in LIMB_LEADS if lead in leads]
    if len(limb) < 3:  # noqa: PLR2004 - two leads cannot contradict each other
        return None
    at = [leads.index(lead) for lead in limb]
    found = limb_residual(power[np.ix_(at, at)], limb)
    if found <= MAX_RESIDUAL:
        return None
    explained: dict[frozenset[str], float] = {}
    for lead in limb:
        sign = np.array([-1.0 if other == lead else 1.0 for other in limb])
        explained[frozenset([lead])] = limb_residual(power[np.ix_(at, at)] * np.outer(sign, sign), limb)
    for lead, other in combinations(leads, 2):
        if lead in limb:
            order = [leads.index({lead: other, other: lead}.get(one, one)) for one in limb]
            explained[frozenset([lead, other])] = limb_residual(power[np.ix_(order, order)], limb)
    if found > FOREIGN and len(limb) > 3:  # noqa: PLR2004 - with one less, three are left to be compared
        for lead in limb:
            rest = [one for one in limb if one != lead]
            kept = [leads.index(one) for one in rest]
            explained[frozenset([lead])] = min(explained[frozenset([lead])], limb_residual(power[np.ix_(kept, kept)], rest))
    best = min(explained.values())
    if best * EXPLAINED < found:
        # with three limb leads, several explanations fit as well: none of the leads can be believed then
        return set().union(*(who for who, residual in explained.items() if residual <= max(1.5 * best, MAX_RESIDUAL / EXPLAINED)))
    return set()  # noise in several leads, or other scales: their quality is assessed separately


def _copied(leads: list[str], power: NDArray[np.float64], *, derived: tuple[str, ...]) -> set[str]:
    """Return pairs of stored leads with one signal."""
    stored = np.array([lead not in derived for lead in leads])
    own = np.diagonal(power)
    apart = own[:, None] + own - 2 * power
    alike = np.triu(apart <= MAX_COPY**2 * np.minimum(own[:, None], own), 1) & stored[:, None] & stored
    return {leads[at] for pair in zip(*np.nonzero(alike), strict=True) for at in pair}


def _is_reversed(power: NDArray[np.float64]) -> bool:
    """Return whether the limb leads (the first six of twelve rows and columns) fit the chest leads far better with electrodes exchanged.

    After Kors and van Herpen, J. Electrocardiol. 34 Suppl., 2001: the chest leads predict the limb leads.
    """
    limb, across, chest = power[:2, :2], power[:2, 6:] @ _PREDICTED, power[6:, 6:]
    predicted = float(np.einsum("ja,jk,ka->", _PREDICTED, chest, _PREDICTED))

    def fit(turn: NDArray[np.floating]) -> float:
        size = float(np.einsum("ab,bc,ac->", turn, limb, turn)) * predicted
        return float(np.einsum("ab,ba->", turn, across)) / float(np.sqrt(max(size, 1e-30)))

    return max(map(fit, _TURNED_BACK)) - fit(np.eye(2)) > REVERSAL_MARGIN
