"""Here: model versions in the bucket, and which of them serves. Not here: what a version holds, or who may serve."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ecg_tasks.storage import keys
from ecg_tasks.storage.object_store import MissingObjectError, ObjectStore

SUMS = "SHA256SUMS"
VERDICT = "verdict.json"


@dataclass(frozen=True, kw_only=True)
class Champion:
    """Which version serves a recipe, since when, who said so, why, and what it replaced (newest first)."""

    recipe: str
    version: str
    since: str
    who: str
    why: str
    history: tuple[dict[str, str], ...] = ()


def read_champion(store: ObjectStore, recipe: str) -> Champion | None:
    """The version that serves, or None."""
    try:
        stored = json.loads(store.get(keys.champion(recipe)))
    except MissingObjectError:
        return None
    return Champion(**{**stored, "history": tuple(stored["history"])})


def write_champion(store: ObjectStore, *, recipe: str, version: str, since: str, who: str, why: str) -> Champion:
    """Let a version serve from now on; naming the one that serves already changes nothing."""
    before = read_champion(store, recipe)
    if before is not None and before.version == version:
        return before
    history: tuple[dict[str, str], ...] = ()
    if before is not None:
        history = ({"version": before.version, "since": before.since, "who": before.who, "why": before.why}, *before.history)
    champion = Champion(recipe=recipe, version=version, since=since, who=who, why=why, history=history)
    store.put(keys.champion(recipe), json.dumps(asdict(champion), indent=1).encode(), content_type="application/json")
    return champion


def has_version(store: ObjectStore, recipe: str, version: str) -> bool:
    """Whether all files of a version are there: its checksums are written last."""
    return store.exists(keys.model_file(recipe, version, SUMS))


def read_version(store: ObjectStore, recipe: str, version: str) -> dict[str, bytes]:
    """Every file that the version's checksums name, and the checksums."""
    sums = store.get(keys.model_file(recipe, version, SUMS))
    names = _named_in(sums)
    found = store.get_many(keys.model_file(recipe, version, name) for name in names)
    return dict(zip(names, found, strict=True)) | {SUMS: sums}


def digest(files: Mapping[str, bytes]) -> str:
    """SHA-256 of a version: of its checksums, and so of every file."""
    return hashlib.sha256(files[SUMS]).hexdigest()


def write_version(store: ObjectStore, recipe: str, version: str, files: Mapping[str, bytes]) -> None:
    """Write a version, its checksums last."""
    for name in sorted(files, key=lambda name: (name == SUMS, name)):
        store.put(keys.model_file(recipe, version, name), files[name])


def shipped_champions(folder: Path) -> list[Champion]:
    """Champions in a folder laid out as ``models/`` in the bucket."""
    found = [json.loads(path.read_bytes()) for path in sorted(folder.glob("*/champion.json"))]
    return [Champion(**{**stored, "history": tuple(stored["history"])}) for stored in found]


def read_shipped(folder: Path, champion: Champion) -> dict[str, bytes]:
    """Every file of a champion's version in such a folder."""
    version = folder / champion.recipe / champion.version
    sums = (version / SUMS).read_bytes()
    return {name: (version / name).read_bytes() for name in _named_in(sums)} | {SUMS: sums}


def write_shipped(folder: Path, champion: Champion, files: Mapping[str, bytes]) -> Path:
    """Write a champion's version into such a folder, in place of the one that was there; returns the version's folder."""
    version = folder / champion.recipe / champion.version
    shutil.rmtree(version.parent, ignore_errors=True)
    version.mkdir(parents=True)
    for name, data in files.items():
        (version / name).write_bytes(data)
    alone = replace(champion, history=())
    (version.parent / "champion.json").write_text(json.dumps(asdict(alone), indent=1) + "\n")
    return version


def _named_in(sums: bytes) -> list[str]:
    return [line.split(maxsplit=1)[1].lstrip("*") for line in sums.decode().splitlines() if line]
