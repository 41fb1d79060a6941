"""Here: the page of one record, made on demand, and the form that gives its next reading to somebody.

Not here: gathering it (``queries.records``), verdicts (``actions``).
"""

from typing import Annotated, Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Form, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse

from ecg_tasks.actions import verdicts
from ecg_tasks.labels import Decision
from ecg_tasks.queries import explained, records, report_table, review_queue, runs, same_patient
from ecg_tasks.reporting.attribution import Attribution, draw_attribution
from ecg_tasks.reporting.beats import draw_beats
from ecg_tasks.reporting.charts import draw_probability
from ecg_tasks.reporting.class_lines import class_lines
from ecg_tasks.reporting.facts import facts_of
from ecg_tasks.reporting.lead_spectrograms import draw_lead_spectrograms
from ecg_tasks.reporting.measured import measured_lines
from ecg_tasks.reporting.model import ModelSummary
from ecg_tasks.reporting.overlay import draw_over
from ecg_tasks.reporting.plainly import plainly
from ecg_tasks.reporting.sections import MEANINGS
from ecg_tasks.reporting.spectrogram import draw_spectrograms, has_masked_frames
from ecg_tasks.reporting.svg import number
from ecg_tasks.reporting.waveform import SHOWN_S, draw_waveform
from ecg_tasks.settings import Settings
from ecg_tasks.signals.measurements import SENTENCES, MeasuredBeat, measured_beat
from ecg_ui import security
from ecg_ui.inputs import DATE, RECORD, RUN, RecordPath, Store
from ecg_ui.pages.reports import Asked, as_params
from ecg_ui.rendering import page
from ecg_ui.watching import Noted

router = APIRouter()
changes = APIRouter()

VERDICTS = (("normal", "n"), ("abnormal", "a"), ("uninterpretable", "u"), ("skip", "s"))
"""What a reviewer may say, and by which key."""

From = Annotated[float, Query(ge=0, le=1e6, allow_inf_nan=False)]
OptionalDate = Annotated[str | None, Query(pattern=DATE)]
OptionalRun = Annotated[str | None, Query(pattern=RUN)]


@router.get("/records/{record_id}")
def show_record(
    request: Request,
    user: GetUserDep,
    *,
    store: Store,
    record_id: RecordPath,
    query: Asked,
    date: OptionalDate = None,
    run: OptionalRun = None,
    start: From = 0.0,
    reading: bool = False,
) -> Response:
    """Show one record; from a report (``date``, ``run`` and its filter) with the decisions of that run and its neighbours there.

    From the reviewers' page (``reading``) it shows nothing that the model or anybody says of it before this user's verdict.
    """
    if reading and Settings.from_environment().review_blind and not review_queue.has_verdict(store, record_id, user=user.get_name()):
        return _show_unread(request, user, store, record_id, start=start)
    listed = report_table.table(store, date, run) if date and run else None
    head = runs.summary(store, date, run) if date and run else None
    champions = {model.recipe: model.version for model in head.models} if head else None
    found = records.record_page(store, record_id, champions=champions)
    if found is None:
        raise HTTPException(404)
    previous, following = listed.neighbours(query, record_id) if listed else (None, None)
    record = found.stored.record
    earlier, later = _beside(record.duration_s, start=start)
    said = review_queue.history(store, record_id)
    label = next((statement.label for statement in said if statement.in_force), None)
    return page(
        request,
        user,
        "record.html",
        found=found,
        record=record,
        facts=facts_of(record),
        measured=measured_lines(found.measured),
        decided=found.decided,
        history=said,
        label=label,
        explained=not security.rights(user).label or any(one.user == user.get_name() and not one.withdrawn for one in said),
        differs=label is not None and found.decided is not None and report_table.differs(found.decided.decision, label),
        date=date if head else None,
        run=run if head else None,
        list_query=as_params(query),
        asked=as_params(query) | ({"date": date, "run": run} if head else {}),
        verdicts=VERDICTS,
        boxes=found.decided.version.class_names if found.decided else (),
        known=review_queue.known_classes(store),
        reading=review_queue.next_reading(store, record_id),
        previous=previous,
        following=following,
        by_lead=draw_lead_spectrograms(record, from_s=start),
        **drawings(found, start=start, attribution=explained.attribution(store, found)),
        earlier=earlier,
        later=later,
        duration=number(record.duration_s),
        fs=number(record.fs),
    )


@changes.post("/records/{record_id}/reader")
def give_reading(
    request: Request, user: GetUserDep, store: Store, record_id: RecordPath, reader: Annotated[str, Form(max_length=verdicts.USER_MAX)] = ""
) -> Response:
    """Give the next reading of a record to a person, or without one back to the rule."""
    verdicts.ask(store, record_id, reader=reader, who=user.get_name())
    return RedirectResponse(f"{request.scope['root_path']}/records/{record_id}?done=asked#said-h", status_code=303)


@router.get("/records/{record_id}/beat")
def show_beat(
    request: Request,
    user: GetUserDep,
    *,
    store: Store,
    record_id: RecordPath,
    query: Asked,
    date: OptionalDate = None,
    run: OptionalRun = None,
) -> Response:
    """Show the median beat of a record, with what was measured on it."""
    stored = same_patient.find(store, record_id)
    if stored is None:
        raise HTTPException(404)
    beat = measured_beat(stored.record)
    if isinstance(beat, MeasuredBeat):
        shown: dict[str, Any] = {"beats": draw_beats(beat), "measured": measured_lines(beat.values.row), "why": ""}
    else:
        shown = {"beats": None, "measured": (), "why": SENTENCES[beat]}
    return page(
        request,
        user,
        "beat.html",
        stored=stored,
        **shown,
        asked=_asked(query, date, run),
    )


@router.get("/records/{record_id}/earlier")
def show_earlier(
    request: Request,
    user: GetUserDep,
    noted: Noted,
    *,
    store: Store,
    record_id: RecordPath,
    query: Asked,
    date: OptionalDate = None,
    run: OptionalRun = None,
    other: Annotated[str | None, Query(pattern=RECORD)] = None,
) -> Response:
    """Show a record over another one of the same patient: the one asked for, or the latest earlier one."""
    stored = same_patient.find(store, record_id)
    if stored is None:
        raise HTTPException(404)
    listed = same_patient.others(store, stored)
    chosen = same_patient.nearest(listed) if other is None else next((one for one in listed if one.record_id == other), None)
    if chosen is None and other is not None:
        raise HTTPException(404)
    behind = same_patient.find(store, chosen.record_id) if chosen else None
    noted.other = chosen.record_id if chosen and behind else ""
    return page(
        request,
        user,
        "earlier.html",
        stored=stored,
        listed=listed,
        chosen=chosen if behind else None,
        over=draw_over(stored.record, behind.record) if behind else None,
        asked=_asked(query, date, run),
    )


def _asked(query: report_table.Query, date: str | None, run: str | None) -> dict[str, object]:
    """Return what an address has of the report that one comes from."""
    return as_params(query) | ({"date": date, "run": run} if date and run else {})


def _show_unread(request: Request, user: GetUserDep, store: Store, record_id: str, *, start: float) -> Response:
    found = records.record_page(store, record_id)
    if found is None:
        raise HTTPException(404)
    earlier, later = _beside(found.stored.record.duration_s, start=start)
    return page(
        request,
        user,
        "reading.html",
        **before_verdict(found, start=start),
        earlier=earlier,
        later=later,
        verdicts=VERDICTS,
        boxes=found.decided.version.class_names if found.decided else (),
        known=review_queue.known_classes(store),
    )


def before_verdict(found: records.RecordPage, *, start: float) -> dict[str, Any]:
    """Return what a reviewer may see of a record before the verdict: its signal, its picture, what was measured and who it is of."""
    record = found.stored.record
    drawn = drawings(found, start=start, attribution=None)
    return {
        "record": record,
        "facts": facts_of(record),
        "measured": measured_lines(found.measured),
        "duration": number(record.duration_s),
        "fs": number(record.fs),
        **{name: drawn[name] for name in ("waveform", "spectrograms", "own_range", "padded")},
    }


def drawings(found: records.RecordPage, *, start: float, attribution: Attribution | None) -> dict[str, Any]:
    """Return the drawings of a record: waveform, spectrograms, probability on the version's scale, and what its decision is based on."""
    decided = found.decided
    return {
        "waveform": draw_waveform(found.stored.record, from_s=start, attribution=attribution),
        "spectrograms": draw_spectrograms(found.views, attribution=attribution) if found.views else "",
        "own_range": any(view.db_range is None for view in found.views),
        "padded": has_masked_frames(found.views),
        "probability": probability(decided) if decided else "",
        "attribution": attribution,
        "plain": plainly(attribution) if attribution else "",
        "attribution_drawing": draw_attribution(attribution) if attribution else "",
        "lines": class_lines(decided.version.classes, decided.values) if decided else [],
        "meaning": MEANINGS[Decision(decided.decision)] if decided else "",
    }


def probability(decided: records.StoredDecision) -> str:
    """Draw P(abnormal) on its scale, with threshold and band; empty where it is not known."""
    version = decided.version
    if decided.probability is None or version.threshold is None:
        return ""
    scale = ModelSummary(
        recipe=version.recipe,
        version=version.version,
        digest=version.digest,
        since="",
        threshold=version.threshold,
        abstain=version.abstain,
        test_figures={},
        n_test_records=0,
        n_test_patients=0,
        split_unit="patient",
        synthetic=version.synthetic,
    )
    return draw_probability(decided.probability, model=scale)


def _beside(duration_s: float, *, start: float) -> tuple[float | None, float | None]:
    """Return where the pages before and after begin, of a recording that is longer than a page of ECG paper."""
    last = max(0.0, duration_s - SHOWN_S)
    start = min(start, last)
    return (max(0.0, start - SHOWN_S) if start > 0 else None), (min(last, start + SHOWN_S) if start < last else None)
