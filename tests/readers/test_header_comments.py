"""What a header's comments say of the person."""

from datetime import date

import pytest

from ecg_tasks.labels import Label
from ecg_tasks.readers.header_comments import PTB_DIAGNOSES, Comments, ptb_label, read_comments


@pytest.mark.parametrize(
    ("comments", "expected"),
    [
        ((), Comments(age=None, sex=None, label=None, synthetic=False)),
        (("age: 81", "sex: female"), Comments(age=81.0, sex="female", label=None, synthetic=False)),
        (("Age: 74", "Sex: Male"), Comments(age=74.0, sex="male", label=None, synthetic=False)),
        (("age: n/a", "sex: n/a", "Reason for admission: n/a"), Comments(age=None, sex=None, label=None, synthetic=False)),
        (("age: 999", "sex: 1"), Comments(age=None, sex=None, label=None, synthetic=False)),
        (("69 M 1085 1629 x1", "Aldomet, Inderal"), Comments(age=69.0, sex="male", label=None, synthetic=False)),
        (("Reason for admission: Healthy control",), Comments(age=None, sex=None, label=Label.NORMAL, synthetic=False)),
        (("Reason for admission: Myocardial infarction",), Comments(age=None, sex=None, label=Label.ABNORMAL, synthetic=False)),
        (("Reason for admission:",), Comments(age=None, sex=None, label=None, synthetic=False)),
        (("<age>: 51", "<sex>: F"), Comments(age=51.0, sex="female", label=None, synthetic=False)),
        (("ECG date: 01/10/1990",), Comments(age=None, sex=None, label=None, synthetic=False, recorded=date(1990, 10, 1))),
        (("ECG date: n/a",), Comments(age=None, sex=None, label=None, synthetic=False)),
        (("ECG date: 31/02/1990",), Comments(age=None, sex=None, label=None, synthetic=False)),
        (("synthetic: yes",), Comments(age=None, sex=None, label=None, synthetic=True)),
        (("synthetic: no",), Comments(age=None, sex=None, label=None, synthetic=False)),
    ],
)
def test_person(comments, expected):
    """Age, sex, PTB diagnosis and the mark of synthetic data, each None or False where it is not told."""
    assert read_comments(comments) == expected


@pytest.mark.parametrize(
    ("reason", "label"),
    [
        ("Healthy control", Label.NORMAL),
        ("Healthy Controls", Label.NORMAL),
        ("  healthy   control ", Label.NORMAL),
        ("Heart failure (NYHA 3)", Label.ABNORMAL),
        ("Dysrhythmia", Label.ABNORMAL),
        ("Cardiomyopathy/Heart failure", Label.ABNORMAL),
        ("Healthy control / Palpitation", None),
        ("Dysrhythmia/see letter", None),
        *[(words, None) for words in ("", "n/a", "None", "normal", "-", "Routine check-up", "unknown", "no infarction", "not known", "?")],
        *[
            (words, None)
            for words in ("Miscellaneous", "Healthy control?", "no Myocardial infarction", "Gesund", "0", "nan", "Knee surgery")
        ],
    ],
)
def test_only_a_known_diagnosis_is_a_label(reason, label):
    """A reason for admission that is not in the table of the PTB database's diagnoses is no label, and never abnormal."""
    assert ptb_label(reason) == label


PTB_REASONS = """Myocardial infarction;Cardiomyopathy;Heart failure (NYHA 2);Heart failure (NYHA 3);Heart failure (NYHA 4);Dysrhythmia
Bundle branch block;Hypertrophy;Myocardial hypertrophy;Valvular heart disease;Myocarditis;Stable angina;Unstable angina;Palpitation"""


@pytest.mark.parametrize("reason", PTB_REASONS.replace("\n", ";").split(";"))
def test_every_diagnosis_of_ptb_keeps_its_label(reason):
    """Each disease that the PTB database names is abnormal, as it was before there was a table."""
    assert ptb_label(reason) is Label.ABNORMAL


def test_the_table_can_be_met():
    """Every key of the table is written as a reason is looked up."""
    assert all(ptb_label(words.upper()) is label for words, label in PTB_DIAGNOSES.items())
