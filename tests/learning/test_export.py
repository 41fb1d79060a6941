"""Export: LiteRT and Keras say the same, and conversion repeats itself."""

import numpy as np
import pytest

from ecg_tasks.learning.export import export_litert, keras_scores
from ecg_tasks.learning.framework import keras_at_work
from ecg_tasks.learning.keras_file import load_network, save_network
from ecg_tasks.learning.networks import build_network
from ecg_tasks.learning.parameters import training_params
from ecg_tasks.learning.serving import Classifier


def test_litert_and_keras_agree(trained, litert, spec, validation_set):
    """On every validation picture the two runtimes differ by less than a millionth part."""
    by_litert = Classifier(spec, litert, n_threads=1).predict(validation_set.images)
    assert np.abs(by_litert - keras_scores(trained.keras, validation_set.images)).max() < 1e-6


def test_conversion_repeats_itself_quietly(trained, litert, capfd):
    """The same network gives the same LiteRT bytes, and the converter writes nothing into the task's log."""
    assert export_litert(trained.keras) == litert
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("network", "shape"), [("notebook", (64, 64, 3)), ("compact", (33, 75, 12)), ("aligned", (9, 15, 24))])
def test_every_network_can_be_exported(network, shape, litert_of):
    """Each network's operations exist in LiteRT and give Keras's scores."""
    with keras_at_work():
        file = save_network(network, shape, [build_network(network, shape).get_weights()])
    images = np.random.default_rng(3).integers(0, 256, (2, *shape), dtype=np.uint8)
    assert np.abs(litert_of(file, images) - keras_scores(file, images)).max() < 1e-5


def test_the_members_of_twelve_lead_stay_below_2_mb_together():
    """What is shipped must be small: both files of as many members as the recipe trains."""
    ensemble_size = training_params("twelve_lead", seed=0).ensemble_size
    with keras_at_work():
        file = save_network("aligned", (9, 15, 24), [build_network("aligned", (9, 15, 24)).get_weights()] * ensemble_size)
    assert len(file) + len(export_litert(file)) < 1_900_000


def test_a_file_is_the_same_whichever_process_wrote_it():
    """The same network gives the same bytes where what its layers share lies elsewhere in memory, and Keras reads it still."""
    shape, files = (9, 15, 24), []
    with keras_at_work() as keras:
        weights = build_network("aligned", shape).get_weights()
        before = keras.config.dtype_policy()
        for _ in range(2):
            keras.config.set_dtype_policy(keras.DTypePolicy("float32"))
            files.append(save_network("aligned", shape, [weights]))
        keras.config.set_dtype_policy(before)
        read = load_network(files[0]).get_weights()
    assert files[0] == files[1]
    assert all((one == other).all() for one, other in zip(read, weights, strict=True))
