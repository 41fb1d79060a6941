"""Here: the quarantine, an entry with its rows, and the form that puts it back. Not here: doing so (``actions``)."""

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from ecg_tasks.actions.quarantine import put_back as put_files_back
from ecg_tasks.queries import quarantine
from ecg_ui.inputs import EntryPath, Offset, Store
from ecg_ui.rendering import page
from ecg_ui.security import rights

router = APIRouter()
changes = APIRouter()

ENTRIES_A_PAGE = 50
ROWS_SHOWN = 500


@router.get("/quarantine")
def show_quarantine(request: Request, user: GetUserDep, store: Store, offset: Offset = 0, *, closed: bool = False) -> Response:
    """Show everything that could not be read, newest first; with ``closed`` what was read after it had been put back."""
    found = quarantine.entries(store, closed=closed, offset=offset, limit=ENTRIES_A_PAGE, told=rights(user).put_back)
    return page(request, user, "quarantine.html", found=found, closed=closed, offset=offset, a_page=ENTRIES_A_PAGE)


@router.get("/quarantine/{name}")
def show_entry(request: Request, user: GetUserDep, store: Store, name: EntryPath) -> Response:
    """Show one entry with what is bad in it."""
    found = quarantine.entry(store, name, told=rights(user).put_back)
    if found is None:
        raise HTTPException(404)
    entry, rows = found
    return page(request, user, "entry.html", entry=entry, rows=rows[:ROWS_SHOWN], n_rows=len(rows))


@changes.post("/quarantine/{name}/retry")
def put_back(request: Request, user: GetUserDep, store: Store, name: EntryPath) -> Response:
    """Put an entry's files back into the inbox."""
    put_files_back(store, name, who=user.get_name())
    return RedirectResponse(f"{request.scope['root_path']}/quarantine/{name}?done=put-back", status_code=303)
