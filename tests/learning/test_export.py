"""Export: LiteRT and Keras say the same, and conversion repeats itself."""

import numpy as np
import pytest

from ecg_tasks.learning.export import export_litert, keras_scores
from ecg_tasks.learning.framework import keras_at_work
from ecg_tasks.learning.keras_file import save_network
from ecg_tasks.learning.networks import build_network
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
def test_every_network_can_be_exported(network, shape):
    """Each network's operations exist in LiteRT and give Keras's scores."""
    from ai_edge_litert.interpreter import Interpreter

    with keras_at_work():
        file = save_network(network, shape, build_network(network, shape).get_weights())
    images = np.random.default_rng(3).integers(0, 256, (2, *shape), dtype=np.uint8)
    interpreter = Interpreter(model_content=export_litert(file))
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
    interpreter.invoke()
    scores = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[:, 0]
    assert np.abs(scores - keras_scores(file, images)).max() < 1e-5
