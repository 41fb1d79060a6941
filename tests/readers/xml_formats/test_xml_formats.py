"""What is wrong in the XML of each maker, and what XML can do to a machine."""

import base64
import re
import tracemalloc
import zlib

import numpy as np
import pytest

from ecg_tasks import readers
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.leads import millivolts_per
from ecg_tasks.readers.xml_formats import text
from ecg_tasks.readers.xml_formats.text import parse_xml, rate_of, root_name
from ecg_tasks.readers.xml_formats.xli import unpack_xli
from ecg_tasks.signals.record import STANDARD_LEADS
from tests.hospital_files import FORMATS, PERSON, aecg, cardiosoft, muse, packed_bits, philips, strip, xli

SMALL = strip(leads=("I", "II", "V1"), seconds=5, fs=100)
LIMBS = strip(leads=STANDARD_LEADS[:6], seconds=5, fs=100, step_nv=5000)
WRITERS = {"muse": (muse, SMALL), "aecg": (aecg, SMALL), "cardiosoft": (cardiosoft, SMALL), "philips": (philips, LIMBS)}
SAMPLES_OF_I = " ".join(map(str, SMALL.counts[0].tolist()))


def read(data):
    """The recordings of a file."""
    reader = readers.reader_of("x", data[: readers.HEAD_BYTES])
    return reader.read({"x": data}, "x").recordings


def refused(data):
    """The refusal of a file."""
    with pytest.raises(BadInputError) as caught:
        readers.read("x", {"x": data})
    assert "its reader failed" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("name", "old", "new", "reason", "words"),
    [
        ("muse", "<WaveformType>Rhythm", "<WaveformType>Median", Reason.UNREADABLE, "no waveform of the type Rhythm"),
        ("muse", "<SampleBase>100<", "<SampleBase>0<", None, ""),  # of the median beats, which are not looked at
        ("muse", "<NumberofLeads>3<", "<NumberofLeads>4<", None, ""),
        ("aecg", 'code="RHYTHM"', 'code="OTHER"', Reason.UNREADABLE, "no series of the code RHYTHM"),
        ("aecg", 'code="TIME_ABSOLUTE"', 'code="TIME"', Reason.UNREADABLE, "has no sampling rate"),
        ("aecg", 'increment value="0.01" unit="s"', 'increment value="0.01" unit="h"', Reason.UNREADABLE, "not a time in s, ms or us"),
        ("aecg", 'increment value="0.01" unit="s"', 'increment value="1e-999999999" unit="s"', Reason.UNREADABLE, "no sampling rate"),
        ("aecg", '<scale value="2.5" unit="uV"/>', '<scale value="2.5"/>', Reason.UNIT_UNKNOWN, "lead 1 has no scale in nV, uV, mV or V"),
        ("aecg", '<scale value="2.5" unit="uV"/>', '<scale value="0" unit="uV"/>', Reason.UNIT_UNKNOWN, "lead 1 has no scale"),
        ("aecg", '<origin value="0" unit="uV"/>', '<origin value="1" unit="mmHg"/>', Reason.UNIT_UNKNOWN, "lead 1 has an origin"),
        ("aecg", SAMPLES_OF_I, SAMPLES_OF_I.rpartition(" ")[0], Reason.INCOMPLETE, "lead 1 of 3 has 499 samples; it must have 500"),
        ("aecg", SAMPLES_OF_I, f"{SAMPLES_OF_I} x", Reason.NOT_NUMERIC, "the samples of lead 1 are not all numbers"),
        ("aecg", SAMPLES_OF_I, "1_0", Reason.NOT_NUMERIC, "the samples of lead 1 are not all numbers"),
        ("aecg", SAMPLES_OF_I, "1e999", Reason.NOT_NUMERIC, "the samples of lead 1 are not all numbers"),
        ("cardiosoft", "<StripData>", "<Strip>", Reason.UNREADABLE, "it is not XML"),
        ("cardiosoft", "<MedianSamples>", "<MedianSamples >", None, ""),
        (
            "philips",
            "<documentversion>1.04",
            "<documentversion>2.0",
            Reason.UNREADABLE,
            "its type or version is not supported; these are: 1.03, 1.04",
        ),
        ("philips", 'compression="XLI"', 'compression="Uncompressed"', Reason.UNREADABLE, "not compressed as XLI"),
        ("philips", "<resolution>5</resolution>", "", Reason.UNIT_UNKNOWN, "does not give the resolution in uV"),
        ("philips", "<samplingrate>100<", "<samplingrate>-1<", Reason.UNREADABLE, "samplingrate is not a number above 0"),
        ("philips", 'durationperchannel="6000"', 'durationperchannel="7000"', Reason.INCOMPLETE, "600 samples; it must have 700"),
        ("philips", 'durationperchannel="6000"', 'durationperchannel="5990"', Reason.UNREADABLE, "more than 599 samples"),
        ("philips", 'durationperchannel="6000"', 'durationperchannel="1e12"', Reason.UNREADABLE, "the limit is 3.6e"),
        ("philips", 'leadlabels="I II', 'leadlabels="II I', Reason.UNREADABLE, "do not begin with I, II, III, aVR, aVL, aVF"),
        ("philips", 'numberofleads="6"', 'numberofleads="7"', Reason.INCOMPLETE, "6 leads have names; numberofleads is 7"),
    ],
)
def test_a_fault_is_told(name, old, new, reason, words):
    """With its reason and a sentence that names the thing, what was found and what was expected; what is no fault is none."""
    writer, of = WRITERS[name]
    data = writer(of, changes=[(old, new)])
    if reason is None:
        assert readers.read("x", {"x": data}).records[0].n_samples == 500
        return
    fault = refused(data)
    assert (fault.reason, words in fault.message) == (reason, True), fault.message


def rhythm_changed(pattern, new, *, of=SMALL, **how):
    """A MUSE file in whose rhythm, not in its median beats, the first match is replaced."""
    head, mark, rhythm = muse(of, **how).decode("latin-1").partition("<WaveformType>Rhythm")
    changed, n = re.subn(pattern, new, rhythm, count=1, flags=re.DOTALL)
    assert n == 1
    return (head + mark + changed).encode("latin-1")


@pytest.mark.parametrize(
    ("pattern", "new", "reason", "words"),
    [
        (r"<SampleBase>100<", "<SampleBase>0<", Reason.UNREADABLE, "the sampling rate, is not a number above 0"),
        (r"<SampleExponent>0<", "<SampleExponent>0.5<", Reason.UNREADABLE, "SampleExponent is 0.5"),
        (r"<NumberofLeads>3<", "<NumberofLeads>8<", Reason.INCOMPLETE, "3 leads are stored; NumberofLeads is 8"),
        (
            r"<LeadByteCountTotal>1000<",
            "<LeadByteCountTotal>1002<",
            Reason.INCOMPLETE,
            "has 1000 bytes; LeadByteCountTotal is 1002",
        ),
        (r"Total>500<", "Total>501<", Reason.INCOMPLETE, "has 500 samples; LeadSampleCountTotal is 501"),
        (r"<LeadDataCRC32>\d+<", "<LeadDataCRC32>1<", Reason.CHECKSUM_MISMATCH, "lead 1 of 3 do not match its LeadDataCRC32"),
        (r"<LeadAmplitudeUnits>MICROVOLTS<", "<LeadAmplitudeUnits><", Reason.UNIT_UNKNOWN, "has no LeadAmplitudeUnits"),
        (r"<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits>", "", Reason.UNIT_UNKNOWN, "has no LeadAmplitudeUnits"),
        (r"<LeadAmplitudeUnitsPerBit>2.5<", "<LeadAmplitudeUnitsPerBit><", Reason.UNIT_UNKNOWN, "has no LeadAmplitudeUnitsPerBit"),
        (r"<LeadSampleSize>2<", "<LeadSampleSize>4<", Reason.UNREADABLE, "samples of 4 bytes; they must have 2"),
        (r"<LeadTimeOffset>0<", "<LeadTimeOffset>2500<", Reason.UNREADABLE, "begin at different times"),
        (r"<FirstSampleBaseline>0<", "<FirstSampleBaseline>8<", Reason.UNREADABLE, "a FirstSampleBaseline that is not 0"),
        (r"<WaveFormData>\n....", "<WaveFormData>\n!!!!", Reason.UNREADABLE, "WaveFormData of lead 1 of 3 is not Base64"),
        (r"<WaveFormData>\n.", "<WaveFormData>\n", Reason.INCOMPLETE, "WaveFormData of lead 1 of 3 is cut off"),
    ],
)
def test_a_fault_of_muses_rhythm_is_told(pattern, new, reason, words):
    """With both counts where something is missing; a missing unit is not guessed."""
    fault = refused(rhythm_changed(pattern, new))
    assert (fault.reason, words in fault.message) == (reason, True), fault.message


def test_a_lead_of_muse_without_checksum_and_counts_is_read_whole_or_not_at_all():
    """Older systems write no CRC; an odd number of bytes is half a sample."""
    assert readers.read("x", {"x": muse(SMALL, crc=False)}).records[0].n_samples == 500
    odd = base64.b64encode(SMALL.counts[0].astype("<i2").tobytes()[:-1]).decode()
    data = rhythm_changed(r"<LeadByteCountTotal>.*?</LeadSampleCountTotal>|<WaveFormData>.*?</WaveFormData>", "", crc=False)
    data = re.sub(
        rb"(Rhythm.*?)<WaveFormData>.*?</WaveFormData>",
        rb"\1<WaveFormData>%s</WaveFormData>" % odd.encode(),
        data,
        count=1,
        flags=re.DOTALL,
    )
    fault = refused(data)
    assert fault.reason is Reason.INCOMPLETE
    assert "within a sample, after 999 bytes" in fault.message


def test_the_rate_of_muse_is_base_times_a_power_of_ten():
    """50 × 10^1 is 500 Hz, and 5000 × 10^-1 too."""
    for base, exponent in ((50, 1), (5000, -1)):
        data = rhythm_changed(
            r"<SampleBase>500</SampleBase>\s*<SampleExponent>0",
            f"<SampleBase>{base}</SampleBase><SampleExponent>{exponent}",
            of=FORMATS["muse"].strip,
        )
        assert {lead.fs for lead in read(data)[0].leads} == {500.0}


@pytest.mark.parametrize(
    ("age", "units", "years"),
    [
        ("49", "YEARS", 49.0),
        ("18", "MONTHS", 1.5),
        ("26", "WEEKS", 182 / 365.25),
        ("8", "DAYS", 8 / 365.25),
        ("300", "YEARS", 49.0),
        ("", "YEARS", 49.0),
        ("49", "", 49.0),
    ],
)
def test_an_age_of_muse_has_a_unit(age, units, years):
    """Where it tells nothing, the dates do."""
    changes = [("<PatientAge>49</PatientAge><AgeUnits>YEARS<", f"<PatientAge>{age}</PatientAge><AgeUnits>{units}<")]
    assert read(muse(SMALL, changes=changes))[0].patient.age == pytest.approx(years)


def test_who_and_when_are_not_known_where_nothing_is_said():
    """A placeholder is nobody; a missing date is none, and so is an age; what cardiographs assume of an age is no age."""
    changes = [
        (f"<PatientID>{PERSON}<", "<PatientID>Anonymous<"),
        ("<PatientAge>49</PatientAge>", ""),
        ("<AcquisitionDate>11-22-2002<", "<AcquisitionDate>22-11-2002<"),
        ("<Gender>MALE<", "<Gender>UNKNOWN<"),
        ("<AcquisitionDevice>MAC55<", "<AcquisitionDevice><"),
    ]
    (found,) = read(muse(SMALL, changes=changes))
    assert (found.patient.id, found.patient.age, found.patient.sex) == (None, None, None)
    assert (found.acquisition.recorded, found.acquisition.device) == (None, None)
    (found,) = read(philips(LIMBS, changes=[("<dateofbirth>1953-05-08</dateofbirth>", ""), (f"<patientid>{PERSON}<", "<patientid>9999<")]))
    assert (found.patient.id, found.patient.age) == (None, None)


def test_leads_of_aecg_have_units_and_origins_of_their_own():
    """A lead in nV, one in mV, one whose origin is in mV and its scale in µV."""
    changes = [
        ('<scale value="2.5" unit="uV"/>', '<scale value="2500" unit="nV"/>'),
        ('<scale value="2.5" unit="uV"/>', '<scale value="0.0025" unit="mV"/>'),
        ('<scale value="2.5" unit="uV"/>', '<scale value="2.5" unit="µV"/>'),
    ]
    data = aecg(SMALL, changes=changes).decode()
    at = [match.start() for match in re.finditer('<origin value="0" unit="uV"/>', data)][2]
    data = data[:at] + data[at:].replace('<origin value="0" unit="uV"/>', '<origin value="0.1" unit="mV"/>', 1)
    leads = read(data.encode())[0].leads
    uv = np.stack([lead.samples * (1000 * millivolts_per(lead.units)) for lead in leads])
    np.testing.assert_allclose(uv, SMALL.uv + np.array([[0], [0], [100]]), atol=1e-9)


def test_integers_of_aecg_are_read_with_their_unit():
    """``SLIST_INT`` in place of ``SLIST_PQ``, a time base in ms, and leads under their older names."""
    data = aecg(SMALL, kind="SLIST_INT", changes=[('increment value="0.01" unit="s"', 'increment value="10" unit="ms"')])
    (record,) = readers.read("x", {"x": data.replace(b"MDC_ECG_LEAD", b"NOM_ECG_LEAD")}).records
    (plain,) = readers.read("x", {"x": aecg(SMALL)}).records
    assert record.record_id == plain.record_id


def test_each_rhythm_of_an_aecg_is_a_recording():
    """Two series are two recordings with a number behind the file's name."""
    data = aecg(SMALL).decode()
    start, end = data.index("<component><series>"), data.index("</AnnotatedECG>")
    other = data[start:end].replace(SAMPLES_OF_I, " ".join(map(str, (-SMALL.counts[0]).tolist())), 1)
    records = readers.read("w/a.xml", {"a.xml": (data[:end] + other + data[end:]).encode()}).records
    assert [record.name for record in records] == ["w/a.xml#1", "w/a.xml#2"]
    assert records[0].record_id != records[1].record_id


def test_leads_of_aecg_recorded_one_after_the_other_are_refused():
    """Put side by side they would be a heartbeat that never was."""
    data = aecg(SMALL).decode()
    start, end = data.index("<component><sequenceSet>"), data.index("<derivation>")
    later = data[start:end].replace("20021122091011.000", "20021122091016.000")
    fault = refused((data[:end] + later + data[end:]).encode())
    assert fault.reason is Reason.UNREADABLE
    assert "begin at 2 different times" in fault.message


@pytest.mark.parametrize(
    ("head", "recorded"),
    [
        ("20021122091011.250", "2002-11-22T09:10:11.250000"),
        ("200211220910", "2002-11-22T09:10:00"),
        ("20021122091011-0500", "2002-11-22T09:10:11-05:00"),
        ("20021122", "2002-11-22"),
        ("yesterday", None),
        ("20021322091011", None),
    ],
)
def test_a_moment_of_aecg(head, recorded):
    """With a zone where one is given; a day without a time stays a day."""
    found = read(aecg(SMALL, changes=[('value="20021122091011.000"', f'value="{head}"')]))[0].acquisition.recorded
    assert (found and found.isoformat()) == recorded


def test_an_aecg_without_a_subject_and_with_mindrays_own_elements():
    """An id that is a root alone names a person, too; Mindray's id stands in an element of its own."""
    changes = [(f'<id root="1.2.3.400" extension="{PERSON}"/>', '<id root="1.2.3.400.17"/>')]
    patient = read(aecg(SMALL, changes=changes))[0].patient
    assert (patient.id, patient.issuer) == ("1.2.3.400.17", None)
    changes = [(f'<id root="1.2.3.400" extension="{PERSON}"/>', ""), ("<name>Erika", "<PatientID>7</PatientID><name>Erika")]
    assert read(aecg(SMALL, changes=changes))[0].patient.id == "7"


@pytest.mark.parametrize(
    ("old", "new", "reason", "words"),
    [
        ("<NumberOfLeads>3<", "<NumberOfLeads>12<", Reason.INCOMPLETE, "3 leads are stored; NumberOfLeads is 12"),
        ("CountTotal>500<", "CountTotal>501<", Reason.INCOMPLETE, "lead 1 of 3 has 500 samples; it must have 501"),
        ('units="uVperLsb"', 'units="LSB"', Reason.UNIT_UNKNOWN, "not in uVperLsb"),
        ('<SampleRate units="Hz">100<', '<SampleRate units="Hz">fast<', Reason.UNREADABLE, "SampleRate is not a number above 0"),
        ('<SampleRate units="Hz">', '<SampleRate units="kHz">', Reason.UNREADABLE, "not in Hz"),
    ],
)
def test_a_fault_of_cardiosofts_strip_is_told(old, new, reason, words):
    """In the strip, behind the median beats that have the same elements."""
    head, mark, strip_data = cardiosoft(SMALL).decode("latin-1").partition("<StripData>")
    assert old in strip_data
    fault = refused((head + mark + strip_data.replace(old, new, 1)).encode("latin-1"))
    assert (fault.reason, words in fault.message) == (reason, True), fault.message


def test_a_third_lead_of_cardiosoft_stays_as_it_is_stored():
    """It differs from II - I by some steps, and those are kept."""
    of = strip(leads=("I", "II", "III"), seconds=5, fs=100)
    (record,) = readers.read("x", {"x": cardiosoft(of)}).records
    np.testing.assert_allclose(1000 * record.samples[2], of.uv[2], atol=1e-4)


def test_an_exercise_test_of_cardiosoft_is_told():
    """It has full disclosure, and no strip of its own."""
    data = b'<?xml version="1.0"?><CardiologyXML><FullDisclosure/></CardiologyXML>'
    assert "full disclosure and exercise tests are not supported" in refused(data).message


def test_philips_calibration_second_is_left_out_only_where_it_is():
    """Ten seconds and a pulse are ten seconds; five and one are six, of which nothing is known."""
    (ten,) = read(philips(strip(leads=STANDARD_LEADS[:6], fs=100, step_nv=5000)))
    (six,) = read(philips(LIMBS))
    assert {lead.samples.size for lead in ten.leads} == {1000}
    assert {lead.samples.size for lead in six.leads} == {600}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_philips_in_any_unicode(encoding):
    """Without a byte order mark, too, and as UTF-8 that still calls itself UTF-16."""
    plain = read(philips(LIMBS))[0]
    for declared in (encoding[:6], "utf-16"):
        data = philips(LIMBS, encoding="utf-8").decode().replace('encoding="utf-8"', f'encoding="{declared}"').encode(encoding)
        (found,) = read(data)
        np.testing.assert_array_equal(found.leads[1].samples, plain.leads[1].samples)


def test_philips_version_1_03_has_its_resolution_and_band_elsewhere():
    """And the names of its leads nowhere: ten wires give the twelve."""
    changes = [
        ("<documentversion>1.04<", "<documentversion>1.03<"),
        (
            "<resolution>5</resolution><hipass>0.05</hipass>\n<lowpass>150</lowpass>",
            "<signalresolution>5</signalresolution><signalbandwidth>0.05-150</signalbandwidth>",
        ),
        (' leadlabels="' + " ".join(STANDARD_LEADS) + '"', ""),
        ('compression="XLI"', 'compressflag="True" compressmethod="XLI"'),
    ]
    (found,) = read(philips(FORMATS["philips"].strip, changes=changes))
    assert tuple(lead.name for lead in found.leads) == STANDARD_LEADS
    assert (found.acquisition.filters.highpass_hz, found.acquisition.filters.lowpass_hz) == (0.05, 150.0)
    assert found.acquisition.source_format == "Philips Sierra XML 1.03"


@pytest.mark.timeout(120)
def test_a_pack_that_unpacks_without_end_is_stopped():
    """A megabyte of codes for ever longer strings would be a gigabyte of samples."""
    codes = "".join(f"{code:010b}" for code in (0, *range(256, 1023), *[1022] * 800_000))
    bomb = int(codes, 2).to_bytes(len(codes) // 8, "big")
    packed = (len(bomb).to_bytes(4, "little") + bytes(4) + bomb) * 6
    with pytest.raises(BadInputError, match="lead 1 of 6 unpacks to more than 100 samples"):
        unpack_xli(packed, n_leads=6, n_samples=100, name="x")


def test_a_pack_that_is_cut_off_or_wrong_is_refused():
    """With both counts."""
    packed = xli(LIMBS.counts)
    for cut, words in (
        (packed[:-1], "contain 5 complete leads of 6"),
        (packed[:6], "contain 0 complete leads of 6"),
        (b"\xff" * 40, "unpacks to 0 samples"),
    ):
        with pytest.raises(BadInputError, match=words) as caught:
            unpack_xli(cut, n_leads=6, n_samples=500, name="x")
        assert caught.value.reason is Reason.INCOMPLETE
    unknown = packed_bits("0000000000" + f"{300:010b}")
    with pytest.raises(BadInputError, match="compressed wrongly, at sample 0") as caught:
        unpack_xli(len(unknown).to_bytes(4, "little") + bytes(4) + unknown, n_leads=1, n_samples=500, name="x")
    assert caught.value.reason is Reason.UNREADABLE


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BOMBS = {
    "billion laughs": f'<?xml version="1.0"?><!DOCTYPE RestingECG [<!ENTITY l0 "ha">{LAUGHS}]><RestingECG>&l9;</RestingECG>',
    "one long entity": f'<!DOCTYPE RestingECG [<!ENTITY a "{"a" * 5_000}">]><RestingECG>{"&a;" * 50_000}</RestingECG>',
    "a file of the machine": '<!DOCTYPE RestingECG [<!ENTITY a SYSTEM "file:///etc/passwd">]><RestingECG><Waveform>&a;</Waveform></RestingECG>',
    "a parameter entity": '<!DOCTYPE RestingECG [<!ENTITY % a SYSTEM "http://127.0.0.1:9/a.dtd"> %a;]><RestingECG/>',
    "an unparsed entity": '<!DOCTYPE RestingECG [<!NOTATION n SYSTEM "n"><!ENTITY a SYSTEM "a" NDATA n>]><RestingECG/>',
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_entities_are_never_unpacked_or_fetched(name, encoding):
    """Each is refused at once."""
    data = BOMBS[name].encode(encoding)
    fault = refused(data)
    assert fault.reason is Reason.UNREADABLE
    assert "declares entities" in fault.message


FLOODS = {
    "elements": (lambda: b"<RestingECG>" + b"<a/>" * 6_000_000 + b"</RestingECG>", Reason.TOO_LARGE),
    "attributes": (lambda: b"<RestingECG " + b" ".join(b'a%d=""' % n for n in range(2_000_000)) + b"/>", Reason.TOO_LARGE),
    "depth": (lambda: b"<RestingECG>" + b"<a>" * 100_000, Reason.INCOMPLETE),
    "line ends": (lambda: b"<RestingECG>" + b"\n" * 31_000_000 + b"</RestingECG>", Reason.UNREADABLE),
    "numbers of letters": (lambda: b"<RestingECG>" + b"&#10;" * 6_000_000 + b"</RestingECG>", Reason.UNREADABLE),
    "a comment": (lambda: b"<!--" + b"-> " * 8_000_000 + b"--><RestingECG/>", Reason.UNKNOWN_FORMAT),
    "bytes": (lambda: b"<RestingECG>" + b" " * 33 * 1024 * 1024 + b"</RestingECG>", Reason.TOO_LARGE),
    "numbers": (lambda: aecg(SMALL).replace(SAMPLES_OF_I.encode(), b"1 " * 14_000_000, 1), Reason.INCOMPLETE),
}
"""Made by the test alone: together they are 190 MB, and every process that collects tests reads this module."""


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_refused_within_a_gigabyte(name):
    """Of elements, attributes, depth, text or numbers: refused at all, and within a gigabyte."""
    flood, reason = FLOODS[name]
    data = flood()
    tracemalloc.start()
    fault = refused(data)
    assert fault.reason is reason, fault.message
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 800e6


def test_a_document_type_alone_is_no_fault():
    """Every file of MUSE names one."""
    assert parse_xml(b'<!DOCTYPE RestingECG SYSTEM "restecg.dtd"><RestingECG><a>1</a></RestingECG>', name="x").tag == "RestingECG"


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (b"<RestingECG><a>", Reason.INCOMPLETE, "the XML ends in line 1"),
        (b"<RestingECG", Reason.INCOMPLETE, "the XML ends in line 1"),
        (b"<RestingECG>\n</b>", Reason.UNREADABLE, "it is not XML from line 2 on"),
        (b"<RestingECG>\xff</RestingECG>", Reason.UNREADABLE, "it is not XML from line 1 on"),
        ("<RestingECG/>".encode("utf-16") + b"\0", Reason.INCOMPLETE, "ends in the middle of a character"),
        (b'<?xml version="1.0" encoding="klingon"?><RestingECG/>', Reason.UNREADABLE, "the encoding of the XML is not supported"),
        (b'<?xml version="1.0" encoding="utf-7"?><RestingECG/>', Reason.UNREADABLE, "the encoding of the XML is not supported"),
    ],
)
def test_xml_that_is_none_is_told(data, reason, words):
    """Whether it ends early or is wrong, and where."""
    with pytest.raises(BadInputError) as caught:
        parse_xml(data, name="x")
    assert (caught.value.reason, words in caught.value.message) == (reason, True), caught.value.message


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\xef\xbb\xbf \n<a:RestingECG xmlns:a='b'>", "restingecg"),
        ("<?xml version='1.0'?>\n<restingecgdata>".encode("utf-16-be"), "restingecgdata"),
        (b"<!-- <RestingECG> --><!DOCTYPE x [<!ELEMENT y (z)>]><x>", "x"),
        (b"<!-- no end", ""),
        (b"<1>", "1"),
        (b"< >", ""),
        (b"RestingECG", ""),
        (b"", ""),
    ],
)
def test_the_root_of_xml(head, name):
    """Behind marks, comments and document types, in any Unicode; nothing where there is none."""
    assert root_name(head) == name


def test_a_rate_is_exact():
    """A step in decimal digits gives the rate that a person means; 1667 µs are not 600 Hz."""
    assert rate_of("0.0016666666666667") == pytest.approx(600)
    assert rate_of("1667", unit_s="0.000001") == 1e6 / 1667
    assert [rate_of(step) for step in ("0.004", "0.001", "0", "-1", "x", "1e999999999", "nan", "")] == [250.0, 1000.0, *[None] * 6]


def test_a_checksum_of_muse_is_that_of_zlib():
    """The standard's example: the sum over nine digits."""
    assert zlib.crc32(b"123456789") == 0xCBF43926
    assert text.MAX_XML_BYTES > 1e7
