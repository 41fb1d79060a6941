"""Here: downloads of a report, whole or the rows of a filter. Not here: making them (``queries.downloads``)."""

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from ecg_tasks.queries import downloads, exchange
from ecg_ui.inputs import DatePath, RunPath, Store
from ecg_ui.pages.reports import Asked

router = APIRouter()

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "ndjson": "application/fhir+ndjson",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "zip": "application/zip",
}
"""By the ending of a file's name."""


@router.get("/reports/{date}/{run}/files/{kind}")
def download(store: Store, date: DatePath, run: RunPath, kind: downloads.Kind) -> Response:
    """Send one file of a report."""
    return _attached(downloads.download(store, date, run, kind), name=f"{date}-{kind}")


@router.get("/reports/{date}/{run}/rows.csv")
def download_rows(store: Store, date: DatePath, run: RunPath, query: Asked) -> Response:
    """Send the rows that pass a filter, in its order."""
    return _attached(exchange.rows_csv(store, date, run, query), name=f"{date}-rows.csv")


def _attached(content: downloads.Content, *, name: str) -> Response:
    """Send a file to be saved, never to be shown: it may hold anything."""
    media_type = MEDIA_TYPES[name.rsplit(".", 1)[-1]]
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(content, media_type=media_type, headers=headers)
