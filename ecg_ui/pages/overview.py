"""Here: the first page, and the way from an Airflow run to its report. Not here: any list in full."""

from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from ecg_tasks.archive.documents import plain
from ecg_tasks.archive.workspace import open_store
from ecg_tasks.pipeline import backfill_version, maintain_store
from ecg_tasks.pipeline.monitoring import drift
from ecg_tasks.queries import models
from ecg_tasks.queries.overview import overview
from ecg_tasks.queries.runs import run_of
from ecg_tasks.reporting.history import FATES, draw_history
from ecg_ui.inputs import DagId
from ecg_ui.rendering import page

router = APIRouter()

RunId = Annotated[str, Query(min_length=1, max_length=250)]


@router.get("/")
def show_overview(request: Request, user: GetUserDep) -> Response:
    """The state of the whole system on one page."""
    store = open_store()
    seen = overview(store)
    lights = drift.lights(store)
    shown = [*((one.recipe, one.version) for one in seen.champions), *((one.recipe, one.version) for one in lights)]
    decided = list(seen.runs[0].champions.items()) if seen.runs else []
    accounts = [(run.date, plain(run.account)) for run in reversed(seen.runs)]
    return page(
        request,
        user,
        "overview.html",
        seen=seen,
        history=draw_history(accounts) if accounts else "",
        fates=FATES,
        lights=lights,
        decided=decided,
        synthetic=models.synthetic(store, [*shown, *decided]),
    )


@router.get("/run")
def show_run(request: Request, user: GetUserDep, dag_id: DagId, run_id: RunId) -> Response:
    """From a run in Airflow to its report; a run without one gets its account, if it has written any."""
    if dag_id == maintain_store.DAG and (manifest := maintain_store.account_of(open_store(), run_id)) is not None:
        return page(request, user, "maintenance.html", run_id=run_id, found=manifest, account=plain(manifest.account))
    if dag_id == backfill_version.DAG and (found := backfill_version.found_by(open_store(), run_id)) is not None:
        return page(request, user, "backfill.html", found=found, records=f"{request.scope['root_path']}/records")
    account, run = run_of(open_store(), dag_id, run_id)
    if run is not None:
        return RedirectResponse(f"{request.scope['root_path']}/reports/{run.date}/{run.run}", status_code=303)
    return page(request, user, "run.html", dag_id=dag_id, run_id=run_id, account=account)
