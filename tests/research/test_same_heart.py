"""Changes of a recording leave its heart as it is, answers are compared recording by recording, and the champion hangs on none of them."""

import numpy as np
import pytest

from ecg_tasks.labels import Decision, Label
from ecg_tasks.signals.record import STANDARD_LEADS, Record
from ecg_tasks.signals.synthesis import draw_heart, synthesize
from research.same_heart import CHANGES, Answer, difference


@pytest.fixture(scope="module")
def record():
    """A made heart over ten seconds at 500 Hz."""
    rng = np.random.default_rng(3)
    samples = synthesize(draw_heart(rng, label=Label.NORMAL), fs=500.0, duration_s=10.0, rng=rng)
    return Record(samples=samples.astype(np.float32), fs=500.0, leads=STANDARD_LEADS, unit="mV", name="r")


LASTS = {"30 s, by repetition": 30.0, "first 8 s": 8.0, "first 6 s": 6.0, "first 5 s": 5.0}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_does_what_it_is_called(record, name):
    """Rates and lengths are those of its name; what a filter takes away is small against the R peaks."""
    changed = CHANGES[name](record)
    assert changed.duration_s == pytest.approx(LASTS.get(name, 10.0))
    assert changed.fs == (float(name.split()[0]) if name in ("250 Hz", "100 Hz") else 500.0)
    if changed.samples.shape == record.samples.shape:
        assert changed.record_id != record.record_id
        moved = (changed.samples - np.median(changed.samples, axis=1, keepdims=True)) - record.samples
        assert np.abs(moved - np.median(moved, axis=1, keepdims=True)).max() < 0.5 * np.ptp(record.samples)


def test_answers_are_compared_one_by_one():
    """A probability that is missing on one side moves nothing; a recording that is not taken any more has another decision."""
    before = [Answer(probability=0.2, decision=Decision.NORMAL), Answer(probability=0.9, decision=Decision.ABNORMAL), Answer()]
    before += [Answer(probability=0.5, decision=Decision.UNCERTAIN), Answer(decision=Decision.UNINTERPRETABLE)]
    after = [Answer(probability=0.3, decision=Decision.NORMAL), Answer(probability=0.4, decision=Decision.NORMAL), Answer()]
    after += [Answer(), Answer(decision=Decision.UNINTERPRETABLE)]
    found = difference(before, after)
    assert (found.n, found.n_not_taken, found.equal) == (4, 1, 0.5)
    assert (found.median, found.p95) == pytest.approx((0.3, 0.48))
