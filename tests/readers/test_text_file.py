"""Text out of plain and gzipped bytes, within bounds."""

import contextlib
import gzip
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.text_file import unpack


def test_plain_gzipped_and_marked_text_are_the_same():
    """Gzip, several gzip members, a byte order mark and every marked Unicode unpack to the text itself."""
    text = b"1,2\r\n3,4\r\n"
    members = gzip.compress(text[:4]) + gzip.compress(text[4:])
    others = [text.decode().encode(encoding) for encoding in ("utf-16", "utf-32")] + [b"\xfe\xff" + text.decode().encode("utf-16-be")]
    for data in (
        *others,
        gzip.compress(others[0]),
        text,
        b"\xef\xbb\xbf" + text,
        gzip.compress(text),
        members,
        gzip.compress(b"\xef\xbb\xbf" + text),
    ):
        assert unpack(data, name="a.csv") == text


def test_bomb_is_refused_before_it_unpacks():
    """Ten megabytes of zeros in ten kilobytes of gzip are too large for a bound of one megabyte."""
    bomb = gzip.compress(b"0" * 10_000_000)
    with pytest.raises(BadInputError, match="more than 1,000,000 bytes") as caught:
        unpack(bomb, name="bomb.csv.gz", max_bytes=1_000_000)
    assert caught.value.reason is Reason.TOO_LARGE


def test_bound_holds_over_all_members():
    """Many small gzip members together are held to the same bound as one."""
    with pytest.raises(BadInputError) as caught:
        unpack(gzip.compress(b"0" * 600) * 2, name="a.csv.gz", max_bytes=1000)
    assert caught.value.reason is Reason.TOO_LARGE
    assert len(unpack(gzip.compress(b"0" * 500) * 2, name="a.csv.gz", max_bytes=1000)) == 1000


def test_many_members_take_a_time_that_grows_with_their_number():
    """Four times as many gzip members take four times as long, and not sixteen times; beyond a bound they are refused."""
    member = gzip.compress(b"1,")
    took = dict.fromkeys((10_000, 40_000), math.inf)
    for n_members in (10_000, 40_000) * 3:  # the quickest of three, side by side: other work on the machine cannot turn it around
        data = member * n_members
        start = time.process_time()
        assert unpack(data, name="a.csv.gz") == b"1," * n_members
        took[n_members] = min(took[n_members], time.process_time() - start)
    assert took[40_000] < 10 * took[10_000]
    with pytest.raises(BadInputError, match="more than 100,000 gzip members; compress the text as one") as caught:
        unpack(member * 100_001, name="a.csv.gz")
    assert caught.value.reason is Reason.TOO_LARGE


def test_members_of_any_size_are_read_to_the_byte():
    """Members that are smaller and larger than the pieces in which they are unpacked, with zeros behind the last one."""
    parts = [np.random.default_rng(n).integers(1, 256, size=n, dtype=np.uint8).tobytes() for n in (1, 200, 300, 5_000, 3_000_000, 7)]
    assert unpack(b"".join(map(gzip.compress, parts)) + bytes(512), name="a.csv.gz") == b"".join(parts)


def test_text_that_grows_as_utf8_is_bounded():
    """A file in UTF-16 whose UTF-8 is longer is held to the bound, too."""
    with pytest.raises(BadInputError, match="more than 1,000 bytes") as caught:
        unpack(("\N{CJK UNIFIED IDEOGRAPH-5FC3}" * 400).encode("utf-16"), name="a.csv", max_bytes=1000)
    assert caught.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(b"1,2\n" * 1000)[:-20], "ends early"),
        (gzip.compress(b"1,2\n" * 1000)[:15] + b"\xff" * 20, "damaged|ends early"),
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"1,2\0", "NUL"),
        ("1,2,3,4".encode("utf-16-le"), "as in UTF-16 without its byte order mark"),
        ("1,2".encode("utf-16")[:-1], "marked as UTF-16-LE but is not"),
        (b"PK\3\4\x14\0\6\0\x08\0\0\0!\0[Content_Types].xml", "this is an Excel or Office file; save the table as CSV"),
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
