"""Which files a person may name to have one recording read from a disk."""

import re
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import written_files
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.labels import Decision, Label
from ecg_tasks.offline import classify_file
from ecg_tasks.signals.flags import SENTENCES, Flag
from ecg_tasks.signals.record import STANDARD_LEADS
from ecg_tasks.signals.sample_files import wfdb_record
from ecg_tasks.signals.synthesis import draw_heart, synthesize
from tests.hospital_files import aecg, strip


@pytest.mark.parametrize(
    ("named", "header", "signal"),
    [
        pytest.param("r.dat", "r.hea", "r.dat", id="the signal file"),
        pytest.param("r.mat", "r.hea", "r.mat", id="a signal file called mat"),
        pytest.param("R.DAT", "R.HEA", "R.DAT", id="all in upper case"),
        pytest.param("r.hea", "r.hea", "R.DAT", id="the header, its signals in upper case"),
    ],
)
def test_a_signal_file_means_its_recording(tmp_path, make_wfdb, named, header, signal):
    """Whoever names the signal file gets what the header beside it says, whatever the names' case."""
    files = make_wfdb("r", seed=1)
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / header).write_bytes(files["r.hea"].replace(b"r.dat", signal.lower().encode()))
    (folder / signal).write_bytes(files["r.dat"])
    records = classify_file.read_path(folder / named).records
    assert [(record.name, record.n_samples) for record in records] == [(header[:1], 2500)]


def test_a_signal_file_alone_is_told_so(tmp_path):
    """Without its header a signal file says nothing, and the message names the file that is missing."""
    (tmp_path / "r.mat").write_bytes(bytes(100))
    with pytest.raises(BadInputError, match=r"r\.mat needs its header r\.hea, which is not in the same folder") as caught:
        classify_file.read_path(tmp_path / "r.mat")
    assert caught.value.reason is Reason.INCOMPLETE


@pytest.mark.parametrize("suffix", ["dicom", "edf", "numpy", "matlab", "hdf5", "lead_parquet", "lead_csv"])
def test_every_format_is_read_from_a_disk(tmp_path, suffix):
    """By the same dispatch as in the intake, with the sidecar that lies beside it."""
    files = written_files.WRITERS[suffix](written_files.made())
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (record,) = classify_file.read_path(tmp_path / next(iter(files))).records
    assert (record.name, record.leads, record.n_samples) == (next(iter(files)), STANDARD_LEADS, 5000)


@pytest.fixture
def written(tmp_path):
    """Write leads of one synthetic heart, spoilt at will, and return the path of the header."""

    def write(leads=STANDARD_LEADS, *, seconds=10.0, spoil=lambda samples: samples, rate_bpm=None):
        rng = np.random.default_rng(5)
        heart = draw_heart(rng, label=Label.NORMAL)
        heart = heart if rate_bpm is None else replace(heart, rate_bpm=rate_bpm)
        samples = synthesize(heart, fs=250.0, duration_s=seconds, rng=rng)
        rows = [STANDARD_LEADS.index(lead) for lead in leads]
        for name, content in wfdb_record(spoil(samples)[rows], fs=250.0, leads=leads, stem="r").items():
            (tmp_path / name).write_bytes(content)
        return tmp_path / "r.hea"

    return write


def test_what_was_judged_is_told(written):
    """Eight leads of 25 s: the recipe, the seconds and a sentence for what was computed and what was left."""
    (found,) = classify_file.classify_file(written(("I", "II", *STANDARD_LEADS[6:]), seconds=25.0)).results
    assert (found.recipe, found.seconds_read) == ("twelve_lead", "0-20 of 25 s")
    assert {SENTENCES[Flag.DERIVED_LEADS], SENTENCES[Flag.PARTLY_READ]} <= set(found.remarks)


def _turned(samples):
    """The samples with lead II upside down."""
    spoilt = samples.copy()
    spoilt[1] *= -1
    return spoilt


def test_a_turned_lead_ii_is_not_judged(written):
    """It contradicts the other limb leads: no decision, and the reason."""
    (found,) = classify_file.classify_file(written(spoil=_turned)).results
    assert found.decision is Decision.UNINTERPRETABLE
    assert SENTENCES[Flag.LEADS_CONTRADICT] in found.remarks


def test_the_command_says_why_there_is_no_probability(written):
    """A dash and two sentences, and no number that is none."""
    from ecg_tasks.cli.__main__ import app

    told = CliRunner().invoke(app, ["classify", str(written(spoil=_turned))], env={"COLUMNS": "300"})
    words = " ".join(told.output.split())
    assert "uninterpretable –" in words
    assert "No probability: no part of it was good enough for the model." in words
    assert SENTENCES[Flag.LEADS_CONTRADICT] in words


def test_the_command_says_what_was_judged(written):
    """`classify` prints the seconds read and the sentences below its table."""
    from ecg_tasks.cli.__main__ import app

    told = CliRunner().invoke(app, ["classify", str(written(seconds=9.95))], env={"COLUMNS": "300"})
    assert told.exit_code == 0, told.output
    assert "r: Seconds read: 0-9.95 of 9.95 s." in " ".join(told.output.split())
    assert SENTENCES[Flag.PADDED] in " ".join(told.output.split())


def test_the_command_says_who_and_when_and_with_what(written, tmp_path):
    """The whole date, since nothing is stored; and aloud what the file does not tell."""
    from ecg_tasks.cli.__main__ import app

    (tmp_path / "a.xml").write_bytes(aecg(strip()))
    told = CliRunner().invoke(app, ["classify", str(tmp_path / "a.xml")], env={"COLUMNS": "300"})
    known = "Person: 49 years, male; Recorded: 2002-11-22 09:10:11; Device: Mortara ELI 250; Filters: 0.05 to 150 Hz, notch 50 Hz"
    assert f"a.xml: {known}; Format: HL7 aECG." in " ".join(told.output.split())
    told = CliRunner().invoke(app, ["classify", str(written())], env={"COLUMNS": "300"})
    nothing = "Recorded: not known; Device: not known; Filters: not known; Format: WFDB"
    assert f"r: Person: age not known, sex not known; {nothing}." in " ".join(told.output.split())


@pytest.mark.parametrize("rate_bpm", [32.0, 45.0, 75.0, 160.0])
@pytest.mark.parametrize("seconds", [5.0, 5.5, 6.0, 7.0, 8.5, 9.5, 9.95])
def test_from_five_seconds_on_a_recording_is_decided_or_says_why_not(written, seconds, rate_bpm):
    """A slow heart and a fast one: always a recipe takes it, the seconds are told, and that it is short; no decision has a reason."""
    (found,) = classify_file.classify_file(written(seconds=seconds, rate_bpm=rate_bpm)).results
    assert found.seconds_read == f"0-{seconds:g} of {seconds:g} s"
    assert SENTENCES[Flag.PADDED if seconds >= 9.9 else Flag.SHORT] in found.remarks
    if found.decision is Decision.UNINTERPRETABLE:
        assert SENTENCES[Flag.NO_BEATS] in found.remarks
    else:
        assert 0 <= found.probability <= 1


@pytest.mark.parametrize("as_table", [False, True])
def test_below_five_seconds_it_is_refused_with_the_reason(written, tmp_path, as_table):
    """As WFDB and as a table of leads, by code and sentence."""
    path = written(seconds=4.98)
    if as_table:
        rows = [f"{row / 250:.3f}," + ",".join(["0.1"] * 12) for row in range(1245)]
        path = tmp_path / "t.csv"
        path.write_text("\n".join(["time_s," + ",".join(f"{lead}_mV" for lead in STANDARD_LEADS), *rows, ""]))
    with pytest.raises(BadInputError, match=r"4\.980 s; it must last at least 5 s") as caught:
        classify_file.classify_file(path)
    assert caught.value.reason is Reason.TOO_SHORT


def test_a_recording_that_comes_twice_keeps_its_place(written):
    """Results stand in the order of the recordings, also where two of them hold the same signal."""
    (first,) = classify_file.read_path(written()).records
    three = [replace(first, name="a"), replace(first, name="b", samples=first.samples[:, ::-1].copy()), replace(first, name="c")]
    found = classify_file.decide_records(three, ("heartbeat",), classify_file.SHIPPED_MODELS)
    assert [(one.name, one.record_id) for one in found] == [(one.name, one.record_id) for one in three]


def test_the_command_says_what_is_measured(written):
    """Each value with its unit, and that of the recording's heart is right."""
    from ecg_tasks.cli.__main__ import app

    told = " ".join(CliRunner().invoke(app, ["classify", str(written())], env={"COLUMNS": "300"}).output.split())
    found = re.search(r"r: Heart rate: (\d+) /min; PR interval: (\d+) ms; QRS duration: (\d+) ms; QT interval: (\d+) ms; QTc by", told)
    assert found, told
    (classified,) = classify_file.classify_file(written()).results
    assert [line.text.split()[0] for line in classified.measured[:4]] == list(found.groups())
    assert 40 < int(found[1]) < 140
    assert "Rhythm: regular." in told
