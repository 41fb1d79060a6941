"""Here: measurements without processes of their own, so that what is measured can be tried in a second."""

import os
import time

import pytest

from benchmarks import classification, gpu, models, night, readers, rendering, training, twelve_lead
from benchmarks.processes import Usage


def _in_this_process(case, /, *, environment=None, **arguments):
    """What ``in_own_process`` does, here."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (environment or {}).items():
            patch.setenv(name, value)
        work = case(**arguments)
        start = time.perf_counter()
        result = work()
        wall_s = time.perf_counter() - start
    return Usage(start_wall_s=1.0, start_cpu_s=1.0, start_mb=100.0, wall_s=wall_s, cpu_s=wall_s, peak_mb=110.0, result=result)


@pytest.fixture
def in_this_process(monkeypatch):
    """Let every case run in the tests' own process."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"))
    for module in (classification, gpu, models, night, readers, rendering, training, twelve_lead):
        monkeypatch.setattr(module, "in_own_process", _in_this_process)
