"""Here: what a GPU takes beside this machine's processor for a training, and for the transforms of a re-rendering. Not here: other figures.

    python -m benchmarks.gpu [RECORDINGS] [--windows N] [--epochs N] [--json FILE]

Each side works in a process of its own; the processor's does not see the GPU. Where there is none, the processor's figures stand alone.

* a training of ``twelve_lead``, one member: the pace of its last epoch, so that what is compiled first does not count. With a GPU it
  computes in 16 bits, as every training there does.
* the levels and signs of the median beats of so many recordings, from the memory of the processor and back into it: by NumPy on one
  core, as a task does, and by TensorFlow on the GPU. Greys of the pictures that differ are counted.
"""

import argparse
import importlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.beats import recordings
from benchmarks.processes import Work, in_own_process
from benchmarks.rendering import ONE_THREAD
from benchmarks.training import NoCheckpoints
from ecg_tasks.signals.recipes import get_recipe
from ecg_tasks.signals.rendering import SIGNLESS, LeadSpectrograms
from ecg_tasks.signals.stft import turns_to_middle, weights_of

RECIPE = "twelve_lead"
N_DRAWN = 200
"""Made-up recordings; of the training's windows and of the re-rendering's beats each is one of these."""
FS = 100.0
"""Hz."""
AT_ONCE = 8192
"""Recordings that go to the GPU together; 50 MB."""

Greys = Callable[[NDArray[np.float32]], NDArray[np.uint8]]


def measure(*, n_recordings: int, n_windows: int, n_epochs: int) -> dict[str, Any]:
    """Run both sides of both comparisons.

    Returns
    -------
    dict
        ``gpu``: its name, empty without one; ``training`` and ``rendering``: of each side the work's result; ``times_faster`` of each where
        there is a GPU.
    """
    train = partial(in_own_process, by_training, n_windows=n_windows, n_epochs=n_epochs)
    by_processor = {
        "training": train(environment={"CUDA_VISIBLE_DEVICES": "-1"}).result,
        "rendering": in_own_process(by_numpy, environment=ONE_THREAD, n=n_recordings).result,
    }
    found: dict[str, Any] = {"gpu": in_own_process(look).result, "processor": by_processor}
    if found["gpu"]:
        by_gpu = {
            "training": train().result,
            "rendering": in_own_process(by_tensorflow, n=n_recordings).result,
        }
        pace, ms = "windows_per_s", "recording_ms"
        found["with_gpu"] = by_gpu
        found["times_faster"] = {
            "training": by_gpu["training"][pace] / by_processor["training"][pace],
            "rendering": by_processor["rendering"][ms] / by_gpu["rendering"][ms],
        }
    return found


def look() -> Work:
    """Case: the name of the first GPU that TensorFlow sees."""
    import tensorflow as tf

    seen = tf.config.list_physical_devices("GPU")
    return lambda: tf.config.experimental.get_device_details(seen[0]).get("device_name", "a GPU") if seen else ""


def by_training(n_windows: int, n_epochs: int) -> Work:
    """Case: train one member of the recipe."""
    from ecg_tasks.learning.dataset import TrainingSet
    from ecg_tasks.learning.parameters import training_params
    from ecg_tasks.learning.training import train

    recipe = get_recipe(RECIPE)
    pictures = recipe.decode(recipe.render(recordings(min(N_DRAWN, n_windows), fs=FS, duration_s=10.0)).png)
    each = np.arange(n_windows) % len(pictures)
    windows = TrainingSet(images=pictures[each], labels=(each % 2).astype(np.uint8), records=np.arange(n_windows))
    params = training_params(recipe.name, seed=1, epochs=n_epochs, ensemble_size=1)

    def work() -> dict[str, Any]:
        began = time.perf_counter()
        held_out = [np.arange(n_windows) >= 0.9 * n_windows]  # the rest is learnt from
        trained = train(windows, held_out, network=recipe.network, params=params, checkpoints=NoCheckpoints(), log=lambda _line: None)
        epochs = trained.histories[0]
        return {
            "wall_s": time.perf_counter() - began,
            "windows_per_s": epochs[-1].windows_per_s,
            "epochs": [asdict(epoch) for epoch in epochs],
            "n_windows": n_windows,
        }

    return work


def by_numpy(n: int) -> Work:
    """Case: transform on one core, as a task does."""
    return _transforming(_picture().greys, n=n, at_once=64)


def by_tensorflow(n: int) -> Work:
    """Case: transform on the GPU if there is one, a few thousand recordings at a time, each batch there and back."""
    import tensorflow as tf

    return _transforming(on_device(tf, _picture()), n=n, at_once=min(n, AT_ONCE))


def on_device(tf: Any, picture: LeadSpectrograms) -> Greys:
    """Return what `LeadSpectrograms.greys` does, by TensorFlow, wherever that computes."""
    stft, sign = picture.stft, picture.sign
    weights, to_middle = weights_of(stft).astype(np.float32), turns_to_middle(stft).astype(np.complex64)

    @tf.function  # type: ignore[untyped-decorator]
    def greys(beats: Any) -> Any:
        bins = tf.signal.rfft(tf.signal.frame(beats, stft.frame_length, stft.hop_length) * weights, [stft.n_fft])
        decibel = 20 / np.log(10) * tf.math.log(tf.maximum(tf.abs(bins), 10 ** (stft.floor_db / 20)))
        level = tf.clip_by_value(tf.round((decibel - picture.low_db) * (255 / (picture.high_db - picture.low_db))), 0, 255)
        signed = tf.math.real(bins * to_middle)
        size = tf.math.log1p(tf.abs(signed) / sign.knee) / np.float32(np.log1p(sign.top / sign.knee))
        grey = tf.round(SIGNLESS + 127 * tf.sign(signed) * tf.minimum(size, 1))
        return tf.cast(tf.concat([tf.linalg.matrix_transpose(level), tf.linalg.matrix_transpose(grey)], axis=1), tf.uint8)

    return lambda beats: np.asarray(greys(tf.constant(beats)))


def _transforming(greys: Greys, *, n: int, at_once: int) -> Work:
    beats = median_beats_of(N_DRAWN)
    batch = beats[np.arange(at_once) % len(beats)]
    expected = _picture().greys(beats[: min(at_once, N_DRAWN)])
    got = greys(batch)[: len(expected)].astype(int)  # and with it all is compiled

    def work() -> dict[str, Any]:
        began, left = time.perf_counter(), n
        while left > 0:
            greys(batch[:left] if left < at_once else batch)
            left -= at_once
        wall_s = time.perf_counter() - began
        different = np.abs(got - expected)
        return {
            "n": n,
            "wall_s": wall_s,
            "recording_ms": 1000 * wall_s / n,
            "greys_that_differ": float((different > 0).mean()),
            "largest_difference": int(different.max()),
        }

    return work


def median_beats_of(n: int) -> NDArray[np.float32]:
    """Return the median beats of made-up recordings, shape (n, 12, n_samples), mV."""
    from ecg_tasks.signals.median_beats import median_beats

    recipe, picture = get_recipe(RECIPE), _picture()
    windows = recipe.windows(recordings(n, fs=FS, duration_s=10.0))
    return median_beats(windows.samples, fs=picture.fs, before_s=picture.before_s, after_s=picture.after_s, n_real=windows.n_real)


def _picture() -> LeadSpectrograms:
    picture = get_recipe(RECIPE).picture
    if not isinstance(picture, LeadSpectrograms):
        raise TypeError(f"{RECIPE} draws {type(picture).__name__}")
    return picture


def print_gpu(console: Console, found: Mapping[str, Any]) -> None:
    """Print both comparisons."""
    table = Table(title=f"A GPU beside one machine's processor: {found['gpu'] or 'no GPU is seen'}", title_justify="left")
    table.add_column("")
    for column in ("training, windows a second", "transforms of a recording, ms", "greys that differ", "by at most"):
        table.add_column(column, justify="right")
    for side, title in (("processor", "processor"), ("with_gpu", "with the GPU")):
        if one := found.get(side):
            drawn = one["rendering"]
            paces = (f"{one['training']['windows_per_s']:,.0f}", f"{drawn['recording_ms']:.5f}")
            table.add_row(title, *paces, f"{drawn['greys_that_differ']:.5%}", str(drawn["largest_difference"]))
    if faster := found.get("times_faster"):
        table.add_row("times faster", f"{faster['training']:,.1f}", f"{faster['rendering']:,.1f}", "", "")
    console.print(table)


def main() -> None:
    """Measure, print, and write the figures where that is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("recordings", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--windows", type=int, default=16_384)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found = measure(n_recordings=asked.recordings, n_windows=asked.windows, n_epochs=asked.epochs)
    print_gpu(Console(), found)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    importlib.import_module("benchmarks.gpu").main()  # the other processes import the cases by this name
