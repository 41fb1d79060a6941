"""Here: model versions in the bucket, and which of them serves. Not here: what a version holds, or who may serve."""

import hashlib
import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ecg_tasks.archive import keys
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import DamagedStoreError, MissingObjectError

SUMS = "SHA256SUMS"
VERDICT = keys.VERDICT


PROMOTED = "promoted"
ROLLED_BACK = "rolled back"
"""How a version came to serve. The values are stored."""
DAMAGED = "is damaged and cannot serve"
"""How the reason ends why another version took over from a damaged one. It is stored."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """That a version serves, or served: since when, by whose word and reason; ``action`` is ``promoted`` or ``rolled back``."""

    version: str
    since: str
    who: str
    why: str
    action: str = PROMOTED


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """That a version was not wanted, or not approved in time."""

    version: str
    when: str
    who: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Champion:
    """Which version serves a recipe, as a `Service` tells it, and all that was decided before; nothing is ever taken out.

    Programs refuse fields that they do not know, for they would lose them when they write: so none is added.

    Parameters
    ----------
    version : that serves; empty where none does and a candidate was rejected
    history : what served before, the newest first
    rejections : the newest first
    """

    recipe: str
    version: str
    since: str
    who: str
    why: str
    action: str = PROMOTED
    history: tuple[Service, ...] = ()
    rejections: tuple[Rejection, ...] = ()

    @property
    def stands_in(self) -> bool:
        """Whether it serves because the files of the champion before it were damaged."""
        return self.why.endswith(DAMAGED)

    @property
    def services(self) -> tuple[Service, ...]:
        """What serves, if anything does, and what served before, the newest first."""
        now = Service(version=self.version, since=self.since, who=self.who, why=self.why, action=self.action)
        return (now, *self.history) if self.version else self.history

    def rejection(self, version: str) -> Rejection | None:
        """Return the latest rejection of a version, or None; it stands even if the version served later, against it."""
        return next((one for one in self.rejections if one.version == version), None)


def read_champion(store: ObjectStore, recipe: str) -> Champion | None:
    """Return the version that serves, or None."""
    decided = read_decisions(store, recipe)
    return decided if decided is not None and decided.version else None


def read_decisions(store: ObjectStore, recipe: str) -> Champion | None:
    """Return all that was decided on a recipe's versions, also where none serves; None if nothing was."""
    key = keys.champion(recipe)
    try:
        return _from_json(store.get(key), name=key)
    except MissingObjectError:
        return None


def write_champion(
    store: ObjectStore, *, recipe: str, version: str, since: str, who: str, why: str, action: str = PROMOTED, again: bool = False
) -> Champion:
    """Let a version serve from now on; naming the one that serves already changes nothing, unless it begins ``again``."""
    before = read_decisions(store, recipe)
    if before is None:
        before = Champion(recipe=recipe, version="", since="", who="", why="")
    if before.version == version and not again:
        return before
    return _write(store, _succeeded(before, version=version, since=since, who=who, why=why, action=action))


def roll_back(store: ObjectStore, before: Champion, *, to: str, when: str, who: str, why: str) -> Champion:
    """Let an earlier version serve again, and reject the one that served, in one write."""
    rejected = _rejected(before, version=before.version, when=when, who=who, why=why)
    return _write(store, _succeeded(rejected, version=to, since=when, who=who, why=why, action=ROLLED_BACK))


def reject(store: ObjectStore, *, recipe: str, version: str, when: str, who: str, why: str) -> Champion:
    """Mark a version as not wanted; one that is rejected already keeps its first reason."""
    before = read_decisions(store, recipe) or Champion(recipe=recipe, version="", since="", who="", why="")
    if before.rejection(version) is not None:
        return before
    return _write(store, _rejected(before, version=version, when=when, who=who, why=why))


def _succeeded(before: Champion, *, version: str, since: str, who: str, why: str, action: str) -> Champion:
    return replace(before, version=version, since=since, who=who, why=why, action=action, history=before.services)


def _rejected(before: Champion, *, version: str, when: str, who: str, why: str) -> Champion:
    return replace(before, rejections=(Rejection(version=version, when=when, who=who, why=why), *before.rejections))


def _write(store: ObjectStore, champion: Champion) -> Champion:
    store.put(keys.champion(champion.recipe), json.dumps(asdict(champion), indent=1).encode(), content_type="application/json")
    return champion


def _from_json(data: bytes, *, name: str) -> Champion:
    try:
        stored = json.loads(data)
        history = tuple(Service(**one) for one in stored.pop("history", ()))
        rejections = tuple(Rejection(**one) for one in stored.pop("rejections", ()))
        return Champion(**stored, history=history, rejections=rejections)
    except (ValueError, TypeError, AttributeError) as error:
        raise DamagedStoreError(f"{name} is not a champion: {error}") from None


def versions(store: ObjectStore, recipe: str) -> list[str]:
    """Return every whole version of a recipe, by name."""
    found = (key.split("/") for key in store.list_keys(keys.models_of(recipe)))
    return sorted({parts[2] for parts in found if parts[3:] == [SUMS]})


def has_version(store: ObjectStore, recipe: str, version: str) -> bool:
    """Return whether all files of a version are there: its checksums are written last."""
    return store.exists(keys.model_file(recipe, version, SUMS))


def read_version(store: ObjectStore, recipe: str, version: str, *, only: Collection[str] = ()) -> dict[str, bytes]:
    """Return every file that the version's checksums name, or ``only`` these of them, and the checksums."""
    sums = store.get(keys.model_file(recipe, version, SUMS))
    names = [name for name in _sums(sums) if not only or name in only]
    found = store.get_many(keys.model_file(recipe, version, name) for name in names)
    return dict(zip(names, found, strict=True)) | {SUMS: sums}


def changed_files(files: Mapping[str, bytes]) -> list[str]:
    """Return the names of a version's files that have another SHA-256 than its checksums say."""
    return [name for name, sha256 in _sums(files[SUMS]).items() if hashlib.sha256(files[name]).hexdigest() != sha256]


def digest(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of a version: of its checksums, and so of every file."""
    return hashlib.sha256(files[SUMS]).hexdigest()


def write_version(store: ObjectStore, recipe: str, version: str, files: Mapping[str, bytes], *, anew: bool = False) -> None:
    """Write a version, its checksums last. Until these are there it is none, and what a killed task left of it is written again.

    Parameters
    ----------
    anew : also over what is there: files of it are damaged
    """
    whole = has_version(store, recipe, version)
    for name in sorted(files, key=lambda name: (name == SUMS, name)):
        write = store.put if not anew and (whole or name == SUMS) else store.replace
        write(keys.model_file(recipe, version, name), files[name])


def shipped_champions(folder: Path) -> list[Champion]:
    """Return the champions in a folder laid out as ``models/`` in the bucket."""
    return [_from_json(path.read_bytes(), name=str(path)) for path in sorted(folder.glob("*/champion.json"))]


def read_shipped(folder: Path, champion: Champion) -> dict[str, bytes]:
    """Return every file of a champion's version in such a folder."""
    return read_folder(folder / champion.recipe / champion.version)


def read_folder(version: Path) -> dict[str, bytes]:
    """Return every file of a version that lies in a folder."""
    sums = (version / SUMS).read_bytes()
    return {name: (version / name).read_bytes() for name in _sums(sums)} | {SUMS: sums}


def write_shipped(folder: Path, champion: Champion, files: Mapping[str, bytes]) -> Path:
    """Write a champion's version into such a folder, in place of the one that was there; returns the version's folder."""
    version = folder / champion.recipe / champion.version
    shutil.rmtree(version.parent, ignore_errors=True)
    version.mkdir(parents=True)
    for name, data in files.items():
        (version / name).write_bytes(data)
    alone = replace(champion, history=(), rejections=())
    (version.parent / "champion.json").write_text(json.dumps(asdict(alone), indent=1) + "\n")
    return version


def _sums(sums: bytes) -> dict[str, str]:
    """Return the SHA-256 of every file that checksums name."""
    try:
        lines = [line.split(maxsplit=1) for line in sums.decode().splitlines() if line]
        return {name.lstrip("*"): sha256 for sha256, name in lines}
    except ValueError:
        raise DamagedStoreError(f"{SUMS} has a line that is not a checksum") from None
