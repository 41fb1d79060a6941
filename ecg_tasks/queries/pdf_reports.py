"""Here: what a PDF of a record, or of a whole run, says, gathered from a written report and the archive. Not here: drawing it."""

from typing import Any, BinaryIO

from ecg_tasks.archive import keys
from ecg_tasks.archive.descriptions import Descriptions
from ecg_tasks.archive.documents import plain
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import ConfigurationError, MissingObjectError
from ecg_tasks.labels import Decision
from ecg_tasks.queries import models, records, report_table, runs
from ecg_tasks.report_columns import ATTENTION, Row
from ecg_tasks.reporting.class_lines import class_lines
from ecg_tasks.reporting.facts import Fact, facts_of
from ecg_tasks.reporting.measured import measured_lines
from ecg_tasks.reporting.pages import RECORD_PAGES
from ecg_tasks.reporting.pdf_file import PAPERS, pdf
from ecg_tasks.reporting.record_sheets import RecordSheet, RunSheet, draw_record, draw_run
from ecg_tasks.reporting.sections import MEANINGS
from ecg_tasks.signals.flags import sentences


def write_record(store: ObjectStore, out: BinaryIO, *, date: str, run: str, record_id: str, paper: str = "a4") -> None:
    """Write the PDF of one record of a report.

    Raises
    ------
    ConfigurationError
        If the report has no such record, or the archive none any more.
    """
    head = _report(store, date, run)
    try:
        (row,) = _rows(store, date, run, [record_id])
    except KeyError:
        raise ConfigurationError(f"the report {date}/{run} has no record {record_id!r}") from None
    sheet = _sheet(store, row, head)
    if sheet is None:
        raise ConfigurationError(f"the archive has no record {record_id} any more")
    with pdf(out, title=f"{sheet.name}: {sheet.decision}", paper=PAPERS[paper]) as file:
        draw_record(file, sheet)


def write_run(store: ObjectStore, out: BinaryIO, *, date: str, run: str, paper: str = "a4") -> int:
    """Write the PDF of a report: what the run did, then every record that has a page; returns how many these are.

    A record that was forgotten since is left out.

    Raises
    ------
    MissingObjectError
        If there is no such report.
    """
    head = _report(store, date, run)
    folder = keys.report(date, run, RECORD_PAGES)
    wanted = [keys.stem(key) for key in store.list_keys(folder) if key.endswith(".html")]
    rows = [row for row in sorted(_rows(store, date, run, wanted), key=_order) if records.shard_of(store, row["record_id"])]
    facts = [
        Fact("Run", f"{head.run_id} of {runs.DAG}, written {head.created} (UTC)"),
        *(Fact("Model", f"{one.recipe} {one.version}{' (trained on synthetic recordings)' * one.synthetic}") for one in head.models),
    ]
    counts = {name: count for name, count in plain(head.counts).items() if count or name != "forgotten"}
    notes = [*([f"{head.n_synthetic:,} records were made by a program."] if head.n_synthetic else []), *head.notes]
    sheet = RunSheet(
        title=f"Report of {date}",
        facts=facts,
        counts=counts,
        decisions=head.decisions,
        notes=notes,
        records=[(row["name"], row["decision"], row["probability"], row["label"] or "") for row in rows],
    )
    with pdf(out, title=f"Report of {date}, run {head.run_id}", paper=PAPERS[paper]) as file:
        draw_run(file, sheet)
        for row in rows:
            if (one := _sheet(store, row, head)) is not None:
                draw_record(file, one)
    return len(rows)


def _report(store: ObjectStore, date: str, run: str) -> runs.Summary:
    found = runs.summary(store, date, run)
    if found is None:
        raise MissingObjectError(f"there is no report {date}/{run}")
    return found


def _rows(store: ObjectStore, date: str, run: str, record_ids: list[str]) -> list[dict[str, Any]]:
    table = report_table.table(store, date, run)
    if table is None:
        raise MissingObjectError(f"there is no report {date}/{run}")
    return table.find(record_ids)


def _order(row: Row) -> tuple[int, float, str]:
    """Return the place of a row: what needs eyes first, then the highest P, as in the report."""
    return ATTENTION.index(Decision(row["decision"])), -(row["probability"] or 0.0), row["record_id"]


def _sheet(store: ObjectStore, row: Row, head: runs.Summary) -> RecordSheet | None:
    """Gather the sheet of a record; None if the archive has it no more."""
    record_id = row["record_id"]
    shard = records.shard_of(store, record_id)
    stored = None if shard is None else records.stored_record(store, shard, record_id)
    if stored is None:
        return None
    record = Descriptions.read(store, [record_id]).stored(stored).record
    version = models.version(store, row["recipe"], row["version"]).at(record.site)
    threshold = version.threshold if row["threshold"] is None else row["threshold"]
    band = version.abstain if row["threshold"] is None else (row["abstain_low"], row["abstain_high"])
    scale = "" if threshold is None else f"Abnormal from {threshold:.3f} on"
    scale += f"; uncertain from {band[0]:.3f} to {band[1]:.3f}." if scale and band and None not in band else "." if scale else ""
    is_synthetic = bool(row["synthetic"] or record.synthetic)
    warnings = [
        *(["Made from a synthetic recording: a program made this signal; it was not measured on a person."] if is_synthetic else []),
        *(["Trained on synthetic recordings: the decision shows that the system works, and nothing else."] if version.synthetic else []),
    ]
    origin = [
        Fact("Record", record_id),
        Fact("Source SHA-256", row["source_sha256"]),
        Fact("Signal", f"{record.duration_s:.6g} s at {record.fs:.6g} Hz, {len(record.leads)} leads"),
        Fact("Run", head.run_id),
        Fact("Written", f"{head.created} (UTC)"),
        Fact("Model", f"{version.recipe} {version.version}, digest {row['model_digest'] or version.digest or 'not known'}"),
    ]
    return RecordSheet(
        record=record,
        name=row["name"],
        decision=row["decision"],
        meaning=MEANINGS[Decision(row["decision"])],
        probability=row["probability"],
        scale=scale,
        label=row["label"] or "",
        classes=class_lines(version.classes, row),
        measured=measured_lines(row),
        facts=facts_of(record),
        quality=_quality(row),
        warnings=warnings,
        origin=origin,
    )


def _quality(row: Row) -> list[str]:
    flags = row["flags"] or ""
    return [
        f"{row['quality']:.2f} from 0 (useless) to 1 (clean); {row['n_used']} of {row['n_windows']} windows used.",
        *([f"Seconds read: {row['seconds_read']}."] if row["seconds_read"] else []),
        *(sentences(flags) or ["No problem was found."]),
    ]
