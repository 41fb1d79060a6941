"""Here: leads that contradict one another, copied leads, electrodes that were probably exchanged, and amplitudes that no ECG has.

All of it is seen in the matrix of the leads' products between 1 and 40 Hz, where wander and noise do not show. Not here: noise and other
faults of single windows (``quality``), or the arithmetic of the limb leads (``limb_leads``).

The bounds were set on 6,548 recordings of PTB-XL at 100 Hz (folds 1 to 3), 353 at 500 Hz and 100 of LUDB, whose leads are scaled singly.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals.flags import Flag
from ecg_tasks.signals.limb_leads import FROM_I_AND_II, LIMB_LEADS
from ecg_tasks.signals.middle import median_along
from ecg_tasks.signals.preparing import MIN_STRETCH_S, Prepared, fill, prepare
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
_AT_ONCE = 16
"""Recordings that are looked at together: what is computed of them stays in a processor's cache."""

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
_TURNED_BACK = np.array([np.eye(2), *map(np.linalg.inv, _EXCHANGES.values())])
"""From what was recorded to the true I and II: first nothing exchanged, then each exchange."""


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


def leads_checked(records: Sequence[Record]) -> list[LeadFindings]:
    """Look once at the leads of recordings, as they are stored."""
    unknown = [record for record in records if _NAME not in record.known]
    for start in range(0, len(unknown), _AT_ONCE):
        some = unknown[start : start + _AT_ONCE]
        for record, found in zip(some, check_leads([prepare(record) for record in some]), strict=True):
            record.known[_NAME] = found
    return [record.known[_NAME] for record in records]


def check_leads(ready: Sequence[Prepared]) -> list[LeadFindings]:
    """Look for leads that cannot be what their names say; recordings of one lead have little to look at.

    Recordings of one rate, length and leads go together, and each gets what it gets alone. A gap of one limb lead counts as one of all
    leads where five seconds are left: filled in that lead alone, it would contradict the others.
    """
    found = [LeadFindings()] * len(ready)
    alike: dict[tuple[float, int, tuple[str, ...], tuple[str, ...]], list[int]] = defaultdict(list)
    for at, one in enumerate(ready):
        leads = tuple(lead for lead in STANDARD_LEADS if lead in one.record.leads and lead not in one.silent)
        if leads and not one.record.is_heartbeat:
            alike[one.record.fs, min(one.record.n_samples, round(LOOKED_AT_S * one.record.fs)), leads, one.derived].append(at)
    for (fs, n_samples, leads, derived), places in alike.items():
        samples = np.stack([_samples(ready[at], leads, n_samples) for at in places])
        for at, findings in zip(places, _found(samples, fs=fs, leads=leads, derived=derived), strict=True):
            found[at] = findings
    return found


def _samples(ready: Prepared, leads: tuple[str, ...], n_samples: int) -> NDArray[np.float32]:
    """Return the first samples of these leads, shape (n_leads, n_samples), with straight lines in all where a limb lead has a gap."""
    samples = ready.record.samples[[ready.record.leads.index(lead) for lead in leads], :n_samples]
    if masks := [ready.gaps[lead][:n_samples] for lead in LIMB_LEADS if lead in ready.gaps]:
        valid = ~np.logical_or.reduce(masks)
        if np.count_nonzero(valid) >= MIN_STRETCH_S * ready.record.fs:
            for row in samples:
                fill(row, valid)
    return samples


def _found(samples: NDArray[np.float32], *, fs: float, leads: tuple[str, ...], derived: Sequence[str]) -> Iterator[LeadFindings]:
    """Yield what is found in each recording of samples (n, n_leads, n_samples)."""
    power = _products(samples, fs=fs)
    stored = [lead for lead in leads if lead not in derived]
    rows = [leads.index(lead) for lead in stored]
    power_stored = power[:, rows][:, :, rows]
    large, contradict, alike = _is_large(samples), _contradict(stored, power_stored), _alike(power_stored)
    turned = _is_reversed(power) if len(leads) == len(STANDARD_LEADS) else np.zeros(len(power), bool)
    ordinary = ~(large | contradict | alike.any(axis=(1, 2)) | turned)
    for at in range(len(power)):
        if ordinary[at]:
            yield LeadFindings()
            continue
        flags = [Flag.LARGE_AMPLITUDE] if large[at] else []
        suspects: set[str] = set()
        if contradict[at]:
            suspects |= _contradiction(stored, power_stored[at])
            flags.append(Flag.LEADS_CONTRADICT if suspects else Flag.LEADS_DISAGREE)
        if alike[at].any():
            flags.append(Flag.COPIED_LEAD)
            suspects |= {stored[one] for pair in zip(*np.nonzero(alike[at]), strict=True) for one in pair}
        if turned[at] and not suspects:
            flags.append(Flag.SUSPECTED_REVERSAL)
            suspects |= set(LIMB_LEADS)
        yield LeadFindings(flags=tuple(flags), suspects=frozenset(suspects))


def _is_large(samples: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return whether most leads of each recording span more than ``MAX_AMPLITUDE_MV``, but for their rarest samples."""
    large = median_along(samples.max(axis=2) - samples.min(axis=2)) > _CERTAIN * MAX_AMPLITUDE_MV  # all samples span no less than most
    for at in np.flatnonzero(large):
        low, high = np.percentile(samples[at], CENTRAL, axis=1)
        large[at] = np.median(high - low) > MAX_AMPLITUDE_MV
    return large


def _products(samples: NDArray[np.float32], *, fs: float) -> NDArray[np.float64]:
    """Return sums of the products of any two leads in ``BAND_HZ``, shape (n, n_leads, n_leads)."""
    from scipy.fft import rfft  # in single precision twice as quick, and far finer than any bound

    freqs = np.fft.rfftfreq(samples.shape[2], 1 / fs)
    band = slice(np.searchsorted(freqs, BAND_HZ[0]), np.searchsorted(freqs, BAND_HZ[1], side="right"))
    spectrum = rfft(samples - samples.mean(axis=2, keepdims=True))[..., band]
    parts = spectrum.astype(np.complex128).view(np.float64)  # real and imaginary ones: the real part of products with conjugates
    return np.asarray(parts @ parts.swapaxes(1, 2))


def limb_residual(power: NDArray[np.float64], limb: list[str]) -> float:
    """Return what of these limb leads contradicts the rule, as a share of all of them; ``power`` has one row and column a lead."""
    return float(_residuals(power, limb))


def _residuals(power: NDArray[np.float64], limb: list[str]) -> NDArray[np.float64]:
    """Return the same of each recording, of powers (..., n_leads, n_leads)."""
    against = (_against(tuple(limb)) * power).sum(axis=(-2, -1))
    return np.asarray(np.sqrt(np.maximum(against, 0.0) / np.maximum(np.trace(power, axis1=-2, axis2=-1), 1e-30)))


@lru_cache(maxsize=64)
def _against(limb: tuple[str, ...]) -> NDArray[np.float64]:
    """Return what takes off limb leads all that two of them explain, shape (n_leads, n_leads)."""
    basis = np.array([FROM_I_AND_II[lead] for lead in limb])
    return np.asarray(np.eye(len(limb)) - basis @ np.linalg.pinv(basis))


def _contradict(leads: list[str], power: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether the limb leads of each recording contradict one another; two cannot."""
    limb = [lead for lead in LIMB_LEADS if lead in leads]
    at = [leads.index(lead) for lead in limb]
    enough = len(limb) > 2  # noqa: PLR2004
    return _residuals(power[:, at][:, :, at], limb) > MAX_RESIDUAL if enough else np.zeros(len(power), bool)


def _contradiction(leads: list[str], power: NDArray[np.float64]) -> set[str]:
    """Return the leads to distrust if one is turned, exchanged or foreign; none if only scales differ."""
    limb = [lead for lead in LIMB_LEADS if lead in leads]
    at = [leads.index(lead) for lead in limb]
    found = limb_residual(power[np.ix_(at, at)], limb)
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


def _alike(power: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which two leads of each recording hold one signal, shape (n, n_leads, n_leads); each pair once."""
    own = np.diagonal(power, axis1=1, axis2=2)
    one, other = own[:, :, None], own[:, None]
    return np.triu(one + other - 2 * power <= MAX_COPY**2 * np.minimum(one, other), 1)


def _is_reversed(power: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether the limb leads (the first six of twelve rows and columns) fit the chest leads far better with electrodes exchanged.

    After Kors and van Herpen, J. Electrocardiol. 34 Suppl., 2001: the chest leads predict the limb leads.
    """
    limb, across, chest = power[:, :2, :2], power[:, :2, 6:] @ _PREDICTED, power[:, 6:, 6:]
    predicted = np.einsum("ja,njk,ka->n", _PREDICTED, chest, _PREDICTED)
    size = np.einsum("tab,nbc,tac->nt", _TURNED_BACK, limb, _TURNED_BACK) * predicted[:, None]
    fit = np.einsum("tab,nba->nt", _TURNED_BACK, across) / np.sqrt(np.maximum(size, 1e-30))
    return np.asarray(fit[:, 1:].max(axis=1) - fit[:, 0] > REVERSAL_MARGIN)
