"""Which records a row of a label table can mean."""

import unicodedata

import pytest

from ecg_tasks.readers.record_names import normal_name, paths_meant


@pytest.mark.parametrize(
    "record", ["r", "./r", "r.dat", "r.hea", "r.HEA", ".\\r", "r.mat", "../ward/r", "x/../r", "/ward/r", "inbox/ward/r"]
)
def test_spellings_of_a_name(record):
    """Each of these means the recording ``ward/r`` when it stands in ``ward/labels.csv``."""
    assert "ward/r" in [name for spellings in paths_meant(record, folder="ward") for name in spellings]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_in_either_form(form):
    """A name that a Mac decomposed is the same name."""
    assert paths_meant(unicodedata.normalize(form, "größe"), folder="") == [(normal_name(unicodedata.normalize("NFD", "größe")),)]


def test_a_bare_name_stays_in_its_folder():
    """No other folder is looked into, neither above nor below."""
    assert paths_meant("r", folder="a/b") == [("a/b/r",)]


@pytest.mark.parametrize("record", ["../r", "..", "../../etc/passwd", "."])
def test_nothing_outside_the_inbox_is_meant(record):
    """A path that leads out of the inbox means no record."""
    assert not [name for spellings in paths_meant(record, folder="") for name in spellings if name.startswith(".")]


def test_rows_of_a_csv_keep_their_number():
    """The ending of the file may be in capitals; the number of the row is no ending."""
    assert paths_meant("Beats.CSV.GZ#12", folder="w") == [("w/Beats.csv.gz#12",)]
    assert normal_name("w/Beats.CSV.GZ#12") == "w/Beats.csv.gz#12"
