"""Here: tests of the files of a report: valid, offline, escaped, complete, quick."""

import json
import re
from dataclasses import replace
from itertools import pairwise

import html5lib
import numpy as np
import pytest
from jsonschema import Draft202012Validator, ValidationError
from msgspec import structs

from ecg_tasks.counts import ReportCounts
from ecg_tasks.errors import Reason
from ecg_tasks.labels import Decision
from ecg_tasks.reporting import pages as pages_module
from ecg_tasks.reporting.model import RecordDetail, ReportedInput
from ecg_tasks.reporting.pages import _asset, record_page, render_report
from ecg_tasks.reporting.sections import MEANINGS
from ecg_tasks.reporting.summary import schema_json, summary, summary_json
from tests.reporting.test_attribution import attribution
from tests.run_tables import run_table

XHTML = "{http://www.w3.org/1999/xhtml}"


def _made(report, details):
    """Every file of a report, with its bytes."""
    return {path: content if isinstance(content, bytes) else content.read() for path, content in render_report(report, details)}


@pytest.fixture(scope="module")
def files(report, details):
    """The whole report."""
    return _made(report, iter(details))


@pytest.fixture(scope="module")
def pages(files):
    """Every HTML page, parsed; html5lib in strict mode raises at the first parse error."""
    return {path: html5lib.HTMLParser(strict=True).parse(content) for path, content in files.items() if path.endswith(".html")}


def _text(tree):
    return " ".join(" ".join(tree.itertext()).split())


def _ids(tree):
    return {found.get("id") for found in tree.iter() if found.get("id")}


def test_all_files_are_there_and_the_index_comes_last(files, details):
    """Whoever sees index.html finds all that it links to."""
    pages = [f"records/{detail.record.record_id}.html" for detail in details]
    schemas = ["predictions.schema.json", "summary.schema.json"]
    assert list(files) == ["predictions.parquet", "predictions.csv", *pages, *schemas, "summary.json", "index.html"]


def test_every_page_parses_without_an_error(pages):
    """Strict parsing of each page, with names and messages that try to break out."""
    assert len(pages) == 7


def test_no_page_asks_for_anything(files, pages):
    """Nothing is loaded: no source outside the page, a policy that forbids it, and links only within the report."""
    for path, tree in pages.items():
        for element in tree.iter():
            assert element.tag not in {f"{XHTML}{name}" for name in ("link", "iframe", "img", "object", "embed", "base", "audio", "video")}
            assert element.get("src") is None
            href = element.get("href", "")
            if element.tag.endswith("image"):
                assert href.startswith("data:image/png;base64,")
            elif href.startswith("#"):
                assert href[1:] in _ids(tree)
            elif href:
                folder = "records/" if path.startswith("records/") else ""
                assert (folder + href).replace("records/../", "") in files, href
        assert "url(" not in files[path].decode()
        policy = next(found.get("content") for found in tree.iter(f"{XHTML}meta") if found.get("http-equiv"))
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy


def test_nothing_from_a_file_becomes_markup(files, pages):
    """The only script is our own, no element carries a handler or a style, and hostile text is read as text."""
    ours = {True: [str(_asset("early.js")), str(_asset("table.js"))], False: [str(_asset("trace.js"))]}
    for path, tree in pages.items():
        scripts = [found.text for found in tree.iter(f"{XHTML}script")]
        assert scripts == ours[path == "index.html"]
        for element in tree.iter():
            assert not [name for name in element.keys() if name.startswith("on") or name == "style"]  # noqa: SIM118  html5lib's elements
        assert not list(tree.iter(f"{XHTML}i"))
    index = _text(pages["index.html"])
    assert "</script><script>alert('x')</script>\ufffd\ufffd\"&#x27;" in index
    assert "row 3 is <i>'nan'</i>" in index
    assert "Three <wait>." in index
    assert b"<script>alert" not in b"".join(content for path, content in files.items() if path.endswith(".html"))


def test_the_table_is_whole_without_a_script(pages, report):
    """Every record has its row in the HTML, with a head, a scope and a caption; the controls stay hidden until a script runs."""
    tree = pages["index.html"]
    table = next(found for found in tree.iter(f"{XHTML}table") if found.get("id") == "table")
    rows = list(table.find(f"{XHTML}tbody"))
    assert len(rows) == len(report.predictions)
    for found in tree.iter(f"{XHTML}table"):
        assert found.find(f"{XHTML}caption") is not None
    for head in tree.iter(f"{XHTML}th"):
        assert head.get("scope") in {"row", "col"}
    assert next(found for found in tree.iter() if found.get("id") == "controls").get("hidden") is not None


def test_headings_never_skip_a_level(pages):
    """One h1, then each heading at most one level below the last."""
    for tree in pages.values():
        levels = [int(found.tag[-1]) for found in tree.iter() if re.fullmatch(rf"{re.escape(XHTML)}h[1-6]", str(found.tag))]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_the_index_tells_counts_models_figures_and_quarantine(pages):
    """The numbers of the account, intervals with n and split unit, reasons, and what kind of software this is."""
    index = _text(pages["index.html"])
    for expected in (
        "received 12 records 9 duplicates 2 quarantined 1",
        "records 9 classified 4 uncertain 1 uninterpretable 1 pending 3",
        "AUROC 0.870 0.810 to 0.920",
        "not defined",
        "98 records of 95 patients, split by patient",
        "beat length alone 0.740",
        "71 records of 70 patients, split by patient",
        "non_finite 1",
        "Research use, not a medical device",
        "Made from synthetic recordings. 2 of 6 records",
        "Trained on synthetic recordings. heartbeat v1",
    ):
        assert expected in index, expected


def test_a_record_page_tells_decision_threshold_and_origin(pages, details):
    """Probability, threshold and band, digest, source with its digest, quality with flags, units of every axis."""
    page = _text(pages[f"records/{details[0].record.record_id}.html"])
    for expected in (
        "P = 0.910", "Abnormal from 0.500 on; uncertain from 0.450 to 0.550", "0123456789ab", "ab" * 32, "<b>mains noise", "0.90",
        "differs from the decision", "Seconds read 0-10 of 10 s", "25 mm/s and 10 mm/mV on A4 and US Letter in landscape",
        "frequency, Hz", "time, s", "level, dB", "1 mV", "10 s", "61 years, female",
    ):  # fmt: skip
        assert expected in page, expected
    uninterpretable = _text(pages[f"records/{details[3].record.record_id}.html"])
    assert "No probability" in uninterpretable
    assert "The baseline moves by several millivolts. low amplitude" in uninterpretable
    assert "There is no spectrogram" in uninterpretable
    assert "Made from a synthetic recording." in _text(pages[f"records/{details[4].record.record_id}.html"])


def test_everybody_sees_that_measurements_are_no_diagnosis(files, details):
    """The sentence is not for screen readers alone, as other captions are that repeat a heading."""
    page = files[f"records/{details[0].record.record_id}.html"].decode()
    said = "Measured by a program on the median beat over all leads. This is no diagnosis, and no decision depends on it."
    assert f'<p class="muted">{said}</p>' in page


def test_what_a_reader_wants_first_stands_first(report, details):
    """Decision, classes, measurements, person, time, device and quality come before the trace; where it comes from is last."""
    page = _text(html5lib.parse(record_page(report, replace(details[0], attribution=attribution())).decode()))
    places = [
        page.index(wanted)
        for wanted in (
            "Decision", "P = 0.910", "Heart rate", "PR interval", "QRS duration", "QT interval", "QTc by Fridericia", "QRS axis",
            "61 years, female", "Recorded", "Device", "Quality 0.90 (0 useless, 1 clean)", "Waveform", "Spectrogram",
            "all leads together", "Where it comes from", "Record id", "Model digest",
        )
    ]  # fmt: skip
    assert places == sorted(places)


def test_pages_link_to_their_neighbours(files, details):
    """From the first page to the last and back, each by one step."""
    ids = [detail.record.record_id for detail in details]
    for index, record_id in enumerate(ids):
        links = dict(re.findall(r'href="(\w+)\.html" rel="(prev|next)"', files[f"records/{record_id}.html"].decode()))
        expected = {ids[index + step]: name for step, name in ((-1, "prev"), (1, "next")) if 0 <= index + step < len(ids)}
        assert links == expected


def test_the_summary_follows_its_schema_and_the_schema_is_valid(files, report):
    """Read back from the bytes; the counts are the account's and the histogram holds every probability."""
    schema = json.loads(files["summary.schema.json"])
    Draft202012Validator.check_schema(schema)
    content = json.loads(files["summary.json"])
    Draft202012Validator(schema).validate(content)
    assert content["counts"] == {name: getattr(report.counts, name) for name in ReportCounts.__struct_fields__}
    assert sum(sum(bins) for model in content["models"] for bins in model["scores"]["counts"].values()) == 5
    assert content["models"][0]["test"]["figures"]["ppv"] == {"value": None, "low": None, "high": None}
    assert content["quarantine"]["by_reason"] == {"non_finite": 1}
    assert content["files"] == {"predictions": "predictions.csv", "n_rows": 6, "n_record_pages": 6}


def test_the_schema_refuses_what_is_not_promised(report):
    """A missing and an added member, and a wrong kind, each fail."""
    validator = Draft202012Validator(json.loads(schema_json()))
    good = summary(report, n_pages=0)
    validator.validate(good)
    for broken in (
        {name: value for name, value in good.items() if name != "counts"},
        good | {"extra": 1},
        good | {"counts": good["counts"] | {"pending": -1}},
    ):
        with pytest.raises(ValidationError):
            validator.validate(broken)


def test_a_date_that_is_none_is_refused_before_anything_is_written(report):
    """The summary is validated when it is made."""
    with pytest.raises(ValidationError, match="yesterday"):
        summary_json(replace(report, date="yesterday"), n_pages=0)


def test_every_decision_and_every_reason_can_be_shown(report):
    """No decision lacks a sentence and no reason code breaks the page."""
    assert set(MEANINGS) == set(Decision)
    quarantined = [
        ReportedInput(name=f"file{index}", reason=str(reason), message="m", sha256="0" * 64) for index, reason in enumerate(Reason)
    ]
    n = len(quarantined)
    counts = structs.replace(report.counts, quarantined=n, received=report.counts.received - 1 + n)
    index = _made(replace(report, quarantined=quarantined, counts=counts), [])["index.html"].decode()
    assert all(f'<td class="mono">{reason}</td>' in index for reason in Reason)


def test_an_empty_run_still_gives_valid_pages(report):
    """No record, no model, no quarantine: sentences instead of tables."""
    nothing = ReportCounts(**dict.fromkeys(ReportCounts.__struct_fields__, 0))
    empty = replace(
        report,
        counts=nothing,
        predictions=run_table(),
        quarantined=(),
        models=(),
        unseen=(),
        unseen_absent="There was none.",
    )
    files = _made(empty, [])
    text = _text(html5lib.HTMLParser(strict=True).parse(files["index.html"]))
    assert "There was none." in text
    assert "every input of this run could be read" in text
    assert len(files["predictions.csv"].splitlines()) == 1


def test_without_details_there_are_no_links_to_pages(report):
    """A limit of zero makes a report without record pages."""
    assert b'href="records/' not in _made(report, [])["index.html"]


def test_a_long_table_says_where_the_rest_is(report, monkeypatch):
    """Above the limit the first rows are listed, and the sentence names predictions.csv."""
    monkeypatch.setattr(pages_module, "ROWS_LISTED", 4)
    text = _text(html5lib.parse(_made(report, [])["index.html"]))
    assert "The first 4 of 6 records are listed here, the most urgent first; predictions.csv has all of them." in text


def test_a_hundred_thousand_records_take_seconds_and_ten_thousand_rows(report):
    """predictions.csv has all, index.html the first ten thousand, and the page stays below 5 MB."""
    n = 100_000
    table = run_table(
        {
            "record_id": f"{row:032x}",
            "name": f"drop/file{row}.hea",
            "recipe": "twelve_lead",
            "probability": value,
            "decision": "abnormal" if value > 0.5 else "normal",
        }
        for row, value in enumerate(np.random.default_rng(0).random(n).tolist())
    )
    counts = ReportCounts(
        received=n, records=n, duplicates=0, quarantined=0, classified=n, uncertain=0, uninterpretable=0, pending=0
    )  # fmt: skip
    large = replace(report, predictions=table, counts=counts, quarantined=())
    files = _made(large, [])
    assert files["predictions.csv"].count(b"\n") == n + 1
    assert files["index.html"].count(b'<tr><th scope="row">drop/') == 0
    assert files["index.html"].count(b'<tr><th scope="row"><bdi>drop/') == pages_module.ROWS_LISTED
    assert len(files["index.html"]) < 5_000_000


def test_details_are_read_one_page_ahead_and_no_further(report, details):
    """The caller's records are taken as they are needed, so memory holds two of them."""
    taken: list[RecordDetail] = []

    def reading():
        for detail in details:
            taken.append(detail)
            yield detail

    made = render_report(report, reading())
    next(made)
    next(made)
    assert taken == []
    next(made)
    assert len(taken) == 2


def test_text_has_enough_contrast_in_light_and_dark(contrast):
    """WCAG AA: 4.5 to 1 for every pair of text and background that the style sheet uses."""
    style = str(_asset("report.css"))
    themes = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", block)) for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)]
    assert len(themes) == 2
    pairs = [(ink, ground) for ink in ("ink", "muted", "accent") for ground in ("page", "card", "hover")]
    pairs += [(name, f"{name}-soft") for name in ("normal", "abnormal", "uncertain", "uninterpretable", "warn")]
    pairs += [("abnormal", "card"), ("muted", "paper"), ("trace", "paper")]
    for theme in themes:
        for ink, ground in pairs:
            assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)
        for bar in ("normal-bar", "abnormal-bar", "uncertain-bar", "uninterpretable-bar"):
            assert contrast(theme[bar], theme["card"]) >= 3, bar


def test_a_record_of_a_model_that_the_report_does_not_list_is_no_page(report, details):
    """The model of every page is one of the report's."""
    (row,) = report.predictions.find([details[0].record.record_id])
    with pytest.raises(ValueError, match="which models do not list"):
        replace(report, models=[replace(model, version="v9") for model in report.models])
    limits = {"threshold": row["threshold"], "abstain": (row["abstain_low"], row["abstain_high"])}
    assert report.model_of(row) == replace(report.models[0], **limits)


def test_the_model_of_a_record_has_the_limits_that_held_for_it(report, details):
    """Those of its site may be others than the version's; a table of before says nothing of them."""
    (row,) = report.predictions.find([details[0].record.record_id])
    of_site = report.model_of(row | {"threshold": 0.2, "abstain_low": None, "abstain_high": None})
    assert (of_site.threshold, of_site.abstain) == (0.2, None)
    assert report.model_of(row | {"threshold": None}) is report.models[0]
