"""Here: the rhythm of an SCP-ECG file, from its sections. Not here: the sections (``sections``), their codes (``huffman``).

References
----------
EN 1064:2020 (ISO 11073-91064), Standard communication protocol: computer-assisted electrocardiography.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.base import Lead, OneFile, Reading, Recording
from ecg_tasks.readers.scp.blanking import file_of, tags_without_identifiers
from ecg_tasks.readers.scp.description import acquisition_of, patient_of
from ecg_tasks.readers.scp.huffman import HuffmanTable, decode, read_tables, size_of_codes, size_of_tables, summed
from ecg_tasks.readers.scp.sections import begins_as_scp, read_sections, read_tags

_OF_TAGS, _OF_TABLES, _OF_LEADS, _OF_RHYTHM = 1, 2, 3, 6
"""Numbers of sections."""
_LEAD = struct.Struct("<IIB")
_RHYTHM = struct.Struct("<HHBB")
MAX_SCP_SAMPLES = 2**21
"""Of all leads together: twelve leads for nearly six minutes at 500 Hz; what 16 bits count of each lead's bytes is less as a rule."""

_LEADS = MappingProxyType(
    {1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF", 65: "-aVR", 66: "V8", 67: "V9", 68: "V8R", 69: "V9R"}
    | {2 + number: f"V{number}" for number in range(1, 8)}
    | {8 + number: f"V{number}R" for number in range(2, 8)}
    | {16: "X", 17: "Y", 18: "Z"}
)
_DIFFERENCES = (0, 1, 2)
_SUBTRACTED = 0x01


@dataclass(frozen=True, kw_only=True)
class _LeadSpan:
    """A lead of section 3 and its first and last sample, counted from 1 on the same clock."""

    first: int
    last: int
    code: int

    @property
    def n_samples(self) -> int:
        return self.last - self.first + 1


class ScpEcgReader(OneFile):
    """SCP-ECG without reference-beat subtraction and without bimodal compression."""

    name = "scp_ecg"
    title = "an SCP-ECG file"

    def knows(self, name: str, head: bytes) -> bool:  # noqa: ARG002 - the first section tells
        """Tell whether a file begins with section 0."""
        return begins_as_scp(head)

    def read(self, files: Mapping[str, bytes], name: str) -> Reading:
        """Read the rhythm of section 6; the sampling rate is that of the interval in µs, so 1,667 µs are 599.88 Hz.

        Raises
        ------
        BadInputError
            ``checksum_mismatch`` of the file or a section; ``incomplete`` with both counts; ``unreadable`` where sections are not as the
            standard has them, and for compression that is not read; ``unit_unknown`` without amplitude value; ``too_large``.
        """
        data = next(iter(files.values()))
        sections = read_sections(data, name=name)
        leads = _leads(sections.contents, name=name)
        tags = read_tags(sections.contents.get(_OF_TAGS, b""), name=name)
        made = acquisition_of(tags, revision=sections.revision)
        return Reading(recordings=(Recording(name=name, leads=leads, patient=patient_of(tags), acquisition=made),))

    def deidentified(self, files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
        """Write the rhythm again, with sex, age, year, device and filters; other sections and tags are left out."""
        ((file, data),) = files.items()
        found = read_sections(data, name=name)
        contents = found.contents
        tags = read_tags(contents.get(_OF_TAGS, b""), name=name)
        kept = {_OF_TAGS: tags_without_identifiers(tags, patient_of(tags))}
        n_leads = contents[_OF_LEADS][0]
        if _OF_TABLES in contents:
            kept[_OF_TABLES] = contents[_OF_TABLES][: size_of_tables(contents[_OF_TABLES])]
        kept[_OF_LEADS] = contents[_OF_LEADS][: 2 + _LEAD.size * n_leads]
        rhythm = contents[_OF_RHYTHM]
        tables = read_tables(contents[_OF_TABLES], name=name) if _OF_TABLES in contents else ()
        leads = zip(_packed(rhythm, n_leads=n_leads, name=name), _spans(contents[_OF_LEADS], name=name), strict=True)
        packed = [one[: _size_of(one, tables, n_samples=span.n_samples, name=name)] for one, span in leads]
        sizes = struct.pack(f"<{n_leads}H", *map(len, packed))
        kept[_OF_RHYTHM] = rhythm[: _RHYTHM.size] + sizes + b"".join(packed)
        return {file: file_of(kept, revision=round(10 * found.revision))}


def _leads(sections: Mapping[int, bytes], *, name: str) -> tuple[Lead, ...]:
    for number, holds in ((_OF_LEADS, "the leads"), (_OF_RHYTHM, "the rhythm")):
        if number not in sections:
            raise BadInputError(Reason.UNREADABLE, f"{name}: section {number}, {holds}, is missing; export the ECG with its rhythm")
    spans = _spans(sections[_OF_LEADS], name=name)
    per_step_nv, interval_us, order = _checked_rhythm(sections[_OF_RHYTHM], n_leads=len(spans), name=name)
    tables = read_tables(sections[_OF_TABLES], name=name) if _OF_TABLES in sections else ()
    begin, end = min(span.first for span in spans), max(span.last for span in spans)
    leads = []
    for number, (span, packed) in enumerate(zip(spans, _packed(sections[_OF_RHYTHM], n_leads=len(spans), name=name), strict=True), start=1):
        values = _values(packed, tables, n_samples=span.n_samples, what=f"lead {number} of {len(spans)}", name=name)
        counts = _placed(summed(values, order=order), span, begin=begin, end=end)
        lead = _LEADS.get(span.code, f"SCP lead {span.code}")
        leads.append(Lead(name=lead, units="uV", fs=1_000_000 / interval_us, samples=counts * (per_step_nv / 1000)))
    return tuple(leads)


def _checked_rhythm(section: bytes, *, n_leads: int, name: str) -> tuple[int, int, int]:
    """Return the amplitude of a step in nV, the interval between samples in µs, and the order of the differences."""
    if len(section) < _RHYTHM.size + 2 * n_leads:
        raise BadInputError(Reason.INCOMPLETE, f"{name}: section 6 has {len(section):,} bytes, too few for {n_leads} leads")
    per_step_nv, interval_us, order, is_bimodal = _RHYTHM.unpack_from(section)
    if is_bimodal:
        raise BadInputError(
            Reason.UNREADABLE, f"{name}: bimodal compression is not supported; export the ECG without it, or in another format"
        )
    if order not in _DIFFERENCES or not interval_us:
        raise BadInputError(
            Reason.UNREADABLE,
            f"{name}: section 6 has differences of order {order}, a sample every {interval_us} us, which is not supported",
        )
    if not per_step_nv:
        raise BadInputError(Reason.UNIT_UNKNOWN, f"{name}: section 6 gives no amplitude value, so its samples cannot be converted to mV")
    return per_step_nv, interval_us, order


def _packed(section: bytes, *, n_leads: int, name: str) -> Iterator[bytes]:
    """Yield the bytes of each lead."""
    sizes = struct.unpack_from(f"<{n_leads}H", section, _RHYTHM.size)
    at = _RHYTHM.size + 2 * n_leads
    if sum(sizes) > len(section) - at:
        raise BadInputError(
            Reason.INCOMPLETE, f"{name}: section 6 has {len(section) - at:,} bytes for the leads, which need {sum(sizes):,}"
        )
    for size in sizes:
        yield section[at : at + size]
        at += size


def _values(packed: bytes, tables: Sequence[HuffmanTable], *, n_samples: int, what: str, name: str) -> NDArray[np.int64]:
    if tables:
        return decode(packed, tables, n_samples=n_samples, what=what, name=name)
    if len(packed) < 2 * n_samples:
        raise BadInputError(Reason.INCOMPLETE, f"{name}: {what} has {len(packed) // 2:,} samples; section 3 says {n_samples:,}")
    return np.frombuffer(packed, dtype="<i2", count=n_samples).astype(np.int64)


def _size_of(packed: bytes, tables: Sequence[HuffmanTable], *, n_samples: int, name: str) -> int:
    """Return how many bytes of a lead are read."""
    return size_of_codes(packed, tables, n_samples=n_samples, what="a lead", name=name) if tables else 2 * n_samples


def _spans(section: bytes, *, name: str) -> list[_LeadSpan]:
    n_leads, flags = section[:1], section[1:2]
    there = (len(section) - 2) // _LEAD.size
    if not n_leads or not n_leads[0] or there < n_leads[0]:
        raise BadInputError(
            Reason.INCOMPLETE, f"{name}: section 3 has {max(there, 0)} leads; it says that there are {n_leads[0] if n_leads else 'some'}"
        )
    if flags[0] & _SUBTRACTED:
        sentence = (
            "reference beats are subtracted from its rhythm, which is not supported; export the ECG without that, or in another format"
        )
        raise BadInputError(Reason.UNREADABLE, f"{name}: {sentence}")
    spans = [
        _LeadSpan(**dict(zip(("first", "last", "code"), _LEAD.unpack_from(section, 2 + _LEAD.size * lead), strict=True)))
        for lead in range(n_leads[0])
    ]
    if any(not 0 < span.first <= span.last for span in spans):
        raise BadInputError(Reason.UNREADABLE, f"{name}: section 3 has a lead that ends before it begins")
    n_values = len(spans) * (max(span.last for span in spans) - min(span.first for span in spans) + 1)
    if n_values > MAX_SCP_SAMPLES:
        raise BadInputError(
            Reason.TOO_LARGE, f"{name}: {n_values:,} samples in all leads; the limit of an SCP-ECG file is {MAX_SCP_SAMPLES:,}"
        )
    return spans


def _placed(counts: NDArray[np.int64], span: _LeadSpan, *, begin: int, end: int) -> NDArray[np.float64]:
    """Place a lead on the clock of all: missing before it begins and after it ends."""
    if (span.first, span.last) == (begin, end):
        return counts.astype(np.float64)
    placed = np.full(end - begin + 1, np.nan)
    placed[span.first - begin : span.last - begin + 1] = counts
    return placed
