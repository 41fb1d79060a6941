"""Here: an SCP-ECG file written without identifiers: its rhythm, and of section 1 the tags that name nobody. Not here: reading it.

References
----------
EN 1064:2020 (ISO 11073-91064), sections 0, 1, 2, 3 and 6.
"""

import binascii
import struct
from collections.abc import Mapping

from ecg_tasks.readers.base import Patient
from ecg_tasks.readers.blanking import age_and_unit, days_old, first_of_year
from ecg_tasks.readers.scp.description import day_of, device_without_serial_number

_LAST_SECTION = 11
_HEAD_BYTES, _SECTION_BYTES, _POINTER_BYTES = 6, 16, 10
_SEXES = {"male": 1, "female": 2, None: 0}
_UNITS = {"years": 1, "days": 4}
_FILTERS = {27: 2, 28: 2, 29: 1}
"""Tags of filters, and how many bytes of each are kept."""
_END = b"\xff\0\0"


def tags_without_identifiers(tags: Mapping[int, bytes], patient: Patient) -> bytes:
    """Return section 1 with sex, age, device, filters and the year; no id stands in the tag that must be there for it.

    Parameters
    ----------
    tags : as the file has them
    patient : as they say
    """
    recorded = first_of_year(day_of(tags.get(25, b"")))
    kept = {2: b"\0", 14: device_without_serial_number(tags.get(14, b"")), 25: bytes(4), 26: bytes(3)}
    age, unit = age_and_unit(patient.age)
    if age and patient.age is not None:
        number, unit = (int(age), unit) if age.isdigit() else (days_old(patient.age), "days")
        kept[4] = struct.pack("<HB", number, _UNITS[unit])
    if patient.sex is not None:
        kept[8] = bytes([_SEXES[patient.sex]])
    if recorded is not None:
        kept[25] = struct.pack("<HBB", recorded.year, recorded.month, recorded.day)
    kept |= {tag: tags[tag][:size] for tag, size in _FILTERS.items() if tag in tags}
    return b"".join(struct.pack("<BH", tag, len(kept[tag])) + kept[tag] for tag in sorted(kept)) + _END


def file_of(sections: Mapping[int, bytes], *, revision: int) -> bytes:
    """Return a file of these sections, by number, with its pointers and checksums.

    Parameters
    ----------
    sections : what stands behind each section's head
    revision : of the standard, times ten
    """
    made = {number: _section(number, content, revision) for number, content in sections.items()}
    size_of_first = _SECTION_BYTES + _POINTER_BYTES * (_LAST_SECTION + 1)
    at = 1 + _HEAD_BYTES
    pointers = struct.pack("<HII", 0, size_of_first, at)
    at += size_of_first
    for number in range(1, _LAST_SECTION + 1):
        size = len(made.get(number, b""))
        pointers += struct.pack("<HII", number, size, at if size else 0)
        at += size
    whole = _section(0, pointers, revision) + b"".join(made[number] for number in sorted(made))
    rest = struct.pack("<I", _HEAD_BYTES + len(whole)) + whole
    return struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest


def _section(number: int, content: bytes, revision: int) -> bytes:
    content += bytes(len(content) % 2)
    named = b"SCPECG" if number == 0 else bytes(6)
    rest = struct.pack("<HIBB6s", number, _SECTION_BYTES + len(content), revision, revision, named) + content
    return struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest
