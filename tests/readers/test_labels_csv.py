"""labels.csv: the truth beside the files."""

import contextlib
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.labels import ClassList, Label
from ecg_tasks.readers import file_names, labels_csv
from ecg_tasks.readers.labels_csv import LabelRow, LabelTable, read_labels


def read(text):
    """Read text as a file called labels.csv."""
    return read_labels(text if isinstance(text, bytes) else text.encode(), name="labels.csv")


def test_all_columns():
    """Every column that is known is read; others are passed over; the order is free."""
    table = read("patient_id,Record,note,label,age,sex\np1, a/100 ,hello,abnormal,81,F\n")
    assert table.rejected == ()
    assert table.rows == (LabelRow(row=2, record="a/100", label=Label.ABNORMAL, patient_id="p1", age=81.0, sex="female"),)


def test_only_two_columns_are_needed():
    """Without the optional columns, nothing is known of the patient."""
    assert read("record,label\n100,0\n").rows[0] == LabelRow(row=2, record="100", label=Label.NORMAL, patient_id=None, age=None, sex=None)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("0", Label.NORMAL),
        ("0.0", Label.NORMAL),
        ("normal", Label.NORMAL),
        (" Normal ", Label.NORMAL),
        ("1", Label.ABNORMAL),
        ("1.0", Label.ABNORMAL),
        ("ABNORMAL", Label.ABNORMAL),
        ("uninterpretable", Label.UNINTERPRETABLE),
        ("", None),
    ],
)
def test_words_for_a_label(text, label):
    """Numbers and words, in any case; an empty label is none."""
    assert read(f"record,label\n100,{text}\n").rows[0].label is label


@pytest.mark.parametrize(
    ("row", "reason", "words"),
    [
        ("100,2,,", Reason.BAD_LABEL, "the label is '2'"),
        ("100,healthy,,", Reason.BAD_LABEL, "'healthy'"),
        (",normal,,", Reason.BAD_LABEL, "names no record"),
        ("100,normal,", Reason.WRONG_WIDTH, "the row has 3 fields; the first line has 4"),
        ("100,normal,,,,", Reason.WRONG_WIDTH, "6 fields"),
    ],
)
def test_bad_row_is_rejected_and_the_rest_is_read(row, reason, words):
    """A row at fault names file, line and value; its neighbours hold."""
    table = read(f"record,label,age,sex\na,0,,\n{row}\nb,1,,\n")
    assert [kept.record for kept in table.rows] == ["a", "b"]
    (rejected,) = table.rejected
    assert (rejected.name, rejected.reason, rejected.content) == ("labels.csv#3", reason, row)
    assert words in rejected.message


@pytest.mark.parametrize(
    ("age", "years"), [("", None), ("nan", None), ("300", None), ("0", 0.0), ("67.5", 67.5), ("89.5", 89.5), ("130", 90.0)]
)
def test_ages(age, years):
    """PTB-XL's 300 stands for an age it hides, and is unknown here; ages above 89 are 90."""
    assert read(f"record,label,age\n100,1,{age}\n").rows[0].age == years


@pytest.mark.parametrize("age", ["old", "-1", "131", "inf", "45M"])
def test_an_age_that_is_none_never_costs_the_label(age):
    """Such an age is dropped and counted; the rest of its row holds."""
    table = read(f"record,label,age,sex\n100,normal,{age},f\n")
    assert table.rejected == ()
    expected = LabelRow(row=2, record="100", label=Label.NORMAL, patient_id=None, age=None, sex="female", dropped=("age",))
    assert table.rows == (expected,)


def test_ids_and_ages_of_a_table_program():
    """A column with gaps turns ids into decimals, and gaps into nan: one patient, and nobody."""
    rows = read("record,label,patient_id,age\na,0,15709,045Y\nb,0,15709.0,90+\nc,0,nan,nan\n").rows
    assert [(row.patient_id, row.age) for row in rows] == [("15709", 45.0), ("15709", 90.0), (None, None)]


@pytest.mark.parametrize("written", ["MI STTC", "mi; sttc", "STTC|MI", "MI+STTC", "MI, STTC"])
@pytest.mark.parametrize("column", ["classes", "Superclasses"])
def test_classes_and_fold(written, column):
    """Names with any usual sign between; the five superclasses in any case; a fold with and without a table program's decimals."""
    (row,) = read(f'record,label,{column},fold\n100,1,"{written}",9.0\n').rows
    assert (row.classes, row.fold, row.dropped) == (ClassList(frozenset({"MI", "STTC"})), 9, ())


def test_collections_that_are_none_never_cost_the_label():
    """They are dropped and counted; an empty cell says nothing."""
    rows = read("record,label,collection\na,1,our clinic\nb,0,\n").rows
    assert [(row.collection, row.dropped) for row in rows] == [(None, ("collection",)), (None, ())]


@pytest.mark.parametrize(
    ("written", "names", "is_whole"),
    [
        ("AF paced_VVI 164889003", {"AF", "paced_VVI", "164889003"}, True),
        ("-", set(), True),
        ("CD ?", {"CD"}, False),
        ("CD -AF -hyp ?", {"CD"}, False),
    ],
)
def test_names_of_ones_own_none_of_them_and_perhaps_others(written, names, is_whole):
    """Which names a model knows is data: any short word is one. What is read is written back in the same words."""
    (row,) = read(f"record,label,classes\n100,,{written}\n").rows
    absent = frozenset({"AF", "HYP"} if "-AF" in written else ())
    assert row.classes == ClassList(frozenset(names), is_whole, absent)
    assert ClassList.read(str(row.classes)) == row.classes


def test_classes_are_stored_in_one_order():
    """The superclasses first, in theirs, then the others by the alphabet, whatever the order in the cell; a hundred names are no more."""
    (row,) = read("record,label,classes\n100,,-zz paced -hyp AF -CD sttc MI -AB\n").rows
    assert str(row.classes) == "MI STTC AF paced -CD -HYP -AB -zz"
    (row,) = read(f"record,label,classes\n100,,{' '.join(f'c{number}' for number in range(100))}\n").rows
    assert len(row.classes.names) == 100


@pytest.mark.parametrize("written", ["", " ", "nan", "nan nan", "?", "N/A"])
def test_an_empty_list_says_nothing(written):
    """Classes are then not known, which is another thing than none."""
    (row,) = read(f"record,label,classes\n100,0,{written}\n").rows
    assert (row.classes, row.dropped) == (None, ())


@pytest.mark.parametrize("written", ["MI !", "- MI", "MI -mi", "--AF", "- ?", "a" * 33, " ".join(f"c{number}" for number in range(101))])
def test_classes_that_are_none_never_cost_the_label(written):
    """They are dropped and counted."""
    (row,) = read(f"record,label,classes,fold\na,1,{written},3\n").rows
    assert (row.label, row.classes, row.fold, row.dropped) == (Label.ABNORMAL, None, 3, ("classes",))


@pytest.mark.parametrize(
    ("label", "classes", "words"),
    [
        ("abnormal", "NORM", "NORM is the class of a normal recording"),
        ("1", "NORM MI", "the label is abnormal"),
        ("normal", "NORM CD HYP", "the label is normal, and among the classes is CD, HYP"),
        ("normal", "AF -NORM", "NORM is said to be absent"),
        ("uninterpretable", "MI", "no classes"),
    ],
)
def test_classes_that_contradict_the_label_are_refused_row_by_row(label, classes, words):
    """Neither is taken: nobody can tell which of the two is right."""
    table = read(
        f"record,label,classes\na,0,NORM\nb,{label},{classes}\nc,,NORM MI\nd,0,early_beat\ne,uninterpretable,-\nf,uninterpretable,-MI ?\n"
    )
    assert [row.record for row in table.rows] == ["a", "c", "d", "e", "f"]
    (rejected,) = table.rejected
    assert (rejected.name, rejected.reason) == ("labels.csv#3", Reason.BAD_LABEL)
    assert words in rejected.message


def test_a_table_with_classes_under_both_names_is_refused():
    """Which of the two columns holds cannot be told."""
    with pytest.raises(BadInputError, match="'classes' 2 times"):
        read("record,label,classes,superclasses\na,1,MI,CD\n")


@pytest.mark.parametrize("written", ["train", "0", "-1", "2.5", "1e3", "99999"])
def test_a_fold_that_is_none_costs_the_row(written):
    """It decides what a recording is used for: without it, one that was meant for a test might be trained on."""
    table = read(f"record,label,fold\na,1,{written}\nb,0,\n")
    assert [(row.record, row.fold) for row in table.rows] == [("b", None)]
    (refused,) = table.rejected
    assert (refused.name, refused.reason) == ("labels.csv#2", Reason.BAD_LABEL)
    assert f"the fold is {written!r}; it must be a whole number from 1 on" in refused.message


@pytest.mark.parametrize(
    ("written", "patient", "found"),
    [
        ("ptbxl", "15709", "ptbxl-15709"),
        ("PTBXL ", "ptbxl-15709", "ptbxl-15709"),
        ("ptbxl", "15709.0", "ptbxl-15709"),
        ("mimic_iv_ecg", "mimic-17", "mimic-17"),
        ("", "15709", "15709"),
        ("sph", "", None),
    ],
)
def test_a_patient_of_a_collection_has_its_name_before_the_id(written, patient, found):
    """Once, as an import writes it: a bucket is of this id, with or without the column."""
    (row,) = read(f"record,label,patient_id,collection\na,1,{patient},{written}\n").rows
    assert (row.patient_id, row.collection) == (found, written.strip().lower() or None)


@pytest.mark.parametrize("sign", [",", ";", "\t"])
def test_signs_between_the_columns(sign):
    """Table programs of other countries part the columns by semicolons or tabs, and then write decimal commas."""
    text = "record,label,age\n100,1,50\n" if sign == "," else f"record{sign}label{sign}age\n100{sign}1{sign}50,5\n"
    assert read(text).rows[0].age in {50.0, 50.5}


@pytest.mark.parametrize(
    "name", ["labels.csv", "Labels.csv", "LABELS.CSV", "labels.csv.gz", "labels (1).csv", "labels(2).csv", "labels - Copy.csv"]
)
def test_names_that_are_read(name):
    """A copy that a browser or a file manager made has the same meaning; contradictions are told row by row."""
    assert file_names.is_label_table(f"ward/{name}")


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("labels.xlsx", b"PK\x03\x04"),
        ("labels.tsv", b"a\tb\n"),
        ("labels_2.csv", b""),
        ("clinic.csv", b"Record,Label\nr,1\n"),
        ("truth.txt", b'"label";"record"\n'),
        ("x.csv", b"\xef\xbb\xbfrecord\tlabel\n"),
    ],
)
def test_names_that_are_told_what_to_be(name, head):
    """A table under another name is refused with the name that it should have."""
    assert not file_names.is_label_table(name)
    assert "call it labels.csv" in labels_csv.misnamed(name, head).message


@pytest.mark.parametrize(("name", "head"), [("beats.csv", b"0.1,0.2\n"), ("labels.hea", b"labels 1 360\n"), ("x.csv", b"records,labels\n")])
def test_other_files_are_told_nothing(name, head):
    """A table of heartbeats, or a recording called so, is no label table."""
    assert labels_csv.misnamed(name, head) is None


@pytest.mark.parametrize(("sex", "expected"), [("m", "male"), ("Male", "male"), ("f", "female"), ("", None), ("1", None)])
def test_sexes(sex, expected):
    """A number for a sex means one thing here and another there, so it means nothing."""
    assert read(f"record,label,sex\n100,1,{sex}\n").rows[0].sex == expected


def test_lines_are_counted_as_an_editor_does():
    """Blank lines and quoted line ends count; a heartbeat row is named file.csv#row."""
    table = read('record,label,note\n\n"beats.csv#3",1,"two\nlines"\nb,0,\n')
    assert [(row.row, row.record) for row in table.rows] == [(4, "beats.csv#3"), (5, "b")]


def test_gzip_and_byte_order_mark():
    """The file may be gzipped, and may come from a spreadsheet."""
    assert read(gzip.compress(b"\xef\xbb\xbfrecord,label\r\n100,1\r\n")).rows[0].record == "100"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"record\n100\n",
        b"label,patient_id\n",
        b"record,label,label\n100,0,1\n",
        b"record,label\n\xff,1\n",
        b'record,label\n"100,1\n',
        b"\0",
    ],
)
def test_what_is_no_table_is_unreadable(data):
    """A file without the two columns, or that is no CSV in UTF-8, is refused whole."""
    with pytest.raises(BadInputError, match=r"labels\.csv") as caught:
        read(data)
    assert caught.value.reason is Reason.UNREADABLE


@pytest.mark.parametrize(
    ("bound", "value", "text", "words"),
    [
        ("MAX_ROWS", 2, "record,label\na,0\nb,7\nc,1\n", "more than 2 rows"),
        ("MAX_LINES", 3, "record,label\n\n\n\na,0\n", "more than 3 lines"),
        ("MAX_COLUMNS", 3, "record,label,,\n", "4 columns"),
        ("MAX_LINE_CHARS", 13, "record,label\n" + "a" * 14, "line 2: 14 characters"),
        ("MAX_TABLE_BYTES", 20, "record,label\na,0\nb,1\n", "more than 20 bytes"),
    ],
)
def test_a_table_beyond_a_bound_is_too_large(monkeypatch, bound, value, text, words):
    """Rows, columns, lines and bytes are bounded, since a few kilobytes of gzip can hold millions of them."""
    monkeypatch.setattr(labels_csv, bound, value)
    with pytest.raises(BadInputError, match=words) as caught:
        read(gzip.compress(text.encode()))
    assert caught.value.reason is Reason.TOO_LARGE


def test_a_giant_field_is_no_crash():
    """A field beyond the csv module's own bound is a fault of the data."""
    with pytest.raises(BadInputError):
        read("record,label\n" + "x" * 200_000 + ",1\n")


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_else(data):
    """Whatever the bytes are, the answer is a table or a BadInputError."""
    for content in (data, b"record,label,age\n" + data):
        with contextlib.suppress(BadInputError):
            assert isinstance(read(content), LabelTable)


@given(
    st.lists(
        st.sampled_from(["MI", "mi", "-CD", "AF", "-af", "?", "-", ";", "|", "nan", "nan", "x" * 33, "é"]) | st.text(max_size=4), max_size=6
    )
)
def test_a_list_of_classes_is_read_back_as_it_is_written(words):
    """Whatever stands in the cell, it is refused, or says nothing, or is a list whose text is the same list."""
    found = None
    with contextlib.suppress(ValueError):
        found = ClassList.read(" ".join(words))
    assert found is None or ClassList.read(str(found)) == found
