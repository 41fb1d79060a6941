"""Here: the files of a report that can be downloaded, by name, and its pages. Not here: making Parquet, FHIR or ZIP (``exchange``)."""

from collections.abc import Callable, Iterator
from typing import Literal

from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.queries import exchange

Content = Iterator[bytes]
Kind = Literal[
    "predictions.csv",
    "predictions.parquet",
    "predictions.xlsx",
    "dictionary.csv",
    "summary.json",
    "changes.csv",
    "fhir-R5.ndjson",
    "fhir-R4B.ndjson",
    "report.zip",
]
_MADE: dict[str, Callable[[ObjectStore, str, str], Content]] = {
    "predictions.parquet": exchange.predictions_parquet,
    "predictions.xlsx": exchange.predictions_xlsx,
    "dictionary.csv": exchange.dictionary,
    "fhir-R5.ndjson": lambda store, date, run: exchange.fhir_ndjson(store, date, run, release="R5"),
    "fhir-R4B.ndjson": lambda store, date, run: exchange.fhir_ndjson(store, date, run, release="R4B"),
    "report.zip": exchange.report_zip,
}
"""What is made when it is asked for; the rest is stored under its name."""


def download(store: ObjectStore, date: str, run: str, kind: Kind) -> Content:
    """Return one file of a report; `MissingObjectError` if there is none."""
    make = _MADE.get(kind)
    return exchange.stored(store, date, run, kind) if make is None else make(store, date, run)


def pages(store: ObjectStore, report: str) -> Iterator[tuple[str, bytes]]:
    """Yield every stored file of a report, path and content, by the key of its first page: it opens offline with the others beside it."""
    folder = f"{report.rsplit('/', 1)[0]}/"
    listed = store.list_keys(folder)
    yield from zip((key.removeprefix(folder) for key in listed), store.get_many(listed), strict=True)
