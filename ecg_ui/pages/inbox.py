"""Here: the inbox: what waits, for what, until when, and the forms that take it away or let it go. Not here: doing so (``actions``)."""

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from ecg_tasks.actions import waiting_files
from ecg_tasks.names import DagId
from ecg_tasks.queries import inbox
from ecg_ui import deciding
from ecg_ui.inputs import Offset, Store, WaitingForm
from ecg_ui.rendering import page
from ecg_ui.security import rights

router = APIRouter()
changes = APIRouter()

FILES_A_PAGE = 50


@router.get("/inbox")
def show_inbox(request: Request, user: GetUserDep, store: Store, offset: Offset = 0) -> Response:
    """Show all that waits, what came first in front; without their names to those who may not change it."""
    found = inbox.waiting(store, offset=offset, limit=FILES_A_PAGE, told=rights(user).put_back)
    return page(request, user, "inbox.html", found=found, offset=offset, a_page=FILES_A_PAGE)


@changes.post("/inbox/delete")
def delete(request: Request, user: GetUserDep, store: Store, file: WaitingForm) -> Response:
    """Delete files that wait."""
    waiting_files.delete(store, file, who=user.get_name())
    return RedirectResponse(f"{request.scope['root_path']}/inbox?done=deleted", status_code=303)


@changes.post("/inbox/release")
def release(request: Request, user: GetUserDep, store: Store, file: WaitingForm) -> Response:
    """Let files wait no longer, and start the intake that takes or refuses them."""
    waiting_files.release(store, file, who=user.get_name())
    deciding.start(user, DagId.INGEST_RECORDS)
    return RedirectResponse(f"{request.scope['root_path']}/inbox?done=released", status_code=303)
