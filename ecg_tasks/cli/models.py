"""Here: ``models`` (list, compare, add), ``promote``, ``rollback``, ``reject``, ``export``. Not here: training (DAG ``retrain_model``)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecg_tasks.cli import runs
from ecg_tasks.cli.completion import one_of
from ecg_tasks.cli.groups import ListsByDefault
from ecg_tasks.cli.stack import open_bucket, running_stack
from ecg_tasks.cli.terminal import complain, console, for_a_program, say, table_of
from ecg_tasks.names import DagId, RecipeName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ecg_tasks.queries.models import EvaluatedVersion
    from ecg_tasks.queries.version_comparison import VersionComparison

Recipe = Annotated[str, typer.Argument(help="twelve_lead, heartbeat, notebook or lead_samples.", autocompletion=one_of(RecipeName))]
Version = Annotated[str, typer.Argument(help="Name of the version; ./ecg models lists them.")]
Why = Annotated[str, typer.Option(help="The reason; kept for ever beside the decision, with the name that signed in and the time.")]


app = typer.Typer(cls=ListsByDefault, help="List the versions in the bucket, or add a network that somebody else trained.")


@app.command("list")
def models(
    recipe: Annotated[str, typer.Argument(help="One recipe only; default: all.", autocompletion=one_of(RecipeName))] = "",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: of each version in models what the table has, and more.")] = False,
) -> None:
    """List the versions in the bucket: test AUROC, the gate's verdict, and which serve or were rejected."""
    from ecg_tasks.queries import models
    from ecg_tasks.signals.recipes import get_recipe

    if recipe:
        get_recipe(recipe)
    with for_a_program(as_json) as answer:
        found = [one for of_one in models.models(open_bucket()) if recipe in {"", of_one.recipe} for one in of_one.versions]
        if as_json:
            answer({"models": [_as_json(one) for one in found]})
        else:
            _show(found)


def _as_json(one: "EvaluatedVersion") -> dict[str, Any]:
    """Return what a program needs of a version; null where it was not tested or evaluated."""
    from dataclasses import asdict

    from ecg_tasks.evaluation.intervals import nan_to_none

    return {
        **{name: getattr(one.version, name) for name in ("recipe", "version", "digest", "threshold", "abstain", "synthetic", "added")},
        "classes": one.version.class_names,
        "written": one.written,
        "serves": one.serves,
        "standing": one.standing,
        "verdict": one.verdict.kind if one.verdict else None,
        "n_records": one.n_records,
        "n_patients": one.n_patients,
        "figures": {
            name: {part: nan_to_none(value) if part != "method" else value for part, value in asdict(figure).items()}
            for name, figure in one.figures.items()
        },
    }


def _show(found: "Sequence[EvaluatedVersion]") -> None:
    from rich.markup import escape

    table = table_of("recipe", "version", "test AUROC", "verdict", "standing")
    for one in found:
        trained = "\ntrained on synthetic recordings" if one.version.synthetic else ""
        trained += f"\nsomebody else's: {escape(one.version.added)}" if one.version.added else ""
        auroc = one.figures["auroc"].text() if one.figures else "not tested"
        verdict = one.verdict.kind if one.verdict else "not evaluated"
        table.add_row(one.version.recipe, one.version.version + trained, auroc, verdict, one.standing)
    console().print(table)


@app.command("compare")
def compare(
    recipe: Recipe,
    one: Version,
    other: Annotated[str, typer.Argument(help="Another version of it. Differences are this one less the first.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: decisions, figures of both, and paired differences.")] = False,
) -> None:
    """Compare two versions on the same patients, by the predictions that both have stored; nothing is decided for it."""
    from ecg_tasks.actions import access
    from ecg_tasks.queries.version_comparison import comparison

    with for_a_program(as_json) as answer:
        found = comparison(open_bucket(), recipe, one, other)
        access.read_by_command("models compare", thing=f"{recipe}/{one}/{other}")
        if as_json:
            answer(found.as_dict())
        else:
            _show_comparison(found)


def _show_comparison(found: "VersionComparison") -> None:
    from ecg_tasks.evaluation.summary import FIGURE_TITLES

    one, other = found.one.version, found.other.version
    say(f"{len(found.difference.changed):,} of {found.n_records:,} decisions differ: {one} and {other} have both decided on these records")
    if found.figures is None:
        say(found.why_no_figures)
        return
    first, second = (of.evaluation for of in found.figures)
    say(
        f"{first.n_records:,} labelled records of {first.n_patients:,} patients that neither version learned from"
        + (f"; {found.n_seen:,} left out" if found.n_seen else "")
    )
    table = table_of("figure", one, other, "difference, paired by patient")
    for name, figure in first.figures.items():
        paired = found.differences[name].text() if name in found.differences else "–"
        table.add_row(FIGURE_TITLES.get(name, name), figure.text(), second.figures[name].text(), paired)
    console().print(table)


@app.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="The network: ONNX, .keras or LiteRT.", exists=True, dir_okay=False)],
    description: Annotated[Path, typer.Option(help="What it reads and answers, and whose it is, as TOML.", exists=True, dir_okay=False)],
    *,
    approval: Annotated[bool, typer.Option("--approval", help="A person must approve it in Airflow if it passes the gate.")] = False,
) -> None:
    """Make a candidate of a network that somebody else trained; it serves only if it passes the gate.

    The file is looked at first, and loaded in a process of its own: no code of it is run. What a description holds: docs/models.md.
    """
    from ecg_tasks.actions import adding
    from ecg_tasks.queries import dag_runs

    stack = running_stack()
    store, dag = open_bucket(), DagId.RETRAIN_MODEL
    handed_in = adding.hand_in(store, file, description)
    say(f"{handed_in.name} ({handed_in.given_as}) can be loaded and reads the pictures of {handed_in.recipe}")
    with stack.airflow() as api, runs.progress() as bars:
        run = api.trigger(dag, adding.form(handed_in, approval=approval))
        state = runs.follow(api, dag, run, bars)
    message = dag_runs.training(store, run)
    if state != "success" or message is None:
        complain(f"{dag} {run} {state}; its log is in the web interface (./ecg open)")
        raise typer.Exit(1)
    say(message)


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
    from ecg_tasks.actions import access
    from ecg_tasks.queries.models import export_champion

    store = open_bucket()
    access.read_by_command("export", thing=recipe)
    say(f"written to {export_champion(store, recipe, folder)}")


def _decide(recipe: str, action: str, version: str, *, why: str, override: str = "") -> None:
    """Run the DAG, so that decisions come one after the other, and stand in Airflow's own history too."""
    from ecg_tasks.actions.decisions import ChampionAction, form
    from ecg_tasks.queries import dag_runs, models

    models.check(open_bucket(), recipe, version)
    dag, values = DagId.DECIDE_CHAMPION, form(recipe=recipe, action=ChampionAction(action), version=version, why=why, override=override)
    with running_stack().airflow() as api, runs.progress() as bars:
        run = api.trigger(dag, values)
        state = runs.follow(api, dag, run, bars)
    message = dag_runs.decision(open_bucket(), run) or f"{dag} {run} {state}; its log is in the web interface (./ecg open)"
    if state != "success":
        complain(message)
        raise typer.Exit(1)
    say(message)
