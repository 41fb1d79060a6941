"""Here: a person's decision about a model on its way through the DAG that takes one at a time. Not here: deciding (``decide_champion``)."""

import secrets

from airflow.api.common.trigger_dag import trigger_dag
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.exceptions import DagNotFound
from airflow.utils.types import DagRunTriggeredByType
from fastapi import HTTPException, status

from ecg_tasks.archive.object_store import MissingObjectError
from ecg_tasks.archive.workspace import now
from ecg_tasks.pipeline import decide_champion


def ask(user: BaseUser, *, recipe: str, action: decide_champion.ChampionAction, version: str, why: str, override: str = "") -> str:
    """Start a run in the user's name; returns its id. Runs wait for one another, so no decision writes over another."""
    run_id = f"page__{now()}-{secrets.token_hex(4)}"
    form = {"recipe": recipe, "action": str(action), "version": version, "why": why, "override": override}
    try:
        trigger_dag(
            dag_id=decide_champion.DAG.value,
            run_id=run_id,
            conf=form,
            triggered_by=DagRunTriggeredByType.UI,
            triggering_user_name=user.get_name(),
        )
    except DagNotFound:
        message = f"Airflow does not know the DAG {decide_champion.DAG} yet. Try again in a minute."
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, message) from None
    return run_id


def outcome(run_id: str) -> str | None:
    """What came of a run, as a sentence; None while it has not ended."""
    try:
        return decide_champion.outcome(run_id)
    except MissingObjectError:
        return None
