"""Here: what every task of every DAG shares: retries, time limits, pools, and form fields that several have. Not here: schedules."""

from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, Param, RetryAction, RetryRule

CPU_POOL = "cpu"
"""Pool of all ordinary tasks: two slots a core."""
GPU = "gpu"
"""Pool and queue of training: one training at a time. The queue matters to the CeleryExecutor only; the LocalExecutor runs every queue."""
CHAMPION = "champion"
"""Pool of one slot: the tasks that change which model serves never run side by side, whatever DAG they are of."""

RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="ecg_tasks.errors.BadInputError", action=RetryAction.FAIL, reason="The data is at fault; a retry reads the same."
        ),
        RetryRule(exception="ecg_tasks.errors.SignalError", action=RetryAction.FAIL, reason="A fault of the program; a retry repeats it."),
        RetryRule(exception="ecg_tasks.errors.ConfigurationError", action=RetryAction.FAIL, reason="A setting is missing or impossible."),
        RetryRule(exception="ecg_tasks.errors.NotEnoughDataError", action=RetryAction.FAIL, reason="Too little labelled data so far."),
        RetryRule(exception="ecg_tasks.errors.LeakageError", action=RetryAction.FAIL, reason="Test data shows in the training data."),
        RetryRule(exception="ecg_tasks.errors.ModelRefusedError", action=RetryAction.FAIL, reason="The model version is damaged."),
        RetryRule(exception="ecg_tasks.errors.DamagedStoreError", action=RetryAction.FAIL, reason="Stored bytes have changed."),
    ],
)
"""What a retry cannot mend fails at once; the rest (the store, the network, a killed worker) is retried."""

TASK_DEFAULTS: dict[str, Any] = {
    "owner": "ecg",
    "pool": CPU_POOL,
    "execution_timeout": timedelta(minutes=30),
    # Waits of about 5, 15, 45, 135 and 300 s: a store that is away for some ten minutes fails no run.
    "retries": 5,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": 3.0,
    "max_retry_delay": timedelta(minutes=5),
    "retry_policy": RETRY_POLICY,
}


def recipe_field(description: str) -> Param:
    """The form's field for a recipe."""
    return Param("twelve_lead", type="string", enum=["twelve_lead", "heartbeat", "notebook"], title="Recipe", description=description)


def version_field(title: str, description: str) -> Param:
    """The form's field for a model version; it may be left empty."""
    return Param("", type="string", pattern="^[0-9a-f]*$", maxLength=64, title=title, description=description)
