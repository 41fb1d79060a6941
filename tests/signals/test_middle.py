"""Medians, means and quartiles are NumPy's, to the last bit."""

import numpy as np
import pytest

from ecg_tasks.signals.middle import LONG, MOST, mean_along, median_along, median_of, middle_of, percentile_along, quartiles_of


@pytest.mark.parametrize("n", [*range(1, MOST + 3), 60])
def test_the_median_is_numpys(n):
    """Of any number of arrays, with values that are equal, in either precision; the arrays stay."""
    rng = np.random.default_rng(n)
    for arrays in (rng.normal(size=(n, 3, 50)), rng.integers(0, 4, size=(n, 3, 50)).astype(np.float32)):
        before = arrays.copy()
        found = median_of(arrays)
        assert found.dtype == arrays.dtype
        assert np.array_equal(found, np.median(arrays, axis=0))
        assert np.array_equal(found, median_of(list(arrays)))
        assert np.array_equal(arrays, before)


@pytest.mark.parametrize("n", range(1, 12))
def test_the_middle_of_some_numbers_is_numpys(n):
    """Whatever their order."""
    values = np.random.default_rng(n).normal(size=n)
    assert middle_of(values) == np.median(values)
    assert middle_of(values.tolist()) == np.median(values)


def rows_of(n):
    """Rows of so many values, in either precision: any, equal ones, infinite ones, and zeros of both signs."""
    rng = np.random.default_rng(n)
    values = rng.normal(size=(30, n))
    some = rng.random(values.shape)
    made = (
        values,
        values.reshape(2, 15, n),
        np.rint(2 * values),
        np.where(some < 0.3, np.inf, values),
        np.where(some < 0.6, -np.inf, values),
        np.full_like(values, -0.0),
        np.where(some < 0.5, -0.0, 0.0),
    )
    return [rows.astype(dtype) for rows in made for dtype in (np.float64, np.float32)]


@pytest.mark.parametrize("n", [1, 2, 7, 100, LONG - 1, LONG, LONG + 1, 1249, 1250, 5000])
def test_the_median_of_rows_is_numpys(n):
    """Odd or even, sorted or parted; the rows stay."""
    for rows in rows_of(n):
        before = rows.copy()
        found = median_along(rows)
        assert found.dtype == rows.dtype
        assert found.tobytes() == np.median(rows, axis=-1).tobytes()
        assert rows.tobytes() == before.tobytes()


@pytest.mark.parametrize("n", [7, LONG - 1, LONG, 1249])
def test_what_is_no_number_counts_as_the_largest_to_the_median(n):
    """However the middle is found, and whether some or most of a row are none."""
    for share in (0.1, 0.45, 0.9):
        rows = np.where(np.random.default_rng(n).random((30, n)) < share, np.nan, np.random.default_rng(n + 1).normal(size=(30, n)))
        ordered = np.sort(rows, axis=-1)
        expected = (ordered[:, (n - 1) // 2] + ordered[:, n // 2]) / 2
        assert median_along(rows).tobytes() == expected.tobytes()


@pytest.mark.parametrize("n", [1, 2, 3, 50, 51, 101, 121, 1249, 1250, 4998])
@pytest.mark.parametrize("percent", [0, 10, 50, 98, 100])
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # between two infinite values, of NumPy's too
def test_percentiles_of_rows_are_numpys(n, percent):
    """On a value and between two, and of rows with a value that is no number, which have none."""
    rows = [*rows_of(n), np.where(np.arange(30)[:, None] == np.arange(n), np.nan, 1.0)]
    for one in (given for given in rows if given.dtype == np.float64):
        found, expected = percentile_along(one, percent), np.percentile(one, percent, axis=-1)
        assert found.shape == expected.shape
        assert np.where(found == 0, 0, found).tobytes() == np.where(expected == 0, 0, expected).tobytes()


@pytest.mark.parametrize("axis", [0, 1, 2, -1, (1, 2), (0, 2)])
def test_the_mean_along_axes_is_numpys(axis):
    """In either precision, whether the axes stay or not."""
    values = np.random.default_rng(5).normal(size=(12, 7, 51))
    for given in (values, values.astype(np.float32), values[:, :3, 10:40]):
        for keepdims in (False, True):
            found = mean_along(given, axis, keepdims=keepdims)
            assert found.dtype == given.dtype
            assert found.tobytes() == given.mean(axis=axis, keepdims=keepdims).tobytes()


@pytest.mark.parametrize("n", range(1, 40))
def test_the_quartiles_of_some_numbers_are_numpys(n):
    """Between numbers, and on one of them."""
    for values in np.random.default_rng(n).normal(size=(20, n)):
        assert list(quartiles_of(values)) == np.percentile(values, [25, 50, 75]).tolist()
