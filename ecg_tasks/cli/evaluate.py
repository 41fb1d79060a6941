"""Here: ``evaluate``: a model on a labelled folder, without any stack. Not here: the evaluation (``offline.evaluate_folder``)."""

import os
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecg_tasks.cli.completion import one_of
from ecg_tasks.cli.inbox import show_unknown
from ecg_tasks.cli.terminal import complain, console, progress, say, table_of
from ecg_tasks.counts import number_of
from ecg_tasks.labels import RESEARCH_USE
from ecg_tasks.names import RecipeName

if TYPE_CHECKING:
    from ecg_tasks.evaluation.assessment import Assessment
    from ecg_tasks.evaluation.classes import ClassAssessment
    from ecg_tasks.offline.evaluate_folder import FolderEvaluation
    from ecg_tasks.offline.model_evaluator import ModelEvaluation

_NAMES_SHOWN = 5
_OF_SITES = frozenset(("sensitivity", "specificity", "ece"))
_OF_CLASSES = frozenset(("auroc", "sensitivity", "specificity", "ece"))


def evaluate(
    folder: Annotated[
        Path,
        typer.Argument(
            help="A public collection as its authors lay it out (docs/collections.md), heartbeat CSVs, files with a labels.csv; or packed.",
            exists=True,
        ),
    ],
    recipe: Annotated[
        str | None,
        typer.Option(
            help="twelve_lead, heartbeat, notebook or lead_samples; default: the first that takes a recording, as in the nightly run.",
            autocompletion=one_of(RecipeName),
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A version in models/, or the folder of one; default: the shipped champion.", metavar="VERSION")
    ] = None,
    sites: Annotated[
        str,
        typer.Option(
            help="Folders in it that are sites, such as north,south: each has its figures, by a rule of its own where the model has one.",
            metavar="NAMES",
            envvar="ECG_SITES",
        ),
    ] = "",
    json: Annotated[Path | None, typer.Option(help="Also write everything, with curves, as JSON.", metavar="FILE", dir_okay=False)] = None,
) -> None:
    """Evaluate a model on the labelled recordings of a folder, with 95 % intervals by bootstrap over patients.

    Recordings and patients that the model was trained on are named and left out. Code and figures are those of the model card.
    Private patients are known by ECG_PATIENT_KEY, or by the key of the stack on this machine.
    """
    import json as json_module

    from ecg_tasks.offline import behind_walls

    behind_walls.begin()  # while the rest is imported
    from ecg_tasks.offline.evaluate_folder import evaluate_folder
    from ecg_tasks.settings import site_names

    with progress("evaluated", unit="recordings") as tell:
        found = evaluate_folder(
            folder,
            recipe=recipe,
            model=model,
            patient_key=_patient_key(),
            sites=site_names(sites),
            progress=tell,
        )
    for evaluated in found.evaluated:
        _show(evaluated)
    _show_counts(found)
    if json is not None:
        json.write_text(json_module.dumps(found.as_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
        say(f"written: {json}")
    console().print(RESEARCH_USE)


def _patient_key() -> bytes | None:
    """Return the key of this installation's patients: that of the environment, or of the stack that was set up here; None without any."""
    if key := os.environ.get("ECG_PATIENT_KEY"):
        return key.encode()
    from deploy.embedded import Stack
    from deploy.embedded.errors import StackError

    try:
        stack = Stack()
    except StackError:  # an installed package has none
        return None
    return stack.environment()["ECG_PATIENT_KEY"].encode() if stack.home.exists else None


def _show(evaluated: "ModelEvaluation") -> None:
    spec = evaluated.model.spec
    console().print(f"\n[bold]{spec.recipe} {spec.version}[/bold]" + (" (trained on synthetic data)" if spec.synthetic else ""))
    if evaluated.left_out:
        names = ", ".join(one.name for one in evaluated.left_out[:_NAMES_SHOWN])
        more = f" and {len(evaluated.left_out) - _NAMES_SHOWN:,} more (all in the JSON)" if len(evaluated.left_out) > _NAMES_SHOWN else ""
        by_patient = sum(one.why == "patient" for one in evaluated.left_out)
        say(
            "left out, because the model was trained, stopped or calibrated on them or their patients: "
            f"{number_of(len(evaluated.left_out), 'record', 'records')} ({by_patient:,} by patient): {names}{more}"
        )
    if evaluated.n_by_bucket:
        say(
            f"{evaluated.n_by_bucket:,} of these share one of 10,000 buckets with a patient of the model's training, and may be strangers: "
            "it was trained before versions named their patients, or on private ones by another ECG_PATIENT_KEY"
        )
    if evaluated.not_compared:
        say(evaluated.not_compared)
    if evaluated.assessment is None:
        say("no record is left to evaluate this model on")
        return
    _show_figures(evaluated.assessment)
    if evaluated.classes is not None:
        _show_classes(evaluated.classes)
    _show_baselines(evaluated.assessment)
    _show_subgroups(evaluated.assessment)
    _show_sites(evaluated)


def _show_figures(found: "Assessment") -> None:
    from ecg_tasks.evaluation.summary import FIGURE_TITLES

    shown = found.evaluation
    say(
        f"{number_of(shown.n_records, 'record', 'records')} of {number_of(shown.n_patients, 'patient', 'patients')}, "
        f"{shown.n_abnormal:,} abnormal; split by {shown.split_unit}"
    )
    if shown.split_unit == "record":
        say("some patients are not known: the model may have been trained on another recording of theirs, so the figures may be too good")
    table = table_of("figure", "value", "95 % interval", "by")
    for name, figure in shown.figures.items():
        if isnan(figure.value):
            table.add_row(FIGURE_TITLES[name], "not defined", "", "")
        else:
            table.add_row(FIGURE_TITLES[name], f"{figure.value:.3f}", figure.ends(), figure.method)
    console().print(table)
    cells = shown.confusion
    say(
        f"at the threshold {shown.threshold:.3f}: {cells.true_positives:,} true and {cells.false_positives:,} false alarms, "
        f"{cells.true_negatives:,} rightly and {cells.false_negatives:,} wrongly called normal; "
        f"uncertain from {shown.abstain.lo:.3f} to {shown.abstain.hi:.3f}"
    )


def _show_classes(found: "ClassAssessment") -> None:
    from rich.markup import escape

    from ecg_tasks.evaluation.classes import CLASS_FIGURES
    from ecg_tasks.evaluation.summary import FIGURE_TITLES

    names = [name for name in CLASS_FIGURES if name in _OF_CLASSES]
    table = table_of("class", "records", "with it", *(FIGURE_TITLES[name] for name in names))
    for name, one in found.evaluations.items():
        table.add_row(escape(name), f"{one.n_records:,}", f"{one.n_abnormal:,}", *(one.figures[figure].text() for figure in names))
    console().print(table)
    say(f"mean of the classes' AUROCs: {found.macro_auroc.text()}")


def _show_baselines(found: "Assessment") -> None:
    if found.baselines:
        table = table_of("simpler method (logistic regression)", "AUROC", "the model is better by")
        for name, baseline in found.baselines.items():
            table.add_row(name.replace("_", " "), baseline.figures["auroc"].text(), baseline.auroc_difference.text())
        console().print(table)


def _show_subgroups(found: "Assessment") -> None:
    from rich.markup import escape

    from ecg_tasks.evaluation.subgroups import shortfalls

    table = table_of("group", "records", "patients", "AUROC", "sensitivity", "specificity")
    for group in found.subgroups:
        cells = [group.figures[name].text() if group.figures else "held back" for name in ("auroc", "sensitivity", "specificity")]
        table.add_row(escape(f"{group.attribute}: {group.value}"), f"{group.n_records:,}", f"{group.n_patients:,}", *cells)
    console().print(table)
    for one in shortfalls(found.evaluation.figures, found.subgroups):
        if one.clear:
            say(f"clearly lower there than of all records ({one.whole:.3f}): {one.attribute} {one.value}, {one.figure} {one.found.text()}")


def _show_sites(evaluated: "ModelEvaluation") -> None:
    from rich.markup import escape

    from ecg_tasks.evaluation.intervals import Interval
    from ecg_tasks.evaluation.summary import FIGURE_TITLES

    spec = evaluated.model.spec
    if not spec.sites or evaluated.assessment is None:
        return
    there = {one.value for one in evaluated.assessment.subgroups if one.attribute == "site"}
    if held := [one.site for one in spec.sites if one.site in there]:
        say(f"decided on by calibration, threshold and band of their own, in all figures above: {', '.join(held)}")
    if not evaluated.sites:
        return
    names = [name for name in FIGURE_TITLES if name in _OF_SITES]
    table = table_of("site", "records", "by the rule", *(FIGURE_TITLES[name] for name in names))
    for site, one in evaluated.sites.items():
        for rule, title in (("pooled", "of all"), ("own", "its own")):
            cells = [Interval.from_dict(one[rule][name]).text() for name in names]
            table.add_row(escape(site), f"{one['n_records']:,}", title, *cells)
    console().print(table)


def _show_counts(found: "FolderEvaluation") -> None:
    parts = [f"{number:,} {name.replace('_', ' ')}" for name, number in vars(found.counts).items() if number and name != "received"]
    say(f"{number_of(found.counts.received, 'record', 'records')} named by {found.folder}: {', '.join(parts)}")
    if empty := [site for site, number in found.sites.items() if not number]:
        say(f"no recording was read of the site {', '.join(empty)}")
    show_unknown(found.unknown)
    for rejected in found.rejected[:_NAMES_SHOWN]:
        complain(f"{rejected.name} was not read: {rejected.reason.value}: {rejected.message}")
    if len(found.rejected) > _NAMES_SHOWN:
        complain(f"… and {len(found.rejected) - _NAMES_SHOWN:,} more not read")
