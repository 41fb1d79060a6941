"""Here: the network for pictures that show every recording's beat in the same place. Not here: the other networks, or training."""

from typing import Any

from ecg_tasks.learning.framework import import_keras

FILTERS = (24, 32)
"""Filters of the convolutions in each tower."""
ROWS = 5
"""Frequencies that are read, from the lowest (the bottom row) on: 0 to 32 Hz at frames of 128 ms. Those above cost as much, and
whether they are read changes the AUROC by less than can be measured (docs/measurements/tuning.md)."""


def aligned(pictures: Any, prefix: str = "", n_outputs: int = 1) -> Any:
    """Build the network for pictures whose columns show the same part of a beat in every recording: below 60,000 weights.

    Four small towers of two 3 × 3 convolutions with batch normalization, without any pooling, because where on the time axis
    something happens is what matters here; two towers read the first half of the channels (levels), two the second
    half (signs). Each gives log-odds from all its values through dropout; the answer is their mean. Towers that start from
    different weights err differently, so that their mean errs less than one of them, as an ensemble's does.

    Parameters
    ----------
    pictures : Keras tensor of shape (n, height, width, channels); channels are an even number
    n_outputs : log-odds of each tower: of abnormal, then of each class

    References
    ----------
    Ensembles: Hansen and Salamon, IEEE TPAMI 12(10), 1990. Dropout: Srivastava et al., JMLR 15, 2014. Batch
    normalization: Ioffe and Szegedy, arXiv 1502.03167.
    """
    layers = import_keras().layers
    height, _, channels = pictures.shape[1:]
    half = channels // 2
    low = layers.Cropping2D(((max(0, height - ROWS), 0), (0, 0)), name=f"{prefix}low_frequencies")(pictures)
    scaled = layers.Rescaling(1 / 64, offset=-2.0, name=f"{prefix}scale")(low)
    log_odds = []
    for tower, crop in enumerate(((0, half), (0, half), (half, 0), (half, 0)), start=1):
        name = f"{prefix}{{}}_{tower}".format
        # "channels_first" lets the last axis be cropped by a layer with a name of its own, which plain slicing has not
        x = layers.Cropping2D(((0, 0), crop), data_format="channels_first", name=name("half"))(scaled)
        for step, filters in enumerate(FILTERS, start=1):
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name('conv')}_{step}")(x)
            x = layers.BatchNormalization(momentum=0.9, name=f"{name('norm')}_{step}")(x)
            x = layers.ReLU(name=f"{name('relu')}_{step}")(x)
        x = layers.Dropout(0.4, name=name("dropout"))(layers.Flatten(name=name("flatten"))(x))
        log_odds.append(layers.Dense(n_outputs, name=name("log_odds"))(x))
    return layers.Average(name=f"{prefix}log_odds")(log_odds)
