"""A PDF that no browser makes: to true scale, real text, embedded fonts, a title and a language, and the same bytes twice."""

import ctypes
import io

import numpy as np
import pypdfium2
import pytest

from ecg_tasks.reporting.class_lines import ClassLine
from ecg_tasks.reporting.facts import Fact, facts_of
from ecg_tasks.reporting.measured import measured_lines
from ecg_tasks.reporting.model import ReportedClass
from ecg_tasks.reporting.pdf_file import PAPERS, pdf, shortened, width_of, wrapped
from ecg_tasks.reporting.record_sheets import RecordSheet, RunSheet, draw_record, draw_run
from ecg_tasks.signals.record import STANDARD_LEADS, Record
from tests.reporting.conftest import HOSTILE, heartbeat_record

pytestmark = pytest.mark.slow

MM_PER_POINT = 25.4 / 72
SHEET_MM = {"a4": (297.0, 210.0), "letter": (279.4, 215.9)}


def square_waves(*, mv=0.5, seconds=10.0, fs=500.0):
    """Twelve leads that step between plus and minus ``mv`` every second."""
    t = np.arange(round(seconds * fs)) / fs
    samples = np.where(t.astype(int) % 2, mv, -mv) * np.ones((12, 1))
    return Record(samples=samples.astype(np.float32), fs=fs, leads=STANDARD_LEADS, unit="mV", name="r", age=61.0, sex="female")


def sheet_of(record, **changes):
    """A sheet with something in every place."""
    measured = dict.fromkeys(("rate_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_fridericia_ms", "qtc_bazett_ms", "axis_deg"), 61.0)
    values = {
        "record": record,
        "name": "ward/7 Ärzte",
        "decision": "abnormal",
        "meaning": "P(abnormal) reaches the threshold.",
        "probability": 0.873,
        "scale": "Abnormal from 0.500 on.",
        "label": "normal",
        "classes": [ClassLine(of=ReportedClass(name="STTC", threshold=0.4, abstain=None), decision="present", probability=0.71)],
        "measured": measured_lines(measured | {"rhythm": "", "not_measurable": "rhythm:few_beats"}),
        "facts": facts_of(record),
        "quality": ["0.91 from 0 (useless) to 1 (clean); 1 of 1 windows used.", "The mains can be seen."],
        "warnings": ["Made from a synthetic recording."],
        "origin": [Fact("Record", "ab" * 16), Fact("Model", "twelve_lead v1, digest 0123456789ab")],
    }
    return RecordSheet(**(values | changes))


def made(*sheets, paper="a4", title="a title"):
    """The bytes of a PDF of these sheets."""
    out = io.BytesIO()
    with pdf(out, title=title, paper=PAPERS[paper]) as file:
        for sheet in sheets:
            (draw_run if isinstance(sheet, RunSheet) else draw_record)(file, sheet)
    return out.getvalue()


def pages_of(content):
    """Of every page its size in mm, its text, and the boxes of its paths (left, bottom, right, top), mm."""
    document = pypdfium2.PdfDocument(content)
    found = []
    for page in document:
        paths = list(page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_PATH], max_depth=2))
        boxes = np.array([_box(one) for one in paths]).reshape(-1, 4) * MM_PER_POINT
        size = tuple(round(side * MM_PER_POINT, 1) for side in page.get_size())
        text = page.get_textpage()
        found.append((size, " ".join(text.get_text_bounded().split()), boxes))
        for one in (*paths, text):
            one.close()
        page.close()
    document.close()
    return found


def _box(path):
    """Left, bottom, right and top of the points of a path, without the width of its line."""
    x, y = ctypes.c_float(), ctypes.c_float()
    points = []
    for index in range(pypdfium2.raw.FPDFPath_CountSegments(path)):
        segment = pypdfium2.raw.FPDFPath_GetPathSegment(path, index)
        assert pypdfium2.raw.FPDFPathSegment_GetPoint(segment, x, y)
        points.append((x.value, y.value))
    return (*np.min(points, axis=0), *np.max(points, axis=0))


@pytest.mark.parametrize("paper", PAPERS)
def test_ten_seconds_are_250_mm_and_a_millivolt_is_10_mm(paper):
    """On both papers: the paper, the rhythm strip and the calibration pulse; all of it on the sheet."""
    ((size, text, boxes),) = pages_of(made(sheet_of(square_waves()), paper=paper))
    assert size == SHEET_MM[paper]
    widths, heights = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    one_mv = np.abs(heights - 10) < 0.05
    assert np.any((np.abs(widths - 250) < 0.1) & one_mv), "the rhythm strip is 10 s by 1 mV"
    assert np.sum((np.abs(widths - 62.5) < 0.1) & one_mv) == len(STANDARD_LEADS)
    assert np.sum((np.abs(widths - 5) < 0.05) & one_mv) == 4, "a pulse a row: 0.2 s with its ends, 1 mV"
    assert boxes[:, :2].min() > 4
    assert boxes[:, 2].max() < size[0] - 4
    assert boxes[:, 3].max() < size[1] - 4
    assert "25 mm/s, 10 mm/mV, printed at 100 %" in text


def test_high_voltages_take_a_second_sheet_and_stay_to_scale():
    """Three times as tall: what is said stands on the first sheet, the trace on the second, at the same speed."""
    first, second = pages_of(made(sheet_of(square_waves(mv=1.6))))
    assert "Measurements" in first[1]
    assert "Record: abab" in first[1]
    assert "aVR" not in first[1]
    widths = second[2][:, 2] - second[2][:, 0]
    assert np.any(np.abs(widths - 250) < 0.1)
    assert "10 mm/mV" in second[1]


def test_it_says_what_the_page_says():
    """As text that can be searched and copied: decision, classes, measurements, person, quality with reasons, origin."""
    ((_, text, _),) = pages_of(made(sheet_of(square_waves())))
    for expected in (
        "ward/7 Ärzte", "Research use, not a medical device.", "▲ abnormal", "P(abnormal) 0.873", "Abnormal from 0.500 on.",
        "Label: normal.", "STTC present 0.710", "from 0.400", "Heart rate 61 /min", "QTc by Fridericia 61 ms", "QRS axis 61°",
        "Rhythm not measurable", "fewer than three beats", "61 years, female", "Device not known", "0.91 from 0 (useless) to 1 (clean)",
        "The mains can be seen.", "Made from a synthetic recording.", "Model: twelve_lead v1, digest 0123456789ab", "aVR", "10 s",
    ):  # fmt: skip
        assert expected in text, expected


def test_the_same_record_gives_the_same_bytes_without_a_time():
    """Whoever makes it again can compare."""
    one, other = (made(sheet_of(square_waves())) for _ in range(2))
    assert one == other
    assert b"CreationDate" not in one
    assert b"ModDate" not in one


def test_title_language_and_fonts_are_in_the_file():
    """A reader shows the title, a voice knows the language, and no font is missing anywhere."""
    content = made(sheet_of(square_waves()), title="ward/7 Ärzte: abnormal")
    document = pypdfium2.PdfDocument(content)
    assert document.get_metadata_dict()["Title"] == "ward/7 Ärzte: abnormal"
    assert document.get_metadata_dict()["CreationDate"] == ""
    assert content.count(b"/Lang (en)") == 1
    assert b"/DisplayDocTitle true" in content
    fonts = set()
    for text in document[0].get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_TEXT]):
        font = pypdfium2.raw.FPDFTextObj_GetFont(text)
        assert pypdfium2.raw.FPDFFont_GetIsEmbedded(font)
        name = ctypes.create_string_buffer(100)
        pypdfium2.raw.FPDFFont_GetBaseFontName(font, name, 100)
        fonts.add(name.value.decode().partition("+")[2] or name.value.decode())
        text.close()
    assert fonts == {"DejaVuSans", "DejaVuSans-Bold"}
    document.close()


@pytest.mark.parametrize("name", [HOSTILE, "心电图 1", "$x^2$ \\frac", "a" * 400, "", "line\nbreak\ttab", "مريض"])
def test_any_name_can_be_written(name):
    """No name is markup, and a character that the font lacks is a sign for it."""
    ((size, text, boxes),) = pages_of(made(sheet_of(square_waves(), name=name), title=name))
    assert "▲ abnormal" in text
    assert boxes[:, 2].max() < size[0] - 4
    if name.startswith("$"):
        assert name in text


def test_a_beat_and_gaps_are_drawn():
    """One beat is enlarged and has no millivolts; invalid samples are bridged; a lead without any is level."""
    ((_, text, _),) = pages_of(made(sheet_of(heartbeat_record("b"), probability=None, label="", classes=[])))
    assert "The level in mV is not known." in text
    assert "P(abnormal) not known" in text
    record = square_waves()
    record.samples[3] = np.nan
    record.samples[4, 1000:2000] = np.nan
    assert len(pages_of(made(sheet_of(record)))) == 1


def test_a_long_recording_says_how_much_is_drawn():
    """The first ten seconds of it."""
    ((_, text, _),) = pages_of(made(sheet_of(square_waves(seconds=35.0))))
    assert "The first 10 s of 35 s" in text


def test_a_run_lists_its_records_over_as_many_sheets_as_it_takes():
    """Every record by name, with its decision; notes and counts first."""
    rows = [(f"recording {number}", "uncertain", 0.5, "") for number in range(100)]
    sheet = RunSheet(
        title="Report of 2026-03-02",
        facts=[Fact("Run", "manual__x")],
        counts={"received": 1200},
        decisions={"uncertain": 100},
        notes=["Three wait."],
        records=rows,
    )
    found = pages_of(made(sheet))
    assert len(found) == 3
    text = " ".join(one[1] for one in found)
    assert "received 1,200" in text
    assert "Three wait." in text
    assert [f"recording {number}◆ uncertain 0.500" in text for number in range(100)] == [True] * 100
    assert "No record of this run has a page." in pages_of(made(RunSheet(**(vars(sheet) | {"records": []}))))[0][1]


@pytest.mark.parametrize("n_records", range(30, 90, 3))
def test_no_sheet_of_a_run_has_a_row_or_two(n_records):
    """However many records there are: the sheet before gives some up."""
    rows = [(f"recording {number}", "normal", 0.1, "") for number in range(n_records)]
    sheet = RunSheet(title="Report", facts=[], counts={"received": 1}, decisions={"normal": 1}, notes=[], records=rows)
    on_each = [text.count("● normal") for _, text, _ in pages_of(made(sheet))]
    assert sum(on_each) == n_records
    assert min(on_each) >= 8
    assert len(on_each) <= 3


def test_words_are_measured_cut_and_wrapped():
    """No line is wider than asked for, and nothing of a text is lost but where it is shortened."""
    text = "What is said of a recording, " + "x" * 200
    lines = wrapped(text, width=40, size=8)
    assert all(width_of(line, size=8) <= 40 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert shortened("short", width=40, size=8) == "short"
    cut = shortened(text, width=40, size=8)
    assert cut.endswith("…")
    assert width_of(cut, size=8) <= 41
