"""Here: the many notations of a table of numbers, turned into commas and points. Not here: what the numbers mean (``heartbeat_csv``)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MAX_LINE_BYTES = 64 * 1024
"""Longer lines keep their notation: 189 numbers with all their digits take a twelfth of this."""
_SAMPLE = 64
_MOST = 0.9
"""A notation is that of the file when at least this share of the lines looked at has it."""

_EXCEL_LINE = re.compile(rb"sep=.", re.IGNORECASE)
_COMMA_BESIDE_BLANK = re.compile(rb",\s|\s,")


@dataclass(frozen=True, kw_only=True)
class Notation:
    """How a table of numbers is written."""

    separator: bytes = b","
    """``,``, ``;``, or a blank for runs of tabs and blanks; beside the latter two, commas belong to the numbers."""
    quotes: bool = False
    trailing: bool = False
    """Whether lines end with a separator."""

    @property
    def is_plain(self) -> bool:
        """Whether lines are commas and points already."""
        return self == Notation()

    def plain(self, line: bytes) -> bytes:
        """Return the line with commas between its fields, points in its numbers, no quotes, and nothing behind the last number.

        >>> Notation(separator=b";", trailing=True).plain(b"0,5;1,0;")
        b'0.5,1.0'
        >>> Notation(quotes=True).plain(b'"0,5","1"')
        b'0.5,1'
        """
        if len(line) > MAX_LINE_BYTES:
            return line
        if self.quotes:
            line = _without_quotes(line)
        if self.separator == b";":
            line = line.replace(b",", b".").replace(b";", b",")
        elif self.separator == b" ":
            line = b",".join(line.replace(b",", b".").split())
        return line.rstrip().rstrip(b",") if self.trailing else line


def notation_of(lines: Sequence[bytes], *, widths: Sequence[int]) -> Notation:
    """Find how a table is written: the notation in which most of its lines have one of ``widths`` columns.

    Parameters
    ----------
    lines : all lines that hold something; some dozens are looked at, from the first to the last
    widths : numbers of columns that make sense

    Returns
    -------
    Notation
        The plain one where no other fits.

    Examples
    --------
    >>> notation_of([b"0,25;0,5;1", b"0,5;0,75;0"], widths=[3]).separator
    b';'
    >>> notation_of([b"1,2,3", b"4,5,6"], widths=[3]).is_plain
    True
    """
    step = max(1, len(lines) // _SAMPLE)
    sample = [line for line in lines[::step][: 2 * _SAMPLE] if len(line) <= MAX_LINE_BYTES]
    quotes = _mostly(sample, lambda line: b'"' in line or b"'" in line)
    for separator, fits in ((b";", None), (b" ", _is_blank_separated), (b",", None)):
        candidate = Notation(separator=separator, quotes=quotes)
        plain = [candidate.plain(line) for line in sample if fits is None or fits(line)]
        if len(plain) < _MOST * len(sample) or (separator == b";" and not _mostly(sample, lambda line: b";" in line)):
            continue
        for trailing in (False, True):
            found = Notation(separator=separator, quotes=quotes, trailing=trailing)
            if trailing and not _mostly(plain, lambda line: line.rstrip().endswith(b",")):
                continue
            shown = [found.plain(line) for line in sample]
            if _mostly(shown, lambda line: line.count(b",") + 1 in widths and not line.rstrip().endswith(b",")):
                return found
    return Notation()


def read_number(field: bytes) -> float | None:
    """Read a field, or return None if it is no number; ``1_0``, which Python alone reads as 10, is none.

    >>> read_number(b" 0.5"), read_number(b"1_0"), read_number(b"")
    (0.5, None, None)
    """
    try:
        return None if b"_" in field else float(field)
    except ValueError:
        return None


def is_excel_line(line: bytes) -> bool:
    """Return whether a line is Excel's own about the separator.

    >>> is_excel_line(b"sep=;")
    True
    """
    return _EXCEL_LINE.fullmatch(line.strip()) is not None


def _without_quotes(line: bytes) -> bytes:
    """Return the line without its quotes, and with points for the commas that stood inside them."""
    if line.count(b'"') == 2 * (line.count(b",") + 1):  # each field has its own, so no comma is inside
        return line.replace(b'"', b"")
    parts = line.replace(b"'", b'"').split(b'"')
    parts[1::2] = b'"'.join(parts[1::2]).replace(b",", b".").split(b'"')[: len(parts) // 2]
    return b"".join(parts)


def _is_blank_separated(line: bytes) -> bool:
    return b";" not in line and _COMMA_BESIDE_BLANK.search(line.strip()) is None and len(line.split()) > 1


def _mostly(lines: Sequence[bytes], is_so: Callable[[bytes], bool]) -> bool:
    return bool(lines) and sum(map(is_so, lines)) >= _MOST * len(lines)
