"""Here: the first page, and the way from an Airflow run to its report. Not here: any list in full."""

from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from ecg_tasks.names import DagId as Dag
from ecg_tasks.queries import dag_runs, drift, models
from ecg_tasks.queries.first_steps import first_steps
from ecg_tasks.queries.overview import overview
from ecg_tasks.queries.runs import run_of
from ecg_tasks.reporting.history import FATES, draw_history
from ecg_ui.inputs import DagId, Store
from ecg_ui.rendering import page
from ecg_ui.security import rights

router = APIRouter()

RunId = Annotated[str, Query(min_length=1, max_length=250)]


@router.get("/")
def show_overview(request: Request, user: GetUserDep, store: Store) -> Response:
    """Show the state of the whole system on one page."""
    seen = overview(store, told=rights(user).put_back)
    lights = drift.lights(store)
    shown = [*((one.recipe, one.version) for one in seen.champions), *((one.recipe, one.version) for one in lights)]
    decided = list(seen.last.champions.items()) if seen.last else []
    counts_by_run = [(run.date, {fate: getattr(run.counts, fate) for fate in FATES}) for run in reversed(seen.runs)]
    return page(
        request,
        user,
        "overview.html",
        seen=seen,
        history=draw_history(counts_by_run) if counts_by_run else "",
        fates=FATES,
        forgotten=any(run.counts.forgotten for run in seen.runs),
        lights=lights,
        light_of={one.recipe: one for one in lights},
        decided=decided,
        synthetic=models.synthetic(store, [*shown, *decided]),
        steps=None if seen.runs or seen.n_waiting else first_steps(store),
    )


@router.get("/run")
def show_run(request: Request, user: GetUserDep, store: Store, dag_id: DagId, run_id: RunId) -> Response:
    """Lead from a run in Airflow to its report; a run without one gets its counts, if it has written any."""
    counts, run = run_of(store, dag_id, run_id)
    if dag_id == Dag.MAINTAIN_STORE and (manifest := dag_runs.maintenance(store, run_id)) is not None:
        return page(request, user, "maintenance.html", run_id=run_id, found=manifest, counts=counts)
    if dag_id == Dag.BACKFILL_VERSION and (found := dag_runs.backfill(store, run_id)) is not None:
        return page(request, user, "backfill.html", found=found, records=f"{request.scope['root_path']}/records")
    if run is not None:
        return RedirectResponse(f"{request.scope['root_path']}/reports/{run.date}/{run.run}", status_code=303)
    return page(request, user, "run.html", dag_id=dag_id, run_id=run_id, counts=counts)
