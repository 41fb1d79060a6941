"""Here: what a picture costs, against matplotlib drawing the same windows. Not here: classification (see the other benchmarks).

Both sides start from the samples of the same windows and end with the bytes of a PNG, each in a process of its own with one
thread, so that peak memory is each one's own. Times are processor time, which other work on the machine disturbs least.
The decoded pixels of every window that both sides draw must be equal, or the benchmark fails.

    python -m benchmarks.rendering
"""

import argparse
import hashlib
import io
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEED = 20260101
CASES = {"one frame": 187, "40 frames": 125 + 39 * 64}
"""Name and samples of a window. A heartbeat row has 187, so the recipe ``notebook`` draws one frame; many are for comparison only."""
N_COMPARED = 60
"""Windows that matplotlib draws; their pixels are compared."""
N_DRAWN = {"one frame": 4096, "40 frames": 200}
"""Windows that this project draws, the compared ones first."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def measure() -> dict[str, Any]:
    """Run both sides and compare them.

    Returns
    -------
    dict
        ``cases``: for each case ``ours_ms`` and ``matplotlib_ms`` (processor time a picture), ``times_faster``, ``pixels_equal``, and
        ``ours_peak_mib``, ``matplotlib_peak_mib`` (whole process); ``recipes``: ``seconds`` and ``n_windows`` of whole shards;
        ``matplotlib``: its version.

    Raises
    ------
    RuntimeError
        If a pixel differs.
    """
    cases = {}
    for case in CASES:
        ours, theirs = _in_own_process("ours", case), _in_own_process("matplotlib", case)
        if ours["pixels"] != theirs["pixels"]:
            raise RuntimeError(f"{case}: the pixels differ from matplotlib's")
        cases[case] = {
            "ours_ms": ours["ms"],
            "matplotlib_ms": theirs["ms"],
            "times_faster": theirs["ms"] / ours["ms"],
            "pixels_equal": True,
            "n_compared": N_COMPARED,
            "ours_peak_mib": ours["peak_mib"],
            "matplotlib_peak_mib": theirs["peak_mib"],
        }
    return {"cases": cases, "recipes": _in_own_process("recipes", ""), "matplotlib": _matplotlib_version()}


def _in_own_process(side: str, case: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.rendering", "--side", side, "--case", case]
    done = subprocess.run(command, env=os.environ | ONE_THREAD, check=True, capture_output=True, text=True)  # noqa: S603  our own module
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _matplotlib_version() -> str:
    import matplotlib as mpl

    return mpl.__version__


def _windows(case: str, n: int) -> NDArray[np.float32]:
    """Beat-like windows in [0, 1], some zero-padded, shape (n, n_samples); the first ones are the same for any ``n``."""
    t = np.arange(CASES[case]) / 125
    windows = np.empty((n, t.size), np.float32)
    for at in range(n):
        rng = np.random.default_rng([SEED, at])
        rr_s = rng.uniform(0.6, 1.1)
        phase = (t + 0.2) % rr_s - 0.2
        beat = 0.2 + 0.7 * np.exp(-((phase / 0.02) ** 2)) + 0.2 * np.exp(-(((phase - 0.3) / 0.06) ** 2))
        windows[at] = np.where(t < 1.2 * rr_s * t.size / 187, beat + rng.normal(0, 0.01, t.size), 0)
    return windows


def _by_matplotlib(windows: NDArray[np.float32]) -> list[bytes]:
    """Draw one window after the other as the notebook does: transform, figure, imshow, savefig."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    pngs = []
    for window in windows.astype(np.float64):
        frames = [np.abs(np.fft.rfft(window[start : start + 125])) for start in range(0, window.size - 124, 64)]
        with np.errstate(divide="ignore"):
            level_db = 20 * np.log10(np.transpose(frames))
        figure = plt.figure()
        plt.imshow(level_db, cmap="magma", origin="lower", aspect="auto")
        plt.axis("off")
        file = io.BytesIO()
        figure.savefig(file, format="png", bbox_inches="tight", pad_inches=0, dpi=100)
        plt.close(figure)
        pngs.append(file.getvalue())
    return pngs


def _by_us(windows: NDArray[np.float32]) -> list[bytes]:
    """Draw a whole batch, as the recipe ``notebook`` does."""
    from ecg_tasks.signals.imshow import encode_imshow
    from ecg_tasks.signals.rendering import NOTEBOOK_STFT
    from ecg_tasks.signals.stft import stft_magnitude_db

    return encode_imshow(stft_magnitude_db(windows.astype(np.float64), params=NOTEBOOK_STFT))


def _side(draw: Callable[[NDArray[np.float32]], list[bytes]], windows: NDArray[np.float32]) -> dict[str, Any]:
    """Draw the windows, after two for warming up; the best of three times."""
    draw(windows[:2])
    times = []
    for _ in range(3):
        start = time.process_time()
        pngs = draw(windows)
        times.append(time.process_time() - start)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ms": 1000 * min(times) / len(windows), "peak_mib": peak_mib, "pixels": _pixel_digest(pngs[:N_COMPARED])}


def _pixel_digest(pngs: Sequence[bytes]) -> str:
    """SHA-256 over the RGB pixels of all pictures as OpenCV reads them."""
    import cv2

    digest = hashlib.sha256()
    for png in pngs:
        pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR_RGB)
        if pixels is None:
            raise RuntimeError("a picture cannot be read")
        digest.update(repr(pixels.shape).encode() + pixels.tobytes())
    return digest.hexdigest()


def _recipes() -> dict[str, Any]:
    """Seconds of processor time for a shard of each recipe: 4,096 heartbeat rows, 100 recordings of 12 leads at 500 Hz."""
    from ecg_tasks.signals.recipes import RECIPES
    from ecg_tasks.signals.record import STANDARD_LEADS, Record

    rows = [
        Record(samples=window[None], fs=125.0, leads=("II",), unit="relative", name=f"row {at}")
        for at, window in enumerate(_windows("one frame", 4096))
    ]
    rng = np.random.default_rng(SEED)
    recordings = [
        Record(samples=rng.normal(0, 0.3, (12, 5000)).astype(np.float32), fs=500.0, leads=STANDARD_LEADS, unit="mV", name=f"recording {at}")
        for at in range(100)
    ]
    results = {}
    for recipe in RECIPES.values():
        records = rows if recipe.accepts(rows[0]) else recordings
        recipe.render(records[:2])
        times = []
        for _ in range(3):
            start = time.process_time()
            rendered = recipe.render(records)
            times.append(time.process_time() - start)
        results[recipe.name] = {"seconds": min(times), "n_windows": len(rendered)}
    return results


def print_table(results: dict[str, Any]) -> None:
    """Print the figures of ``measure`` for a reader."""
    print(f"One picture, samples to PNG, one core; matplotlib {results['matplotlib']}; pixels equal")
    print(f"{'':<12}{'this project':>14}{'matplotlib':>14}{'times faster':>14}{'peak memory':>24}")
    for case, figures in results["cases"].items():
        print(
            f"{case:<12}{figures['ours_ms']:>11.3f} ms{figures['matplotlib_ms']:>11.1f} ms{figures['times_faster']:>14.0f}"
            f"{figures['ours_peak_mib']:>11.0f} / {figures['matplotlib_peak_mib']:>4.0f} MiB"
        )
    for recipe, figures in results["recipes"].items():
        print(f"{recipe:<12} a shard of {figures['n_windows']} windows in {figures['seconds']:.2f} s")


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--side", choices=["ours", "matplotlib", "recipes"], help="run one side only and print its figures as JSON")
    parser.add_argument("--case", choices=[*CASES, ""], default="")
    arguments = parser.parse_args()
    match arguments.side:
        case None:
            print_table(measure())
        case "ours":
            print(json.dumps(_side(_by_us, _windows(arguments.case, N_DRAWN[arguments.case]))))
        case "matplotlib":
            print(json.dumps(_side(_by_matplotlib, _windows(arguments.case, N_COMPARED))))
        case "recipes":
            print(json.dumps(_recipes()))


if __name__ == "__main__":
    _main()
