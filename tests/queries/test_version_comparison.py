"""Two versions on the same patients: of what both have stored, by counting it again, and without deciding on anything."""

import numpy as np
import pytest

from ecg_tasks.archive import keys, tables, verdicts
from ecg_tasks.archive.labelling import LabelEntry, write_labels
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.evaluation.metrics import roc_auc
from ecg_tasks.learning.version import TRAINING_RECORDS
from ecg_tasks.queries.version_comparison import comparison

RECIPE, ONE, OTHER = "heartbeat", "aaaa00000001", "aaaa00000002"


@pytest.fixture
def store(bucket, two_nights):
    """A bucket in which both versions have decided on everything."""
    bucket.put_many((key, data, "application/octet-stream") for key, data in two_nights.items())
    return bucket


def stored(store, version):
    """What a version said: record to decision and probability, read from its predictions one by one."""
    found = {}
    for key in store.list_keys(f"{keys.PREDICTIONS}{RECIPE}/"):
        if keys.stem(key) == version:
            rows = tables.load(store.get(key))
            found |= dict(zip(rows["record_id"], zip(rows["decision"], rows["probability"].tolist(), strict=True), strict=True))
    return found


def test_decisions_and_figures_are_those_of_the_stored_predictions(store):
    """Counted again from the files: records, changed decisions, both AUROCs, and both sensitivities by their own thresholds."""
    one, other = stored(store, ONE), stored(store, OTHER)
    found = comparison(store, RECIPE, ONE, OTHER)
    changed = {record_id for record_id in one if one[record_id][0] != other[record_id][0]}
    assert found.n_records == len(one) == len(other)
    assert changed
    assert {row["record_id"] for row in found.decisions["listed"]} == changed
    labels = {entry.record_id: entry.label for entry in verdicts.read_labels(store).sources.values()}
    usable = [record_id for record_id in one if labels.get(record_id) in {"normal", "abnormal"} and not np.isnan(one[record_id][1])]
    truth = np.array([labels[record_id] == "abnormal" for record_id in usable])
    assert (found.n_labelled, found.n_seen) == (len(usable), 0)
    for of, said, threshold in ((found.figures[0], one, found.one.threshold), (found.figures[1], other, found.other.threshold)):
        probability = np.array([said[record_id][1] for record_id in usable])
        assert of.evaluation.auroc.value == pytest.approx(roc_auc(truth, probability))
        assert of.evaluation.sensitivity.value == pytest.approx((probability[truth] >= threshold).mean())
        assert of.roc.sensitivity[-1] == 1
    first, second = (of.evaluation for of in found.figures)
    assert found.differences["auroc"].value == 0  # the same network, by another threshold
    assert found.differences["sensitivity"].value == pytest.approx(second.sensitivity.value - first.sensitivity.value)
    assert found.differences["sensitivity"].value < 0


def test_the_other_way_round_has_the_other_sign(store):
    """A difference is the second version less the first."""
    there, back = comparison(store, RECIPE, ONE, OTHER), comparison(store, RECIPE, OTHER, ONE)
    assert back.differences["sensitivity"].value == -there.differences["sensitivity"].value
    assert np.array_equal(np.array(back.decisions["counts"]), np.array(there.decisions["counts"]).T)


def test_patients_that_one_of_them_learnt_from_are_left_out(store):
    """Whichever of the two it was, for both."""
    labelled = [entry.record_id for entry in verdicts.read_labels(store).sources.values() if entry.record_id in stored(store, ONE)]
    whole = comparison(store, RECIPE, ONE, OTHER)
    for version, record_id in zip((ONE, OTHER), labelled, strict=False):
        key = keys.model_file(RECIPE, version, TRAINING_RECORDS)
        store.replace(key, f"record_id,side,bucket\n{record_id},train,-1\n".encode())
    store.put(
        f"{keys.LABELS}touched.parquet", store.get(store.list_keys(keys.LABELS)[0])
    )  # else it is kept: files of a version never change
    found = comparison(store, RECIPE, ONE, OTHER)
    assert found.n_labelled == whole.n_labelled
    assert found.n_seen == 2
    assert found.figures[0].evaluation.n_records == whole.figures[0].evaluation.n_records - 2


def test_a_label_that_comes_changes_the_figures(store):
    """What was computed before is right only while nothing was added."""
    before = comparison(store, RECIPE, ONE, OTHER)
    entry = next(one for one in verdicts.read_labels(store).sources.values() if one.record_id in stored(store, ONE))
    opposite = "normal" if entry.label == "abnormal" else "abnormal"
    write_labels(store, [LabelEntry(record_id=entry.record_id, label=opposite, who="source:labels.csv", when="2027-01-01T00:00:00+00:00")])
    after = comparison(store, RECIPE, ONE, OTHER)
    assert after.figures[0].evaluation.n_abnormal != before.figures[0].evaluation.n_abnormal


def test_what_cannot_be_compared_says_why(store):
    """No shard in common, no labels, and versions that are none or the same."""
    for version, message in (("none", "there is no heartbeat version 'none'"), (ONE, "choose two versions"), ("", "choose two versions")):
        with pytest.raises(ConfigurationError, match=message):
            comparison(store, RECIPE, ONE, version)
    store.delete_many(store.list_keys(keys.LABELS))
    assert comparison(store, RECIPE, ONE, OTHER).why_no_figures == "No record on which both have decided is labelled normal or abnormal."
    said = [key for key in store.list_keys(f"{keys.PREDICTIONS}{RECIPE}/") if keys.stem(key) == ONE]
    store.delete_many([*said, *store.list_keys(f"{keys.DECIDED}{RECIPE}/{ONE}/")])
    found = comparison(store, RECIPE, ONE, OTHER)
    assert (found.n_records, found.figures) == (0, None)
    assert "let the DAG backfill_version decide with aaaa00000002, against aaaa00000001" in found.why_no_figures


def test_nothing_is_written_and_a_program_can_read_it(store):
    """It only reads; and what it finds is JSON."""
    import json

    before = store.list_keys("")
    found = comparison(store, RECIPE, ONE, OTHER)
    assert store.list_keys("") == before
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert told["versions"] == [ONE, OTHER]
    assert told["differences"]["auroc"] == {"value": 0, "low": 0, "high": 0}
    assert told["figures"][0]["n_records"] == found.figures[0].evaluation.n_records
