"""Here: CSV with a column for each lead. Not here: heartbeats, one a row (``heartbeat_csv``), or what columns are (``lead_columns``)."""

import gzip
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.base import Acquisition, Companions, Reading
from ecg_tasks.readers.file_names import is_header, is_label_table, is_signal, sidecars_of
from ecg_tasks.readers.lead_columns import LONGEST_TIME_S, MAX_COLUMNS, Columns, columns_of, kept_columns, recording
from ecg_tasks.readers.leads import MAX_VALUES
from ecg_tasks.readers.sidecar import Described, described, with_sidecars
from ecg_tasks.readers.table_notation import is_excel_line
from ecg_tasks.readers.text_file import GZIP_MAGIC, unpack, unpacked_head

_SEPARATORS = (b",", b";", b"\t")
_HEAD_LINES = 8
_LONGEST_HEADER = 16 * 1024
_NUMBER = re.compile(rb"\s*[-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d+)?\s*")
_CLOCK = re.compile(rb"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:[.,]\d+)?)")
_UNIT = re.compile(
    r"[num\N{MICRO SIGN}\N{GREEK SMALL LETTER MU}]?v|m?s|sec|seconds|hh?:mm:ss(?:[.,]mmm)?|m?m:ss(?:[.,]mmm)?|", re.IGNORECASE
)
_LAST_LINES = 32
_DIGITS = b"0123456789+-.eE,"
"""A row of these alone, which can be read, is all numbers."""


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How a table is written, and what stands in it."""

    columns: Columns
    separator: bytes
    n_columns: int
    n_head: int
    """Lines before the samples, blank ones too."""
    clock: bool
    """Whether times are written as ``0:01.250``."""


class LeadCsvReader:
    """Tables of leads, a sample a row, with names in the first line."""

    name = "lead_csv"
    title = "a table of leads (CSV)"

    def knows(self, name: str, head: bytes) -> bool:
        """Tell a table by a first line that names leads, and by numbers below it."""
        if is_header(name) or is_signal(name) or is_label_table(name):
            return False
        return _layout(unpacked_head(head)) is not None

    def companions(self, name: str, data: bytes) -> Companions:
        """Tell which sidecars may be there; none where the table says all by itself."""
        layout = _layout(unpacked_head(data[: 64 * 1024]))
        time = None if layout is None else layout.columns.time
        says_all = (
            layout is not None and time is not None and time[1] is not None and all(unit for _, unit in layout.columns.leads.values())
        )
        return Companions(optional=() if says_all else sidecars_of(name))

    def read(self, files: Mapping[str, bytes], name: str) -> Reading:
        """Read a table: names in the first line, perhaps units in the second, a sample of every lead in each other line.

        The unit of a lead stands in its name (``II_uV``, ``V5 (mV)``) or below it, the rate follows from a column of time whose unit is
        given (``time_s``, ``t [ms]``, or ``0:01.250``); a sidecar says what is missing. Commas, semicolons (with decimal commas, too) and
        tabs are fine, and so are quotes, gzip and UTF-16. An empty cell is a sample that is missing.

        Raises
        ------
        BadInputError
            ``unit_unknown`` with the line to write; ``wrong_width`` and ``not_numeric`` with the line at fault; ``incomplete``.
        """
        text = unpack(next(iter(files.values())), name=name)
        layout = _known_layout(text, name=name)
        values, decimals = _values(_rows(text, layout, name=name), layout, name=name)
        description = described(Described(), files, name=name)
        step_s = 10.0**-decimals
        return Reading(
            recordings=(
                recording(values, layout.columns, description, name=name, acquisition=Acquisition(source_format="CSV"), step_s=step_s),
            )
        )

    def deidentified(self, files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
        """Write the columns of leads and time again, as commas and points; indices and all that stands above the names are left out."""
        data = next(iter(files.values()))
        text = unpack(data, name=name)
        layout = _known_layout(text, name=name)
        called = kept_columns(layout.columns)
        places, rows = sorted(called), _rows(text, layout, name=name)
        time, step_s = layout.columns.time or (0, None)
        start = Decimal(0) if step_s is None else _start(rows[0].split(b",")[time], step_s)
        is_whole = len(places) == layout.n_columns and not start
        written = [",".join(called[place] for place in places).encode()]
        for row in rows:
            if is_whole and not row.translate(None, _DIGITS):
                written.append(row)
                continue
            fields = [_kept_field(field) for field in row.split(b",")]
            if start:
                fields[time] = format(Decimal(fields[time].decode()) - start, "f").encode()
            written.append(b",".join(fields[place] for place in places))
        copy = b"\n".join([*written, b""])
        return with_sidecars(gzip.compress(copy, mtime=0) if data.startswith(GZIP_MAGIC) else copy, files)


def _start(field: bytes, step_s: float) -> Decimal:
    """Return what to take off each time: the first one where it may be that of a calendar, else 0."""
    first = Decimal(_kept_field(field).decode() or "0")
    return first if abs(float(first) * step_s) >= LONGEST_TIME_S else Decimal(0)


def _kept_field(field: bytes) -> bytes:
    """Return a number as it is written, an infinite one too, and nothing for what stands for a missing one."""
    plain = field.strip()
    if _NUMBER.fullmatch(plain):
        return plain
    return plain if plain.lower().lstrip(b"+-") in {b"inf", b"infinity"} else b""


def _known_layout(text: bytes, *, name: str) -> _Layout:
    layout = _layout(text)
    if layout is None:
        raise BadInputError(Reason.UNREADABLE, f"{name}: the first line has a name that is not a lead")
    return layout


def _layout(text: bytes) -> _Layout | None:
    """Return how a table is written, by its first lines; None for any text that is no table of leads."""
    lines = text[: 2 * _LONGEST_HEADER].splitlines()[:_HEAD_LINES]
    filled = [number for number, line in enumerate(lines) if line.strip()]
    if filled and is_excel_line(lines[filled[0]]):
        del filled[0]
    if len(filled) < 2 or len(lines[filled[0]]) > _LONGEST_HEADER:  # noqa: PLR2004 - names, and a row
        return None
    first = lines[filled[0]]
    for separator in _SEPARATORS:
        names = _fields(first, separator)
        if not 0 < len(names) <= MAX_COLUMNS or columns_of(names) is None:
            continue
        second = _fields(lines[filled[1]], separator)
        has_units = len(second) == len(names) and any(second) and all(_UNIT.fullmatch(field) for field in second)
        columns = columns_of(names, units=second if has_units else ())
        rest = filled[2:] if has_units else filled[1:]
        if columns is None or not rest:
            return None
        row = lines[rest[0]].replace(b'"', b"").replace(b"'", b"").split(separator)
        clock = columns.time is not None and columns.time[0] < len(row) and _CLOCK.fullmatch(row[columns.time[0]].strip()) is not None
        if clock and columns.time is not None:
            columns = Columns(leads=columns.leads, time=(columns.time[0], 1.0))
        cells = [row[place].strip() for place in columns.leads if place < len(row)]
        if not any(not cell or _NUMBER.fullmatch(cell) for cell in cells):
            return None
        return _Layout(columns=columns, separator=separator, n_columns=len(names), n_head=rest[0], clock=clock)
    return None


def _rows(text: bytes, layout: _Layout, *, name: str) -> list[bytes]:
    """Return all rows, with commas between their fields and points in their numbers."""
    if text.count(b"\n") + text.count(b"\r") > MAX_VALUES // len(layout.columns.leads) + _HEAD_LINES:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: the table has too many lines; the limit is {MAX_VALUES:,} samples in all leads")
    lines = text.splitlines()
    rows = lines[layout.n_head :]
    while rows and not rows[-1].strip():
        rows.pop()
    _check_rows(rows, layout, ended=text.endswith((b"\n", b"\r")), name=name)
    return _plain(rows, layout)


def _values(plain: Sequence[bytes], layout: _Layout, *, name: str) -> tuple[NDArray[np.float64], int]:
    """Read the numbers of all rows, shape (n_rows, n_columns), and the decimals with which times are written."""
    import pandas as pd  # half a second, and only tables need it

    decimals = 0
    if layout.columns.time is not None:
        place = layout.columns.time[0]
        decimals = max(len(row.split(b",")[place].strip().partition(b".")[2]) for row in plain[:_LAST_LINES])
    try:
        frame = pd.read_csv(
            io.BytesIO(b"\n".join(plain)), header=None, names=range(layout.n_columns), dtype=np.float64, skip_blank_lines=False
        )
        return frame.to_numpy(), decimals
    except ValueError:
        raise _fault(plain, layout, name=name) from None


def _check_rows(rows: Sequence[bytes], layout: _Layout, *, ended: bool, name: str) -> None:
    """Refuse a table with a row of another width, or whose end is cut off."""
    wanted = layout.n_columns - 1
    widths = [row.count(layout.separator) for row in rows]
    wrong = next((number for number, width in enumerate(widths) if width != wanted), None)
    if wrong is not None and not (wrong == len(rows) - 1 and not ended and widths[wrong] < wanted):
        message = f"{name}, line {layout.n_head + wrong + 1}: {widths[wrong] + 1} columns; the first line has {layout.n_columns}"
        raise BadInputError(Reason.WRONG_WIDTH, message)
    decimals = {_decimals(row, layout.separator) for row in rows[-_LAST_LINES:-1]}
    is_cut = not ended and (
        rows[-1].endswith(layout.separator) or (len(decimals) == 1 and _decimals(rows[-1], layout.separator) not in decimals)
    )
    if wrong is not None or is_cut:
        message = (
            f"{name}: the file ends in the middle of line {layout.n_head + len(rows)}, without a line end. Upload the whole file again"
        )
        raise BadInputError(Reason.INCOMPLETE, message)


def _plain(rows: Sequence[bytes], layout: _Layout) -> list[bytes]:
    """Return the rows with commas between their fields and points in their numbers, and times in seconds."""
    text = b"\n".join(rows)
    if b'"' in text or b"'" in text:
        text = text.replace(b'"', b"").replace(b"'", b"")
    if layout.separator != b",":
        text = text.replace(b",", b".").replace(layout.separator, b",")
    plain = text.split(b"\n")
    if not layout.clock or layout.columns.time is None:
        return plain
    place = layout.columns.time[0]
    return [_with_seconds(row, place) for row in plain]


def _with_seconds(row: bytes, place: int) -> bytes:
    fields = row.split(b",")
    found = _CLOCK.fullmatch(fields[place].strip())
    if found:
        seconds = 3600 * int(found[1] or 0) + 60 * int(found[2])
        whole, point, decimals = found[3].partition(b".")
        fields[place] = b"%d%s%s" % (seconds + int(whole), point, decimals)
    return b",".join(fields)


def _fault(rows: Sequence[bytes], layout: _Layout, *, name: str) -> BadInputError:
    """Tell the first field that is no number; what stands there is not shown, since it may be anything."""
    for number, row in enumerate(rows, start=layout.n_head + 1):
        for column, field in enumerate(row.split(b","), start=1):
            if field.strip() and not _NUMBER.fullmatch(field) and field.strip().lower() not in (b"nan", b"inf", b"-inf"):
                return BadInputError(Reason.NOT_NUMERIC, f"{name}, line {number}, column {column}: not a number")
    return BadInputError(Reason.NOT_NUMERIC, f"{name}: a field is not a number")


def _fields(line: bytes, separator: bytes) -> list[str]:
    return [field.decode("utf-8", "replace").strip().strip("\"'").strip() for field in line.split(separator)]


def _decimals(row: bytes, separator: bytes) -> int:
    return len(row.rpartition(separator)[2].strip(b" \r\"'").partition(b"," if separator == b";" else b".")[2])
