"""Here: the training loop, from labelled pictures to the best weights. Not here: networks, splits, batches, or evaluating the result."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.calibration import P_MARGIN
from ecg_tasks.evaluation.metrics import roc_auc
from ecg_tasks.learning.checkpoints import Checkpoints, Epoch, Member, TrainingState
from ecg_tasks.learning.dataset import NOT_KNOWN, TrainingSet
from ecg_tasks.learning.decisions import record_probabilities
from ecg_tasks.learning.feeding import Feed
from ecg_tasks.learning.framework import accelerators, import_keras, keras_at_work, on_all_devices
from ecg_tasks.learning.keras_file import save_network, score_windows
from ecg_tasks.learning.networks import build_network
from ecg_tasks.learning.parameters import TrainingParams

SCORED_AT_ONCE = 256
"""Validation windows whose pictures are taken out of the set at a time."""
CLASSES_COUNT = 3.0
"""What the mean loss of the classes counts beside that of abnormal."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A network after training.

    Parameters
    ----------
    keras : the ``.keras`` file, holding each member's weights of the epoch that was kept and no optimizer
    first : the same of the first member alone
    histories : for each member, one entry an epoch
    kept_epochs : for each member, the epoch whose weights were kept
    n_weights : numbers in the network, those of normalization included, of all members
    """

    keras: bytes
    first: bytes
    histories: tuple[tuple[Epoch, ...], ...]
    kept_epochs: tuple[int, ...]
    n_weights: int


def train(
    windows: TrainingSet,
    held_out: Sequence[NDArray[np.bool_]],
    *,
    network: str,
    params: TrainingParams,
    checkpoints: Checkpoints,
    log: Callable[[str], None],
) -> Trained:
    """Train a network, going on from the latest checkpoint of the same job if there is one.

    One member after the other is trained on the windows that are not held out for it. Loss is binary cross-entropy, every record
    counting once; with classes, that of abnormal plus ``CLASSES_COUNT`` times the mean of those of the classes, each where it is known.
    After each epoch every held-out record gets one P(abnormal) from its windows, as in serving. A training that comes to its last epoch
    keeps that one's weights, when the learning rate has fallen to 0; one that is stopped before, because the log loss of the held-out
    records has long not fallen, keeps those of the epoch where it was lowest.

    All that is random is drawn from the seed and the numbers of the member and the epoch: for one seed, machine and backend the
    result is the same bytes, whether the training ran through or was killed and resumed.

    Parameters
    ----------
    windows : of all patients that may be learnt from
    held_out : for each member, shape (n,), bool: the windows that it is stopped on, whole records
    network : a name from ``NETWORKS``
    checkpoints : gets the state after every epoch
    log : gets one line an epoch

    Raises
    ------
    SignalError
        If a record is in both the training and the validation set of a member.
    NotEnoughDataError
        If one of a member's two sets lacks a class.
    """
    sets = [(windows.subset(~stopped_on), windows.subset(stopped_on)) for stopped_on in held_out]
    for member, (ours, theirs) in enumerate(sets, start=1):
        if both := np.intersect1d(ours.records, theirs.records).size:
            raise SignalError(f"member {member}: {both} records are partly held out; windows of one record belong together")
    with keras_at_work(), on_all_devices() as devices:
        job = _job_digest(windows, held_out, network=network, params=params)
        state = _resume(checkpoints, job, log)
        if state is None:
            log(f"training on {devices}")
        finished = list(state.finished) if state else []
        batch_sizes = [_batch_size(ours, params) for ours, _ in sets]
        compiled_for = 0
        for number in range(len(finished), len(sets)):
            if batch_sizes[number] != compiled_for:  # after batches of two sizes the last bits depend on the first
                model = _compiled_model(network, windows.image_shape, params, n_outputs=windows.n_outputs)
                compiled_for = batch_sizes[number]
            training = _MemberTraining(model, network, sets[number], number=number, ensemble_size=len(sets), params=params, log=log)
            finished.append(training.run(state, job=job, finished=tuple(finished), checkpoints=checkpoints))
            state = None
    with keras_at_work():
        weights = [member.weights for member in finished]
        whole = save_network(network, windows.image_shape, weights, n_outputs=windows.n_outputs)
        return Trained(
            keras=whole,
            first=whole if len(weights) == 1 else save_network(network, windows.image_shape, weights[:1], n_outputs=windows.n_outputs),
            histories=tuple(member.history for member in finished),
            kept_epochs=tuple(_kept(member.history, params).epoch for member in finished),
            n_weights=len(sets) * int(model.count_params()),
        )


class _MemberTraining:
    """The training of one member with a model that members of one batch size use one after the other, so that it is compiled once."""

    def __init__(
        self,
        model: Any,
        network: str,
        sets: tuple[TrainingSet, TrainingSet],
        *,
        number: int,
        ensemble_size: int,
        params: TrainingParams,
        log: Callable[[str], None],
    ) -> None:
        train_set, self._validation_set = sets
        self._model, self._network, self._params, self._log = model, network, params, log
        self._image_shape, self._n_outputs, self._number = train_set.image_shape, train_set.n_outputs, number
        self._whose = f"member {number + 1}/{ensemble_size}, " if ensemble_size > 1 else ""
        self._batch_size = _batch_size(train_set, params)
        self._feed = Feed(train_set, batch_size=self._batch_size, params=params, member=number)

    def run(self, state: TrainingState | None, *, job: str, finished: tuple[Member, ...], checkpoints: Checkpoints) -> Member:
        """Train all epochs, from the first or from a saved state on."""
        model, params = self._model, self._params
        if state is None:
            self._start_afresh()
        else:
            _assign(model.variables, state.model)
            _assign(model.optimizer.variables, state.optimizer)
        history = list(state.history) if state else []
        best = list(state.best) if state else model.get_weights()
        while len(history) < params.epochs and not _stale(history, params.patience):
            epoch = self._epoch(len(history) + 1)
            history.append(epoch)
            if _best(history) is epoch:
                best = model.get_weights()
            state = TrainingState(
                job=job,
                finished=finished,
                history=tuple(history),
                model=_values(model.variables),
                optimizer=_values(model.optimizer.variables),
                best=best,
            )
            checkpoints.save(state.n_epochs, state.to_bytes())
            self._log(
                f"{self._whose}epoch {epoch.epoch}/{params.epochs}: loss {epoch.loss:.4f}, validation loss {epoch.validation_loss:.4f},"
                f" AUROC {epoch.validation_auroc:.3f};"
                f" {epoch.windows_per_s:,.0f} windows/s, {epoch.waiting:.1%} of the time waiting for them"
            )
        if len(history) < params.epochs:
            self._log(f"{self._whose}stopped early: no lower validation loss for {params.patience} epochs")
        return Member(history=tuple(history), weights=best if _kept(history, params) is _best(history) else model.get_weights())

    def _start_afresh(self) -> None:
        """Set new random weights and a new optimizer."""
        keras = import_keras()
        keras.utils.set_random_seed(int(np.random.SeedSequence([self._params.seed, self._number]).generate_state(1)[0]))
        _assign(self._model.variables, _values(build_network(self._network, self._image_shape, n_outputs=self._n_outputs).variables))
        optimizer = self._model.optimizer.variables
        _assign(optimizer, [np.zeros_like(value) for value in _values(optimizer)])

    def _epoch(self, number: int) -> Epoch:
        model, params, feed = self._model, self._params, self._feed
        first = (number - 1) * feed.n_steps
        loss, began, waited_s = math.nan, time.perf_counter(), feed.waited_s
        model.reset_metrics()
        for step, batch in enumerate(feed.epoch(number)):
            done = (first + step) / (params.epochs * feed.n_steps)
            model.optimizer.learning_rate = params.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
            if self._n_outputs == 1:
                loss = model.train_on_batch(batch.images, batch.targets, sample_weight=batch.weights[:, 0])
            else:
                loss = model.train_on_batch(batch.images, np.concatenate([batch.targets, batch.weights], axis=1))
        spent_s = time.perf_counter() - began
        truth = self._validation_set.record_labels
        p = _record_scores(model, self._validation_set)[truth != NOT_KNOWN]
        truth = truth[truth != NOT_KNOWN]
        likelihood = np.clip(np.where(truth == 1, p, 1 - p), P_MARGIN, 1)
        return Epoch(
            epoch=number,
            loss=float(np.asarray(loss)),
            validation_loss=float(-np.log(likelihood).mean()),
            validation_auroc=roc_auc(truth, p),
            windows_per_s=feed.n_steps * self._batch_size / spent_s,
            waiting=(feed.waited_s - waited_s) / spent_s,
        )


def loss_of_outputs(known: Any, probabilities: Any) -> Any:
    """Return the loss of each window, shape (n,): the cross-entropy of abnormal, plus ``CLASSES_COUNT`` times the classes' mean.

    Parameters
    ----------
    known : tensor, shape (n, 2 * n_outputs): targets, then what each of them counts, 0 where it is not known; Keras gives a loss function
        no other place for weights of single outputs
    probabilities : tensor, shape (n, n_outputs)
    """
    ops = import_keras().ops
    targets, weights = ops.split(known, 2, axis=1)
    losses = weights * ops.binary_crossentropy(targets, probabilities)
    return losses[:, 0] + CLASSES_COUNT * ops.mean(losses[:, 1:], axis=1)


def _batch_size(windows: TrainingSet, params: TrainingParams) -> int:
    """Return the windows a step: those of the parameters, or all of a smaller set, shared out evenly among devices."""
    n_devices = max(1, len(accelerators()))
    return max(1, min(params.batch_size, len(windows)) // n_devices) * n_devices


def _compiled_model(network: str, image_shape: tuple[int, int, int], params: TrainingParams, *, n_outputs: int) -> Any:
    keras = import_keras()
    model = build_network(network, image_shape, n_outputs=n_outputs)
    optimizer = keras.optimizers.AdamW(params.learning_rate, weight_decay=params.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    loss = "binary_crossentropy" if n_outputs == 1 else loss_of_outputs
    model.compile(optimizer, loss=loss)  # Keras leaves XLA off on processors, where it is 4 times slower here
    optimizer.build(model.trainable_variables)
    return model


def _job_digest(windows: TrainingSet, held_out: Sequence[NDArray[np.bool_]], *, network: str, params: TrainingParams) -> str:
    digest = hashlib.sha256(json.dumps([network, params.as_dict()], sort_keys=True).encode())
    sample = windows.pictures(slice(None, None, max(1, len(windows) // 256)))  # to hash all of a large set takes longer than an epoch
    digest.update(np.ascontiguousarray(sample).tobytes())
    digest.update(repr(sample.shape).encode() + windows.labels.tobytes() + windows.record_index.astype("<i8").tobytes())
    if windows.classes is not None:
        digest.update(json.dumps(windows.class_names).encode() + windows.classes.tobytes())
    for stopped_on in held_out:
        digest.update(np.packbits(stopped_on).tobytes())
    return digest.hexdigest()


def _resume(checkpoints: Checkpoints, job: str, log: Callable[[str], None]) -> TrainingState | None:
    left = checkpoints.load()
    if left is None:
        return None
    n_epochs, data = left
    state = TrainingState.from_bytes(data)
    if state is None or state.job != job:
        log(f"the checkpoint after {n_epochs} epochs is damaged or of another training: starting from the beginning")
        return None
    log(f"going on after {n_epochs} epochs")
    return state


def _record_scores(model: Any, windows: TrainingSet) -> NDArray[np.float64]:
    parts = [
        score_windows(model, windows.pictures(slice(start, start + SCORED_AT_ONCE))) for start in range(0, len(windows), SCORED_AT_ONCE)
    ]
    scores = np.concatenate(parts)
    return record_probabilities(
        windows.record_index,
        scores if scores.ndim == 1 else scores[:, 0],
        np.ones(len(windows)),
        n_records=len(windows.record_labels),
        min_quality=0.0,
    )


def _kept(history: Sequence[Epoch], params: TrainingParams) -> Epoch:
    """Return the last epoch if the training came to it, else the best.

    To choose the epoch by the AUROC of few held-out records is to choose by chance: it cost up to 0.019 of AUROC on other patients
    against the last epoch, and choosing by their log loss 0.003 (docs/measurements/tuning.md).
    """
    return history[-1] if len(history) == params.epochs else _best(history)


def _best(history: Sequence[Epoch]) -> Epoch:
    """Return the epoch with the lowest loss, then the highest AUROC, then the earliest."""
    return min(history, key=lambda epoch: (epoch.validation_loss, -epoch.validation_auroc))


def _stale(history: Sequence[Epoch], patience: int) -> bool:
    return bool(history) and history[-1].epoch - _best(history).epoch >= patience


def _values(variables: Any) -> list[NDArray[Any]]:
    keras = import_keras()
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def _assign(variables: Any, values: Any) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
