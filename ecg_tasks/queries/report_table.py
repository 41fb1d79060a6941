"""Here: the table of one report, opened for pages and files. Not here: sorting and paging it (``archive.predictions``), or HTML.

A table is copied to the disk once, by its ETag, and read from there.
"""

from ecg_tasks.archive import keys
from ecg_tasks.archive.cache import keep
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.predictions import RunTable
from ecg_tasks.archive.temporary_file import new_file
from ecg_tasks.errors import MissingObjectError
from ecg_tasks.queries.csv_reports import table_of_csv
from ecg_tasks.report_columns import Column, Query, differs, shown, sorts

__all__ = ["Column", "Query", "RunTable", "differs", "shown", "sorts", "table"]

TABLE, CSV = "predictions.parquet", "predictions.csv"
_KEPT = 3
"""Tables kept on the disk; one of a million rows takes 30 MB."""


def table(store: ObjectStore, date: str, run: str) -> RunTable | None:
    """Open the table of a report, or None if there is no such report."""
    for name in (TABLE, CSV):
        if (info := store.info(keys.report(date, run, name))) is not None:
            try:
                return _table(store, info.key, etag=info.etag)
            except MissingObjectError:
                return None
    return None


@keep(_KEPT)
def _table(store: ObjectStore, key: str, *, etag: str) -> RunTable:  # noqa: ARG001 - a generation
    pieces = store.stream(key)
    return RunTable.copied(pieces, new_file()) if key.endswith(TABLE) else table_of_csv(pieces)
