"""Every format of hospitals: right to the bit, who and when, one record in whatever format, and no word of a person in a message."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecg_tasks import readers
from ecg_tasks.archive import keys, record_shards
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.readers.leads import millivolts_per
from ecg_tasks.readers.wfdb.record import WfdbReader
from ecg_tasks.signals.recipes import RECIPES
from tests.hospital_files import AGE, FORMATS, PERSON, RECORDED, WORDS_OF_THE_PERSON, cuts, shorter, strip, wfdb_twin

READERS = {reader.name: reader for reader in readers.READERS}
each_format = pytest.mark.parametrize("name", FORMATS)


def recording_of(name, data):
    """The recording of a file by its format's own reader."""
    (found,) = READERS[FORMATS[name].reader].read({"x": data}, "x").recordings
    return found


def check_sentences(refusals):
    """No reader failed, and no word of the person stands in a sentence."""
    for refused in refusals:
        assert "its reader failed" not in refused.message, refused.message
        assert not any(word in refused.message for word in WORDS_OF_THE_PERSON), refused.message


@each_format
def test_samples_are_those_that_were_written(name):
    """Each sample of each lead, in µV; the leads in their order; the rate."""
    made = FORMATS[name]
    found = recording_of(name, made.write(made.strip))
    assert tuple(lead.name.replace("AV", "aV") for lead in found.leads) == made.strip.leads
    assert {lead.fs for lead in found.leads} == {made.strip.fs}
    uv = np.stack([lead.samples * (1000 * millivolts_per(lead.units)) for lead in found.leads])
    np.testing.assert_array_equal(np.rint(100 * uv), np.rint(100 * made.strip.uv))


@each_format
def test_the_person_the_time_the_device_and_the_filters_come_along(name):
    """As far as the format has them."""
    made = FORMATS[name]
    found = recording_of(name, made.write(made.strip))
    assert (found.patient.id, found.patient.age, found.patient.sex, found.patient.issuer) == (PERSON, AGE, "male", made.issuer)
    how = found.acquisition
    assert (how.recorded, how.device, how.filters, how.source_format) == (RECORDED, made.device, made.filters, made.source_format)


@each_format
def test_it_is_the_same_record_as_in_wfdb(name):
    """Its twin in WFDB has the same id: nothing is lost on either way."""
    made = FORMATS[name]
    (record,) = readers.read("x", {"x": made.write(made.strip)}).records
    (twin,) = readers.read("r.hea", wfdb_twin(made.strip)).records
    assert record.record_id == twin.record_id
    assert RECIPES["twelve_lead"].accepts(record)


@each_format
def test_it_is_known_by_its_content_alone(name):
    """Whatever the file is called, and by one reader; under no other reader's eyes does it pass."""
    head = shorter(name)[: readers.HEAD_BYTES]
    for called in ("x", "x.dat", "x.xml", "x.txt", "photo.jpg"):
        assert [reader.name for reader in readers.READERS if reader.knows(called, head)] == [FORMATS[name].reader]
    assert readers.reader_of("beats.csv", head).name == FORMATS[name].reader
    assert not READERS[FORMATS[name].reader].companions("x", head).names


def test_a_suffix_alone_is_nothing():
    """A file that is only called like one is refused with what it looks like."""
    for called in ("x.xml", "x.scp", "x.ecg"):
        with pytest.raises(BadInputError, match="is in a format that is not supported") as refused:
            readers.read(called, {called: b"\0\1\2\3" * 500})
        assert refused.value.reason is Reason.UNKNOWN_FORMAT


@each_format
def test_a_file_cut_off_is_never_a_shorter_recording(name):
    """Wherever it is cut, it is refused, or whole all the same; no word of the person stands in a sentence."""
    data = shorter(name)
    (whole,) = readers.read("x", {"x": data}).records
    refusals = []
    for cut in cuts(data):
        try:
            (record,) = readers.read("x", {"x": cut}).records
        except BadInputError as refused:
            refusals.append(refused)
        else:
            assert record.record_id == whole.record_id
    assert Reason.INCOMPLETE in {refused.reason for refused in refusals}
    assert {refused.reason for refused in refusals} <= {Reason.INCOMPLETE, Reason.UNKNOWN_FORMAT, Reason.UNREADABLE}
    check_sentences(refusals)


@each_format
@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_damaged_file_is_refused_in_a_sentence_without_the_person(name, data):
    """Bytes changed at random: a reason and a sentence, or a recording; never another error, never a person's word."""
    damaged = bytearray(shorter(name))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    refusals = []
    try:
        readers.read("x", {"x": bytes(damaged)})
    except BadInputError as refused:
        refusals.append(refused)
    check_sentences(refusals)


def test_one_recording_in_many_formats_is_one_record(bucket):
    """Dropped as aECG, CardioSoft, SCP-ECG, ISHNE and WFDB it is stored once; MUSE's and Philips' are other recordings."""
    of = strip(seed=5)
    same = [(f"ward/{name}{FORMATS[name].suffix}", FORMATS[name].write(of)) for name in ("aecg", "cardiosoft", "scp", "ishne")]
    others = [(f"ward/{name}.xml", FORMATS[name].write(FORMATS[name].strip)) for name in ("muse", "philips")]
    inbox.put_files([*same, *others, *((f"ward/{name}", data) for name, data in wfdb_twin(of).items())])
    ingest_records.publish("r", [ingest_records.ingest_batch(job) for job in ingest_records.plan("r")])
    stored = [one for key in bucket.list_keys(keys.RECORDS) for one in record_shards.load_shard(bucket.get(key))]
    assert len({one.record.record_id for one in stored}) == len(stored) == 3
    assert {one.record.age for one in stored} <= {AGE, None}
    assert list(bucket.list_keys(keys.QUARANTINE)) == []
    assert list(bucket.list_keys(keys.INBOX)) == []


def test_a_recording_without_a_file_of_its_own_needs_nothing_beside_it():
    """A header that lies beside is not touched, and a reader of WFDB does not take it."""
    data = shorter("scp")
    assert readers.gather("r.scp", data, {"r.hea": lambda: b""}) == {"r.scp": data}
    assert not WfdbReader().knows("r.scp", data)
