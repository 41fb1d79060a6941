"""A written report leaves in the forms that other tools take, whole, and nothing is made up on the way."""

import csv
import io
import json
import zipfile

import pyarrow.parquet as pq
import pytest

from ecg_tasks import report_columns
from ecg_tasks.archive import keys
from ecg_tasks.counts import ReportCounts
from ecg_tasks.errors import ConfigurationError, MissingObjectError
from ecg_tasks.queries import exchange
from ecg_tasks.report_columns import Query
from tests.run_tables import run_table

SUMMARY = {
    "run": {"run_id": "r", "created_utc": "2026-01-02T03:04:05+00:00"},
    "counts": dict.fromkeys(ReportCounts.__struct_fields__, 0),
    "decisions": {},
    "models": [],
    "quarantine": {"by_reason": {}},
}
DATE, RUN = "2026-01-02", "manual__2026"
NAMES = ("=1+1", 'a, "b"\nc', "Ärzte")


@pytest.fixture
def report(bucket):
    """The folder of a report of three records, one with a name like a formula and one with a comma and a line break."""
    table = run_table(
        [
            {
                "record_id": f"{1:032x}",
                "name": NAMES[0],
                "decision": "abnormal",
                "probability": 1 / 3,
                "label": "normal",
                "synthetic": True,
            },
            {"record_id": f"{2:032x}", "name": NAMES[1], "decision": "uninterpretable", "probability": None, "abstain_low": None},
            {"record_id": f"{3:032x}", "name": NAMES[2], "decision": "normal", "probability": 0.1},
        ]
    )
    content = {
        "predictions.parquet": b"".join(table.pieces()),
        "predictions.csv": b"never read back",
        "summary.json": json.dumps(SUMMARY).encode(),
        f"records/{1:032x}.html": b"<p>one</p>" * 1000,
        "index.html": b'<a href="records/00000000000000000000000000000001.html">one</a>',
    }
    for path, data in content.items():
        bucket.put(keys.report(DATE, RUN, path), data)
    return content


def test_parquet_is_the_table_that_was_written(bucket, report):
    """Byte for byte: names as they were, all digits, and nulls."""
    data = b"".join(exchange.predictions_parquet(bucket, DATE, RUN))
    assert data == report["predictions.parquet"]
    rows = pq.read_table(io.BytesIO(data)).to_pylist()
    assert tuple(row["name"] for row in rows) == NAMES
    assert [row["probability"] for row in rows] == [1 / 3, None, 0.1]


def test_a_filters_rows_are_csv_in_its_order(bucket, report):
    """With its head, also where no row passes; every digit, and a name that a spreadsheet would run is made harmless."""
    table = list(
        csv.DictReader(io.StringIO(b"".join(exchange.rows_csv(bucket, DATE, RUN, Query(sort="probability"))).decode(), newline=""))
    )
    assert [row["name"] for row in table] == [NAMES[1], NAMES[2], "'=1+1"]
    assert [row["probability"] for row in table] == ["", "0.1", repr(1 / 3)]
    (head,) = b"".join(exchange.rows_csv(bucket, DATE, RUN, Query(text="nothing"))).decode().splitlines()
    assert head.split(",") == [column.name for column in report_columns.COLUMNS]


def test_a_workbook_of_all_rows(bucket, report):
    """Numbers with all their digits."""
    with zipfile.ZipFile(io.BytesIO(b"".join(exchange.predictions_xlsx(bucket, DATE, RUN)))) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert sheet.count("<row ") == 4
    assert f"<v>{1 / 3:.16g}</v>" in sheet


@pytest.mark.parametrize("release", ["R5", "R4B"])
def test_fhir_has_a_line_a_bundle(bucket, report, release):
    """One report and one observation a record, and the model once."""
    (line,) = exchange.fhir_ndjson(bucket, DATE, RUN, release=release)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    bundle = json.loads(line)
    assert bundle["timestamp"] == "2026-01-02T03:04:05+00:00"
    assert len(bundle["entry"]) == 7
    values = [entry["resource"]["valueQuantity"]["value"] for entry in bundle["entry"] if "valueQuantity" in entry["resource"]]
    assert values == [1 / 3, 0.1]


def test_the_zip_holds_the_folder_and_is_the_same_every_time(bucket, report):
    """Read back by Python's own reader; links inside lead to files inside."""
    data = b"".join(exchange.report_zip(bucket, DATE, RUN))
    assert data == b"".join(exchange.report_zip(bucket, DATE, RUN))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {f"{RUN}/{path}" for path in (*report, "dictionary.csv", "fhir-R5.ndjson")}
        assert {path: archive.read(f"{RUN}/{path}") for path in report} == report


def test_a_long_report_is_sent_piece_by_piece(bucket, report, monkeypatch):
    """No piece holds the whole: a page of 8 MB leaves in parts."""
    import numpy as np

    bucket.put(keys.report(DATE, RUN, "records/long.html"), np.random.default_rng(0).bytes(8_000_000))
    pieces = list(exchange.report_zip(bucket, DATE, RUN))
    assert sum(map(len, pieces)) > 8_000_000
    assert max(map(len, pieces)) < 2_500_000


def test_a_report_is_found_by_its_run(bucket, report):
    """By the Airflow id or by the folder's name."""
    assert exchange.find_report(bucket, RUN) == (DATE, RUN)
    with pytest.raises(ConfigurationError, match="no report of a run 'x'"):
        exchange.find_report(bucket, "x")


@pytest.mark.parametrize("function", [exchange.predictions_parquet, exchange.predictions_xlsx, exchange.fhir_ndjson, exchange.report_zip])
def test_what_is_not_there_is_told_at_the_call(bucket, report, function):
    """Before the first byte, so that a page can answer 404; a path that leads elsewhere never becomes a key."""
    with pytest.raises(MissingObjectError):
        function(bucket, DATE, "other")
    for date, run in ((DATE, "../x"), ("..", RUN), ("2026-01-02/", RUN)):
        with pytest.raises(ConfigurationError):
            function(bucket, date, run)


def test_an_unknown_release_is_refused(bucket, report):
    """With those that there are."""
    with pytest.raises(ConfigurationError, match="R5, R4B"):
        exchange.fhir_ndjson(bucket, DATE, RUN, release="R3")
