"""What the pages say is so: plots are shown, counts add up, an empty table says why, and an undecided record says that it is."""

import re

import pytest

from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.workspace import now
from ecg_tasks.counts import ReportCounts
from ecg_tasks.queries.models import PLOTS
from ecg_tasks.reporting.model import ReportedInput, RunReport
from ecg_tasks.reporting.pages import render_report
from tests.run_tables import run_table

DATE, RUN = "2026-03-03", "empty"


def test_the_five_plots_of_a_card_are_shown(admin, archive):
    """Each plot is a picture of the page and can be had; another file of the version, and another name, cannot."""
    card = "/ecg/models/heartbeat/aaaa00000001"
    text = admin.get(card).text
    assert re.findall(r'<img src="([^"]+)" alt="([^"]+)"', text) != []
    assert {path.rsplit("/", 1)[-1] for path in re.findall(r'<img src="([^"]+)"', text)} == set(PLOTS)
    assert "!ROC" not in text
    for name in PLOTS:
        answer = admin.get(f"{card}/{name}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
        assert answer.content == archive.store.get(keys.model_file("heartbeat", "aaaa00000001", name))
    assert admin.get(f"{card}/model.json").status_code in {404, 422}
    assert admin.get("/ecg/models/heartbeat/aaaa00000009/roc.svg").status_code == 404


def test_the_report_adds_up(admin, archive):
    """Both sums of the account are on the page, as they are on the offline one."""
    shown = re.findall(r"<dt>([a-z]+)</dt><dd>([\d,]+)</dd>", admin.get(archive.report).text)
    counts = {name: int(value.replace(",", "")) for name, value in shown}
    assert counts["received"] == counts["records"] + counts["duplicates"] + counts["quarantined"] > 0
    assert counts["records"] == sum(counts[name] for name in ("classified", "uncertain", "uninterpretable", "pending"))


def _account(**counts: int) -> ReportCounts:
    names = ("received", "records", "duplicates", "quarantined", "classified", "uncertain", "uninterpretable", "pending")
    return ReportCounts(**(dict.fromkeys(names, 0) | counts))


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({}, "No record is listed: nothing was received since the report before."),
        ({"received": 840, "duplicates": 840}, "No record is new: 840 inputs, all duplicates of known records."),
        ({"received": 1, "duplicates": 1}, "No record is new: 1 input, a duplicate of a known record."),
        (
            {"received": 3, "duplicates": 2, "quarantined": 1},
            "No record is new: 3 inputs, 2 duplicates of known records and 1 in quarantine.",
        ),
        ({"received": 4, "records": 4, "pending": 4}, "No record has a decision yet: 4 records wait for pictures or for a model."),
    ],
)
def test_an_empty_table_says_why(admin, archive, counts, sentence):
    """Duplicates, nothing received, and pending records are not rows that a filter hid: on the page here and on the offline one."""
    report = RunReport(
        run_id=RUN,
        date=DATE,
        dag="classify_records",
        created_utc="2026-03-03T02:00:00Z",
        counts=_account(**counts),
        models=[],
        predictions=run_table(),
        quarantined=[ReportedInput(name="a.csv", reason="flat", message="It is flat.", sha256="0" * 64)] * counts.get("quarantined", 0),
        unseen_absent="No record.",
    )
    for path, content in render_report(report, ()):
        archive.store.put(keys.report(DATE, RUN, path), content if isinstance(content, bytes) else content.read())
    text = admin.get(f"/ecg/reports/{DATE}/{RUN}").text
    assert sentence in text
    assert "passes this filter" not in text
    assert sentence in archive.store.get(keys.report(DATE, RUN, "index.html")).decode()
    archive.store.delete_many(archive.store.list_keys(f"{keys.REPORTS}{DATE}/"))


def test_a_filter_that_hides_all_rows_is_told_as_one(admin, archive, rows):
    """Where the report has rows, an empty table is the filter's doing."""
    assert f"No record of {len(rows)} passes this filter." in admin.get(f"{archive.report}?q=no-such-name").text


def test_a_record_that_the_champion_has_not_decided_says_so(admin, archive, rows):
    """With a new champion no other answer stands as the decision; it is listed below as another version's, and the queue says so, too."""
    record_id = next(row["record_id"] for row in rows if row["recipe"] == "twelve_lead")
    registry.write_champion(archive.store, recipe="twelve_lead", version="aaaa00000002", since=now(), who="test", why="newer")
    try:
        text = admin.get(f"/ecg/records/{record_id}").text
        decision = text.partition('id="decision-h"')[2].partition("</section>")[0]
        assert "Not decided yet: the champion of twelve_lead decides with the next run of classify_records." in decision
        assert 'class="big"' not in decision
        assert text.count("aaaa00000001") >= 1
        review = admin.get("/ecg/review").text
        assert "not decided yet by the champion of twelve_lead" in review
        from_report = admin.get(f"/ecg/records/{record_id}?date={archive.date}&run={archive.run}").text
        assert 'class="big"' in from_report.partition('id="decision-h"')[2].partition("</section>")[0]
    finally:
        registry.write_champion(archive.store, recipe="twelve_lead", version="aaaa00000001", since=now(), who="test", why="it is there")
