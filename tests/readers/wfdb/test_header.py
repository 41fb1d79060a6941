"""WFDB headers: what they say, and what they must not."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.wfdb.header import MAX_HEADER_BYTES, Header, SegmentLine, SignalLine, parse_header
from tests.readings import wfdb_files

SIGNALS = b"""# before
100 3 360/720(5) 650000 12:00:00 01/02/1990
100.dat 212x2:3+24 200(1024)/uV 11 1024 995 -22131 0 MLII

100.dat 212x2:3+24 0 11 7 1011 20052 0 V5
other.xyz 16 1000
# age: 69
"""


def test_every_field():
    """A signal line's fields, and the defaults of the specification where one is not given."""
    header = parse_header(SIGNALS, name="100.hea")
    assert (header.fs, header.n_frames, header.segments, header.comments) == (360.0, 650000, (), ("before", "age: 69"))
    first = SignalLine(
        file_name="100.dat",
        fmt="212",
        samples_per_frame=2,
        skew=3,
        byte_offset=24,
        gain=200.0,
        calibrated=True,
        baseline=1024,
        initial=995,
        checksum=-22131,
        units="uV",
        name="MLII",
    )
    assert header.signals[0] == first
    second = header.signals[1]
    assert (second.gain, second.calibrated, second.baseline, second.units) == (200.0, False, 7, "mV")
    third = header.signals[2]
    assert (third.gain, third.baseline, third.checksum, third.samples_per_frame, third.name) == (1000.0, 0, None, 1, "signal 3")


@pytest.mark.parametrize(
    ("behind", "recorded"),
    [
        (" 12:00:00 01/02/1990", "1990-02-01T12:00:00"),
        (" 13:5:0 25/04/1989", "1989-04-25T13:05:00"),
        (" 12:00:00.250 01/02/1990", "1990-02-01T12:00:00"),
        (" 25:00:00 01/02/1990", "1990-02-01"),
        (" 12:00:00", None),
        (" 12:00:00 31/02/1990", None),
        ("", None),
    ],
)
def test_base_time_and_date(behind, recorded):
    """Day first, as the specification has it; a time without a day is none."""
    for line in ("a 1 500 10", "a/1 1 500 10"):
        second = "a.dat 16" if "/" not in line else "s 10"
        found = parse_header(f"{line}{behind}\n{second}\n".encode(), name="a.hea").recorded
        assert (found and found.isoformat()) == recorded


def test_segments():
    """A header with a slash in its record line names segments instead of signals."""
    header = parse_header(b"multi/3 2 360 1500\nlayout 0\ns1 1000\n~ 500\n", name="multi.hea")
    assert header.segments == (
        SegmentLine(name="layout", n_frames=0),
        SegmentLine(name="s1", n_frames=1000),
        SegmentLine(name="~", n_frames=500),
    )
    assert header.signals == ()


@pytest.mark.parametrize(
    "unit", ["\N{MICRO SIGN}V".encode(), "\N{GREEK SMALL LETTER MU}V".encode(), "\N{MICRO SIGN}V".encode("latin-1"), b"uV"]
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_microvolts_never_become_volts(unit, mark):
    """However the sign for micro is written and encoded, the unit is uV."""
    header = parse_header(mark + b"a 1 500 10\na.dat 16 1/" + unit + b" 16 0 0 0 0 II\n", name="a.hea")
    assert header.signals[0].units == "uV"


def test_needed_files_once_each_and_in_order():
    """Each signal file is named once, however many signals it holds."""
    assert wfdb_files(SIGNALS, name="100.hea") == ("100.dat", "other.xyz")


def test_needed_files_of_segments():
    """First the segments' headers, then, once those are at hand, their signal files too; a gap and a layout need none."""
    header = b"multi/3 2 360 1500\nlayout 0\ns1 1000\n~ 500\n"
    segments = {"layout.hea": b"layout 1 360 0\n~ 0 200\n", "s1.hea": b"s1 1 360 1000\ns1.dat 16\n", "stranger.hea": b"x 1\nx.dat 16\n"}
    assert wfdb_files(header, name="multi.hea") == ("layout.hea", "s1.hea")
    assert wfdb_files(header, name="multi.hea", segments=segments) == ("layout.hea", "s1.hea", "s1.dat")


UNSAFE = [
    "../a.dat",
    "/etc/passwd",
    "sub/../a.dat",
    "sub//a.dat",
    "sub/.a.dat",
    "..\\a.dat",
    "C:\\a.dat",
    "C:a.dat",
    "http://x/a.dat",
    "s3://b/a.dat",
    "..",
    ".a.dat",
    "-",
]


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(b"E00015.mat 2 500 5000", id="a name with an extension"),
        pytest.param(b"A.hea 2 500 5000", id="the header's own file name"),
        pytest.param(b"folder/b 2 500 5000", id="a path"),
        pytest.param(b"records500/00000/00002 2 500 5000", id="a path that ends in digits"),
        pytest.param(b"records500/2 2 500 5000", id="a path that ends in the number of signals"),
        pytest.param(b"my own record 2 500 5000", id="blanks"),
        pytest.param("Aufnahme M\N{LATIN SMALL LETTER U WITH DIAERESIS}ller 2 500 5000".encode(), id="letters beyond ASCII"),
    ],
)
def test_what_a_record_is_called_does_not_matter(first):
    """A header is known by its file's name, so a name in its first line that the specification forbids costs nothing."""
    header = parse_header(first + b"\r\nsub/b.dat 16 1000 16 0 0 0 0 I\r\nsub/b.dat 16 1000 16 0 0 0 0 II\r\n", name="x.hea")
    assert (header.fs, header.n_frames, [signal.file_name for signal in header.signals]) == (500.0, 5000, ["b.dat", "b.dat"])
    assert wfdb_files(first + b"\nsub/b.dat 16 1000\nsub/b.dat 16 1000\n", name="x.hea") == ("b.dat",)


def test_file_names_with_blanks():
    """A signal file's name ends before the storage format, so blanks in it are part of it, as they are on the disk."""
    header = b"my rec 2 500 5000\nmy rec.dat 16x1+24 1000 16 0 0 0 0 I\nmy rec 2.dat 212 1000 16 0 0 0 0 II\n"
    assert wfdb_files(header, name="my rec.hea") == ("my rec.dat", "my rec 2.dat")
    assert [(line.file_name, line.fmt) for line in parse_header(header, name="my rec.hea").signals] == [
        ("my rec.dat", "16"),
        ("my rec 2.dat", "212"),
    ]


@pytest.mark.parametrize("file_name", UNSAFE)
def test_unsafe_names_are_refused(file_name):
    """A name that leads out of the folder, to an address or to standard input is unsafe_path in signals, segments and their headers."""
    signal = f"a 1 500 10\n{file_name} 16\n".encode()
    for ask in (
        lambda: wfdb_files(signal, name="a.hea"),
        lambda: parse_header(signal, name="a.hea"),
        lambda: wfdb_files(f"a/1 1 500 10\n{file_name} 10\n".encode(), name="a.hea"),
        lambda: wfdb_files(b"m/1 1 500 10\na 10\n", name="m.hea", segments={"a.hea": signal}),
    ):
        with pytest.raises(BadInputError, match=r"\.hea: it names the file") as caught:
            ask()
        assert caught.value.reason is Reason.UNSAFE_PATH


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (b"", Reason.UNREADABLE, "no record line"),
        (b"# only\n# comments\n", Reason.UNREADABLE, "no record line"),
        (b"garbage", Reason.UNREADABLE, "not WFDB: 'garbage'"),
        (b"a 2 500 10\na.dat 16\n", Reason.UNREADABLE, "says that 2 lines follow; the header has 1"),
        (b"a 1 500 10\na.dat 16\na.dat 16\n", Reason.UNREADABLE, "says that 1 lines follow; the header has 2"),
        (b"a 1 500 10\na.dat\n", Reason.UNREADABLE, "not WFDB: 'a.dat'"),
        (b"a/1 1 500 10\nseg\n", Reason.UNREADABLE, "not WFDB: 'seg'"),
        (b"m/ 1 500 10\ns 16\n", Reason.UNREADABLE, "has a slash and no number of segments"),
        *(
            (b"a 1 500 10\na.dat 16 200 12 0\n".replace(old, new), Reason.UNREADABLE, f"{new.decode().strip()!r} cannot be read")
            for old, words in {b" 500 ": b". -500 1e3 5OO 500Hz", b" 10\n": b"-10 1e3 10.5", b" 16 ": b"16a 16x 16:-1"}.items()
            for new in (old.replace(old.strip(), word) for word in words.split())
        ),
        *((b"a 1 500 10\na.dat 16 %s\n" % gain, Reason.UNREADABLE, "cannot be read") for gain in (b"2OO", b"--1", b"200(1", b"1,5")),
        (b"a 1 500 " + b"9" * 5000 + b"\na.dat 16\n", Reason.UNREADABLE, "not WFDB"),
        (b"a" * 200_000, Reason.UNREADABLE, "not WFDB: 'aaa"),
        (b"a 1 500 10\n" + b"a" * 200_000, Reason.UNSAFE_PATH, "names the file 'aaa"),
        (b"a 1 500 10\na.dat " + b"1" * 5000, Reason.UNREADABLE, "not WFDB: 'a.dat 111"),
        ("a 1 500 10\na.dat 16\n".encode("utf-16"), Reason.UNREADABLE, "is NUL"),
        ("a 1 500 10\n\N{LATIN SMALL LETTER E WITH ACUTE}a.dat 16\n".encode(), Reason.UNSAFE_PATH, "the name of a WFDB file must be ASCII"),
        (b"a 1 500 10\na\x1b.dat 16\n", Reason.UNSAFE_PATH, "names the file"),
        (b"a 1 500 10\nlabels.csv 16\n", Reason.UNREADABLE, "names 'labels.csv' as a signal file"),
        (b"a 1 500 10\nother.HEA 16\n", Reason.UNREADABLE, "names 'other.HEA' as a signal file"),
        (b"a/1025 1 500 1025\n" + b"s 1\n" * 1025, Reason.TOO_LARGE, "1025 segments; the limit is 1,024"),
        (b"#" * (MAX_HEADER_BYTES + 1), Reason.TOO_LARGE, "262,145 bytes"),
        (b"a 600 500 10\n" + b"a.dat 16\n" * 600, Reason.TOO_LARGE, "600 signals; the limit is 512"),
        (b"a/5000 1 500 10\n" + b"".join(b"s%d 1\n" % n for n in range(5000)), Reason.TOO_LARGE, "5000 segments"),
    ],
)
def test_faults(data, reason, words):
    """A header that is none, or that promises what it does not hold, is refused with the line at fault."""
    with pytest.raises(BadInputError, match=r"^dir/a\.hea: ") as caught:
        parse_header(data, name="dir/a.hea")
    assert caught.value.reason is reason
    assert words in caught.value.message


@given(
    st.one_of(
        st.binary(max_size=200), st.text(alphabet="a1 /.x+:()~-#\n\t0e", max_size=80).map(lambda text: b"a 1 500 9\n" + text.encode())
    )
)
def test_arbitrary_bytes_raise_nothing_else(data):
    """Whatever the bytes are, the answer is a Header or a BadInputError, and so is that to the question for files."""
    for ask in (parse_header, wfdb_files):
        try:
            answer = ask(data, name="x.hea")
        except BadInputError:
            continue
        assert isinstance(answer, Header | tuple)


def test_ordinary_recordings_need_neither_wfdb_nor_pandas():
    """The patterns are wfdb's own, taken from the one module that needs nothing else: the package takes half a second and 40 MB."""
    code = (
        "import sys; from ecg_tasks.readers import deidentified; line = 'r.dat 16 1000(0)/mV 16 0 0 0 0 II';"
        "files = {'r.hea': f'r 1 100 1000\\n{line}\\n'.encode(), 'r.dat': bytes(range(250)) * 8};"
        "assert len(deidentified('r.hea', files)) == 2; print(*{'wfdb', 'pandas', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
