"""One plain sentence says which parts of the beat and which leads an answer rests on, and never more than half of the effects bear out."""

import numpy as np
import pytest

from ecg_tasks.reporting.attribution import BeatPart
from ecg_tasks.reporting.plainly import MOST, plainly, said, shares
from ecg_tasks.signals.record import STANDARD_LEADS
from tests.reporting.test_attribution import attribution

TIMES = -0.3 + 0.064 * np.arange(15)
PARTS = (
    BeatPart("time before the P wave", -0.332, -0.16),
    BeatPart("P wave", -0.16, -0.04),
    BeatPart("QRS complex", -0.04, 0.05),
    BeatPart("ST segment", 0.05, 0.13),
    BeatPart("T wave", 0.13, 0.4),
    BeatPart("time after the T wave", 0.4, 0.628),
)


def explained(effects, *, log_odds=1.0, **changes):
    """Twelve leads over one beat; ``effects`` are of leads, at times, this large."""
    strips = np.zeros((12, 15))
    for leads, at_s, size in effects:
        for lead in leads:
            strips[STANDARD_LEADS.index(lead), np.abs(TIMES - at_s).argmin()] += size
    return attribution(**({"strips": strips, "times_s": TIMES, "parts": PARTS, "log_odds": log_odds} | changes))


def test_the_part_and_the_leads_with_most_of_the_effect_are_named():
    """An effect on the T wave of V2 to V4, and less elsewhere."""
    found = explained([(("V2", "V3", "V4"), 0.25, 0.5), (("I",), 0.0, 0.2), (("aVL",), 0.0, -3.0)])
    assert plainly(found) == "What supports abnormal is mostly the T wave in V2 to V4."


def test_the_other_side_is_told_where_the_effects_lean_there():
    """Below zero they support normal."""
    assert (
        plainly(explained([(("II", "aVF"), 0.0, -0.5)], log_odds=-1.0)) == "What supports normal is mostly the QRS complex in II and aVF."
    )


def test_two_parts_are_named_where_one_is_not_most():
    """In the order of the beat."""
    found = explained([(("V1",), 0.25, 0.5), (("V1",), -0.1, 0.45), (("V1",), 0.0, 0.3)])
    assert plainly(found) == "What supports abnormal is mostly the P wave and the T wave in V1."


def test_many_leads_and_many_parts_are_not_listed():
    """Nobody reads a list of nine leads."""
    assert plainly(explained([(STANDARD_LEADS, 0.25, 0.1)])) == "What supports abnormal is mostly the T wave in most leads."
    everywhere = explained([(STANDARD_LEADS, at_s, 0.1) for at_s in TIMES])
    assert plainly(everywhere) == "What supports abnormal is mostly the T wave and the time after the T wave in most leads."
    spread = explained([(STANDARD_LEADS, at_s, 0.1) for at_s in (-0.24, -0.1, 0.0, 0.09, 0.25)])
    assert plainly(spread) == "What supports abnormal is spread over the whole beat in most leads."


def test_a_single_lead_is_not_named():
    """There is no other."""
    beat = explained([], leads=("II",), over_time=np.zeros((1, 500)), strips=np.where(np.abs(TIMES - 0.25) < 0.04, 0.4, 0.01)[None])
    assert plainly(beat) == "What supports abnormal is mostly the T wave."


def test_without_known_waves_a_time_is_named():
    """Of a single beat, or noise, nobody knows where its waves are."""
    found = explained([(("V2",), 0.212, 0.5)], parts=())
    assert plainly(found) == "What supports abnormal is mostly the time from 0.18 to 0.24 s after the R peak in V2."


def test_where_nothing_stands_out_nothing_is_claimed():
    """A recording as the typical normal one."""
    assert plainly(explained([(("V2",), 0.25, 0.01)])) == "No part of it stands out from a typical normal recording."


@pytest.mark.parametrize("seed", range(40))
def test_mostly_is_never_less_than_half(seed):
    """What is named has half of all that supports its side, whatever the effects are, unless no part or lead is named."""
    rng = np.random.default_rng(seed)
    strips = rng.standard_normal((12, 15)) ** 3 * (rng.random((12, 15)) < rng.uniform(0.02, 1))
    one = attribution(strips=strips, times_s=TIMES, parts=PARTS, log_odds=float(strips.sum()))
    found = said(one)
    if found is None or not found.parts:
        return
    effect = np.clip(strips * np.sign(one.log_odds), 0, None)
    named = [index for index, lead in enumerate(STANDARD_LEADS) if found.in_most_leads or lead in found.leads]
    weight = sum(float((effect[named] @ shares(part, TIMES)).sum()) for part in found.parts)
    assert weight >= MOST * effect.sum() * (1 - 1e-6)
