"""Tables of leads: units, times, separators, and what is no such table."""

import io

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from benchmarks import written_files as written
from ecg_tasks import readers
from ecg_tasks.errors import Reason
from ecg_tasks.readers import reader_of
from ecg_tasks.readers.lead_columns import columns_of, rate
from tests.readers.test_binary_formats import ONE, recording_of, refused

ROWS = 3600


def table(names, *, fs=360, digits=3, units="", clock=False):
    """A CSV of so many leads with times in front."""

    def time(row):
        minutes, seconds = divmod(row / fs, 60)
        return f"{minutes:.0f}:{seconds:0{digits + 3}.{digits}f}" if clock else f"{row / fs:.{digits}f}"

    rows = [f"{time(row)},{np.sin(row / 40):.3f},-0.1" for row in range(ROWS)]
    return {"r.csv": ("\n".join([names, *([units] if units else []), *rows]) + "\n").encode()}


@pytest.mark.parametrize(
    ("files", "fs", "units"),
    [
        (table("time_s,II_mV,V5_mV"), 360, ("mV", "mV")),
        (table("Time [s],Lead II (mV),V5 [uV]"), 360, ("mV", "uV")),
        (table("'Elapsed time','MLII','V5'", units="'hh:mm:ss.mmm','mV','mV'", clock=True), 360, ("mV", "mV")),
        (table("time (ms),II_mV,V5_mV", fs=0.5, digits=0), 500, ("mV", "mV")),
        (table("seconds,ECG II (\N{MICRO SIGN}V),V5_uV", fs=599.88, digits=6), 599.88, ("\N{MICRO SIGN}V", "uV")),
        (table("time,II,V5", units="s,mV,mV"), 360, ("mV", "mV")),
    ],
)
def test_rate_and_units_are_as_the_table_says(files, fs, units):
    """A rate to the whole Hz where the digits of the times leave it open, as it is where they do not."""
    leads = recording_of(files).leads
    assert [lead.units for lead in leads] == list(units)
    assert leads[0].fs == pytest.approx(fs, rel=1e-6)
    assert float(leads[0].fs).is_integer() == float(fs).is_integer()
    assert leads[0].samples[:2].tolist() == [0, 0.025]


def test_a_gap_in_time_is_no_shorter_recording():
    """Ten rows left out in the middle: both counts are told."""
    lines = table("time_s,II_mV,V5_mV")["r.csv"].splitlines()
    error = refused({"r.csv": b"\n".join(lines[:1000] + lines[1010:]) + b"\n"})
    assert error.reason is Reason.INCOMPLETE
    assert "and it has 3,590" in error.message


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        (lambda text: text.replace(b"-0.1\n", b"\n", 1), None, ""),
        (lambda text: text.replace(b"-0.1\n", b"P7\n", 1), Reason.NOT_NUMERIC, "line 2, column 3: not a number"),
        (lambda text: text.replace(b"-0.1\n", b"-0.1,5\n", 1), Reason.WRONG_WIDTH, "line 2: 4 columns; the first line has 3"),
        (lambda text: text[:-3], Reason.INCOMPLETE, "in the middle of line 3601"),
        (lambda text: text[:-6], Reason.INCOMPLETE, "in the middle of line 3601"),
        (lambda text: text.replace(b"0.003,", b"0.030,", 1), Reason.INCOMPLETE, "by its times"),
        (lambda text: text.replace(b"0.003,", b"nan,", 1), Reason.UNREADABLE, "does not increase"),
    ],
)
def test_faults(change, reason, words):
    """A cell that is empty is a sample that is missing; anything else is refused, and not shown."""
    files = {"r.csv": change(table("time_s,II_mV,V5_mV")["r.csv"])}
    if reason is None:
        assert np.isnan(recording_of(files).leads[1].samples).tolist() == [True] + [False] * (ROWS - 1)
        return
    error = refused(files)
    assert error.reason is reason
    assert words in error.message


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (lambda row: f"{max(0, row - 2000) / 360:.6f}", "does not increase from row to row"),
        (lambda row: f"{row}e-320", "increases by next to nothing"),
    ],
    ids=["it stands still", "it hardly moves"],
)
def test_a_time_that_gives_no_rate_is_refused(time, words):
    """A clock that stands still for most of a table, and one whose steps no rate follows from."""
    rows = "".join(f"{time(row)},{row % 7},1\n" for row in range(ROWS))
    error = refused({"r.csv": f"time_s,II_uV,V5_uV\n{rows}".encode()})
    assert error.reason is Reason.UNREADABLE
    assert words in error.message


def test_times_too_coarse_for_a_rate_need_a_sidecar():
    """Whole seconds tell no rate."""
    rows = "".join(f"{row // 360},{row % 7},1\n" for row in range(ROWS))
    files = {"r.csv": f"time_s,II_uV,V5_uV\n{rows}".encode()}
    assert refused(files).reason is Reason.UNIT_UNKNOWN


@pytest.mark.parametrize(
    "text",
    [
        b"record,label\nr,1\n",
        b"I,II,patient\n1,2,3\n",
        b",".join(b"s%d" % column for column in range(187)) + b"\n" + b",".join([b"0.5"] * 187) + b"\n",
        b",".join([b"0.5"] * 187) + b"\n",
        b"time,pressure\n0,1\n",
        b"V1,V2\nwords,words\n",
        b"ECG,time_s\n1,2\n",
        b"",
    ],
)
def test_what_is_no_table_of_leads_is_left_to_others(text):
    """Heartbeats, labels, words and anything without one of the twelve leads."""
    found = reader_of("x.csv", text)
    assert found is None or found.name == "heartbeat_csv"


def test_columns():
    """A name that is none, and too many, make no table of leads."""
    assert columns_of(["II"] * 65) is None
    assert columns_of(["", "II", "V5"]).leads == {1: ("II", ""), 2: ("V5", "")}
    assert columns_of(["t", "II", "V3R (mV)", "VX"]).leads == {1: ("II", ""), 2: ("V3R", "mV"), 3: ("VX", "")}


def test_rate_is_exact_where_the_times_are():
    """An odd rate stays as it is."""
    assert rate(np.arange(6000) * 0.001667, step_s=1e-9, name="x") == pytest.approx(1 / 0.001667, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda columns: columns | {"who": ["P7"] * 5000}, Reason.UNREADABLE),
        (lambda columns: columns | {"II_uV": ["1"] * 5000}, Reason.NOT_NUMERIC),
        (lambda columns: {name: values[:0] for name, values in columns.items()}, Reason.UNREADABLE),
    ],
)
def test_faults_of_parquet(change, reason):
    """Columns of words, and no row."""
    columns = {"time_s": np.arange(5000) / 500, "II_uV": ONE.stored[:, 1]}
    stream = io.BytesIO()
    parquet.write_table(pa.table(change(columns)), stream)
    assert refused({"r.parquet": stream.getvalue()}).reason is reason


def test_a_parquet_bomb_is_refused_by_what_it_says():
    """A run of one value packs to nothing; the number of rows is held against the bound before it is unpacked."""
    stream = io.BytesIO()
    parquet.write_table(
        pa.table({"time_s": pa.array(np.zeros(2**25 + 1, dtype=np.int8)), "II_uV": pa.array(np.zeros(2**25 + 1, dtype=np.int8))}), stream
    )
    data = stream.getvalue()
    assert len(data) < 1_000_000
    assert refused({"r.parquet": data}).reason is Reason.TOO_LARGE


def test_a_column_of_heartbeats_stays_one():
    """The writer's heartbeats are read as before, beside a sidecar or not."""
    files = written.heartbeat_csv(ONE)
    assert readers.read("r.csv", files).records[0].unit == "relative"
