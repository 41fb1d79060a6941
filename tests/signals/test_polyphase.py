"""A product of matrices gives what SciPy's polyphase filter gives, to the last bit."""

import numpy as np
import pytest
from scipy.signal import resample_poly

from ecg_tasks.signals import polyphase
from ecg_tasks.signals.resampling import resample


def by_scipy(rows, offset, *, up, down):
    """The same by SciPy alone."""
    return (resample_poly(rows, up, down, axis=-1, padtype="line") + offset).astype(np.float32)


@pytest.mark.parametrize(("up", "down"), [(1, 2), (1, 4), (1, 8), (5, 4), (5, 1), (2, 1), (5, 16), (7, 64), (3, 7)])
@pytest.mark.parametrize("n_more", [1, 2, 777, 5000])
def test_every_bit_is_scipys(up, down, n_more):
    """From rows just long enough on: wander, steps, whole numbers, silence, and what is next to nothing, at any offset."""
    rng = np.random.default_rng([up, down, n_more])
    n = 20 * max(up, down) + n_more
    walk = np.cumsum(rng.normal(size=(6, n)), axis=1) * 10.0 ** rng.integers(-6, 3, size=(6, 1))
    rows = np.concatenate([walk, np.rint(walk), np.zeros((1, n)), np.sign(walk), np.where(np.arange(n) % 97 < 3, walk, 1e-12 * walk)])
    offset = rng.normal(size=(len(rows), 1)) * 10.0 ** rng.integers(-3, 4, size=(len(rows), 1))
    assert polyphase.is_quick(n, up=up, down=down)
    assert polyphase.filtered(rows, offset, up=up, down=down).tobytes() == by_scipy(rows, offset, up=up, down=down).tobytes()


def test_values_near_a_boundary_are_added_up_again(monkeypatch):
    """Where a bound is so wide that hardly any value is sure, the same comes out; both ends of a row are among them."""
    rng = np.random.default_rng(1)
    rows, offset = rng.normal(size=(3, 1600)) * [[1.0], [100.0], [1e-6]], rng.normal(size=(3, 1))
    for up, down in ((1, 4), (5, 4), (5, 1), (5, 16), (7, 64), (8, 63)):
        plan = polyphase._filter(up, down)
        wide = plan._replace(error=1e-6, matrix=plan.matrix * (1 + 1e-7))
        with monkeypatch.context() as patched:
            patched.setattr(polyphase, "_filter", lambda *_, wide=wide: wide)
            found = polyphase.filtered(rows, offset, up=up, down=down)
        assert found.tobytes() == by_scipy(rows, offset, up=up, down=down).tobytes()


@pytest.mark.parametrize(("up", "down"), [(1, 4), (5, 4), (7, 64), (8, 1)])
def test_a_value_that_is_added_up_again_is_that_of_a_plain_loop(up, down):
    """At every place of rows of any sizes, zeros of both signs among them: one rounded product after the other, begun at zero."""
    rng = np.random.default_rng([up, down])
    n = 20 * max(up, down) + 50
    plan = polyphase._filter(up, down)
    n_values = -(-n * up // down)
    in_all = (-(-n_values // plan.matrix.shape[1]) - 1) * plan.step + plan.matrix.shape[0]
    longer = rng.normal(size=(3, in_all)) * 10.0 ** rng.integers(-9, 9, size=(3, in_all))
    longer[1] *= rng.random(in_all) < 0.5
    longer[2] = -0.0
    for row in range(3):
        expected = []
        for place in range(n_values):
            total = 0.0
            for at in range(-((plan.half - place * down) // up), (place * down + plan.half) // up + 1):
                total += float(longer[row, plan.before + at]) * float(plan.taps[plan.half + place * down - at * up])
            expected.append(total)
        found = polyphase._summed(longer, np.full(n_values, row), np.arange(n_values), plan, up=up, down=down)
        assert found.tobytes() == np.array(expected).tobytes()


def test_a_row_that_is_mostly_silent_is_added_up_in_parts():
    """What is next to nothing lies near every boundary, so that nearly all of it is added up again: the same comes out."""
    rows = np.zeros((4, 20_000))
    rows[:, :40] = np.random.default_rng(3).normal(size=(4, 40))
    offset = rows.mean(axis=1, keepdims=True)
    rows -= offset
    assert polyphase.filtered(rows, offset, up=1, down=4).tobytes() == by_scipy(rows, offset, up=1, down=4).tobytes()


def test_what_is_not_finite_goes_its_old_way():
    """A sample that is no number stays with those that the filter reaches from it."""
    signal = np.random.default_rng(2).normal(size=(2, 1000))
    signal[0, 500] = np.nan
    assert polyphase.filtered(signal, np.zeros((2, 1)), up=1, down=4) is None
    assert np.isfinite(resample(signal, fs=500, target_fs=125)[1]).all()
