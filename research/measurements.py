"""Here: how near the measured intervals are to those that cardiologists marked in LUDB. Not here: measuring (``signals.measurements``).

``python -m research.measurements FOLDER --half tune`` reads recordings 1 to 50, by which levels and shifts were chosen; ``--half judge``
reads 51 to 100, which were looked at when all was chosen. FOLDER holds ``1.hea``, ``1.dat`` and a file of marks for each lead, ``1.i`` to
``1.v6``. ``--neurokit`` measures with NeuroKit2's delineation instead, which is in no lock: run it with a Python that has it.

The gains in LUDB's headers scale each lead to a range of 1 mV, so the leads contradict one another. The stored numbers do not: II is
I + III to the last digit, and their size is that of microvolts. So a step is taken to be 1 µV; ``--gains`` takes the headers' gains.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import wfdb
from numpy.typing import NDArray

from ecg_tasks.signals.measurements import measure
from ecg_tasks.signals.record import STANDARD_LEADS, Record

HALVES = MappingProxyType({"tune": range(1, 51), "judge": range(51, 101)})
FIGURES = MappingProxyType({"rate_bpm": 1.0, "qrs_ms": 10.0, "pr_ms": 12.0, "qt_ms": 15.0})
"""The figures that LUDB's marks give, and the largest mean absolute error that is wanted."""
ENOUGH_LEADS = 6
"""Leads in which a wave must be marked to count."""
ONE_WAVE_MS, ONE_WAVE_IN_ALL_MS = 120.0, 240.0
"""Peaks of one wave in two leads are no farther apart than this, one after the other, and all together."""
LONGEST_PR_MS = 400.0
Measured = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Wave:
    """A wave over all leads, ms: earliest begin, latest end, and the median of the peaks."""

    begin: float
    peak: float
    end: float


def marked_waves(path: Path, kind: str) -> list[Wave]:
    """Return the waves of one kind (``p``, ``N`` for QRS, ``t``), in their order."""
    marks: list[tuple[float, float, float]] = []
    for lead in STANDARD_LEADS:
        begin = peak = None
        for at, symbol in _marks(path, lead):
            if symbol == "(":
                begin, peak = at, None
            elif symbol != ")":
                peak = at if symbol == kind else None
            else:
                if begin is not None and peak is not None:
                    marks.append((peak, begin, at))
                begin = peak = None
    groups: list[list[tuple[float, float, float]]] = []
    for mark in sorted(marks):
        near = groups and mark[0] - groups[-1][-1][0] <= ONE_WAVE_MS and mark[0] - groups[-1][0][0] <= ONE_WAVE_IN_ALL_MS
        groups[-1:] = [[*groups[-1], mark]] if near else [*groups[-1:], [mark]]
    kept = [np.array(group) for group in groups if len(group) >= ENOUGH_LEADS]
    return [Wave(begin=one[:, 1].min(), peak=float(np.median(one[:, 0])), end=one[:, 2].max()) for one in kept]


@cache
def _marks(path: Path, lead: str) -> list[tuple[float, str]]:
    """Return the marks of one lead: ms, and the symbol. wfdb takes longer to read them than a recording takes to be measured."""
    found = wfdb.rdann(str(path), lead.lower())
    return [(1000 * sample / found.fs, symbol) for sample, symbol in zip(found.sample.tolist(), found.symbol, strict=True)]


def reference(path: Path) -> Measured:
    """Return what the marks of a recording say: the median over its beats of each interval over all leads; NaN where none is marked."""
    p_waves, complexes, t_waves = (marked_waves(path, kind) for kind in "pNt")
    pr, qt = [], []
    for at, qrs in enumerate(complexes):
        before = complexes[at - 1].begin if at else -np.inf
        after = complexes[at + 1].begin if at + 1 < len(complexes) else np.inf
        pr += [qrs.begin - wave.begin for wave in p_waves if max(before, qrs.begin - LONGEST_PR_MS) < wave.begin < qrs.begin][-1:]
        qt += [wave.end - qrs.begin for wave in t_waves if qrs.end <= wave.end < after][-1:]
    rr = np.diff([qrs.peak for qrs in complexes])
    return {
        "rate_bpm": 60_000 / float(np.median(rr)) if len(rr) else np.nan,
        "qrs_ms": float(np.median([qrs.end - qrs.begin for qrs in complexes])) if complexes else np.nan,
        "pr_ms": float(np.median(pr)) if pr else np.nan,
        "qt_ms": float(np.median(qt)) if qt else np.nan,
    }


def read(path: Path, *, gains: bool) -> Record:
    """Return a recording in mV: a step of the stored numbers is 1 µV, or what the header's gains say."""
    found = wfdb.rdrecord(str(path), physical=gains)
    samples = found.p_signal if gains else found.d_signal / 1000
    leads = [name.lower() for name in found.sig_name]
    rows = [leads.index(lead.lower()) for lead in STANDARD_LEADS]
    return Record(samples=samples.T[rows].astype(np.float32), fs=float(found.fs), leads=STANDARD_LEADS, unit="mV", name=path.name)


def by_median_beat(record: Record) -> Measured:
    """Measure as the program does."""
    found = measure(record)
    return {name: getattr(found, name) for name in FIGURES}


def by_neurokit(record: Record, *, middle: bool) -> Measured:
    """Measure by NeuroKit2's discrete wavelet delineation of each lead, in the median over the beats, as `reference` does.

    R peaks are those of lead II. Bounds of a beat are the earliest and the latest over the leads, or their median where ``middle`` is asked
    for.
    """
    import neurokit2 as nk  # type: ignore[import-not-found]

    fs = int(record.fs)
    cleaned = [nk.ecg_clean(lead, sampling_rate=fs) for lead in record.samples.astype(float)]
    peaks = nk.ecg_peaks(cleaned[STANDARD_LEADS.index("II")], sampling_rate=fs)[1]["ECG_R_Peaks"]
    found = {name: np.full((len(cleaned), len(peaks)), np.nan) for name in ("P_Onsets", "R_Onsets", "R_Offsets", "T_Offsets")}
    for row, lead in enumerate(cleaned):
        try:
            waves = nk.ecg_delineate(lead, peaks, sampling_rate=fs, method="dwt")[1]
        except (ValueError, IndexError, ZeroDivisionError):  # of leads in which it finds too little
            continue
        for name, values in found.items():
            values[row] = np.array(waves[f"ECG_{name}"], dtype=float) * 1000 / fs
    first, last = (np.nanmedian, np.nanmedian) if middle else (np.nanmin, np.nanmax)
    p_on, qrs_on = first(found["P_Onsets"], axis=0), first(found["R_Onsets"], axis=0)
    qrs_off, t_off = last(found["R_Offsets"], axis=0), last(found["T_Offsets"], axis=0)
    return {
        "rate_bpm": 60 * fs / float(np.median(np.diff(peaks))),
        "qrs_ms": float(np.nanmedian(qrs_off - qrs_on)),
        "pr_ms": float(np.nanmedian(qrs_on - p_on)),
        "qt_ms": float(np.nanmedian(t_off - qrs_on)),
    }


@dataclass(frozen=True, kw_only=True)
class IntervalErrors:
    """How near the measured values are to the marked ones: errors in the figure's unit, of those that have both."""

    errors: NDArray[np.float64]
    n_marked: int
    n_unmarked: int
    """Values that were measured where nothing is marked."""

    @property
    def mean_absolute(self) -> float:
        """The mean absolute error."""
        return float(np.abs(self.errors).mean())

    @property
    def share_measured(self) -> float:
        """The share of the marked recordings that were measured."""
        return len(self.errors) / self.n_marked


def compare(
    folder: Path, numbers: Sequence[int], *, gains: bool, by: Callable[[Record], Measured] = by_median_beat
) -> dict[str, IntervalErrors]:
    """Measure recordings, and compare each figure with its marks."""
    marked = [reference(folder / str(number)) for number in numbers]
    found = [by(read(folder / str(number), gains=gains)) for number in numbers]
    return {name: _interval_errors(*(np.array([one[name] for one in values]) for values in (found, marked))) for name in FIGURES}


def _interval_errors(found: NDArray[np.float64], marked: NDArray[np.float64]) -> IntervalErrors:
    has = ~np.isnan(marked)
    errors = (found - marked)[has & ~np.isnan(found)]
    return IntervalErrors(errors=errors, n_marked=int(has.sum()), n_unmarked=int((~has & ~np.isnan(found)).sum()))


def lines(found: Mapping[str, IntervalErrors]) -> Iterator[str]:
    """Yield a table, a line a figure."""
    yield "| | mean absolute error | wanted | bias | spread | median error | measured of marked | measured, not marked |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, one in found.items():
        e = one.errors
        figures = f"{one.mean_absolute:.2f} | {FIGURES[name]:g} | {e.mean():+.2f} | {e.std():.2f} | {np.median(e):+.2f}"
        yield f"| {name} | {figures} | {len(e)} of {one.n_marked} | {one.n_unmarked} |"


def main() -> None:
    """Print the table of one half."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=HALVES, default="tune")
    parser.add_argument("--gains", action="store_true", help="take the headers' gains")
    parser.add_argument("--neurokit", choices=("outermost", "middle"), help="measure with NeuroKit2, over all leads or in their median")
    asked = parser.parse_args()
    begin = time.process_time()
    by = partial(by_neurokit, middle=asked.neurokit == "middle") if asked.neurokit else by_median_beat
    found = compare(asked.folder, HALVES[asked.half], gains=asked.gains, by=by)
    print("\n".join(lines(found)))
    print(f"{time.process_time() - begin:.1f} s of a processor, reading included")


if __name__ == "__main__":
    main()
