"""The median beat of a record, and a record over an earlier one of the same patient: what is drawn, said, and noted of it."""

import re
from types import SimpleNamespace

import pytest

from ecg_tasks.actions import access
from ecg_tasks.queries import access_report, records, same_patient
from ecg_tasks.signals.measurements import measure


@pytest.fixture(scope="module")
def dated(archive, rows):
    """Ids of the recordings of 2019 and of 2023 of one patient, of one of nobody known, and of a heartbeat row."""
    by_year = {row["recorded"]: row["record_id"] for row in rows if row["recipe"] == "twelve_lead"}
    unknown = next(row["record_id"] for row in rows if "copy_of" in row["name"])
    beat = next(row["record_id"] for row in rows if row["recipe"] == "heartbeat")
    return SimpleNamespace(first=by_year["2019"], second=by_year["2023"], other=unknown, beat=beat)


def test_the_latest_earlier_recording_of_the_patient_is_laid_under_this_one(admin, dated):
    """With its date, its name and both measurements; each lead is there twice, R peak on R peak."""
    text = admin.get(f"/ecg/records/{dated.second}/earlier").text
    assert "Compared with the earlier recording of 2019" in text
    assert re.search(r'<span class="key now">this recording, 2023</span>', text)
    assert re.search(rf'<span class="key earlier"><a href="/ecg/records/{dated.first}"><bdi>[^<]+</bdi></a>, 2019, dashed</span>', text)
    assert text.count('class="trace"') == text.count('class="trace earlier"') == 12
    for record_id in (dated.first, dated.second):
        assert record_id in text


def test_both_measurements_stand_side_by_side_as_they_were_measured(admin, archive, dated):
    """Those of the records' own pages, and the difference of what is shown."""
    text = admin.get(f"/ecg/records/{dated.second}/earlier").text
    found = {
        cells[0]: cells[1:]
        for cells in re.findall(r'<tr><th scope="row">([^<]+)</th><td>([^<]+)</td><td>([^<]+)</td><td>([^<]+)</td></tr>', text)
    }
    now, before = (measure(same_patient.find(archive.store, one).record) for one in (dated.second, dated.first))
    for title, name, unit in (("Heart rate", "rate_bpm", "/min"), ("QRS duration", "qrs_ms", "ms"), ("QT interval", "qt_ms", "ms")):
        a, b = (round(round(getattr(one, name), 1)) for one in (now, before))
        assert found[title][:2] == (f"{a} {unit}", f"{b} {unit}")
        assert found[title][2].replace("−", "-") == f"{f'{a - b:+d}' if a != b else '0'} {unit}"


def test_of_the_earliest_one_the_later_is_offered_and_drawn_only_if_asked_for(admin, dated):
    """Nothing is called earlier that is not."""
    text = admin.get(f"/ecg/records/{dated.first}/earlier").text
    assert "None of them is known to be earlier." in text
    assert "<svg" not in text
    (address,) = re.findall(r'<a href="(/ecg/records/[0-9a-f]{32}/earlier\?other=[0-9a-f]{32})">', text)
    asked = admin.get(address).text
    assert "Compared with another recording of 2023" in asked
    assert 'class="trace earlier"' in asked


def test_a_recording_of_somebody_else_is_not_shown(admin, dated):
    """Whatever stands in the address."""
    assert admin.get(f"/ecg/records/{dated.second}/earlier?other={dated.other}").status_code == 404
    assert admin.get(f"/ecg/records/{dated.second}/earlier?other={'0' * 32}").status_code == 404
    assert admin.get(f"/ecg/records/{dated.second}/earlier?other=..").status_code == 400


def test_a_record_of_nobody_known_has_none(admin, dated):
    """No tab leads there, and the page says why."""
    assert "Compare with an earlier one" in admin.get(f"/ecg/records/{dated.second}").text
    assert "Compare with an earlier one" not in admin.get(f"/ecg/records/{dated.other}").text
    assert "The patient of this recording is not known." in admin.get(f"/ecg/records/{dated.other}/earlier").text


def test_both_records_are_in_the_access_log(viewer, archive, dated):
    """Who looked at one over the other has seen both; a list of names is no look at a record."""
    access.flush()
    before = sum(one.times for one in access_report.report(archive.store).accesses)
    viewer.get(f"/ecg/records/{dated.second}/earlier")
    viewer.get(f"/ecg/records/{dated.first}/earlier")
    viewer.get(f"/ecg/records/{dated.second}/beat")
    access.flush()
    found = [one for one in access_report.report(archive.store).accesses for _ in range(one.times)][before:]
    assert {(one.who, one.act, one.outcome) for one in found} == {("ada-reader", "read", "shown")}
    assert [(one.page.rpartition("/")[2], one.record) for one in found] == [
        ("earlier", dated.second),
        ("earlier", dated.first),
        ("earlier", dated.first),
        ("beat", dated.second),
    ]


def test_the_median_beat_is_marked_where_it_was_measured(admin, archive, dated):
    """The measurements are those of the record's page, the distances of the lines their lengths, and a tab leads there and back."""
    text = admin.get(f"/ecg/records/{dated.second}/beat").text
    stored = records.record_page(archive.store, dated.second).measured
    marks = {}
    for x, letter in re.findall(r'<text x="(\d+)" y="\d+" class="axis" text-anchor="middle">([PQJT])</text>', text):
        marks.setdefault(letter, int(x))
    for name, first, last in (("pr_ms", "P", "Q"), ("qrs_ms", "Q", "J"), ("qt_ms", "Q", "T")):
        assert marks[last] - marks[first] == pytest.approx(float(stored[name]), abs=1.1), name  # a unit of the drawing is 1 ms
        assert f"{round(round(float(stored[name]), 1))} ms" in text
    assert f'href="/ecg/records/{dated.second}/beat"' in admin.get(f"/ecg/records/{dated.second}").text
    assert f'href="/ecg/records/{dated.second}"' in text


def test_a_record_without_a_median_beat_says_why(admin, dated):
    """A single beat has none, and no tab."""
    assert "There is none: the row has a single beat, without its scale in mV." in admin.get(f"/ecg/records/{dated.beat}/beat").text
    assert "Median beat" not in admin.get(f"/ecg/records/{dated.beat}").text
