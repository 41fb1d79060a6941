"""Here: the lines of a WFDB header, and the names at their start. Not here: the numbers behind the names (``header``)."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ecg_tasks.errors import BadInputError, Reason

MAX_FILE_NAME_CHARS = 255
MAX_LINE_CHARS = 1024
"""The specification allows 255; wfdb's patterns need time with the square of a line's length."""
_FORMAT = r"(?:8|16|24|32|61|80|160|212|310|311|508|516|524)(?:x\d+)?(?::\d+)?(?:\+\d+)?"
_SIGNAL_FORMAT = re.compile(_FORMAT)
_SIGNAL = re.compile(rf"(?P<name>\S+(?:[ \t]+\S+){{0,8}}?)[ \t]+(?P<rest>{_FORMAT}(?:[ \t].*)?)")
"""A signal line whose file name may hold blanks: the name ends before the first word that is a storage format."""


@dataclass(frozen=True, kw_only=True)
class RecordLine:
    """The first line of a header, without the record's name: that is the header's own file name, whatever the line says."""

    n_segments: str
    """Digits behind the name's slash; empty for a header of signals."""
    rest: str
    fault: str = ""
    """What is wrong with the name."""


@lru_cache(maxsize=8)
def content_lines(text: str) -> tuple[str, ...]:
    """Return the record line and the signal or segment lines, separated from comments in wfdb's own way."""
    return tuple(line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#"))


def record_line(lines: Sequence[str]) -> RecordLine:
    """Read the record line's name, given all content lines.

    Programs write names there that the specification does not allow: with an extension (``E00015.mat``), a path
    (``median_beats/00001``), or blanks. A slash means segments where a number follows it; it is part of a path where the header has as
    many signal lines as the next word says.

    >>> record_line(["E00015.mat 1 500 5000", "E00015.mat 16"]).rest
    '1 500 5000'
    >>> record_line(["m/2 3 360 1500", "s1 1000", "s2 500"]).n_segments
    '2'
    >>> record_line(["records500/1 1 500 5000", "1.dat 16 1000"]).n_segments
    ''
    """
    name, *words = lines[0].split()
    while words and not words[0][:1].isdigit() and any(word.isdecimal() for word in words[1:]):
        name, *words = words
    rest = " ".join(words)
    if "/" not in name:
        return RecordLine(n_segments="", rest=rest)
    last = name.rpartition("/")[2]
    if not last:
        return RecordLine(n_segments="", rest=rest, fault="has a slash and no number of segments after it")
    signals = lines[1:]
    is_path = (
        bool(words)
        and words[0] == str(len(signals))
        and all(_is_signal(line) for line in signals)
        and (last != str(len(signals)) or any(len(line.split()) > 2 for line in signals))  # noqa: PLR2004 - a segment's name and length
    )
    return RecordLine(n_segments="" if is_path or not last.isdecimal() else last, rest=rest)


@lru_cache(maxsize=64)
def signal_line(line: str) -> tuple[str, str]:
    """Split a signal line into the file's name, as it is written, and the rest.

    >>> signal_line("100.dat 212 200"), signal_line("my record.dat 16 1000/mV")
    (('100.dat', '212 200'), ('my record.dat', '16 1000/mV'))
    """
    name, *more = line.split(maxsplit=1)
    rest = more[0] if more else ""
    if "." in name or len(line) > MAX_LINE_CHARS or _SIGNAL_FORMAT.fullmatch(rest.split()[0] if rest else ""):
        return name, rest
    found = _SIGNAL.fullmatch(line)
    return (found["name"], found["rest"]) if found else (name, rest)


@lru_cache(maxsize=256)
def own_name(word: str, *, name: str) -> str:
    """Return the name of a file beside the header that a header's word means.

    A plain relative path is written by programs that kept the folder they read from; the file is looked for beside the header.

    >>> own_name("median_beats/00001.dat", name="00001.hea")
    '00001.dat'

    Raises
    ------
    BadInputError
        ``unsafe_path`` for a name that leads out of the folder, to an address, or to no file.
    """
    # a leading dot covers "..", a colon covers drives and addresses, and "-" is standard input to WFDB
    unsafe = re.search(r"[\\:]", word) or any(not part or part.startswith(".") or part == "-" for part in word.split("/"))
    if unsafe or not word.isprintable() or len(word) > MAX_FILE_NAME_CHARS:
        raise BadInputError(Reason.UNSAFE_PATH, f"{name}: it names the file {word[:200]!r}; only files in its own folder are read")
    return word.rpartition("/")[2]


def matching_name(wanted: str, names: Collection[str]) -> str | None:
    """Return the name that a header means: the very one, or else the only one that differs in upper and lower case alone.

    >>> matching_name("U100.dat", ["U100.DAT", "u100.hea"]), matching_name("a.dat", ["A.dat", "a.DAT"])
    ('U100.DAT', None)
    """
    if wanted in names:
        return wanted
    folded = wanted.casefold()
    alike = [name for name in names if name.casefold() == folded]
    return alike[0] if len(alike) == 1 else None


def _is_signal(line: str) -> bool:
    words = signal_line(line)[1].split()
    return bool(words) and _SIGNAL_FORMAT.fullmatch(words[0]) is not None
