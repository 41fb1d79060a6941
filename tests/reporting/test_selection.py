"""Here: tests of which records get a page."""

import numpy as np
import pytest

from ecg_tasks.reporting.selection import records_with_page
from tests.run_tables import run_table


def _table(*, shuffled=False, **counts):
    decisions = [decision for decision, count in counts.items() for _ in range(count)]
    probability = np.linspace(0, 1, len(decisions))
    rows = [(f"{index:032x}", *pair) for index, pair in enumerate(zip(decisions, probability.tolist(), strict=True))]
    if shuffled:
        rows = [rows[place] for place in np.random.default_rng(1).permutation(len(rows))]
    return run_table(dict(zip(("record_id", "decision", "probability"), row, strict=True)) for row in rows)


def _chosen(table, limit):
    """Decision and probability of the chosen records, in their order."""
    found = {row["record_id"]: (row["decision"], row["probability"]) for row in table.all_rows()}
    return [found[record_id] for record_id in records_with_page(table, limit=limit)]


@pytest.mark.parametrize("limit", [0, 1, 7, 50, 1000])
def test_never_more_pages_than_the_limit_and_none_twice(limit):
    """The limit holds, and is used up where there are enough records."""
    table = _table(normal=40, abnormal=30, uncertain=20, uninterpretable=10)
    chosen = records_with_page(table, limit=limit)
    assert len(chosen) == len(set(chosen)) == min(limit, 100)


def test_uncertain_and_abnormal_come_first_and_a_fifth_is_left_to_the_rest():
    """With more flagged records than pages, a sample of the others stays."""
    decisions = [decision for decision, _ in _chosen(_table(normal=500, abnormal=300, uncertain=20), 100)]
    assert decisions == ["uncertain"] * 20 + ["abnormal"] * 60 + ["normal"] * 20


def test_the_most_abnormal_are_kept_when_there_are_too_many():
    """Among abnormal records the highest probabilities win, the most certain first."""
    probabilities = [probability for _, probability in _chosen(_table(abnormal=100), 10)]
    assert probabilities == np.linspace(0, 1, 100)[:-11:-1].tolist()


def test_the_choice_does_not_depend_on_the_order_of_the_table():
    """The same records give the same pages."""
    counts = {"normal": 50, "abnormal": 20, "uncertain": 5}
    assert records_with_page(_table(**counts), limit=30) == records_with_page(_table(shuffled=True, **counts), limit=30)
