"""Here: model versions side by side, their cards, and the forms that choose which serves. Not here: the choice (``steps.champions``)."""

import secrets
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Path, Request, Response
from fastapi.responses import RedirectResponse
from markdown_it import MarkdownIt
from markupsafe import Markup

from ecg_tasks.evaluation.summary import FIGURE_TITLES
from ecg_tasks.reporting.charts import draw_interval
from ecg_tasks.steps import champions
from ecg_tasks.steps.browse import models
from ecg_tasks.steps.browse.opened import bucket
from ecg_tasks.steps.workspace import now
from ecg_ui.inputs import OverrideForm, ReasonForm, RecipeName, VersionForm, VersionPath
from ecg_ui.rendering import page

router = APIRouter()
changes = APIRouter()

COMPARED = 4
"""Versions whose figures stand side by side: the champion and the newest others."""
RecipePath = Annotated[RecipeName, Path()]


@router.get("/models")
def show_models(request: Request, user: GetUserDep) -> Response:
    """Every recipe's champion and versions."""
    found = []
    for recipe in models.models(bucket()):
        first = [one for one in recipe.versions if one.serves]
        compared = [*first, *(one for one in recipe.versions if not one.serves)][:COMPARED]
        names = [name for name in FIGURE_TITLES if any(name in one.figures for one in compared)]
        found.append({"recipe": recipe, "compared": compared, "names": names})
    return page(request, user, "models.html", found=found, titles=FIGURE_TITLES, draw=draw_interval)


@router.get("/models/{recipe}/{version}")
def show_card(request: Request, user: GetUserDep, recipe: RecipePath, version: VersionPath) -> Response:
    """The card of one version."""
    card = models.card(bucket(), recipe, version)
    if card is None:
        raise HTTPException(404)
    written = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "html_block", "html_inline"]).render(card)
    return page(request, user, "card.html", recipe=recipe, version=version, card=Markup(written))  # noqa: S704 - its HTML is switched off


@changes.post("/models/{recipe}/promote")
def promote(
    request: Request, user: GetUserDep, *, recipe: RecipePath, version: VersionForm, why: ReasonForm, override: OverrideForm = ""
) -> Response:
    """Let a version serve; against a rejection only with a reason of its own."""
    _decide(champions.Action.PROMOTE, user=user, recipe=recipe, version=version, why=why, override=override)
    return _back(request, "promoted")


@changes.post("/models/{recipe}/rollback")
def roll_back(request: Request, user: GetUserDep, recipe: RecipePath, version: VersionForm, why: ReasonForm) -> Response:
    """Let the version before serve again; ``version`` is the one that served when the form was shown."""
    _decide(champions.Action.ROLLBACK, user=user, recipe=recipe, version=version, why=why)
    return _back(request, "rolled-back")


@changes.post("/models/{recipe}/reject")
def reject(request: Request, user: GetUserDep, recipe: RecipePath, version: VersionForm, why: ReasonForm) -> Response:
    """Mark a version as one that must not serve."""
    _decide(champions.Action.REJECT, user=user, recipe=recipe, version=version, why=why)
    return _back(request, "rejected")


def _decide(action: champions.Action, *, user: BaseUser, recipe: str, version: str, why: str, override: str = "") -> None:
    run_id = f"page__{now()}-{secrets.token_hex(4)}"
    champions.decide(run_id, recipe=recipe, action=action, version=version, why=why, who=user.get_name(), override=override)


def _back(request: Request, done: str) -> Response:
    return RedirectResponse(f"{request.scope['root_path']}/models?done={done}", status_code=303)
