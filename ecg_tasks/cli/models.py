"""Here: ``models``, ``promote``, ``rollback``, ``reject`` and ``export``. Not here: training a version (DAG ``retrain_model``)."""

from pathlib import Path
from typing import Annotated

import typer

from ecg_tasks.cli import runs
from ecg_tasks.cli.stack import open_bucket, running_stack
from ecg_tasks.cli.terminal import complain, console, say
from ecg_tasks.names import DagId

Recipe = Annotated[str, typer.Argument(help="twelve_lead, heartbeat or notebook.")]
Version = Annotated[str, typer.Argument(help="Name of the version; ./ecg models lists them.")]
Why = Annotated[str, typer.Option(help="The reason; kept for ever beside the decision, with the name that signed in and the time.")]


def models(recipe: Annotated[str, typer.Argument(help="One recipe only; default: all.")] = "") -> None:
    """List the versions in the bucket: test AUROC, the gate's verdict, and which serve or were rejected."""
    from rich.table import Table

    from ecg_tasks.queries import models
    from ecg_tasks.signals.recipes import get_recipe

    if recipe:
        get_recipe(recipe)
    table = Table("recipe", "version", "test AUROC", "verdict", "standing")
    for found in models.models(open_bucket()):
        for one in found.versions if recipe in {"", found.recipe} else ():
            trained = "\ntrained on synthetic recordings" if one.version.synthetic else ""
            auroc = one.figures["auroc"].text() if one.figures else "not tested"
            verdict = one.verdict.kind if one.verdict else "not evaluated"
            table.add_row(found.recipe, one.version.version + trained, auroc, verdict, one.standing)
    console().print(table)


def promote(
    recipe: Recipe,
    version: Version,
    *,
    why: Why,
    override: Annotated[str, typer.Option(help="Why a version that was rejected, or never evaluated, shall serve.")] = "",
) -> None:
    """Let a version serve from now on."""
    _decide(recipe, "promote", version, why=why, override=override)


def rollback(recipe: Recipe, *, why: Why) -> None:
    """Let the version that served before serve again, and reject the one that serves."""
    _decide(recipe, "rollback", "", why=why)


def reject(recipe: Recipe, version: Version, *, why: Why) -> None:
    """Mark a version as not wanted; it stays in the bucket."""
    _decide(recipe, "reject", version, why=why)


def export(
    recipe: Recipe,
    folder: Annotated[Path | None, typer.Argument(help="Where to; default: models/ of this checkout.", file_okay=False)] = None,
) -> None:
    """Write the champion of a recipe, with its card, into a folder laid out as models/ in the bucket."""
    from ecg_tasks.queries.models import export_champion

    say(f"written to {export_champion(open_bucket(), recipe, folder)}")


def _decide(recipe: str, action: str, version: str, *, why: str, override: str = "") -> None:
    """Run the DAG, so that decisions come one after the other, and stand in Airflow's own history too."""
    from ecg_tasks.actions.decisions import ChampionAction, form
    from ecg_tasks.queries import dag_runs

    dag, values = DagId.DECIDE_CHAMPION, form(recipe=recipe, action=ChampionAction(action), version=version, why=why, override=override)
    with running_stack().airflow() as api, runs.progress() as bars:
        run = api.trigger(dag, values)
        state = runs.follow(api, dag, run, bars)
    message = dag_runs.decision(open_bucket(), run) or f"{dag} {run} {state}; its log is in the web interface (./ecg open)"
    if state != "success":
        complain(message)
        raise typer.Exit(1)
    say(message)
