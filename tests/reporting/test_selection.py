"""Here: tests of which records get a page."""

import numpy as np
import pandas as pd
import pytest

from ecg_tasks.reporting.selection import records_with_page


def _table(**counts):
    decisions = [decision for decision, count in counts.items() for _ in range(count)]
    return pd.DataFrame(
        {
            "record_id": [f"{index:032x}" for index in range(len(decisions))],
            "decision": decisions,
            "probability": np.linspace(0, 1, len(decisions)),
        }
    )


def _chosen(table, limit):
    return table.set_index("record_id").loc[records_with_page(table, limit=limit)]


@pytest.mark.parametrize("limit", [0, 1, 7, 50, 1000])
def test_never_more_pages_than_the_limit_and_none_twice(limit):
    """The limit holds, and is used up where there are enough records."""
    table = _table(normal=40, abnormal=30, uncertain=20, uninterpretable=10)
    chosen = records_with_page(table, limit=limit)
    assert len(chosen) == len(set(chosen)) == min(limit, 100)


def test_uncertain_and_abnormal_come_first_and_a_fifth_is_left_to_the_rest():
    """With more flagged records than pages, a sample of the others stays."""
    chosen = _chosen(_table(normal=500, abnormal=300, uncertain=20), 100)
    assert (chosen["decision"] == "uncertain").sum() == 20
    assert (chosen["decision"] == "abnormal").sum() == 60
    assert (chosen["decision"] == "normal").sum() == 20


def test_the_most_abnormal_are_kept_when_there_are_too_many():
    """Among abnormal records the highest probabilities win."""
    table = _table(abnormal=100)
    assert _chosen(table, 10)["probability"].min() >= np.sort(table["probability"])[-10]


def test_the_choice_does_not_depend_on_the_order_of_the_table():
    """The same records give the same pages."""
    table = _table(normal=50, abnormal=20, uncertain=5)
    assert records_with_page(table, limit=30) == records_with_page(table.sample(frac=1, random_state=1), limit=30)
