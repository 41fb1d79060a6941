"""Here: the header and the annotations of an EDF or BDF file without identifiers. Not here: reading them (``edf``).

References
----------
Kemp and Olivan, European data format 'plus', Clinical Neurophysiology 114, 2003: the fields, and time-stamped annotations lists.
"""

import re
from collections.abc import Sequence

from ecg_tasks.readers.base import Recording
from ecg_tasks.readers.blanking import birth_of, first_of_year, kept_names, kept_number, kept_unit

FILTER = re.compile(r"\b(HP|LP|N)\s*:\s*(DC|\d{1,5}(?:[.,]\d{1,6})?)", re.IGNORECASE | re.ASCII)
ANNOTATIONS = ("EDF Annotations", "BDF Annotations")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
UNKNOWN_DATE = "01.01.85"
"""The first day of EDF's two-digit years stands where a date was taken out."""
_SIGNAL_FIELDS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
"""Bytes of each: label, transducer, dimension, physical bounds, digital bounds, filters, samples in a data record, reserved."""
_BOUNDS = ("-1", "1", "-32768", "32767")
"""Of annotations, where they mean nothing."""
_KINDS = ("EDF+C", "BDF+C", "24BIT")
_SEXES = {"female": "F", "male": "M", None: "X"}
_TIMED = re.compile(rb"([+-]\d+(?:\.\d*)?(?:\x15\d+(?:\.\d*)?)?)\x14([^\x00]*)\x00")
"""A list of annotations with its onset and duration: texts, each with a mark behind it."""


def blanked_header(data: bytes, n_signals: int, recording: Recording) -> bytes:
    """Return a header without identifiers, as long as the given one.

    Parameters
    ----------
    data : the file, whose numbers are known to be numbers
    recording : what is read of it
    """
    recorded, patient = first_of_year(recording.acquisition.recorded), recording.patient
    born = birth_of(patient.age, recorded)
    day = "X" if recorded is None else f"01-JAN-{recorded.year}"
    birth = "X" if born is None else f"{born.day:02}-{MONTHS[born.month - 1]}-{born.year}"
    device = (recording.acquisition.device or "X").replace(" ", "_")
    kind = next((kind for kind in _KINDS if data[192:236].startswith(kind.encode())), "")
    texts = (
        (f"X {_SEXES[patient.sex]} {birth} X", 80),
        (f"Startdate {day} X X {device}", 80),
        (UNKNOWN_DATE if recorded is None else f"01.01.{recorded.year % 100:02}", 8),
        ("00.00.00", 8),
    )
    head = data[:8] + b"".join(_field(text, size) for text, size in texts) + data[184:192] + _field(kind, 44) + data[236:256]
    return head + _signal_header(data[256 : 256 * (1 + n_signals)], n_signals)


def blanked_annotations(part: bytes) -> bytes:
    r"""Return one data record's annotations with their times and durations, and an X for each text; what cannot be read is left out.

    >>> blanked_annotations(b"+0\x14\x14\0+1.5\x15" + b"2\x14by Erika\x14\0\0\0")
    b'+0\x14\x14\x00+1.5\x152\x14X\x14\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00'
    """
    kept = b"".join(
        onset + b"\x14" + b"".join(b"X\x14" if text else b"\x14" for text in texts.split(b"\x14")[:-1]) + b"\0"
        for onset, texts in _TIMED.findall(part)
    )
    return kept.ljust(len(part), b"\0")


def _signal_header(data: bytes, n_signals: int) -> bytes:
    """Return the fields of the signals: each field of all signals stands together."""
    columns: list[list[str]] = []
    at = 0
    for size in _SIGNAL_FIELDS:
        columns.append([data[at + size * number : at + size * (number + 1)].decode("latin-1").strip() for number in range(n_signals)])
        at += size * n_signals
    labels, transducers, units, *numbers, filters, samples, reserved = columns
    names = kept_names(labels, units)
    bounds = [
        [bound if label in ANNOTATIONS else kept_number(text) for label, text in zip(labels, column, strict=True)]
        for bound, column in zip(_BOUNDS, numbers, strict=True)
    ]
    kept: list[Sequence[str]] = [
        [label if label in ANNOTATIONS else name for label, name in zip(labels, names, strict=True)],
        [""] * len(transducers),
        list(map(kept_unit, units)),
        *bounds,
        [
            " ".join(f"{kind.upper()}:{value}{'' if value.upper() == 'DC' else 'Hz'}" for kind, value in FILTER.findall(text))
            for text in filters
        ],
        samples,
        [""] * len(reserved),
    ]
    return b"".join(_field(text, size) for size, column in zip(_SIGNAL_FIELDS, kept, strict=True) for text in column)


def _field(text: str, size: int) -> bytes:
    return text.encode("latin-1", "replace")[:size].ljust(size)


def blanked_records(data: bytes, sizes: Sequence[int], is_annotation: Sequence[bool]) -> bytes:
    """Return the data records, whose signals have these bytes each, with blanked annotations."""
    if not any(is_annotation):
        return data
    kept = bytearray(data)
    for start in range(0, len(data), sum(sizes)):
        at = start
        for size, blanks in zip(sizes, is_annotation, strict=True):
            if blanks:
                kept[at : at + size] = blanked_annotations(data[at : at + size])
            at += size
    return bytes(kept)
