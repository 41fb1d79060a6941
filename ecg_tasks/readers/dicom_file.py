"""Here: the elements of a DICOM file, strictly and within bounds, in any syntax for waveforms. Not here: their meaning (``dicom``).

An element that is cut off is refused, never taken for a short one; what is deflated is unpacked within a bound; no value is shown, since
it may be a person's. References: DICOM PS3.5, 7 and Annex A; PS3.10, 7.
"""

import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from ecg_tasks.errors import BadInputError, Reason

DICM_AT = 128
MAX_UNPACKED = 160 * 1024 * 1024
"""Bytes of a deflated file once it is unpacked: as many samples of four bytes as can be read, and their descriptions."""
MAX_BESIDE_SAMPLES = 8 * 1024 * 1024
"""Bytes of a file beside its waveforms."""
MAX_ELEMENTS = 500_000
"""Elements of all levels that are looked at; each takes some microseconds."""
MAX_DEPTH = 16
_UNDEFINED = 0xFFFFFFFF
_SYNTAX, _CHARACTERS = 0x00020010, 0x00080005
_ITEM, _END_OF_ITEM, _END_OF_SEQUENCE = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_IMPLICIT, EXPLICIT, _DEFLATED, BIG_ENDIAN = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2"))
LONG_KINDS = frozenset((b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"))
"""Kinds of values whose length has four bytes, behind two that are reserved."""
_WAVEFORM_DATA = (b"\x00\x54\x10\x10", b"\x54\x00\x10\x10")
_UTF8 = b"ISO_IR 192"

_Raw = dict[int, "bytes | list[_Item]"]
_Item = bytes | _Raw
"""An item of known length unread, or the elements of one that ends with a delimiter."""


@dataclass(frozen=True, kw_only=True)
class _Syntax:
    """How elements are written."""

    implicit: bool = False
    little_endian: bool = True

    @property
    def order(self) -> Literal["little", "big"]:
        return "little" if self.little_endian else "big"

    @property
    def sign(self) -> str:
        return "<" if self.little_endian else ">"


class Elements:
    """The elements of one level by their tag, values as bytes."""

    def __init__(self, raw: Mapping[int, bytes | list[_Item]], syntax: _Syntax, encoding: str, name: str) -> None:
        self._raw, self._syntax, self._encoding, self._name = raw, syntax, encoding, name

    def __contains__(self, tag: int) -> bool:
        return tag in self._raw

    @property
    def little_endian(self) -> bool:
        """Whether the lowest byte of a sample comes first."""
        return self._syntax.little_endian

    def content(self, tag: int) -> bytes:
        """Return the bytes of an element; empty where there is none."""
        value = self._raw.get(tag, b"")
        return value if isinstance(value, bytes) else b""

    def text(self, tag: int) -> str:
        """Return the first text of an element; empty where there is none."""
        return self.content(tag).decode(self._encoding, "replace").split("\\")[0].strip(" \0")

    def count(self, tag: int) -> int:
        """Return the whole number in an element of two or four bytes; 0 where there is none."""
        value = self.content(tag)
        return int.from_bytes(value, self._syntax.order) if len(value) in (2, 4) else 0

    def number(self, tag: int) -> float | None:
        """Return the decimal in an element; None where there is none, NaN where there is a text that is no finite number."""
        text = self.text(tag)
        if not text:
            return None
        try:
            found = float(text)
        except ValueError:
            return math.nan
        return found if math.isfinite(found) else math.nan

    def items(self, tag: int) -> list["Elements"]:
        """Return the items of a sequence; none where there is none.

        Raises
        ------
        BadInputError
            ``incomplete`` where an item is cut off, ``unreadable`` where a sequence holds anything else.
        """
        value = self._raw.get(tag, b"")
        walk = _Walk(value if isinstance(value, bytes) else b"", self._syntax, name=self._name)
        found = list(walk.items(depth=0)) if isinstance(value, bytes) else value
        levels = (one if isinstance(one, dict) else _Walk(one, self._syntax, name=self._name).level(depth=0, whole=True) for one in found)
        return [Elements(level, self._syntax, self._encoding, self._name) for level in levels]


class _Walk:
    """A walk over bytes, from element to element."""

    def __init__(self, data: bytes, syntax: _Syntax, *, name: str) -> None:
        self._data, self._syntax, self._name = data, syntax, name
        self._at = self._n_elements = 0
        self._implicit = struct.Struct(f"{syntax.sign}HHL")
        self._explicit = struct.Struct(f"{syntax.sign}HH2sH")
        self._length = struct.Struct(f"{syntax.sign}L")

    def level(self, *, depth: int, whole: bool) -> _Raw:
        """Read the elements from here on: to the end of the bytes where the level is ``whole`` in them, else to the end of its item."""
        found: _Raw = {}
        while self._at < len(self._data):
            tag, length, is_sequence = self._head()
            if tag == _END_OF_ITEM:
                return found
            if length == _UNDEFINED:
                if not is_sequence:
                    raise BadInputError(Reason.UNREADABLE, f"{self._name}: an element that is not a sequence has no length")
                found[tag] = list(self.items(depth=depth + 1))
            else:
                found[tag] = self._take(length)
        if not whole:
            raise BadInputError(Reason.INCOMPLETE, f"{self._name} is cut off within an item; export it again")
        return found

    def items(self, *, depth: int) -> Iterator[_Item]:
        """Yield the items from here to the end of their sequence, or of the bytes."""
        if depth > MAX_DEPTH:
            raise BadInputError(Reason.UNREADABLE, f"{self._name}: sequences are nested more than {MAX_DEPTH} deep")
        while self._at < len(self._data):
            group, element, length = self._implicit.unpack(self._take(8))
            self._count()
            tag = group << 16 | element
            if tag == _END_OF_SEQUENCE:
                return
            if tag != _ITEM:
                raise BadInputError(Reason.UNREADABLE, f"{self._name}: a sequence contains something that is not an item")
            yield self.level(depth=depth, whole=False) if length == _UNDEFINED else self._take(length)
        if depth:
            raise BadInputError(Reason.INCOMPLETE, f"{self._name} is cut off within a sequence; export it again")

    def _head(self) -> tuple[int, int, bool]:
        """Read tag and length of an element, and whether it may be a sequence; what follows is its value."""
        self._count()
        head = self._take(8)
        group, element, kind, length = self._explicit.unpack(head)
        tag = group << 16 | element
        if self._syntax.implicit or tag in {_ITEM, _END_OF_ITEM, _END_OF_SEQUENCE}:
            return tag, self._length.unpack(head[4:])[0], True
        if not (kind.isalpha() and kind.isupper()):
            raise BadInputError(Reason.UNREADABLE, f"{self._name}: an element does not give the kind of its value; export it again")
        if kind in LONG_KINDS:
            (length,) = self._length.unpack(self._take(4))
        return tag, length, kind in {b"SQ", b"UN", b"OB", b"OW"}

    def _take(self, length: int) -> bytes:
        value = self._data[self._at : self._at + length]
        self._at += length
        if len(value) < length:
            message = f"{self._name}: an element has {len(value):,} bytes; its length says {length:,}. Export it again"
            raise BadInputError(Reason.INCOMPLETE, message)
        return value

    def _count(self) -> None:
        self._n_elements += 1
        if self._n_elements > MAX_ELEMENTS:
            raise BadInputError(Reason.TOO_LARGE, f"{self._name}: the limit is {MAX_ELEMENTS:,} elements, and it has more")


def elements(data: bytes, *, name: str) -> Elements:
    """Parse the outermost level of a DICOM file.

    Raises
    ------
    BadInputError
        ``incomplete`` where an element is cut off; ``too_large``; ``unreadable`` for anything that is no DICOM.
    """
    uid, start = _syntax(data, name=name)
    body = data[start:]
    if uid == _DEFLATED:
        body = _inflated(body, name=name)
    elif uid not in {_IMPLICIT, EXPLICIT, BIG_ENDIAN}:
        sentence = f"{name}: its transfer syntax is not one for waveforms; export it with Explicit VR Little Endian"
        raise BadInputError(Reason.UNREADABLE, sentence)
    syntax = _Syntax(implicit=uid == _IMPLICIT, little_endian=uid != BIG_ENDIAN)
    _check_beside(body, syntax, name=name)
    raw = _Walk(body, syntax, name=name).level(depth=0, whole=True)
    characters = raw.get(_CHARACTERS)
    return Elements(raw, syntax, "utf-8" if isinstance(characters, bytes) and _UTF8 in characters else "latin-1", name)


def _syntax(data: bytes, *, name: str) -> tuple[str, int]:
    """Return the transfer syntax of a file, and where its data set begins: behind the elements of group 2, which are always explicit."""
    at, syntax = DICM_AT + 4, ""
    while data[at : at + 2] == b"\x02\0":
        is_long = data[at + 4 : at + 6] in LONG_KINDS
        start = at + (12 if is_long else 8)
        length = int.from_bytes(data[start - 4 : start] if is_long else data[start - 2 : start], "little")
        if start + length > len(data):
            raise BadInputError(Reason.INCOMPLETE, f"{name} is cut off after {len(data):,} bytes, within its file header; export it again")
        if (int.from_bytes(data[at : at + 2], "little") << 16 | int.from_bytes(data[at + 2 : at + 4], "little")) == _SYNTAX:
            syntax = data[start : start + length].decode("latin-1").strip(" \0")
        at = start + length
    if at >= len(data):
        raise BadInputError(Reason.INCOMPLETE, f"{name} is cut off after {len(data):,} bytes, right after its file header; export it again")
    return syntax, at


def _inflated(packed: bytes, *, name: str) -> bytes:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        body = unpacker.decompress(packed, MAX_UNPACKED + 1)
    except zlib.error:
        raise BadInputError(Reason.UNREADABLE, f"{name}: its compressed content is damaged; export it again") from None
    if len(body) > MAX_UNPACKED:
        raise BadInputError(Reason.TOO_LARGE, f"{name} unpacks to more than {MAX_UNPACKED:,} bytes, which is the limit")
    if not unpacker.eof:
        raise BadInputError(Reason.INCOMPLETE, f"{name}: its compressed content ends early, after {len(body):,} bytes; export it again")
    return body


def _check_beside(body: bytes, syntax: _Syntax, *, name: str) -> None:
    """Refuse a file that is large by anything but its samples, before it is parsed."""
    n_samples, at, tag = 0, 0, _WAVEFORM_DATA[not syntax.little_endian]
    if len(body) <= MAX_BESIDE_SAMPLES:
        return
    while (at := body.find(tag, at)) >= 0:
        start = at + (8 if syntax.implicit else 12)
        length = int.from_bytes(body[start - 4 : start], syntax.order)
        inside = length <= len(body) - start
        n_samples += length if inside else 0
        at = start + length if inside else start
    if len(body) - n_samples > MAX_BESIDE_SAMPLES:
        message = f"{name}: {len(body) - n_samples:,} bytes that are not waveforms; the limit is {MAX_BESIDE_SAMPLES:,}"
        raise BadInputError(Reason.TOO_LARGE, message)
