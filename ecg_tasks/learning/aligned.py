"""Here: the network for pictures that show every recording's beat in the same place. Not here: the other networks, or training."""

from typing import Any

from ecg_tasks.learning.framework import import_keras

FILTERS = 64
"""Numbers that the network keeps of every column."""
BLOCKS = 3
ROWS = 6
"""Frequencies that are read, from the lowest (the bottom row) on: 0 to 40 Hz at frames of 128 ms."""


def aligned(pictures: Any, prefix: str = "", n_outputs: int = 1) -> Any:
    """Build the network for pictures whose columns show the same part of a beat in every recording: below 100,000 weights.

    Every column, all its frequencies, leads and signs together, is projected to ``FILTERS`` numbers. Three residual blocks of two
    convolutions along time see each column among its neighbours; after the first, columns are averaged in pairs. Nothing is pooled over
    all of time, because where something happens is what matters here: the log-odds come from every number of every column.

    Parameters
    ----------
    pictures : Keras tensor of shape (n, height, width, channels)
    n_outputs : log-odds of abnormal, then of each class

    References
    ----------
    Residual blocks: He et al., arXiv 1512.03385. Batch normalization: Ioffe and Szegedy, arXiv 1502.03167. Dropout: Srivastava
    et al., JMLR 15, 2014.
    """
    layers = import_keras().layers
    named = f"{prefix}{{}}".format
    height, width, channels = pictures.shape[1:]
    x = layers.Cropping2D(((max(0, height - ROWS), 0), (0, 0)), name=named("low_frequencies"))(pictures)
    x = layers.Rescaling(1 / 64, offset=-2.0, name=named("scale"))(x)
    x = layers.Permute((2, 1, 3), name=named("time_first"))(x)
    x = layers.Reshape((width, min(height, ROWS) * channels), name=named("columns"))(x)
    x = layers.SpatialDropout1D(0.05, name=named("drop_inputs"))(x)
    x = _convolution(x, 1, named("project"))
    for block in range(1, BLOCKS + 1):
        inner = _convolution(x, 3, named(f"block_{block}_first"))
        inner = _convolution(inner, 3, named(f"block_{block}_second"), activation=False)
        x = layers.Add(name=named(f"block_{block}_sum"))([x, inner])
        x = layers.ReLU(name=named(f"block_{block}_relu"))(x)
        if block == 1:
            x = layers.AveragePooling1D(2, padding="same", name=named("pairs"))(x)
    x = layers.Dropout(0.4, name=named("dropout"))(layers.Flatten(name=named("flatten"))(x))
    return layers.Dense(n_outputs, name=named("log_odds"))(x)


def _convolution(x: Any, width: int, name: str, *, activation: bool = True) -> Any:
    layers = import_keras().layers
    x = layers.Conv1D(FILTERS, width, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if activation else x
