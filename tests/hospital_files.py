"""Here: recordings written in the formats of hospitals, from the words of their specifications, not from our readers' code.

Not here: reading them. Every file is of one made person; none was measured on anybody.
"""

import base64
import binascii
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from benchmarks.written_files import Made, wfdb
from ecg_tasks.readers.base import Filters
from ecg_tasks.signals.record import STANDARD_LEADS

STORED_BY_MUSE = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
PERSON = "PERSON-4711"
WORDS_OF_THE_PERSON = (PERSON, "Mustermann", "Erika", "19530508")
"""What must stand in no message."""
RECORDED = datetime.fromisoformat("2002-11-22T09:10:11")
AGE = 49.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Strip:
    """A recording: ``counts`` of shape (n_leads, n_samples), each of ``step_nv`` nV, at ``fs`` Hz."""

    counts: np.ndarray
    leads: tuple[str, ...] = STANDARD_LEADS
    step_nv: int = 2500
    fs: float = 500.0

    @property
    def uv(self) -> np.ndarray:
        """The samples in µV."""
        return self.counts * (self.step_nv / 1000)


def strip(*, leads: Sequence[str] = STANDARD_LEADS, seconds: float = 10.0, fs: float = 500.0, step_nv: int = 2500, seed: int = 0) -> Strip:
    """Make beats of some 75 a minute, each lead with sizes of its own and a little noise."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * fs)) / fs
    phase = (times * 1.25) % 1.0
    wave = np.exp(-(((phase - 0.3) / 0.012) ** 2)) + 0.25 * np.exp(-(((phase - 0.55) / 0.04) ** 2))
    uv = 900 * wave * rng.uniform(0.4, 1.2, (len(leads), 1)) + 12 * rng.standard_normal((len(leads), times.size))
    return Strip(counts=np.rint(uv / (step_nv / 1000)).astype(np.int64), leads=tuple(leads), fs=fs, step_nv=step_nv)


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format: how it is written, by which reader it is read, and what it can say beside the signals."""

    reader: str
    write: Callable[[Strip], bytes]
    suffix: str
    strip: Strip
    device: str | None
    filters: Filters
    source_format: str
    issuer: str | None = None


def muse(of: Strip, *, changes: Sequence[tuple[str, str]] = (), crc: bool = True) -> bytes:
    """Write MUSE's XML: median beats first, as MUSE does, then the rhythm. ``changes`` are made in the text, each where it comes first."""

    def lead(name: str, counts: np.ndarray) -> str:
        data = counts.astype("<i2").tobytes()
        return f"""<LeadData><LeadByteCountTotal>{len(data)}</LeadByteCountTotal><LeadTimeOffset>0</LeadTimeOffset>
<LeadSampleCountTotal>{len(counts)}</LeadSampleCountTotal><LeadAmplitudeUnitsPerBit>{of.step_nv / 1000:g}</LeadAmplitudeUnitsPerBit>
<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadHighLimit>32767</LeadHighLimit><LeadLowLimit>-32768</LeadLowLimit>
<LeadID>{name}</LeadID><LeadOffsetFirstSample>0</LeadOffsetFirstSample><FirstSampleBaseline>0</FirstSampleBaseline>
<LeadSampleSize>2</LeadSampleSize><LeadOff>FALSE</LeadOff><BaselineSway>FALSE</BaselineSway>
{f"<LeadDataCRC32>{zlib.crc32(data)}</LeadDataCRC32>" * crc}<WaveFormData>
{base64.encodebytes(data).decode()}</WaveFormData></LeadData>"""

    def waveform(kind: str, counts: np.ndarray) -> str:
        leads = "\n".join(lead(name, row) for name, row in zip(of.leads, counts, strict=True))
        return f"""<Waveform><WaveformType>{kind}</WaveformType><WaveformStartTime>0</WaveformStartTime>
<NumberofLeads>{len(of.leads)}</NumberofLeads><SampleType>CONTINUOUS_SAMPLES</SampleType><SampleBase>{of.fs:g}</SampleBase>
<SampleExponent>0</SampleExponent><HighPassFilter>5</HighPassFilter><LowPassFilter>150</LowPassFilter><ACFilter>50</ACFilter>
{leads}</Waveform>"""

    text = f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<!DOCTYPE RestingECG SYSTEM "restecg.dtd">
<RestingECG><MuseInfo><MuseVersion>9.0</MuseVersion></MuseInfo>
<PatientDemographics><PatientID>{PERSON}</PatientID><PatientAge>49</PatientAge><AgeUnits>YEARS</AgeUnits>
<DateofBirth>05-08-1953</DateofBirth><Gender>MALE</Gender><PatientLastName>Mustermann</PatientLastName>
<PatientFirstName>Erika</PatientFirstName></PatientDemographics>
<TestDemographics><DataType>RESTING</DataType><SiteName>Müller</SiteName><AcquisitionDevice>MAC55</AcquisitionDevice>
<AcquisitionTime>09:10:11</AcquisitionTime><AcquisitionDate>11-22-2002</AcquisitionDate></TestDemographics>
<Diagnosis><DiagnosisStatement><StmtText>Confirmed by Mustermann</StmtText></DiagnosisStatement></Diagnosis>
{waveform("Median", of.counts[:, :600])}
{waveform("Rhythm", of.counts)}
</RestingECG>
"""
    return _changed(text, changes).encode("latin-1")


def aecg(of: Strip, *, changes: Sequence[tuple[str, str]] = (), kind: str = "SLIST_PQ") -> bytes:
    """Write HL7 aECG: the rhythm, and representative beats derived from it that have the same codes."""

    def sequences(counts: np.ndarray) -> str:
        return "\n".join(
            f"""<component><sequence><code code="MDC_ECG_LEAD_{name.upper()}" codeSystem="2.16.840.1.113883.6.24"/>
<value xsi:type="{kind}"><origin value="0" unit="uV"/><scale value="{of.step_nv / 1000:g}" unit="uV"/>
<digits>{" ".join(map(str, row.tolist()))}</digits></value></sequence></component>"""
            for name, row in zip(of.leads, counts, strict=True)
        )

    def times(code: str, kind: str, head: str) -> str:
        return f"""<component><sequence><code code="{code}" codeSystem="2.16.840.1.113883.5.4"/>
<value xsi:type="{kind}"><head {head}/><increment value="{1 / of.fs:g}" unit="s"/></value></sequence></component>"""

    def filtered(which: str, what: str, value: float) -> str:
        return f"""<controlVariable><controlVariable><code code="MDC_ECG_CTL_VBL_ATTR_FILTER_{which}"/><component><controlVariable>
<code code="MDC_ECG_CTL_VBL_ATTR_FILTER_{what}"/><value xsi:type="PQ" value="{value:g}" unit="Hz"/>
</controlVariable></component></controlVariable></controlVariable>"""

    text = f"""<?xml version="1.0" encoding="UTF-8"?>
<!-- <RestingECG> is no root here -->
<AnnotatedECG xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" type="Observation">
<id root="61d1a24f-b47e-41aa-ae95-f8ac302f4eeb"/><code code="93000" codeSystem="2.16.840.1.113883.6.12"/>
<effectiveTime><center value="20021122091011"/></effectiveTime>
<componentOf><timepointEvent><componentOf><subjectAssignment><subject><trialSubject>
<id root="1.2.3.400" extension="{PERSON}"/><subjectDemographicPerson><name>Erika Mustermann</name>
<administrativeGenderCode code="M" codeSystem="2.16.840.1.113883.5.1"/><birthTime value="19530508"/></subjectDemographicPerson>
</trialSubject></subject></subjectAssignment></componentOf></timepointEvent></componentOf>
<component><series><code code="RHYTHM" codeSystem="2.16.840.1.113883.5.4"/>
<effectiveTime><low value="20021122091011"/><high value="20021122091021"/></effectiveTime>
<author><seriesAuthor><manufacturedSeriesDevice><manufacturerModelName>ELI 250</manufacturerModelName></manufacturedSeriesDevice>
<manufacturerOrganization><name>Mortara</name></manufacturerOrganization></seriesAuthor></author>
{filtered("LOW_PASS", "CUTOFF_FREQ", 150)}{filtered("HIGH_PASS", "CUTOFF_FREQ", 0.05)}{filtered("NOTCH", "NOTCH_FREQ", 50)}
<component><sequenceSet>
{times("TIME_ABSOLUTE", "GLIST_TS", 'value="20021122091011.000"')}
{sequences(of.counts)}
</sequenceSet></component>
<derivation><derivedSeries><code code="REPRESENTATIVE_BEAT" codeSystem="2.16.840.1.113883.5.4"/>
<component><sequenceSet>{times("TIME_RELATIVE", "GLIST_PQ", 'value="0" unit="s"')}{sequences(of.counts[:, :600])}</sequenceSet></component>
</derivedSeries></derivation></series></component></AnnotatedECG>
"""
    return _changed(text, changes).encode()


def cardiosoft(of: Strip, *, changes: Sequence[tuple[str, str]] = ()) -> bytes:
    """Write CardioSoft's XML: median beats first, then the strip."""

    def waveforms(counts: np.ndarray) -> str:
        return "\n".join(
            f'<WaveformData lead="{name}">\n\t\t{",".join(map(str, row.tolist()))}</WaveformData>'
            for name, row in zip(of.leads, counts, strict=True)
        )

    def sizes(counts: np.ndarray) -> str:
        return f"""<NumberOfLeads>{len(of.leads)}</NumberOfLeads><SampleRate units="Hz">{of.fs:g}</SampleRate>
<ChannelSampleCountTotal>{counts.shape[1]}</ChannelSampleCountTotal><Resolution units="uVperLsb">{of.step_nv / 1000:g}</Resolution>"""

    text = f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<CardiologyXML><ObservationType>RestECG</ObservationType>
<ObservationDateTime><Hour>9</Hour><Minute>10</Minute><Second>11</Second><Day>22</Day><Month>11</Month><Year>2002</Year>
</ObservationDateTime><ClinicalInfo><DeviceInfo><Desc>CardioSoft</Desc><SoftwareVer>V6.73</SoftwareVer></DeviceInfo></ClinicalInfo>
<PatientInfo><PID>{PERSON}</PID><Name><FamilyName>Mustermann</FamilyName><GivenName>Erika</GivenName></Name>
<Age units="years">49</Age><BirthDateTime><Day>8</Day><Month>5</Month><Year>1953</Year></BirthDateTime><Gender>MALE</Gender></PatientInfo>
<FilterSetting><CubicSpline>yes</CubicSpline><Filter50Hz>yes</Filter50Hz><Filter60Hz>no</Filter60Hz>
<LowPass units="Hz">150</LowPass><HighPass units="Hz">0.05</HighPass></FilterSetting>
<RestingECGMeasurements><MedianSamples>{sizes(of.counts[:, :600])}{waveforms(of.counts[:, :600])}</MedianSamples></RestingECGMeasurements>
<StripData>{sizes(of.counts)}
{waveforms(of.counts)}
</StripData></CardiologyXML>
"""
    return _changed(text, changes).encode("latin-1")


def philips(of: Strip, *, changes: Sequence[tuple[str, str]] = (), packed: bytes | None = None, encoding: str = "utf-16") -> bytes:
    """Write Philips' XML 1.04 in UTF-16: the rhythm, a second with a calibration pulse of 1 mV in every lead, and median beats."""
    n_second = round(of.fs)
    pulse = np.zeros(n_second, dtype=np.int64)
    pulse[round(0.7 * n_second) : round(0.9 * n_second)] = round(1e6 / of.step_nv)
    counts = np.hstack([of.counts, np.tile(pulse, (len(of.leads), 1))])
    waveforms = base64.encodebytes(xli(counts) if packed is None else packed).decode()
    text = f"""<?xml version="1.0" encoding="{encoding}"?>
<restingecgdata status="Await confirm" xmlns="http://www3.medical.philips.com">
<documentinfo><documenttype>PhilipsECG</documenttype><documentversion>1.04</documentversion></documentinfo>
<reportinfo><reportbandwidth><highpassfiltersetting>0.5</highpassfiltersetting></reportbandwidth></reportinfo>
<dataacquisition date="2002-11-22" time="09:10:11"><machine machineid="EKG1">PageWriter Touch</machine>
<acquirer><operator id="Mustermann"/></acquirer>
<signalcharacteristics><samplingrate>{of.fs:g}</samplingrate><resolution>{of.step_nv / 1000:g}</resolution><hipass>0.05</hipass>
<lowpass>150</lowpass><acsetting>50</acsetting><notchfiltered>True</notchfiltered><notchfilterfreqs/>
<acquisitiontype>10-WIRE</acquisitiontype><numberchannelsallocated>{len(of.leads)}</numberchannelsallocated></signalcharacteristics>
</dataacquisition>
<patient><generalpatientdata><patientid>{PERSON}</patientid><name><lastname>Mustermann</lastname><firstname>Erika</firstname></name>
<age defaultage="50"><dateofbirth>1953-05-08</dateofbirth></age><sex>Male</sex></generalpatientdata></patient>
<waveforms><parsedwaveforms dataencoding="Base64" compression="XLI" numberofleads="{len(of.leads)}" leadlabels="{" ".join(of.leads)}"
 durationperchannel="{1000 * counts.shape[1] / of.fs:g}" samplespersecond="{of.fs:g}" resolution="{of.step_nv / 1000:g}">
{waveforms}</parsedwaveforms>
<repbeats dataencoding="Base64"><repbeat leadname="II">
<waveform duration="4">AAAAAA==</waveform></repbeat></repbeats></waveforms></restingecgdata>
"""
    return _changed(text, changes).encode(encoding)


def xli(counts: np.ndarray) -> bytes:
    """Pack leads, shape (n_leads, n_samples), as Philips does: what is left of the limb leads, second differences, LZW of ten bits."""
    one, two, three, avr, avl, avf = counts[:6]
    left = (two - one - three, -avr - (one + two) // 2, (one - three) // 2 - avl, (two + three) // 2 - avf)
    chunks = []
    for row in (one, two, *left, *counts[6:]):
        turns = 2 * row[1:-1] - row[:-2] - row[2:]
        stored = np.concatenate([row[:2], turns[1:] + 64, [64]]).astype(np.int64) & 0xFFFF
        codes = lzw(np.concatenate([stored >> 8, stored & 0xFF]).astype(np.uint8).tobytes())
        chunks.append(struct.pack("<iHh", len(codes), 1, int(turns[0])) + codes)
    return b"".join(chunks)


def lzw(data: bytes) -> bytes:
    """Pack bytes as LZW codes of ten bits, at most 1,023 strings, first bit first."""
    known = {bytes([byte]): byte for byte in range(256)}
    codes: list[int] = []
    string = b""
    for byte in data:
        longer = string + bytes([byte])
        if longer in known:
            string = longer
            continue
        codes.append(known[string])
        if len(known) < 1023:
            known[longer] = len(known)
        string = bytes([byte])
    codes.append(known[string])
    bits = "".join(f"{code:010b}" for code in codes)
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


@dataclass(frozen=True, kw_only=True)
class Scp:
    """How an SCP-ECG file is written: differences of this order, by the standard's codes or by ``tables``, or plain without either."""

    order: int = 2
    packed: bool = True
    tables: bytes = struct.pack("<H", 19999)
    encode: Callable[[np.ndarray], bytes] | None = None
    interval_us: int = 2000
    first: tuple[int, ...] = ()
    flags: int = 0x64
    bimodal: int = 0
    tags: tuple[tuple[int, bytes], ...] = ()
    sections: tuple[int, ...] = (1, 2, 3, 6)


def scp(of: Strip, how: Scp | None = None) -> bytes:
    """Write SCP-ECG 2.0 with right checksums."""
    how = how or Scp()
    codes = {"I": 1, "II": 2, "V3R": 11, "V7": 9, "III": 61, "aVR": 62, "aVL": 63, "aVF": 64} | {f"V{n}": 2 + n for n in range(1, 7)}
    device = struct.pack("<HHHBB", 0, 0, 0, 0, 8) + b"ELI25\0" + bytes([20, 0xA0, 0, 0xD0, 1]) + bytes(16) + b"1.0\0\0\0\0\0Mortara\0"
    tags = {
        0: b"Mustermann\0",
        1: b"Erika\0",
        2: PERSON.encode() + b"\0",
        4: struct.pack("<HB", 49, 1),
        5: struct.pack("<HBB", 1953, 5, 8),
        8: b"\1",
        14: device,
        25: struct.pack("<HBB", 2002, 11, 22),
        26: bytes([9, 10, 11]),
        27: struct.pack("<H", 5),
        28: struct.pack("<H", 150),
        29: b"\2",
    } | dict(how.tags)
    first = how.first or (1,) * len(of.leads)
    spans = [struct.pack("<IIB", start, start + of.counts.shape[1] - 1, codes[lead]) for start, lead in zip(first, of.leads, strict=True)]
    rows = [np.concatenate([row[: how.order], np.diff(row, how.order)]) for row in of.counts]
    leads = [(how.encode or huffman)(row) if how.packed else row.astype("<i2").tobytes() for row in rows]
    bodies = {
        1: b"".join(struct.pack("<BH", tag, len(value)) + value for tag, value in tags.items()) + b"\xff\0\0",
        2: how.tables,
        3: bytes([len(of.leads), how.flags]) + b"".join(spans),
        6: struct.pack("<HHBB", of.step_nv, how.interval_us, how.order, how.bimodal)
        + b"".join(struct.pack("<H", len(lead)) for lead in leads)
        + b"".join(leads),
    }
    return scp_file({number: body for number, body in bodies.items() if number in how.sections and (number != 2 or how.packed)})


def scp_file(bodies: dict[int, bytes]) -> bytes:
    """Put sections together, with section 0 and all checksums."""

    def section(number: int, body: bytes) -> bytes:
        body += b"\0" * (len(body) % 2)
        named = b"SCPECG" if number == 0 else bytes(6)
        rest = struct.pack("<HIBB6s", number, 16 + len(body), 20, 20, named) + body
        return struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest

    made = {number: section(number, body) for number, body in bodies.items()}
    at, pointers = 7 + 16 + 120, struct.pack("<HII", 0, 136, 7)
    for number in range(1, 12):
        size = len(made.get(number, b""))
        pointers += struct.pack("<HII", number, size, at if size else 0)
        at += size
    content = section(0, pointers) + b"".join(made[number] for number in sorted(made))
    rest = struct.pack("<I", 6 + len(content)) + content
    return struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest


def scp_with_right_sums(data: bytes) -> bytes:
    """Return a file with the size and the checksums that its bytes have, so that what else is wrong in it is met."""
    changed = bytearray(data)
    if len(changed) < 22:
        return data
    struct.pack_into("<I", changed, 2, len(changed))
    for at in range(22, min(len(changed) - 9, 6 + struct.unpack_from("<I", changed, 10)[0]), 10):
        number, size, index = struct.unpack_from("<HII", changed, at)
        if number < 12 and 16 <= size <= len(changed) and 0 < index <= len(changed) - size + 1:
            begin = index - 1
            struct.pack_into("<H", changed, begin, binascii.crc_hqx(bytes(changed[begin + 2 : begin + size]), 0xFFFF))
    struct.pack_into("<H", changed, 0, binascii.crc_hqx(bytes(changed[2:]), 0xFFFF))
    return bytes(changed)


def scp_with_own_tables() -> bytes:
    """Write a small file whose values stand in two tables, and go from one to the other after each."""
    small = strip(leads=("I", "II", "V1"), seconds=5, fs=100)
    return scp(small, Scp(interval_us=10_000, order=1, tables=TWO_TABLES, encode=by_two_tables))


def own_table(*codes: tuple[str, int, int, int]) -> bytes:
    """Write a table of section 2: of each code its prefix as bits, its bits in all, 1 for a value or 0 for a switch, and the value."""
    lines = [struct.pack("<BBBhI", len(bits), total, mode, value, int(bits[::-1], 2)) for bits, total, mode, value in codes]
    return struct.pack("<H", len(codes)) + b"".join(lines)


TWO_TABLES = (
    struct.pack("<H", 2) + own_table(("0", 17, 1, 0), ("1", 1, 0, 2)) + own_table(("11", 2, 0, 1), ("10", 2, 1, 7), ("0", 12, 1, 3))
)
"""The first: 16 bits, or over to the second. The second: back to the first; 7; or 11 bits to which 3 is added."""


def by_two_tables(values: np.ndarray) -> bytes:
    """Encode each value in the other table than the one before it, where it can be."""
    bits, table = [], 1
    for value in values.tolist():
        if table == 1 and -1021 <= value < 1027:
            bits.append("1" + ("10" if value == 7 else f"0{value - 3 & 0x7FF:011b}"))
            table = 2
        else:
            bits.append(("11" if table == 2 else "") + f"0{value & 0xFFFF:016b}")
            table = 1
    return packed_bits("".join(bits))


def huffman(values: np.ndarray) -> bytes:
    """Encode by the standard's table: 0; 1 to 8 with a sign; eight or sixteen bits as they are."""
    bits = []
    for value in values.tolist():
        if value == 0:
            bits.append("0")
        elif abs(value) <= 8:
            bits.append("1" * abs(value) + "0" + "01"[value < 0])
        elif -128 <= value < 128:
            bits.append(f"1111111110{value & 0xFF:08b}")
        else:
            bits.append(f"1111111111{value & 0xFFFF:016b}")
    return packed_bits("".join(bits))


def packed_bits(bits: str) -> bytes:
    """Return bits, first bit first, as bytes."""
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0") or "0", 2).to_bytes(max(1, -(-len(bits) // 8)), "big")


def ishne(of: Strip, *, text: bytes = b"", resolution_nv: Sequence[int] = (), promised: int | None = None) -> bytes:
    """Write an ISHNE Holter file with a right checksum over the header."""
    codes = {lead: code for code, lead in enumerate(STANDARD_LEADS, start=5)}
    n_leads, n_samples = of.counts.shape

    def twelve(values: Sequence[int], absent: int) -> bytes:
        return struct.pack("<12h", *values, *[absent] * (12 - len(values)))

    header = struct.pack("<iiiih", len(text), n_samples if promised is None else promised, 522, 522 + len(text), 1)
    header += struct.pack("<40s40s20s", b"Erika", b"Mustermann", PERSON.encode())
    header += struct.pack("<hh3h3h3h3h", 1, 1, 8, 5, 1953, 22, 11, 2002, 22, 11, 2002, 9, 10, 11)
    header += struct.pack("<h", n_leads) + twelve([codes.get(lead, -9) for lead in of.leads], -9) + twelve([1] * n_leads, -9)
    header += twelve(resolution_nv or [of.step_nv] * n_leads, -9)
    header += struct.pack("<h40sh80s80s88s", 0, b"Lifecard CF", round(of.fs), b"", b"", b"") + text
    return b"ISHNE1.0" + struct.pack("<H", binascii.crc_hqx(header, 0xFFFF)) + header + of.counts.T.astype("<i2").tobytes()


def wfdb_twin(of: Strip, name: str = "r") -> dict[str, bytes]:
    """Write the same recording as WFDB: the gain is a step."""
    return wfdb(Made(stored=of.counts.T.astype(np.int16), fs=of.fs, leads=of.leads), name=name, per_mv=1e6 / of.step_nv)


def cuts(data: bytes, *, n: int = 60) -> Iterator[bytes]:
    """Yield a file cut off at many places: all over it, and just before and behind its end of each line or section."""
    edges = {*range(1, len(data), max(1, len(data) // n)), *range(max(1, len(data) - 40), len(data)), *range(1, min(700, len(data)), 7)}
    for edge in sorted(edges):
        yield data[:edge]


def _changed(text: str, changes: Sequence[tuple[str, str]]) -> str:
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


_TWELVE = strip()
_FILTERS = Filters(highpass_hz=0.05, lowpass_hz=150.0, notch_hz=50.0)
FORMATS = {
    "muse": Format(
        reader="muse_xml",
        write=muse,
        suffix=".xml",
        strip=strip(leads=STORED_BY_MUSE, step_nv=4880),
        device="MAC55",
        filters=_FILTERS,
        source_format="GE MUSE XML",
    ),
    "aecg": Format(
        reader="aecg_xml",
        write=aecg,
        suffix=".xml",
        strip=_TWELVE,
        device="Mortara ELI 250",
        filters=_FILTERS,
        source_format="HL7 aECG",
        issuer="1.2.3.400",
    ),
    "cardiosoft": Format(
        reader="cardiosoft_xml",
        write=cardiosoft,
        suffix=".xml",
        strip=_TWELVE,
        device="CardioSoft",
        filters=_FILTERS,
        source_format="CardioSoft XML",
    ),
    "philips": Format(
        reader="philips_xml",
        write=philips,
        suffix=".xml",
        strip=strip(step_nv=5000),
        device="PageWriter Touch",
        filters=_FILTERS,
        source_format="Philips Sierra XML 1.04",
    ),
    "scp": Format(
        reader="scp_ecg", write=scp, suffix=".scp", strip=_TWELVE, device="Mortara ELI25", filters=_FILTERS, source_format="SCP-ECG 2.0"
    ),
    "ishne": Format(
        reader="ishne", write=ishne, suffix=".ecg", strip=_TWELVE, device="Lifecard CF", filters=Filters(), source_format="ISHNE 1.0"
    ),
}
"""Each format with a recording of ten seconds."""


def shorter(name: str, *, seconds: float = 5.0) -> bytes:
    """Return a small file of a format, as fuzzers begin with: two limb leads and V1 at 100 Hz, or as few as the format has."""
    made = FORMATS[name]
    leads = STANDARD_LEADS[:6] if name == "philips" else ("I", "II", "V1")
    fs, how = 100.0, Scp(interval_us=10_000)
    small = replace(strip(leads=leads, seconds=seconds, fs=fs), step_nv=made.strip.step_nv)
    return scp(small, how) if name == "scp" else made.write(small)
