"""Here: ``classify``: one file, without any stack. Not here: the classification (``offline.classify_archive``)."""

from math import isnan
from pathlib import Path
from typing import Annotated

import typer

from ecg_tasks.cli.completion import one_of
from ecg_tasks.cli.terminal import complain, console
from ecg_tasks.labels import RESEARCH_USE
from ecg_tasks.names import RecipeName

_ROWS_SHOWN = 50


def classify(
    file: Annotated[
        Path,
        typer.Argument(
            help="A file of any format that is read, a WFDB header, or a ZIP, tar or tar.gz of such files.", exists=True, dir_okay=False
        ),
    ],
    recipe: Annotated[
        str | None,
        typer.Option(
            help="twelve_lead, heartbeat, notebook or lead_samples; default: the first that takes the recording.",
            autocompletion=one_of(RecipeName),
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw the first recording's spectrogram with its class as title.", metavar="OUT.png")
    ] = None,
) -> None:
    """Classify the recordings of one file with the shipped model. Research use, not a medical device."""
    from rich.table import Table

    from ecg_tasks.offline import classify_archive

    classified = classify_archive.classify(file, recipe=recipe)
    table = Table("recording", "decision", "P(abnormal)", "threshold", "model", box=None, header_style="bold")
    for one in classified.results[:_ROWS_SHOWN]:
        model = f"{one.recipe} {one.version}" + (" (trained on synthetic data)" if one.synthetic_model else "")
        probability = "–" if isnan(one.probability) else f"{one.probability:.3f}"
        table.add_row(one.name, one.decision.value, probability, f"{one.threshold:.3f}", model)
    console().print(table)
    for one in classified.results[:_ROWS_SHOWN]:
        unread = ["No probability: nothing of it was good enough for the model."] if isnan(one.probability) else []
        remarks = [*([f"Seconds read: {one.seconds_read}."] if one.seconds_read else []), *unread, *one.remarks]
        if remarks:
            console().print(f"{one.name}: {' '.join(remarks)}", markup=False, highlight=False)
        if one.measured:
            lines = "; ".join(f"{line.title}: {line.text}{f' ({line.why})' if line.why else ''}" for line in one.measured)
            console().print(f"{one.name}: {lines}.", markup=False, highlight=False)
        if one.classes and not isnan(one.probability):
            said = "; ".join(f"{two.name} {two.decision.value}, {two.probability:.3f} (from {two.threshold:.3f})" for two in one.classes)
            console().print(f"{one.name}: {said}.", markup=False, highlight=False)
        if one.facts:
            facts = "; ".join(f"{fact.title}: {fact.text}" for fact in one.facts)
            console().print(f"{one.name}: {facts}.", markup=False, highlight=False)
    if len(classified.results) > _ROWS_SHOWN:
        console().print(f"… and {len(classified.results) - _ROWS_SHOWN} more recordings")
    for rejected in classified.rejected[:_ROWS_SHOWN]:
        complain(f"{rejected.name} was not read: {rejected.reason.value}: {rejected.message}")
    if plot is not None:
        classify_archive.plot(file, recipe=recipe, out=plot)
        console().print(f"drawn: {plot}")
    console().print(RESEARCH_USE)
