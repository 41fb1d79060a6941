"""Here: the reviewer's page: one record at a time, one key a verdict, undo. Not here: its order (``queries.review_queue``)."""

from typing import Annotated
from urllib.parse import urlencode

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from ecg_tasks.actions import verdicts
from ecg_tasks.labels import MAX_CLASSES
from ecg_tasks.queries import models, records, review_queue
from ecg_ui.inputs import RECORD, WHEN, Offset, RecordForm, Store, WhenForm
from ecg_ui.pages.records import VERDICTS, drawings
from ecg_ui.rendering import page
from ecg_ui.watching import Noted

router = APIRouter()
changes = APIRouter()

NEXT_SHOWN = 8


@router.get("/review")
def show_review(
    request: Request,
    user: GetUserDep,
    store: Store,
    noted: Noted,
    *,
    offset: Offset = 0,
    saved: Annotated[str | None, Query(pattern=RECORD)] = None,
    at: Annotated[str, Query(pattern=WHEN)] = "1970-01-01T00:00:00Z",
) -> Response:
    """Show the record that teaches most, with its signal and picture, and what comes after it."""
    queue = review_queue.queue(store, user=user.get_name(), offset=offset, limit=1 + NEXT_SHOWN)
    first = queue.items[0] if queue.items else None
    noted.record = first.record_id if first else ""
    # The same version as in the queue, so that the picture and the sentence speak of one answer.
    found = records.record_page(store, first.record_id, champions={first.recipe: first.version}) if first else None
    return page(
        request,
        user,
        "review.html",
        queue=queue,
        item=first,
        synthetic=models.synthetic(store, [(one.recipe, one.version) for one in queue.items]),
        found=found,
        undecided=records.waits_for(store, first.shard) if first else (),
        verdicts=VERDICTS,
        boxes=models.version(store, first.recipe, first.version).class_names if first else (),
        saved=saved,
        at=at,
        offset=offset,
        progress=review_queue.progress(store),
        agreement=review_queue.agreement(store),
        **(drawings(found, start=0.0, attribution=None) if found else {}),
    )


@changes.post("/review")
def save_verdict(
    request: Request,
    user: GetUserDep,
    store: Store,
    *,
    record_id: RecordForm,
    verdict: Annotated[str, Form(pattern="^(normal|abnormal|uninterpretable|skip)$")],
    comment: Annotated[str, Form(max_length=verdicts.COMMENT_MAX)] = "",
    checked: Annotated[tuple[str, ...], Form(max_length=MAX_CLASSES)] = (),
    offered: Annotated[tuple[str, ...], Form(max_length=MAX_CLASSES)] = (),
) -> Response:
    """Keep a verdict, and go on with the next record."""
    saved = verdicts.save_verdict(
        store, record_id, verdict=verdict, user=user.get_name(), comment=comment.strip(), checked=checked, offered=offered
    )
    return RedirectResponse(f"{request.scope['root_path']}/review?{urlencode({'saved': record_id, 'at': saved.when})}", status_code=303)


@changes.post("/review/undo")
def undo(request: Request, user: GetUserDep, store: Store, record_id: RecordForm, at: WhenForm) -> Response:
    """Take one's own verdict back; the record is in the queue again."""
    verdicts.withdraw(store, record_id, user=user.get_name(), when=at)
    return RedirectResponse(f"{request.scope['root_path']}/review?done=withdrawn", status_code=303)
