"""The pages of a maintenance run and of a backfill, reached from their runs in Airflow."""

import html5lib
import pytest

from ecg_tasks.archive import keys
from ecg_tasks.pipeline import backfill_version, maintain_store


@pytest.fixture(scope="module")
def written(archive, admin):
    """Both pages, as Airflow shows them beside their runs."""
    archive.store.put(keys.raw("0" * 64, "<script>.csv"), b"its name is not its digest")
    planned = maintain_store.plan("m", days={}, dry_run=True, sample=100)
    deleted = maintain_store.delete(planned)
    maintain_store.publish(planned, deleted, maintain_store.check_orphans(planned), maintain_store.check_contents(planned))
    archive.store.delete(keys.raw("0" * 64, "<script>.csv"))
    pin = backfill_version.pin_versions("b", date="2026-03-03", recipe="heartbeat", version="aaaa00000002")
    backfill_version.write_difference(pin, [backfill_version.classify_shard(job) for job in backfill_version.plan(pin)])
    answers = [admin.get(f"/ecg/run?dag_id={dag}&run_id={run}") for dag, run in ((maintain_store.DAG, "m"), (backfill_version.DAG, "b"))]
    assert [answer.status_code for answer in answers] == [200, 200]
    return [answer.text for answer in answers]


def test_both_are_valid_and_run_nothing(written):
    """Strict HTML, without a style or script of their own."""
    for text in written:
        html5lib.HTMLParser(strict=True).parse(text)
        assert "<style" not in text
        assert text.count("<script") == 1  # the file's


def test_damage_is_told_first(written):
    """A run that found changed bytes says so in its first heading."""
    assert '<h2 id="result-h">Damaged: 1 of' in written[0]
    assert "its bytes have the SHA-256" in written[0]


def test_a_backfill_says_what_it_is(written, admin):
    """It is never taken for a nightly report, is not among the reports, and its records lead to their pages."""
    assert "This is a backfill, not a nightly report." in written[1]
    assert "backfill" not in admin.get("/ecg/reports").text
    assert 'href="/ecg/records/' in written[1]


@pytest.mark.parametrize("dag", [maintain_store.DAG, backfill_version.DAG])
def test_a_run_that_wrote_nothing_says_so(admin, archive, dag):
    """A run at work has its page, too."""
    assert "has not written its results yet" in admin.get(f"/ecg/run?dag_id={dag}&run_id=none").text
