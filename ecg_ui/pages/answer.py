"""Here: the button that decides on what was dropped, and the page that waits for the report. Not here: deciding (``classify_records``)."""

from typing import Annotated
from urllib.parse import urlencode

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse

from ecg_tasks.names import DagId
from ecg_tasks.queries import inbox
from ecg_tasks.queries.runs import run_of
from ecg_ui import deciding
from ecg_ui.inputs import DECISION, Store
from ecg_ui.rendering import page

router = APIRouter()
changes = APIRouter()

ASK_AGAIN_S = 3


@changes.post("/answer")
def decide(request: Request, user: GetUserDep, store: Store) -> Response:
    """Start a run that waits for the intake of what lies in the inbox, and decides; the intake is started, too."""
    run = deciding.start(user, DagId.CLASSIFY_RECORDS, {"after_intake": True})
    if inbox.has_files(store):
        deciding.start(user, DagId.INGEST_RECORDS)
    return RedirectResponse(f"{request.scope['root_path']}/answer?{urlencode({'run': run})}", status_code=303)


@router.get("/answer")
def show_answer(request: Request, user: GetUserDep, store: Store, run: Annotated[str, Query(pattern=DECISION)]) -> Response:
    """Show what the run waits for, and lead to its report when it is there."""
    _, found = run_of(store, DagId.CLASSIFY_RECORDS, run)
    if found is not None:
        return RedirectResponse(f"{request.scope['root_path']}/reports/{found.date}/{found.run}", status_code=303)
    state = deciding.state_of(DagId.CLASSIFY_RECORDS, run)
    if not state:
        raise HTTPException(404)
    answer = page(request, user, "answer.html", run=run, state=state, found=inbox.waiting(store, limit=0, told=False))
    if state != "failed":
        answer.headers["refresh"] = str(ASK_AGAIN_S)
    return answer
