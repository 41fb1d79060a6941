"""Here: EDF, EDF+C and BDF files, through edfio. Not here: what a lead's name means (``signals.lead_names``).

edfio warns of a file that is cut off, and reads the parts of EDF+D as if there were no gaps between them. Both are refused here before
it reads anything, and every number of the header is held against the bytes that are there.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import metadata
from ecg_tasks.readers.base import Acquisition, Filters, Lead, OneFile, Patient, Reading, Recording
from ecg_tasks.readers.edf_blanking import ANNOTATIONS, FILTER, MONTHS, blanked_header, blanked_records
from ecg_tasks.readers.leads import MAX_VALUES
from ecg_tasks.signals.lead_names import lead_meant

_EDF, _BDF = b"0       ", b"\xffBIOSEMI"
_HEADER = 256
_FIELDS = {"patient": (8, 88), "recording": (88, 168), "date": (168, 176), "time": (176, 184), "header": (184, 192)}
_FIELDS |= {"reserved": (192, 236), "records": (236, 244), "duration": (244, 252), "signals": (252, 256)}
_SAMPLES_AT, _SAMPLES_WIDTH, _LABEL_WIDTH = 216, 8, 16
"""Of each signal, behind as many bytes of the other fields for all signals."""
_MAX_SIGNALS = 512
_DATE = re.compile(r"(\d{1,2})-([A-Za-z]{3})-(\d{4})", re.ASCII)
_SHORT = re.compile(r"(\d\d)[.:/\-](\d\d)[.:/\-](\d\d)", re.ASCII)
_FIRST_YEAR = 85
"""EDF's two digits of a year count from 1985; the first day of it stands where the date was taken out."""
_ECG = re.compile(r"\b(?:ecg|ekg)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class _Header:
    """What the first 256 bytes say, and the samples of each signal in a data record."""

    texts: Mapping[str, str]
    n_records: int
    duration_s: float
    samples: Sequence[int]


class EdfReader(OneFile):
    """Recordings in the European Data Format, and its 24-bit kin."""

    name = "edf"
    title = "an EDF or BDF recording"

    def knows(self, name: str, head: bytes) -> bool:  # noqa: ARG002 - the first bytes tell it
        """Tell a file by its version field and the number of its signals."""
        start, end = _FIELDS["signals"]
        return head.startswith((_EDF, _BDF)) and head[start:end].strip().isdigit()

    def read(self, files: Mapping[str, bytes], name: str) -> Reading:
        """Read every signal of a file but its annotations, in its own unit and at its own rate.

        The person is read from a patient field as EDF+ has it (id, sex, birth date, name); any other text there is left alone.

        Raises
        ------
        BadInputError
            ``incomplete`` with both counts where data records are missing; ``unreadable`` for EDF+D, whose parts have gaps between them;
            ``missing_lead`` for a file without an ECG; ``unit_unknown``; ``too_large``.
        """
        data = next(iter(files.values()))
        is_bdf = data.startswith(_BDF)
        header = _checked(data, bytes_per_sample=3 if is_bdf else 2, name=name)
        signals = _signals(data, header, is_bdf=is_bdf, name=name)
        recorded = _recorded(header.texts)
        acquisition = Acquisition(
            recorded=recorded,
            device=_equipment(header.texts["recording"]),
            filters=_filters(signals),
            source_format=("BDF" if is_bdf else "EDF") + ("+" if header.texts["reserved"].startswith(("EDF+", "BDF+")) else ""),
        )
        leads = tuple(_lead(signal, name=name) for signal in signals)
        patient = _patient(header.texts["patient"], metadata.day_of(recorded))
        return Reading(recordings=(Recording(name=name, leads=leads, patient=patient, acquisition=acquisition),))

    def deidentified(self, files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
        """Write a header of EDF+'s fields with sex, age and year alone, and blank the texts of annotations; the samples stay."""
        ((file, data),) = files.items()
        width = 3 if data.startswith(_BDF) else 2
        header = _checked(data, bytes_per_sample=width, name=name)
        (recording,) = self.read(files, name).recordings
        n_signals = len(header.samples)
        text = data[: _HEADER + _LABEL_WIDTH * n_signals].decode("latin-1")
        are_annotations = [text[at : at + _LABEL_WIDTH].strip() in ANNOTATIONS for at in range(_HEADER, len(text), _LABEL_WIDTH)]
        records = blanked_records(data[_HEADER * (1 + n_signals) :], [width * n for n in header.samples], are_annotations)
        return {file: blanked_header(data, n_signals, recording) + records}


def _checked(data: bytes, *, bytes_per_sample: int, name: str) -> _Header:
    if len(data) < _HEADER:
        raise BadInputError(
            Reason.INCOMPLETE, f"{name}: the file has {len(data):,} bytes, fewer than the {_HEADER} of a header. Upload it again"
        )
    texts = {field: data[start:end].decode("latin-1").strip() for field, (start, end) in _FIELDS.items()}
    if texts["reserved"].startswith(("EDF+D", "BDF+D")):
        sentence = (
            f"{name} is EDF+D: there are gaps between its parts, which is not supported. Export each part as a file of its own, as EDF+C"
        )
        raise BadInputError(Reason.UNREADABLE, sentence)
    n_signals = _number(texts["signals"], 1, _MAX_SIGNALS, "signals", name=name)
    n_bytes = _number(texts["header"], 0, 10**8, "bytes of the header", name=name)
    if n_bytes != _HEADER * (1 + n_signals):
        raise BadInputError(
            Reason.UNREADABLE,
            f"{name}: the header has {n_bytes:,} bytes for {n_signals} signals; it must have {_HEADER * (1 + n_signals):,}",
        )
    if len(data) < n_bytes:
        raise BadInputError(
            Reason.INCOMPLETE, f"{name}: the file has {len(data):,} bytes, fewer than the {n_bytes:,} of its header. Upload it again"
        )
    start = _HEADER + _SAMPLES_AT * n_signals
    ends = range(start + _SAMPLES_WIDTH, start + _SAMPLES_WIDTH * (n_signals + 1), _SAMPLES_WIDTH)
    fields = [data[end - _SAMPLES_WIDTH : end].decode("latin-1").strip() for end in ends]
    samples = [_number(field, 1, MAX_VALUES, "samples in a data record", name=name) for field in fields]
    promised = _promised(texts, len(data) - n_bytes, bytes_per_sample * sum(samples), name=name)
    if promised * sum(samples) > MAX_VALUES:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: {promised * sum(samples):,} samples in all signals; the limit is {MAX_VALUES:,}")
    try:
        duration = float(texts["duration"])
    except ValueError:
        duration = math.nan
    if promised == 0 or not 0 <= duration < math.inf:
        raise BadInputError(
            Reason.UNREADABLE, f"{name}: its header does not give the length of the data records, or says that there are none"
        )
    return _Header(texts=texts, n_records=promised, duration_s=duration, samples=samples)


def _promised(texts: Mapping[str, str], n_bytes: int, size: int, *, name: str) -> int:
    """Return the number of data records, all of which are there: so many bytes of them, of this size each."""
    promised = _number(texts["records"], -1, 10**8, "data records", name=name)
    there, rest = divmod(n_bytes, size)
    if promised < 0:
        sentence = (
            f"{name}: its header does not say how many data records it has, as in a recording "
            f"that has not ended; {there} are there. Export it again"
        )
        raise BadInputError(Reason.INCOMPLETE, sentence)
    if there < promised:
        raise BadInputError(Reason.INCOMPLETE, f"{name}: {there:,} data records are there; its header says {promised:,}. Upload it again")
    if there > promised or rest:
        message = f"{name}: {n_bytes - promised * size:,} bytes follow the {promised:,} data records that its header gives"
        raise BadInputError(Reason.UNREADABLE, message)
    return promised


def _signals(data: bytes, header: _Header, *, is_bdf: bool, name: str) -> list[Any]:
    """Return the signals of a file as edfio gives them, without annotations.

    Raises
    ------
    BadInputError
        ``missing_lead`` where none of them can be an ECG.
    """
    import edfio

    text = data[: _HEADER * (1 + len(header.samples))].decode("latin-1")
    labels = [text[at : at + _LABEL_WIDTH].strip() for at in range(_HEADER, _HEADER + _LABEL_WIDTH * len(header.samples), _LABEL_WIDTH)]
    labels = [label for label in labels if label not in ANNOTATIONS]
    if not any(_ECG.search(label) or lead_meant(label) for label in labels):
        shown = ", ".join(labels)[:400] or "only annotations"
        raise BadInputError(Reason.MISSING_LEAD, f"{name} has no ECG: its signals are {shown}")
    if header.duration_s == 0:
        raise BadInputError(Reason.UNREADABLE, f"{name}: its data records last 0 s, so its signals have no sampling rate")
    try:
        read = edfio.read_bdf if is_bdf else edfio.read_edf
        return [one for one in read(data, header_encoding="latin-1").signals if one.label not in ANNOTATIONS]
    except Exception as error:  # noqa: BLE001 - edfio raises whatever its parsing runs into, all of it the file's doing
        raise BadInputError(Reason.UNREADABLE, f"{name}: edfio cannot read it ({type(error).__name__})") from None


def _lead(signal: Any, *, name: str) -> Lead:
    try:
        bounds = (signal.digital_min, signal.digital_max, signal.physical_min, signal.physical_max)
    except ValueError:
        raise BadInputError(Reason.UNREADABLE, f"{name}: the range of signal {signal.label} cannot be read") from None
    low, high, lowest, highest = bounds
    units = signal.physical_dimension
    if low == high or lowest == highest or not all(math.isfinite(bound) for bound in bounds):
        units, samples = "uncalibrated", np.asarray(signal.digital, dtype=np.float64)
    else:
        samples = signal.data
    return Lead(name=signal.label, units=units, fs=signal.sampling_frequency, samples=samples)


def _patient(text: str, recorded: date | None) -> Patient:
    """Return the person in a patient field of EDF+, ``id sex birth date name``; an unknown one for any other."""
    parts = text.split()
    if len(parts) < 4 or parts[1] not in {"F", "M", "X"} or not (parts[2] == "X" or _date(parts[2])):  # noqa: PLR2004 - fields of EDF+
        return Patient()
    return metadata.person(id_text=parts[0].replace("_", " "), born=_date(parts[2]), on=recorded, sex=parts[1])


def _recorded(texts: Mapping[str, str]) -> date | None:
    """Return when a recording began: by the date of EDF+ with its four-digit year, or else by the header; None where it was taken out."""
    short, clock = _SHORT.fullmatch(texts["date"]), _SHORT.fullmatch(texts["time"])
    words = texts["recording"].split()
    stated = words[1] if len(words) > 1 and words[0] == "Startdate" else ""
    day = _date(stated)
    if day is None and short is not None and stated != "X":
        day_of_month, month, year = (int(part) for part in short.groups())
        day = metadata.day(year + (1900 if year >= _FIRST_YEAR else 2000), month, day_of_month)
        day = None if day == date(1900 + _FIRST_YEAR, 1, 1) else day
    return metadata.moment(day, *(clock.groups() if clock else ("", "", "")))


def _date(text: str) -> date | None:
    found = _DATE.fullmatch(text)
    if found is None or found[2].upper() not in MONTHS:
        return None
    return metadata.day(found[3], MONTHS.index(found[2].upper()) + 1, found[1])


def _equipment(text: str) -> str | None:
    """Return the device in a recording field of EDF+: its fourth word behind ``Startdate``."""
    words = text.split()
    known = len(words) > 4 and words[0] == "Startdate" and words[4] != "X"  # noqa: PLR2004 - date, examination, technician
    return metadata.line(words[4].replace("_", " ")) if known else None


def _filters(signals: Sequence[Any]) -> Filters:
    """Return the filters on which all leads agree, as EDF+ writes them: ``HP:0.05Hz LP:150Hz N:50Hz``."""
    texts = {one.prefiltering for one in signals if _ECG.search(one.label) or lead_meant(one.label)}
    if len(texts) != 1:
        return Filters()
    found = {kind.upper(): 0.0 if value.upper() == "DC" else float(value.replace(",", ".")) for kind, value in FILTER.findall(texts.pop())}
    return Filters(highpass_hz=found.get("HP"), lowpass_hz=found.get("LP"), notch_hz=found.get("N"))


def _number(text: str, least: int, most: int, what: str, *, name: str) -> int:
    value = int(text) if re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII) else None
    if value is None or not least <= value <= most:
        found = "something that is not a number" if value is None else value  # what else stands there may be a part of somebody's name
        raise BadInputError(
            Reason.UNREADABLE, f"{name}: its header gives {found} as the number of {what}; it must be {least:,} to {most:,}"
        )
    return value
