"""Here: ``export-report`` and ``export-labels``: a run's report, or the reviewers' verdicts, as one file.

Not here: writing reports (DAG ``classify_records``), or giving verdicts (the page).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from ecg_tasks.cli.stack import open_bucket
from ecg_tasks.cli.terminal import say


def export_report(
    run: Annotated[str, typer.Argument(help="The run's id in Airflow, or its folder below reports/<date>/.")],
    file: Annotated[Path, typer.Argument(help="The ZIP file to write.", dir_okay=False)],
) -> None:
    """Write a run's whole report, with its predictions as CSV, Parquet and FHIR, into a ZIP file."""
    from ecg_tasks.actions import access
    from ecg_tasks.queries import exchange

    store = open_bucket()
    date, folder = exchange.find_report(store, run)
    pieces = exchange.report_zip(store, date, folder)
    access.read_by_command("export-report", run=f"{date}/{folder}")
    _write(file, pieces)
    say(f"written to {file}: open index.html in it")


def export_labels(
    file: Annotated[Path, typer.Argument(help="The CSV file to write, such as labels.csv.", dir_okay=False)],
    *,
    comments: Annotated[bool, typer.Option("--comments", help="With comments, which may say whose recording it is.")] = False,
) -> None:
    """Write the reviewers' verdicts in force, with their classes, as a labels.csv that the inbox takes."""
    from ecg_tasks.actions import access
    from ecg_tasks.queries import reviewed_records

    store = open_bucket()
    access.read_by_command("export-labels", thing="with comments" if comments else "")
    _write(file, reviewed_records.labels_csv(store, comments=comments))
    say(f"{len(reviewed_records.reviewed_records(store)):,} verdicts written to {file}")


def _write(file: Path, pieces: Iterable[bytes]) -> None:
    """Write a file that is there whole or not at all."""
    unfinished = file.with_name(f"{file.name}.part")
    with unfinished.open("wb") as target:
        target.writelines(pieces)
    unfinished.replace(file)
