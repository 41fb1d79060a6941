"""Here: a WFDB recording's files without identifiers: headers written again, signal files cut to samples. Not here: reading.

Comments are free text, so none stays but those whose meaning is read: age, sex, a diagnosis that is known, SNOMED CT codes.
"""

import io
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal

import numpy as np

from ecg_tasks.readers.blanking import age_and_unit, kept_names, kept_unit
from ecg_tasks.readers.file_names import HEADER_SUFFIX, recording_name
from ecg_tasks.readers.header_comments import Comments, known_reason
from ecg_tasks.readers.wfdb.compressed import DIFFERENCES, FLAC_BITS
from ecg_tasks.readers.wfdb.header import NO_FILE, SAMPLES_IN_BYTES, Header, SignalLine
from ecg_tasks.readers.wfdb.lines import matching_name

_PLAIN_NAME = re.compile(r"[-\w]+", re.ASCII)
_ANY_NAME = "record"
_NO_UNIT = "NU"
_CODES = re.compile(r"dx\s*:\s*(\d{6,18}(?:\s*,\s*\d{6,18})*)", re.IGNORECASE | re.ASCII)
_MATLAB_4 = struct.Struct("<5i4s")
_MATLAB_NAME = b"val\0"
"""What PhysioNet's programs call the array in a signal file that is also a MATLAB file."""
_PIECE = 2**20


def header_without_identifiers(
    header: Header, key: str, files: Mapping[str, bytes], *, recorded: date | None = None, comments: Sequence[str] = ()
) -> bytes:
    """Return a header that says the same of the signals, with the names of the files that are there, and these comments.

    Parameters
    ----------
    key : the header's own file name
    files : bytes by file name, of all files of the recording
    recorded : a day whose year is kept
    """
    stem = recording_name(key)
    n_lines, segments = len(header.signals) or len(header.segments), f"/{len(header.segments)}" if header.segments else ""
    n_signals = header.n_signals if header.segments else n_lines
    words = [f"{stem if _PLAIN_NAME.fullmatch(stem) else _ANY_NAME}{segments}", str(n_signals), format(Decimal(repr(header.fs)), "f")]
    if header.n_frames is not None:
        words.append(str(header.n_frames))
        words += [] if recorded is None else ["00:00:00", f"01/01/{recorded.year:04}"]
    lines = [" ".join(words)]
    names = kept_names([signal.name for signal in header.signals], [signal.units for signal in header.signals])
    lines += [_signal_line(signal, name, files) for signal, name in zip(header.signals, names, strict=True)]
    for segment in header.segments:
        there = matching_name(f"{segment.name}{HEADER_SUFFIX}", files)
        lines.append(f"{segment.name if there is None else recording_name(there)} {segment.n_frames}")
    return "".join(f"{line}\n" for line in [*lines, *comments]).encode()


def comments_without_identifiers(read: Comments, comments: Sequence[str]) -> list[str]:
    """Return comment lines with what is read of these comments, and with codes of diagnoses."""
    values = {
        "age": age_and_unit(read.age)[0] if read.age is None or read.age >= 1 or not read.age else f"{read.age:.3f}",
        "sex": read.sex or "",
        "Reason for admission": known_reason(comments) if read.label is not None else "",
        "synthetic": "yes" if read.synthetic else "",
    }
    codes = next((found[1] for comment in comments if (found := _CODES.fullmatch(comment.strip()))), "")
    return [f"# {key}: {value}" for key, value in values.items() if value] + ([f"#Dx: {''.join(codes.split())}"] if codes else [])


def signals_without_identifiers(headers: Iterable[Header], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the signal files with zeros before the samples that are read, and nothing behind them; FLAC is packed again.

    Programs write headers for files of other formats, whose own header then stands before the samples. That of MATLAB names nobody.
    """
    spans: dict[str, tuple[int, int]] = {}
    flac = set()
    for header in headers:
        groups: dict[str, list[SignalLine]] = {}
        for signal in header.signals:
            there = None if signal.file_name == NO_FILE else matching_name(signal.file_name, files)
            groups.setdefault(there or NO_FILE, []).append(signal)
        groups.pop(NO_FILE, None)
        for key, group in groups.items():
            if group[0].fmt in FLAC_BITS:
                flac.add(key)
            start, end = _span(group, header.n_frames, len(files[key]))
            known = spans.get(key, (start, end))
            spans[key] = min(start, known[0]), max(end, known[1])
    return {key: _flac(files[key]) if key in flac else _cut(files[key], *span) for key, span in spans.items()}


def _span(group: Sequence[SignalLine], n_frames: int | None, n_bytes: int) -> tuple[int, int]:
    """Return the first byte that is read of a signal file, and the first one behind those that are."""
    start = group[0].byte_offset
    if not n_frames or group[0].fmt not in SAMPLES_IN_BYTES:
        return start, n_bytes
    together, in_bytes = SAMPLES_IN_BYTES[group[0].fmt]
    n_samples = n_frames * sum(signal.samples_per_frame for signal in group)
    return start, start + -(-n_samples // together) * in_bytes


def _cut(content: bytes, start: int, end: int) -> bytes:
    head = content[:start]
    is_matlab = len(head) == _MATLAB_4.size and head.endswith(_MATLAB_NAME)
    return (head if is_matlab else bytes(len(head))) + content[start:end]


def _flac(content: bytes) -> bytes:
    """Return the samples of a FLAC file, packed without the words, pictures and foreign blocks that FLAC allows beside them."""
    import soundfile  # type: ignore[import-untyped]  # it ships no types

    stream = io.BytesIO()
    with soundfile.SoundFile(io.BytesIO(content)) as file:
        kind = {"samplerate": file.samplerate, "channels": file.channels, "format": "FLAC", "subtype": file.subtype}
        with soundfile.SoundFile(stream, "w", **kind) as written:
            while len(part := file.read(_PIECE // file.channels, dtype="int32", always_2d=True)):
                written.write(np.ascontiguousarray(part))
    return stream.getvalue()


def _signal_line(signal: SignalLine, name: str, files: Mapping[str, bytes]) -> str:
    there = None if signal.file_name == NO_FILE else matching_name(signal.file_name, files)
    fmt = signal.fmt
    fmt += f"x{signal.samples_per_frame}" if signal.samples_per_frame != 1 else ""
    fmt += f":{signal.skew}" if signal.skew else ""
    fmt += f"+{signal.byte_offset}" if signal.byte_offset else ""
    gain = f"{signal.gain!r}" if signal.calibrated else "0"
    scale = f"{gain}({signal.baseline})/{kept_unit(signal.units) or _NO_UNIT}"
    initial = signal.initial if signal.fmt == DIFFERENCES else 0  # which is not read otherwise
    return f"{there or signal.file_name} {fmt} {scale} 0 0 {initial} {signal.checksum or 0} 0 {name}"
