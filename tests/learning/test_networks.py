"""Networks: their size, what they read and give, and that none goes untested."""

import numpy as np
import pytest

from ecg_tasks.errors import ConfigurationError
from ecg_tasks.learning.framework import keras_at_work, training_environment
from ecg_tasks.learning.networks import NETWORKS, build_network, join_members, network_digest

SHAPES = {"notebook": [(256, 256, 3)], "compact": [(33, 48, 1), (32, 64, 2), (33, 75, 12)], "aligned": [(9, 14, 2), (9, 29, 24)]}
"""Every network with the pictures that it is made for; a network that is missing here fails a test."""
CASES = [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]


def test_every_network_is_tested():
    """A network cannot be added without stating the pictures that it is tested on."""
    assert SHAPES.keys() == NETWORKS.keys()


@pytest.mark.parametrize("n_outputs", [1, 6])
@pytest.mark.parametrize(("name", "shape"), CASES)
def test_a_network_turns_stored_pictures_into_probabilities(name, shape, n_outputs):
    """Any uint8 picture of the right shape gives one probability, or as many as are asked for."""
    model = build_network(name, shape, n_outputs=n_outputs)
    pictures = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    with keras_at_work():
        p = model.predict_on_batch(pictures)
    assert p.shape == (3, n_outputs)
    assert ((p > 0) & (p < 1)).all()
    assert model.inputs[0].dtype == "uint8"


def test_the_notebook_network_has_the_notebooks_size():
    """The yardstick has exactly as many weights as the network it stands for."""
    assert build_network("notebook", (256, 256, 3)).count_params() == 3_236_511


@pytest.mark.parametrize(("name", "shape"), [case for case in CASES if case[0] != "notebook"])
def test_networks_but_the_notebooks_are_small(name, shape):
    """They stay below 60,000 weights for every picture they are used on, the residual one below 90,000."""
    assert build_network(name, shape).count_params() < {"compact": 60_000, "aligned": 90_000}[name]


def test_the_aligned_network_reads_only_low_frequencies():
    """The three rows above 40 Hz may hold anything; the lowest of the others may not."""
    model = build_network("aligned", (9, 14, 2))
    pictures = np.random.default_rng(0).integers(0, 256, (3, 9, 14, 2), dtype=np.uint8)
    pictures[1:, 3:] = pictures[0, 3:]
    pictures[2, 3] = 255 - pictures[0, 3]
    with keras_at_work():
        one, same, other = np.asarray(model.predict_on_batch(pictures))[:, 0]
    assert one == same != other


def test_the_aligned_network_knows_where_something_happens():
    """The same column in another place gives another answer: nothing is pooled over all of time."""
    model = build_network("aligned", (9, 29, 24))
    pictures = np.full((2, 9, 29, 24), 128, np.uint8)
    pictures[0, :, 8] = pictures[1, :, 20] = 255
    with keras_at_work():
        early, late = np.asarray(model.predict_on_batch(pictures))[:, 0]
    assert early != pytest.approx(late, abs=1e-4)


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_layers_have_names_of_their_own(name, shape):
    """No layer's name depends on how many networks were built before, so that saved bytes repeat."""
    names = [layer.name for layer in build_network(name, shape).layers]
    assert names == [layer.name for layer in build_network(name, shape).layers]


@pytest.mark.parametrize(
    ("name", "shape", "ensemble_size", "digest"),
    [
        ("compact", (16, 24, 2), 1, "60396dc04e73dd238ddd7fd96d7da1dde00250e5d1312750d8a0671b662ee864"),
    ],
)
def test_networks_without_classes_are_named_as_before(name, shape, ensemble_size, digest):
    """The digests are those before networks had classes, under the Keras that is locked: the same training is the same version."""
    assert network_digest(name, shape, ensemble_size=ensemble_size) == digest
    assert network_digest(name, shape, ensemble_size=ensemble_size, n_outputs=6) != digest
    layer = build_network(name, shape, ensemble_size=ensemble_size).layers[-1]
    assert (layer.name, layer.output.shape) == ("p_abnormal", (None, 1))


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_joined_members_answer_with_their_mean_log_odds(n_outputs):
    """Weights find their member and their layer, whatever order Keras keeps them in; each output has a mean of its own."""
    pictures = np.random.default_rng(0).integers(0, 256, (5, 9, 14, 2), dtype=np.uint8)
    with keras_at_work():
        members = [build_network("aligned", (9, 14, 2), n_outputs=n_outputs) for _ in range(3)]
        joined = join_members("aligned", (9, 14, 2), [member.get_weights() for member in members], n_outputs=n_outputs)
        p = [np.asarray(member.predict_on_batch(pictures)) for member in members]
        together = np.asarray(joined.predict_on_batch(pictures))
    mean = np.mean([np.log(one / (1 - one)) for one in p], axis=0)
    assert together == pytest.approx(1 / (1 + np.exp(-mean)), abs=1e-6)
    assert len({layer.name for layer in joined.layers}) == len(joined.layers)


def test_an_unknown_network_is_refused_by_name():
    """The message says what was asked for and what there is."""
    with pytest.raises(ConfigurationError, match=r"'resnet'.*aligned, compact, notebook"):
        build_network("resnet", (8, 8, 1))


def test_the_environment_names_versions():
    """A model's record says which Keras and which backend made it."""
    environment = training_environment()
    assert environment["keras"].startswith("3.")
    assert "unknown" not in environment["backend"]
