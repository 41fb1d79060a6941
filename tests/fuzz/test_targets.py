"""Some thousands of inputs, shared by all targets; ``python -m tests.fuzz`` gives a million, guided by coverage."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecg_tasks.errors import Reason
from tests.fuzz import engines
from tests.fuzz.__main__ import SHARES, table
from tests.fuzz.targets import ACCEPTED, TARGETS

pytestmark = pytest.mark.slow

EXAMPLES = 150
"""Of each target. With 400 they reach no more of the readers' lines and branches (73.8 % instead of 73.1): new code takes Atheris."""
CODES = {ACCEPTED, *Reason, *(f"HTTP {status}" for status in (400, 403, 404, 405, 409))}


@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # it would hide what an input of 30 kB has found
@pytest.mark.usefixtures("airflow_database")  # the pages ask Airflow what a user may do
@pytest.mark.parametrize("name", TARGETS)
def test_every_input_is_accepted_or_refused_with_a_code(name):
    """Whatever comes, nothing else is raised, and the target's own promises hold."""
    target = TARGETS[name]
    with target.opened() as check:
        met: set[str] = set()

        @settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
        @given(st.one_of(st.sampled_from(target.seeds()), engines.inputs(target)))
        def run(data: bytes) -> None:
            met.update(check(data))

        run()
    assert ACCEPTED in met
    assert len(met) > 1
    assert met <= CODES


def test_every_target_has_its_share():
    """The shares of the million are of all targets, and add up to one."""
    assert set(SHARES) == set(TARGETS)
    assert sum(SHARES.values()) == pytest.approx(1)


def test_table_counts_what_came_of_them():
    """Accepted and refused inputs, the slowest, the largest and the faults stand in a row; faults are no code."""
    row = {"target": "gzip", "engine": "property", "inputs": 1500, "outcomes": {"accepted": 1000, "unreadable": 499, "FAULT": 1}}
    told = table([row | {"slowest_s": 0.0123, "peak_mb": 99.6, "faults": {"KeyError at x.py:1": 1}}])
    assert "| gzip | property | 1,500 | 1,000 | unreadable 499 | 12 ms | 100 MB | 1 |" in told
    assert told.endswith("| all | | 1,500 | | | | | 1 |\n")
