"""Here: the page that shows whether records are still like those of the training. Not here: telling it (``pipeline.monitoring``)."""

from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Query, Request, Response

from ecg_tasks.archive.workspace import open_store
from ecg_tasks.pipeline.monitoring import drift
from ecg_tasks.queries import models
from ecg_ui.inputs import RecipeName
from ecg_ui.rendering import page

router = APIRouter()


@router.get("/monitoring")
def show_monitoring(request: Request, user: GetUserDep, recipe: Annotated[RecipeName | None, Query()] = None) -> Response:
    """One recipe's figures over the nights, each with its table."""
    store = open_store()
    lights = drift.lights(store)
    names = [light.recipe for light in lights]
    chosen = recipe if recipe in names else next(iter(names), None)
    shown = drift.page(store, chosen) if chosen else None
    synthetic = models.synthetic(store, [(shown.recipe, shown.version)] if shown and shown.version else [])
    return page(request, user, "monitoring.html", lights=lights, shown=shown, synthetic=synthetic)
