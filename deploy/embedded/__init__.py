"""Here: PostgreSQL, an S3 server and Airflow on one machine under one supervisor, without Docker or root.

Not here: what the tasks do (``ecg_tasks``), or how a person calls this (``ecg_tasks.cli``).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploy.embedded.stack import Stack

__all__ = ["Stack"]


def __getattr__(name: str) -> Any:
    """Import `Stack` when it is asked for: a process that needs one module here does not wait for all."""
    if name == "Stack":
        from deploy.embedded.stack import Stack

        return Stack
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
