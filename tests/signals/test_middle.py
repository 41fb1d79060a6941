"""The median of a few arrays is NumPy's."""

import numpy as np
import pytest

from ecg_tasks.signals.middle import MOST, median_of, middle_of


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
