"""Here: what a picture costs, against matplotlib drawing the same windows. Not here: classification, or the tables.

Both sides start from the samples of the same windows and end with the bytes of a PNG, each in a process of its own and on one
thread. Times are processor time, which other work on the machine disturbs least. The decoded pixels of every window that both
sides draw must be equal, or the benchmark fails.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks import notebook_method
from benchmarks.beats import heartbeat_records, heartbeat_rows, recordings
from benchmarks.processes import Usage, Work, in_own_process

T = TypeVar("T")

SEED = 1
MANY_FRAMES = 40
CASES = {"one_frame": 187, "many_frames": notebook_method.N_FFT + (MANY_FRAMES - 1) * notebook_method.HOP_LENGTH}
"""Name and samples of a window. A heartbeat row has 187, which give one frame; the other case is 21 s of beats one after another."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
RECORDING_FS = 500.0
"""Hz."""


def measure(*, n_compared: int = 60, n_drawn: int = 4096, n_recordings: int = 100) -> dict[str, Any]:
    """Run both sides and compare them.

    Parameters
    ----------
    n_compared : windows that matplotlib draws; their pixels are compared
    n_drawn : windows of one frame that this project draws, the compared ones first; of many frames it draws a twentieth
    n_recordings : twelve-lead recordings of 10 s

    Returns
    -------
    dict
        ``cases``: for each case ``ours_ms`` and ``matplotlib_ms`` (processor time a picture), ``times_faster``, ``n_compared``,
        ``n_drawn``, ``pixels_equal``, and of both ``…_start_mb`` and ``…_peak_mb`` (whole process); ``recipes``: for each recipe
        ``ms`` (processor time a picture, from records to PNGs with quality) and ``n_pictures``; ``matplotlib``: its version.

    Raises
    ------
    RuntimeError
        If a pixel differs.
    """
    from importlib.metadata import version

    cases = {}
    for case in CASES:
        n = max(n_compared, n_drawn if case == "one_frame" else n_drawn // 20)
        ours = in_own_process(by_us, environment=ONE_THREAD, case=case, n=n, n_compared=n_compared)
        theirs = in_own_process(by_matplotlib, environment=ONE_THREAD, case=case, n=n_compared)
        if ours.result["pixels"] != theirs.result["pixels"]:
            raise RuntimeError(f"{case}: the pixels differ from matplotlib's")
        cases[case] = {
            "times_faster": theirs.result["ms"] / ours.result["ms"],
            "ours_ms": ours.result["ms"],
            "matplotlib_ms": theirs.result["ms"],
            "pixels_equal": True,
            "n_compared": n_compared,
            "n_drawn": n,
            **_memory("ours", ours),
            **_memory("matplotlib", theirs),
        }
    recipes = in_own_process(by_recipes, environment=ONE_THREAD, n_beats=n_drawn, n_recordings=n_recordings)
    return {"cases": cases, "recipes": recipes.result, "matplotlib": version("matplotlib")}


def _memory(side: str, usage: Usage) -> dict[str, float]:
    return {f"{side}_start_mb": usage.start_mb, f"{side}_peak_mb": usage.peak_mb}


def by_us(case: str, n: int, n_compared: int) -> Work:
    """Case: draw a whole batch, as the recipe ``notebook`` does."""
    from ecg_tasks.signals.imshow import encode_imshow
    from ecg_tasks.signals.rendering import NOTEBOOK_STFT
    from ecg_tasks.signals.stft import stft_magnitude_db

    def draw(some: NDArray[np.float32]) -> list[bytes]:
        return encode_imshow(stft_magnitude_db(some.astype(np.float64), params=NOTEBOOK_STFT))

    draw(windows(case, 2))
    return _drawing(draw, windows(case, n), n_compared=n_compared)


def by_matplotlib(case: str, n: int) -> Work:
    """Case: draw one window after the other, as the notebook does."""
    import matplotlib as mpl

    mpl.use("Agg")

    def draw(some: NDArray[np.float32]) -> list[bytes]:
        return [notebook_method.draw(window) for window in some]

    draw(windows(case, 2))
    return _drawing(draw, windows(case, n), n_compared=n)


def by_recipes(n_beats: int, n_recordings: int) -> Work:
    """Case: whole shards by every recipe, from records to PNGs and signal quality."""
    from ecg_tasks.signals.recipes import RECIPES

    beats = heartbeat_records(n_beats, seed=SEED)
    longer = recordings(n_recordings, fs=RECORDING_FS, duration_s=10.0)

    def work() -> dict[str, Any]:
        found = {}
        for recipe in RECIPES.values():
            records = beats if recipe.accepts(beats[0]) else longer
            recipe.render(records[:2])
            seconds, rendered = _best(partial(recipe.render, records))
            found[recipe.name] = {"ms": 1000 * seconds / len(rendered), "n_pictures": len(rendered)}
        return found

    return work


def windows(case: str, n: int) -> NDArray[np.float32]:
    """Return beats, shape (n, n_samples); those of the longer case are several rows, one after another."""
    n_samples = CASES[case]
    n_rows = -(-n_samples // CASES["one_frame"])
    return heartbeat_rows(n * n_rows, seed=SEED).reshape(n, -1)[:, :n_samples]


def _drawing(draw: Callable[[NDArray[np.float32]], list[bytes]], some: NDArray[np.float32], *, n_compared: int) -> Work:
    def work() -> dict[str, Any]:
        seconds, pngs = _best(lambda: draw(some))
        return {"ms": 1000 * seconds / len(some), "pixels": _pixel_digest(pngs[:n_compared])}

    return work


def _best(work: Callable[[], T], *, times: int = 3) -> tuple[float, T]:
    """Return processor seconds of the best of some times, and what the last one gave."""
    seconds = []
    for _ in range(times):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return min(seconds), result


def _pixel_digest(pngs: Sequence[bytes]) -> str:
    """Return the SHA-256 over the RGB pixels of all pictures as OpenCV reads them."""
    import cv2

    digest = hashlib.sha256()
    for png in pngs:
        pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR_RGB)
        if pixels is None:
            raise RuntimeError("a picture cannot be read")
        digest.update(repr(pixels.shape).encode() + pixels.tobytes())
    return digest.hexdigest()
