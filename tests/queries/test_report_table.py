"""A report's table is opened once, whether it has one or, as reports of earlier versions, a CSV file only."""

import csv
import io

import pytest

from ecg_tasks import report_columns
from ecg_tasks.archive import keys
from ecg_tasks.queries import report_table
from ecg_tasks.report_columns import Query
from tests.run_tables import run_table

DATE, RUN = "2026-01-02", "night"
OLD = "record_id,name,source_sha256,decision,probability,recipe,version,n_windows,n_used,quality,flags,label,synthetic,model_digest"
"""Head of a report's CSV file before there were tables, and before ``seconds_read``."""


@pytest.fixture(autouse=True)
def _nothing_kept():
    report_table._table.forget()


def test_a_report_has_the_table_that_was_written(bucket):
    """It is read once while it stays the same, and again when it is another; then the copy of the old one goes from the disk."""
    bucket.put(keys.report(DATE, RUN, "predictions.parquet"), b"".join(run_table([{"name": "one"}]).pieces()))
    found = report_table.table(bucket, DATE, RUN)
    assert [row["name"] for row in found.all_rows()] == ["one"]
    assert report_table.table(bucket, DATE, RUN) is found
    copy = found.file
    del found
    bucket.put(keys.report(DATE, RUN, "predictions.parquet"), b"".join(run_table([{"name": "two"}]).pieces()))
    assert [row["name"] for row in report_table.table(bucket, DATE, RUN).all_rows()] == ["two"]
    assert copy.closed
    assert report_table.table(bucket, DATE, "other") is None


def test_where_there_is_a_table_no_csv_is_read(bucket, monkeypatch):
    """The CSV file is for people: it is written, and never read back."""
    bucket.put(keys.report(DATE, RUN, "predictions.parquet"), b"".join(run_table([{}]).pieces()))
    bucket.put(keys.report(DATE, RUN, "predictions.csv"), b"spoiled")
    read = []
    stream = bucket.stream
    monkeypatch.setattr(bucket, "stream", lambda key: read.append(key) or stream(key))
    assert len(report_table.table(bucket, DATE, RUN)) == 1
    assert read == [keys.report(DATE, RUN, "predictions.parquet")]


def test_a_report_that_has_a_csv_file_only_is_shown(bucket):
    """Its cells get their types and names their first character back; what it lacks is none."""
    cells = [
        [f"{1:032x}", "'=1+1", "s", "abnormal", "0.812345", "heartbeat", "v1", "3", "2", "0.900000", "noise", "normal", "yes", "d"],
        [f"{2:032x}", 'a, "b"\nc', "s", "uninterpretable", "", "heartbeat", "v1", "3", "0", "0.100000", "", "", "no", "d"],
        [f"{3:032x}", "'s Ärzte", "s", "uncertain", "0.100000", "heartbeat", "v1", "1", "1", "1.000000", "", "", "no", "d"],
    ]
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows([OLD.split(","), *cells])
    bucket.put(keys.report(DATE, RUN, "predictions.csv"), out.getvalue().encode())
    rows = list(report_table.table(bucket, DATE, RUN).all_rows())
    assert [row["name"] for row in rows] == ["'s Ärzte", "=1+1", 'a, "b"\nc']
    assert [row["probability"] for row in rows] == [0.1, 0.812345, None]
    assert [(row["label"], row["flags"], row["synthetic"], row["n_windows"]) for row in rows] == [
        (None, None, False, 1),
        ("normal", "noise", True, 3),
        (None, None, False, 3),
    ]
    assert {(row["seconds_read"], row["shard"], row["threshold"]) for row in rows} == {(None, None, None)}
    assert set(rows[0]) == {column.name for column in report_columns.COLUMNS}
    assert report_table.table(bucket, DATE, RUN).neighbours(Query(sort="name"), f"{1:032x}") == (f"{3:032x}", f"{2:032x}")


def test_a_hundred_thousand_rows_are_sorted_and_filtered(bucket):
    """The first view is the whole table's, and so is a filter with an order. How long it takes: ``python -m benchmarks.report_table``."""
    rows = ({"record_id": f"{row:032x}", "name": f"day.csv#{row}", "probability": row / 1e5} for row in range(100_000))
    bucket.put(keys.report(DATE, RUN, "predictions.parquet"), b"".join(run_table(rows).pieces()))
    table = report_table.table(bucket, DATE, RUN)
    assert [row["name"] for row in table.first(Query(), 50)][:2] == ["day.csv#99999", "day.csv#99998"]
    assert table.first(Query(text="csv#77", sort="name"), 50)[0]["name"] == "day.csv#77"
    assert table.first(Query(text="csv#78", decision="normal", sort="name"), 50)[0]["name"] == "day.csv#78"
