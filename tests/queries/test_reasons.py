"""A reason to look at a record is told only where it matters and is true, with its figures."""

from dataclasses import replace

import numpy as np

from ecg_tasks.queries import review_queue
from ecg_tasks.queries.reasons import Case, Other

CASE = Case(recipe="twelve_lead", decision="normal", probability=0.17, threshold=0.18, abstain=None, quality=0.9, label=None)


def test_near_the_threshold_has_both_figures():
    """The sentence holds P and the threshold; two digits that would look alike become three."""
    assert CASE.sentence("uncertain", 0.9) == "The probability is near the threshold: P 0.17, threshold 0.18."
    alike = replace(CASE, probability=0.1796)
    assert alike.sentence("uncertain", 0.9) == "The probability is near the threshold: P 0.180, threshold 0.180."


def test_a_small_share_gets_no_sentence():
    """A record far from the threshold, with a clean signal, has nothing said of it."""
    assert CASE.sentence("uncertain", 0.1) == ""
    assert CASE.sentence("low_quality", 0.1) == ""
    assert replace(CASE, quality=0.4).sentence("low_quality", 0.6) == "The signal quality is 0.40, where 1 is clean."


def test_only_a_band_with_a_width_is_told_as_one():
    """Inside a band the model abstains; a band of no width is None, and the threshold is spoken of."""
    inside = replace(CASE, decision="uncertain", abstain=(0.15, 0.2))
    assert inside.sentence("uncertain", 1.0) == "The model abstains from P 0.150 to 0.200, and here P is 0.170."


def test_a_contradiction_needs_a_firm_decision_and_the_opposite_label():
    """What is uncertain, or has the same label, contradicts nothing."""
    against = replace(CASE, label="abnormal")
    assert against.sentence("contradicts_label", 0.4) == "The model says normal (P 0.17, threshold 0.18), the label says abnormal."
    assert replace(against, decision="uncertain").sentence("contradicts_label", 0.4) == ""
    assert replace(against, label="normal").sentence("contradicts_label", 0.4) == ""


def test_models_differ_only_on_two_sides_of_their_thresholds():
    """Two probabilities that are far apart but mean the same decision are no difference."""
    same = replace(CASE, others=(Other(recipe="heartbeat", probability=0.01, threshold=0.5),))
    assert same.sentence("recipes_disagree", 0.4) == ""
    other = replace(CASE, others=(Other(recipe="heartbeat", probability=0.91, threshold=0.5),))
    found = other.sentence("recipes_disagree", 0.4)
    assert found == "The models differ: twelve_lead P 0.17, threshold 0.18; heartbeat P 0.91 (threshold 0.50)."


def test_the_queue_says_nothing_of_a_record_that_is_sure(archive, monkeypatch):
    """Of three records one is near the threshold: it alone is said to be; a band of no width is None."""
    monkeypatch.setenv("ECG_RECIPES", "heartbeat")
    archive.put_model("heartbeat", threshold=0.18, abstain=(0.18, 0.18))
    archive.put_shard("s1", archive.ids(3), np.array([0.17, 0.98, 0.001]))
    items = {item.record_id: item for item in review_queue.queue(archive.store, user="anna").items}
    told = [[why.text for why in items[one].why] for one in archive.ids(3)]
    assert told == [["The probability is near the threshold: P 0.17, threshold 0.18."], [], []]
    assert [item.abstain for item in items.values()] == [None] * 3
