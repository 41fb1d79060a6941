"""Here: the tasks of the DAG ``retrain_model`` up to the verdict: from labels and pictures to an evaluated version.

Not here: what is in a version (``candidate``), or what follows from the verdict (``promoting``).
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING

from ecg_tasks.archive import audit, forgotten, keys, registry
from ecg_tasks.archive.documents import Code, StoredVerdict, Training, TrainingJob, find, read, write
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.task_log import counted, logged
from ecg_tasks.archive.workspace import open_store
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.evaluation.gate import PromotionPolicy
from ecg_tasks.evaluation.splits import Split
from ecg_tasks.learning.dataset import TrainingSet
from ecg_tasks.learning.serving import Classifier
from ecg_tasks.pipeline.champions.hand_over import hand_over
from ecg_tasks.pipeline.training import adding, candidate, classes, dataset, gating, promoting, unseen_sites
from ecg_tasks.pipeline.training.evaluated import candidates_evaluated
from ecg_tasks.signals.recipes import Recipe, get_recipe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ecg_tasks.learning.parameters import TrainingParams
    from ecg_tasks.learning.training import Trained

DAG = promoting.DAG


@logged
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
    leave_one_site_out: bool = False,
) -> str:
    """Choose the labelled records and their splits, and name the version to be; returns the key of the job.

    ``epochs`` and ``ensemble_size`` are None for what the recipe was tuned with. ``credit`` names the collections trained on, one a line,
    for the model's card. ``policy`` is what the gate shall let pass: only a ``better`` version, or a ``refresh`` too. ``approval`` is
    whether a person must approve a version that passes. ``added`` is the digest of a network that somebody else trained and ``who`` handed
    in (``training.adding``): it becomes the version, and nothing is trained. ``leave_one_site_out`` is whether a network is trained again
    without each site (``training.unseen_sites``).

    The version's name is made of the data, the recipe, the parameters, the built network and Keras's version: the same again is the
    same version, and an edited network is another one. So is one whose sites are left out one by one, since its figures tell more.
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
        counted(records=len(rows), **{f"in_{split.value}": len(dataset.on_splits(rows, split)) for split in Split})
        params = training_params(recipe, seed=seed, epochs=epochs, ensemble_size=ensemble_size)
        n_outputs = 1 + len(classes.class_names(rows))
        network = network_digest(chosen.network, chosen.image_shape, ensemble_size=params.ensemble_size, n_outputs=n_outputs)
        named = [dataset_id, chosen.key, chosen.network, network, params.as_dict(), candidate.CALIBRATED_ON]
        named += ["leave_one_site_out"] * leave_one_site_out
        version = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:12]
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
            leave_one_site_out=leave_one_site_out,
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


@logged
def train(job: str) -> str:
    """Train the version's network, going on from the last checkpoint if an earlier try left one; returns the job's key.

    Where the job asks for it, its first member is trained again without each site, one after the other, each with checkpoints of its own.
    """
    from ecg_tasks.learning.training import train as train_network

    store = open_store()
    work = read(store, TrainingJob, job)
    if work.added:
        return job
    recipe = get_recipe(work.recipe)
    trained_key = _trained_key(work)
    if registry.has_version(store, recipe.name, work.version):
        return job
    rows = dataset.load_rows(store, work.dataset_id)
    learnt = dataset.learnt_from(rows)
    params, folds = _plan(work, learnt)
    without = unseen_sites.choose(store, rows, stopped_on=folds[0]).without if work.leave_one_site_out else {}
    waiting = [site for site in without if not store.exists(unseen_sites.twin_key(work, site))]
    if store.exists(trained_key) and not waiting:
        return job
    pictures = dataset.load_pictures(store, recipe, learnt)
    windows = _training_set(pictures, classes.class_names(rows))
    if not store.exists(trained_key):
        trained = train_network(
            windows,
            [fold[pictures.record] for fold in folds],
            network=recipe.network,
            params=params,
            checkpoints=_StoredCheckpoints(store, keys.checkpoint(recipe.name, work.version, "epochs/")),
            log=_log,
        )
        counted(records=len(learnt), networks=len(trained.histories), weights=trained.n_weights)
        if without:
            store.put(unseen_sites.first_key(work), trained.first)
        _keep(store, work, trained, params)
    for site in waiting:
        kept = without[site][pictures.record]
        twin = train_network(
            windows.subset(kept),
            [folds[0][pictures.record][kept]],
            network=recipe.network,
            params=replace(params, ensemble_size=1),
            checkpoints=_StoredCheckpoints(store, unseen_sites.epochs_of(work, site)),
            log=partial(_log_without, site),
        )
        store.put(unseen_sites.twin_key(work, site), twin.keras)
    return job


def _plan(work: TrainingJob, learnt: Sequence[dataset.DatasetRow]) -> "tuple[TrainingParams, list[NDArray[np.bool_]]]":
    """Return how a job is trained, and which records each member is stopped on."""
    from ecg_tasks.learning.parameters import training_params

    params = training_params(work.recipe, seed=work.seed, epochs=work.epochs, ensemble_size=work.ensemble_size)
    return params, dataset.folds_of(learnt, ensemble_size=params.ensemble_size)


def _keep(store: ObjectStore, work: TrainingJob, trained: "Trained", params: "TrainingParams") -> None:
    """Store a trained network and its course; the network last, since it says that the training is over."""
    training = Training(
        params=params.as_dict(),
        ensemble_size=len(trained.histories),
        kept_epochs=trained.kept_epochs,
        epochs=tuple({"member": member} | asdict(epoch) for member, history in enumerate(trained.histories, start=1) for epoch in history),
        n_weights=trained.n_weights,
        code=Code.running(),
    )
    write(store, _training_key(work), training)
    store.put(_trained_key(work), trained.keras)


@logged
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
    unseen = None
    if work.added:
        spec, network = adding.network_of(store, work, synthetic=synthetic_rows)
    else:
        spec = candidate.provisional_spec(
            work=work, recipe=recipe, training=read(store, Training, _training_key(work)), synthetic=synthetic_rows
        )
        network = candidate.trained_network(store.get(_trained_key(work)), recipe)
        if work.leave_one_site_out:
            _, folds = _plan(work, dataset.learnt_from(rows))
            unseen = unseen_sites.load(store, work, rows, stopped_on=folds[0])
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
        unseen=unseen,
    )
    Classifier.from_files(files)
    counted(
        calibration_records=len(dataset.on_splits(rows, *candidate.CALIBRATED_ON)), test_records=len(dataset.on_splits(rows, Split.TEST))
    )
    registry.write_version(store, recipe.name, work.version, files)
    if work.added:
        adding.log(store, work)
    return job


@logged
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
    _log(f"{work.recipe} {work.version} is {verdict.kind}: {verdict.reason}")
    if not verdict.promote:
        promoting.log_act(store, work, audit.Action.REJECT, why=verdict.reason)
    promoting.write_result(store, work, verdict)
    return verdict_key


class _StoredCheckpoints:
    """Checkpoints of one training in a folder of the bucket; only the latest is kept."""

    def __init__(self, store: ObjectStore, folder: str) -> None:
        self._store = store
        self._folder = folder

    def load(self) -> tuple[int, bytes] | None:
        found = self._found()
        return (int(keys.stem(found[-1])), self._store.get(found[-1])) if found else None

    def save(self, epoch: int, data: bytes) -> None:
        key = f"{self._folder}{epoch:05d}.npz"
        before = [other for other in self._found() if other != key]
        self._store.put(key, data)
        self._store.delete_many(before)

    def _found(self) -> list[str]:
        return self._store.list_keys(self._folder)


def _training_set(pictures: dataset.Pictures, names: tuple[str, ...]) -> TrainingSet:
    return TrainingSet(
        images=pictures.images,
        labels=pictures.labels[pictures.record],
        records=pictures.record,
        class_names=names,
        classes=classes.class_matrix(pictures.rows, names)[pictures.record] if names else None,
    )


def _trained_key(work: TrainingJob) -> str:
    return keys.checkpoint(work.recipe, work.version, "trained.keras")


def _training_key(work: TrainingJob) -> str:
    return keys.checkpoint(work.recipe, work.version, "training.json")


def _log_without(site: str, line: str) -> None:
    _log(f"without {site}: {line}")


def _log(line: str) -> None:
    logging.getLogger(__name__).info(line)
