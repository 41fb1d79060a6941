"""Here: the network for pictures that show every recording's beat in the same place. Not here: the other networks, or training."""

from typing import Any

from ecg_tasks.learning.framework import bring_up_keras

FILTERS = (24, 32)
"""Filters of the convolutions in each tower."""


def aligned(image_shape: tuple[int, int, int]) -> Any:
    """Build the network for pictures whose columns show the same part of a beat in every recording: below 60,000 weights.

    Four small towers of two 3 × 3 convolutions with batch normalization, without any pooling, because where on the time axis
    something happens is what matters here; two towers read the first half of the channels (levels), two the second
    half (signs). Each gives log-odds from all its values through dropout; the answer is their mean. Towers that start from
    different weights err differently, so that their mean errs less than one of them, as an ensemble's does.

    Parameters
    ----------
    image_shape : height, width, channels (an even number)

    References
    ----------
    Ensembles: Hansen and Salamon, IEEE TPAMI 12(10), 1990. Dropout: Srivastava et al., JMLR 15, 2014. Batch
    normalization: Ioffe and Szegedy, arXiv 1502.03167.
    """
    keras = bring_up_keras()
    layers = keras.layers
    half = image_shape[2] // 2
    pictures = keras.Input(image_shape, dtype="uint8", name="pictures")
    scaled = layers.Rescaling(1 / 64, offset=-2.0, name="scale")(pictures)
    log_odds = []
    for tower, crop in enumerate(((0, half), (0, half), (half, 0), (half, 0)), start=1):
        # "channels_first" lets the last axis be cropped by a layer with a name of its own, which plain slicing has not
        x = layers.Cropping2D(((0, 0), crop), data_format="channels_first", name=f"half_{tower}")(scaled)
        for step, filters in enumerate(FILTERS, start=1):
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv_{tower}_{step}")(x)
            x = layers.BatchNormalization(momentum=0.9, name=f"norm_{tower}_{step}")(x)
            x = layers.ReLU(name=f"relu_{tower}_{step}")(x)
        x = layers.Dropout(0.4, name=f"dropout_{tower}")(layers.Flatten(name=f"flatten_{tower}")(x))
        log_odds.append(layers.Dense(1, name=f"log_odds_{tower}")(x))
    mean = layers.Average(name="mean_of_towers")(log_odds)
    return keras.Model(pictures, layers.Activation("sigmoid", name="p_abnormal")(mean), name="aligned")
