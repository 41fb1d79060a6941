"""Here: the networks, each with its origin, and their names. Not here: how they are trained (``training``) or served (``serving``).

Every network takes pictures as they are stored, uint8 of shape (height, width, channels), scales them itself, and gives
P(abnormal). Built of ``keras`` layers only, so that any backend of Keras trains it. All layers have fixed names: the saved
bytes then depend on the weights alone.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ecg_tasks.errors import ConfigurationError
from ecg_tasks.learning.framework import bring_up_keras

ImageShape = tuple[int, int, int]
"""Height (frequency), width (time), channels."""

COMPACT_FILTERS = (24, 32, 48, 64)
"""Filters of the compact network's convolutions, from the picture on."""


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
    """Build the small network for spectrograms of one or more leads: below 60,000 weights at any picture size.

    Four convolutions with batch normalization, the first three halving both axes; then one weight for each row and
    channel sums the rows up, because where on the frequency axis something happens matters, while when it happens does
    not: mean and maximum over time follow, dropout, and a sigmoid. All normalization folds into the convolutions on export.

    References
    ----------
    All-convolutional with strides: Springenberg et al., arXiv 1412.6806. Batch normalization: Ioffe and Szegedy,
    arXiv 1502.03167. Mean and maximum over time: Kong et al. (PANNs), arXiv 1912.10211.
    """
    keras = bring_up_keras()
    layers = keras.layers
    x = pictures = keras.Input(image_shape, dtype="uint8", name="pictures")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="scale")(x)
    for step, filters in enumerate(COMPACT_FILTERS, start=1):
        last = step == len(COMPACT_FILTERS)
        kernel = 5 if step == 1 else 3
        x = layers.Conv2D(filters, kernel, strides=1 if last else 2, padding="same", use_bias=False, name=f"conv_{step}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"norm_{step}")(x)
        x = layers.ReLU(name=f"relu_{step}")(x)
    x = layers.DepthwiseConv2D((x.shape[1], 1), name="sum_rows")(x)
    mean = layers.GlobalAveragePooling2D(name="mean_over_time")(x)
    peak = layers.GlobalMaxPooling2D(name="peak_over_time")(x)
    x = layers.Concatenate(name="mean_and_peak")([mean, peak])
    x = layers.Dropout(0.4, name="dropout")(x)
    return keras.Model(pictures, layers.Dense(1, activation="sigmoid", name="p_abnormal")(x), name="compact")


NETWORKS: Mapping[str, Callable[[ImageShape], Any]] = MappingProxyType({"notebook": notebook, "compact": compact})
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
