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
    """Where a bound is so wide that hardly any value is sure, the same comes out."""
    rows, offset = np.random.default_rng(1).normal(size=(2, 600)), np.zeros((2, 1))
    wide = polyphase._filter(1, 4)._replace(error=1e-6, matrix=polyphase._filter(1, 4).matrix * (1 + 1e-7))
    monkeypatch.setattr(polyphase, "_filter", lambda *_: wide)
    assert polyphase.filtered(rows, offset, up=1, down=4).tobytes() == by_scipy(rows, offset, up=1, down=4).tobytes()


def test_what_is_not_finite_goes_its_old_way():
    """A sample that is no number stays with those that the filter reaches from it."""
    signal = np.random.default_rng(2).normal(size=(2, 1000))
    signal[0, 500] = np.nan
    assert polyphase.filtered(signal, np.zeros((2, 1)), up=1, down=4) is None
    assert np.isfinite(resample(signal, fs=500, target_fs=125)[1]).all()
