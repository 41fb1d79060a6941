"""Which reader takes a file."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import READERS, gather, read, reader_of
from ecg_tasks.readers.labels_csv import misnamed

BEAT = b",".join([b"0.5"] * 188)


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("100.hea", b"", "wfdb"),
        ("a/b/100.HEA", b"\0\xff", "wfdb"),
        ("a/100.dat", b"\0\xff", None),
        ("s0010_re.xyz", b"", None),
        ("labels.csv", b"", "labels"),
        ("a/Labels.csv", b"garbage", "labels"),
        ("mine.csv", b'\xef\xbb\xbfpatient_id, "Label" ,record\n', "labels"),
        ("mine.csv.gz", gzip.compress(b"record,label\n"), "labels"),
        ("beats.csv", BEAT, "heartbeat_csv"),
        ("beats.csv", b"\xff\xd8", "heartbeat_csv"),
        ("beats.csv.gz", b"\x1f\x8bbroken", "heartbeat_csv"),
        ("beats.txt", b"\n" + BEAT, "heartbeat_csv"),
        ("beats", BEAT.rsplit(b",", 1)[0], "heartbeat_csv"),
        ("beats.txt", BEAT.replace(b",", b";").replace(b".", b","), "heartbeat_csv"),
        ("beats.tsv", BEAT.replace(b",", b"\t"), "heartbeat_csv"),
        ("mine.csv", "record,label\n".encode("utf-16"), "labels"),
        ("notes.txt", b"0.5,0.5", None),
        ("photo.jpg", b"\xff\xd8\xff", None),
        ("scan.dcm", b"\0" * 128 + b"DICM", "dicom"),
        ("beats.csv", b"\0" * 128 + b"DICM", "dicom"),
        ("recording.edf", b"0       X X X X", None),
        ("recording", b"0       ".ljust(252) + b"12  ", "edf"),
        ("x.csv", b"\xffBIOSEMI".ljust(252) + b"12  ", "edf"),
        ("x", b"\x93NUMPY\1\0", "numpy"),
        ("x.zip", b"PK\3\4" + bytes(22) + b"\6\0\0\0fs.npy", "numpy"),
        ("x.zip", b"PK\3\4" + bytes(22) + b"\6\0\0\0fs.csv", None),
        ("x.mat", b"MATLAB 5.0 MAT-file, by hand", "matlab"),
        ("x.mat", b"\x1e\0\0\0\x0c\0\0\0\x88\x13\0\0\0\0\0\0\4\0\0\0val\0", "matlab"),
        ("x.mat", bytes(24), None),
        ("x", b"\x89HDF\r\n\x1a\n", "hdf5"),
        ("x", b"PAR1", "lead_parquet"),
        ("x.csv", b"time_s,II_mV\n0,1\n", "lead_csv"),
        ("x.txt", b"'Elapsed time','MLII'\n'hh:mm:ss.mmm','mV'\n'0:00.000',-0.145\n", "lead_csv"),
        ("x.csv", b"I,II,note\n1,2,3\n", "heartbeat_csv"),
        ("x.csv", b"I,II\nwell,ill\n", "heartbeat_csv"),
        ("x.csv", b"I,II\n", "heartbeat_csv"),
        ("", b"", None),
    ],
)
def test_format(name, head, expected):
    """The first bytes decide; a CSV's name is believed where its first line names no leads; a label table is told apart."""
    found = reader_of(name, head)
    told = "labels" if misnamed(name, head) else None if found is None else found.name
    assert told == expected


@given(st.text(), st.binary(max_size=200), st.booleans())
def test_never_raises(name, head, is_gzip):
    """There is an answer for any name and any bytes."""
    assert reader_of(name, b"\x1f\x8b\x08" + head if is_gzip else head) in {None, *READERS}


def test_readers_have_different_names():
    """A reader is known by its name, and told of by its title."""
    assert len({reader.name for reader in READERS}) == len({reader.title for reader in READERS}) == len(READERS)


def test_what_no_reader_knows_is_refused_with_what_it_looks_like():
    """A PDF is told as one."""
    with pytest.raises(BadInputError, match=r"scan\.pdf is in a format that is not supported; it looks like a PDF") as refused:
        read("scan.pdf", {"scan.pdf": b"%PDF-1.7"})
    assert refused.value.reason is Reason.UNKNOWN_FORMAT


def test_a_header_is_gathered_with_all_that_it_names():
    """Signals, headers of segments and their signals, in any case of letters; what nobody names stays where it is."""
    beside = {
        "r.hea": b"r/2 1 360 20\na 10\nb 10\n",
        "a.hea": b"a 1 360 10\na.dat 16\n",
        "b.hea": b"b 1 360 10\nB.DAT 16\n",
        "a.dat": b"a",
        "b.dat": b"b",
        "c.dat": b"c",
    }
    asked = {name: (lambda data=data: data) for name, data in beside.items()}
    assert gather("r.hea", beside["r.hea"], asked) == {name: beside[name] for name in ("r.hea", "a.hea", "b.hea", "a.dat", "b.dat")}
    del asked["b.dat"]
    with pytest.raises(BadInputError, match=r"r\.hea names the file B\.DAT, which is not in the same folder"):
        gather("r.hea", beside["r.hea"], asked)
