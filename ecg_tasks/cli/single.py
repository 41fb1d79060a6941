"""Here: ``classify``: files and folders, without any stack. Not here: the classification (``offline.classify_archive``)."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecg_tasks.cli.completion import one_of
from ecg_tasks.cli.terminal import complain, console, for_a_program, progress, say, table_of
from ecg_tasks.counts import number_of
from ecg_tasks.labels import RESEARCH_USE
from ecg_tasks.names import RecipeName

if TYPE_CHECKING:
    from ecg_tasks.offline.classify_file import Classified
    from ecg_tasks.report_columns import Row

_ROWS_SHOWN = 50


def classify(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Files of any format that is read, WFDB headers, a ZIP, tar or tar.gz of such files, or folders with all in them.",
            exists=True,
        ),
    ],
    *,
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
    out: Annotated[
        Path | None,
        typer.Option(help="Write every decision, with the columns of a report, into this file instead of a table.", metavar="FILE.csv"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: recordings, rejected, counts, use.")] = False,
) -> None:
    """Classify the recordings of files and folders with the shipped models. Research use, not a medical device.

    What cannot be read is reported with the reason, and the rest is classified. Exits with 1 if anything was not read.
    """
    from ecg_tasks.offline import behind_walls

    behind_walls.begin()  # while the rest is imported
    from ecg_tasks.offline import classify_archive

    _check(files, plot=plot, out=out)
    shown: list[Classified] = []
    rows: list[Row] = []
    refused: list[dict[str, str]] = []
    counts: Counter[str] = Counter()
    with for_a_program(as_json) as answer:
        with _written(out, recipe) as write, progress("classified", shown=len(files) > 1 or files[0].is_dir() or out is not None) as tell:
            for part in classify_archive.classify_all(files, recipe=recipe, progress=tell):
                counts.update(one.decision.value for one in part.results)
                shown += part.results[: max(_ROWS_SHOWN - len(shown), 0)]
                rows += [one.row for one in part.results] if as_json else []
                write([one.row for one in part.results])
                for one in part.rejected:
                    refused.append({"name": one.name, "reason": one.reason.value, "message": one.message})
                    complain(f"{one.name} was not read: {one.reason.value}: {one.message}")
        n_classified = sum(counts.values())
        if as_json:
            total = {"received": n_classified + len(refused), "classified": n_classified, "rejected": len(refused)} | counts
            answer({"recordings": [dict(row) for row in rows], "rejected": refused, "counts": total, "use": RESEARCH_USE})
        elif out is None and shown:
            _show(shown)
            if n_classified > len(shown):
                console().print(f"… and {n_classified - len(shown):,} more recordings (--out FILE.csv has all)")
        if n_classified + len(refused) > 1 or out is not None:
            decisions = "".join(f", {number:,} {decision}" for decision, number in sorted(counts.items()))
            say(
                f"{number_of(n_classified + len(refused), 'recording', 'recordings')}: "
                f"{n_classified:,} classified{decisions}; {len(refused):,} not read"
            )
        if out is not None:
            say(f"written: {out}")
        if plot is not None:
            classify_archive.plot(files[0], recipe=recipe, out=plot)
            console().print(f"drawn: {plot}")
        console().print(RESEARCH_USE)
    if refused:
        raise typer.Exit(1)


def _check(files: Sequence[Path], *, plot: Path | None, out: Path | None) -> None:
    """Refuse what cannot be done before the models are loaded."""
    if plot is not None and (len(files) > 1 or files[0].is_dir()):
        raise typer.BadParameter("--plot draws one file, not several files or a folder", param_hint="--plot")
    if out is not None and out.suffix.lower() != ".csv":
        raise typer.BadParameter(f"{out} is written as CSV, so its name must end with .csv", param_hint="--out")
    if out is not None and not out.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {out.absolute().parent}", param_hint="--out")


@contextmanager
def _written(out: Path | None, recipe: str | None) -> Iterator[Callable[[Sequence["Row"]], None]]:
    """Give what appends rows to a CSV file, which has its name only when it is whole."""
    if out is None:
        yield lambda _rows: None
        return
    from ecg_tasks.offline.classify_file import shipped_classes
    from ecg_tasks.offline.report_rows import columns_with
    from ecg_tasks.reporting.tables import csv_lines
    from ecg_tasks.settings import Settings

    names = columns_with(shipped_classes((recipe,) if recipe else Settings.recipes))
    unfinished = out.with_name(f"{out.name}.part")
    with unfinished.open("wb") as target:

        def write(rows: Sequence["Row"]) -> None:
            target.write(csv_lines([row.get(name) for name in names] for row in rows))
            target.flush()

        target.write(csv_lines([names]))
        yield write
    unfinished.replace(out)


def _show(results: "Sequence[Classified]") -> None:
    """Print a table, and beneath it what else is known of each recording."""
    from rich.markup import escape

    table = table_of("recording", "decision", "P(abnormal)", "threshold", "model")
    for one in results:
        model = f"{one.recipe} {one.version}" + (" (trained on synthetic data)" if one.synthetic_model else "")
        probability = "–" if isnan(one.probability) else f"{one.probability:.3f}"
        table.add_row(escape(one.name), one.decision.value, probability, f"{one.threshold:.3f}", model)
    console().print(table)
    for one in results:
        for sentence in _details(one):
            console().print(f"{one.name}: {sentence}", markup=False, highlight=False)


def _details(one: "Classified") -> Iterator[str]:
    """Yield what is said of a recording beneath the table."""
    unread = ["No probability: no part of it was good enough for the model."] if isnan(one.probability) else []
    remarks = [*([f"Seconds read: {one.seconds_read}."] if one.seconds_read else []), *unread, *one.remarks]
    if remarks:
        yield " ".join(remarks)
    if one.measured:
        yield "; ".join(f"{line.title}: {line.text}{f' ({line.why})' if line.why else ''}" for line in one.measured) + "."
    if one.classes and not isnan(one.probability):
        yield "; ".join(f"{two.name} {two.decision.value}, {two.probability:.3f} (from {two.threshold:.3f})" for two in one.classes) + "."
    if one.facts:
        yield "; ".join(f"{fact.title}: {fact.text}" for fact in one.facts) + "."
