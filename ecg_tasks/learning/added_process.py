"""Here: loading somebody else's network for the first time, in a process of its own. Not here: what is looked at before (``added_file``).

What a native library makes of hostile bytes happens where there is no bucket, no credential and no other work: the process gets a folder,
little memory and some minutes, and walls where the kernel has them: no network, no other process, no other file to write to. It leaves the
network in the format that serves it, and what the network said of the golden pictures.
"""

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg_tasks import sandbox
from ecg_tasks.errors import ModelRefusedError
from ecg_tasks.learning import added_file, runtimes
from ecg_tasks.learning.added import DESCRIPTION, Adapter, Description
from ecg_tasks.learning.added_file import Format
from ecg_tasks.learning.runtimes import LITERT, ONNX

MAX_SECONDS = 600
MAX_MEMORY_BYTES = 16 * 2**30
"""Of addresses: TensorFlow, which converts Keras's files, takes some for itself."""
SMALLEST_SPREAD = 1e-6
"""Scores of the golden pictures that differ by less are all the same."""
_GIVEN, _PICTURES, _SCORES, _FOUND, _REFUSED = "given", "pictures.npy", "scores.npy", "found.json", "refused.txt"
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedNetwork:
    """What came of the first loading.

    Parameters
    ----------
    files : name to content: the network in the format that serves it, and Keras's own where it came as that
    file : the name of the one that serves
    given_as : the format that it came in
    scores : ndarray, float32, shape (n, n_outputs), of the golden pictures, by the runtime that the file is made for
    n_weights : numbers in it
    """

    files: Mapping[str, bytes]
    file: str
    given_as: Format
    scores: NDArray[np.float32]
    n_weights: int


def load_apart(given: bytes, description: bytes, images: NDArray[np.uint8]) -> LoadedNetwork:
    """Load a network in a process of its own, and let it score the golden pictures.

    Parameters
    ----------
    given : the file
    description : as TOML
    images : ndarray, shape (n, height, width, channels), uint8, golden pictures of the recipe

    Raises
    ------
    ModelRefusedError
        If the file is not harmless, cannot be loaded, is not what its description says, or its answers are no use.
    """
    given_as = added_file.format_of(given)
    with tempfile.TemporaryDirectory(prefix="ecg-added-") as name:
        folder = Path(name)
        (folder / _GIVEN).write_bytes(given)
        (folder / DESCRIPTION).write_bytes(description)
        np.save(folder / _PICTURES, images, allow_pickle=False)
        _run(folder)
        if (refused := folder / _REFUSED).exists():
            raise ModelRefusedError(refused.read_text())
        found = json.loads((folder / _FOUND).read_text())
        return LoadedNetwork(
            files={file: (folder / file).read_bytes() for file in found["files"]},
            file=found["file"],
            given_as=given_as,
            scores=np.load(folder / _SCORES, allow_pickle=False),
            n_weights=found["n_weights"],
        )


def _run(folder: Path) -> None:
    own = {
        "PYTHONPATH": str(_ROOT),
        "HOME": str(folder),
        "KERAS_HOME": str(folder),
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    try:
        done = subprocess.run(  # noqa: S603 - this module and a folder of our own
            [sys.executable, "-P", "-m", "ecg_tasks.sandbox.within", str(folder), __name__, str(folder)],
            capture_output=True,
            check=False,
            cwd=folder,
            env=sandbox.bare_environment() | own | {"TMPDIR": str(folder), "CUDA_VISIBLE_DEVICES": "-1"},
            timeout=MAX_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ModelRefusedError(f"the network was not loaded and tried within {MAX_SECONDS} s") from None
    if not (folder / _REFUSED).exists() and (done.returncode or not (folder / _FOUND).exists()):
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise ModelRefusedError(f"the network cannot be loaded: {''.join(last)[:300] or f'the process ended with {done.returncode}'}")


def _load(folder: Path) -> None:
    """Do it, here: write the files into the folder, or why it is refused."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    given, images = (folder / _GIVEN).read_bytes(), np.load(folder / _PICTURES, allow_pickle=False)
    stated = Description.from_toml((folder / DESCRIPTION).read_bytes())
    given_as = added_file.format_of(given)
    if given_as is Format.KERAS:
        files, n_weights, scores = _of_keras(given, stated, images)
    else:
        file = LITERT if given_as is Format.LITERT else ONNX
        n_weights = (added_file.check_litert if given_as is Format.LITERT else added_file.check_onnx)(given)
        files, scores = {file: given}, _scores(file, given, stated, images, optimized=False)
    file = next(name for name in files if name in (LITERT, ONNX))
    backwards = _scores(file, files[file], stated, images[::-1])[::-1]
    if fault := fault_of_scores(scores, backwards):
        raise ModelRefusedError(fault)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    np.save(folder / _SCORES, scores, allow_pickle=False)
    (folder / _FOUND).write_text(json.dumps({"files": sorted(files), "file": file, "n_weights": n_weights}))


def _of_keras(given: bytes, stated: Description, images: NDArray[np.uint8]) -> tuple[dict[str, bytes], int, NDArray[np.float32]]:
    """Return the files of a ``.keras`` file, its number of weights, and what Keras itself says of the pictures."""
    from ecg_tasks.learning.export import export_litert
    from ecg_tasks.learning.keras_file import load_network
    from ecg_tasks.learning.version import KERAS

    n_weights = added_file.check_weights(given)
    model = load_network(given)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelRefusedError(f"the network has {len(model.inputs)} inputs and {len(model.outputs)} outputs; one of each is known here")
    try:
        litert = export_litert(given)
    except Exception as error:  # noqa: BLE001 - whatever the converter meets
        raise ModelRefusedError(f"the network cannot be converted to LiteRT: {' '.join(str(error).split())[:300]}") from None
    added_file.check_litert(litert)
    network = runtimes.load(LITERT, litert)
    adapter = Adapter(stated, image_shape=images.shape[1:], shape=network.shape, dtype=network.dtype, n_values=network.n_values)
    answers = [np.asarray(model(adapter.read(image[None]), training=False)).reshape(1, -1) for image in images]
    return {KERAS: given, LITERT: litert}, n_weights, adapter.probabilities(np.concatenate(answers))


def _scores(file: str, network: bytes, stated: Description, images: NDArray[np.uint8], *, optimized: bool = True) -> NDArray[np.float32]:
    """Return what a network says of pictures, one after the other, shape (n, n_outputs)."""
    loaded = runtimes.load(file, network, optimized=optimized)
    adapter = Adapter(stated, image_shape=images.shape[1:], shape=loaded.shape, dtype=loaded.dtype, n_values=loaded.n_values)
    if loaded.batch not in (None, 1):
        raise ModelRefusedError(f"the network reads {loaded.batch} windows at a time, no more and no fewer; one, or any number, is taken")
    loaded.prepare(1, adapter.shape)
    return adapter.probabilities(np.concatenate([loaded(adapter.read(image[None])) for image in images]))


def fault_of_scores(scores: NDArray[np.floating], backwards: NDArray[np.floating]) -> str:
    """Return why a network of these scores of the golden pictures is no use, as a sentence; nothing if it may be.

    Parameters
    ----------
    scores, backwards : ndarray, shape (n, n_outputs): of the runtime that the file is made for, and of the one that serves, which was asked
        in the other direction
    """
    from ecg_tasks.learning.serving import MAX_GOLDEN_DIFFERENCE

    if not ((scores >= 0) & (scores <= 1)).all():  # nan is neither
        return "the network gives no probability for golden pictures; does output.values say what its numbers are?"
    difference = float(np.abs(scores - backwards).max())
    if not difference <= MAX_GOLDEN_DIFFERENCE:
        return f"golden scores differ by {difference:.2g} when the pictures come in another order, or from the runtime that serves"
    if np.ptp(scores[:, 0]) < SMALLEST_SPREAD:
        return "the network says the same of all golden pictures"
    return ""


if __name__ == "__main__":
    _folder = Path(sys.argv[1])
    try:
        _load(_folder)
    except ModelRefusedError as _error:
        (_folder / _REFUSED).write_text(str(_error))
    except Exception as _error:  # noqa: BLE001 - whatever a library makes of the file
        (_folder / _REFUSED).write_text(f"the network cannot be loaded: {' '.join(str(_error).split())[:300] or type(_error).__name__}")
