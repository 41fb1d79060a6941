"""A written report leaves as a PDF: a record by itself, or the run with every record that has a page."""

import io

import pypdfium2
import pytest

from ecg_tasks.errors import ConfigurationError, MissingObjectError
from ecg_tasks.queries import pdf_reports, report_table

DATE, RUN = "2026-01-02", "aaaa00000002"


@pytest.fixture
def night(bucket, two_nights):
    """A bucket after two nights, whose reports have a page of one record each; its rows."""
    for key, data in two_nights.items():
        bucket.put(key, data)
    return list(report_table.table(bucket, DATE, RUN).all_rows())


def text_of(content):
    """The text of every page."""
    document = pypdfium2.PdfDocument(content)
    found = []
    for page in document:
        text = page.get_textpage()
        found.append(" ".join(text.get_text_bounded().split()))
        text.close()
        page.close()
    document.close()
    return found


def test_a_run_is_its_counts_and_the_records_with_a_page(bucket, night):
    """And the same bytes every time, to the paper asked for."""
    made = []
    for paper in ("a4", "a4", "letter"):
        out = io.BytesIO()
        assert pdf_reports.write_run(bucket, out, date=DATE, run=RUN, paper=paper) == 1
        made.append(out.getvalue())
    assert made[0] == made[1] != made[2]
    first, *sheets = text_of(made[0])
    assert first.startswith("Report of 2026-01-02")
    assert f"records {len(night)}" in first
    assert "heartbeat aaaa00000002" in first
    (row,) = [row for row in night if any(row["record_id"] in sheet for sheet in sheets)]
    assert f"{row['decision']}" in first
    assert 1 <= len(sheets) <= 2


@pytest.mark.parametrize("kind", ["twelve leads", "a beat"])
def test_a_record_needs_no_page(bucket, night, kind):
    """Every row of the report can be asked for, with the version that decided then, and its own threshold."""
    row = next(row for row in night if (row["source_format"] == "WFDB") == (kind == "twelve leads"))
    out = io.BytesIO()
    pdf_reports.write_record(bucket, out, date=DATE, run=RUN, record_id=row["record_id"])
    text = " ".join(text_of(out.getvalue()))
    assert row["record_id"] in text
    assert row["source_sha256"] in text
    assert f"{row['decision']} P(abnormal) {row['probability']:.3f}" in text
    assert "Abnormal from 0.900 on; uncertain from 0.850 to 0.950." in text
    assert "heartbeat aaaa00000002, digest" in text
    assert ("25 mm/s, 10 mm/mV" in text) == (kind == "twelve leads")


def test_what_is_not_there_is_told(bucket, night):
    """Another run, and another record."""
    with pytest.raises(ConfigurationError, match="has no record"):
        pdf_reports.write_record(bucket, io.BytesIO(), date=DATE, run=RUN, record_id="0" * 32)
    with pytest.raises(MissingObjectError, match="there is no report"):
        pdf_reports.write_run(bucket, io.BytesIO(), date=DATE, run="none")
