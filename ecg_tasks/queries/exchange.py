"""Here: a written report in the forms that other tools take: Parquet, XLSX, FHIR, and one ZIP file that opens offline.

Not here: what is in a bundle (``reporting.fhir``), or writing the report (``report_builder``).
"""

import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import ReportSummary, read
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import ConfigurationError, MissingObjectError, offer
from ecg_tasks.queries import report_table
from ecg_tasks.reporting.fhir import RELEASES, ClassCode, RunIdentity, bundles
from ecg_tasks.reporting.tables import csv_pieces, dictionary_csv, xlsx_file

SUMMARY, INDEX = "summary.json", "index.html"
_DAYS_OFFERED = 14
"""Days with reports whose runs are offered where one is not found."""
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_PIECE = 1024 * 1024
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time of every entry of a ZIP file, the earliest it can tell: the same report gives the same bytes."""


def predictions_parquet(store: ObjectStore, date: str, run: str) -> Iterator[bytes]:
    """Return the table of a report as it is stored, piece by piece."""
    return _table(store, date, run).pieces()


def predictions_xlsx(store: ObjectStore, date: str, run: str) -> Iterator[bytes]:
    """Return the table of a report as a workbook: some 60 s for a million records."""
    table = _table(store, date, run)
    return _pieces(xlsx_file(table.parts(), table.classes))


def dictionary(store: ObjectStore, date: str, run: str) -> Iterator[bytes]:
    """Return what each column of a report's table says, as CSV."""
    return iter([dictionary_csv(_table(store, date, run).classes)])


def rows_csv(store: ObjectStore, date: str, run: str, query: report_table.Query) -> Iterator[bytes]:
    """Return the rows of a report that pass, in the order asked for, as CSV."""
    table = _table(store, date, run)
    return csv_pieces(table.parts(table.order(query)), table.classes)


def stored(store: ObjectStore, date: str, run: str, name: str) -> Iterator[bytes]:
    """Return one file of a report as it was written."""
    return store.stream(_key(date, run, name))


def fhir_ndjson(store: ObjectStore, date: str, run: str, *, release: str = "R5") -> Iterator[bytes]:
    """Return the FHIR bundles of a report, one of up to 1,000 records a line, made as they are taken.

    Raises
    ------
    ConfigurationError
        If the date, the run or the release cannot be.
    MissingObjectError
        If there is no such report; at the call, before the first line.
    """
    if release not in RELEASES:
        raise ConfigurationError(f"{release=}; it must be one of {', '.join(RELEASES)}")
    summary = read(store, ReportSummary, _key(date, run, SUMMARY))
    rows = _table(store, date, run).all_rows()
    identity = RunIdentity(run=run, issued=summary.run.created_utc)
    classes = {
        (model.recipe, model.version): [
            ClassCode(name=one.name, system=one.system, code=one.code, display=one.display) for one in model.classes
        ]
        for model in summary.models
    }
    made = bundles(rows, run=identity, release=release, classes=classes)
    return (json.dumps(bundle, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n" for bundle in made)


def report_zip(store: ObjectStore, date: str, run: str) -> Iterator[bytes]:
    """Return a whole report as a ZIP file, made as it is taken: its pages, its CSV and Parquet, and the same as FHIR R5.

    Raises
    ------
    ConfigurationError
        If the date or the run cannot be.
    MissingObjectError
        If there is no such report; at the call, before the first byte.
    """
    folder = _key(date, run, "")
    written = store.list_keys(folder)
    if _key(date, run, INDEX) not in written:  # it is written last
        raise MissingObjectError(f"there is no report {date}/{run}")
    return _zipped(store, date, run, [key.removeprefix(folder) for key in written])


def find_report(store: ObjectStore, run: str) -> tuple[str, str]:
    """Return the date and folder of the report of a run, given by its Airflow id or by its folder.

    Raises
    ------
    ConfigurationError
        If there is none.
    """
    wanted = keys.run_key(run)
    dates = store.list_folders(keys.REPORTS)
    for date in reversed(dates):
        if store.exists(keys.report(date, wanted, INDEX)):
            return date, wanted
    there = [folder for date in dates[-_DAYS_OFFERED:] for folder in store.list_folders(f"{keys.REPORTS}{date}/")]
    raise ConfigurationError(f"there is no report of a run {run!r}{offer(wanted, there)}")


def _key(date: str, run: str, path: str) -> str:
    if not _DATE.fullmatch(date) or keys.run_key(run) != run:
        raise ConfigurationError(f"there can be no report {date!r}/{run!r}")
    return keys.report(date, run, path)


def _table(store: ObjectStore, date: str, run: str) -> report_table.RunTable:
    folder = _key(date, run, "")
    table = report_table.table(store, date, run)
    if table is None:
        raise MissingObjectError(f"there is no {folder}")
    return table


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece


class _Outlet(io.RawIOBase):
    """Where a ZIP file is written to: it cannot seek, and keeps nothing but what was not taken yet."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._waiting.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self._waiting = b"".join(self._waiting), []
        return taken


def _zipped(store: ObjectStore, date: str, run: str, paths: Sequence[str]) -> Iterator[bytes]:
    outlet = _Outlet()
    contents: list[tuple[str, Iterable[bytes]]] = [(path, _later(store, _key(date, run, path))) for path in paths]
    if report_table.TABLE not in paths:
        contents.append((report_table.TABLE, predictions_parquet(store, date, run)))
    contents.append(("dictionary.csv", dictionary(store, date, run)))
    contents.append(("fhir-R5.ndjson", fhir_ndjson(store, date, run)))
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, pieces in contents:
            entry = zipfile.ZipInfo(f"{run}/{path}", _LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with archive.open(entry, "w", force_zip64=True) as file:
                for piece in pieces:
                    file.write(piece)
                    if ready := outlet.take():
                        yield ready
    yield outlet.take()


def _later(store: ObjectStore, key: str) -> Iterator[bytes]:
    """Yield the object's content; it is asked for only when the first piece is taken."""
    yield from store.stream(key)
