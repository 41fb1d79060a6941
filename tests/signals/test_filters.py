"""Filters and peaks of many rows: each row gets what it gets alone, and what SciPy gives it."""

import numpy as np
import pytest
from scipy.signal import butter, find_peaks, sosfiltfilt

from ecg_tasks.signals import filters


def test_a_row_is_filtered_as_it_is_alone_by_scipy():
    """To the last bit, whatever stands beside it."""
    rows = np.random.default_rng(1).normal(size=(5, 3, 700))
    high, band = butter(2, 0.5, "highpass", fs=125, output="sos"), butter(2, (5, 25), "bandpass", fs=125, output="sos")
    for at, row in enumerate(rows):
        assert np.array_equal(filters.above(rows, 0.5, fs=125.0)[at], sosfiltfilt(high, row))
        assert np.array_equal(filters.between(rows.astype(np.float32), (5, 25), fs=125.0)[at], sosfiltfilt(band, row.astype(np.float32)))


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
