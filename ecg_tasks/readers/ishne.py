"""Here: an ISHNE Holter recording, from its header and interleaved samples. Not here: annotations (ISHNE's ``.ann`` files).

References
----------
Badilini, The ISHNE Holter Standard Output File Format, Ann. Noninvasive Electrocardiol. 3(3), 1998.
"""

import binascii
import struct
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import metadata
from ecg_tasks.readers.base import Acquisition, Lead, OneFile, Reading, Recording
from ecg_tasks.readers.blanking import birth_of, first_of_year
from ecg_tasks.signals.record import STANDARD_LEADS

_MAGIC = b"ISHNE1.0"
_HEADER_BYTES = 522
_CHECKED_FROM = 10
_KEPT = ((0, 8), (10, 28), (128, 130), (156, 232), (272, 274))
"""Mark; lengths, places and version; sex; leads, their quality, resolutions, and the pacemaker; the rate."""
_BIRTH_AT, _RECORDED_AT, _WRITTEN_AT, _DEVICE_AT, _DEVICE_BYTES = 132, 138, 144, 232, 40
_MAX_LEADS = 12
_ABSENT = -9
_INVALID = -32768
"""A lead at fault, as the paper proposes."""
_START = struct.Struct("<H4ih")
_LEADS = MappingProxyType(
    {1: "generic bipolar", 2: "X", 3: "Y", 4: "Z", 17: "ES", 18: "AS", 19: "AI"} | dict(enumerate(STANDARD_LEADS, start=5))
)
_SEXES = MappingProxyType({1: "male", 2: "female"})
_KINDS = frozenset({"analog", "digital"})
"""What the paper means by the kind of a recorder; most devices write their model there."""


class IshneReader(OneFile):
    """ISHNE Holter files; a long one is read whole within the bounds on samples, and checked window by window."""

    name = "ishne"
    title = "an ISHNE Holter recording"

    def knows(self, name: str, head: bytes) -> bool:  # noqa: ARG002 - its first bytes tell
        """Tell whether a file begins as ISHNE's do."""
        return head.startswith(_MAGIC)

    def read(self, files: Mapping[str, bytes], name: str) -> Reading:
        """Read all leads.

        Raises
        ------
        BadInputError
            ``checksum_mismatch`` of the header; ``incomplete`` with both counts; ``unit_unknown`` for a lead without resolution;
            ``too_large``; ``unreadable``.
        """
        data = next(iter(files.values()))
        if len(data) < _HEADER_BYTES:
            raise BadInputError(
                Reason.INCOMPLETE, f"{name}: the file has {len(data):,} bytes, fewer than the {_HEADER_BYTES} of a header. Upload it again"
            )
        begin = _checked_start(data, name=name)
        recorded_on, born = (metadata.day(*_numbers(data, at, 3)[::-1]) for at in (_RECORDED_AT, _BIRTH_AT))
        patient = metadata.person(id_text=_text(data, 108, 20), born=born, on=recorded_on, sex=_SEXES.get(_numbers(data, 128, 1)[0], ""))
        recorder = _text(data, _DEVICE_AT, _DEVICE_BYTES)
        made = Acquisition(
            recorded=metadata.moment(recorded_on, *_numbers(data, 150, 3)),
            device=metadata.line(recorder) if recorder.lower() not in _KINDS else None,
            source_format="ISHNE 1.0",
        )
        return Reading(recordings=(Recording(name=name, leads=_leads(data, begin, name=name), patient=patient, acquisition=made),))

    def deidentified(self, files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
        """Blank the header but for what is read and the pacemaker's code, and the text behind it; its checksum is that of the rest."""
        ((file, data),) = files.items()
        begin = _checked_start(data, name=name)
        (recording,) = self.read(files, name).recordings
        recorded, age = metadata.day(*_numbers(data, _RECORDED_AT, 3)[::-1]), recording.patient.age
        kept = bytearray(_HEADER_BYTES)
        for start, end in _KEPT:
            kept[start:end] = data[start:end]
        struct.pack_into("<i", kept, 18, _HEADER_BYTES)  # where the text begins
        (n_leads,) = _numbers(data, 156, 1)
        for at in (158, 182, 206):
            struct.pack_into("<12h", kept, at, *(_numbers(data, at, n_leads) + (_ABSENT,) * (_MAX_LEADS - n_leads)))
        for at, day in (
            (_BIRTH_AT, birth_of(age, recorded)),
            (_RECORDED_AT, first_of_year(recorded)),
            (_WRITTEN_AT, first_of_year(recorded)),
        ):
            struct.pack_into("<3h", kept, at, *((0, 0, 0) if day is None else (day.day, day.month, day.year)))
        device = (recording.acquisition.device or "").encode("latin-1", "ignore")[:_DEVICE_BYTES]
        kept[_DEVICE_AT : _DEVICE_AT + len(device)] = device
        kept += bytes(begin - _HEADER_BYTES)
        struct.pack_into("<H", kept, 8, binascii.crc_hqx(bytes(kept[_CHECKED_FROM:]), 0xFFFF))
        return {file: bytes(kept) + data[begin:]}


def _checked_start(data: bytes, *, name: str) -> int:
    """Return the byte where the samples begin; the header is held against its checksum, where it has one.

    Writers differ in whether the checksum covers the text behind the header, and in which of its two bytes comes first.
    """
    checksum, text_bytes, _, _, ecg_at, _ = _START.unpack_from(data, 8)
    begin: int = _HEADER_BYTES + text_bytes
    if text_bytes < 0 or begin > len(data):
        raise BadInputError(
            Reason.INCOMPLETE,
            f"{name}: the text after the header should have {text_bytes:,} bytes, but the file has only {len(data):,}. Upload it again",
        )
    if ecg_at != begin:
        raise BadInputError(
            Reason.UNREADABLE,
            f"{name}: the header says that the samples begin at byte {ecg_at:,}, but by the lengths in it they begin at byte {begin:,}",
        )
    right = {binascii.crc_hqx(data[_CHECKED_FROM:end], 0xFFFF) for end in {_HEADER_BYTES, begin}}
    if checksum and not {checksum, (checksum & 0xFF) << 8 | checksum >> 8} & right:
        raise BadInputError(Reason.CHECKSUM_MISMATCH, f"{name}: its header does not match its checksum; export it again")
    return begin


def _leads(data: bytes, begin: int, *, name: str) -> tuple[Lead, ...]:
    (n_leads,), (fs,) = _numbers(data, 156, 1), _numbers(data, 272, 1)
    if not 0 < n_leads <= _MAX_LEADS or fs <= 0:
        raise BadInputError(
            Reason.UNREADABLE, f"{name}: {n_leads} leads at {fs} Hz; there must be 1 to {_MAX_LEADS} leads, at a rate above 0"
        )
    codes, resolutions_nv = _numbers(data, 158, n_leads), _numbers(data, 206, n_leads)
    promised = _START.unpack_from(data, 8)[2]
    n_values = (len(data) - begin) // 2
    n_frames = n_values // n_leads
    if promised not in {n_frames, n_frames * n_leads} or (len(data) - begin) % (2 * n_leads):
        there = f"{len(data) - begin:,} bytes hold {n_frames} samples of each of {n_leads} leads"
        raise BadInputError(Reason.INCOMPLETE, f"{name}: {there}; the header says {promised:,}")
    metadata.check_size(n_values, name=name)
    frames = np.frombuffer(data, dtype="<i2", count=n_values, offset=begin).reshape(n_frames, n_leads)
    leads = []
    for column, (code, per_step_nv) in enumerate(zip(codes, resolutions_nv, strict=True)):
        if code == _ABSENT:
            continue
        if per_step_nv <= 0:
            what = f"lead {column + 1} of {n_leads} has a resolution of {per_step_nv} nV"
            raise BadInputError(Reason.UNIT_UNKNOWN, f"{name}: {what}, so its samples cannot be converted to mV")
        counts = frames[:, column]
        samples = counts * (per_step_nv / 1000)
        samples[counts == _INVALID] = np.nan
        leads.append(Lead(name=_LEADS.get(code, f"ISHNE lead {code}"), units="uV", fs=float(fs), samples=samples))
    return tuple(leads)


def _numbers(data: bytes, at: int, n: int) -> tuple[int, ...]:
    return struct.unpack_from(f"<{n}h", data, at)


def _text(data: bytes, at: int, size: int) -> str:
    return data[at : at + size].split(b"\0")[0].decode("latin-1").strip()
