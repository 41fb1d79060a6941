"""Here: a DICOM file with one rhythm and nothing that names anybody, written element by element. Not here: reading it (``dicom``).

Only what is listed here is written, so private elements, comments, findings, and whatever else a file has, are left out. References:
DICOM PS3.15, Annex E (basic profile); PS3.5, 7.1.2 and B.2 (identifiers from a UUID, under 2.25); PS3.3, C.10.9.
"""

import hashlib
import struct
from collections.abc import Collection, Sequence

from ecg_tasks.readers import metadata
from ecg_tasks.readers.base import Patient
from ecg_tasks.readers.blanking import age_and_unit, days_old, kept_names, kept_number, kept_unit
from ecg_tasks.readers.dicom_file import BIG_ENDIAN, DICM_AT, EXPLICIT, LONG_KINDS, Elements

_SOP_CLASS, _MANUFACTURER, _MODEL = 0x00080016, 0x00080070, 0x00081090
_SOURCES, _UNITS, _DATA, _PADDING, _CHANNELS = 0x003A0208, 0x003A0211, 0x54001010, 0x5400100A, 0x003A0200
_VALUE, _SCHEME, _MEANING, _LABEL, _STORED = 0x00080100, 0x00080102, 0x00080104, 0x003A0203, 0x003A021A
_OF_GROUP, _OF_CHANNEL, _FILTERS = (0x003A001A,), (0x003A0210, 0x003A0212, 0x003A0213), (0x003A0220, 0x003A0221, 0x003A0222)
"""Decimals that are kept: rate; sensitivity, its correction, baseline; filters."""
_N_CHANNELS, _N_SAMPLES, _ORIGINALITY, _ALLOCATED, _INTERPRETATION = 0x003A0005, 0x003A0010, 0x003A0004, 0x54001004, 0x54001006
_METHOD = "Only listed attributes are kept"
_IMPLEMENTATION = "ECG records without identifiers"
_LONGEST_AGE = 999
_LONGEST_PADDING = 8
_SEXES = {"female": "F", "male": "M", None: ""}


class _Writer:
    """Elements with their kinds of values, in one order of bytes."""

    def __init__(self, sign: str) -> None:
        self._sign = sign

    def raw(self, tag: int, kind: str, value: bytes) -> bytes:
        """Return an element with a value as it is stored, filled up to an even length."""
        value += (b"\0" if kind in {"UI", "OB", "OW", "SQ"} else b" ") * (len(value) % 2)
        head = struct.pack(f"{self._sign}HH2s", tag >> 16, tag & 0xFFFF, kind.encode())
        is_long = kind.encode() in LONG_KINDS
        return head + struct.pack(f"{self._sign}{'xxL' if is_long else 'H'}", len(value)) + value

    def text(self, tag: int, kind: str, text: str) -> bytes:
        """Return an element of text."""
        return self.raw(tag, kind, text.encode())

    def whole(self, tag: int, kind: str, value: int) -> bytes:
        """Return a whole number of two bytes (US) or four (UL)."""
        return self.raw(tag, kind, struct.pack(f"{self._sign}{'H' if kind == 'US' else 'L'}", value))

    def decimals(self, of: Elements, tags: Sequence[int]) -> dict[int, bytes]:
        """Return the elements of decimals that are there and are numbers."""
        return {tag: self.text(tag, "DS", number) for tag in tags if (number := kept_number(of.text(tag)))}

    def sequence(self, tag: int, *items: dict[int, bytes]) -> bytes:
        """Return a sequence of items, each in the order of its tags."""
        item = struct.Struct(f"{self._sign}HHL")
        joined = (b"".join(one[key] for key in sorted(one)) for one in items)
        return self.raw(tag, "SQ", b"".join(item.pack(0xFFFE, 0xE000, len(one)) + one for one in joined))

    def coded(self, tag: int, value: str, scheme: str, meaning: str) -> dict[int, bytes]:
        """Return a sequence of one code, by its tag."""
        item = {
            _VALUE: self.text(_VALUE, "SH", value),
            _SCHEME: self.text(_SCHEME, "SH", scheme),
            _MEANING: self.text(_MEANING, "LO", meaning),
        }
        return {tag: self.sequence(tag, item)}


def file_without_identifiers(
    found: Elements,
    group: Elements,
    names: Sequence[str],
    units: Sequence[str],
    *,
    schemes: Collection[str],
    patient: Patient,
    year: int | None,
) -> bytes:
    """Write a file of one multiplex group, with sex, age, year and device.

    All identifiers of objects are new, made of the samples' digest: the same samples have the same ones.

    Parameters
    ----------
    found : the outermost level
    group : the multiplex group that is read
    names, units : of its channels, as they are read
    schemes : in which the code of a channel is what names it
    """
    writer = _Writer("<" if found.little_endian else ">")
    data = group.content(_DATA)[: group.count(_N_CHANNELS) * group.count(_N_SAMPLES) * group.count(_ALLOCATED) // 8]
    study, series, instance = (_uid(role, data) for role in ("study", "series", "instance"))
    day = "" if year is None else f"{year:04}0101"
    elements = {
        0x00080005: ("CS", "ISO_IR 192"),
        _SOP_CLASS: ("UI", found.text(_SOP_CLASS)),
        0x00080018: ("UI", instance),
        0x00080020: ("DA", day),
        0x00080023: ("DA", day),
        0x0008002A: ("DT", day and f"{day}000000"),
        0x00080030: ("TM", ""),
        0x00080033: ("TM", day and "000000"),
        0x00080050: ("SH", ""),
        0x00080060: ("CS", "ECG"),
        _MANUFACTURER: ("LO", metadata.line(found.text(_MANUFACTURER)) or ""),
        0x00080090: ("PN", ""),
        _MODEL: ("LO", metadata.line(found.text(_MODEL)) or ""),
        0x00100010: ("PN", ""),
        0x00100020: ("LO", ""),
        0x00100030: ("DA", ""),
        0x00100040: ("CS", _SEXES[patient.sex]),
        0x00101010: ("AS", _age(patient.age)),
        0x00120062: ("CS", "YES"),
        0x00120063: ("LO", _METHOD),
        0x0020000D: ("UI", study),
        0x0020000E: ("UI", series),
        0x00200010: ("SH", ""),
        0x00200011: ("IS", ""),
        0x00200013: ("IS", "1"),
        0x00280303: ("CS", "MODIFIED"),
    }
    body = b"".join(writer.text(tag, kind, text) for tag, (kind, text) in sorted(elements.items()))
    body += writer.sequence(0x00400555) + writer.sequence(0x54000100, _group(writer, group, names, units, data, schemes=schemes))
    return _head(found, instance) + body


def _group(
    writer: _Writer, group: Elements, names: Sequence[str], units: Sequence[str], data: bytes, *, schemes: Collection[str]
) -> dict[int, bytes]:
    kind = "OB" if group.count(_ALLOCATED) == 8 else "OW"  # noqa: PLR2004 - bits of a byte
    channels = zip(group.items(_CHANNELS), names, kept_names(names, units), units, strict=True)
    padding = group.content(_PADDING)
    found = {
        _N_CHANNELS: writer.whole(_N_CHANNELS, "US", len(names)),
        _N_SAMPLES: writer.whole(_N_SAMPLES, "UL", group.count(_N_SAMPLES)),
        _ORIGINALITY: writer.text(_ORIGINALITY, "CS", "DERIVED" if group.text(_ORIGINALITY) == "DERIVED" else "ORIGINAL"),
        _ALLOCATED: writer.whole(_ALLOCATED, "US", group.count(_ALLOCATED)),
        _INTERPRETATION: writer.text(_INTERPRETATION, "CS", group.text(_INTERPRETATION)),
        _CHANNELS: writer.sequence(_CHANNELS, *(_channel(writer, *one, schemes=schemes) for one in channels)),
        _DATA: writer.raw(_DATA, kind, data),
    }
    found |= {_PADDING: writer.raw(_PADDING, kind, padding)} if 0 < len(padding) <= _LONGEST_PADDING else {}
    return found | writer.decimals(group, _OF_GROUP)


def _channel(writer: _Writer, one: Elements, name: str, kept: str, unit: str, *, schemes: Collection[str]) -> dict[int, bytes]:
    found = writer.decimals(one, _OF_CHANNEL) | writer.decimals(
        one, [tag for tag in _FILTERS if metadata.hertz(one.number(tag)) is not None]
    )
    source = next(iter(one.items(_SOURCES)), None)
    if source is not None and source.text(_SCHEME) in schemes and kept == name:
        found |= writer.coded(_SOURCES, source.text(_VALUE)[:20], source.text(_SCHEME), name)
    else:
        found |= {_LABEL: writer.text(_LABEL, "SH", kept)}
    if known := kept_unit(unit):
        found |= writer.coded(_UNITS, known, "UCUM", known)
    if stored := one.count(_STORED):
        found |= {_STORED: writer.whole(_STORED, "US", min(stored, 0xFFFF))}
    return found


def _head(found: Elements, instance: str) -> bytes:
    """Return the preamble and the elements of group 2, which are always in the same order of bytes."""
    writer = _Writer("<")
    described = (
        writer.raw(0x00020001, "OB", b"\0\1")
        + writer.text(0x00020002, "UI", found.text(_SOP_CLASS))
        + writer.text(0x00020003, "UI", instance)
        + writer.text(0x00020010, "UI", EXPLICIT if found.little_endian else BIG_ENDIAN)
        + writer.text(0x00020012, "UI", _uid(_IMPLEMENTATION, b""))
    )
    return bytes(DICM_AT) + b"DICM" + writer.whole(0x00020000, "UL", len(described)) + described


def _age(age: float | None) -> str:
    number, unit = age_and_unit(age)
    if age is None or not number:
        return ""
    if unit == "years" and number.isdigit():
        return f"{int(number):03}Y"
    days = days_old(age)
    return f"{days:03}D" if days <= _LONGEST_AGE else f"{round(12 * float(number)):03}M"


def _uid(role: str, data: bytes) -> str:
    digest = hashlib.sha256(role.encode() + b"\0" + data).digest()
    return f"2.25.{int.from_bytes(digest[:16])}"
