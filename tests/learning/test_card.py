"""The model card: everything that a reader must be told is there, whatever the metrics are called."""

import pytest

from ecg_tasks.learning.card import SYNTHETIC_NOTICE, model_card

SPEC = {
    "recipe": "heartbeat",
    "recipe_digest": "0123456789ab",
    "version": "v1",
    "dataset_id": "d1",
    "class_order": ("normal", "abnormal"),
    "threshold": 0.4375,
    "abstain": (0.25, 0.625),
    "temperature": 1.5,
    "min_quality": 0.3,
    "image_shape": (17, 39, 1),
    "network": "compact",
    "n_weights": 50041,
    "seed": 3,
    "synthetic": False,
    "training": {"params": {"epochs": 2}, "epochs": [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]},
    "environment": {"keras": "3.15.1"},
    "sources": ("A collection, CC-BY 4.0",),
}
METRICS = {
    "test": {"n_records": 60, "split_unit": "patient", "auroc": {"value": 0.8765432, "low": 0.81, "high": None, "method": "bootstrap"}}
}
SIDES = {"a": "train", "b": "train", "c": "test"}


@pytest.mark.parametrize(
    "told",
    [
        "Research use only",
        "not a medical device",
        "50,041 weights",
        "heartbeat@0123456789ab",
        "temperature 1.5",
        "uncertain from 0.25 to 0.625",
        "abnormal from 0.4375 on",
        "| train | 2 |",
        "| auroc | 0.8765 | 0.81 to – |",
        "| split unit | patient |",
        "| 2 | 0.25 |",
        "| keras | 3.15.1 |",
        "- A collection, CC-BY 4.0",
        "Seed 3.",
    ],
)
def test_the_card_tells(told):
    """Use, size, recipe, rule, data, figures with intervals, course of training, environment and credits are on the card."""
    assert told in model_card(SPEC, metrics=METRICS, sides=SIDES)


def test_synthetic_training_is_said_first():
    """A model that learnt from a program's recordings says so before anything else, and no other model does."""
    assert SYNTHETIC_NOTICE in model_card(SPEC | {"synthetic": True}, metrics=METRICS, sides=SIDES).splitlines()[2]
    assert SYNTHETIC_NOTICE not in model_card(SPEC, metrics=METRICS, sides=SIDES)


def test_a_name_cannot_break_a_table():
    """A vertical bar or a line break from outside stays inside its cell."""
    card = model_card(SPEC | {"environment": {"machine": "a|b\nc"}}, metrics=METRICS, sides=SIDES)
    assert r"| machine | a\|b c |" in card
