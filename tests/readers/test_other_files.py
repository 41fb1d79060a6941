"""What a file that is not read is said to be."""

import gzip

import pytest

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import unknown_file
from tests.readings import read_heartbeat_csv

LEADS = "I,II,III,aVR,aVL,aVF,V1,V2,V3,V4,V5,V6"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            LEADS + "\n" + "-40.0,-575.0,-535,308,248,-555,200,250,130,165,135,115\n" * 500,
            "about 500 rows of 12 columns, named I, II, III, …",
        ),
        ("time_s;Lead I;ECG II;V5 (mV)\n" + "0,1;2;3;4\n" * 50, "about 50 rows of 4 columns, named Lead I, ECG II, V5 (mV)"),
        ("'Elapsed time','MLII','V5'\n'hh:mm:ss.mmm','mV','mV'\n" + "'0:00.0',-0.1,-0.1\n" * 99, "of 3 columns, named MLII, V5"),
        ("0.1,0.2,0.3\n" * 1000, "1000 lines with 3 columns"),
        ((",".join(["0.1"] * 5000) + "\n") * 12, "12 lines with 5000 columns"),
        (
            "who,age,heart rate\nA. Person,45,71\nB. Person,50,66\n",
            "a table that has something other than numbers: 3 lines with 3 columns",
        ),
        ("A letter about a heart.\nIt was well.\n", "text, not a table: 2 lines with 1 column"),
        ('{"fs": 500}\n', "it looks like JSON"),
        ("<!DOCTYPE html>\n<html><body>Not Found</body></html>", "a web page, perhaps an error page instead of the file"),
        ("<?xml version='1.0'?>\n<RestingECG>\n", "an ECG as XML; unpack it and drop the file"),
        ("Name,A. Person\nDate of Birth,1950-01-01\nDevice,Apple Watch\nUnit,µV\n1,2\n", "an ECG of an Apple Watch, with only lead I"),
        ("\n".join([",".join(["0.5"] * 189)] * 3), "rows have 189 columns; a row of heartbeats has 187 or 188. If column 1 is an index"),
    ],
)
def test_a_csv_without_heartbeats_is_told_for_what_it_is(text, words):
    """One sentence for the file: a recording with its size and leads, numbers, a table of words, or no table at all; no person's words."""
    with pytest.raises(BadInputError) as caught:
        read_heartbeat_csv(text.encode(), name="w/x.csv")
    assert words in caught.value.message
    assert caught.value.message.startswith("w/x.csv")
    assert "Person" not in caught.value.message
    assert caught.value.reason is Reason.WRONG_WIDTH


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"%PDF-1.7\n", "a PDF: a picture of a recording, without its signal"),
        (bytes(128) + b"DICM", "DICOM; unpack it"),
        (b"0       X X X X", "EDF; unpack it"),
        (b"@ MFR Standard 12 leads ECG", "MFER, the format of devices by Nihon Kohden and Fukuda Denshi; export"),
        (b"\0\0\x84\0\0\0\x14\x07\0\0", "a BIOPAC (AcqKnowledge) recording; export"),
        (b"ALIVE\0\0\0\2\0\0\0", "a Kardia recording (AliveCor), usually with only lead I"),
        (b'{"id": "x", "recordedAt": "2020-01-01"}', "a Kardia recording (AliveCor)"),
        (b'<?xml version="1.0"?>\n<ECG ACQUISITION_TIME="20200101">', "Mortara's XML (ELI, Welch Allyn); export"),
        (b"<examdescript>", "Schiller's XML; export"),
        (b"\xff\xfe" + "<HealthData locale='de'>".encode("utf-16-le"), "an export of Apple Health, whose ECGs have only lead I"),
        (b'{"resourceType": "Observation", "valueSampledData": {}}', "a FHIR resource; export"),
        (b'<Observation xmlns="http://hl7.org/fhir">', "a FHIR resource; export"),
        (b"PK\3\4" + bytes(26) + b"word/document.xml", "a Word document, which has no signal; export"),
        (b"{\\rtf1", "a text document, which has no signal; export"),
        (b"\0\0\0\x18ftypheic", "a picture, which has no signal; export"),
        (b"\x80\4\x95\x0f", "a Python pickle, which is never opened"),
        (b"PK\3\4" + bytes(9) + b"a.csv", "a ZIP archive; drop it alone"),
        (b"\xff\xd8\xff\xe0", "a picture, which has no signal"),
        (b"Dear doctor,\n", "some other text"),
        (b"\0\1\2\3", "an unknown kind of file"),
    ],
)
def test_an_unknown_file_is_told_for_what_it_looks_like(head, words):
    """The sentence for a file that no reader takes names its format and what to do."""
    sentence = unknown_file.sentence("a/x", head)
    assert sentence.startswith("a/x is in a format that is not supported; it looks like ")
    assert words in sentence


def test_an_empty_file_is_told_as_empty():
    """Nothing at all looks like nothing."""
    assert unknown_file.sentence("a/x", b"") == "a/x is empty"


def test_a_long_line_is_described_within_bounds():
    """A line of ten million quotes and commas, packed, is described as quickly as it is unpacked."""
    with pytest.raises(BadInputError, match="1 line with 5000001 columns"):
        read_heartbeat_csv(gzip.compress(b'"",' * 5_000_000), name="x.csv.gz")
