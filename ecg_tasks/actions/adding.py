"""Here: handing in a network that somebody else trained, and the form of the DAG that makes a version of it. Not here: doing that."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import ModelRefusedError
from ecg_tasks.evaluation.gate import PromotionPolicy
from ecg_tasks.learning.added import MAX_DESCRIPTION_BYTES
from ecg_tasks.learning.added_file import MAX_FILE_BYTES
from ecg_tasks.pipeline.training import adding


@dataclass(frozen=True, kw_only=True)
class HandedIn:
    """A network that was looked at and handed in: what it is called, how it was given, and the digest that a run knows it by."""

    name: str
    recipe: str
    given_as: str
    digest: str


def hand_in(store: ObjectStore, file: Path, description: Path) -> HandedIn:
    """Look at a network's file and description, load it in a process of its own, and put it where a run finds it.

    Raises
    ------
    ModelRefusedError
        If it must not be loaded, cannot be, or is not what its description says; nothing was put anywhere then.
    """
    given, stated = _read(file, MAX_FILE_BYTES), _read(description, MAX_DESCRIPTION_BYTES)
    found, loaded = adding.load(given, stated)
    return HandedIn(name=found.name, recipe=found.recipe, given_as=loaded.given_as.value, digest=adding.hand_in(store, given, stated))


def form(handed_in: HandedIn, *, approval: bool) -> dict[str, Any]:
    """Return the form of a run of ``retrain_model`` that makes a version of it: of a network that is not ours, no refresh is known."""
    policy = PromotionPolicy.BETTER.value
    return {"recipe": handed_in.recipe, "added": handed_in.digest, "approval": approval, "policy": policy}


def _read(path: Path, most: int) -> bytes:
    if path.stat().st_size > most:
        raise ModelRefusedError(f"{path.name} has {path.stat().st_size:,} bytes; {most:,} are taken")
    return path.read_bytes()
