"""Here: the list of reports, and one report with its table. Not here: downloads (``files``), one record (``records``)."""

from dataclasses import asdict
from typing import Annotated, Literal

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from pydantic import AfterValidator

from ecg_tasks.labels import Decision, Label
from ecg_tasks.queries import report_table, runs
from ecg_tasks.reporting.charts import draw_decisions
from ecg_tasks.reporting.sections import decision_lines, histograms, model_lines, unseen_lines
from ecg_tasks.signals.recipes import RECIPES
from ecg_ui.inputs import DatePath, Offset, RecipeName, RunPath, Store
from ecg_ui.rendering import address, page

router = APIRouter()

RUNS_A_PAGE = 30
ROWS_A_PAGE = 50


def _sort(name: str) -> str:
    if name not in report_table.sorts():
        raise ValueError(f"rows can be sorted by {', '.join(report_table.sorts())}")
    return name


Sort = Annotated[str, AfterValidator(_sort)]


def asked(
    *,
    q: Annotated[str, Query(max_length=200)] = "",
    decision: Decision | Literal[""] = "",
    recipe: RecipeName | Literal[""] = "",
    label: Label | Literal["", "none"] = "",
    differs: bool = False,
    sort: Sort = "attention",
    descending: bool = False,
) -> report_table.Query:
    """Read a filter out of an address."""
    return report_table.Query(
        text=q, decision=str(decision), recipe=recipe, label=str(label), differs=differs, sort=sort, descending=descending
    )


Asked = Annotated[report_table.Query, Depends(asked)]


def as_params(query: report_table.Query) -> dict[str, object]:
    """Write a filter into an address."""
    values = asdict(query) | {"q": query.text, "sort": "" if query.sort == "attention" else query.sort}
    return {name: value for name, value in values.items() if name != "text" and value}


@router.get("/reports")
def show_reports(request: Request, user: GetUserDep, store: Store, offset: Offset = 0) -> Response:
    """Show every run with a report, newest first."""
    found = runs.runs(store, offset=offset, limit=RUNS_A_PAGE)
    return page(
        request,
        user,
        "reports.html",
        found=found,
        forgotten=any(run.counts.forgotten for run in found.runs),
        offset=offset,
        a_page=RUNS_A_PAGE,
    )


@router.get("/reports/{date}/{run}")
def show_report(
    request: Request,
    user: GetUserDep,
    *,
    store: Store,
    date: DatePath,
    run: RunPath,
    query: Asked,
    offset: Offset = 0,
) -> Response:
    """Show one report: its counts, and its rows, filtered and sorted by the server."""
    head, rows = runs.summary(store, date, run), report_table.table(store, date, run)
    if head is None or rows is None:
        raise HTTPException(404)
    places, told = rows.order(query), runs.sections(store, date, run)
    here = f"{request.scope['root_path']}/reports/{date}/{run}"
    decided = {decision: head.decisions.get(decision.value, 0) for decision in Decision}
    return page(
        request,
        user,
        "report.html",
        date=date,
        run=run,
        head=head,
        decided=decided,
        decisions=decision_lines(decided),
        links={decision.value: f"{address(here, decision=decision.value)}#rows" for decision in decided},
        shares=draw_decisions(decided),
        told=told,
        histograms=histograms(told.models) if told else [],
        models=model_lines(told.models) if told else [],
        unseen=unseen_lines(told.unseen) if told else [],
        compared=told.since.compared(head.counts, head.decisions) if told and told.since else [],
        before=bool(told and told.since and runs.is_there(store, told.since.date, told.since.run)),
        query=query,
        asked=as_params(query),
        recipes=[name for name in RECIPES if name in {model.recipe for model in head.models}],
        labels=[label.value for label in Label],
        columns=report_table.shown(),
        differs=report_table.differs,
        rows=rows.rows(places[offset : offset + ROWS_A_PAGE]),
        n_found=len(places),
        n_rows=len(rows),
        mixed=0 < head.n_synthetic < len(rows),
        offset=offset,
        a_page=ROWS_A_PAGE,
    )
