"""Here: downloads of a report, whole or the rows of a filter. Not here: making FHIR, Parquet or ZIP (``queries.exchange``)."""

from collections.abc import Callable, Iterator
from typing import Literal

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import open_store
from ecg_tasks.queries import exchange
from ecg_ui.inputs import DatePath, RunPath
from ecg_ui.pages.reports import Asked

router = APIRouter()

Content = Iterator[bytes]
Kind = Literal[
    "predictions.csv",
    "predictions.parquet",
    "predictions.xlsx",
    "summary.json",
    "changes.csv",
    "fhir-R5.ndjson",
    "fhir-R4B.ndjson",
    "report.zip",
]
KINDS: dict[str, tuple[str, Callable[[ObjectStore, str, str], Content]]] = {
    "predictions.csv": ("text/csv; charset=utf-8", lambda store, date, run: exchange.stored(store, date, run, "predictions.csv")),
    "predictions.parquet": ("application/vnd.apache.parquet", exchange.predictions_parquet),
    "predictions.xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", exchange.predictions_xlsx),
    "summary.json": ("application/json", lambda store, date, run: exchange.stored(store, date, run, "summary.json")),
    "changes.csv": ("text/csv; charset=utf-8", lambda store, date, run: exchange.stored(store, date, run, "changes.csv")),
    "fhir-R5.ndjson": ("application/fhir+ndjson", lambda store, date, run: exchange.fhir_ndjson(store, date, run, release="R5")),
    "fhir-R4B.ndjson": ("application/fhir+ndjson", lambda store, date, run: exchange.fhir_ndjson(store, date, run, release="R4B")),
    "report.zip": ("application/zip", exchange.report_zip),
}
"""File name to its type and maker."""


@router.get("/reports/{date}/{run}/files/{kind}")
def download(date: DatePath, run: RunPath, kind: Kind) -> Response:
    """One file of a report."""
    media_type, make = KINDS[kind]
    return _attached(make(open_store(), date, run), name=f"{date}-{kind}", media_type=media_type)


@router.get("/reports/{date}/{run}/rows.csv")
def download_rows(date: DatePath, run: RunPath, query: Asked) -> Response:
    """The rows that pass a filter, in its order."""
    return _attached(exchange.rows_csv(open_store(), date, run, query), name=f"{date}-rows.csv", media_type="text/csv; charset=utf-8")


def _attached(content: Content, *, name: str, media_type: str) -> Response:
    """A file to be saved, never to be shown: it may hold anything."""
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(content, media_type=media_type, headers=headers)
