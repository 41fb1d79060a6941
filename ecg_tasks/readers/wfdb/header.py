"""Here: what a WFDB header says, checked before anything it says is acted on. Not here: reading the signals it speaks of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import NamedTuple

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import metadata
from ecg_tasks.readers.file_names import HEADER_SUFFIX, is_csv, is_header
from ecg_tasks.readers.leads import FS_RANGE, distinct
from ecg_tasks.readers.wfdb.compressed import DIFFERENCES
from ecg_tasks.readers.wfdb.lines import MAX_LINE_CHARS, content_lines, own_name, record_line, signal_line

MAX_HEADER_BYTES = 256 * 1024
"""``MAX_SIGNALS`` lines of the specification's length are half of it; the headers of ``MAX_SEGMENTS`` segments are held at once."""
MAX_SIGNALS = 512
MAX_SEGMENTS = 1024
"""A segment takes some 4 ms to read, however short it is."""
DEFAULT_FS = 250.0
"""Hz; the WFDB specification's own default, for a header that gives no sampling rate (header(5))."""
DEFAULT_GAIN = 200.0
"""Steps a unit, which the specification lets a program assume where the gain is 0 or missing; such a signal is uncalibrated."""

SAMPLES_IN_BYTES = MappingProxyType(
    {
        DIFFERENCES: (1, 1),
        "16": (1, 2),
        "24": (1, 3),
        "32": (1, 4),
        "61": (1, 2),
        "80": (1, 1),
        "160": (1, 2),
        "212": (2, 3),
        "310": (3, 4),
        "311": (3, 4),
    }
)
"""So many samples stand in so many bytes; a FLAC file (508, 516, 524) says itself how many it holds."""
NO_FILE = "~"
"""The name WFDB gives to a gap, and to the signals of a layout header: there is no file."""

# wfdb's patterns take what they can of a word and pass the rest over: a rate of -100 would be the default of 250, 1e3 would be 1
_NUMBER = r"(\d+\.?\d*|\.\d+)"
_WORDS: Mapping[str, Mapping[int, re.Pattern[str]]] = {
    "record": {2: re.compile(rf"{_NUMBER}(/.*)?"), 3: re.compile(r"\d+")},
    "signal": {
        1: re.compile(r"\d+(x\d+)?(:\d+)?(\+\d+)?"),
        2: re.compile(rf"-?{_NUMBER}(e[+-]?\d+)?(\(-?\d+\))?(/.*)?"),
    },
    "segment": {},
}
"""What the signals' scale depends on: patterns of words, by the kind of line and their place in it."""
_TIME = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.\d*)?", re.ASCII)
_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})", re.ASCII)
"""Day, month and year (header(5))."""
_MICRO = str.maketrans({"\N{MICRO SIGN}": "u", "\N{GREEK SMALL LETTER MU}": "u"})


class SignalLine(NamedTuple):
    """One signal of a header; a tuple, for a header has a dozen, and a dataclass takes four times as long to make."""

    file_name: str
    fmt: str
    samples_per_frame: int
    skew: int
    """Frames by which this signal lags in its file."""
    byte_offset: int
    gain: float
    """Steps of a stored sample in one unit."""
    calibrated: bool
    """Whether the header gives a gain: 0 or none means that the amplitude is not known (header(5))."""
    baseline: int
    """The stored sample that means 0."""
    initial: int
    """The first sample, from which the differences of format 8 count; where none is given, the ADC's zero (header(5))."""
    checksum: int | None
    """Sum of the samples modulo 65,536; None where it is not given, or is 0, which programs write that do not reckon it."""
    units: str
    name: str


@dataclass(frozen=True, kw_only=True)
class SegmentLine:
    """One segment of a multi-segment header."""

    name: str
    n_frames: int


@dataclass(frozen=True, kw_only=True)
class Header:
    """A WFDB header; either ``signals`` or ``segments`` is empty."""

    fs: float
    """Frames a second, in Hz."""
    n_frames: int | None
    n_signals: int
    """As the record line says; of a header of segments, those of its segments."""
    signals: tuple[SignalLine, ...]
    segments: tuple[SegmentLine, ...]
    comments: tuple[str, ...]
    recorded: date | None = None
    """Base date and base time, or the date alone."""


@cache
def _patterns() -> ModuleType:
    """Return wfdb's module of patterns, which needs nothing else of that package: importing that takes half a second and 40 MB."""
    package = find_spec("wfdb")
    file = next(iter(package.submodule_search_locations or ())) if package else ""
    spec = spec_from_file_location("wfdb_patterns", Path(file, "io", "header.py"))
    if spec is None or spec.loader is None:
        raise ImportError("wfdb is not installed")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def header_text(data: bytes, *, name: str) -> str:
    """Return a header's text in ASCII, which is all that wfdb reads; the sign for micro becomes ``u``, so that µV never turns into V.

    Raises
    ------
    BadInputError
        ``too_large``, or ``unreadable`` where there is nothing but comments.
    """
    if len(data) > MAX_HEADER_BYTES:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: the header has {len(data):,} bytes; the limit is {MAX_HEADER_BYTES:,}")
    if b"\0" in data:
        raise BadInputError(Reason.UNREADABLE, f"{name}: byte {data.index(0)} is NUL; a header must be plain text (ASCII or UTF-8)")
    text = data.decode("ascii") if data.isascii() else _in_ascii(data, name=name)
    if not content_lines(text):
        raise BadInputError(Reason.UNREADABLE, f"{name}: the header has no record line")
    return text


def _in_ascii(data: bytes, *, name: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    text = text.translate(_MICRO)
    for line in content_lines(text)[1:]:
        file_name = signal_line(line)[0]
        if not file_name.isascii():  # without its odd letters it would be another file's name
            raise BadInputError(Reason.UNSAFE_PATH, f"{name}: it names the file {file_name[:200]!r}; the name of a WFDB file must be ASCII")
    return text.encode("ascii", "ignore").decode("ascii")


def comment_lines(text: str) -> tuple[str, ...]:
    """Return the header's comments, without their signs."""
    return tuple(line.strip().strip(" \t#") for line in text.splitlines() if line.strip().startswith("#"))


def named_files(text: str, *, name: str) -> tuple[str, ...]:
    """Return the files that a header's lines name: signal files, or the headers of the segments; each once, none for a gap.

    Raises
    ------
    BadInputError
        ``unsafe_path`` for a name that is not that of a file beside the header: it is refused before anything is opened.
    """
    lines = content_lines(text)[1:]
    is_multi_segment = has_segments(text)
    if is_multi_segment and len(lines) > MAX_SEGMENTS:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: {len(lines)} segments; the limit is {MAX_SEGMENTS:,}")
    names: dict[str, None] = {}
    for line in lines:
        written = line.split()[0] if is_multi_segment else signal_line(line)[0]
        if written == NO_FILE:
            continue
        file_name = own_name(written, name=name)
        if file_name in names and not is_multi_segment:
            continue
        if not is_multi_segment and (is_header(file_name) or is_csv(file_name)):
            raise BadInputError(
                Reason.UNREADABLE, f"{name}: it names {file_name!r} as a signal file, which a file with this ending cannot be"
            )
        names[f"{file_name}{HEADER_SUFFIX}" if is_multi_segment else file_name] = None
    if len(names) > MAX_SEGMENTS:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: the header names {len(names)} files; the limit is {MAX_SEGMENTS:,}")
    return tuple(names)


def has_segments(text: str) -> bool:
    """Return whether a header names segments instead of signals: its record line has a slash and their number."""
    return bool(record_line(content_lines(text)).n_segments)


def parse_header(data: bytes, *, name: str) -> Header:
    """Parse a header with wfdb's own patterns; of those that were parsed last, what came of it is known.

    Raises
    ------
    BadInputError
        ``unsafe_path``, ``unreadable`` or ``too_large``, with the line at fault.
    """
    header = _parsed.get(data)
    if header is None:
        header = _parse(data, name=name)
        if len(_parsed) >= _MOST_KNOWN:  # other threads may read headers, too
            _parsed.clear()
        _parsed[data] = header
    return header


_parsed: dict[bytes, Header] = {}
_MOST_KNOWN = 8
"""A header and its copies are read several times, one after the other."""


def _parse(data: bytes, *, name: str) -> Header:
    patterns = _patterns()
    text = header_text(data, name=name)
    named_files(text, name=name)
    first, *lines = content_lines(text)
    parsed = record_line([first, *lines])
    comments = comment_lines(text)
    if parsed.fault:
        raise BadInputError(Reason.UNREADABLE, f"{name}: {first[:100]!r} {parsed.fault}")
    called = f"record/{parsed.n_segments}" if parsed.n_segments else "record"
    record = _match(patterns.rx_record, called, parsed.rest, first, name=name, kind="record")
    try:
        fs = float(record["fs"] or DEFAULT_FS)
        if not 0 < fs <= FS_RANGE[1]:
            raise BadInputError(Reason.OUT_OF_RANGE, f"{name}: {fs:g} frames a second; it must be above 0 and at most {FS_RANGE[1]:g}")
        n_frames = int(record["sig_len"]) if record["sig_len"] else None
        n_lines = int(record["n_seg"] or record["n_sig"])
        n_signals, recorded = int(record["n_sig"]), _recorded(parsed.rest)
        if n_lines != len(lines):
            raise BadInputError(Reason.UNREADABLE, f"{name}: the record line says that {n_lines} lines follow; the header has {len(lines)}")
        if record["n_seg"]:
            segments = tuple(_segment(patterns.rx_segment, line, name=name) for line in lines)
            return Header(
                fs=fs, n_frames=n_frames, n_signals=n_signals, recorded=recorded, signals=(), segments=segments, comments=comments
            )
        if n_lines > MAX_SIGNALS:
            raise BadInputError(Reason.TOO_LARGE, f"{name}: {n_lines} signals; the limit is {MAX_SIGNALS:,}")
        named = [signal_line(line) for line in lines]
        fields = [
            _match(patterns.rx_signal, "x", rest, line, name=name, kind="signal") for (_, rest), line in zip(named, lines, strict=True)
        ]
        names = distinct(line["sig_name"].strip() or f"signal {number}" for number, line in enumerate(fields, start=1))
        files = [written if written == NO_FILE else own_name(written, name=name) for written, _ in named]
        signals = tuple(_signal(line, file_name=file, name=signal) for line, file, signal in zip(fields, files, names, strict=True))
    except ValueError as error:  # a number too long or too odd for float() or int()
        raise BadInputError(Reason.UNREADABLE, f"{name}: a number in the header cannot be read ({str(error)[:200]})") from None
    return Header(fs=fs, n_frames=n_frames, n_signals=n_signals, recorded=recorded, signals=signals, segments=(), comments=comments)


def _recorded(rest: str) -> date | None:
    """Return base date and time, the fifth and fourth words behind the record's name; a time without a date is none."""
    base_time, base_date = [*rest.split()[3:5], "", ""][:2]
    clock, found = _TIME.fullmatch(base_time), _DATE.fullmatch(base_date)
    return metadata.moment(metadata.day(*found.groups()[::-1]), *(clock.groups() if clock else ("", "", ""))) if found else None


def _match(pattern: re.Pattern[str], first: str, rest: str, line: str, *, name: str, kind: str) -> Mapping[str, str]:
    """Return a line's fields, its name replaced by a plain one; ``kind`` is that of `_WORDS`."""
    match = pattern.match(f"{first} {rest}") if len(line) <= MAX_LINE_CHARS else None
    if match is None:
        raise BadInputError(Reason.UNREADABLE, f"{name}: this header line is not WFDB: {line[:200]!r}")
    words = rest.split()
    for place, known in _WORDS[kind].items():
        if place <= len(words) and not known.fullmatch(words[place - 1]):
            raise BadInputError(Reason.UNREADABLE, f"{name}: {words[place - 1][:40]!r} cannot be read in the header line {line[:100]!r}")
    return match.groupdict()


def _segment(pattern: re.Pattern[str], line: str, *, name: str) -> SegmentLine:
    written, *rest = line.split(maxsplit=1)
    fields = _match(pattern, "s", rest[0] if rest else "", line, name=name, kind="segment")
    return SegmentLine(name=written if written == NO_FILE else own_name(written, name=name), n_frames=int(fields["seg_len"]))


def _signal(fields: Mapping[str, str], *, file_name: str, name: str) -> SignalLine:
    gain = float(fields["adc_gain"] or 0)
    return SignalLine(
        file_name=file_name,
        fmt=fields["fmt"],
        samples_per_frame=int(fields["samps_per_frame"] or 1),
        skew=int(fields["skew"] or 0),
        byte_offset=int(fields["byte_offset"] or 0),
        gain=gain or DEFAULT_GAIN,
        calibrated=gain != 0,
        baseline=int(fields["baseline"] or fields["adc_zero"] or 0),
        initial=int(fields["init_value"] or fields["adc_zero"] or 0),
        checksum=int(fields["checksum"] or 0) or None,
        units=fields["units"] or "mV",
        name=name,
    )
