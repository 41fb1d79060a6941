"""DICOM waveforms beyond the one that is read everywhere: groups, codes, bits, padding, people, and what is no waveform."""

import copy
import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, EncapsulatedPDFStorage, ExplicitVRBigEndian, ImplicitVRLittleEndian

from benchmarks import written_files as written
from ecg_tasks import readers
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import dicom_file
from ecg_tasks.readers.dicom import DicomReader
from tests.readers.test_binary_formats import AS_WFDB, ONE, recording_of, refused


def changed(change, **elements):
    """The file after a change of its groups, median beats first."""
    files = written.dicom(ONE, **elements)
    dataset = pydicom.dcmread(io.BytesIO(files["r.dcm"]))
    change(dataset)
    stream = io.BytesIO()
    dataset.save_as(stream)
    return {"r.dcm": stream.getvalue()}


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_every_transfer_syntax_gives_the_same_record(syntax):
    """Implicit, explicit and deflated."""
    assert readers.read("r.dcm", written.dicom(ONE, syntax=syntax)).records[0].record_id == AS_WFDB


def test_big_endian_is_read():
    """The retired syntax, with its samples turned round."""

    def turn(dataset):
        for group in dataset.WaveformSequence:
            group.WaveformData = np.frombuffer(group.WaveformData, "<i2").astype(">i2").tobytes()

    files = changed(turn)
    dataset = pydicom.dcmread(io.BytesIO(files["r.dcm"]))
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, implicit_vr=False, little_endian=False, force_encoding=True)
    assert readers.read("r.dcm", {"r.dcm": stream.getvalue()}).records[0].record_id == AS_WFDB


def test_sequences_of_unknown_length_are_read():
    """Items and sequences that end with a delimiter."""

    def loosen(dataset):
        dataset["WaveformSequence"].is_undefined_length = True
        for group in dataset.WaveformSequence:
            group.is_undefined_length_sequence_item = True
            group["ChannelDefinitionSequence"].is_undefined_length = True

    files = changed(loosen)
    assert readers.read("r.dcm", files).records[0].record_id == AS_WFDB
    for end in range(1000, len(files["r.dcm"]), 3011):
        with pytest.raises(BadInputError) as caught:
            readers.read("r.dcm", {"r.dcm": files["r.dcm"][:end]})
        assert caught.value.reason in {Reason.INCOMPLETE, Reason.UNREADABLE}


def test_the_longest_group_is_the_rhythm_wherever_it_stands():
    """Median beats come before or after it."""

    def turn_round(dataset):
        dataset.WaveformSequence = [dataset.WaveformSequence[1], dataset.WaveformSequence[0]]

    assert readers.read("r.dcm", changed(turn_round)).records[0].record_id == AS_WFDB


def test_of_equally_long_groups_the_one_with_lead_ii_is_read():
    """A general ECG may come as four groups of 2.5 s, three leads each."""

    def quarter(dataset):
        rhythm = dataset.WaveformSequence[1]
        groups = []
        for first in (3, 0, 6, 9):
            group = copy.deepcopy(rhythm)
            group.ChannelDefinitionSequence = list(group.ChannelDefinitionSequence)[first : first + 3]
            group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = 3, 1250
            group.WaveformData = ONE.stored[:1250, first : first + 3].tobytes()
            groups.append(group)
        dataset.WaveformSequence = groups

    found = recording_of(changed(quarter))
    assert [lead.name for lead in found.leads] == ["I", "II", "III"]
    assert np.array_equal(np.stack([lead.samples for lead in found.leads]), ONE.stored.T[:3, :1250])
    assert refused(changed(quarter)).reason is Reason.TOO_SHORT


def test_a_lead_is_told_by_its_code_and_not_by_its_words():
    """Codes of SCP-ECG and of ISO/IEEE 11073; without a code that is known, the channel's label."""

    def recode(dataset):
        channels = dataset.WaveformSequence[1].ChannelDefinitionSequence
        for channel, number in zip(channels, (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 11), strict=True):
            channel.ChannelSourceSequence[0].CodeValue = f"2:{number}"
            channel.ChannelSourceSequence[0].CodingSchemeDesignator = "MDC"
            channel.ChannelSourceSequence[0].CodeMeaning = "Lead V1"
        channels[8].ChannelSourceSequence[0].CodingSchemeDesignator = "99LOCAL"
        channels[8].ChannelLabel = "V3"

    record = readers.read("r.dcm", changed(recode)).records[0]
    assert record.leads == (*ONE.leads[:11], "V3R")


def test_sensitivity_correction_and_baseline_are_pydicoms():
    """To the last bit what pydicom makes of it."""

    def scale(dataset):
        for number, channel in enumerate(dataset.WaveformSequence[1].ChannelDefinitionSequence):
            channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor = "1.25", f"0.9{number}"
            channel.ChannelBaseline = f"{number}.5"

    files = changed(scale)
    theirs = pydicom.dcmread(io.BytesIO(files["r.dcm"])).waveform_array(1)
    ours = np.stack([lead.samples for lead in recording_of(files).leads], axis=1)
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("extended", [True, False])
def test_twelve_bits_in_sixteen(extended):
    """Negative samples are the same whether their upper bits are set, as they should be, or not."""

    def narrow(dataset):
        group = dataset.WaveformSequence[1]
        for channel in group.ChannelDefinitionSequence:
            channel.WaveformBitsStored = 12
        stored = ONE.stored if extended else ONE.stored & 0x0FFF
        group.WaveformData = stored.astype("<i2").tobytes()

    assert abs(ONE.stored).max() < 2048
    assert readers.read("r.dcm", changed(narrow)).records[0].record_id == AS_WFDB


def test_channels_that_are_skewed_alike_or_by_less_than_a_sample_are_read():
    """A converter that goes from channel to channel, and a device that is late as a whole, move no lead against another."""

    def late(dataset):
        for number, channel in enumerate(dataset.WaveformSequence[1].ChannelDefinitionSequence):
            channel.ChannelSampleSkew, channel.ChannelOffset = f"{5 + number / 100}", "0.5"

    assert readers.read("r.dcm", changed(late)).records[0].record_id == AS_WFDB


def test_samples_beyond_their_bits_are_refused():
    """Eight bits do not hold a millivolt in microvolts."""

    def narrow(dataset):
        dataset.WaveformSequence[1].ChannelDefinitionSequence[1].WaveformBitsStored = 8

    error = refused(changed(narrow))
    assert error.reason is Reason.OUT_OF_RANGE
    assert "do not fit into the 8 bits" in error.message


def test_padding_is_missing_only_as_a_run_at_an_end():
    """A fifth of a second of it in all leads at the end is none; zeros within, and a single one at an end, are samples."""
    stored = ONE.stored.copy()
    stored[100], stored[0], stored[-100:] = 0, 0, 0

    def pad(dataset):
        dataset.WaveformSequence[1].WaveformData = stored.tobytes()
        dataset.WaveformSequence[1].add_new(0x5400100A, "OW", b"\0\0")

    leads = recording_of(changed(pad)).leads
    for lead in leads:
        assert np.isnan(lead.samples[-100:]).all()
        assert np.isfinite(lead.samples[:-100]).all()
    record = readers.read("r.dcm", changed(pad)).records[0]
    assert record.n_samples == 5000


@pytest.mark.parametrize(
    ("elements", "age"),
    [
        ({"PatientAge": "042Y"}, 42),
        ({"PatientAge": "006M"}, 0.5),
        ({"PatientAge": "000Y"}, 69),
        ({"PatientAge": "000Y", "PatientBirthDate": ""}, 0),
        ({"PatientBirthDate": ""}, None),
        ({"PatientBirthDate": "20300101"}, None),
        pytest.param({"PatientBirthDate": "20200502"}, 30 / 365.25, id="an infant's age is a share of a year, as in every format"),
        ({"AcquisitionDateTime": "", "ContentDate": "20100601", "ContentTime": "101500"}, 59),
    ],
)
def test_age(elements, age):
    """As it is told, or else from the two dates; never below 0."""
    assert recording_of(written.dicom(ONE, **elements)).patient.age == age


@pytest.mark.parametrize(
    ("elements", "recorded"),
    [
        ({"AcquisitionDateTime": "20200601101500.25+0200"}, "2020-06-01T10:15:00.250000+02:00"),
        ({"TimezoneOffsetFromUTC": "-0500"}, "2020-06-01T10:15:00-05:00"),
        ({"TimezoneOffsetFromUTC": "-0500", "AcquisitionDateTime": "20200601101500+0000"}, "2020-06-01T10:15:00+00:00"),
        ({"TimezoneOffsetFromUTC": "noon"}, "2020-06-01T10:15:00"),
        ({"AcquisitionDateTime": "20200601"}, "2020-06-01"),
        ({"AcquisitionDateTime": "2020060110"}, "2020-06-01T10:00:00"),
        ({"AcquisitionDateTime": "202006011015-0030"}, "2020-06-01T10:15:00-00:30"),
        ({"AcquisitionDateTime": "", "ContentDate": "20200602", "ContentTime": "0915"}, "2020-06-02T09:15:00"),
        ({"AcquisitionDateTime": "", "StudyDate": "20200603"}, "2020-06-03"),
        ({"AcquisitionDateTime": ""}, None),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")
def test_the_moment(elements, recorded):
    """With a time zone where the file gives one, of its own or for all of the file; a day without a time stays a day."""
    found = recording_of(written.dicom(ONE, **elements)).acquisition.recorded
    assert (found and found.isoformat()) == recorded


def test_what_holds_no_ecg_is_told_for_what_it_is():
    """A PDF and a picture in DICOM, and another kind of waveform."""

    def draw(dataset):
        dataset.Rows = dataset.Columns = dataset.SamplesPerPixel = 1
        dataset.BitsAllocated, dataset.PixelRepresentation = 8, 0
        dataset.add_new(0x7FE00010, "OW", b"\0\0")

    for elements, words in (
        ({"SOPClassUID": EncapsulatedPDFStorage}, "a PDF in DICOM, which has no signal"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "_pixels": True}, "a picture in DICOM, which has no signal"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.9.4.1"}, "a DICOM waveform that is not an ECG"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"}, "a DICOM object without an ECG waveform"),
    ):
        error = refused(changed(draw if elements.pop("_pixels", False) else lambda _: None, **elements))
        assert error.reason is Reason.UNKNOWN_FORMAT
        assert words in error.message


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        (
            lambda group: setattr(group, "NumberOfWaveformSamples", 5001),
            Reason.INCOMPLETE,
            "5,000 samples are there; its header says 5,001",
        ),
        (lambda group: setattr(group, "NumberOfWaveformSamples", 4000), Reason.UNREADABLE, "24,000 bytes follow the 4,000 samples"),
        (lambda group: setattr(group, "NumberOfWaveformSamples", 2**31), Reason.TOO_LARGE, "the limit is 33,554,432 in all"),
        (lambda group: setattr(group, "SamplingFrequency", "0"), Reason.UNREADABLE, "sampling frequency"),
        (lambda group: setattr(group, "WaveformSampleInterpretation", "MB"), Reason.UNREADABLE, "this kind of samples"),
        (lambda group: group.ChannelDefinitionSequence.pop(), Reason.INCOMPLETE, "11 channels are described, but there are 12"),
        (lambda group: delattr(group.ChannelDefinitionSequence[1], "ChannelSensitivity"), Reason.UNIT_UNKNOWN, "lead II is in 'no unit'"),
        (
            lambda group: setattr(group.ChannelDefinitionSequence[1], "ChannelSensitivity", "0"),
            Reason.UNIT_UNKNOWN,
            "lead II is in 'no unit'",
        ),
        (
            lambda group: setattr(group.ChannelDefinitionSequence[1], "ChannelSensitivityCorrectionFactor", "0"),
            Reason.UNIT_UNKNOWN,
            "lead II is in 'no unit'",
        ),
        (
            lambda group: setattr(group.ChannelDefinitionSequence[6], "ChannelSampleSkew", "3"),
            Reason.UNREADABLE,
            "begin at different times",
        ),
        (lambda group: setattr(group.ChannelDefinitionSequence[6], "ChannelTimeSkew", "-0.01"), Reason.UNREADABLE, "at different times"),
        (lambda group: setattr(group.ChannelDefinitionSequence[6], "ChannelOffset", "0.2"), Reason.UNREADABLE, "begin at different times"),
    ],
)
def test_faults(change, reason, words):
    """Each with its code and a sentence that gives both counts."""
    error = refused(changed(lambda dataset: change(dataset.WaveformSequence[1])))
    assert error.reason is reason
    assert words in error.message


def test_bombs_are_refused_within_bounds(monkeypatch):
    """A deflated file that unpacks to a gigabyte, one of a million elements, and sequences within sequences."""
    plain = written.dicom(ONE, syntax=DeflatedExplicitVRLittleEndian)["r.dcm"]
    start = plain.index(b"\x02\x00\x02\x00")
    meta = dicom_file._syntax(plain, name="r")[1]
    packer = zlib.compressobj(wbits=-15)
    bomb = plain[:meta] + b"".join(packer.compress(bytes(10**6)) for _ in range(200)) + packer.flush()
    assert start < meta
    assert refused({"r.dcm": bomb}).reason is Reason.TOO_LARGE
    head = written.dicom(ONE)["r.dcm"]
    head = head[: dicom_file._syntax(head, name="r")[1]]
    many = struct.pack("<HH2sH", 0x0009, 0x0010, b"LO", 0) * 600_000
    assert refused({"r.dcm": head + many}).reason is Reason.TOO_LARGE
    assert refused({"r.dcm": head + many * 2}).reason is Reason.TOO_LARGE
    deep = (struct.pack("<HH2sHI", 0x0040, 0x0555, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)) * 5000
    assert refused({"r.dcm": head + deep}).reason is Reason.UNREADABLE
    assert refused({"r.dcm": head}).reason is Reason.INCOMPLETE


def test_nothing_is_imported_that_takes_long():
    """The reader needs no pydicom, whose import takes a second."""
    heavy = ("pydicom", "h5py", "edfio", "pyarrow", "scipy.io")
    code = f"import sys; import ecg_tasks.readers; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert DicomReader().knows("x", bytes(128) + b"DICM")
