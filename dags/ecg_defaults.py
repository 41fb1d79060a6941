"""Here: what every task of every DAG shares: retries, time limits, pools, order, form fields that several have. Not here: schedules.

A form field that may be empty is of type ``null`` too: Airflow takes an empty text for a missing one, and would not send the form. What
is empty reaches a task as an empty text (`text`). A field that must be filled in has no default, so Airflow names it.
"""

from datetime import timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param

from ecg_tasks.names import OLD_FIELDS, RecipeName

if TYPE_CHECKING:
    from airflow.sdk import Context

CPU_POOL = "cpu"
"""Pool of all ordinary tasks: two slots a core."""
GPU = "gpu"
"""Pool and queue of training: one training at a time. The queue matters to the CeleryExecutor only; the LocalExecutor runs every queue."""
NIGHT = "night"
"""Pool and queue of what a night's report waits for: however many tasks of an import hold the pool ``cpu``, or lie in the queue of the
CeleryExecutor, these have slots and a queue of their own."""
CHAMPION = "champion"
"""Pool of one slot: the tasks that change which model serves never run side by side, whatever DAG they are of."""


class Turn(IntEnum):
    """Whose task takes the next slot that is free: the highest. Of equal ones the older run goes first.

    Airflow's own order would give the last task of a DAG, such as a report, the lowest.
    """

    LATER = 1
    """Training, maintenance, comparisons: nobody waits for them tonight."""
    TAKE_OVER = 2
    DRAW = 3
    """Above what takes over: what was begun is ended before more is begun."""
    REPORT = 4
    PERSON = 5
    """A person has asked, and waits."""


NEVER_AGAIN = {
    "ecg_tasks.errors.BadInputError": "The data is wrong, and a retry would read the same data.",
    "ecg_tasks.errors.SignalError": "This is a fault of the program, and a retry would repeat it.",
    "ecg_tasks.errors.ConfigurationError": "A setting is missing or impossible.",
    "ecg_tasks.errors.NotEnoughDataError": "There is too little labelled data.",
    "ecg_tasks.errors.LeakageError": "Test data is in the training data.",
    "ecg_tasks.errors.ModelRefusedError": "The model version is damaged.",
    "ecg_tasks.errors.StoreConflictError": "Other bytes are stored under this name.",
    "ecg_tasks.errors.DamagedStoreError": "Stored bytes have changed.",
}
"""Errors that a retry cannot mend, with the reason; the rest (the store, the network, a killed worker) is retried."""


def _retries() -> dict[str, Any]:
    """Return the setting by which Airflow tells the two apart; Airflow 3.2 has none, and tries everything again."""
    try:
        from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
    except ImportError:  # pragma: no cover - of the locked version it is part
        return {}
    rules = [RetryRule(exception=error, action=RetryAction.FAIL, reason=why) for error, why in NEVER_AGAIN.items()]
    return {"retry_policy": ExceptionRetryPolicy(rules=rules)}


def check_fields(context: "Context") -> None:
    """Fail a run if its configuration has a key that is no field of its form. Airflow ignores such a key, also a misspelt one.

    Airflow checks the value of a field by the form, but not by a field's old name; that is done here.

    Raises
    ------
    ConfigurationError
        Names the keys and the fields of the form, or says what is wrong with a value that has an old name.
    """
    from airflow.sdk.exceptions import ParamValidationError

    from ecg_tasks.errors import ConfigurationError

    params, conf = context["dag"].params, context["dag_run"].conf or {}
    fields = sorted(params)
    old_names = {old: new for new, old in OLD_FIELDS.items() if new in fields and old in conf}
    for old, new in old_names.items():
        if conf.get(new) is not None:
            raise ConfigurationError(f"{old!r} is the old name of {new!r}, and the configuration of this run has both: give {new!r} only")
        try:
            params.get_param(new).resolve(conf[old])
        except ParamValidationError as error:
            raise ConfigurationError(f"{old!r}, the old name of {new!r}: {error}") from None
    unknown = sorted(set(conf) - set(fields) - set(old_names))
    if unknown:
        dag_id = context["dag"].dag_id
        there_are = f"Its fields are {', '.join(fields)}" if fields else "This DAG has no fields"
        raise ConfigurationError(
            f"{dag_id} has no field {', '.join(map(repr, unknown))}, which the configuration of this run names. {there_are}. "
            "Nothing was done. Correct it, and start a new run."
        )


TASK_DEFAULTS: dict[str, Any] = {
    "owner": "ecg",
    "pool": CPU_POOL,
    "weight_rule": "absolute",
    "priority_weight": Turn.LATER.value,
    "execution_timeout": timedelta(minutes=30),
    # Waits of about 5, 15, 45, 135 and 300 s: a store that is away for some ten minutes fails no run.
    "retries": 5,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": 3.0,
    "max_retry_delay": timedelta(minutes=5),
    **_retries(),
    # Before every task, so that the first one ends the run.
    "pre_execute": check_fields,
}


def defaults(turn: Turn, **more: Any) -> dict[str, Any]:
    """Return `TASK_DEFAULTS` for a DAG whose tasks have their turn."""
    return TASK_DEFAULTS | {"priority_weight": turn.value} | more


def recipe_field(description: str) -> Param:
    """Return the form's field for a recipe."""
    return Param(
        RecipeName.TWELVE_LEAD.value, type="string", enum=[name.value for name in RecipeName], title="Recipe", description=description
    )


def version_field(title: str, description: str) -> Param:
    """Return the form's field for a model version; it may be left empty."""
    return Param(None, type=["null", "string"], pattern="^[0-9a-f]*$", maxLength=64, title=title, description=description)


def text_field(title: str, description: str, *, required: bool = False) -> Param:
    """Return the form's field for a text of several lines; it may be left empty unless it is required."""
    limits: dict[str, Any] = {"format": "multiline", "maxLength": 2000, "title": title, "description": description}
    return Param(type="string", pattern=r"\S", **limits) if required else Param(None, type=["null", "string"], **limits)


def text(name: str) -> str:
    """Return the template of a form's field: as it was filled in, also by its old name, or an empty text."""
    value = f"params.{name}"
    if name in OLD_FIELDS:
        value = f"(params.get('{OLD_FIELDS[name]}') if {value} is none else {value})"
    return "{{ '' if %s is none else %s }}" % (value, value)  # noqa: UP031 - braces
