"""Here: ``export-report``: a run's report as one file that opens offline. Not here: writing reports (DAG ``classify_records``)."""

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
    unfinished = file.with_name(f"{file.name}.part")
    with unfinished.open("wb") as target:
        target.writelines(pieces)
    unfinished.replace(file)
    say(f"written to {file}: open index.html in it")
