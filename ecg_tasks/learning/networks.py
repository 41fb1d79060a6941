"""Here: the networks, each with its origin, and their names. Not here: how they are trained (``training``) or served (``serving``).

Every network takes pictures as they are stored, uint8 of shape (height, width, channels), scales them itself, and gives
P(abnormal). Built of ``keras`` layers only, so that any backend of Keras trains it. All layers have fixed names: the saved
bytes then depend on the weights alone.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ecg_tasks.errors import ConfigurationError
from ecg_tasks.learning.aligned import aligned
from ecg_tasks.learning.framework import bring_up_keras

ImageShape = tuple[int, int, int]
"""Height (frequency), width (time), channels."""

COMPACT_LAYERS = ((48, 1), (64, 5), (64, 5))
"""Filters and width (columns) of the compact network's convolutions along time, from the picture on."""


def notebook(image_shape: ImageShape) -> Any:
    """Build the network of the notebook that this project began with: 3,236,511 weights at 256 × 256 × 3.

    Three 3 × 3 convolutions without padding (20, 32, 14 filters, ReLU), each followed by 2 × 2 max pooling, then
    Dense 256 and a sigmoid; after the last pooling 30 × 30 × 14 values are left, and nearly all weights stand behind
    them. The plan is that of LeCun et al., Proc. IEEE 86(11), 1998. It has no normalization and no dropout, on purpose:
    it is the yardstick.
    """
    keras = bring_up_keras()
    layers = keras.layers
    x = pictures = keras.Input(image_shape, dtype="uint8", name="pictures")
    x = layers.Rescaling(1 / 255, name="scale")(x)
    for step, filters in enumerate((20, 32, 14), start=1):
        x = layers.Conv2D(filters, 3, activation="relu", name=f"conv_{step}")(x)
        x = layers.MaxPooling2D(2, name=f"pool_{step}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(256, activation="relu", name="dense")(x)
    return keras.Model(pictures, layers.Dense(1, activation="sigmoid", name="p_abnormal")(x), name="notebook")


def compact(image_shape: ImageShape) -> Any:
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
    keras = bring_up_keras()
    layers = keras.layers
    height, width, channels = image_shape
    pictures = keras.Input(image_shape, dtype="uint8", name="pictures")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(pictures)
    x = layers.Permute((2, 1, 3), name="time_first")(x)
    x = layers.Reshape((width, height * channels), name="columns")(x)
    x = layers.SpatialDropout1D(0.1, name="drop_rows")(x)
    for step, (filters, kernel) in enumerate(COMPACT_LAYERS, start=1):
        x = layers.Conv1D(filters, kernel, padding="same", use_bias=False, name=f"conv_{step}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"norm_{step}")(x)
        x = layers.ReLU(name=f"relu_{step}")(x)
        if kernel > 1:
            x = layers.MaxPooling1D(2, name=f"pool_{step}")(x)
    mean = layers.GlobalAveragePooling1D(name="mean_over_time")(x)
    peak = layers.GlobalMaxPooling1D(name="peak_over_time")(x)
    x = layers.Concatenate(name="mean_and_peak")([mean, peak])
    x = layers.Dropout(0.5, name="dropout")(x)
    return keras.Model(pictures, layers.Dense(1, activation="sigmoid", name="p_abnormal")(x), name="compact")


NETWORKS: Mapping[str, Callable[[ImageShape], Any]] = MappingProxyType({"notebook": notebook, "compact": compact, "aligned": aligned})
"""Every network by the name that recipes and models give it."""


def build_network(name: str, image_shape: ImageShape) -> Any:
    """Build a ``keras.Model`` by its name, with fresh random weights.

    Raises
    ------
    ConfigurationError
        If there is no network of that name; the message names those there are.
    """
    if name not in NETWORKS:
        raise ConfigurationError(f"there is no network {name!r}; there are {', '.join(sorted(NETWORKS))}")
    return NETWORKS[name](image_shape)
