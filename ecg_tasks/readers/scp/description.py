"""Here: the person, the device and the filters of section 1 of an SCP-ECG file. Not here: its tags as bytes (``sections``)."""

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType

from ecg_tasks.readers import metadata
from ecg_tasks.readers.base import Acquisition, Filters, Patient

_AGE_UNITS = MappingProxyType({1: "years", 2: "months", 3: "weeks", 4: "days"})
_SEXES = MappingProxyType({b"\1": "male", b"\2": "female"})
_KIND, _MODEL, _PROTOCOL = slice(6, 8), slice(8, 14), slice(14, 15)
_MAKER = (7, 36, 4)
"""In tag 14: the maker's number, where its texts begin, and which of them is the maker's name."""
_MAKERS = (
    *("", "Burdick", "Cambridge", "Compumed", "Datamed", "Fukuda", "Hewlett-Packard", "Marquette", "Mortara", "Nihon Kohden", "Okin"),
    *("Quinton", "Siemens", "Spacelabs", "Telemed", "Hellige", "ESAOTE", "Schiller", "Picker-Schwarzer", "Elettronica Trentina", "Zwönitz"),
)


def patient_of(tags: Mapping[int, bytes]) -> Patient:
    """Return the person: tags 2 (id), 4 (age), 5 (date of birth) and 8 (sex)."""
    age = tags.get(4, b"")
    years, unit = int.from_bytes(age[:2], "little"), age[2] if len(age) > 2 else 0  # noqa: PLR2004 - the unit's byte
    return metadata.person(
        id_text=_text(tags.get(2, b"")),
        age=f"{years} {_AGE_UNITS[unit]}" if years and unit in _AGE_UNITS else "",
        born=day_of(tags.get(5, b"")),
        on=day_of(tags.get(25, b"")),
        sex=_SEXES.get(tags.get(8, b"")[:1], ""),
    )


def acquisition_of(tags: Mapping[int, bytes], *, revision: float) -> Acquisition:
    """Return when and with what the ECG was recorded: tags 14 (device), 25, 26 and 34 (time), and 27 to 29 (filters)."""
    return Acquisition(
        recorded=_moment(day_of(tags.get(25, b"")), tags),
        device=_device(tags.get(14, b"")),
        filters=_filters(tags),
        source_format=f"SCP-ECG {revision:.1f}",
    )


def _moment(on: date | None, tags: Mapping[int, bytes]) -> date | None:
    """Return when the ECG was recorded, with the time zone where tag 34 gives one; the day alone where the time is not known."""
    clock = tags.get(26, b"")
    found = metadata.moment(on, *clock[:3]) if len(clock) > 2 else on  # noqa: PLR2004 - hours, minutes, seconds
    zone = tags.get(34, b"")
    offset = int.from_bytes(zone[:2], "little", signed=True) if len(zone) > 1 else None
    return found.replace(tzinfo=metadata.zone_of(offset)) if isinstance(found, datetime) and offset is not None else found


def _device(tag: bytes) -> str | None:
    number, texts, which = _MAKER
    named = tag[texts:].split(b"\0")
    maker = _text(named[which]) if len(named) > which else ""
    if not maker and len(tag) > number and tag[number] < len(_MAKERS):
        maker = _MAKERS[tag[number]]
    return metadata.line(maker, _text(tag[_MODEL]))


def _filters(tags: Mapping[int, bytes]) -> Filters:
    """Return the filters: the high-pass filter in hundredths of a Hz, the mains filter as bits; 0 stands where writers know nothing."""
    highpass, lowpass, bits = (tags.get(tag, b"") for tag in (27, 28, 29))
    mains = {0: 0.0, 1: 60.0, 2: 50.0}.get(bits[0] & 3) if bits else None
    return Filters(
        highpass_hz=int.from_bytes(highpass[:2], "little") / 100 or None,
        lowpass_hz=float(int.from_bytes(lowpass[:2], "little")) or None,
        notch_hz=mains,
    )


def device_without_serial_number(tag: bytes) -> bytes:
    """Return tag 14 with nothing but the kinds of device and protocol, the maker and the model."""
    _, texts, which = _MAKER
    kept = bytearray(texts)
    for part in (_KIND, _MODEL, _PROTOCOL):
        kept[part] = tag[part].ljust(part.stop - part.start, b"\0")
    named = tag[texts:].split(b"\0")
    kept[texts - 1] = 1  # the length of the first text, with its end
    return bytes(kept) + bytes(which) + (named[which] if len(named) > which else b"") + b"\0"


def day_of(value: bytes) -> date | None:
    """Return the day that a tag holds; None where it holds none."""
    return metadata.day(int.from_bytes(value[:2], "little"), value[2], value[3]) if len(value) > 3 else None  # noqa: PLR2004 - year, month, day


def _text(value: bytes) -> str:
    return value.split(b"\0")[0].decode("latin-1").strip()
