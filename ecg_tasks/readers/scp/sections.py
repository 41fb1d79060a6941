"""Here: the sections of an SCP-ECG file, held against their lengths and checksums. Not here: what stands in them (``record``).

References
----------
EN 1064:2020 (ISO 11073-91064), Standard communication protocol: computer-assisted electrocardiography.
"""

import binascii
import struct
from dataclasses import dataclass

from ecg_tasks.errors import BadInputError, Reason

MAX_SCP_BYTES = 2 * 1024 * 1024
"""Lengths of a lead are numbers of 16 bits: twelve of them take 0.8 MB at most."""

_MARK = b"SCPECG"
_HEAD = struct.Struct("<HI")
_SECTION = struct.Struct("<HHIBB6s")
_POINTER = struct.Struct("<HII")
_CHECKED = range(12)
"""The standard's sections; those above are a manufacturer's own, and need not have a checksum."""
_LAST_TAG = 255


@dataclass(frozen=True, kw_only=True)
class Sections:
    """What stands in each section behind its head, by number, and the revision of the standard, such as 2.0."""

    contents: dict[int, bytes]
    revision: float


def begins_as_scp(head: bytes) -> bool:
    """Tell whether a file begins with section 0: its mark stands there, or it points to itself at byte 7."""
    first_pointer = head[_HEAD.size + _SECTION.size :][: _POINTER.size]
    points_to_itself = len(first_pointer) == _POINTER.size and _POINTER.unpack(first_pointer)[::2] == (0, _HEAD.size + 1)
    return head[8:10] == b"\0\0" and (head[16:22] == _MARK or points_to_itself)


def read_sections(data: bytes, *, name: str) -> Sections:
    """Read all sections that the standard has.

    Raises
    ------
    BadInputError
        ``checksum_mismatch`` of the file or a section; ``incomplete`` with both lengths; ``unreadable``; ``too_large``.
    """
    if len(data) > MAX_SCP_BYTES:
        raise BadInputError(
            Reason.TOO_LARGE, f"{name}: the file has {len(data):,} bytes; the limit of an SCP-ECG file is {MAX_SCP_BYTES:,}"
        )
    data = _whole_file(data, name=name)
    length = _SECTION.unpack_from(data, _HEAD.size)[2]
    if not _SECTION.size <= length <= len(data) - _HEAD.size:
        raise BadInputError(Reason.UNREADABLE, f"{name}: section 0 says that it has {length:,} bytes, in a file of {len(data):,}")
    end = _HEAD.size + length
    found: dict[int, bytes] = {}
    for at in range(_HEAD.size + _SECTION.size, end - _POINTER.size + 1, _POINTER.size):
        number, n_bytes, index = _POINTER.unpack_from(data, at)
        if n_bytes and number in _CHECKED:
            if number in found:
                raise BadInputError(Reason.UNREADABLE, f"{name}: section 0 names section {number} twice")
            section = data[index - 1 : index - 1 + n_bytes] if index else b""
            found[number] = _content(section, number, n_bytes, name=name)
    return Sections(contents=found, revision=data[_HEAD.size + 9] / 10)


def read_tags(section: bytes, *, name: str) -> dict[int, bytes]:
    """Read the values of section 1 by their tags, of two with one tag the first.

    Raises
    ------
    BadInputError
        ``incomplete`` with both lengths where a value is cut off.
    """
    found: dict[int, bytes] = {}
    at = 0
    while at + 3 <= len(section) and section[at] != _LAST_TAG:
        size = int.from_bytes(section[at + 1 : at + 3], "little")
        value = section[at + 3 : at + 3 + size]
        if len(value) < size:
            raise BadInputError(Reason.INCOMPLETE, f"{name}: tag {section[at]} of section 1 has {len(value):,} of its {size:,} bytes")
        found.setdefault(section[at], value)
        at += 3 + size
    return found


def _whole_file(data: bytes, *, name: str) -> bytes:
    """Return as many bytes as the file says it has, held against its checksum."""
    if len(data) < _HEAD.size + _SECTION.size:
        raise BadInputError(
            Reason.INCOMPLETE,
            f"{name}: the file has {len(data):,} bytes, fewer than the {_HEAD.size + _SECTION.size} of the headers. Upload it again",
        )
    checksum, size = _HEAD.unpack_from(data)
    if size > len(data):
        raise BadInputError(Reason.INCOMPLETE, f"{name}: the file has {len(data):,} bytes; it says that it has {size:,}. Export it again")
    if size < _HEAD.size + _SECTION.size:
        raise BadInputError(Reason.UNREADABLE, f"{name}: it says that it has {size:,} bytes, too few for a section")
    if binascii.crc_hqx(data[2:size], 0xFFFF) != checksum:
        raise BadInputError(Reason.CHECKSUM_MISMATCH, f"{name}: its bytes do not match its checksum; export it again")
    return data[:size]


def _content(section: bytes, number: int, n_bytes: int, *, name: str) -> bytes:
    """Return what stands in a section behind its head."""
    if len(section) < n_bytes or n_bytes < _SECTION.size:
        raise BadInputError(Reason.INCOMPLETE, f"{name}: section {number} has {len(section):,} of its {n_bytes:,} bytes")
    checksum, own_number, own_length = _SECTION.unpack_from(section)[:3]
    if (own_number, own_length) != (number, n_bytes):
        raise BadInputError(Reason.UNREADABLE, f"{name}: section {number} is not where section 0 says")
    if binascii.crc_hqx(section[2:], 0xFFFF) != checksum:
        raise BadInputError(Reason.CHECKSUM_MISMATCH, f"{name}: section {number} does not match its checksum; export it again")
    return section[_SECTION.size :]
