"""Ids and ages as people and table programs write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_tasks.readers.person import MAX_AGE_YEARS, UnclearError, age_years, patient_id


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15709", "15709"),
        ("15709.0", "15709"),
        ("15709.", "15709"),
        ("1.5709e+04", "15709"),
        ('="0012"', "0012"),
        ("007.0", "007"),
        (" P 1 ", "P 1"),
        ("1E5", "1E5"),
        ("999", "999"),
        ("ptbxl-9999", "ptbxl-9999"),
        ("Mu\u0308ller", "M\u00fcller"),
    ],
)
def test_one_patient_has_one_id(text, expected):
    """Spellings that a table program makes of one id are one; what was a plain id stays as it is."""
    assert patient_id(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nan",
        "NaN",
        "0",
        "0.0",
        "0000",
        "-1",
        "-999.0",
        "9999",
        "99999.0",
        "xxxxxx",
        "XX",
        "Anonymous",
        "ANONYMOUS^",
        "anonymisé",
        "n/a",
        "N.A.",
        "#N/A",
        "<NA>",
        "none",
        "NULL",
        "unknown",
        "-",
        "--",
        "?",
        "***",
    ],
)
def test_a_filler_is_no_patient(text):
    """What stands where an id is missing or was taken out would make one patient of many."""
    assert patient_id(text) is None


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("045Y", 45.0),
        ("45y", 45.0),
        ("45 years", 45.0),
        ("006M", 0.5),
        ("6 months", 0.5),
        ("90+", 90.0),
        (">89", 90.0),
        (">= 90", 90.0),
        ("≥90", 90.0),
        ("89 years and older", 89.0),
        ("45,5", 45.5),
        ("67.5", 67.5),
        ("", None),
        ("nan", None),
        ("300", None),
        ("300.0", None),
    ],
)
def test_ages_that_are_read(text, years):
    """DICOM's ages, open ages and numbers are years; PTB-XL's 300 and gaps are unknown."""
    assert age_years(text) == years


@pytest.mark.parametrize("text", ["45M", "-1", "131", "inf", "old", "40-49", "<1", "999", "Y45", "1e2", "045X", "200Y"])
def test_ages_that_are_none(text):
    """What could mean several ages, or none, is not guessed."""
    with pytest.raises(UnclearError):
        age_years(text)


def test_a_rounded_id_is_no_id():
    """A number that a table program cut off may stand for several patients."""
    with pytest.raises(UnclearError):
        patient_id("1.23457E+11")


@given(st.text(max_size=30))
def test_an_id_stays_what_it_became(text):
    """The normal form of a normal form is itself, whatever the text."""
    try:
        found = patient_id(text)
    except UnclearError:
        return
    assert found is None or (found and patient_id(found) == found)


@given(st.text(alphabet="0123456789.,+>=≥ ymdw-e", max_size=8))
def test_an_age_is_possible(text):
    """Whatever is read as an age lies between birth and the bound."""
    try:
        found = age_years(text)
    except UnclearError:
        return
    assert found is None or 0 <= found <= MAX_AGE_YEARS
