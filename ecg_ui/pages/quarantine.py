"""Here: the quarantine by reason, an entry with its rows and files, and the forms on them. Not here: what these do (``actions``)."""

from dataclasses import replace
from typing import Annotated
from urllib.parse import quote

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, Form, HTTPException, Path, Query, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from ecg_tasks.actions.quarantine import AT_ONCE, EntryAct, ManyDone, do_with_many
from ecg_tasks.actions.quarantine import put_back as put_files_back
from ecg_tasks.queries import quarantine
from ecg_ui.inputs import ENTRY, EntryPath, Offset, Store
from ecg_ui.rendering import page
from ecg_ui.security import may_put_back, rights

router = APIRouter()
changes = APIRouter()

ENTRIES_A_PAGE = 50
ENTRIES_A_GROUP = 10
ROWS_SHOWN = 500
GROUP = r"^[a-z_]{0,40}$"


@router.get("/quarantine")
def show_quarantine(
    request: Request,
    user: GetUserDep,
    store: Store,
    offset: Offset = 0,
    *,
    closed: bool = False,
    reason: Annotated[str, Query(pattern=GROUP)] = "",
) -> Response:
    """Show what could not be read, by reason; with ``reason`` all with that one, with ``closed`` what nothing is left to do about."""
    return _page(request, user, store, closed=closed, reason=reason, offset=offset)


@router.get("/quarantine/{name}")
def show_entry(request: Request, user: GetUserDep, store: Store, name: EntryPath) -> Response:
    """Show one entry with what is bad in it."""
    told = rights(user).put_back
    found = quarantine.entry(store, name, told=told)
    if found is None:
        raise HTTPException(404)
    entry, rows = found
    return page(
        request,
        user,
        "entry.html",
        entry=entry,
        advice=quarantine.advice_on(entry),
        rows=rows[:ROWS_SHOWN],
        n_rows=len(rows),
        files=quarantine.files(store, name) if told else (),
    )


@router.get("/quarantine/{name}/files/{number}", dependencies=[Depends(may_put_back)])
def download_file(store: Store, name: EntryPath, number: Annotated[int, Path(ge=0, le=1000)]) -> Response:
    """Send a file of an entry as it was dropped, to be saved and never to be shown: it may hold anything."""
    found = quarantine.files(store, name)
    if number >= len(found):
        raise HTTPException(404)
    file = found[number]
    saved_as = quote(file.name.rpartition("/")[2], safe="")
    headers = {"content-disposition": f"attachment; filename=\"{name[:12]}-{number}\"; filename*=UTF-8''{saved_as}"}
    return StreamingResponse(quarantine.content(store, file), media_type="application/octet-stream", headers=headers)


@changes.post("/quarantine")
def do(
    request: Request,
    user: GetUserDep,
    store: Store,
    *,
    act: Annotated[EntryAct, Form()],
    entry: Annotated[tuple[Annotated[str, Form(pattern=ENTRY)], ...], Form(max_length=AT_ONCE)] = (),
    every: Annotated[str, Form(pattern=GROUP)] = "",
) -> Response:
    """Do something with the entries that were chosen, or with every one of a reason."""
    closed = act is EntryAct.REOPEN
    chosen = entry
    if every:
        chosen = tuple(one.id for one in quarantine.entries(store, closed=closed, reason=every, limit=quarantine.GROUPED).entries)
    made = do_with_many(store, chosen, act=act, who=user.get_name())
    if made.refused or made.left or not chosen:
        return _page(request, user, store, closed=closed, made=made, status_code=409 if made.refused or not chosen else 200)
    return RedirectResponse(f"{request.scope['root_path']}/quarantine?{'closed=true&' if closed else ''}done={act.value}", status_code=303)


@changes.post("/quarantine/{name}/retry")
def put_back(request: Request, user: GetUserDep, store: Store, name: EntryPath) -> Response:
    """Put an entry's files back into the inbox."""
    put_files_back(store, name, who=user.get_name())
    return RedirectResponse(f"{request.scope['root_path']}/quarantine/{name}?done=put-back", status_code=303)


def _page(
    request: Request,
    user: BaseUser,
    store: Store,
    *,
    closed: bool,
    reason: str = "",
    offset: int = 0,
    made: ManyDone | None = None,
    status_code: int = 200,
) -> Response:
    told = rights(user).put_back
    limit = ENTRIES_A_PAGE if reason else ENTRIES_A_GROUP
    found = quarantine.grouped(store, closed=closed, limit=offset + limit, told=told)
    groups = [replace(group, entries=group.entries[offset:]) for group in found.groups if not reason or group.reason == reason]
    return page(
        request,
        user,
        "quarantine.html",
        status_code=status_code,
        found=found,
        groups=groups,
        beside=quarantine.BESIDE,
        closed=closed,
        reason=reason,
        offset=offset,
        a_page=ENTRIES_A_PAGE,
        at_once=AT_ONCE,
        made=made,
    )
