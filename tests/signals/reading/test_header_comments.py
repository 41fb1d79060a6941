"""What a header's comments say of the person."""

import pytest

from ecg_tasks.labels import Label
from ecg_tasks.signals.reading.header_comments import Person, read_comments


@pytest.mark.parametrize(
    ("comments", "expected"),
    [
        ((), Person(age=None, sex=None, label=None, synthetic=False)),
        (("age: 81", "sex: female"), Person(age=81.0, sex="female", label=None, synthetic=False)),
        (("Age: 74", "Sex: Male"), Person(age=74.0, sex="male", label=None, synthetic=False)),
        (("age: n/a", "sex: n/a", "Reason for admission: n/a"), Person(age=None, sex=None, label=None, synthetic=False)),
        (("age: 999", "sex: 1"), Person(age=None, sex=None, label=None, synthetic=False)),
        (("69 M 1085 1629 x1", "Aldomet, Inderal"), Person(age=69.0, sex="male", label=None, synthetic=False)),
        (("Reason for admission: Healthy control",), Person(age=None, sex=None, label=Label.NORMAL, synthetic=False)),
        (("Reason for admission: Myocardial infarction",), Person(age=None, sex=None, label=Label.ABNORMAL, synthetic=False)),
        (("Reason for admission:",), Person(age=None, sex=None, label=None, synthetic=False)),
        (("synthetic: yes",), Person(age=None, sex=None, label=None, synthetic=True)),
        (("synthetic: no",), Person(age=None, sex=None, label=None, synthetic=False)),
    ],
)
def test_person(comments, expected):
    """Age, sex, PTB diagnosis and the mark of synthetic data, each None or False where it is not told."""
    assert read_comments(comments) == expected
