"""Here: the page that shows whether records are still like those of the training. Not here: telling it (``queries.drift``)."""

from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Query, Request, Response

from ecg_tasks.queries import drift, models
from ecg_ui.inputs import RecipeName, Store
from ecg_ui.rendering import page

router = APIRouter()


@router.get("/monitoring")
def show_monitoring(request: Request, user: GetUserDep, store: Store, recipe: Annotated[RecipeName | None, Query()] = None) -> Response:
    """Show one recipe's figures over the nights, each with its table."""
    lights = drift.lights(store)
    names = [light.recipe for light in lights]
    chosen = recipe if recipe in names else next(iter(names), None)
    shown = drift.page(store, chosen) if chosen else None
    synthetic = models.synthetic(store, [(shown.recipe, shown.version)] if shown and shown.version else [])
    return page(request, user, "monitoring.html", lights=lights, shown=shown, synthetic=synthetic)
