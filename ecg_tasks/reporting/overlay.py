"""Here: two recordings of one patient, one over the other: what is drawn, and the measurements side by side. Not here: which two."""

from dataclasses import dataclass

from ecg_tasks.reporting.beats import draw_beats
from ecg_tasks.reporting.measured import ComparedLine, compared_lines
from ecg_tasks.reporting.waveform import Waveform, draw_heartbeat
from ecg_tasks.signals.measurements import SENTENCES, MeasuredBeat, measured_beat
from ecg_tasks.signals.record import Record


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """One recording over another; without a drawing, ``why`` says what is in the way."""

    drawing: Waveform | None = None
    lines: tuple[ComparedLine, ...] = ()
    why: str = ""


def draw_over(record: Record, earlier: Record) -> Overlay:
    """Draw the median beats of two recordings, R peak on R peak; of heartbeat rows, the beats themselves."""
    if record.is_heartbeat != earlier.is_heartbeat:
        return Overlay(why="One of them is a single beat without its scale.")
    if record.is_heartbeat:
        return Overlay(drawing=draw_heartbeat(record, behind=earlier))
    beats = [measured_beat(one) for one in (record, earlier)]
    for beat, which in zip(beats, ("This recording", "The other recording"), strict=True):
        if not isinstance(beat, MeasuredBeat):
            return Overlay(why=f"{which} has no median beat: {SENTENCES[beat]}.")
    now, before = (beat for beat in beats if isinstance(beat, MeasuredBeat))
    return Overlay(drawing=draw_beats(now, earlier=before), lines=tuple(compared_lines(now.values.row, before.values.row)))
