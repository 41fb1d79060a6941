"""Memory that was freed is used again without the kernel."""

import subprocess
import sys

import pytest

from tests.untraced import untraced

TASK = """
import resource
import numpy as np
from ecg_tasks.memory import keep_freed

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        [np.ones(400_000) for _ in range(12)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
keep_freed()
faults()
print(before, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of other systems is asked for nothing")
def test_freed_arrays_are_not_taken_from_the_kernel_again():
    """Pages that the kernel has to clear, of twelve arrays of 3 MB made twenty times: 9,000 a time, and then next to none."""
    done = subprocess.run([sys.executable, "-c", TASK], capture_output=True, text=True, check=True, env=untraced())
    without, kept = map(int, done.stdout.split())
    assert kept < without / 20
