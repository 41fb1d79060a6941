"""Filters and peaks of many rows: each row gets what it gets alone, and what SciPy gives it."""

import numpy as np
import pytest
from scipy.signal import butter, find_peaks, sosfiltfilt

from ecg_tasks.signals import filters

HIGH, BAND = butter(2, 0.5, "highpass", fs=125, output="sos"), butter(2, (5, 25), "bandpass", fs=125, output="sos")


@pytest.mark.parametrize("shape", [(700,), (1, 700), (2, 700), (5, 3, 700), (4, 12, 700)])
def test_a_row_is_filtered_as_it_is_alone_by_scipy(shape):
    """To the last bit, whatever goes through the filter with it: rows of other sizes, of zeros, and of nothing but a step."""
    rng = np.random.default_rng(1)
    samples = rng.normal(size=shape) * 10.0 ** rng.integers(-8, 8, size=(*shape[:-1], 1))
    rows = samples.reshape(-1, 700)
    rows[1::5], rows[2::5], rows[3::5] = 0.0, -0.0, np.where(np.arange(700) < 300, 0.0, -1.0)
    for given in (samples, samples.astype(np.float32)):
        before = given.copy()
        for sections, found in ((HIGH, filters.above(given, 0.5, fs=125.0)), (BAND, filters.between(given, (5, 25), fs=125.0))):
            assert found.dtype == np.float64
            assert found.shape == shape
            for row, its in zip(given.reshape(-1, 700), found.reshape(-1, 700), strict=True):
                assert its.tobytes() == (sosfiltfilt(sections, row) + 0.0).tobytes()
        assert given.tobytes() == before.tobytes()


def test_what_is_not_finite_stays_in_its_row():
    """A value that is not a number, or infinite, reaches no other row."""
    rows = np.random.default_rng(3).normal(size=(4, 700))
    rows[0, 5], rows[3, 600] = np.nan, np.inf
    found = filters.above(rows, 0.5, fs=125.0)
    assert np.isnan(found[[0, 3]]).all()
    for at in (1, 2):
        assert found[at].tobytes() == sosfiltfilt(HIGH, rows[at]).tobytes()


def test_no_rows_are_no_rows_behind_a_filter():
    """A shard without recordings."""
    assert filters.above(np.empty((0, 12, 700)), 0.5, fs=125.0).shape == (0, 12, 700)


@pytest.mark.parametrize("levels", [None, 4])
def test_the_peaks_of_a_row_are_those_of_find_peaks(levels):
    """With peaks of one height, plateaus, rows that rise to their end, and rows without any peak."""
    rows = np.random.default_rng(2).random((40, 300))
    rows = rows if levels is None else np.floor(rows * levels) / levels
    rows[3], rows[4], rows[5] = 0.5, np.arange(300), -np.arange(300)
    rows[6, -3:], rows[7, :3] = 2.0, 2.0  # plateaus at an end
    heights = np.linspace(0.2, 0.9, len(rows))
    for distance in (1, 5, 40):
        found = filters.peaks_of_rows(rows, distance=distance, heights=heights)
        for row, height, peaks in zip(rows, heights, found, strict=True):
            assert peaks.tolist() == find_peaks(row, distance=distance, height=height)[0].tolist()


def test_no_rows_have_no_peaks():
    """A shard without recordings."""
    assert filters.peaks_of_rows(np.empty((0, 10)), distance=3, heights=np.empty(0)) == []
