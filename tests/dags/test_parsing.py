"""The DAG files are read again and again, so they must be quick to read and need nothing heavy."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.untraced import untraced

ROOT = Path(__file__).parents[2]
DAG_FILES = sorted(path.stem for path in (ROOT / "dags").glob("*.py"))
PARSE_ALL = """
import importlib.abc, json, sys
import airflow.sdk
import airflow.triggers.base
before = set(sys.modules)

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"numpy", "pandas", "pyarrow", "boto3", "scipy", "cv2", "matplotlib", "wfdb", "tensorflow", "keras"}:
            raise ImportError(f"{name} is not allowed while a DAG file is read")

sys.meta_path.insert(0, Refuse())
sys.path[:0] = sys.argv[1:3]
for name in sys.argv[3:]:
    __import__(name)
steps = [name for name in sys.modules if name.startswith(("ecg_tasks.pipeline", "ecg_tasks.archive"))]
print(json.dumps({"modules": sorted(set(sys.modules) - before), "steps": steps}))
"""


@pytest.fixture(scope="module")
def parsed():
    """What a fresh process says that reads every file in dags/ with the heavy libraries refused."""
    command = [sys.executable, "-c", PARSE_ALL, str(ROOT / "dags"), str(ROOT / "plugins"), *DAG_FILES]
    done = subprocess.run(command, env=untraced() | {"ECG_BUCKET": "b"}, capture_output=True, text=True, cwd=ROOT, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_no_heavy_import(parsed):
    """No DAG file imports a step, and so none needs NumPy, boto3 or TensorFlow before its tasks run."""
    assert parsed["steps"] == []


def test_little_else_is_imported(parsed):
    """What reading every DAG file imports beyond Airflow itself."""
    assert len(parsed["modules"]) < 150, parsed["modules"]


def test_reading_twice_gives_the_same(dags):
    """Nothing in a DAG depends on the clock or on chance, or every parse would make a new DAG version."""
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.serialization.serialized_objects import DagSerialization

    again = BundleDagBag(dag_folder=str(ROOT / "dags"), bundle_path=str(ROOT / "dags"), bundle_name="dags-folder").dags
    assert sorted(again) == sorted(dags)
    for dag_id, dag in dags.items():
        assert DagSerialization.to_json(dag) == DagSerialization.to_json(again[dag_id])
