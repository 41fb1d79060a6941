"""Here: DICOM's 12-lead, general and ambulatory ECG waveforms. Not here: a file's elements (``dicom_file``)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import metadata
from ecg_tasks.readers.base import Acquisition, Filters, Lead, OneFile, Patient, Reading, Recording
from ecg_tasks.readers.dicom_blanking import file_without_identifiers
from ecg_tasks.readers.dicom_file import DICM_AT, Elements, elements
from ecg_tasks.readers.leads import MAX_VALUES
from ecg_tasks.signals.lead_names import standard_name

_WAVEFORMS = MappingProxyType(
    {
        "1.2.840.10008.5.1.4.1.1.9.1.1": "12-lead ECG",
        "1.2.840.10008.5.1.4.1.1.9.1.2": "general ECG",
        "1.2.840.10008.5.1.4.1.1.9.1.3": "ambulatory ECG",
        "1.2.840.10008.5.1.4.1.1.9.1.4": "general 32-bit ECG",
    }
)
_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
_OTHER_WAVEFORMS = "1.2.840.10008.5.1.4.1.1.9."
_EXPORT = "export the ECG as a DICOM waveform, or in another supported format"

_SOP_CLASS, _PIXELS, _SEQUENCE = 0x00080016, 0x7FE00010, 0x54000100
_ACQUIRED, _CONTENT, _STUDY = 0x0008002A, (0x00080023, 0x00080033), (0x00080020, 0x00080030)
_ZONE = 0x00080201
_MANUFACTURER, _MODEL = 0x00080070, 0x00081090
_PATIENT_ID, _ISSUER, _BIRTH, _SEX, _AGE = 0x00100020, 0x00100021, 0x00100030, 0x00100040, 0x00101010
_N_CHANNELS, _N_SAMPLES, _FS, _CHANNELS = 0x003A0005, 0x003A0010, 0x003A001A, 0x003A0200
_ALLOCATED, _INTERPRETATION, _PADDING, _DATA = 0x54001004, 0x54001006, 0x5400100A, 0x54001010
_LABEL, _SOURCE, _SENSITIVITY, _UNITS, _CORRECTION, _BASELINE = 0x003A0203, 0x003A0208, 0x003A0210, 0x003A0211, 0x003A0212, 0x003A0213
_TIME_SKEW, _SAMPLE_SKEW, _OFFSET = 0x003A0214, 0x003A0215, 0x003A0218
_STORED, _FILTERS = 0x003A021A, (0x003A0220, 0x003A0221, 0x003A0222)
_CODE, _SCHEME = 0x00080100, 0x00080102
_MAX_GROUPS, _MAX_CHANNELS = 64, 512
_KINDS = MappingProxyType({(8, "SB"): "i1", (8, "UB"): "u1", (16, "SS"): "i2", (16, "US"): "u2", (32, "SL"): "i4", (32, "UL"): "u4"})
_LEADS = MappingProxyType(
    {1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF", 65: "-aVR", 66: "V8", 67: "V9", 68: "V8R", 69: "V9R"}
    | {number + 2: f"V{number}" for number in range(1, 8)}
    | {number + 8: f"V{number}R" for number in range(2, 8)}
)
"""Leads by their number in SCP-ECG and in ISO/IEEE 11073, whose first ones are the same."""
_SCHEMES = MappingProxyType({"SCPECG": "5.6.3-9-", "MDC": "2:"})
_PADDING_S = 0.1
"""A padding value in all channels at once, so long at an end, is padding; anywhere else it is a sample like any other."""


class DicomReader(OneFile):
    """ECG waveforms in DICOM files."""

    name = "dicom"
    title = "a DICOM waveform"

    def knows(self, name: str, head: bytes) -> bool:  # noqa: ARG002 - the first bytes tell it
        """Recognize any DICOM file, so that one without signals is refused as what it is."""
        return head[DICM_AT : DICM_AT + 4] == b"DICM"

    def read(self, files: Mapping[str, bytes], name: str) -> Reading:
        """Read the rhythm: of several multiplex groups the longest, of equals the one with lead II, or with the most leads.

        A sample is ``raw × sensitivity × correction factor + baseline`` of its channel, in the channel's unit. Leads are known by their
        code (SCP-ECG or ISO/IEEE 11073), never by the words beside it; a channel without such a code has the name of its label.

        Raises
        ------
        BadInputError
            ``unknown_format`` for a PDF, a picture and anything else without an ECG; ``incomplete`` with both counts; ``unit_unknown``;
            ``unreadable``, also for channels that begin at different times; ``too_large``; ``out_of_range`` for samples beyond the bits
            that are said to be stored.

        References
        ----------
        DICOM PS3.3, C.10.9; PS3.16, CID 3001.
        """
        data = next(iter(files.values()))
        found = elements(data, name=name)
        kind = _kind(found, name=name)
        rhythm, channels = _rhythm(found, name=name)
        recorded = _recorded(found)
        acquisition = Acquisition(recorded=recorded, device=_device(found), filters=_filters(channels), source_format=f"DICOM {kind}")
        patient = _patient(found, metadata.day_of(recorded))
        leads = _leads(rhythm, channels, name=name)
        return Reading(recordings=(Recording(name=name, leads=leads, patient=patient, acquisition=acquisition),))

    def deidentified(self, files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
        """Write the rhythm again, with sex, age, year and device, under new identifiers; every other element is left out."""
        ((file, data),) = files.items()
        found = elements(data, name=name)
        rhythm, channels = _rhythm(found, name=name)
        recorded = _recorded(found)
        patient = _patient(found, metadata.day_of(recorded))
        names, units = [channel.name for channel in channels], [channel.units for channel in channels]
        year = None if recorded is None else recorded.year
        return {file: file_without_identifiers(found, rhythm.item, names, units, schemes=_SCHEMES, patient=patient, year=year)}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Channel:
    name: str
    sensitivity: float
    correction: float
    baseline: float
    units: str
    bits: int
    begins: float
    """In samples, from where the group begins."""
    filters: Filters


@dataclass(frozen=True, kw_only=True, eq=False)
class _Group:
    """One multiplex group: ``data`` holds sample after sample, each of all channels."""

    item: Elements
    fs: float
    n_samples: int
    n_channels: int
    bits: int
    kind: str
    data: bytes
    number: int

    @property
    def duration_s(self) -> float:
        return self.n_samples / self.fs

    def channels(self, *, name: str) -> list[_Channel]:
        """Return what the group says of its channels."""
        where = f"{name}, multiplex group {self.number}"
        described = self.item.items(_CHANNELS)
        if len(described) != self.n_channels:
            raise BadInputError(Reason.INCOMPLETE, f"{where}: {len(described)} channels are described, but there are {self.n_channels}")
        return [_channel(one, self.bits, self.fs, place, name=where) for place, one in enumerate(described, start=1)]


def _kind(found: Elements, *, name: str) -> str:
    sop_class = found.text(_SOP_CLASS)
    if sop_class in _WAVEFORMS:
        return _WAVEFORMS[sop_class]
    if sop_class == _PDF:
        what = "a PDF in DICOM, which has no signal"
    elif _PIXELS in found:
        what = "a picture in DICOM, which has no signal"
    elif sop_class.startswith(_OTHER_WAVEFORMS):
        what = "a DICOM waveform that is not an ECG"
    else:
        what = "a DICOM object without an ECG waveform"
    raise BadInputError(Reason.UNKNOWN_FORMAT, f"{name} is {what}; {_EXPORT}")


def _rhythm(found: Elements, *, name: str) -> tuple[_Group, list[_Channel]]:
    """Return the multiplex group that is read, and its channels."""
    groups = [_group(item, number, name=name) for number, item in enumerate(_sequence(found, name=name), start=1)]
    longest = max(round(group.duration_s, 3) for group in groups)
    described = [(group, group.channels(name=name)) for group in groups if round(group.duration_s, 3) == longest]
    return max(described, key=lambda one: ("II" in {standard_name(channel.name) for channel in one[1]}, len(one[1])))


def _sequence(found: Elements, *, name: str) -> Sequence[Elements]:
    items = found.items(_SEQUENCE)
    if not items:
        raise BadInputError(
            Reason.INCOMPLETE, f"{name} is a DICOM waveform without a multiplex group, so it has no signal. Export it again"
        )
    if len(items) > _MAX_GROUPS:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: {len(items)} multiplex groups; the limit is {_MAX_GROUPS:,}")
    return items


def _group(item: Elements, number: int, *, name: str) -> _Group:
    """Return what a multiplex group says of itself, once it is known that its samples are there."""
    where = f"{name}, multiplex group {number}"
    n_channels, n_samples, bits = item.count(_N_CHANNELS), item.count(_N_SAMPLES), item.count(_ALLOCATED)
    fs = item.number(_FS)
    if not fs or not fs > 0 or not n_channels or not n_samples:
        raise BadInputError(Reason.UNREADABLE, f"{where}: the sampling frequency, or the number of channels or samples, is missing or 0")
    kind = _KINDS.get((bits, item.text(_INTERPRETATION)))
    if kind is None:
        known = ", ".join(f"{width} bits {code}" for width, code in _KINDS)
        raise BadInputError(Reason.UNREADABLE, f"{where}: this kind of samples, with {bits} bits, is not supported; these are: {known}")
    if n_channels > _MAX_CHANNELS or n_channels * n_samples > MAX_VALUES:
        message = f"{where}: {n_samples:,} samples in each of {n_channels} channels; the limit is {MAX_VALUES:,} in all"
        raise BadInputError(Reason.TOO_LARGE, message)
    data = item.content(_DATA)
    promised = n_channels * n_samples * bits // 8
    if len(data) < promised:
        message = f"{where}: {len(data) * 8 // bits // n_channels:,} samples are there; its header says {n_samples:,}. Export it again"
        raise BadInputError(Reason.INCOMPLETE, message)
    if len(data) - promised > 1:  # an odd number of bytes is filled up by one
        message = f"{where}: {len(data) - promised:,} bytes follow the {n_samples:,} samples that its header gives"
        raise BadInputError(Reason.UNREADABLE, message)
    order = "<" if item.little_endian else ">"
    return _Group(
        item=item,
        fs=fs,
        n_samples=n_samples,
        n_channels=n_channels,
        bits=bits,
        kind=order + kind,
        data=data[:promised],
        number=number,
    )


def _channel(one: Elements, allocated: int, fs: float, place: int, *, name: str) -> _Channel:
    units = one.items(_UNITS)
    sensitivity, correction, baseline = one.number(_SENSITIVITY), one.number(_CORRECTION), one.number(_BASELINE)
    skews = {"time skew": one.number(_TIME_SKEW), "sample skew": one.number(_SAMPLE_SKEW), "offset": one.number(_OFFSET)}
    scales = {"sensitivity": sensitivity, "correction factor": correction, "baseline": baseline}
    for what, value in (scales | skews).items():
        if value is not None and math.isnan(value):
            raise BadInputError(Reason.UNREADABLE, f"{name}, channel {place}: the {what} is not a number")
    stored = one.count(_STORED)
    highpass, lowpass, notch = (value if (value := one.number(tag)) is not None and value >= 0 else None for tag in _FILTERS)
    return _Channel(
        name=_lead_name(one, place),
        sensitivity=1.0 if sensitivity is None else sensitivity,
        correction=1.0 if correction is None else correction,
        baseline=0.0 if baseline is None else baseline,
        units=units[0].text(_CODE) if units and sensitivity and correction != 0 else "no unit",
        bits=stored if 0 < stored < allocated else allocated,
        begins=fs * ((skews["time skew"] or 0) + (skews["offset"] or 0)) + (skews["sample skew"] or 0),
        filters=Filters(highpass_hz=highpass, lowpass_hz=lowpass, notch_hz=notch),
    )


def _lead_name(one: Elements, place: int) -> str:
    source = next(iter(one.items(_SOURCE)), None)
    value, scheme = ("", "") if source is None else (source.text(_CODE), source.text(_SCHEME))
    prefix = _SCHEMES.get(scheme)
    if prefix is None:
        return one.text(_LABEL) or f"channel {place}"
    code = value.removeprefix(prefix)
    number = int(code) if value.startswith(prefix) and code.isdecimal() and len(code) < 6 else 0  # noqa: PLR2004 - digits of a code
    return _LEADS.get(number, f"{scheme} {value[:20]}")


def _leads(group: _Group, channels: Sequence[_Channel], *, name: str) -> tuple[Lead, ...]:
    """Return the samples of a group, lead after lead, in each channel's unit; padding at an end is NaN."""
    begins = [channel.begins for channel in channels]
    if max(begins) - min(begins) >= 1:
        sentence = "its channels begin at different times (channel skew or offset); export leads that were recorded at the same time"
        raise BadInputError(Reason.UNREADABLE, f"{name}: {sentence}")
    raw = np.ascontiguousarray(np.frombuffer(group.data, dtype=group.kind).reshape(group.n_samples, group.n_channels).T)
    start, end = _padded(raw, group)
    leads = []
    for channel, stored in zip(channels, raw, strict=True):
        samples = _within_bits(stored, channel, name=f"{name}, lead {channel.name}").astype(np.float64)
        samples *= channel.sensitivity  # in pydicom's order, to the last bit
        samples *= channel.correction
        samples += channel.baseline
        samples[:start] = samples[end:] = np.nan
        leads.append(Lead(name=channel.name, units=channel.units, fs=group.fs, samples=samples))
    return tuple(leads)


def _padded(raw: NDArray[Any], group: _Group) -> tuple[int, int]:
    """Return where the samples begin behind padding, and where they end before it."""
    padding = group.item.content(_PADDING)[: raw.dtype.itemsize]
    if len(padding) < raw.dtype.itemsize:
        return 0, group.n_samples
    value = np.frombuffer(padding, dtype=raw.dtype)[0]
    others = np.flatnonzero((raw != value).any(axis=0))
    if not others.size:
        return 0, group.n_samples
    start, end = int(others[0]), int(others[-1]) + 1
    least = _PADDING_S * group.fs
    return start if start >= least else 0, end if group.n_samples - end >= least else group.n_samples


def _within_bits(stored: NDArray[Any], channel: _Channel, *, name: str) -> NDArray[Any]:
    """Return the samples of a channel that stores fewer bits than it takes: sign-extended as they should be, or made so."""
    if channel.bits == 8 * stored.dtype.itemsize:
        return stored
    low, high = int(stored.min()), int(stored.max())
    half = 1 << (channel.bits - 1)
    if stored.dtype.kind == "u":
        fits = high < 2 * half
    else:
        fits = -half <= low and high < half
        if not fits and low >= 0 and high < 2 * half:
            wide = stored.astype(np.int64)
            return np.where(wide >= half, wide - 2 * half, wide)
    if not fits:
        message = f"{name}: samples from {low} to {high} do not fit into the {channel.bits} bits that the file says it stores"
        raise BadInputError(Reason.OUT_OF_RANGE, message)
    return stored


def _patient(found: Elements, recorded: date | None) -> Patient:
    return metadata.person(
        id_text=found.text(_PATIENT_ID),
        issuer=found.text(_ISSUER),
        age=found.text(_AGE),
        born=metadata.day_of(metadata.timestamp(found.text(_BIRTH).replace(".", ""))),  # ACR-NEMA wrote 1990.01.31
        on=recorded,
        sex=found.text(_SEX),
    )


def _recorded(found: Elements) -> date | None:
    """Return when the recording began: its own moment, or the date and time of its content or study; None where none can be read.

    A moment without a time zone is in that of the whole file, where one is given.
    """
    moment, zone = found.text(_ACQUIRED), found.text(_ZONE)
    for text in (moment, *("".join(map(found.text, tags)) for tags in (_CONTENT, _STUDY))):
        for stamp in (text if "+" in text or "-" in text else f"{text}{zone}", text):
            if (read := metadata.timestamp(stamp)) is not None:
                return read
    return None


def _device(found: Elements) -> str | None:
    words = [word for tag in (_MANUFACTURER, _MODEL) if (word := found.text(tag)) and word.lower() != "unknown"]
    return metadata.line(*words)


def _filters(channels: Sequence[_Channel]) -> Filters:
    """Return the filters on which all channels agree."""
    same = {channel.filters for channel in channels}
    return same.pop() if len(same) == 1 else Filters()
