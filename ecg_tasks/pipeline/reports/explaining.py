"""Here: what a model's answer on a recording is based on, ready to be drawn. Not here: finding it out (``learning.explanation``)."""

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.learning.explanation import explain
from ecg_tasks.learning.serving import Classifier
from ecg_tasks.reporting.attribution import Attribution, BeatPart
from ecg_tasks.reporting.spectrogram import stretched
from ecg_tasks.signals.measurements import MeasuredBeat, measured_beat
from ecg_tasks.signals.recipes import recipe_of
from ecg_tasks.signals.record import Record
from ecg_tasks.signals.rendering import LeadSpectrograms
from ecg_tasks.signals.windowing import BEAT_LEAD

MAX_WINDOWS = 6
"""Windows of a record that are looked into: the first ones that count."""
STEP_S = 0.02
ST_S = 0.08
"""Seconds after the QRS complex that are called the ST segment; what is between them and T's end is the T wave."""


def explain_record(classifier: Classifier, record: Record) -> Attribution | None:
    """Say what the model's answer on a recording is based on; None where no window counts, or its pictures are no spectrograms.

    The pictures are drawn again, which takes a hundredth of the time that looking into them takes.
    """
    recipe = recipe_of(classifier.spec.recipe, classifier.spec.recipe_digest)
    axes = recipe.axes()
    if axes is None:
        return None
    rendered, windows = recipe.render([record]), recipe.windows([record])
    used = np.flatnonzero((rendered.window >= 0) & (rendered.quality >= classifier.spec.min_quality))[:MAX_WINDOWS]
    if not used.size:
        return None
    in_leads = isinstance(recipe.picture, LeadSpectrograms)
    images = recipe.decode([rendered.png[row] for row in used])
    found = explain(classifier, images, n_leads=len(axes.channels) if in_leads else 1, site=record.site)
    height, width = images.shape[1:3]
    freqs_hz, times_s = stretched(axes.freqs, height), stretched(axes.times, width)
    zeros_s = (
        recipe.picture.shown_s(windows)
        if isinstance(recipe.picture, LeadSpectrograms)
        else [windows.start_s[[row]] for row in range(len(windows))]
    )
    beat_lead = record.leads[0] if record.is_heartbeat else BEAT_LEAD
    shown = images[..., : len(axes.channels)].mean(axis=(0, 3)).astype(np.uint8)
    return Attribution(
        leads=axes.channels if in_leads else (beat_lead,),
        over_time=_over_time(found.leads, [zeros_s[row] for row in used], times_s, duration_s=record.duration_s),
        step_s=STEP_S,
        cells=found.cells.mean(axis=0)[::-1],
        strips=found.leads.mean(axis=0),
        levels=shown[::-1],
        freqs_hz=freqs_hz,
        times_s=times_s,
        log_odds=float(found.log_odds.mean()),
        n_windows=len(used),
        parts=beat_parts(record, np.concatenate([zeros_s[row] for row in used]), times_s),
    )


def beat_parts(record: Record, zeros_s: NDArray[np.floating], times_s: NDArray[np.floating]) -> tuple[BeatPart, ...]:
    """Return the parts of a recording's typical beat in the time of its pictures, one after the other; none where it has none.

    Parameters
    ----------
    zeros_s : where pictures have their time 0, near R peaks, s from the record's start
    times_s : centres of the columns of a picture
    """
    found = measured_beat(record)
    if not isinstance(found, MeasuredBeat):
        return ()
    at, zeros, r_peaks_s = found.at, np.asarray(zeros_s), found.beat.r_peaks_s + found.start_s
    late_s = float(np.median(zeros - r_peaks_s[np.abs(zeros[:, None] - r_peaks_s).argmin(axis=1)]))
    hop_s = float(times_s[1] - times_s[0]) if len(times_s) > 1 else 0.0
    ends = [("P wave", at.qrs_on_s), ("QRS complex", at.qrs_off_s), ("ST segment", at.qrs_off_s + ST_S)]
    if at.p_on_s is not None:
        ends.insert(0, ("time before the P wave", at.p_on_s))
    else:
        ends[0] = ("time before the QRS complex", at.qrs_on_s)
    if at.t_off_s is not None:
        ends.append(("T wave", at.t_off_s))
    ends.append(("time after the T wave" if at.t_off_s is not None else "time after the ST segment", np.inf))
    first, last = float(times_s[0]) - hop_s / 2, float(times_s[-1]) + hop_s / 2
    parts, begin = [], first
    for name, end in ends:
        until = float(np.clip(end - late_s, begin, last))
        if until > begin:
            parts.append(BeatPart(name, begin, until))
        begin = until
    return tuple(parts)


def _over_time(
    leads: NDArray[np.floating], zeros_s: list[NDArray[np.floating]], times_s: NDArray[np.floating], *, duration_s: float
) -> NDArray[np.float64]:
    """Return effects along the record's own time, shape (n_leads, n_steps): their mean where pictures overlap, 0 where there is none.

    Parameters
    ----------
    leads : ndarray, shape (n_windows, n_leads, width)
    zeros_s : for each window where its picture's time 0 lies, s from the record's start: once, or at every beat of a median beat
    times_s : ndarray, shape (width,), centres of the columns
    """
    n_steps = int(np.ceil(duration_s / STEP_S))
    total, count = np.zeros((leads.shape[1], n_steps)), np.zeros(n_steps)
    hop_s = float(times_s[1] - times_s[0]) if len(times_s) > 1 else 2 * float(times_s[0])
    at_s = (np.arange(n_steps) + 0.5) * STEP_S
    for effect, zeros in zip(leads, zeros_s, strict=True):
        for zero in zeros:
            column = np.rint((at_s - zero - times_s[0]) / hop_s).astype(np.int64)
            inside = (column >= 0) & (column < len(times_s))
            total[:, inside] += effect[:, column[inside]]
            count[inside] += 1
    return total / np.maximum(count, 1)
