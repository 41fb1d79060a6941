"""Training parameters: each recipe has some, and impossible ones are refused."""

import json
from pathlib import Path

import pytest

from ecg_tasks.errors import ConfigurationError
from ecg_tasks.learning.parameters import RECIPE_TRAINING, TrainingParams, training_params
from ecg_tasks.signals.recipes import RECIPES


def test_every_recipe_has_parameters():
    """A recipe that has a network of ours cannot be added without saying how it is trained; nothing else is trained."""
    assert {name for name, recipe in RECIPES.items() if recipe.network} == RECIPE_TRAINING.keys()


def test_epochs_can_be_overridden():
    """What a run asks for wins over the recipe's own."""
    assert training_params("heartbeat", seed=1, epochs=3).epochs == 3
    assert training_params("twelve_lead", seed=1, ensemble_size=1).ensemble_size == 1
    assert training_params("heartbeat", seed=1).epochs == RECIPE_TRAINING["heartbeat"]["epochs"]


@pytest.mark.parametrize("recipe", ["heartbeat", "twelve_lead"])
def test_the_stored_form_is_that_of_the_shipped_versions(recipe):
    """A version's name is made of the stored form, so it keeps the names that fields had at first."""
    (file,) = (Path(__file__).parents[2] / "models" / recipe).glob("*/model.json")
    shipped = json.loads(file.read_text())["training"]["params"]
    params = training_params(recipe, seed=shipped["seed"], epochs=shipped["epochs"], ensemble_size=shipped["n_members"])
    assert params.as_dict() == shipped


def test_an_unknown_recipe_is_refused():
    """The message says what was asked for and what there is."""
    with pytest.raises(ConfigurationError, match=r"'holter'.*heartbeat"):
        training_params("holter", seed=1)


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"batch_size": 0}, {"patience": 0}, {"ensemble_size": 0}, {"learning_rate": 0.0}, {"weight_decay": -1.0}, {"seed": -1}],
)
def test_impossible_parameters_are_refused(wrong):
    """Each bound is checked, and the message names the parameter."""
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        TrainingParams(**({"seed": 1, "epochs": 1} | wrong))
