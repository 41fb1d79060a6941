"""Here: whether a version works in a process that has nothing else in it. Not here: serving it (``learning.serving``).

A version is written by a process that has Keras, the weights and the golden pictures in memory; it will serve in one that has only
its files.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ecg_tasks.errors import ModelRefusedError

_ROOT = Path(__file__).parents[3]
_LOOKED_AT_S = 300


def fault_of(files: Mapping[str, bytes]) -> str:
    """Load the version in a fresh process, without TensorFlow, and reproduce its golden scores; returns what is wrong, or nothing."""
    with tempfile.TemporaryDirectory(prefix="ecg-version-") as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        done = subprocess.run(  # noqa: S603 - this module and a folder of our own
            [sys.executable, "-m", __name__, folder],
            capture_output=True,
            text=True,
            check=False,
            timeout=_LOOKED_AT_S,
            env=os.environ | {"PYTHONPATH": str(_ROOT)},
        )
    if done.returncode == 0:
        return ""
    last = done.stderr.strip().splitlines()[-1:] or [f"the process ended with {done.returncode}"]
    return last[0]


def _load(folder: Path) -> str:
    from ecg_tasks.learning.serving import Classifier

    try:
        Classifier.from_files({path.name: path.read_bytes() for path in folder.iterdir()})
    except ModelRefusedError as error:
        return str(error)
    return "serving imports TensorFlow" if "tensorflow" in sys.modules else ""


if __name__ == "__main__":
    sys.exit(_load(Path(sys.argv[1])) or None)
