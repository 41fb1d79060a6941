"""Here: the method of the notebook that this project began with, written again: one figure and one ``predict`` a picture. Not here: ours.

Where the notebook leaves a choice, the faster one is taken: pictures stay in memory, no progress bar is printed, OpenCV resizes.
"""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

N_FFT = 125
HOP_LENGTH = 64
SIDE = 256
"""Pixels of the square that its network sees."""


def draw(window: NDArray[np.floating]) -> bytes:
    """Draw one window as PNG: transform, figure, ``imshow``, ``savefig``.

    Parameters
    ----------
    window : ndarray, shape (n_samples,)
    """
    from matplotlib import pyplot as plt

    samples = window.astype(np.float64)
    frames = [np.abs(np.fft.rfft(samples[start : start + N_FFT])) for start in range(0, samples.size - N_FFT + 1, HOP_LENGTH)]
    with np.errstate(divide="ignore"):  # it does not mind the logarithm of 0
        level_db = 20 * np.log10(np.transpose(frames))
    figure = plt.figure()
    plt.imshow(level_db, cmap="magma", origin="lower", aspect="auto")
    plt.axis("off")
    file = io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight", pad_inches=0, dpi=100)
    plt.close(figure)
    return file.getvalue()


def as_savefig_writes(png: bytes) -> bytes:
    """Encode the pixels as ``savefig`` does: with an alpha channel, compressed by Pillow with its defaults."""
    from PIL import Image

    file = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGBA").save(file, format="png")
    return file.getvalue()


def build_network(weights: Sequence[NDArray[Any]]) -> Any:
    """Build its network, a ``keras.Model`` of 3,236,511 weights.

    Parameters
    ----------
    weights : those of this project's network ``notebook``, which reads red, green, blue; the notebook reads them the other way
        round, as OpenCV does, so the first layer's are turned over, and both give the same scores
    """
    model = untrained_network()
    first, *others = weights
    model.set_weights([first[:, :, ::-1], *others])
    return model


def untrained_network() -> Any:
    """Build the same network with fresh random weights, reading pictures scaled from 0 to 1."""
    import keras

    layers = keras.layers
    model: Any = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(20, (3, 3), activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, (3, 3), activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(14, (3, 3), activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    return model


def classify(png: bytes, model: Any) -> tuple[str, float]:
    """Return the class and the network's score of one picture: read, resize, scale, one ``predict``, twice the score above 0.5."""
    import cv2

    pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("the picture cannot be read")
    resized = cv2.resize(pixels, (SIDE, SIDE))
    score = float(model.predict(np.expand_dims(resized / 255, 0), verbose=0)[0, 0])
    return ("normal" if 2 * score > 0.5 else "abnormal"), score
