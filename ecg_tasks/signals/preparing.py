"""Here: a stored recording made ready to be cut into windows: leads found, turned and derived, gaps filled, the end padded.

Nothing of this is stored or enters a record's id. An ordinary recording (twelve leads, finite, ten seconds or more) stays the same
object. Not here: windows (``windowing``), names (``lead_names``), or leads that contradict one another (``lead_checks``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals.flags import Flag
from ecg_tasks.signals.lead_names import lead_meant
from ecg_tasks.signals.limb_leads import LIMB_LEADS, derive, pair_of
from ecg_tasks.signals.record import STANDARD_LEADS, Record
from ecg_tasks.signals.resampling import resampled_size

WINDOW_S = 10.0
"""Seconds of a recording that are assessed, and whose beats are scaled, together."""
MIN_STRETCH_S = 5.0
"""Seconds without a gap that are enough where there are no ten."""
PADDED_SHARE = 0.01
"""A recording that is short of a window by this share of it at most is padded."""
MAX_GAP_S = 0.04
"""Invalid samples over at most this many seconds are filled: a small box on ECG paper, half a QRS complex."""

_ORDINARY = "preparing"
_Float = TypeVar("_Float", np.float32, np.float64)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Seconds of a recording that become one window."""

    start_s: float
    length_s: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A recording ready to be cut, and what was done to it.

    Parameters
    ----------
    record : finite samples under standard names; its ``record_id`` is not the stored one
    stored_s : s, length before padding
    gaps : of each lead with longer gaps, where these are, shape (n_samples,); filled in ``record``
    silent : leads without any signal: flat throughout, or invalid
    derived : leads that were computed from two others
    turned : leads that are stored upside down
    interpolated : leads with short gaps that were filled
    """

    record: Record
    stored_s: float
    gaps: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()
    derived: tuple[str, ...] = ()
    turned: tuple[str, ...] = ()
    interpolated: tuple[str, ...] = ()

    @property
    def is_padded(self) -> bool:
        """Whether the last value was held to make ten seconds full."""
        return self.record.duration_s > self.stored_s

    def has(self, leads: Sequence[str]) -> bool:
        """Return whether each of these leads is there and carries a signal."""
        return set(leads) <= set(self.record.leads) - self.silent

    def stretches(self, leads: Sequence[str], *, fs: float, window_s: float = WINDOW_S) -> tuple[Stretch, ...]:
        """Return what can be read of these leads: whole windows, one after the other, without a gap in any of the leads.

        Where there is none, it is the longest part without a gap, if that lasts ``MIN_STRETCH_S``.

        Parameters
        ----------
        leads : leads that are needed
        fs : rate in Hz that the recording will be resampled to
        window_s : length of a whole window, s
        """
        n_windows = int(resampled_size(self.record.n_samples, fs=self.record.fs, target_fs=fs) // round(window_s * fs))
        if self.record.duration_s < window_s:
            n_windows = 0
        masks = [self.gaps[lead] for lead in leads if lead in self.gaps]
        if n_windows and not masks:
            return tuple(Stretch(start_s=at * window_s, length_s=window_s) for at in range(n_windows))
        missing = np.logical_or.reduce(masks) if masks else np.zeros(self.record.n_samples, dtype=bool)
        bounds = np.rint(np.arange(n_windows + 1) * window_s * self.record.fs).astype(np.int64)
        whole = [at for at in range(n_windows) if not missing[bounds[at] : bounds[at + 1]].any()]
        if whole:
            return tuple(Stretch(start_s=at * window_s, length_s=window_s) for at in whole)
        first, last = max(_runs(~missing).tolist(), key=lambda run: (run[1] - run[0], -run[0]), default=(0, 0))
        length_s = min((last - first) / self.record.fs, window_s)
        return (Stretch(start_s=first / self.record.fs, length_s=length_s),) if length_s >= MIN_STRETCH_S else ()

    def flags(self, leads: Sequence[str], read: Sequence[Stretch], *, window_s: float = WINDOW_S) -> list[Flag]:
        """Return the flags of the recording where these leads were read over these stretches."""
        holds_by_flag = {
            Flag.DERIVED_LEADS: not set(leads).isdisjoint(self.derived),
            Flag.TURNED_LEAD: not set(leads).isdisjoint(self.turned),
            Flag.INTERPOLATED: not set(leads).isdisjoint(self.interpolated),
            Flag.GAP: not set(leads).isdisjoint(self.gaps),
            Flag.PADDED: self.is_padded,
            Flag.SHORT: any(stretch.length_s < window_s for stretch in read),
            Flag.PARTLY_READ: self.stored_s - sum(stretch.length_s for stretch in read) > PADDED_SHARE * window_s,
            Flag.LEAD_OFF: not self.silent.isdisjoint(STANDARD_LEADS),
        }
        return [flag for flag, holds in holds_by_flag.items() if holds]


def seconds_read(read: Sequence[Stretch], *, stored_s: float) -> str:
    """Return the seconds that were read, in words; neighbouring windows are joined.

    >>> seconds_read([Stretch(start_s=0, length_s=10), Stretch(start_s=10, length_s=10)], stored_s=25)
    '0-20 of 25 s'
    >>> seconds_read([], stored_s=25)
    'none of 25 s'
    """
    joined: list[list[float]] = []
    for stretch in read:
        end_s = min(stretch.start_s + stretch.length_s, stored_s)
        if joined and round(joined[-1][1] - stretch.start_s, 6) == 0:
            joined[-1][1] = end_s
        else:
            joined.append([stretch.start_s, end_s])
    spans = " and ".join(f"{_seconds(start_s)}-{_seconds(end_s)}" for start_s, end_s in joined)
    return f"{spans or 'none'} of {_seconds(stored_s)} s"


def _seconds(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def prepare(record: Record, *, leads: Sequence[str] = STANDARD_LEADS) -> Prepared:
    """Make a stored recording ready; a heartbeat row and an ordinary recording stay as they are.

    Each standard lead is the first signal whose name means it. A gap of at most ``MAX_GAP_S`` is filled with a straight line, at an
    end with the value beside it. Limb leads that are missing, or silent, are computed from the first two that are there. Seconds at
    the end in which every lead is invalid are cut off. What is then up to ``PADDED_SHARE`` short of ten seconds is padded with its
    last value.

    Parameters
    ----------
    record : as it is stored
    leads : the leads that are wanted; others may be left out, and are not computed, which a recording of a day takes much memory for
    """
    if record.is_heartbeat:
        return Prepared(record=record, stored_s=record.duration_s)
    if (known := record.known.get(_ORDINARY)) is not None:
        return Prepared(record=record, stored_s=record.duration_s, silent=known)
    found = _found(record.leads)
    rows = [row for row, _ in found.values()]
    part = record.samples if rows == list(range(len(record.leads))) else record.samples[rows]
    low, high = (part.min(axis=1), part.max(axis=1)) if part.size else (np.full(len(part), np.nan),) * 2
    is_finite = bool(np.isfinite(low).all() and np.isfinite(high).all())  # one that is not shows in either
    finite = np.broadcast_to(np.True_, part.shape) if is_finite else np.isfinite(part)
    del part  # of a day it is large
    signals = {lead: record.samples[row] if sign > 0 else -record.samples[row] for lead, (row, sign) in found.items()}
    if is_finite:
        silent = {lead for lead, is_level in zip(signals, low == high, strict=True) if is_level}
    else:
        silent = {lead for at, (lead, signal) in enumerate(signals.items()) if _is_silent(signal, finite[at])}
    pair = pair_of(signals.keys() - silent) or ()
    lacking = [lead for lead in LIMB_LEADS if lead in leads and (lead not in signals or lead in silent)] if pair else []
    by_own_name = all(record.leads[row] == lead for lead, (row, _) in found.items())
    if is_finite and by_own_name and not lacking and record.duration_s >= WINDOW_S:
        if set(LIMB_LEADS) <= signals.keys() - silent or not pair:  # nor would any other lead be lacking
            record.known[_ORDINARY] = frozenset(silent)
        return Prepared(record=record, stored_s=record.duration_s, silent=frozenset(silent))
    return _repaired(record, found=found, signals=signals, finite=finite, silent=silent, pair=pair, wanted=leads, lacking=lacking)


def _repaired(
    record: Record,
    *,
    found: Mapping[str, tuple[int, int]],
    signals: Mapping[str, NDArray[np.float32]],
    finite: NDArray[np.bool_],
    silent: set[str],
    pair: Sequence[str],
    wanted: Sequence[str],
    lacking: Sequence[str],
) -> Prepared:
    """Return a recording that is not ordinary, with what was done to it; the parameters are what `prepare` found."""
    n_samples = int(np.flatnonzero(finite.any(axis=0))[-1]) + 1 if finite.any() else record.n_samples
    n_padding = _padding(n_samples, fs=record.fs)
    kept = [lead for lead in STANDARD_LEADS if lead in lacking or (lead in signals and (lead in wanted or (lacking and lead in pair)))]
    samples = np.empty((len(kept), n_samples + n_padding), np.float32)
    rows = dict(zip(kept, samples[:, :n_samples], strict=True))
    gaps: dict[str, NDArray[np.bool_]] = {}
    interpolated = []
    for at, (lead, signal) in enumerate(signals.items()):
        if lead not in rows:
            continue
        valid = finite[at, :n_samples]
        rows[lead][:] = signal[:n_samples]
        fill(rows[lead], valid)
        if valid.all() or lead in silent:
            continue
        longer = _longer(~valid, MAX_GAP_S * record.fs + 1e-9)
        if (~valid & ~longer).any():
            interpolated.append(lead)
        if longer.any():
            gaps[lead] = longer
    for lead in lacking:
        rows[lead][:] = derive(lead, pair, [rows[one] for one in pair])
        if masks := [gaps[one] for one in pair if one in gaps]:
            gaps[lead] = np.logical_or.reduce(masks)
    samples[:, n_samples:] = samples[:, n_samples - 1 : n_samples]
    return Prepared(
        record=replace(record, samples=samples, leads=tuple(kept)),
        stored_s=n_samples / record.fs,
        gaps={lead: np.pad(mask, (0, n_padding)) for lead, mask in gaps.items()},
        silent=frozenset(silent.difference(lacking)),
        derived=tuple(lacking),
        turned=tuple(lead for lead, (_, sign) in found.items() if sign < 0 and lead in kept and lead not in lacking),
        interpolated=tuple(interpolated),
    )


def filled(signal: NDArray[_Float], valid: NDArray[np.bool_]) -> NDArray[_Float]:
    """Return the signal, shape (n_samples,), with straight lines where it is not valid, level at its ends; zero where nothing is."""
    if valid.all():
        return signal
    copy = signal.copy()
    fill(copy, valid)
    return copy


def fill(signal: NDArray[_Float], valid: NDArray[np.bool_]) -> None:
    """Change a signal to what `filled` returns."""
    if valid.all():
        return
    beside = np.zeros_like(valid)  # the valid samples next to the others: between two of them the line is the same as between all
    beside[1:] |= ~valid[:-1]
    beside[:-1] |= ~valid[1:]
    beside &= valid
    signal[~valid] = np.interp(np.flatnonzero(~valid), np.flatnonzero(beside), signal[beside]) if valid.any() else 0


def _longer(mask: NDArray[np.bool_], n_samples: float) -> NDArray[np.bool_]:
    """Return the mask with those runs of True alone that have more samples than these."""
    runs = _runs(mask)
    longer = np.zeros_like(mask)
    for start, end in runs[np.diff(runs)[:, 0] > n_samples].tolist():
        longer[start:end] = True
    return longer


def _runs(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return where the runs of True in a mask begin, and where they end, shape (n_runs, 2)."""
    return np.flatnonzero(np.diff(np.r_[False, mask, False])).reshape(-1, 2)


def _found(names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return the row and sign of each standard lead: by its own name, or else by the first name that means it, upright before inverted."""
    found = {name: (row, 1) for row, name in enumerate(names) if name in STANDARD_LEADS}
    if len(found) < len(names):
        meant = [(row, one) for row, name in enumerate(names) if name not in STANDARD_LEADS and (one := lead_meant(name))]
        for row, one in sorted(meant, key=lambda pair: pair[1].turned):
            found.setdefault(one.lead, (row, -1 if one.turned else 1))
    return found


def _is_silent(signal: NDArray[np.float32], finite: NDArray[np.bool_]) -> bool:
    values = signal if finite.all() else signal[finite]
    return values.size == 0 or float(np.ptp(values)) == 0


def _padding(n_samples: int, *, fs: float) -> int:
    wanted = int(np.ceil(WINDOW_S * fs))
    return wanted - n_samples if (1 - PADDED_SHARE) * wanted <= n_samples < wanted else 0
