"""Text out of plain and gzipped bytes, within bounds."""

import contextlib
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.signals.reading.text_file import unpack


def test_plain_gzipped_and_marked_text_are_the_same():
    """Gzip, several gzip members and a byte order mark all unpack to the text itself."""
    text = b"1,2\r\n3,4\r\n"
    members = gzip.compress(text[:4]) + gzip.compress(text[4:])
    for data in (text, b"\xef\xbb\xbf" + text, gzip.compress(text), members, gzip.compress(b"\xef\xbb\xbf" + text)):
        assert unpack(data, name="a.csv") == text


def test_bomb_is_refused_before_it_unpacks():
    """Ten megabytes of zeros in ten kilobytes of gzip are too large for a bound of one megabyte."""
    bomb = gzip.compress(b"0" * 10_000_000)
    with pytest.raises(BadInputError, match="more than 1000000 bytes") as caught:
        unpack(bomb, name="bomb.csv.gz", max_bytes=1_000_000)
    assert caught.value.reason is Reason.TOO_LARGE


def test_bound_holds_over_all_members():
    """Many small gzip members together are held to the same bound as one."""
    with pytest.raises(BadInputError) as caught:
        unpack(gzip.compress(b"0" * 600) * 2, name="a.csv.gz", max_bytes=1000)
    assert caught.value.reason is Reason.TOO_LARGE
    assert len(unpack(gzip.compress(b"0" * 500) * 2, name="a.csv.gz", max_bytes=1000)) == 1000


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(b"1,2\n" * 1000)[:-20], "ends early"),
        (gzip.compress(b"1,2\n" * 1000)[:15] + b"\xff" * 20, "damaged|ends early"),
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"1,2\0", "NUL"),
        ("1,2".encode("utf-16"), "NUL"),
    ],
)
def test_what_is_no_text_is_unreadable(data, message):
    """A broken gzip stream, nothing at all, and binary data are told apart in words, and are all unreadable."""
    with pytest.raises(BadInputError, match=message) as caught:
        unpack(data, name="a.csv")
    assert caught.value.reason is Reason.UNREADABLE


@given(st.binary(max_size=300), st.booleans())
def test_arbitrary_bytes_raise_nothing_else(data, is_gzip):
    """Whatever the bytes are, the answer is text or a BadInputError."""
    with contextlib.suppress(BadInputError):
        assert unpack(b"\x1f\x8b\x08" + data if is_gzip else data, name="x")
