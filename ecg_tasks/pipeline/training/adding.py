"""Here: a network that somebody else trained: handed in, and made ready to become a version as one of our own does.

Not here: its file (``learning.added_file``), or what follows: figures (``candidate``), verdict (``gating``), service (``promoting``).
"""

import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import version as installed

import msgspec

from ecg_tasks.archive import audit, keys
from ecg_tasks.archive.documents import Code, TrainingJob
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import ConfigurationError, MissingObjectError, ModelRefusedError
from ecg_tasks.learning.added import DESCRIPTION, Description
from ecg_tasks.learning.added_process import LoadedNetwork, load_apart
from ecg_tasks.learning.runtimes import ONNX
from ecg_tasks.learning.version import SPEC, Added, ModelSpec
from ecg_tasks.names import DagId
from ecg_tasks.pipeline.training.candidate import Network, golden_pictures, uncalibrated
from ecg_tasks.signals.recipes import Recipe, get_recipe

_DAG = DagId.RETRAIN_MODEL
_FILE = "network"


def load(given: bytes, description: bytes) -> tuple[Description, LoadedNetwork]:
    """Look at a network's file and its description, and load it in a process of its own.

    Raises
    ------
    ModelRefusedError
        If it must not be loaded, cannot be, or is not what its description says; the message says why.
    """
    stated = Description.from_toml(description)
    recipe = _recipe_of(stated)
    return stated, load_apart(given, description, golden_pictures(recipe))


def hand_in(store: ObjectStore, given: bytes, description: bytes) -> str:
    """Put a network's file and its description where a run of ``retrain_model`` finds them; returns the digest that it knows them by."""
    digest = _digest(given, description)
    store.put(_key(digest, _FILE), given)
    store.put(_key(digest, DESCRIPTION), description)
    return digest


def stated_of(store: ObjectStore, digest: str) -> Description:
    """Return the description of a network that was handed in."""
    return Description.from_toml(_handed_in(store, digest)[1])


def version_name(work: str, *, dataset_id: str, recipe: Recipe, calibrated_on: tuple[str, ...]) -> str:
    """Return the name of the version to be, made of the network, its description, the data and the recipe."""
    named = msgspec.json.encode([work, dataset_id, recipe.key, calibrated_on])
    return hashlib.sha256(named).hexdigest()[:12]


def network_of(store: ObjectStore, work: TrainingJob, *, synthetic: bool) -> tuple[ModelSpec, Network]:
    """Load the network of a job, after all checks, and return what is known of its version before the calibration."""
    given, description = _handed_in(store, work.added)
    stated, loaded = load(given, description)
    recipe = get_recipe(work.recipe)
    if stated.recipe != recipe.name:
        raise ConfigurationError(f"{stated.name} reads pictures of {stated.recipe}, and this run is about {recipe.name}")
    runtime = "onnxruntime" if loaded.file == ONNX else "ai-edge-litert"
    spec = uncalibrated(
        work=work,
        recipe=recipe,
        synthetic=synthetic,
        network=stated.name,
        n_weights=loaded.n_weights,
        training={"code": msgspec.to_builtins(Code.running())},
        environment={"python": platform.python_version(), "runtime": f"{runtime} {installed(runtime)}"},
        added=Added(description=stated, file=loaded.file, given_as=loaded.given_as.value, sha256=hashlib.sha256(given).hexdigest()),
    )
    return spec, Network(files=loaded.files, golden=golden_pictures(recipe), scores=loaded.scores)


def log(store: ObjectStore, work: TrainingJob) -> None:
    """Log that the version of a job was made of somebody else's network, and by whose word."""
    stated = stated_of(store, work.added)
    detail = {"run": work.run, "name": stated.name, "source": stated.source, "licence": stated.licence, "added": work.added}
    subject = f"{work.recipe}/{work.version}"
    audit.append(store, who=work.who or f"{_DAG}/{work.run}", action=audit.Action.ADD, subject=subject, detail=detail)


def note_on(files: Mapping[str, bytes]) -> str:
    """Return what must be known to who reads the verdict on a version of somebody else's network; nothing for one of our own."""
    added = ModelSpec.from_json(files[SPEC]).added
    if added is None:
        return ""
    stated = added.description
    if not stated.learnt_from:
        return "It is not stated what this network learnt from: it may have seen these test patients."
    return f"This network learnt from {', '.join(stated.learnt_from)}: if these test patients are among them, its figures are too good."


def _recipe_of(stated: Description) -> Recipe:
    """Return the recipe whose pictures a network reads; `ModelRefusedError` where no such pictures are made."""
    try:
        recipe = get_recipe(stated.recipe)
    except ConfigurationError as error:
        raise ModelRefusedError(f"the network reads {stated.reads}: {error}") from None
    if stated.reads != recipe.key:
        raise ModelRefusedError(f"the network reads pictures {stated.reads}; {recipe.key} are made now")
    return recipe


def _handed_in(store: ObjectStore, digest: str) -> tuple[bytes, bytes]:
    try:
        given, description = store.get(_key(digest, _FILE)), store.get(_key(digest, DESCRIPTION))
    except MissingObjectError:
        raise ConfigurationError(f"no network {digest} was handed in, or it was too long ago: add it again") from None
    if _digest(given, description) != digest:
        raise ModelRefusedError(f"the network {digest} is not what was handed in: its digest is {_digest(given, description)}")
    return given, description


def _digest(given: bytes, description: bytes) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in (given, description))).hexdigest()


def _key(digest: str, name: str) -> str:
    return keys.staging(_DAG, f"added-{digest}", name)
