"""Here: a second model version out of a shipped one, for tests that need two. Not here: training one."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.documents import DatasetManifest, write
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.learning.version import TrainingPatient
from ecg_tasks.signals.recipes import get_recipe
from tests.plain_json import put_json

MODELS = Path(__file__).parents[1] / "models"


def todays_version(recipe: str, version: str, **changes: object) -> dict[str, bytes]:
    """Files of a version for today's pictures with the shipped champion's weights, without its classes, for `registry.write_version`."""
    files = registry.read_shipped(MODELS, shipped(recipe))
    spec = json.loads(files["model.json"]) | {"version": version, "recipe_digest": get_recipe(recipe).digest, "classes": []} | changes
    files["model.json"] = json.dumps({name: value for name, value in spec.items() if value != []}).encode()
    files["metrics.json"] = json.dumps(
        {name: value for name, value in json.loads(files["metrics.json"]).items() if name != "classes"}
    ).encode()
    sums = [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in sorted(files.items()) if name != registry.SUMS]
    return files | {registry.SUMS: "\n".join(sums).encode()}


def shipped(recipe: str) -> registry.Champion:
    """The champion of a recipe that comes with the program."""
    return next(one for one in registry.shipped_champions(MODELS) if one.recipe == recipe)


def evaluated_versions(store: ObjectStore) -> None:
    """Write versions a, b and c of ``heartbeat``, accepted by the gate against a, and d, rejected by it, and data set ds; a serves."""
    write_dataset(store)
    for version in "abcd":
        whole = todays_version("heartbeat", version)
        files = {name: whole[name] for name in ("model.json", "metrics.json")}
        sums = b"".join(b"x  %s\n" % name.encode() for name in files)
        registry.write_version(store, "heartbeat", version, files | {registry.SUMS: sums})
        verdict = {
            "recipe": "heartbeat",
            "promote": version != "d",
            "kind": "rejected" if version == "d" else "better",
            "reason": "because",
        }
        verdict |= {"version": version, "policy": "better", "champion": "a", "champion_since": "t0", "judged": "t1"}
        put_json(store, keys.model_file("heartbeat", version, registry.VERDICT), verdict)
    registry.write_champion(store, recipe="heartbeat", version="a", since="t0", who="gate", why="first")


def patients_with_buckets(patients: Iterable[TrainingPatient]) -> bytes:
    """``training_patients.csv`` as versions had it that told the buckets of their patients, until 2026-11-30."""
    rows = sorted(f"{one.patient},{one.key},{one.public_patient or ''},{one.bucket}\n" for one in set(patients))
    return "".join(["patient,key,public_patient,bucket\n", *rows]).encode()


def write_dataset(store: ObjectStore) -> None:
    """Write the manifest of an empty data set ds."""
    made = DatasetManifest(
        dataset_id="ds", recipe="heartbeat@0", split_unit="patient", shards=(), synthetic_records=0, labelled_by={}, counts={}
    )
    write(store, keys.dataset("ds", "manifest.json"), made)
