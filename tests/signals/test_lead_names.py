"""What the names of leads mean."""

import pytest

from ecg_tasks.signals.lead_names import LeadName, canonical_names, lead_meant, standard_name
from ecg_tasks.signals.record import STANDARD_LEADS

SPELLINGS = ("{}", "Lead {}", "lead_{}", "lead-{}", "ECG {}", "EKG {}", "ECG-{}", "ecg lead {}", "{}+", "{}-REF", "MDC_ECG_LEAD_{}")
SPELLINGS += ("NOM_ECG_LEAD_{}", "{} (Einthoven)", "Lead {} (Goldberger)", "  {} ", "{} [mV]", "Ableitung {}")


@pytest.mark.parametrize("lead", STANDARD_LEADS)
def test_spellings_of_version_0_1(lead):
    """Upper case, lower case and blanks around it: the name is the one in STANDARD_LEADS."""
    assert {standard_name(spelling) for spelling in (lead, lead.upper(), lead.lower(), f" {lead} ")} == {lead}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_every_lead(spelling):
    """Words, codes, remarks and signs around a lead's name do not hide it, in any case of letters."""
    for lead in STANDARD_LEADS:
        for name in (spelling.format(lead), spelling.format(lead).upper(), spelling.format(lead).lower()):
            assert lead_meant(name) == LeadName(lead=lead), name


@pytest.mark.parametrize("name", ["DII", "D2", "L2", "Lead 2", "MLII", "Ⅱ", "ＩＩ"])
def test_other_names_of_lead_ii(name):
    """Numbers, Latin letters of other widths, and the lead of Holter recordings."""
    assert lead_meant(name) == LeadName(lead="II")


@pytest.mark.parametrize("name", ["-aVR", "−aVR", "(-)aVR", "minus aVR", "Lead -aVR", "MDC_ECG_LEAD_-AVR", "MDC_ECG_LEAD_aVRneg"])
def test_a_turned_lead(name):
    """Cabrera's -aVR is aVR upside down."""
    assert lead_meant(name) == LeadName(lead="aVR", turned=True)


@pytest.mark.parametrize("name", ["V3R", "MDC_ECG_LEAD_V3R", "V7", "vx", "X", "ECG", "EKG1", "ECG 2", "1", "C1", "II-", "RESP", "", "Lead"])
def test_what_is_no_standard_lead(name):
    """A lead on the other side of the chest, a channel's number, or nothing: no lead is guessed."""
    assert lead_meant(name) is None


@pytest.mark.parametrize("name", ["I-II", "ECG I-II", "II - I", "Lead I_II"])
def test_what_is_between_two_leads_is_none_of_them(name):
    """Lead I less lead II is lead III upside down: the two numerals together are no III."""
    assert lead_meant(name) is None


def test_names_are_stored_as_ever_where_lead_ii_was_known():
    """Names are part of a record's id: they change only where version 0.1 could not take the recording."""
    assert canonical_names(["DI", "ii", "-AVR"]) == ["DI", "II", "-AVR"]
    assert canonical_names(["DI", "DII", "-AVR", "V3R"]) == ["I", "II", "-aVR", "V3R"]
