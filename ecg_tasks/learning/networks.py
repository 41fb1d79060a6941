"""Here: the networks, each with its origin, and their names. Not here: how they are trained (``training``) or served (``serving``).

Every network takes pictures as they are stored, uint8 of shape (height, width, channels), scales them itself, and gives
P(abnormal), and beside it the probabilities of as many classes as it is asked for. Built of ``keras`` layers only, so that any backend
of Keras trains it. All layers have fixed names: the saved bytes then depend on the weights alone.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import ConfigurationError
from ecg_tasks.learning.aligned import aligned
from ecg_tasks.learning.framework import import_keras

ImageShape = tuple[int, int, int]
"""Height (frequency), width (time), channels."""

COMPACT_LAYERS = ((48, 1), (64, 5), (64, 5))
"""Filters and width (columns) of the compact network's convolutions along time, from the picture on."""


def notebook(pictures: Any, prefix: str = "", n_outputs: int = 1) -> Any:
    """Build the network of the notebook that this project began with: 3,236,511 weights at 256 × 256 × 3.

    Three 3 × 3 convolutions without padding (20, 32, 14 filters, ReLU), each followed by 2 × 2 max pooling, then
    Dense 256 and a sigmoid; after the last pooling 30 × 30 × 14 values are left, and nearly all weights come after
    them. The plan is that of LeCun et al., Proc. IEEE 86(11), 1998. It has no normalization and no dropout, on purpose:
    it is the baseline.
    """
    layers = import_keras().layers
    x = layers.Rescaling(1 / 255, name=f"{prefix}scale")(pictures)
    for step, filters in enumerate((20, 32, 14), start=1):
        x = layers.Conv2D(filters, 3, activation="relu", name=f"{prefix}conv_{step}")(x)
        x = layers.MaxPooling2D(2, name=f"{prefix}pool_{step}")(x)
    x = layers.Flatten(name=f"{prefix}flatten")(x)
    x = layers.Dense(256, activation="relu", name=f"{prefix}dense")(x)
    return layers.Dense(n_outputs, name=f"{prefix}log_odds")(x)


def compact(pictures: Any, prefix: str = "", n_outputs: int = 1) -> Any:
    """Build the small network for spectrograms of one or more leads: below 60,000 weights for the pictures in use.

    Where on the frequency axis something happens, and in which lead, matters; when it happens does not. So every column of
    the picture, all its rows and leads, is one feature vector (whole rows of it are dropped at random while training), which
    is projected to 48 numbers; two convolutions along time see beats in their surroundings; mean and maximum over time, dropout
    and a sigmoid follow. On spectrograms of whole recordings this did better than convolutions over both axes, in two thirds of
    the time (AUROC 0.87 against 0.84 on five folds of PTB-XL, split by patient). All normalization folds into the
    convolutions on export.

    References
    ----------
    Frequencies as channels of convolutions along time: Dieleman and Schrauwen, ICASSP 2014. Batch normalization: Ioffe and
    Szegedy, arXiv 1502.03167. Mean and maximum over time: Kong et al. (PANNs), arXiv 1912.10211.
    """
    layers = import_keras().layers
    height, width, channels = pictures.shape[1:]
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name=f"{prefix}scale")(pictures)
    x = layers.Permute((2, 1, 3), name=f"{prefix}time_first")(x)
    x = layers.Reshape((width, height * channels), name=f"{prefix}columns")(x)
    x = layers.SpatialDropout1D(0.1, name=f"{prefix}drop_rows")(x)
    for step, (filters, kernel) in enumerate(COMPACT_LAYERS, start=1):
        x = layers.Conv1D(filters, kernel, padding="same", use_bias=False, name=f"{prefix}conv_{step}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{prefix}norm_{step}")(x)
        x = layers.ReLU(name=f"{prefix}relu_{step}")(x)
        if kernel > 1:
            x = layers.MaxPooling1D(2, name=f"{prefix}pool_{step}")(x)
    mean = layers.GlobalAveragePooling1D(name=f"{prefix}mean_over_time")(x)
    peak = layers.GlobalMaxPooling1D(name=f"{prefix}peak_over_time")(x)
    x = layers.Concatenate(name=f"{prefix}mean_and_peak")([mean, peak])
    x = layers.Dropout(0.5, name=f"{prefix}dropout")(x)
    return layers.Dense(n_outputs, name=f"{prefix}log_odds")(x)


NETWORKS: Mapping[str, Callable[[Any, str, int], Any]] = MappingProxyType(
    {network.__name__: network for network in (notebook, compact, aligned)}
)
"""Every network by the name that recipes and models give it: from a Keras tensor of pictures, a prefix for the names of
its layers and a number of outputs to log-odds of shape (n, n_outputs): of abnormal, then of each class."""


def build_network(name: str, image_shape: ImageShape, *, ensemble_size: int = 1, n_outputs: int = 1) -> Any:
    """Build a ``keras.Model`` by its name, with fresh random weights.

    Parameters
    ----------
    ensemble_size : number of networks; with more than one, the output is that of their mean log-odds
    n_outputs : 1 for P(abnormal) alone; each class takes one more

    Raises
    ------
    ConfigurationError
        If there is no network of that name; the message names those there are.

    References
    ----------
    Hansen and Salamon, Neural network ensembles, IEEE TPAMI 12(10), 1990.
    """
    if name not in NETWORKS:
        raise ConfigurationError(f"there is no network {name!r}; there are {', '.join(sorted(NETWORKS))}")
    keras = import_keras()
    pictures = keras.Input(image_shape, dtype="uint8", name="pictures")
    log_odds = [NETWORKS[name](pictures, prefix, n_outputs) for prefix in _prefixes(ensemble_size)]
    mean = keras.layers.Average(name="mean_of_members")(log_odds) if ensemble_size > 1 else log_odds[0]
    # float32 where all else may be of lower precision: a probability near 0 or 1 has no room in 8 bits
    output = "p_abnormal" if n_outputs == 1 else "probabilities"
    return keras.Model(pictures, keras.layers.Activation("sigmoid", dtype="float32", name=output)(mean), name=name)


def network_digest(name: str, image_shape: ImageShape, *, ensemble_size: int = 1, n_outputs: int = 1) -> str:
    """Return the SHA-256 of the built network's configuration, as Keras saves it, and of Keras's version.

    It changes with every layer, size, activation and name in the network, and not with its weights or the process.

    Parameters
    ----------
    name, image_shape, ensemble_size, n_outputs : as `build_network` takes them

    Raises
    ------
    ConfigurationError
        If there is no network of that name.
    """
    keras = import_keras()
    network = build_network(name, image_shape, ensemble_size=ensemble_size, n_outputs=n_outputs)
    built = keras.saving.serialize_keras_object(network)
    return hashlib.sha256(json.dumps([str(keras.__version__), built], sort_keys=True).encode()).hexdigest()


def join_members(name: str, image_shape: ImageShape, weights: Sequence[Sequence[NDArray[np.float32]]], *, n_outputs: int = 1) -> Any:
    """Build one ``keras.Model`` from the weights of one or more trainings of the same network.

    Parameters
    ----------
    weights : for each member, what ``get_weights`` of its network gave
    """
    joined = build_network(name, image_shape, ensemble_size=len(weights), n_outputs=n_outputs)
    member = build_network(name, image_shape, n_outputs=n_outputs)
    for prefix, values in zip(_prefixes(len(weights)), weights, strict=True):
        member.set_weights(values)
        for layer in member.layers:
            if layer.weights:
                joined.get_layer(prefix + layer.name).set_weights(layer.get_weights())
    return joined


def _prefixes(ensemble_size: int) -> list[str]:
    return [""] if ensemble_size == 1 else [f"member_{member}_" for member in range(1, ensemble_size + 1)]
