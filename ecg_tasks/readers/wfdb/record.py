"""Here: one WFDB record from the bytes of its files. Not here: the header's syntax (``header``), or waiting for files."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.base import Acquisition, Companions, Lead, Patient, Reading, Recording
from ecg_tasks.readers.blanking import impossible
from ecg_tasks.readers.file_names import HEADER_SUFFIX, is_header, recording_name
from ecg_tasks.readers.header_comments import read_comments
from ecg_tasks.readers.leads import MAX_VALUES
from ecg_tasks.readers.wfdb.blanking import comments_without_identifiers, header_without_identifiers, signals_without_identifiers
from ecg_tasks.readers.wfdb.compressed import DIFFERENCES, FLAC_BITS, flac_frames, read_differences, read_flac
from ecg_tasks.readers.wfdb.header import (
    NO_FILE,
    SAMPLES_IN_BYTES,
    Header,
    SegmentLine,
    SignalLine,
    has_segments,
    header_text,
    named_files,
    parse_header,
)
from ecg_tasks.readers.wfdb.lines import matching_name
from ecg_tasks.signals.lead_names import canonical_names
from ecg_tasks.signals.record import STANDARD_LEADS

_PLAIN = MappingProxyType({"16": ("<i2", 0), "32": ("<i4", 0), "61": (">i2", 0), "80": ("u1", 1 << 7), "160": ("<u2", 1 << 15)})
"""Formats that NumPy reads, and the value that means 0 in them."""
_PACKED: Mapping[str, Callable[[NDArray[Any]], Sequence[NDArray[Any]]]] = MappingProxyType(
    {
        "24": lambda block: (block,),
        "212": lambda block: (block, block >> 16 | block >> 4 & 0xF00),
        "310": lambda block: (block >> 1, block >> 17, block >> 11 & 0x1F | block >> 27 << 5),
        "311": lambda block: (block, block >> 10, block >> 20),
    }
)
"""Of the other formats, the samples of a block (signal(5)): each in the lowest bits, whatever stands in those above."""
_IN_HALVES = "310"
"""Its second sample lies in the last two bytes of a block: three hold the first alone."""
_BITS = {"80": 8, "508": 8, "310": 10, "311": 10, "212": 12, "16": 16, "61": 16, "160": 16, "516": 16, "24": 24, "524": 24, "32": 32}
_INVALID = MappingProxyType({fmt: -(1 << (bits - 1)) for fmt, bits in _BITS.items()})
"""The sample that means that there is none: the lowest of the format (signal(5)); differences (8) have no such."""
_CHECKSUM_MODULUS = 65536
_PTB_FOLDER = re.compile(r"patient\d+", re.ASCII)
_UNCALIBRATED = "uncalibrated"
"""In place of the unit of a signal whose header gives no gain."""
MAX_SIGNAL_LINES = 16_384
"""In all segments of a recording together: a thousand segments of sixteen signals. Each line takes some 30 \N{MICRO SIGN}s to read."""
_MOST_TOGETHER = 2**20
"""Samples of a file that are made physical in one step; of more, memory holds a signal at a time."""

_Physical = tuple[SignalLine, NDArray[np.float64]]


class WfdbReader:
    """WFDB recordings: a header, and the signal files and segment headers that it names."""

    name = "wfdb"
    title = "a WFDB recording"

    def knows(self, name: str, head: bytes) -> bool:  # noqa: ARG002 - a header is believed, so that a damaged one tells its exact fault
        """Tell whether a file is a header: its signals are known only by it."""
        return is_header(name)

    def companions(self, name: str, data: bytes) -> Companions:
        """Tell which files a header needs, in its order.

        Raises
        ------
        BadInputError
            ``unsafe_path`` for a name that points out of the folder, before anything is opened; ``unreadable``; ``too_large``.
        """
        text = header_text(data, name=name)
        return Companions(names=named_files(text, name=name), nested=has_segments(text))

    def read(self, files: Mapping[str, bytes], name: str) -> Reading:
        """Read one WFDB record, in physical units.

        Formats 8, 16, 24, 32, 61, 80, 160, 212, 310, 311, 508, 516 and 524, one or many signal files, one or many segments. Nothing in
        the header is trusted: sizes are held against the bytes that are there before memory is taken, and checksums, where given, against
        the samples. Signals that WFDB calls skewed are aligned, and the frames that then lack a signal are cut off the end.
        A signal with several samples a frame has its true rate.

        Parameters
        ----------
        files : bytes by file name, of all files of the record, as they lie in one folder, its header first
        name : path of the header below the inbox; a folder called ``patient001``, as in PTB, names the patient

        Returns
        -------
        Reading with exactly one recording

        Raises
        ------
        BadInputError
            With the reason and a message that names the file, the lead, the value and the bound.
        """
        name = recording_name(name)
        main = parse_header(next(iter(files.values())), name=f"{name}{HEADER_SUFFIX}")
        leads = _read_segments(main, files, name=name) if main.segments else _cut_skew(_read_signals(main, files, name=name), main)
        _check_calibrated(leads, name=name)
        comments = read_comments(main.comments)
        folder = name.split("/")[-2] if "/" in name else ""
        patient = Patient(id=folder if _PTB_FOLDER.fullmatch(folder) else None, age=comments.age, sex=comments.sex)
        found = Recording(
            name=name,
            leads=tuple(leads),
            patient=patient,
            label=comments.label,
            synthetic=comments.synthetic,
            acquisition=Acquisition(recorded=main.recorded or comments.recorded, source_format="WFDB"),
        )
        return Reading(recordings=(found,))

    def deidentified(self, files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
        """Write the headers again, with age, sex, year and a label that is known; of signal files only the samples that are read stay."""
        first = next(iter(files))
        headers = {key: parse_header(data, name=name) for key, data in files.items() if key == first or is_header(key)}
        comments = headers[first].comments
        told = read_comments(comments)
        kept, recorded = comments_without_identifiers(told, comments), headers[first].recorded or told.recorded
        copies = {key: header_without_identifiers(header, key, files) for key, header in headers.items() if key != first}
        copies[first] = header_without_identifiers(headers[first], first, files, recorded=recorded, comments=kept)
        copies |= signals_without_identifiers(headers.values(), files)
        if not copies.keys() >= files.keys():
            raise impossible(name, "a file in its folder belongs to none of its headers")
        return {key: copies[key] for key in files}


def _check_calibrated(leads: Sequence[Lead], *, name: str) -> None:
    """Refuse a recording one of whose twelve leads has no scale; any other signal without one is left out by ``assemble``."""
    names = canonical_names([lead.name for lead in leads])
    scaled = zip(leads, names, strict=True)
    without = [lead.name for lead, name in scaled if lead.units == _UNCALIBRATED and name in STANDARD_LEADS]
    if without:
        sentence = (
            f"lead {', '.join(without)} is uncalibrated: the header gives the gain 0 or none, so its samples cannot be converted to mV"
        )
        raise BadInputError(Reason.UNIT_UNKNOWN, f"{name}: {sentence}. Write the true gain into the header, such as 1000/mV")


def _cut_skew(leads: Sequence[Lead], header: Header) -> list[Lead]:
    """Keep the frames in which every signal is there: signals that were shifted to align them end earlier."""
    skew = max(signal.skew for signal in header.signals)
    if not skew:
        return list(leads)
    return [replace(lead, samples=lead.samples[: max(0, lead.samples.size - skew * round(lead.fs / header.fs))]) for lead in leads]


def _bytes_of(file_name: str, files: Mapping[str, bytes], *, name: str) -> bytes:
    there = matching_name(file_name, files)
    if there is None:
        raise BadInputError(Reason.INCOMPLETE, f"{name}: the file {file_name} is missing")
    return files[there]


def _read_segments(main: Header, files: Mapping[str, bytes], *, name: str) -> list[Lead]:
    """Read the segments one after the other; where one is a gap, or lacks a lead, that lead is NaN."""
    spans = [segment for segment in main.segments if segment.n_frames > 0]  # a layout header has no frames
    n_frames = sum(span.n_frames for span in spans)
    _check_size(n_frames, name=name)
    _check_lines(spans, files, name=name)
    parts: list[list[Lead]] = []
    n_read = 0
    for span in spans:
        parts.append(_read_segment(span, main, files, name=name))
        n_read += sum(lead.samples.size for lead in parts[-1])
        _check_size(n_read, name=name)  # one segment may be named again and again
    first = {lead.name: lead for part in reversed(parts) for lead in reversed(part)}
    _check_size(sum(round(n_frames * lead.fs / main.fs) for lead in first.values()), name=name)
    joined = {lead: np.full(round(n_frames * first[lead].fs / main.fs), np.nan) for lead in first}
    start = 0
    for span, part in zip(spans, parts, strict=True):
        for lead in part:
            if (lead.fs, lead.units) != (first[lead.name].fs, first[lead.name].units):
                message = f"{name}, segment {span.name}: signal {lead.name} changes its rate or unit between segments"
                raise BadInputError(Reason.UNREADABLE, message)
            at = round(start * lead.fs / main.fs)
            joined[lead.name][at : at + lead.samples.size] = lead.samples
        start += span.n_frames
    return [replace(first[lead], samples=joined[lead]) for lead in _in_order(parts, list(first))]


def _in_order(parts: Sequence[Sequence[Lead]], names: Sequence[str]) -> list[str]:
    """Return the names of signals with the twelve leads first, as the headers list them: of two for one lead the first is that lead.

    The others keep the order of ``names``, on which the ids of stored records depend.
    """
    stored = dict(zip(names, canonical_names(names), strict=True))
    listed = dict.fromkeys(lead.name for part in parts for lead in part)
    twelve = [name for name in listed if stored[name] in STANDARD_LEADS]
    return [*twelve, *(name for name in names if name not in twelve)]


def _check_lines(spans: Sequence[SegmentLine], files: Mapping[str, bytes], *, name: str) -> None:
    """Refuse segments that list more signals in all than can be read in some seconds, before any of them is parsed."""
    of_segment = {span.name: matching_name(f"{span.name}{HEADER_SUFFIX}", files) for span in spans}
    n_lines = sum(0 if (there := of_segment[span.name]) is None else files[there].count(b"\n") for span in spans)
    if n_lines > MAX_SIGNAL_LINES:
        raise BadInputError(
            Reason.TOO_LARGE, f"{name}: its {len(spans)} segments have {n_lines:,} header lines; the limit is {MAX_SIGNAL_LINES:,}"
        )


def _read_segment(span: SegmentLine, main: Header, files: Mapping[str, bytes], *, name: str) -> list[Lead]:
    if span.name == NO_FILE:
        return []
    where = f"{name}, segment {span.name}"
    header = parse_header(_bytes_of(f"{span.name}{HEADER_SUFFIX}", files, name=name), name=where)
    if header.segments:
        raise BadInputError(Reason.UNREADABLE, f"{where}: is itself made of segments")
    if (header.fs, header.n_frames) != (main.fs, span.n_frames):
        there = "an unknown number of" if header.n_frames is None else f"{header.n_frames:,}"
        message = f"{where}: {there} frames at {header.fs:g} Hz; the record says {span.n_frames:,} at {main.fs:g} Hz"
        raise BadInputError(Reason.UNREADABLE, message)
    return _read_signals(header, files, name=where)


def _read_signals(header: Header, files: Mapping[str, bytes], *, name: str) -> list[Lead]:
    """Read all signals of a header without segments, aligned where they are skewed, NaN at the end of one that then runs out."""
    if not header.signals:
        raise BadInputError(Reason.UNREADABLE, f"{name}: the header describes no signals")
    groups: dict[str, list[SignalLine]] = {}
    for signal in header.signals:
        groups.setdefault(signal.file_name, []).append(signal)
    contents = {file_name: _bytes_of(file_name, files, name=name) for file_name in groups}
    n_frames = min(_frames(group, contents[file_name], header.n_frames, name=name) for file_name, group in groups.items())
    _check_size(n_frames * sum(signal.samples_per_frame for signal in header.signals), name=name)
    physical = {signal.name: samples for signal, samples in _read_physical(groups, contents, n_frames, name=name)}
    leads = []
    for signal in header.signals:  # in this order, though a file's signals need not stand together
        samples = physical[signal.name]
        aligned = samples
        if signal.skew:
            aligned = np.full(samples.size, np.nan)
            later = samples[signal.skew * signal.samples_per_frame :]
            aligned[: later.size] = later
        units = signal.units if signal.calibrated else _UNCALIBRATED
        leads.append(Lead(name=signal.name, units=units, fs=header.fs * signal.samples_per_frame, samples=aligned))
    return leads


def _check_size(n_values: int, *, name: str) -> None:
    if n_values > MAX_VALUES:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: {n_values:,} samples in all leads; the limit is {MAX_VALUES:,}")


def _frames(group: Sequence[SignalLine], content: bytes, promised: int | None, *, name: str) -> int:
    """Count the frames of one signal file: as many as the header says, once it is known that the bytes are there."""
    first = group[0]
    if len({(signal.fmt, signal.byte_offset) for signal in group}) > 1:
        raise BadInputError(Reason.UNREADABLE, f"{name}: the signals of {first.file_name} differ in format or byte offset")
    if first.fmt not in SAMPLES_IN_BYTES and first.fmt not in FLAC_BITS:
        known = ", ".join((*SAMPLES_IN_BYTES, *FLAC_BITS))
        raise BadInputError(
            Reason.UNREADABLE, f"{name}: {first.file_name} is in WFDB format {first.fmt}; the supported formats are {known}"
        )
    samples_per_frame = sum(signal.samples_per_frame for signal in group)
    if min(signal.samples_per_frame for signal in group) < 1:
        raise BadInputError(Reason.UNREADABLE, f"{name}: a signal of {first.file_name} has no samples in a frame")
    if first.fmt in FLAC_BITS:
        each = [signal.samples_per_frame for signal in group]
        there = flac_frames(content, samples_per_frame=each, offset=first.byte_offset, fmt=first.fmt, name=f"{name}: {first.file_name}")
    else:
        n_samples, in_bytes = SAMPLES_IN_BYTES[first.fmt]
        n_bytes = max(0, len(content) - first.byte_offset)
        n_bytes -= first.fmt == _IN_HALVES and n_bytes % in_bytes == in_bytes - 1
        there = n_bytes * n_samples // in_bytes // samples_per_frame
    if there < (promised or 1):
        message = f"{name}: {first.file_name} has {there:,} frames in {len(content):,} bytes; the header says {promised or 'some'}"
        raise BadInputError(Reason.INCOMPLETE, message)
    return promised or there


def _read_physical(
    groups: Mapping[str, Sequence[SignalLine]], contents: Mapping[str, bytes], n_frames: int, *, name: str
) -> list[_Physical]:
    """Read the signals of all files in their own units; the checksums are held against the samples as they are stored.

    They are read here: wfdb reads paths, which a process behind walls cannot make, and takes ten times as long.
    """
    found: list[_Physical] = []
    for file_name, group in groups.items():
        fmt = group[0].fmt
        where = f"{name}: {file_name}"
        read = _read_plain if fmt in _PLAIN else _read_compressed if fmt in FLAC_BITS or fmt == DIFFERENCES else _read_packed
        found += _to_physical(group, read(group, contents[file_name], n_frames, name=where), name=name)
    return found


def _read_plain(group: Sequence[SignalLine], content: bytes, n_frames: int, *, name: str) -> NDArray[np.integer]:  # noqa: ARG001 - as others
    """Read the samples of a file whose format is a kind of whole number, shape (n_frames, samples a frame)."""
    kind, zero = _PLAIN[group[0].fmt]
    width = sum(signal.samples_per_frame for signal in group)
    frames = np.frombuffer(content, dtype=kind, count=n_frames * width, offset=group[0].byte_offset).reshape(n_frames, width)
    return frames.astype(np.int32) - np.int32(zero) if zero else frames


def _read_compressed(group: Sequence[SignalLine], content: bytes, n_frames: int, *, name: str) -> NDArray[np.int32]:
    """Read the samples of a file of differences or FLAC, shape (n_frames, samples a frame)."""
    first, each = group[0], [signal.samples_per_frame for signal in group]
    if first.fmt in FLAC_BITS:
        return read_flac(content, n_frames, n_signals=len(group), samples_per_frame=each[0], offset=first.byte_offset, name=name)
    initial = [signal.initial for signal in group]
    return read_differences(content[first.byte_offset :], n_frames, samples_per_frame=each, initial=initial)


def _read_packed(group: Sequence[SignalLine], content: bytes, n_frames: int, *, name: str) -> NDArray[np.int32]:  # noqa: ARG001 - as others
    """Read the samples of a file whose samples are no whole bytes, or three, shape (n_frames, samples a frame)."""
    fmt, width = group[0].fmt, sum(signal.samples_per_frame for signal in group)
    together, in_bytes = SAMPLES_IN_BYTES[fmt]
    n_blocks = -(-n_frames * width // together)
    data = content[group[0].byte_offset :][: n_blocks * in_bytes].ljust(n_blocks * in_bytes, b"\0")  # the last block may be cut short
    blocks = np.zeros((n_blocks, 4), np.uint8)
    blocks[:, :in_bytes] = np.frombuffer(data, np.uint8).reshape(n_blocks, in_bytes)
    samples = np.stack(_PACKED[fmt](blocks.view("<u4")[:, 0].astype(np.uint32)), axis=1).reshape(-1)[: n_frames * width]
    above = 32 - _BITS[fmt]
    return ((samples << above).view(np.int32) >> above).reshape(n_frames, width)


def _to_physical(group: Sequence[SignalLine], frames: NDArray[np.integer], *, name: str) -> Iterator[_Physical]:
    """Yield the signals of one file from its frames, of shape (n_frames, samples a frame), in the signals' own units."""
    if frames.size <= _MOST_TOGETHER and all(signal.samples_per_frame == 1 for signal in group):
        yield from _to_physical_together(group, frames, name=name)
        return
    start = 0
    for signal in group:
        stored = np.ascontiguousarray(frames[:, start : start + signal.samples_per_frame]).reshape(-1)
        start += signal.samples_per_frame
        _check_sum(signal, int(stored.sum(dtype=np.int64)), name=name)
        try:
            samples = (stored - np.float64(signal.baseline)) / signal.gain
        except OverflowError:
            raise _no_baseline(signal, name=name) from None
        invalid = _INVALID.get(signal.fmt)
        if invalid is not None and stored.min() == invalid:
            samples[stored == invalid] = np.nan
        yield signal, samples


def _to_physical_together(group: Sequence[SignalLine], frames: NDArray[np.integer], *, name: str) -> Iterator[_Physical]:
    """Yield the same where each signal has one sample a frame: all in one step. Sums of so few whole numbers are exact in float64."""
    samples = np.array(frames.T, dtype=np.float64, order="C")
    totals, lowest = samples.sum(axis=1).tolist(), samples.min(axis=1).tolist()
    for signal, total in zip(group, totals, strict=True):
        _check_sum(signal, int(total), name=name)
    invalid = [_INVALID.get(signal.fmt) == low for signal, low in zip(group, lowest, strict=True)]
    stored = samples.copy() if any(invalid) else samples
    baselines = []
    for signal in group:
        try:
            baselines.append(np.float64(signal.baseline))
        except OverflowError:
            raise _no_baseline(signal, name=name) from None
    if any(baselines):
        samples -= np.array(baselines)[:, None]
    samples /= np.array([signal.gain for signal in group])[:, None]
    for row, signal in enumerate(group):
        if invalid[row]:
            samples[row, stored[row] == lowest[row]] = np.nan
        yield signal, samples[row]


def _check_sum(signal: SignalLine, total: int, *, name: str) -> None:
    if signal.checksum is not None and total % _CHECKSUM_MODULUS != signal.checksum % _CHECKSUM_MODULUS:
        promised = signal.checksum % _CHECKSUM_MODULUS
        message = f"{name}: signal {signal.name} has the checksum {total % _CHECKSUM_MODULUS}; its header says {promised}. Upload it again"
        raise BadInputError(Reason.CHECKSUM_MISMATCH, message)


def _no_baseline(signal: SignalLine, *, name: str) -> BadInputError:
    return BadInputError(Reason.UNREADABLE, f"{name}: signal {signal.name} has a baseline that is too large")
