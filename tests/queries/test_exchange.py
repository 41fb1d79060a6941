"""A written report leaves in the forms that other tools take, whole, and nothing is made up on the way."""

import io
import json
import zipfile

import pyarrow.parquet as pq
import pytest

from ecg_tasks.archive import keys, tables
from ecg_tasks.counts import ReportCounts
from ecg_tasks.errors import ConfigurationError, MissingObjectError
from ecg_tasks.queries import exchange

SUMMARY = {
    "run": {"run_id": "r", "created_utc": "2026-01-02T03:04:05+00:00"},
    "counts": dict.fromkeys(ReportCounts.__struct_fields__, 0),
    "decisions": {},
    "models": [],
    "quarantine": {"by_reason": {}},
}
DATE, RUN = "2026-01-02", "manual__2026"
HEADER = ",".join(tables.EXCHANGE.names)


@pytest.fixture
def report(bucket):
    """The folder of a report of three records, one with a name that was made harmless and one with a comma and a line break."""
    lines = [
        HEADER,
        f"{1:032x},'=1+1,s,abnormal,0.812345,heartbeat,v1,3,2,0.900000,,,normal,yes,{'d' * 64},0.250000,0.200000,0.300000",
        f'{2:032x},"a, ""b""\nc",s,uninterpretable,,heartbeat,v1,3,0,0.100000,noise,,,no,{"d" * 64},0.250000,,',
        f"{3:032x},Ärzte,s,normal,0.100000,heartbeat,v1,1,1,1.000000,,,,no,{'d' * 64},0.250000,0.200000,0.300000",
    ]
    content = {
        "predictions.csv": "\n".join(lines) + "\n",
        "summary.json": json.dumps(SUMMARY),
        f"records/{1:032x}.html": "<p>one</p>" * 1000,
        "index.html": '<a href="records/00000000000000000000000000000001.html">one</a>',
    }
    for path, text in content.items():
        bucket.put(keys.report(DATE, RUN, path), text.encode())
    return {path: text.encode() for path, text in content.items()}


def test_parquet_has_the_rows_with_types_and_nulls(bucket, report):
    """Names are as they were, a missing probability or label is a null."""
    table = pq.read_table(io.BytesIO(exchange.predictions_parquet(bucket, DATE, RUN)))
    assert table.column_names == HEADER.split(",")
    rows = table.to_pylist()
    assert [row["name"] for row in rows] == ["=1+1", 'a, "b"\nc', "Ärzte"]
    assert [row["probability"] for row in rows] == [0.812345, None, 0.1]
    assert [row["label"] for row in rows] == ["normal", None, None]
    assert [row["synthetic"] for row in rows] == [True, False, False]
    assert rows[1]["abstain_low"] is None
    assert rows[0]["n_used"] == 2


@pytest.mark.parametrize("release", ["R5", "R4B"])
def test_fhir_has_a_line_a_bundle(bucket, report, release):
    """One report and one observation a record, and the model once."""
    (line,) = exchange.fhir_ndjson(bucket, DATE, RUN, release=release)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    bundle = json.loads(line)
    assert bundle["timestamp"] == "2026-01-02T03:04:05+00:00"
    assert len(bundle["entry"]) == 7


def test_the_zip_holds_the_folder_and_is_the_same_every_time(bucket, report):
    """Read back by Python's own reader; links inside lead to files inside."""
    data = b"".join(exchange.report_zip(bucket, DATE, RUN))
    assert data == b"".join(exchange.report_zip(bucket, DATE, RUN))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {f"{RUN}/{path}" for path in (*report, "predictions.parquet", "fhir-R5.ndjson")}
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


@pytest.mark.parametrize("function", [exchange.predictions_parquet, exchange.fhir_ndjson, exchange.report_zip])
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
