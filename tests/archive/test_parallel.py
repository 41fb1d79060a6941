"""Calls ahead of their taker: order, bound, and what becomes of an error."""

import threading
import time

import pytest

from ecg_tasks.archive.parallel import bounded_parallel_map


def test_results_come_in_the_order_of_the_items():
    """A late call holds back the results after it."""

    def slow_first(number):
        time.sleep(0.05 if number == 0 else 0)
        return number

    assert list(bounded_parallel_map(slow_first, range(20), at_once=4)) == list(range(20))


def test_calls_run_no_further_ahead_than_told():
    """A taker that stops after one result has caused no more calls than run at once, and no more items were read."""
    called, lock = [], threading.Lock()

    def note(number):
        with lock:
            called.append(number)
        return number

    read = iter(range(100))
    results = bounded_parallel_map(note, read, at_once=3)
    assert next(results) == 0
    time.sleep(0.05)
    assert len(called) <= 3
    assert next(read) <= 4
    results.close()


def test_an_error_comes_where_its_result_would():
    """What was called before the failure is given, the failure is raised, and nothing after it is."""

    def fail_at_two(number):
        if number == 2:
            raise ValueError("two")
        return number

    results = bounded_parallel_map(fail_at_two, range(9), at_once=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)
