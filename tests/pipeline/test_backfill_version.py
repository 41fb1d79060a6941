"""The archive decided anew by a chosen version: into its own prefix, compared record by record, and nothing else touched."""

import csv
import io
import json
from collections import Counter

import html5lib
import numpy as np
import pytest

from ecg_tasks.archive import keys, registry, tables
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.pipeline import backfill_version
from ecg_tasks.queries import dag_runs

FIRST, SECOND, THIRD = "aaaa00000001", "aaaa00000002", "aaaa00000003"
"""The first two have decided; the second serves."""


@pytest.fixture
def store(bucket, two_nights, todays_version, monkeypatch):
    """A bucket after two nights, with a third version that nobody has asked yet."""
    monkeypatch.setenv("ECG_RECIPES", "heartbeat")
    bucket.put_many((key, data, "application/octet-stream") for key, data in two_nights.items())
    registry.write_version(bucket, "heartbeat", THIRD, todays_version("heartbeat", THIRD, threshold=0.3, abstain=[0.3, 0.3]))
    return bucket


def run(run_id: str = "b", **chosen: str) -> dict:
    """One run of the DAG; returns its manifest."""
    pin = backfill_version.pin_versions(run_id, date="2026-01-03", recipe="heartbeat", **chosen)
    backfill_version.write_difference(pin, [backfill_version.classify_shard(job) for job in backfill_version.plan(pin)])
    return json.loads(backfill_version.open_store().get(keys.manifest(backfill_version.DAG, run_id)))


def said(store, version: str) -> dict[str, tuple[str, float]]:
    """What a version said of every record."""
    found = {}
    for key in store.list_keys(keys.PREDICTIONS):
        if keys.stem(key) == version:
            columns = tables.load(store.get(key))
            found |= dict(zip(columns["record_id"], zip(columns["decision"], columns["probability"], strict=True), strict=True))
    return found


def test_only_its_own_prefix_is_written(store):
    """Champion, reports, labels and the other versions' predictions stay byte for byte; the version's own come beside them."""
    before = {item.key: item.etag for item in store.list_objects("")}
    manifest = run(version=THIRD)
    after = {item.key: item.etag for item in store.list_objects("")}
    assert {key: after[key] for key in before} == before
    new = {key for key in after if key not in before}
    allowed = (keys.BACKFILLS, keys.STAGING + backfill_version.DAG, keys.MANIFESTS + backfill_version.DAG)
    assert all(key.startswith(allowed) or (key.startswith(keys.PREDICTIONS) and keys.stem(key) == THIRD) for key in new)
    assert manifest["page"] == f"backfills/heartbeat-{THIRD}-against-{SECOND}/index.html"
    assert {manifest["page"], manifest["report"]} <= new
    assert set(said(store, THIRD)) == set(said(store, SECOND))


def test_the_difference_is_that_of_the_predictions(store):
    """Counts, agreement and the list of changed records follow from both versions' predictions, read independently."""
    run(version=THIRD)
    old, new = said(store, SECOND), said(store, THIRD)
    folder = f"backfills/heartbeat-{THIRD}-against-{SECOND}"
    found = json.loads(store.get(f"{folder}/summary.json"))
    expected = Counter((old[one][0], new[one][0]) for one in old)
    assert {
        (row, column): found["counts"][i][j] for i, row in enumerate(found["decisions"]) for j, column in enumerate(found["decisions"])
    } == {(row, column): expected[row, column] for row in found["decisions"] for column in found["decisions"]}
    assert found["agreement"] == pytest.approx(sum(n for (one, other), n in expected.items() if one == other) / len(old))
    rows = list(csv.DictReader(io.StringIO(store.get(f"{folder}/difference.csv").decode())))
    assert {row["record_id"] for row in rows} == {one for one in old if old[one][0] != new[one][0]} != set()
    for row in rows:
        assert (row["decision_before"], row["decision_after"]) == (old[row["record_id"]][0], new[row["record_id"]][0])
        if row["probability_before"]:
            assert float(row["probability_before"]) == old[row["record_id"]][1]  # every digit
    change = [abs(float(row["change"])) for row in rows if row["change"]]
    assert change == sorted(change, reverse=True)
    both = [abs(new[one][1] - old[one][1]) for one in old if not np.isnan([new[one][1], old[one][1]]).any()]
    assert found["mean_change"] == pytest.approx(np.mean(both), abs=1e-6)


def test_the_pages_say_what_they_are(store):
    """Both pages are valid, and say on top that they are a backfill."""
    manifest = run(version=THIRD)
    for key in (manifest["page"], manifest["report"]):
        text = store.get(key).decode()
        html5lib.HTMLParser(strict=True).parse(text)
        main = text.index('<main id="main">')
        assert text.index("This is a backfill, not a nightly report.", main) < text.index("<section", main)
    assert b"ECG classification report</p>" not in store.get(manifest["report"])


def test_twice_is_once(store):
    """A second run finds both versions' predictions there, and writes the same page but for its own name and time."""
    run("one", version=THIRD)
    before = {item.key: item.etag for item in store.list_objects(keys.PREDICTIONS)}
    pin = backfill_version.pin_versions("two", date="2026-01-03", recipe="heartbeat", version=THIRD)
    assert backfill_version.plan(pin) == []
    folder = f"backfills/heartbeat-{THIRD}-against-{SECOND}"
    csv_before = store.get(f"{folder}/difference.csv")
    backfill_version.write_difference(pin, [])
    assert store.get(f"{folder}/difference.csv") == csv_before
    assert {item.key: item.etag for item in store.list_objects(keys.PREDICTIONS)} == before


def test_any_two_versions_can_be_compared(store):
    """Also two that do not serve; one that has not decided does so now."""
    manifest = run(version=FIRST, against=THIRD)
    assert manifest["account"]["compared"] == len(said(store, THIRD)) == len(said(store, FIRST))
    found = dag_runs.backfill(store, "b")
    assert [one["standing"] for one in found["versions"]] == ["does not serve", "served before"]
    assert backfill_version.headline(manifest["page"]).startswith("backfill: ")


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"version": SECOND}, "with"),
        ({"version": THIRD, "against": THIRD}, "with"),
        ({"version": "dead"}, "there is no heartbeat version 'dead'"),
        ({"version": THIRD, "against": "dead"}, "there is no heartbeat version 'dead'"),
        ({"recipe": "twelve_lead", "version": THIRD}, "not in use"),
    ],
)
def test_what_cannot_be_compared_is_refused(store, chosen, sentence):
    """The sentence says why, before anything is decided."""
    with pytest.raises(ConfigurationError, match=sentence):
        backfill_version.pin_versions("b", date="2026-01-03", **({"recipe": "heartbeat"} | chosen))


def test_a_version_for_other_pictures_is_refused(store, todays_version):
    """A version that reads pictures of an older recipe cannot decide on those that are made now."""
    registry.write_version(store, "heartbeat", "aaaa00000004", todays_version("heartbeat", "aaaa00000004", recipe_digest="0ld"))
    with pytest.raises(ConfigurationError, match="heartbeat@0ld"):
        backfill_version.pin_versions("b", date="2026-01-03", recipe="heartbeat", version="aaaa00000004")
