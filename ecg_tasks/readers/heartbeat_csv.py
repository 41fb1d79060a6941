"""Here: the heartbeat CSV of Kachuee et al. 2018, one beat a row. Not here: cutting beats from longer recordings (``heartbeats``)."""

import csv
import gzip
import io
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.labels import CLASS_ORDER
from ecg_tasks.readers import other_table
from ecg_tasks.readers.base import MAX_CONTENT_CHARS, Acquisition, Lead, OneFile, Reading, Recording, Rejected
from ecg_tasks.readers.beat_layout import MAX_LABEL, VALUE_RANGE, BeatLayout, check_names
from ecg_tasks.readers.file_names import is_csv, is_header, is_label_table, is_signal
from ecg_tasks.readers.table_notation import is_excel_line, notation_of, read_number
from ecg_tasks.readers.text_file import GZIP_MAGIC, first_line, unpack, unpacked_head
from ecg_tasks.signals.record import HEARTBEAT_FS, HEARTBEAT_SAMPLES

MAX_ROWS = 250_000
"""Rows that one file may hold; the largest public file of this kind has 87,554."""
MAX_LINES = 4 * MAX_ROWS
"""Lines that one file may have, blank ones too: each takes some fifty bytes of memory, even where it holds two."""
MAX_KEPT_CONTENTS = 1000
"""The text of so many bad rows of one file is kept with them; of further ones only the fault is."""

_WIDTHS = (HEARTBEAT_SAMPLES, HEARTBEAT_SAMPLES + 1)
_BLOCK_ROWS = 2048
_SMALLEST_BLOCK = 32
_BEGUN = re.compile(rb"(?:,|[eE+-])\s*$")
_NUMBER_BYTES = 40
_LABELS = tuple(range(MAX_LABEL + 1))
_LEAD = "II"
_ACQUISITION = Acquisition(source_format="heartbeat CSV")
_NUMERIC = b"0123456789+-.eE, \t"
_BLANKS = b" \t\r\v\f"
_EXPONENT = re.compile(rb"[eE][-+]?[0-9]+\s*$")


class HeartbeatCsvReader(OneFile):
    """Tables of heartbeats, one a row."""

    name = "heartbeat_csv"
    title = "a heartbeat CSV"

    def knows(self, name: str, head: bytes) -> bool:
        """Tell whether a file is such a table: by its name, or by a first line as wide as a heartbeat.

        A name with the ending of a table is believed, so that a damaged one tells its exact fault.
        """
        if is_header(name) or is_signal(name) or is_label_table(name):
            return False
        return is_csv(name) or _is_beat_line(first_line(unpacked_head(head)))

    def read(self, files: Mapping[str, bytes], name: str) -> Reading:
        """Read a heartbeat CSV: 187 samples a row at 125 Hz, and optionally the label as the 188th column.

        Fields are separated by commas and hold numbers in any notation that C's ``strtod`` takes in decimal; blanks around
        them, blank lines, CRLF, a byte order mark, UTF-16, gzip and a line of column names are all fine. So are semicolons (with decimal
        commas, too), tabs, blanks, quotes and a separator behind the last field, where the whole file has them. Rows are numbered as the
        lines of the file, from 1, so that an editor finds them; a line of column names therefore counts.

        A row is rejected by itself (and the others are read) when it has another width, a field that is no number or not
        finite, a sample outside ``VALUE_RANGE``, 187 equal samples, or a label other than 0 (normal) and 1 to 4 (abnormal: MIT-BIH's
        classes S, V, F and Q; PTB's files have 1 only). The file is refused whole when its columns are no samples and a label
        (`BeatLayout`), when its last row is cut off, or when no row can be read and all have the same fault.

        Parameters
        ----------
        files : the file's name and its bytes
        name : path below the inbox; a base name that starts with ``synthetic`` marks the records as synthetic

        Returns
        -------
        Reading
            One recording a row: lead II, ``relative``, 187 samples; the label is never part of the samples.

        Raises
        ------
        BadInputError
            When nothing in the file can be a heartbeat row (``unreadable``, ``wrong_width``, or the fault of all rows), when its end is
            missing (``incomplete``), or there is too much of it (``too_large``).

        References
        ----------
        Kachuee, Fazeli, Sarrafzadeh, ECG heartbeat classification: a deep transferable representation, 2018, arXiv 1805.00794.
        """
        (data,) = files.values()
        numbers, lines = _numbered_lines(unpack(data, name=name), name=name)
        layout = BeatLayout()
        synthetic = name.rsplit("/", 1)[-1].startswith("synthetic")
        recordings: list[Recording] = []
        rejected: list[Rejected] = []
        for start in range(0, len(lines), _BLOCK_ROWS):
            block = lines[start : start + _BLOCK_ROWS]
            names = [f"{name}#{number}" for number in numbers[start : start + _BLOCK_ROWS]]
            values, usable = _read_block(block, layout)
            if start == 0:
                layout.check(name=name)  # before each row of a wrong table is looked at by itself
            for row in np.flatnonzero(~usable).tolist():
                try:
                    parsed = _parse_row(block[row], row_name=names[row])
                except BadInputError as error:
                    content = block[row][:MAX_CONTENT_CHARS].decode("utf-8", "replace") if len(rejected) < MAX_KEPT_CONTENTS else ""
                    rejected.append(Rejected(name=names[row], reason=error.reason, message=error.message, content=content))
                else:
                    values[row], usable[row] = parsed, True
            samples = values[usable, :HEARTBEAT_SAMPLES].astype(np.float32)
            labels = values[usable, HEARTBEAT_SAMPLES].tolist()
            for beat, row in enumerate(np.flatnonzero(usable).tolist()):
                recordings.append(
                    Recording(
                        name=names[row],
                        leads=(Lead(name=_LEAD, units="relative", fs=HEARTBEAT_FS, samples=samples[beat]),),
                        unit="relative",
                        label=None if math.isnan(labels[beat]) else CLASS_ORDER[labels[beat] > 0],
                        synthetic=synthetic,
                        acquisition=_ACQUISITION,
                    )
                )
        layout.check(name=name)
        if not recordings and len(rejected) > 1 and len({fault.reason for fault in rejected}) == 1:
            raise BadInputError(
                rejected[0].reason, f"{rejected[0].message}. Nothing was read: all {len(rejected):,} rows have such a fault"
            )
        return Reading(recordings=tuple(recordings), rejected=tuple(rejected))

    def deidentified(self, files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
        """Write the rows that are read again, each on its line; column names and rows that are not read become blank lines."""
        ((file, data),) = files.items()
        read = {recording.name for recording in self.read(files, name).recordings}
        numbers, lines = _numbered_lines(unpack(data, name=name), name=name)
        written = [b""] * numbers[-1]
        for number, line in zip(numbers, lines, strict=True):
            if f"{name}#{number}" in read:
                written[number - 1] = line.translate(None, _BLANKS)
        text = b"\n".join([*written, b""])
        return {file: gzip.compress(text, mtime=0) if data.startswith(GZIP_MAGIC) else text}


def _numbered_lines(text: bytes, *, name: str) -> tuple[list[int], list[bytes]]:
    """Return the lines that may hold a beat, in plain notation, each with its number in the file: all but blank ones and column names."""
    n_lines = text.count(b"\n") + text.count(b"\r")
    if n_lines > MAX_LINES:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: the file has {n_lines:,} lines; the limit is {MAX_LINES:,}. Split it")
    has_end = text.endswith((b"\n", b"\r"))
    lines = text.splitlines()
    del text
    numbers = [number for number, line in enumerate(lines, start=1) if line.strip()]
    if is_excel_line(lines[numbers[0] - 1]):
        del numbers[0]
    if len(numbers) > MAX_ROWS + 1:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: the file has {len(numbers):,} rows; the limit is {MAX_ROWS:,}. Split it")
    rows = [lines[number - 1] for number in numbers]
    del lines
    notation = notation_of(rows, widths=(*_WIDTHS, _WIDTHS[1] + 1))
    if not notation.is_plain:
        rows[:] = map(notation.plain, rows)
    if rows and _is_header(rows[0]):
        check_names(rows[0].split(b","), name=name)
        del numbers[0], rows[0]
    if len(numbers) > MAX_ROWS:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: the file has {len(numbers):,} rows; the limit is {MAX_ROWS:,}. Split it")
    if not rows:
        raise BadInputError(Reason.UNREADABLE, f"{name}: there is no row after the column names")
    if not any(_width(row) in _WIDTHS for row in rows):
        raise BadInputError(Reason.WRONG_WIDTH, other_table.describe(rows, name=name))
    if not has_end:
        _check_end(rows, name=name, number=numbers[-1])
    return numbers, rows


def _check_end(rows: Sequence[bytes], *, name: str, number: int) -> None:
    """Refuse a file that ends in the middle of a row, as a half of an upload does."""
    widths = Counter(map(_width, rows[:-1]))
    usual = widths.most_common(1)[0][0] if widths else 0
    others = [row for row in rows[-_SMALLEST_BLOCK:-1] if _width(row) == usual]
    last, end = _width(rows[-1]), rows[-1][-_NUMBER_BYTES:]
    is_cut = last < usual or (last == usual and _BEGUN.search(end) is not None)
    if last == usual and all(_EXPONENT.search(row[-_NUMBER_BYTES:]) for row in others):
        is_cut |= _EXPONENT.search(end) is None
    if is_cut:
        raise BadInputError(
            Reason.INCOMPLETE, f"{name}: the file ends in the middle of row {number}, without a line end. Upload the whole file again"
        )


def _is_header(line: bytes) -> bool:
    """Return whether no field is a number, or the fields count up as a data frame's columns do, with or without a field for its index."""
    if _width(line) not in (*_WIDTHS, _WIDTHS[1] + 1):
        return False
    fields = [field.strip().strip(b'"') for field in line.split(b",")]
    counted = [b"%d" % column for column in range(len(fields) + 1)]
    if any(read_number(first) is not None for first in fields[:1]):
        return fields in (counted[:-1], counted[1:])
    return fields[1:] in (counted[:-2], counted[1:-1]) or all(read_number(field) is None for field in fields)


def _read_block(lines: Sequence[bytes], layout: BeatLayout) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read all rows at once: shape (n, 188), NaN where there is no label column, and which rows are beyond doubt. The layout sees all."""
    values = np.full((len(lines), _WIDTHS[1]), np.nan)
    # a line with any other character cannot be all finite numbers, and one such line would cost its block the fast path
    widths = np.array([0 if line.translate(None, _NUMERIC) else line.count(b",") + 1 for line in lines])
    for width in _WIDTHS:
        rows = np.flatnonzero(widths == width).tolist()
        values[rows, :width] = _parse_lines([lines[row] for row in rows], width=width)
    layout.add(values, widths=widths)
    samples, label = values[:, :HEARTBEAT_SAMPLES], values[:, HEARTBEAT_SAMPLES]
    low, high = samples.min(axis=1), samples.max(axis=1)  # NaN, and so unusable, where a sample is NaN
    usable = (low >= VALUE_RANGE[0]) & (high <= VALUE_RANGE[1]) & (high > low)
    usable &= (widths == _WIDTHS[0]) | ((widths == _WIDTHS[1]) & np.isin(label, _LABELS))
    return values, usable


def _parse_lines(lines: Sequence[bytes], *, width: int) -> NDArray[np.float64]:
    """Return the numbers of lines with ``width`` fields each; NaN in a line that needs a closer look."""
    import pandas as pd  # 0.8 s, and only this function needs it

    if not lines:
        return np.empty((0, width))
    try:
        # QUOTE_NONE: a quoted field is no number here, in either path
        frame = pd.read_csv(
            io.BytesIO(b"\n".join(lines)), header=None, dtype=np.float64, quoting=csv.QUOTE_NONE, engine="c", low_memory=False
        )
        return frame.to_numpy()
    except ValueError:
        if len(lines) <= _SMALLEST_BLOCK:
            return np.full((len(lines), width), np.nan)
        middle = len(lines) // 2
        return np.concatenate([_parse_lines(lines[:middle], width=width), _parse_lines(lines[middle:], width=width)])


def _parse_row(line: bytes, *, row_name: str) -> NDArray[np.float64]:
    """Read one row by itself, shape (188,), NaN for a label that is not there; the error says what is wrong with it."""
    if _width(line) not in _WIDTHS:
        raise BadInputError(
            Reason.WRONG_WIDTH, f"{row_name}: {_width(line)} columns; a row of heartbeats has {_WIDTHS[0]} samples and, optionally, a label"
        )
    fields = line.split(b",")
    values = np.full(_WIDTHS[1], np.nan)
    for column, field in enumerate(fields[:HEARTBEAT_SAMPLES], start=1):
        value = read_number(field)
        if value is None:
            shown = _shown(field) if column > 1 else "the value"  # may be somebody's name or number
            raise BadInputError(Reason.NOT_NUMERIC, f"{row_name}, column {column}: {shown} is not a number")
        if not math.isfinite(value):
            raise BadInputError(Reason.NON_FINITE, f"{row_name}, column {column}: {_shown(field)} is not finite")
        if not VALUE_RANGE[0] <= value <= VALUE_RANGE[1]:
            raise BadInputError(
                Reason.OUT_OF_RANGE,
                f"{row_name}, column {column}: {value:g} is outside {VALUE_RANGE[0]} to {VALUE_RANGE[1]}",
            )
        values[column - 1] = value
    if np.ptp(values[:HEARTBEAT_SAMPLES]) == 0:
        raise BadInputError(Reason.FLAT, f"{row_name}: all {HEARTBEAT_SAMPLES} samples are {values[0]:g}")
    if len(fields) == _WIDTHS[1]:
        label = read_number(fields[-1])
        if label not in _LABELS:
            raise BadInputError(
                Reason.BAD_LABEL,
                f"{row_name}, column {_WIDTHS[1]}: the label is {_shown(fields[-1])}; it must be 0 (normal) or 1 to {MAX_LABEL} (abnormal)",
            )
        values[-1] = label
    return values


def _width(line: bytes) -> int:
    """Count the columns of a line before it is split: a line may be nothing but commas, and long."""
    return line.count(b",") + 1


def _shown(field: bytes) -> str:
    return repr(field[:40].decode("utf-8", "replace"))


def _is_beat_line(line: bytes) -> bool:
    return notation_of([line], widths=_WIDTHS).plain(line).count(b",") + 1 in _WIDTHS
