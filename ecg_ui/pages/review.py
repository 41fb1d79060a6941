"""Here: the reviewer's page: one record at a time, one key a verdict, undo; the verdicts, to look through and to download.

Not here: the order of records (``queries.review_queue``), one record's page (``records``).
"""

from typing import Annotated, Literal
from urllib.parse import urlencode

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from ecg_tasks.actions import verdicts
from ecg_tasks.labels import MAX_CLASSES, Label
from ecg_tasks.queries import models, records, review_queue, reviewed_records
from ecg_tasks.settings import Settings
from ecg_ui.inputs import RECORD, WHEN, Offset, RecordForm, Store, WhenForm
from ecg_ui.pages.records import VERDICTS, before_verdict, drawings
from ecg_ui.rendering import page
from ecg_ui.security import rights
from ecg_ui.watching import Noted

router = APIRouter()
changes = APIRouter()

NEXT_SHOWN = 8
VERDICTS_A_PAGE = 50


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
    """Show the next record, with its signal and picture; what the model and the source say only where review is not blind."""
    blind = Settings.from_environment().review_blind
    queue = review_queue.queue(store, user=user.get_name(), offset=offset, limit=1 + NEXT_SHOWN, blind=blind)
    first = queue.items[0] if queue.items else None
    noted.record = first.record_id if first else ""
    # The same version as in the queue, so that the picture and the sentence speak of one answer.
    found = records.record_page(store, first.record_id, champions={first.recipe: first.version}) if first else None
    revealed = review_queue.reveal(store, saved, user=user.get_name()) if saved else None
    spoken = [*(() if blind else queue.items), *([revealed.item] if revealed else [])]
    probability = drawings(found, start=0.0, attribution=None)["probability"] if found and not blind else ""
    return page(
        request,
        user,
        "review.html",
        blind=blind,
        waiting=queue.waiting,
        reviewed=queue.reviewed,
        has_next=len(queue.items) > 1,
        item=None if blind else first,
        following=() if blind else queue.items[1:],
        synthetic=models.synthetic(store, [(one.recipe, one.version) for one in spoken]),
        undecided=records.waits_for(store, first.shard) if first else (),
        boxes=models.version(store, first.recipe, first.version).class_names if first else (),
        known=review_queue.known_classes(store),
        saved=saved,
        revealed=revealed,
        at=at,
        offset=offset,
        progress=review_queue.progress(store),
        agreement=review_queue.agreement(store),
        probability=probability,
        verdicts=VERDICTS,
        **(before_verdict(found, start=0.0) if found else {"record": None}),
    )


@router.get("/review/verdicts")
def show_verdicts(
    request: Request,
    user: GetUserDep,
    store: Store,
    *,
    q: Annotated[str, Query(max_length=200)] = "",
    label: Label | Literal[""] = "",
    disputed: bool = False,
    offset: Offset = 0,
) -> Response:
    """Show the records with a verdict; blind reviewers see none that waits for their own."""
    reads = Settings.from_environment().review_blind and rights(user).label
    found = reviewed_records.search(
        store,
        text=q,
        label=str(label),
        disputed=disputed,
        unseen_by=user.get_name() if reads else "",
        offset=offset,
        limit=VERDICTS_A_PAGE,
    )
    asked = {name: value for name, value in (("q", q), ("label", str(label)), ("disputed", "true" if disputed else "")) if value}
    return page(
        request,
        user,
        "verdicts.html",
        found=found,
        known=review_queue.known_classes(store),
        labels=[one.value for one in Label],
        q=q,
        label=str(label),
        disputed=disputed,
        asked=asked,
        offset=offset,
        a_page=VERDICTS_A_PAGE,
    )


@router.get("/review/labels.csv")
def download_labels(store: Store, noted: Noted, *, comments: bool = False) -> Response:
    """Send the verdicts in force as a label table."""
    noted.thing = "with comments" if comments else ""
    headers = {"content-disposition": 'attachment; filename="labels.csv"'}
    return StreamingResponse(reviewed_records.labels_csv(store, comments=comments), media_type="text/csv; charset=utf-8", headers=headers)


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
    tags: Annotated[tuple[Annotated[str, Form(max_length=200)], ...], Form(max_length=MAX_CLASSES)] = (),
) -> Response:
    """Keep a verdict, and go on with the next record."""
    saved = verdicts.save_verdict(
        store, record_id, verdict=verdict, user=user.get_name(), comment=comment.strip(), checked=checked, offered=offered, tags=tags
    )
    return RedirectResponse(f"{request.scope['root_path']}/review?{urlencode({'saved': record_id, 'at': saved.when})}", status_code=303)


@changes.post("/review/undo")
def undo(request: Request, user: GetUserDep, store: Store, record_id: RecordForm, at: WhenForm) -> Response:
    """Take one's own verdict back; the record is in the queue again."""
    verdicts.withdraw(store, record_id, user=user.get_name(), when=at)
    return RedirectResponse(f"{request.scope['root_path']}/review?done=withdrawn", status_code=303)
