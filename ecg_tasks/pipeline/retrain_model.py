"""Here: the tasks of the DAG ``retrain_model`` up to the verdict: from labels and pictures to an evaluated version.

Not here: what is in a version (``candidate``), or what follows from the verdict (``promoting``).
"""

import hashlib
import json
import logging
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive import audit, forgotten, keys, registry
from ecg_tasks.archive.documents import Code, StoredVerdict, Training, TrainingJob, find, read, write
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import open_store
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.evaluation.gate import PromotionPolicy
from ecg_tasks.evaluation.splits import Split
from ecg_tasks.learning.dataset import TrainingSet, rotating_folds
from ecg_tasks.learning.serving import Classifier
from ecg_tasks.pipeline.champions.hand_over import hand_over
from ecg_tasks.pipeline.training import adding, candidate, classes, dataset, gating, promoting
from ecg_tasks.pipeline.training.evaluated import candidates_evaluated
from ecg_tasks.signals.recipes import Recipe, get_recipe

DAG = promoting.DAG


def assemble_dataset(
    run_id: str,
    *,
    recipe: str,
    epochs: int | None,
    seed: int,
    credit: str = "",
    policy: str = "better",
    ensemble_size: int | None = None,
    approval: bool = False,
    added: str = "",
    who: str = "",
) -> str:
    """Choose the labelled records and their splits, and name the version to be; returns the key of the job.

    ``epochs`` and ``ensemble_size`` are None for what the recipe was tuned with. ``credit`` names the collections trained on, one a line,
    for the model's card. ``policy`` is what the gate shall let pass: only a ``better`` version, or a ``refresh`` too. ``approval`` is
    whether a person must approve a version that passes. ``added`` is the digest of a network that somebody else trained and ``who`` handed
    in (``training.adding``): it becomes the version, and nothing is trained.

    The version's name is made of the data, the recipe, the parameters, the built network and Keras's version: the same again is the
    same version, and an edited network is another one.
    """
    from ecg_tasks.learning.networks import network_digest
    from ecg_tasks.learning.parameters import training_params

    store = open_store()
    run = keys.run_key(run_id)
    job_key = promoting.job_key(run_id)
    forgotten.fail_if_under_way(store)
    if find(store, TrainingJob, job_key) is None:
        chosen = get_recipe(recipe)
        if added:
            job = _job_of_added(store, run, chosen, added=added, policy=policy, approval=approval, who=who)
            write(store, job_key, job)
            return job_key
        if not chosen.network:
            raise ConfigurationError(
                f"the recipe {recipe} has no network to be trained: ./ecg models add takes one that somebody else trained"
            )
        dataset_id, rows = dataset.assemble(store, chosen)
        params = training_params(recipe, seed=seed, epochs=epochs, ensemble_size=ensemble_size)
        n_outputs = 1 + len(classes.class_names(rows))
        network = network_digest(chosen.network, chosen.image_shape, ensemble_size=params.ensemble_size, n_outputs=n_outputs)
        named = json.dumps([dataset_id, chosen.key, chosen.network, network, params.as_dict(), candidate.CALIBRATED_ON], sort_keys=True)
        version = hashlib.sha256(named.encode()).hexdigest()[:12]
        job = TrainingJob(
            run=run,
            recipe=recipe,
            dataset_id=dataset_id,
            epochs=params.epochs,
            ensemble_size=params.ensemble_size,
            seed=seed,
            credits=tuple(line.strip() for line in credit.splitlines() if line.strip()),
            version=version,
            policy=PromotionPolicy(policy),
            approval=approval,
        )
        write(store, job_key, job)
    return job_key


def _job_of_added(store: ObjectStore, run: str, recipe: Recipe, *, added: str, policy: str, approval: bool, who: str) -> TrainingJob:
    stated = adding.stated_of(store, added)
    if stated.recipe != recipe.name:
        raise ConfigurationError(f"{stated.name} reads pictures of {stated.recipe}, and this run is about {recipe.name}")
    dataset_id, _ = dataset.assemble(store, recipe)
    return TrainingJob(
        run=run,
        recipe=recipe.name,
        dataset_id=dataset_id,
        epochs=0,
        seed=0,
        credits=(stated.credit,),
        version=adding.version_name(added, dataset_id=dataset_id, recipe=recipe, calibrated_on=candidate.CALIBRATED_ON),
        policy=PromotionPolicy(policy),
        approval=approval,
        added=added,
        who=who,
    )


def train(job: str) -> str:
    """Train the version's network, going on from the last checkpoint if an earlier try left one; returns the job's key."""
    from ecg_tasks.learning.parameters import training_params
    from ecg_tasks.learning.training import train as train_network

    store = open_store()
    work = read(store, TrainingJob, job)
    if work.added:
        return job
    recipe = get_recipe(work.recipe)
    trained_key = _trained_key(work)
    if registry.has_version(store, recipe.name, work.version) or store.exists(trained_key):
        return job
    rows = dataset.load_rows(store, work.dataset_id)
    params = training_params(recipe.name, seed=work.seed, epochs=work.epochs, ensemble_size=work.ensemble_size)
    pictures = dataset.load_pictures(store, recipe, dataset.on_splits(rows, Split.TRAIN, Split.VALIDATION))
    trained = train_network(
        _training_set(pictures, classes.class_names(rows)),
        [fold[pictures.record] for fold in _folds(pictures, ensemble_size=params.ensemble_size)],
        network=recipe.network,
        params=params,
        checkpoints=_StoredCheckpoints(store, recipe.name, work.version),
        log=_log,
    )
    training = Training(
        params=params.as_dict(),
        ensemble_size=len(trained.histories),
        kept_epochs=trained.kept_epochs,
        epochs=tuple({"member": member} | asdict(epoch) for member, history in enumerate(trained.histories, start=1) for epoch in history),
        n_weights=trained.n_weights,
        code=Code.running(),
    )
    write(store, _training_key(work), training)
    store.put(trained_key, trained.keras)
    return job


def evaluate(job: str) -> str:
    """Calibrate on the calibration patients, look at the test patients once, and write the version; returns the job's key."""
    store = open_store()
    work = read(store, TrainingJob, job)
    recipe = get_recipe(work.recipe)
    if registry.has_version(store, recipe.name, work.version):
        if work.added:
            adding.log(store, work)
        return job
    rows = dataset.load_rows(store, work.dataset_id)
    synthetic_rows = any(row.synthetic for row in rows)
    if work.added:
        spec, network = adding.network_of(store, work, synthetic=synthetic_rows)
    else:
        spec = candidate.provisional_spec(
            work=work, recipe=recipe, training=read(store, Training, _training_key(work)), synthetic=synthetic_rows
        )
        network = candidate.trained_network(store.get(_trained_key(work)), recipe)
    files = candidate.build_version(
        store,
        spec=spec,
        network=network,
        recipe=recipe,
        calibration=dataset.load_pictures(store, recipe, dataset.on_splits(rows, *candidate.CALIBRATED_ON)),
        test=dataset.load_pictures(store, recipe, dataset.on_splits(rows, Split.TEST)),
        rows=rows,
        manifest=dataset.load_manifest(store, work.dataset_id),
        candidates_evaluated=candidates_evaluated(
            store, recipe.name, work.version, [row.record_id for row in dataset.on_splits(rows, Split.TEST)]
        ),
    )
    Classifier.from_files(files)
    registry.write_version(store, recipe.name, work.version, files)
    if work.added:
        adding.log(store, work)
    return job


def gate(job: str) -> str:
    """Compare the version with the champion on the same test patients; returns the verdict's key."""
    store = open_store()
    work = read(store, TrainingJob, job)
    recipe = get_recipe(work.recipe)
    verdict_key = keys.model_file(recipe.name, work.version, registry.VERDICT)
    champion = hand_over(store, recipe.name, who=f"{DAG}/{work.run}")
    verdict = find(store, StoredVerdict, verdict_key)
    serves = champion is not None and champion.version == work.version
    if verdict is None or (not serves and not gating.still_holds(verdict, work, champion)):
        verdict = gating.evaluate_candidate(store, recipe, work, champion)
        write(store, verdict_key, verdict)
    if not verdict.promote:
        promoting.log_act(store, work, audit.Action.REJECT, why=verdict.reason)
    promoting.write_result(store, work, verdict)
    return verdict_key


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


def _training_set(pictures: dataset.Pictures, names: tuple[str, ...]) -> TrainingSet:
    return TrainingSet(
        images=pictures.images,
        labels=pictures.labels[pictures.record],
        records=pictures.record,
        class_names=names,
        classes=classes.class_matrix(pictures.rows, names)[pictures.record] if names else None,
    )


def _folds(pictures: dataset.Pictures, *, ensemble_size: int) -> list[NDArray[np.bool_]]:
    """Return which records each member is stopped on: groups stay together, as in the split itself."""
    rows = pictures.rows
    buckets = np.array([row.split_bucket for row in rows])
    held_out = np.array([row.split == Split.VALIDATION for row in rows])
    return rotating_folds(pictures.labels, buckets, ensemble_size=ensemble_size, held_out=held_out)


def _trained_key(work: TrainingJob) -> str:
    return keys.checkpoint(work.recipe, work.version, "trained.keras")


def _training_key(work: TrainingJob) -> str:
    return keys.checkpoint(work.recipe, work.version, "training.json")


def _log(line: str) -> None:
    logging.getLogger(__name__).info(line)
