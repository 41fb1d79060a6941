"""Medians, means and quartiles are NumPy's, to the last bit."""

import numpy as np
import pytest

from ecg_tasks.signals.middle import MOST, mean_along, median_along, median_of, middle_of, quartiles_of


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


@pytest.mark.parametrize("n", [1, 2, 7, 100, 1249, 1250])
def test_the_median_of_rows_is_numpys(n):
    """Odd or even, with values that are equal, in either precision."""
    rng = np.random.default_rng(n)
    for rows in (
        rng.normal(size=(2, 3, n)),
        rng.normal(size=(4, n)).astype(np.float32),
        rng.integers(0, 4, size=(5, n)).astype(np.float32),
    ):
        found = median_along(rows)
        assert found.dtype == rows.dtype
        assert found.tobytes() == np.median(rows, axis=-1).tobytes()


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
