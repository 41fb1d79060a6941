"""Here: the guided way of a first recording to a report, and the made-up recordings that it offers. Not here: making them (``actions``)."""

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from ecg_tasks.actions import made_up
from ecg_tasks.queries.first_steps import first_steps
from ecg_ui.inputs import Store
from ecg_ui.rendering import page

router = APIRouter()
changes = APIRouter()


@router.get("/first-steps")
def show_first_steps(request: Request, user: GetUserDep, store: Store) -> Response:
    """Show the steps of a demonstration, which of them are done, and what the next one is."""
    return page(request, user, "first_steps.html", steps=first_steps(store), n_recordings=made_up.N_PATIENTS)


@changes.post("/first-steps/drop")
def drop(request: Request, user: GetUserDep, store: Store) -> Response:
    """Put made-up recordings into the inbox."""
    made_up.drop(store, who=user.get_name())
    return RedirectResponse(f"{request.scope['root_path']}/first-steps?done=dropped", status_code=303)
