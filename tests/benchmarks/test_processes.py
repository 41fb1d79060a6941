"""A measurement in a process of its own: what it tells, and what becomes of an error."""

import numpy as np
import pytest

from benchmarks.processes import CaseFailedError, in_own_process
from benchmarks.rendering import by_us


def test_a_process_tells_its_own_times_and_memory():
    """The start, the work and the peak are those of the child, however large its parent is."""
    ballast = np.ones(60_000_000)  # 480 MB here
    usage = in_own_process(by_us, case="one_frame", n=3, n_compared=3)
    assert usage.result["ms"] > 0
    assert usage.start_wall_s > usage.wall_s > 0
    assert usage.start_cpu_s > 0
    assert 30 < usage.start_mb <= usage.peak_mb < ballast.nbytes / 1e6


def test_a_case_that_fails_is_told_with_its_words():
    """The message holds the traceback of the child."""
    with pytest.raises(CaseFailedError, match="KeyError: 'sideways'"):
        in_own_process(by_us, case="sideways", n=1, n_compared=1)
