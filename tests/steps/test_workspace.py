"""Here: how shards are shared among tasks. Not here: what a task does with them."""

import pytest

from ecg_tasks.steps.workspace import MAX_TASKS, SPREAD, chunked


@pytest.mark.parametrize("n_items", [0, 1, 7, SPREAD, SPREAD + 1, 8 * SPREAD, 1000, 20 * MAX_TASKS])
def test_nothing_is_left_out_and_nobody_waits_for_one(n_items):
    """Every item is in one run, in order; a run is of 8 at most while `MAX_TASKS` allows; few items are shared as widely as they can."""
    runs = chunked(range(n_items), size=8)
    assert [item for run in runs for item in run] == list(range(n_items))
    assert len(runs) <= MAX_TASKS
    assert all(len(run) <= max(8, -(-n_items // MAX_TASKS)) for run in runs)
    assert len(runs) >= min(n_items, SPREAD) // 2
    assert n_items > SPREAD or len(runs) == n_items
