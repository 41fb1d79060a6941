"""Here: ``up``: a stack that is healthy, and that has forgotten what it must. Not here: the other commands of the stack (``stack``)."""

from typing import TYPE_CHECKING

from ecg_tasks.cli.forgetting import forget_restored, renew_list
from ecg_tasks.cli.stack import describe, open_bucket
from ecg_tasks.cli.terminal import complain, say

if TYPE_CHECKING:
    from deploy.embedded import Stack


def up() -> None:
    """Start PostgreSQL, the object store and Airflow, and wait until all are healthy (some 20 s; more the first time)."""
    from deploy.embedded import Stack

    stack = Stack()
    stack.up(say)
    forget_restored(stack)
    renew_list(stack)
    say("everything is healthy")
    _warn_of_bucket(stack)
    describe(stack)


def _warn_of_bucket(stack: "Stack") -> None:
    """Tell what a bucket elsewhere does not do for what is written once; ours does it."""
    from deploy.embedded import bucket

    if bucket.is_embedded(stack.home):
        return
    from ecg_tasks.actions.bucket_check import lacks

    for sentence in lacks(open_bucket()):
        complain(sentence)
