"""Here: what a task imports from the fork of a warm worker to its first line of work. Not here: how long that takes (docs/scaling.md)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.untraced import untraced

ROOT = Path(__file__).parents[2]
DAG_FILES = sorted(path.stem for path in (ROOT / "dags").glob("*.py") if not path.stem.startswith("ecg_"))
BEFORE_IT_IS_NEEDED = (
    "ai_edge_litert",
    "apprise",
    "cv2",
    "edfio",
    "fastapi",
    "h5py",
    "keras",
    "markdown_it",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "pandas",
    "scipy.stats",
    "tensorflow",
    "wfdb",
    "xlsxwriter",
)
"""What no step may import with its module: half a second and some ten megabytes each, for the few steps that use it."""
START = """
import importlib, json, sys
from deploy.embedded.executor import LIBRARIES

for name in LIBRARIES:
    importlib.import_module(name)
warm = set(sys.modules)
from airflow.dag_processing.dagbag import BundleDagBag

started = {}
for dag_id in sys.argv[2:]:
    bag = BundleDagBag(dag_folder=f"{sys.argv[1]}/{dag_id}.py", bundle_path=sys.argv[1], bundle_name="dags-folder")
    assert not bag.import_errors, bag.import_errors
    importlib.import_module(f"ecg_tasks.pipeline.{dag_id}")
    started[dag_id] = sorted(set(sys.modules) - warm)
print(json.dumps(started))
"""


@pytest.fixture(scope="module")
def started():
    """The modules that are new in a warm process once each DAG was read and its steps imported, one DAG after the other."""
    paths = {"PYTHONPATH": f"{ROOT}:{ROOT / 'dags'}:{ROOT / 'plugins'}", "ECG_BUCKET": "b"}
    done = subprocess.run(
        [sys.executable, "-c", START, str(ROOT / "dags"), *DAG_FILES],
        env=untraced() | paths,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("heavy", BEFORE_IT_IS_NEEDED)
def test_nothing_heavy_is_imported_before_it_is_needed(started, heavy):
    """No step's module brings a library that only some steps use, not even in a warm worker."""
    assert [dag_id for dag_id, new in started.items() if any(name == heavy or name.startswith(f"{heavy}.") for name in new)] == []


def test_a_warm_worker_has_what_every_task_imports(started):
    """Beside our own modules a task imports a few small ones: Airflow, boto3, NumPy and Arrow are there before its fork."""
    new = set().union(*started.values())
    ours = {"ecg_tasks", "deploy", *DAG_FILES, *(path.stem for folder in ("dags", "plugins") for path in (ROOT / folder).glob("*.py"))}
    others = sorted(name for name in new if name.split(".")[0] not in ours and not name.startswith("unusual_prefix_"))
    assert len(others) < 60, others
    assert not [name for name in others if name.split(".")[0] in {"boto3", "botocore", "numpy", "pyarrow", "scipy", "sqlalchemy"}], others
