"""Here: what stands beside the cost of a twelve-lead recording: each stage's bound, and what a user would write. Not here: our own way.

A bound is the least that the same machine needs for what cannot be left out of a stage: bytes moved at the speed of memory, samples
filtered and transformed by pocketfft, pixels compressed by deflate, and a network's products at the speed of a matrix product.
The user's way is one recording at a time: wfdb reads it, SciPy transforms it, matplotlib draws it, and Keras predicts.
"""

import io
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import notebook_method
from benchmarks.processes import Work
from benchmarks.twelve_lead import RATES, RECIPES, wfdb_drop

BEATS = 10
"""Of ten seconds, for the bounds and for a user."""
MATRIX = 512
"""Rows and columns of the product that tells how many operations a second the machine does."""
N_LEADS = 12
TIMES = 9
ROW_BYTES = 400
COPIED = "bytes copied in memory"
PICTURED = "filter and transforms by pocketfft, pixels by deflate"
MULTIPLIED = "the network's operations at the speed of a matrix product"

Bound = tuple[float, str]
"""Milliseconds a recording, and in words what they are."""


def bounds(drops: Mapping[str, Mapping[str, bytes]], operations: Mapping[str, float]) -> dict[str, Bound]:
    """Measure the bound of each stage, by its name; ``operations`` are those of each recipe's network for one picture."""
    from ecg_tasks.signals.recipes import get_recipe

    files = [data for one in drops.values() for name, data in one.items() if name.endswith(".dat")]
    samples = np.stack([np.frombuffer(data, "<i2").reshape(-1, N_LEADS).T for data in files]).astype(np.float32)
    twelve, beat = (get_recipe(name).image_shape for name in RECIPES)
    read = _ms(lambda: [bytes(bytearray(data)) for data in files]) / len(files)
    write = _ms(samples.copy) / len(files)
    per_ms = 2 * MATRIX**3 / _ms(lambda: _SQUARE @ _SQUARE)
    return {
        "read": (read, COPIED),
        "write": (write, COPIED),
        "publish": (write, COPIED),
        "draw twelve_lead": (_ms(lambda: _picture(samples[0], twelve, n_pictures=1)), PICTURED),
        "draw heartbeat": (_ms(lambda: _picture(samples[0, 1:2], beat, n_pictures=BEATS)), PICTURED),
        "measure": (_ms(lambda: _filtered(samples[0])), "filter by pocketfft"),
        "decide twelve_lead": (operations["twelve_lead"] / per_ms, MULTIPLIED),
        "decide heartbeat": (BEATS * operations["heartbeat"] / per_ms, MULTIPLIED),
        "report": (write * ROW_BYTES / samples[0].nbytes, f"{ROW_BYTES} bytes copied: a row of the report"),
    }


_SQUARE = np.ones((MATRIX, MATRIX), np.float32)


def _picture(leads: NDArray[np.float32], shape: tuple[int, int, int], *, n_pictures: int) -> None:
    from scipy import fft

    height, width, n_channels = shape
    _filtered(leads)
    frames = np.ones((n_pictures, n_channels // 2, width, 2 * (height - 1)), np.float32)
    pixels = (np.abs(fft.rfft(frames, axis=-1)) * leads[0, 0]).astype(np.uint8)
    for picture in pixels:
        zlib.compress(np.repeat(picture, 2, axis=0).data, 1)


def _filtered(leads: NDArray[np.float32]) -> NDArray[np.float32]:
    from scipy import fft

    return np.asarray(fft.irfft(fft.rfft(leads, axis=-1), leads.shape[-1], axis=-1))


def _ms(do: Callable[[], object]) -> float:
    """Return the median of some times, behind a first one."""
    taken = []
    for _ in range(TIMES + 1):
        start = time.process_time()
        do()
        taken.append(time.process_time() - start)
    return max(1000 * median(taken[1:]), 1e-6)


def theirs(models: list[str], n: int) -> Work:
    """Case: a user's own way from files to a drawn and classified recording.

    Gives milliseconds a recording of each step, by rate, and under ``operations`` those of each recipe's network for one picture.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    networks = {recipe: _network(recipe, [Path(folder) for folder in models]) for recipe in RECIPES}

    def work() -> dict[str, dict[str, float]]:
        found = {"operations": {recipe: _operations(network) for recipe, network in networks.items()}}
        for fs in RATES:
            with tempfile.TemporaryDirectory(prefix="ecg-bench-") as folder:
                drops = dict(wfdb_drop(n + 1, fs=fs))
                for files in drops.values():
                    for name, data in files.items():
                        Path(folder, name).write_bytes(data)
                _, *taken = [_as_a_user(str(Path(folder, stem)), networks, fs=fs) for stem in drops]  # the first prepares each library
            found[str(fs)] = {step: sum(one[step] for one in taken) / len(taken) for step in taken[0]}
        return found

    return work


def _as_a_user(path: str, networks: Mapping[str, Any], *, fs: float) -> dict[str, float]:
    import wfdb
    from matplotlib import pyplot as plt
    from scipy import signal

    from ecg_tasks.signals.record import HEARTBEAT_FS, HEARTBEAT_SAMPLES

    taken: dict[str, float] = {}

    def step(name: str, do: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = do()
        taken[name] = 1000 * (time.process_time() - start)
        return result

    def draw(leads: NDArray[np.float64]) -> bytes:
        figure, axes = plt.subplots(3, 4)
        for axis, lead in zip(axes.flat, leads, strict=True):
            _, _, power = signal.spectrogram(lead, HEARTBEAT_FS, nperseg=16, noverlap=12)
            axis.imshow(10 * np.log10(power + 1e-12), origin="lower", aspect="auto")
            axis.axis("off")
        file = io.BytesIO()
        figure.savefig(file, format="png")
        plt.close(figure)
        return file.getvalue()

    def cut(lead: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        peaks, _ = signal.find_peaks(lead, height=0.6 * lead.max(), distance=round(0.3 * HEARTBEAT_FS))
        return [np.pad(lead[at : at + HEARTBEAT_SAMPLES], (0, max(0, at + HEARTBEAT_SAMPLES - lead.size))) for at in peaks[:BEATS]]

    def predict(recipe: str, n_pictures: int) -> None:
        model = networks[recipe]
        for _ in range(n_pictures):
            model.predict(np.zeros((1, *model.input_shape[1:]), np.uint8), verbose=0)

    recording = step("wfdb reads", lambda: wfdb.rdrecord(path).p_signal.T)
    at_rate = step("SciPy resamples", lambda: signal.resample_poly(recording, 125, round(fs), axis=1))
    step("matplotlib draws twelve leads", lambda: draw(at_rate))
    beats = step("SciPy cuts beats", lambda: cut(at_rate[1]))
    step("matplotlib draws beats", lambda: [notebook_method.draw(beat) for beat in beats])
    step("Keras predicts twelve leads", lambda: predict("twelve_lead", 1))
    step("Keras predicts beats", lambda: predict("heartbeat", len(beats)))
    return taken


def _network(recipe: str, models: Sequence[Path]) -> Any:
    from ecg_tasks.archive import registry
    from ecg_tasks.learning.keras_file import load_network
    from ecg_tasks.learning.version import KERAS

    folder, champion = next((at, one) for at in models for one in registry.shipped_champions(at) if one.recipe == recipe)
    return load_network((folder / recipe / champion.version / KERAS).read_bytes())


def _operations(network: Any) -> float:
    """Return multiplications and additions for one picture: of each layer its kernel, once for each place that it gives values at."""
    kernels = [(layer.kernel.shape, layer.output.shape[1:-1]) for layer in network.layers if hasattr(layer, "kernel")]
    return float(sum(2 * np.prod(kernel) * np.prod(places) for kernel, places in kernels))
