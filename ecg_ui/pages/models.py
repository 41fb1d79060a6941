"""Here: model versions side by side, their cards, and the forms to choose which serves. Not here: handing the choice on (``deciding``)."""

from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import urlencode

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup

from ecg_tasks.actions.decisions import ChampionAction
from ecg_tasks.evaluation.classes import CLASS_FIGURES
from ecg_tasks.evaluation.summary import FIGURE_TITLES
from ecg_tasks.queries import dag_runs, models
from ecg_tasks.queries.version_comparison import VersionComparison, comparison
from ecg_tasks.reporting.charts import draw_interval
from ecg_tasks.reporting.two_curves import draw_precision_recalls, draw_rocs
from ecg_ui import deciding
from ecg_ui.inputs import DecisionQuery, OverrideForm, ReasonForm, RecipeName, Store, VersionForm, VersionPath, VersionQuery
from ecg_ui.markdown import markdown
from ecg_ui.rendering import page

router = APIRouter()
changes = APIRouter()

COMPARED = 4
"""Versions whose figures stand side by side: the champion and the newest others."""
ASK_AGAIN_S = 2
RecipePath = Annotated[RecipeName, Path()]


@router.get("/models")
def show_models(request: Request, user: GetUserDep, store: Store, decision: DecisionQuery = None) -> Response:
    """Show every recipe's champion and versions; after a form what came of its decision, asked again until it is known."""
    message = dag_runs.decision(store, decision) if decision else None
    found = []
    for recipe in models.models(store):
        first = [one for one in recipe.versions if one.serves]
        compared = [*first, *(one for one in recipe.versions if not one.serves)][:COMPARED]
        names = [name for name in FIGURE_TITLES if any(name in one.figures for one in compared)]
        classes = dict.fromkeys(name for one in compared for name in one.classes)
        shown = {
            "recipe": recipe,
            "compared": compared,
            "versions": [one.version.version for one in recipe.versions],
            "names": names,
            "classes": list(classes),
        }
        found.append(shown | {"synthetic": any(one.version.synthetic for one in first)})
    answer = page(
        request,
        user,
        "models.html",
        found=found,
        titles=FIGURE_TITLES,
        class_figures=CLASS_FIGURES,
        draw=draw_interval,
        decision=decision,
        message=message,
    )
    if decision and message is None:
        answer.headers["refresh"] = str(ASK_AGAIN_S)
    return answer


@router.get("/models/compare")
def show_comparison(
    request: Request,
    user: GetUserDep,
    *,
    store: Store,
    recipe: Annotated[RecipeName, Query()],
    one: VersionQuery,
    other: VersionQuery,
) -> Response:
    """Show two versions on the same patients, of what both have stored: nothing is decided for it, and no DAG starts."""
    known = next((found for found in models.models(store) if found.recipe == recipe), None)
    names = [version.version.version for version in known.versions] if known else []
    if not {one, other} <= {*names}:
        raise HTTPException(404)
    found = comparison(store, recipe, one, other)
    return page(
        request,
        user,
        "compare.html",
        recipe=recipe,
        names=names,
        found=found.decisions,
        compared=found,
        records=f"{request.scope['root_path']}/records",
        rows=_rows(found),
        drawings=_drawings(found),
    )


def _rows(found: VersionComparison) -> list[dict[str, str]]:
    """Return the figures of both on the same patients, each with its paired difference where it has one."""
    if found.figures is None:
        return []
    one, other = (of.evaluation.figures for of in found.figures)
    return [
        {
            "title": FIGURE_TITLES.get(name, name),
            "one": one[name].text(),
            "other": other[name].text(),
            "difference": found.differences[name].text() if name in found.differences else "–",
        }
        for name in one
    ]


def _drawings(found: VersionComparison) -> list[tuple[str, Markup]]:
    """Return the curves of both, one over the other."""
    if found.figures is None:
        return []
    one, other = found.figures
    names, evaluations = (found.one.version, found.other.version), (one.evaluation, other.evaluation)
    return [
        ("ROC", draw_rocs(one.roc, other.roc, names=names, aurocs=(evaluations[0].auroc.text(), evaluations[1].auroc.text()))),
        (
            "Precision and recall",
            draw_precision_recalls(
                one.precision_recall,
                other.precision_recall,
                names=names,
                areas=(evaluations[0].average_precision.text(), evaluations[1].average_precision.text()),
                prevalence=one.evaluation.prevalence.value,
            ),
        ),
    ]


@router.get("/models/{recipe}/{version}")
def show_card(request: Request, user: GetUserDep, store: Store, recipe: RecipePath, version: VersionPath) -> Response:
    """Show the card of one version."""
    card = models.card(store, recipe, version)
    if card is None:
        raise HTTPException(404)
    renderer = markdown()
    renderer.add_render_rule("image", _plot)
    base = f"{request.scope['root_path']}/models/{recipe}/{version}"
    written = renderer.render(card, {"base": base, "stored": models.plots(store, recipe, version)})
    return page(request, user, "card.html", recipe=recipe, version=version, card=Markup(written))  # noqa: S704 - its HTML is switched off


@router.get("/models/{recipe}/{version}/{plot}")
def show_plot(store: Store, recipe: RecipePath, version: VersionPath, plot: Literal[*models.PLOTS]) -> Response:  # type: ignore[valid-type]
    """Send one plot of a version's card, as the training drew it."""
    drawn = models.plot(store, recipe, version, plot)
    if drawn is None:
        raise HTTPException(404)
    return Response(drawn, media_type="image/svg+xml")


def _plot(_renderer: RendererHTML, tokens: Sequence[Token], number: int, _options: OptionsDict, env: EnvType) -> str:
    """Show a plot of the card where the version has it; of any other picture only its title. ``env`` has the address and the names."""
    name, title = str(tokens[number].attrs.get("src", "")), escapeHtml(tokens[number].content)
    if name not in env["stored"]:
        return f"<em>{title} (the plot is not stored with this version)</em>"
    return f'<img src="{env["base"]}/{name}" alt="{title}" loading="lazy">'


@changes.post("/models/{recipe}/promote")
def promote(
    request: Request, user: GetUserDep, *, recipe: RecipePath, version: VersionForm, why: ReasonForm, override: OverrideForm = ""
) -> Response:
    """Let a version serve; against a rejection only with its own reason."""
    return _back(request, deciding.ask(user, recipe=recipe, action=ChampionAction.PROMOTE, version=version, why=why, override=override))


@changes.post("/models/{recipe}/rollback")
def roll_back(request: Request, user: GetUserDep, recipe: RecipePath, version: VersionForm, why: ReasonForm) -> Response:
    """Let the version before serve again; ``version`` is the one that served when the form was shown."""
    return _back(request, deciding.ask(user, recipe=recipe, action=ChampionAction.ROLLBACK, version=version, why=why))


@changes.post("/models/{recipe}/reject")
def reject(request: Request, user: GetUserDep, recipe: RecipePath, version: VersionForm, why: ReasonForm) -> Response:
    """Mark a version as one that must not serve."""
    return _back(request, deciding.ask(user, recipe=recipe, action=ChampionAction.REJECT, version=version, why=why))


def _back(request: Request, decision: str) -> Response:
    return RedirectResponse(f"{request.scope['root_path']}/models?{urlencode({'decision': decision})}", status_code=303)
