"""The heartbeat CSV: every notation it comes in, and every fault of a row by itself."""

import contextlib
import gzip
import math
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.labels import Label
from ecg_tasks.readers import Read, heartbeat_csv
from ecg_tasks.readers.heartbeat_csv import MAX_KEPT_CONTENTS
from tests.readings import read_heartbeat_csv

REAL = Path(__file__).parents[2] / "../shared/data/heartbeats"


def a_beat(seed=0):
    """187 samples of a beat that nobody had, with four decimals."""
    return np.round(np.random.default_rng(seed).random(187), 4)


def a_line(*, seed=0, label="1", **fields):
    """A row of 188 columns; ``c5="x"`` replaces the fifth field."""
    values = [f"{value:.4f}" for value in a_beat(seed)] + ([] if label is None else [label])
    for column, text in fields.items():
        values[int(column[1:]) - 1] = text
    return ",".join(values)


def read(text, name="beats.csv"):
    """Read text as a file."""
    return read_heartbeat_csv(text.encode() if isinstance(text, str) else text, name=name)


def test_row_becomes_a_record():
    """A row is lead II, 125 Hz, relative, named by its line, with its label beside the samples and not among them."""
    reading = read(a_line(seed=1, label="0") + "\n" + a_line(seed=2, label="1") + "\n")
    first, second = reading.records
    assert reading.rejected == ()
    assert (first.name, first.fs, first.leads, first.unit, first.label) == ("beats.csv#1", 125.0, ("II",), "relative", Label.NORMAL)
    assert (second.name, second.label, second.synthetic, second.patient) == ("beats.csv#2", Label.ABNORMAL, False, None)
    np.testing.assert_array_equal(first.samples, a_beat(1).astype(np.float32)[None])
    assert second.samples.shape == (1, 187)


def test_label_is_never_a_sample():
    """The same beat with and without its label column is the same record."""
    labelled, bare = read(a_line(label="1")).records[0], read(a_line(label=None)).records[0]
    assert labelled.record_id == bare.record_id
    assert (labelled.label, bare.label) == (Label.ABNORMAL, None)


@pytest.mark.parametrize("notation", ["{:.4f}", "{:.6e}", "{:E}", " {:.4f}\t", "+{:.4f}", "{:.17g}", "0{:.4f}"])
def test_any_float_format(notation):
    """However the numbers are written, the record is the same."""
    line = ",".join(notation.format(value) for value in a_beat())
    assert read(line).records[0].record_id == read(a_line(label=None)).records[0].record_id


def test_integers_are_numbers():
    """A row of the integers 0 and 1 is a beat."""
    assert read(",".join("10"[column % 2] for column in range(187)) + ",1").records[0].label is Label.ABNORMAL


@pytest.mark.parametrize(
    "wrap",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: gzip.compress(text.encode()),
        lambda text: text.rstrip("\n").encode(),
    ],
    ids=["crlf", "cr", "bom", "gzip", "no final line end"],
)
def test_wrappings_change_nothing(wrap):
    """Line ends, a byte order mark and gzip are no part of the data."""
    text = a_line(seed=1) + "\n" + a_line(seed=2) + "\n"
    expected = [(record.name, record.record_id) for record in read(text).records]
    assert [(record.name, record.record_id) for record in read(wrap(text)).records] == expected


@pytest.mark.parametrize(
    "header",
    [
        ",".join(f"s{column}" for column in range(187)) + ",label",
        ",".join(str(column) for column in range(188)),
        ",".join(str(column) for column in range(1, 189)),
        ",".join(f'"x{column}"' for column in range(188)),
    ],
)
def test_column_names_are_passed_over_and_counted(header):
    """A first line of names, or of the numbers that a data frame gives its columns, is no row, but the next line is line 2."""
    reading = read(header + "\n" + a_line() + "\n")
    assert [record.name for record in reading.records] == ["beats.csv#2"]
    assert reading.rejected == ()


def test_blank_lines_count_as_lines():
    """Rows are numbered as an editor numbers the file's lines."""
    assert [record.name for record in read("\n" + a_line(seed=1) + "\n \n" + a_line(seed=2)).records] == ["beats.csv#2", "beats.csv#4"]


def test_widths_may_differ_within_a_file():
    """Rows with and without a label can stand in one file."""
    assert [record.label for record in read(a_line(seed=1) + "\n" + a_line(seed=2, label=None) + "\n").records] == [Label.ABNORMAL, None]


@pytest.mark.parametrize(
    ("line", "reason", "words"),
    [
        (a_line() + ",1", Reason.WRONG_WIDTH, "189 columns"),
        ("0.5,0.5", Reason.WRONG_WIDTH, "2 columns"),
        (a_line() + ",", Reason.WRONG_WIDTH, "189 columns"),
        (a_line(c5="abc"), Reason.NOT_NUMERIC, "column 5: 'abc' is not a number"),
        (a_line(c5=""), Reason.NOT_NUMERIC, "column 5: '' is not a number"),
        (a_line(c187="1_0"), Reason.NOT_NUMERIC, "column 187"),
        (a_line(c7="0x1"), Reason.NOT_NUMERIC, "column 7"),
        (a_line(c7="NA"), Reason.NOT_NUMERIC, "'NA'"),
        (a_line(c7='"0.5"'), Reason.NOT_NUMERIC, "column 7"),
        (a_line(c7="0.5 0.5"), Reason.NOT_NUMERIC, "column 7"),
        (a_line(c7="1e"), Reason.NOT_NUMERIC, "column 7"),
        (a_line(c7="0.5.5"), Reason.NOT_NUMERIC, "column 7"),
        (a_line(c7="\N{ARABIC-INDIC DIGIT ONE}"), Reason.NOT_NUMERIC, "column 7"),
        (a_line(c9="nan"), Reason.NON_FINITE, "column 9: 'nan' is not finite"),
        (a_line(c9="-inf"), Reason.NON_FINITE, "column 9"),
        (a_line(c9="1e400"), Reason.NON_FINITE, "column 9"),
        (a_line(c1="1.02"), Reason.OUT_OF_RANGE, "column 1: 1.02 is outside -0.01 to 1.01"),
        (a_line(c1="-0.02"), Reason.OUT_OF_RANGE, "-0.02"),
        (",".join(["0.25"] * 187) + ",0", Reason.FLAT, "all 187 samples are 0.25"),
        (a_line(label="5"), Reason.BAD_LABEL, "column 188: the label is '5'; it must be 0 (normal) or 1 to 4 (abnormal)"),
        (a_line(c1="a person's"), Reason.NOT_NUMERIC, "column 1: the value is not a number"),
        (a_line(label="0.5"), Reason.BAD_LABEL, "'0.5'"),
        (a_line(label=""), Reason.BAD_LABEL, "''"),
        (a_line(label="nan"), Reason.BAD_LABEL, "'nan'"),
        (a_line(label="normal"), Reason.BAD_LABEL, "'normal'"),
    ],
)
def test_bad_row_is_rejected_and_the_rest_is_read(line, reason, words):
    """A bad row names file, row, column, value and bound; its neighbours are read."""
    reading = read(a_line(seed=1) + "\n" + line + "\n" + a_line(seed=2) + "\n")
    assert [record.name for record in reading.records] == ["beats.csv#1", "beats.csv#3"]
    (rejected,) = reading.rejected
    assert (rejected.name, rejected.reason) == ("beats.csv#2", reason)
    assert words in rejected.message
    assert rejected.message.startswith("beats.csv#2")
    assert rejected.content == line


@pytest.mark.parametrize("value", ["-0.01", "1.01", "0", "1"])
def test_bounds_belong_to_the_range(value):
    """A hundredth on either side of [0, 1] is still good."""
    assert len(read(a_line(c3=value)).records) == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.UNREADABLE),
        (b"1,2,3\n4,5,6\n", Reason.WRONG_WIDTH),
        (",".join(f"s{column}" for column in range(188)).encode(), Reason.UNREADABLE),
        (bytes(range(256)), Reason.UNREADABLE),
        (gzip.compress(a_line().encode())[:-9], Reason.UNREADABLE),
    ],
)
def test_file_without_any_beat_is_refused_whole(data, reason):
    """When no line can be a heartbeat row, one reason for the file is better than one for each line."""
    with pytest.raises(BadInputError, match=r"x\.csv") as caught:
        read_heartbeat_csv(data, name="x.csv")
    assert caught.value.reason is reason


def test_too_many_rows_are_refused(monkeypatch):
    """A file with more rows than the bound is too large."""
    monkeypatch.setattr(heartbeat_csv, "MAX_ROWS", 2)
    with pytest.raises(BadInputError) as caught:
        read("\n".join([a_line()] * 3))
    assert caught.value.reason is Reason.TOO_LARGE


def test_too_many_lines_are_refused_before_they_are_split(monkeypatch):
    """Lines of two bytes, which gzip packs to nothing, would each take fifty bytes of memory."""
    monkeypatch.setattr(heartbeat_csv, "MAX_LINES", 9)
    for data in (b"1\n" * 10, b"1\r" * 10, gzip.compress(b"\n" * 10 + b"1")):
        with pytest.raises(BadInputError, match="the file has 10 lines; the limit is 9") as caught:
            read(data)
        assert caught.value.reason is Reason.TOO_LARGE


def test_a_row_of_commas_is_counted_not_split():
    """Ten million empty fields cost no memory, in the first line or beside a good row."""
    with pytest.raises(BadInputError, match="1 line with 10000001 columns") as caught:
        read(b"," * 10_000_000)
    assert caught.value.reason is Reason.WRONG_WIDTH
    tracemalloc.start()
    try:
        reading = read(a_line().encode() + b"\n" + b"," * 10_000_000)
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()
    assert [rejected.reason for rejected in reading.rejected] == [Reason.WRONG_WIDTH]


@pytest.mark.parametrize(
    "write",
    [
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", ";").replace(".", ","),
        lambda text: "sep=;\n" + text.replace(",", ";").replace(".", ","),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace(",", "\t").replace(".", ","),
        lambda text: text.replace(",", "  "),
        lambda text: text.replace("\n", ",\n"),
        lambda text: text.replace("\n", ";;\n").replace(",", ";"),
        lambda text: re.sub("[^,\n]+", r'"\g<0>"', text),
        lambda text: re.sub("[^,\n]+", r"'\g<0>'", text),
        lambda text: re.sub("[^,\n]+", r'"\g<0>"', text).replace(".", "@").replace(",", ";").replace("@", ","),
        lambda text: re.sub(r"([0-9]+)\.([0-9]+)", r'"\1,\2"', text),
        lambda text: text.encode("utf-16"),
    ],
)
def test_any_notation_of_the_whole_file(write):
    """Semicolons, decimal commas, tabs, blanks, separators at the end, quotes and UTF-16 change neither a record nor a label."""
    text = "\n".join(a_line(seed=seed, label="01"[seed % 2]) for seed in range(5)) + "\n"
    expected = [(record.record_id, record.label) for record in read(text).records]
    reading = read(write(text))
    assert [(record.record_id, record.label) for record in reading.records] == expected
    assert reading.rejected == ()
    assert next(record.name for record in reading.records) in {"beats.csv#1", "beats.csv#2"}


def test_rows_in_another_notation_than_the_file_are_rejected():
    """A row with semicolons among rows with commas is no row of this table."""
    reading = read(a_line() + "\n" + a_line(seed=1).replace(",", ";").replace(".", ",") + "\n")
    assert (len(reading.records), [rejected.reason for rejected in reading.rejected]) == (1, [Reason.NOT_NUMERIC])


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"c3": "0.5;"}, Reason.NOT_NUMERIC),
        ({"c3": "-0.35"}, Reason.OUT_OF_RANGE),
        ({"c1": "case7"}, Reason.NOT_NUMERIC),
        ({"label": "9"}, Reason.BAD_LABEL),
    ],
)
def test_one_fault_of_all_rows_is_told_once(fields, reason):
    """When no row can be read, all for the same reason, the file gets one sentence and not one a row."""
    with pytest.raises(BadInputError, match="Nothing was read: all 5 rows have such a fault") as caught:
        read("".join(a_line(seed=seed, **fields) + "\n" for seed in range(5)))
    assert caught.value.reason is reason
    assert "case7" not in caught.value.message


@pytest.mark.parametrize("cut", ["0.5", ",", "0.5,0", a_line(label=None)])
def test_a_file_that_ends_within_a_row_is_refused_whole(cut):
    """The half of an upload is no table: its last row is shorter than the others and has no line end."""
    with pytest.raises(BadInputError, match=r"ends in the middle of row 4, without a line end\. Upload the whole file again") as caught:
        read((a_line() + "\n") * 3 + cut)
    assert caught.value.reason is Reason.INCOMPLETE
    assert [fault.reason for fault in read((a_line() + "\n") * 3 + cut + "\n").rejected] in ([], [Reason.WRONG_WIDTH])


def test_a_file_that_ends_within_a_number_is_refused_whole():
    """Where numbers have exponents, one without is cut off; a last row without a line end is whole otherwise."""
    line = ",".join(f"{value:.18e}" for value in [*a_beat(), 1])
    assert len(read(f"{line}\n{line}").records) == 2
    for n_bytes in (1, 2, 3, 5, 10):
        with contextlib.suppress(BadInputError):
            assert len(read(f"{line}\n{line[:-n_bytes]}").records) == 2
            assert n_bytes == 1, n_bytes  # e+0 for e+00
    with pytest.raises(BadInputError, match="in the middle of row 2"):
        read(f"{line}\n{line[:-8]}")


def test_contents_of_bad_rows_are_bounded():
    """Each bad row's text is cut, and only the first thousand are kept, so a bad file does not fill the memory."""
    good, long = a_line(), a_line(c2="y" * 9000)
    reading = read("\n".join([good, long, *[a_line(c1="x")] * MAX_KEPT_CONTENTS]))
    assert len(reading.rejected) == MAX_KEPT_CONTENTS + 1
    assert len(reading.rejected[0].content) == 4096
    assert reading.rejected[-2].content
    assert reading.rejected[-1].content == ""


def test_a_synthetic_file_says_so():
    """Only the base name decides, not the folder."""
    assert read(a_line(), name="a/synthetic_beats.csv").records[0].synthetic
    assert not read(a_line(), name="synthetic/beats.csv").records[0].synthetic


FIELDS = st.one_of(
    st.floats(0, 1).map(repr),
    st.floats().map(repr),
    st.integers(-2, 3).map(str),
    st.text(alphabet='0123456789.eE+- \t_naifx"\u0661', max_size=8),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 187), FIELDS), min_size=1, max_size=12))
@example([(187, "0.5"), (187, "0.5")])
def test_fast_path_judges_as_the_slow_one(changes):
    """Parsing many rows at once accepts and rejects exactly what parsing each row by itself does, with the same samples."""
    lines = [a_line(seed=seed, **{f"c{column + 1}": text}) for seed, (column, text) in enumerate(changes)]
    good = [a_line(seed=99 + n) for n in range(2 * len(lines) + 1)]  # most rows are: a table with a wrong column is refused whole
    reading = read("".join(line + "\n" for line in [*good, *lines]))
    records = {record.name: record for record in reading.records}
    faults = {rejected.name: rejected.reason for rejected in reading.rejected}
    for number, line in enumerate(lines, start=len(good) + 1):
        name = f"beats.csv#{number}"
        if name in records:
            expected = heartbeat_csv._parse_row(line.encode(), row_name=name)
            np.testing.assert_array_equal(records[name].samples[0], expected[:187].astype(np.float32))
            assert (records[name].label is Label.ABNORMAL) == (expected[187] >= 1)
        else:
            with pytest.raises(BadInputError) as caught:
                heartbeat_csv._parse_row(line.encode(), row_name=name)
            assert faults[name] is caught.value.reason


@settings(deadline=None)
@given(st.binary(max_size=2000))
def test_arbitrary_bytes_raise_nothing_else(data):
    """Whatever the bytes are, the answer is a Read or a BadInputError."""
    for content in (data, a_line().encode() + b"\n" + data):
        with contextlib.suppress(BadInputError):
            assert isinstance(read_heartbeat_csv(content, name="x.csv"), Read)


@pytest.mark.skipif(not REAL.is_dir(), reason="real heartbeat rows are not beside the checkout (shared/data/heartbeats)")
@pytest.mark.parametrize(("file", "label"), [("ptbdb_normal.csv", Label.NORMAL), ("ptbdb_abnormal.csv", Label.ABNORMAL)])
def test_real_rows_equal_numpys_own_reading(file, label):
    """All 60 rows of each public file are read, as numpy.loadtxt reads them."""
    data = (REAL / file).read_bytes()
    reading = read_heartbeat_csv(data, name=file)
    expected = np.loadtxt(data.decode().splitlines(), delimiter=",")
    assert (len(reading.records), reading.rejected) == (60, ())
    np.testing.assert_array_equal(np.concatenate([record.samples for record in reading.records]), expected[:, :187].astype(np.float32))
    assert {record.label for record in reading.records} == {label}
    assert math.isclose(reading.records[0].duration_s, 1.496)
