"""Training: it learns, repeats itself for a seed, goes on after being killed, and stops when nothing is gained."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from ecg_tasks.errors import SignalError
from ecg_tasks.learning.checkpoints import TrainingState
from ecg_tasks.learning.dataset import TrainingSet
from ecg_tasks.learning.keras_file import load_network
from ecg_tasks.learning.training import train


def test_it_learns(trained):
    """A band of rows that is brighter in abnormal records is found within four epochs."""
    assert trained.history[-1].loss < trained.history[0].loss
    assert max(epoch.validation_auroc for epoch in trained.history) > 0.9


def test_it_logs_a_line_an_epoch(trained, training_log):
    """Whoever watches the log sees every epoch with its figures."""
    assert len(training_log) == len(trained.history) == 4
    assert training_log[1].startswith("epoch 2/4: loss ")


def test_killed_and_resumed_gives_the_same_bytes(train_set, validation_set, params, trained, memory):
    """A training that is killed after two epochs and started again ends in the same file as one that ran through."""
    killed = memory(die_after=2)
    run = {"network": "compact", "params": params, "log": print}
    with pytest.raises(KeyboardInterrupt):
        train(train_set, validation_set, checkpoints=killed, **run)
    resumed = train(train_set, validation_set, checkpoints=memory(latest=killed.latest), **run)
    assert resumed.history == trained.history
    assert resumed.keras == trained.keras


def test_a_finished_training_is_not_repeated(train_set, validation_set, params, trained, finished):
    """With the last epoch's checkpoint there is nothing left to do but to hand over the best weights."""
    log = []
    again = train(train_set, validation_set, network="compact", params=params, checkpoints=finished, log=log.append)
    assert again.keras == trained.keras
    assert log == ["going on after epoch 4"]


def test_another_seed_gives_another_network(train_set, validation_set, params, trained, memory):
    """The seed is really used, and a checkpoint of another training is not gone on with."""
    log = []
    foreign = memory(latest=(3, TrainingState(job="other", history=(), model=[], optimizer=[], best=[]).to_bytes()))
    other = train(
        train_set, validation_set, network="compact", params=replace(params, seed=12, epochs=1), checkpoints=foreign, log=log.append
    )
    assert "starting afresh" in log[0]
    assert other.history[0].loss != trained.history[0].loss


def test_it_stops_early_and_keeps_the_best_epoch(train_set, validation_set, params, memory):
    """With labels that mean nothing, training stops before its last epoch, and the best epoch's weights are handed over."""
    rng = np.random.default_rng(4)
    guesses = TrainingSet(
        images=rng.integers(0, 256, validation_set.images.shape, dtype=np.uint8),
        labels=validation_set.labels,
        records=validation_set.records,
    )
    log = []
    eager = replace(params, epochs=30, patience=2, learning_rate=2e-2)
    found = train(train_set, guesses, network="compact", params=eager, checkpoints=memory(), log=log.append)
    assert len(found.history) == found.best_epoch + 2 < 30
    best = max(found.history, key=lambda epoch: (epoch.validation_auroc, -epoch.validation_loss))
    assert found.best_epoch == best.epoch
    assert "stopped early" in log[-1]


def test_the_file_holds_no_clock_and_no_optimizer(trained):
    """All parts of the file have one fixed date, and the weights are the network's alone."""
    with zipfile.ZipFile(io.BytesIO(trained.keras)) as file:
        assert {part.date_time for part in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"date_saved" not in file.read("metadata.json")
    assert load_network(trained.keras).count_params() == trained.n_weights
    assert len(trained.keras) < 5 * trained.n_weights


def test_pictures_of_two_shapes_are_refused(train_set, validation_set, params, memory):
    """Training on one shape and validating on another is a fault of the caller."""
    narrow = replace(validation_set, images=validation_set.images[:, :, :-1])
    with pytest.raises(SignalError, match=r"\(16, 24, 2\), validation pictures \(16, 23, 2\)"):
        train(train_set, narrow, network="compact", params=params, checkpoints=memory(), log=print)
