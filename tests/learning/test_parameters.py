"""Training parameters: each recipe has some, and impossible ones are refused."""

import pytest

from ecg_tasks.errors import ConfigurationError
from ecg_tasks.learning.parameters import RECIPE_TRAINING, TrainingParams, training_params
from ecg_tasks.signals.recipes import RECIPES


def test_every_recipe_has_parameters():
    """A recipe cannot be added without saying how its network is trained."""
    assert RECIPES.keys() <= RECIPE_TRAINING.keys()


def test_epochs_can_be_overridden():
    """What a run asks for wins over the recipe's own."""
    assert training_params("heartbeat", seed=1, epochs=3).epochs == 3
    assert training_params("twelve_lead", seed=1, n_members=1).n_members == 1
    assert training_params("heartbeat", seed=1).epochs == RECIPE_TRAINING["heartbeat"]["epochs"]


def test_an_unknown_recipe_is_refused():
    """The message says what was asked for and what there is."""
    with pytest.raises(ConfigurationError, match=r"'holter'.*heartbeat"):
        training_params("holter", seed=1)


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"batch_size": 0}, {"patience": 0}, {"n_members": 0}, {"learning_rate": 0.0}, {"weight_decay": -1.0}, {"seed": -1}],
)
def test_impossible_parameters_are_refused(wrong):
    """Each bound is checked, and the message names the parameter."""
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        TrainingParams(**({"seed": 1, "epochs": 1} | wrong))
