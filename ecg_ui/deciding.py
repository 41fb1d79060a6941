"""Here: what a person decides on a page, on its way to the DAG that does it, one at a time. Not here: doing it (that DAG)."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

from airflow.api.common.trigger_dag import trigger_dag
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.exceptions import DagNotFound
from airflow.utils.types import DagRunTriggeredByType
from fastapi import HTTPException, status

from ecg_tasks.actions import decisions
from ecg_tasks.names import DagId


def ask(user: BaseUser, *, recipe: str, action: decisions.ChampionAction, version: str, why: str, override: str = "") -> str:
    """Start the run of a decision in the user's name; returns its id. Runs wait for one another, so none writes over another."""
    conf = decisions.form(recipe=recipe, action=action, version=version, why=why, override=override)
    return start(user, DagId.DECIDE_CHAMPION, conf)


def start(user: BaseUser, dag: DagId, conf: Mapping[str, str]) -> str:
    """Start a run of a DAG in the user's name; returns its id."""
    run_id = f"page__{datetime.now(UTC).isoformat(timespec='seconds')}-{secrets.token_hex(4)}"
    try:
        trigger_dag(
            dag_id=dag.value,
            run_id=run_id,
            conf=dict(conf),
            triggered_by=DagRunTriggeredByType.UI,
            triggering_user_name=user.get_name(),
        )
    except DagNotFound:
        message = f"Airflow does not know the DAG {dag} yet. Try again in a minute."
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, message) from None
    return run_id
