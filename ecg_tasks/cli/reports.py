"""Here: ``export-report`` and ``export-labels``: a run's report as a ZIP file or a PDF, and the reviewers' verdicts as a table.

Not here: writing reports (``classify_records``), or giving verdicts (the page).
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ecg_tasks.cli.stack import open_bucket
from ecg_tasks.cli.terminal import say
from ecg_tasks.counts import number_of


class PaperName(StrEnum):
    """The sheets of a PDF, in landscape."""

    A4 = "a4"
    LETTER = "letter"


def export_report(
    run: Annotated[str, typer.Argument(help="The run's id in Airflow, or its folder below reports/<date>/.")],
    file: Annotated[Path, typer.Argument(help="The ZIP or PDF file to write.", dir_okay=False)],
    *,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Write a PDF to true scale: the run, then every record that has a page in its report.")
    ] = False,
    record: Annotated[str | None, typer.Option(help="With --pdf: this record alone, whether or not it has a page.", metavar="ID")] = None,
    paper: Annotated[PaperName, typer.Option(help="With --pdf: the paper to print on.")] = PaperName.A4,
) -> None:
    """Write a run's whole report, with its predictions as CSV, Parquet and FHIR, into a ZIP file, or its pages into a PDF.

    The same report gives the same bytes. A PDF needs no browser; printed at 100 %, ten seconds measure 250 mm on A4 and on US Letter.
    """
    if not pdf and (record or paper != PaperName.A4):
        raise typer.BadParameter("--record and --paper are for a PDF: add --pdf", param_hint="--record, --paper")
    from ecg_tasks.actions import access
    from ecg_tasks.queries import exchange

    store = open_bucket()
    date, folder = exchange.find_report(store, run)
    pieces = None if pdf else exchange.report_zip(store, date, folder)
    access.read_by_command("export-report", run=f"{date}/{folder}", record=record or "")
    unfinished = file.with_name(f"{file.name}.part")
    with unfinished.open("wb") as target:
        if pieces is not None:
            target.writelines(pieces)
        else:
            from ecg_tasks.queries import pdf_reports

            if record:
                pdf_reports.write_record(store, target, date=date, run=folder, record_id=record, paper=paper.value)
            else:
                pdf_reports.write_run(store, target, date=date, run=folder, paper=paper.value)
    unfinished.replace(file)
    say(f"written to {file}" + ("" if pdf else ": open index.html in it"))


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
    unfinished = file.with_name(f"{file.name}.part")
    with unfinished.open("wb") as target:
        target.writelines(reviewed_records.labels_csv(store, comments=comments))
    unfinished.replace(file)
    say(f"{number_of(len(reviewed_records.reviewed_records(store)), 'verdict', 'verdicts')} written to {file}")
