"""Here: the training loop, from labelled pictures to the best weights. Not here: networks, splits, or judging the result."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.calibration import P_MARGIN
from ecg_tasks.evaluation.metrics import roc_auc
from ecg_tasks.learning.augmentation import Batch, augment
from ecg_tasks.learning.checkpoints import Checkpoints, Epoch, TrainingState
from ecg_tasks.learning.dataset import TrainingSet
from ecg_tasks.learning.decisions import record_probabilities
from ecg_tasks.learning.framework import bring_up_keras, keras_at_work
from ecg_tasks.learning.keras_file import save_network, score_windows
from ecg_tasks.learning.networks import build_network
from ecg_tasks.learning.parameters import TrainingParams


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A network after training.

    Parameters
    ----------
    keras : the ``.keras`` file, holding the weights of the best epoch and no optimizer
    history : one entry an epoch
    best_epoch : the one with the best validation AUROC, and of several such the lowest validation loss
    n_weights : numbers in the network, those of normalization included
    """

    keras: bytes
    history: tuple[Epoch, ...]
    best_epoch: int
    n_weights: int


def train(
    train_set: TrainingSet,
    validation_set: TrainingSet,
    *,
    network: str,
    params: TrainingParams,
    checkpoints: Checkpoints,
    log: Callable[[str], None],
) -> Trained:
    """Train a network, going on from the latest checkpoint of the same job if there is one.

    Loss is binary cross-entropy, every record counting once. After each epoch every validation record gets one probability
    from its windows, as in serving; the weights of the epoch with the best AUROC over these are kept. All that is
    random is drawn from the seed and the number of the epoch: for one seed, machine and backend the result is the same
    bytes, whether the training ran through or was killed and resumed.

    Parameters
    ----------
    network : a name from ``NETWORKS``
    checkpoints : gets the state after every epoch
    log : gets one line an epoch

    Raises
    ------
    SignalError
        If the two sets have pictures of different shape.
    """
    if train_set.image_shape != validation_set.image_shape:
        raise SignalError(f"training pictures are {train_set.image_shape}, validation pictures {validation_set.image_shape}")
    with keras_at_work():
        return _train(train_set, validation_set, network=network, params=params, checkpoints=checkpoints, log=log)


def _train(
    train_set: TrainingSet,
    validation_set: TrainingSet,
    *,
    network: str,
    params: TrainingParams,
    checkpoints: Checkpoints,
    log: Callable[[str], None],
) -> Trained:
    job = _job_digest(train_set, validation_set, network=network, params=params)
    batch_size = min(params.batch_size, len(train_set))
    model = _compiled_model(network, train_set.image_shape, params, n_steps=params.epochs * (len(train_set) // batch_size))
    state = _resume(checkpoints, job, log)
    if state is not None:
        _assign(model.variables, state.model)
        _assign(model.optimizer.variables, state.optimizer)
    history = list(state.history) if state else []
    best = list(state.best) if state else model.get_weights()
    weights = train_set.weights(balance=params.balance)

    while len(history) < params.epochs and not _stale(history, params.patience):
        started = time.monotonic()
        model.reset_metrics()
        loss = float("nan")
        for batch in _batches(train_set, weights, epoch=len(history) + 1, batch_size=batch_size, params=params):
            loss = model.train_on_batch(batch.images, batch.targets[:, None], sample_weight=batch.weights)
        epoch = _validate(model, validation_set, epoch=len(history) + 1, loss=float(np.asarray(loss)))
        history.append(epoch)
        if _best(history) is epoch:
            best = model.get_weights()
        state = TrainingState(
            job=job, history=tuple(history), model=_values(model.variables), optimizer=_values(model.optimizer.variables), best=best
        )
        checkpoints.save(epoch.epoch, state.to_bytes())
        log(
            f"epoch {epoch.epoch}/{params.epochs}: loss {epoch.loss:.4f}, validation loss {epoch.validation_loss:.4f},"
            f" AUROC {epoch.validation_auroc:.3f}; best is epoch {_best(history).epoch}; {time.monotonic() - started:.1f} s"
        )
    if len(history) < params.epochs:
        log(f"stopped early: no better validation AUROC for {params.patience} epochs")
    return Trained(
        keras=save_network(network, train_set.image_shape, best),
        history=tuple(history),
        best_epoch=_best(history).epoch,
        n_weights=int(model.count_params()),
    )


def _compiled_model(network: str, image_shape: tuple[int, int, int], params: TrainingParams, *, n_steps: int) -> Any:
    keras = bring_up_keras()
    keras.utils.set_random_seed(params.seed)
    model = build_network(network, image_shape)
    schedule = keras.optimizers.schedules.CosineDecay(params.learning_rate, decay_steps=n_steps)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=params.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer, loss="binary_crossentropy")  # Keras leaves XLA off on processors, where it is 4 times slower here
    optimizer.build(model.trainable_variables)
    return model


def _job_digest(train_set: TrainingSet, validation_set: TrainingSet, *, network: str, params: TrainingParams) -> str:
    digest = hashlib.sha256(json.dumps([network, asdict(params)], sort_keys=True).encode())
    for side in (train_set, validation_set):
        sample = side.images[:: max(1, len(side) // 256)]  # all pictures of a large set would take longer than an epoch to hash
        digest.update(np.ascontiguousarray(sample).tobytes())
        digest.update(repr(side.images.shape).encode() + side.labels.tobytes() + side.record_index.astype("<i8").tobytes())
    return digest.hexdigest()


def _resume(checkpoints: Checkpoints, job: str, log: Callable[[str], None]) -> TrainingState | None:
    left = checkpoints.load()
    if left is None:
        return None
    epoch, data = left
    state = TrainingState.from_bytes(data)
    if state is None or state.job != job:
        log(f"the checkpoint of epoch {epoch} is damaged or of another training: starting afresh")
        return None
    log(f"going on after epoch {epoch}")
    return state


def _batches(
    train_set: TrainingSet, weights: NDArray[np.float32], *, epoch: int, batch_size: int, params: TrainingParams
) -> Iterator[Batch]:
    """Shuffled batches of one size; what is left over is not seen this time (each epoch leaves out others)."""
    rng = np.random.default_rng([params.seed, epoch])
    order = rng.permutation(len(train_set))
    for start in range(0, len(order) - batch_size + 1, batch_size):
        rows = np.sort(order[start : start + batch_size])  # ascending, for a memory map's sake
        batch = Batch(images=train_set.images[rows], targets=train_set.labels[rows].astype(np.float32), weights=weights[rows])
        yield augment(batch, params=params.augmentation, rng=rng)


def _validate(model: Any, validation_set: TrainingSet, *, epoch: int, loss: float) -> Epoch:
    truth = validation_set.record_labels
    p = record_probabilities(
        validation_set.record_index,
        score_windows(model, validation_set.images),
        np.ones(len(validation_set)),
        n_records=len(truth),
        min_quality=0.0,
    )
    likelihood = np.clip(np.where(truth == 1, p, 1 - p), P_MARGIN, 1)
    return Epoch(epoch=epoch, loss=loss, validation_loss=float(-np.log(likelihood).mean()), validation_auroc=roc_auc(truth, p))


def _best(history: list[Epoch]) -> Epoch:
    """The epoch with the highest AUROC, then the lowest loss, then the earliest.

    Not by loss alone: on few records that is lowest while the network is still unsure of everything, long before it orders
    them best, and its sureness is calibrated afterwards in any case.
    """
    return max(history, key=lambda epoch: (epoch.validation_auroc, -epoch.validation_loss))


def _stale(history: list[Epoch], patience: int) -> bool:
    return bool(history) and history[-1].epoch - _best(history).epoch >= patience


def _values(variables: Any) -> list[NDArray[Any]]:
    keras = bring_up_keras()
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def _assign(variables: Any, values: Any) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
