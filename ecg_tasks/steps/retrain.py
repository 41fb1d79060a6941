"""Here: the tasks of the DAG ``retrain_model``: labels and pictures to a judged version. Not here: what is in it (``candidate``)."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ecg_tasks.evaluation import gate as gate_policy
from ecg_tasks.evaluation.splits import Side
from ecg_tasks.learning.dataset import TrainingSet
from ecg_tasks.learning.serving import Classifier
from ecg_tasks.signals.recipes import Recipe, get_recipe
from ecg_tasks.steps import candidate, dataset
from ecg_tasks.steps.workspace import find_json, get_json, now, open_store, put_json
from ecg_tasks.storage import keys, registry
from ecg_tasks.storage.object_store import ObjectStore

DAG = "retrain_model"


def assemble_dataset(run_id: str, recipe: str, epochs: int, seed: int, credit: str = "") -> str:
    """Choose the labelled records and their sides, and name the version to be; returns the key of the job.

    ``credit`` names the collections trained on, one a line, for the model's card.

    The version's name is made of the data, the recipe and the parameters: the same again is the same version.
    """
    from ecg_tasks.learning.parameters import training_params

    store = open_store()
    run = keys.run_key(run_id)
    job_key = keys.staging(DAG, run, "job.json")
    if find_json(store, job_key) is None:
        chosen = get_recipe(recipe)
        dataset_id, _ = dataset.assemble(store, chosen)
        params = training_params(recipe, seed=seed, epochs=epochs)
        named = json.dumps([dataset_id, chosen.key, chosen.network, asdict(params), candidate.CALIBRATED_ON], sort_keys=True)
        version = hashlib.sha256(named.encode()).hexdigest()[:12]
        job = {
            "run": run,
            "recipe": recipe,
            "dataset_id": dataset_id,
            "epochs": epochs,
            "seed": seed,
            "credits": [line.strip() for line in credit.splitlines() if line.strip()],
            "version": version,
        }
        put_json(store, job_key, job)
    return job_key


def train(job: str) -> str:
    """Train the version's network, going on from the last checkpoint if an earlier try left one; returns the job's key."""
    from ecg_tasks.learning.parameters import training_params
    from ecg_tasks.learning.training import train as train_network

    store = open_store()
    work = get_json(store, job)
    recipe = get_recipe(work["recipe"])
    trained_key = _trained_key(work)
    if registry.has_version(store, recipe.name, work["version"]) or store.exists(trained_key):
        return job
    rows = dataset.load_rows(store, work["dataset_id"])
    params = training_params(recipe.name, seed=work["seed"], epochs=work["epochs"])
    trained = train_network(
        _training_set(dataset.load_pictures(store, recipe, _on(rows, Side.TRAIN))),
        _training_set(dataset.load_pictures(store, recipe, _on(rows, Side.VALIDATION))),
        network=recipe.network,
        params=params,
        checkpoints=_StoredCheckpoints(store, recipe.name, work["version"]),
        log=_log,
    )
    training = {
        "params": asdict(params),
        "epochs": [asdict(epoch) for epoch in trained.history],
        "best_epoch": trained.best_epoch,
        "n_weights": trained.n_weights,
    }
    put_json(store, _training_key(work), training)
    store.put(trained_key, trained.keras)
    return job


def evaluate(job: str) -> str:
    """Calibrate on the calibration patients, look at the test patients once, and write the version; returns the job's key."""
    store = open_store()
    work = get_json(store, job)
    recipe = get_recipe(work["recipe"])
    if registry.has_version(store, recipe.name, work["version"]):
        return job
    rows = dataset.load_rows(store, work["dataset_id"])
    spec = candidate.provisional_spec(
        work=work, recipe=recipe, training=get_json(store, _training_key(work)), synthetic=any(row.synthetic for row in rows)
    )
    files = candidate.build_version(
        spec=spec,
        keras=store.get(_trained_key(work)),
        recipe=recipe,
        calibration=dataset.load_pictures(store, recipe, _on(rows, *candidate.CALIBRATED_ON)),
        test=dataset.load_pictures(store, recipe, _on(rows, Side.TEST)),
        rows=rows,
        manifest=dataset.load_manifest(store, work["dataset_id"]),
    )
    Classifier.from_files(files)
    registry.write_version(store, recipe.name, work["version"], files)
    return job


def gate(job: str) -> str:
    """Judge the version against the champion on the same test patients; returns the verdict's key."""
    store = open_store()
    work = get_json(store, job)
    recipe = get_recipe(work["recipe"])
    verdict_key = keys.model_file(recipe.name, work["version"], registry.VERDICT)
    champion = registry.read_champion(store, recipe.name)
    verdict = find_json(store, verdict_key)
    judged_against = verdict and verdict["champion"]
    if verdict is None or (champion is not None and champion.version not in {judged_against, work["version"]}):
        verdict = _judge(store, recipe, work, champion)
        put_json(store, verdict_key, verdict)
    _write_manifest(store, work, verdict, serving=champion.version if champion else None)
    return verdict_key


def is_promotable(decision: str) -> bool:
    """Whether the verdict under this key says that the version may serve."""
    return bool(get_json(open_store(), decision)["promote"])


def promote(job: str) -> str:
    """Let the version serve from now on; returns the key of the champion's note."""
    store = open_store()
    work = get_json(store, job)
    verdict = get_json(store, keys.model_file(work["recipe"], work["version"], registry.VERDICT))
    registry.write_champion(
        store, recipe=work["recipe"], version=work["version"], since=now(), who=f"{DAG}/{work['run']}", why=verdict["reason"]
    )
    _write_manifest(store, work, verdict, serving=work["version"])
    return keys.champion(work["recipe"])


class _StoredCheckpoints:
    """Checkpoints of one version in the bucket; only the latest is kept."""

    def __init__(self, store: ObjectStore, recipe: str, version: str) -> None:
        self._store = store
        self._recipe = recipe
        self._version = version

    def load(self) -> tuple[int, bytes] | None:
        found = self._found()
        return (int(keys.stem(found[-1])), self._store.get(found[-1])) if found else None

    def save(self, epoch: int, data: bytes) -> None:
        before = self._found()
        self._store.put(keys.checkpoint(self._recipe, self._version, f"epochs/{epoch:05d}.npz"), data)
        self._store.delete_many(before)

    def _found(self) -> list[str]:
        return self._store.list_keys(keys.checkpoint(self._recipe, self._version, "epochs/"))


def _judge(store: ObjectStore, recipe: Recipe, work: dict[str, Any], champion: registry.Champion | None) -> dict[str, Any]:
    """The gate's verdict, on test records whose patients the champion was not trained on either."""
    challenger = Classifier.from_files(registry.read_version(store, recipe.name, work["version"]))
    rows = _on(dataset.load_rows(store, work["dataset_id"]), Side.TEST)
    incumbent = None
    if champion is not None and champion.version != work["version"]:
        files = registry.read_version(store, recipe.name, champion.version)
        incumbent = Classifier.from_files(files)
        seen = candidate.TrainedOn.of_version(files)
        if incumbent.spec.recipe_digest == recipe.digest:
            rows = [row for row in rows if not seen.knows(row.record_id, row.bucket)]
        else:
            incumbent = None  # it reads pictures that are no longer made, and cannot serve: the candidate is judged as a first one
    pictures = dataset.load_pictures(store, recipe, rows)
    verdict = gate_policy.judge(
        pictures.labels,
        candidate.record_scores(challenger, pictures),
        None if incumbent is None else candidate.record_scores(incumbent, pictures),
        pictures.groups,
        seed=candidate.BOOTSTRAP_SEED,
    )
    return {
        "promote": verdict.promote,
        "kind": verdict.kind.value,
        "reason": verdict.reason,
        "figures": {name: asdict(interval) for name, interval in verdict.figures.items()},
        "champion": None if champion is None else champion.version,
        "dataset_id": work["dataset_id"],
        "judged": now(),
    }


def _write_manifest(store: ObjectStore, work: dict[str, Any], verdict: dict[str, Any], *, serving: str | None) -> None:
    manifest = {
        "dag": DAG,
        "run": work["run"],
        "account": dataset.load_manifest(store, work["dataset_id"])["counts"],
        "recipe": work["recipe"],
        "version": work["version"],
        "dataset_id": work["dataset_id"],
        "verdict": verdict,
        "serving": serving,
    }
    put_json(store, keys.manifest(DAG, work["run"]), manifest)


def _training_set(pictures: dataset.Pictures) -> TrainingSet:
    return TrainingSet(images=pictures.images, labels=pictures.labels[pictures.record], records=pictures.record)


def _on(rows: Sequence[dataset.Row], *sides: Side) -> list[dataset.Row]:
    return [row for row in rows if row.side in sides]


def _trained_key(work: dict[str, Any]) -> str:
    return keys.checkpoint(work["recipe"], work["version"], "trained.keras")


def _training_key(work: dict[str, Any]) -> str:
    return keys.checkpoint(work["recipe"], work["version"], "training.json")


def _log(line: str) -> None:
    logging.getLogger(__name__).info(line)
