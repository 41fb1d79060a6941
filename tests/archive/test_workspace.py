"""Here: how shards are shared among tasks. Not here: what a task does with them."""

import pytest

from ecg_tasks.archive.workspace import MAX_TASKS, shared

MIN_TASKS = 16


@pytest.mark.parametrize("n_items", [0, 1, 7, MIN_TASKS, MIN_TASKS + 1, 8 * MIN_TASKS, 1000, 20 * MAX_TASKS])
def test_nothing_is_left_out_and_nobody_waits_for_one(n_items):
    """Every item is in one share, shares are alike, few items are shared as widely as asked for, and there are no more than `MAX_TASKS`."""
    shares = shared(range(n_items), size=8, min_tasks=MIN_TASKS)
    assert sorted(item for share in shares for item in share) == list(range(n_items))
    assert min(n_items, MIN_TASKS) <= len(shares) <= MAX_TASKS
    sizes = [len(share) for share in shares]
    assert not sizes or max(sizes) - min(sizes) <= 1
    assert not sizes or max(sizes) <= max(8, -(-n_items // MAX_TASKS))
