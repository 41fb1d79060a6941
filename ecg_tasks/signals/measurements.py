"""Here: rate, PR, QRS, QT, QTc, axis and regularity of a recording, or why they are not measurable. Not here: where waves begin and end.

Nothing of it is a diagnosis, and no decision of a model depends on it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.signals.delineation import Bounds, bounds
from ecg_tasks.signals.lead_checks import MAX_RESIDUAL, limb_residual
from ecg_tasks.signals.limb_leads import FROM_I_AND_II, LIMB_LEADS
from ecg_tasks.signals.middle import quartiles_of
from ecg_tasks.signals.preparing import Prepared, prepare
from ecg_tasks.signals.record import STANDARD_LEADS, Record
from ecg_tasks.signals.typical_beat import MIN_FS, TypicalBeat, typical_beats

METHOD = "median-beat-1"
"""Names how values are measured. A change that changes values gets the next number: then all records are measured again."""
VALUES = ("rate_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_fridericia_ms", "qtc_bazett_ms", "axis_deg")
ALL = "all"
MIN_INTERVALS = 4
"""R-R intervals by which regularity can be told."""
IRREGULAR = 0.1
"""Where the middle half of the R-R intervals spans more than this share of their median, the rhythm is irregular. One extrasystole does
not make it so. Of LUDB's recordings 1 to 50 these are two of three with atrial fibrillation, the one with sinus arrhythmia, and one with
many extrasystoles."""
_AT_ONCE = 128
"""Recordings that are measured together: those with as many beats share every step, and all of them what follows."""
MIN_NET = 0.1
"""A net area of the QRS complexes in I and aVF below this share of all their area points nowhere."""


class Rhythm(StrEnum):
    """Whether the beats come in even steps. The values are stored and shown, so they never change."""

    REGULAR = "regular"
    IRREGULAR = "irregular"


class NotMeasurable(StrEnum):
    """Why something is not measurable. The values are stored, so they never change."""

    ONE_BEAT = "one_beat"
    LOW_RATE = "low_rate"
    NO_STRETCH = "no_stretch"
    FEW_BEATS = "few_beats"
    NO_P = "no_p"
    NO_T = "no_t"
    IRREGULAR = "irregular"
    LIMB_LEADS = "limb_leads"
    NO_NET = "no_net"


SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        NotMeasurable.ONE_BEAT: "the row has a single beat, without its scale in mV",
        NotMeasurable.LOW_RATE: f"fewer than {MIN_FS:.0f} samples a second",
        NotMeasurable.NO_STRETCH: "no five seconds of signal without a gap",
        NotMeasurable.FEW_BEATS: "fewer than three beats of one shape, or two R-R intervals",
        NotMeasurable.NO_P: "no P wave at the same place in most beats",
        NotMeasurable.NO_T: "no T wave at the same place in most beats",
        NotMeasurable.IRREGULAR: "the rhythm is irregular",
        NotMeasurable.LIMB_LEADS: "limb leads are missing, or do not add up",
        NotMeasurable.NO_NET: "the QRS complexes in I and aVF have no net direction",
    }
)
"""What each reason says to a person."""


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """What was measured; NaN, or an empty rhythm, is not measurable, and ``why`` has the reason under the name of the value.

    Parameters
    ----------
    rate_bpm : beats a minute, from the median R-R interval of all beats
    pr_ms, qrs_ms, qt_ms : of the median beat, from the earliest begin to the latest end over all leads
    qtc_fridericia_ms, qtc_bazett_ms : QT divided by the cube root, or the square root, of the median R-R interval in s
    axis_deg : electrical axis of the QRS complex in the frontal plane, above -180 to 180; 0 is lead I, 90 is aVF
    rhythm : a value of `Rhythm`
    """

    rate_bpm: float = np.nan
    pr_ms: float = np.nan
    qrs_ms: float = np.nan
    qt_ms: float = np.nan
    qtc_fridericia_ms: float = np.nan
    qtc_bazett_ms: float = np.nan
    axis_deg: float = np.nan
    rhythm: str = ""
    why: Mapping[str, NotMeasurable] = field(default_factory=dict)

    @property
    def not_measurable(self) -> str:
        """Return the reasons as one text, such as ``pr_ms:no_p,rhythm:few_beats``, or ``all:one_beat``."""
        if len(self.why) == len(VALUES) + 1 and len(set(self.why.values())) == 1:
            return f"{ALL}:{self.why['rhythm']}"
        return ",".join(f"{name}:{reason}" for name, reason in self.why.items())

    @property
    def row(self) -> dict[str, float | str]:
        """Return the columns of a table."""
        return {name: getattr(self, name) for name in (*VALUES, "rhythm", "not_measurable")}


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredBeat:
    """What measurements were made on: the median beat, the leads it has, where its waves begin and end, and the values.

    Parameters
    ----------
    leads : one name per row of ``beat.median``
    derived : those of them that were computed from two others
    start_s : where the stretch that was measured begins in the recording
    """

    beat: TypicalBeat
    leads: tuple[str, ...]
    derived: tuple[str, ...]
    start_s: float
    at: Bounds
    values: Measurements


def reasons(not_measurable: str) -> dict[str, str]:
    """Return the reasons in words, by the name of the value; an unknown one is named.

    >>> reasons("pr_ms:no_p,qt_ms:of_another_version")
    {'pr_ms': 'no P wave at the same place in most beats', 'qt_ms': 'of another version'}
    """
    found: dict[str, str] = {}
    for part in filter(None, not_measurable.split(",")):
        name, _, reason = part.partition(":")
        found |= dict.fromkeys((*VALUES, "rhythm") if name == ALL else (name,), SENTENCES.get(reason, reason.replace("_", " ")))
    return found


def measure(record: Record) -> Measurements:
    """Measure a recording, as `measure_all` does."""
    return measure_all([record])[0]


def measure_all(records: Sequence[Record]) -> list[Measurements]:
    """Measure recordings, each on its first ten seconds without a gap in the leads that have no gaps elsewhere.

    References
    ----------
    QTc: Fridericia, Acta Med. Scand. 53, 1920; Bazett, Heart 7, 1920. Axis from I and aVF, whose scales differ by half the root of 3:
    Novosel, Noll and Lüscher, Croat. Med. J. 40, 1999.
    """
    return [
        found.values if isinstance(found, MeasuredBeat) else _nothing(found)
        for start in range(0, len(records), _AT_ONCE)
        for found in _measured(records[start : start + _AT_ONCE])
    ]


def measured_beat(record: Record) -> MeasuredBeat | NotMeasurable:
    """Measure a recording, and return what it was measured on too; or why there is nothing to measure."""
    return _measured([record])[0]


def _measured(records: Sequence[Record]) -> list[MeasuredBeat | NotMeasurable]:
    found: dict[int, MeasuredBeat | NotMeasurable] = {}
    alike: dict[tuple[float, tuple[int, ...]], dict[int, _Stretch]] = defaultdict(dict)
    for index, record in enumerate(records):
        stretch = _stretch(record)
        if isinstance(stretch, NotMeasurable):
            found[index] = stretch
        else:
            alike[record.fs, stretch.samples.shape][index] = stretch
    for (fs, _), stretches in alike.items():
        beats = typical_beats([one.samples for one in stretches.values()], fs=fs)
        waves = iter(bounds([beat for beat in beats if beat is not None]))
        for (index, stretch), beat in zip(stretches.items(), beats, strict=True):
            at = None if beat is None else next(waves)
            found[index] = NotMeasurable.FEW_BEATS if beat is None or at is None else _of_beat(stretch, beat, at)
    return [found[index] for index in range(len(records))]


class _Stretch(NamedTuple):
    """What is measured of a recording: samples of these leads, shape (n_leads, n_samples), mV, and where they begin, s."""

    ready: Prepared
    leads: list[str]
    samples: NDArray[np.float32]
    start_s: float


def _stretch(record: Record) -> _Stretch | NotMeasurable:
    if record.is_heartbeat:
        return NotMeasurable.ONE_BEAT
    if record.fs < MIN_FS:
        return NotMeasurable.LOW_RATE
    ready = prepare(record)
    there = set(ready.record.leads) - ready.silent
    leads = [lead for lead in STANDARD_LEADS if lead in there]
    leads = [lead for lead in leads if lead not in ready.gaps] or leads
    stretches = ready.stretches(leads, fs=record.fs) if leads else ()
    if not stretches:
        return NotMeasurable.NO_STRETCH
    start, length = round(stretches[0].start_s * record.fs), round(stretches[0].length_s * record.fs)
    samples = ready.record.samples[:, start : start + length]
    if tuple(leads) != ready.record.leads:
        samples = samples[[ready.record.leads.index(lead) for lead in leads]]
    return _Stretch(ready, leads, samples, start / record.fs)


def _of_beat(stretch: _Stretch, beat: TypicalBeat, at: Bounds) -> MeasuredBeat:
    leads = tuple(stretch.leads[row] for row in beat.leads)
    derived = tuple(lead for lead in leads if lead in stretch.ready.derived)
    values = _intervals(beat, at, stretch.ready, leads)
    return MeasuredBeat(beat=beat, leads=leads, derived=derived, start_s=stretch.start_s, at=at, values=values)


@lru_cache(maxsize=64)
def _to_i_and_ii(limb: tuple[str, ...]) -> NDArray[np.float64]:
    """Return how much of each of these limb leads makes I and II, by least squares, shape (2, n_leads)."""
    return np.asarray(np.linalg.pinv(np.array([FROM_I_AND_II[lead] for lead in limb])))


def _nothing(reason: NotMeasurable) -> Measurements:
    return Measurements(why=dict.fromkeys([*VALUES, "rhythm"], reason))


def _intervals(beat: TypicalBeat, at: Bounds, ready: Prepared, leads: Sequence[str]) -> Measurements:
    why: dict[str, NotMeasurable] = {}
    rhythm = _rhythm(np.diff(beat.r_peaks_s))
    if not rhythm:
        why["rhythm"] = NotMeasurable.FEW_BEATS
    pr_ms = qt_ms = fridericia = bazett = np.nan
    if at.p_on_s is None:
        why["pr_ms"] = NotMeasurable.NO_P
    else:
        pr_ms = 1000 * (at.qrs_on_s - at.p_on_s)
    if at.t_off_s is None:
        why |= dict.fromkeys(("qt_ms", "qtc_fridericia_ms", "qtc_bazett_ms"), NotMeasurable.NO_T)
    else:
        qt_ms = 1000 * (at.t_off_s - at.qrs_on_s)
        if rhythm == Rhythm.IRREGULAR:  # one interval does not stand for those before the beats that were measured
            why |= dict.fromkeys(("qtc_fridericia_ms", "qtc_bazett_ms"), NotMeasurable.IRREGULAR)
        else:
            fridericia, bazett = qt_ms / beat.rr_s ** (1 / 3), qt_ms / beat.rr_s**0.5
    axis = _axis_deg(beat, at, ready, leads)
    if isinstance(axis, NotMeasurable):
        why["axis_deg"] = axis
    return Measurements(
        rate_bpm=60 / beat.rr_s,
        pr_ms=pr_ms,
        qrs_ms=1000 * (at.qrs_off_s - at.qrs_on_s),
        qt_ms=qt_ms,
        qtc_fridericia_ms=fridericia,
        qtc_bazett_ms=bazett,
        axis_deg=np.nan if isinstance(axis, NotMeasurable) else axis,
        rhythm=rhythm,
        why=why,
    )


def _rhythm(rr_s: NDArray[np.float64]) -> str:
    """Return whether beats come in even steps, empty where there are too few of them."""
    if len(rr_s) < MIN_INTERVALS:
        return ""
    low, middle, high = quartiles_of(rr_s)
    return (Rhythm.IRREGULAR if high - low > IRREGULAR * middle else Rhythm.REGULAR).value


def _axis_deg(beat: TypicalBeat, at: Bounds, ready: Prepared, leads: Sequence[str]) -> float | NotMeasurable:
    """Return the direction of the net areas of the QRS complex in I and aVF, or why there is none.

    Both are computed from all limb leads together, since one of them may show next to nothing of the beat.
    """
    limb = [lead for lead in LIMB_LEADS if lead in leads and lead not in ready.derived]
    if len(limb) < 2:  # noqa: PLR2004 - two fix the other four
        return NotMeasurable.LIMB_LEADS
    first, last = (beat.r_peak + round(s * beat.fs) for s in (at.qrs_on_s, at.qrs_off_s))
    part = beat.median[[leads.index(lead) for lead in limb], max(first, 0) : last + 1].astype(np.float64)
    line = np.linspace(0, 1, part.shape[1])
    part -= part[:, :1] * (1 - line) + part[:, -1:] * line
    if limb_residual(part @ part.T, limb) > MAX_RESIDUAL:
        return NotMeasurable.LIMB_LEADS
    one, two = _to_i_and_ii(tuple(limb)) @ part
    both = np.array([one, two - one / 2])  # I and aVF
    net = both.sum(axis=1) * [1, 2 / 3**0.5]
    if np.hypot(*net) < MIN_NET * np.abs(both).sum():
        return NotMeasurable.NO_NET
    return float(np.degrees(np.arctan2(net[1], net[0])))
