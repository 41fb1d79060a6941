"""What a task says in its log: counts, seconds and keys, and nothing where it failed."""

import logging
import re

import pytest

from ecg_tasks.archive.task_log import counted, logged


@logged
def classify(keys, *, fails=False):
    """Do the work of a task."""
    counted(shards=1, records=1000)
    counted(shards=1, records=204)
    if fails:
        raise ValueError("no")
    return keys


@pytest.fixture(autouse=True)
def _told(caplog):
    caplog.set_level(logging.INFO)


@pytest.mark.parametrize(
    ("returned", "listed"),
    [
        ("staging/a.json", "staging/a.json"),
        (["k/1", "k/2"], "k/1, k/2"),
        (["k/1", "k/2", "k/3", "k/4", "k/5"], "k/1, k/2, k/3 and 2 more"),
    ],
)
def test_a_task_tells_counts_seconds_and_keys(caplog, returned, listed):
    """Counts add up over the shards of a task; of many keys the first are named."""
    assert classify(returned) == returned
    (line,) = caplog.messages
    assert re.fullmatch(rf"classify ended\. shards: 2; records: 1,204; \d+\.\d s; {listed}", line)
    assert caplog.records[0].levelno == logging.INFO


def test_a_task_that_fails_says_nothing_of_what_it_did(caplog):
    """Its error is in the log, and its counts are not of the next one."""
    with pytest.raises(ValueError, match="no"):
        classify("k/1", fails=True)
    assert caplog.messages == []
    counted(records=5)
    classify("k/1")
    assert "records: 1,204" in caplog.messages[0]


def test_a_task_within_a_task_counts_for_itself(caplog):
    """As an intake that ends one before it."""

    @logged
    def plan():
        counted(drops=3)
        classify("k/1")
        return []

    plan()
    assert [line.partition(";")[0] for line in caplog.messages] == ["classify ended. shards: 2", "plan ended. drops: 3"]
