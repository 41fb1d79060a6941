"""Here: ``up``: a stack that is healthy, and that has forgotten what it must. Not here: the other commands of the stack (``stack``)."""

from ecg_tasks.cli.forgetting import forget_restored
from ecg_tasks.cli.stack import describe
from ecg_tasks.cli.terminal import say


def up() -> None:
    """Start PostgreSQL, the object store and Airflow, and wait until all are healthy (some 20 s; more the first time)."""
    from deploy.embedded import Stack

    stack = Stack()
    stack.up(say)
    forget_restored(stack)
    say("everything is healthy")
    describe(stack)
