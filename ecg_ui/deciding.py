"""Here: runs that a page starts in a person's name: a decision about a model, or of what was dropped. Not here: what they do (the DAGs)."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow.api.common.trigger_dag import trigger_dag
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.exceptions import DagNotFound
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType
from fastapi import HTTPException, status
from sqlalchemy import select

from ecg_tasks.actions import decisions
from ecg_tasks.names import DagId


def ask(user: BaseUser, *, recipe: str, action: decisions.ChampionAction, version: str, why: str, override: str = "") -> str:
    """Start a run that decides about a model; returns its id. Runs wait for one another, so no decision writes over another."""
    form = decisions.form(recipe=recipe, action=action, version=version, why=why, override=override)
    return start(user, DagId.DECIDE_CHAMPION, form)


def start(user: BaseUser, dag: DagId, form: Mapping[str, Any] | None = None) -> str:
    """Start a run in the user's name; returns its id."""
    run_id = f"page__{datetime.now(UTC).isoformat(timespec='seconds')}-{secrets.token_hex(4)}"
    try:
        trigger_dag(
            dag_id=dag.value,
            run_id=run_id,
            conf=dict(form or {}),
            triggered_by=DagRunTriggeredByType.UI,
            triggering_user_name=user.get_name(),
        )
    except DagNotFound:
        message = f"Airflow does not know the DAG {dag} yet. Try again in a minute."
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, message) from None
    return run_id


def state_of(dag: DagId, run_id: str) -> str:
    """Return ``queued``, ``running``, ``success`` or ``failed``; empty for a run that Airflow does not know."""
    with create_session() as session:
        state = session.scalar(select(DagRun.state).where(DagRun.dag_id == dag.value, DagRun.run_id == run_id))
    return "" if state is None else str(getattr(state, "value", state))
