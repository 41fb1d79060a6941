"""Here: which reader a file is for. Not here: whether that reader will like it."""

from enum import StrEnum

from ecg_tasks.readers.table_notation import notation_of
from ecg_tasks.readers.text_file import unpacked_head
from ecg_tasks.signals.record import HEARTBEAT_SAMPLES


class Format(StrEnum):
    """What a file in the inbox can be."""

    HEARTBEAT_CSV = "heartbeat_csv"
    WFDB_HEADER = "wfdb_header"
    WFDB_SIGNAL = "wfdb_signal"
    LABELS_CSV = "labels_csv"


_SIGNAL_SUFFIXES = (".dat", ".xyz", ".mat")
_CSV_SUFFIXES = (".csv", ".csv.gz")
_HEAD_BYTES = 64 * 1024


def detect(name: str, head: bytes) -> Format | None:
    """Tell a file's format from its name, and from its first bytes where the name says nothing.

    A known extension is believed, so that a damaged file comes back from its reader with the exact fault. Signal files
    may have any name; those not called ``.dat``, ``.xyz`` or ``.mat`` are known only through the header that names them.

    Parameters
    ----------
    name : path below the inbox
    head : the first bytes, 64 KiB are plenty

    Returns
    -------
    Format, or None where no reader takes the file (``unknown_format``)

    Examples
    --------
    >>> detect("a/100.hea", b"")
    <Format.WFDB_HEADER: 'wfdb_header'>
    >>> detect("labels.csv", b"record,label")
    <Format.LABELS_CSV: 'labels_csv'>
    >>> detect("photo.jpg", b"JFIF") is None
    True
    """
    base = name.rsplit("/", 1)[-1].casefold()
    if base.endswith(".hea"):
        return Format.WFDB_HEADER
    if base.endswith(_SIGNAL_SUFFIXES):
        return Format.WFDB_SIGNAL
    text = unpacked_head(head[:_HEAD_BYTES])
    if base in {"labels.csv", "labels.csv.gz"}:
        return Format.LABELS_CSV
    if base.endswith(_CSV_SUFFIXES):
        return Format.LABELS_CSV if _is_labels_line(_first_line(text)) else Format.HEARTBEAT_CSV
    return Format.HEARTBEAT_CSV if _is_beat_line(_first_line(text)) else None


def _first_line(text: bytes) -> bytes:
    return next((line for line in text.splitlines() if line.strip()), b"")


def _is_labels_line(line: bytes) -> bool:
    columns = {column.strip().strip(b'"').lower() for column in line.split(b",")}
    return {b"record", b"label"} <= columns


def _is_beat_line(line: bytes) -> bool:
    widths = (HEARTBEAT_SAMPLES, HEARTBEAT_SAMPLES + 1)
    return notation_of([line], widths=widths).plain(line).count(b",") + 1 in widths
