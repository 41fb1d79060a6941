"""Every page shows the bucket that version 0.1 left, and says what version 0.1 said."""

import pytest

from tests.upgrade.old_bucket import old_bucket, put


@pytest.fixture(scope="module")
def said(bucket_in):
    """What version 0.1 told of its bucket, which the pages read meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        put(bucket_in(patch))
        yield old_bucket().said


def shown(client, path):
    """Text of a page that is there."""
    answer = client.get(f"/ecg{path}")
    assert answer.status_code == 200, (path, answer.text[-2000:])
    return answer.text


def test_lists(admin, said):
    """The overview, the lists of reports, versions and refused files, the queue and the watched nights name what is there."""
    champions = [decided["version"] for decided in said["decisions"].values()]
    assert all(version in shown(admin, "/") for version in champions)
    reports = shown(admin, "/reports")
    assert all(f"/ecg/reports/{told['date']}/{run}" in reports for run, told in said["reports"].items())
    versions = shown(admin, "/models")
    assert all(version in versions for named in said["versions"].values() for version in named)
    refused = shown(admin, "/quarantine")
    assert all(f"/ecg/quarantine/{one['source']}" in refused for one in said["quarantine"])
    review = shown(admin, "/review")  # in an order that says nothing
    assert any(record_id in review for record_id, *_ in said["queues"]["ada"])
    for recipe, version in zip(said["decisions"], champions, strict=True):
        assert version in shown(admin, f"/monitoring?recipe={recipe}")


def test_pages_of_one_thing(admin, said):
    """Each report, refused file, version and kind of record has its page; each kind of run has its account."""
    for run, told in said["reports"].items():
        assert told["order"][0] in shown(admin, f"/reports/{told['date']}/{run}")
    for one in said["quarantine"]:
        assert one["reason"] in shown(admin, f"/quarantine/{one['source']}")
    for recipe, versions in said["versions"].items():
        for version in versions:
            assert version in shown(admin, f"/models/{recipe}/{version}")
            assert admin.get(f"/ecg/models/{recipe}/{version}/roc.svg").text.startswith("<svg")
    of_each_kind = {page["decided"] and (page["decided"][0], page["decided"][1]): record_id for record_id, page in said["pages"].items()}
    for record_id in of_each_kind.values():
        assert said["records"][record_id]["name"] in shown(admin, f"/records/{record_id}")
    for key in said["accounts"]:
        _, dag, run = key.removesuffix(".json").split("/")
        if dag != "classify_records":  # leads to its report
            told = said["named"]["heartbeat 2"] if dag == "backfill_version" else run
            assert told in shown(admin, f"/run?dag_id={dag}&run_id={run}")
