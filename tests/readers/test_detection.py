"""Which reader takes a file."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_tasks.readers import Format, detect

BEAT = b",".join([b"0.5"] * 188)


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        ("100.hea", b"", Format.WFDB_HEADER),
        ("a/b/100.HEA", b"\0\xff", Format.WFDB_HEADER),
        ("a/100.dat", b"\0\xff", Format.WFDB_SIGNAL),
        ("s0010_re.xyz", b"", Format.WFDB_SIGNAL),
        ("labels.csv", b"", Format.LABELS_CSV),
        ("a/Labels.csv", b"garbage", Format.LABELS_CSV),
        ("mine.csv", b'\xef\xbb\xbfpatient_id, "Label" ,record\n', Format.LABELS_CSV),
        ("mine.csv.gz", gzip.compress(b"record,label\n"), Format.LABELS_CSV),
        ("beats.csv", BEAT, Format.HEARTBEAT_CSV),
        ("beats.csv", b"\xff\xd8", Format.HEARTBEAT_CSV),
        ("beats.csv.gz", b"\x1f\x8bbroken", Format.HEARTBEAT_CSV),
        ("beats.txt", b"\n" + BEAT, Format.HEARTBEAT_CSV),
        ("beats", BEAT.rsplit(b",", 1)[0], Format.HEARTBEAT_CSV),
        ("beats.txt", BEAT.replace(b",", b";").replace(b".", b","), Format.HEARTBEAT_CSV),
        ("beats.tsv", BEAT.replace(b",", b"\t"), Format.HEARTBEAT_CSV),
        ("mine.csv", "record,label\n".encode("utf-16"), Format.LABELS_CSV),
        ("notes.txt", b"0.5,0.5", None),
        ("photo.jpg", b"\xff\xd8\xff", None),
        ("scan.dcm", b"\0" * 128 + b"DICM", None),
        ("recording.edf", b"0       X X X X", None),
        ("", b"", None),
    ],
)
def test_format(name, head, expected):
    """A known extension decides; without one the number of columns does; everything else is unknown."""
    assert detect(name, head) is expected


@given(st.text(), st.binary(max_size=200), st.booleans())
def test_never_raises(name, head, is_gzip):
    """Detection has an answer for any name and any bytes."""
    assert detect(name, b"\x1f\x8b\x08" + head if is_gzip else head) in {None, *Format}
