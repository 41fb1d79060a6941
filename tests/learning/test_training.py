"""Training: it learns, repeats itself for a seed, goes on after being killed, and stops when nothing is gained."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from ecg_tasks.errors import NotEnoughDataError, SignalError
from ecg_tasks.evaluation.metrics import roc_auc
from ecg_tasks.learning import feeding, framework, training
from ecg_tasks.learning.augmentation import NO_AUGMENTATION
from ecg_tasks.learning.checkpoints import TrainingState
from ecg_tasks.learning.dataset import NOT_KNOWN, TrainingSet
from ecg_tasks.learning.export import keras_scores
from ecg_tasks.learning.keras_file import load_network
from ecg_tasks.learning.training import CLASSES_COUNT, loss_of_outputs, train

pytestmark = pytest.mark.slow


def test_it_learns(trained):
    """A band of rows that is brighter in abnormal records is found within four epochs."""
    (history,) = trained.histories
    assert history[-1].loss < history[0].loss
    assert max(epoch.validation_auroc for epoch in history) > 0.9


def test_it_logs_a_line_an_epoch(trained, training_log):
    """Whoever watches the log sees what is computed on, and every epoch with its figures and its pace."""
    assert training_log[0] == "training on the processor, float32"
    assert len(training_log) == 1 + len(trained.histories[0]) == 5
    assert training_log[2].startswith("epoch 2/4: loss ")
    assert training_log[2].endswith("% of the time waiting for them")


def test_the_pace_is_told(trained):
    """Windows a second and the share of waiting are in the history, in their bounds."""
    assert all(epoch.windows_per_s > 0 and 0 <= epoch.waiting < 1 for epoch in trained.histories[0])


@pytest.fixture(params=[2, 3, 5])
def killed(request, memory):
    """Checkpoints that kill the training in the first member, at its end, or in the second."""
    return memory(die_after=request.param)


def test_killed_and_resumed_gives_the_same_bytes(windows, rotating, params, ensemble, memory, killed):  # noqa: PLR0917  # fixtures
    """Killed and started again, it ends in the same file as without interruption."""
    run = {"network": "compact", "params": replace(params, epochs=3), "log": print}
    with pytest.raises(KeyboardInterrupt):
        train(windows, rotating, checkpoints=killed, **run)
    resumed = train(windows, rotating, checkpoints=memory(latest=killed.latest), **run)
    assert resumed.histories == ensemble.histories
    assert resumed.keras == ensemble.keras


@pytest.fixture(scope="module")
def rotating(windows):
    """Two members, each stopped on half of the records."""
    return [windows.records % 4 < 2, windows.records % 4 >= 2]


@pytest.fixture(scope="module")
def ensemble(windows, rotating, params):
    """Two members trained without interruption."""
    nowhere = type("Nowhere", (), {"load": lambda _self: None, "save": lambda _self, _n_epochs, _data: None})()
    return train(windows, rotating, network="compact", params=replace(params, epochs=3), checkpoints=nowhere, log=print)


def test_members_of_few_windows_give_the_same_bytes_after_a_kill(windows, params, memory):
    """Where members have fewer windows than a batch takes, and not equally many, the second is the same with and without a kill."""
    run = {"network": "compact", "params": replace(params, epochs=2, batch_size=256), "log": print}
    held_out = [windows.records % 4 < 2, windows.records % 8 >= 6]
    whole = train(windows, held_out, checkpoints=memory(), **run)
    killed = memory(die_after=2)
    with pytest.raises(KeyboardInterrupt):
        train(windows, held_out, checkpoints=killed, **run)
    resumed = train(windows, held_out, checkpoints=memory(latest=killed.latest), **run)
    assert resumed.histories == whole.histories
    assert resumed.keras == whole.keras


def test_members_are_other_networks_with_histories_of_their_own(ensemble):
    """Each has its own start, its own patients and its own best epoch; the file holds both."""
    first, second = ensemble.histories
    assert first != second
    assert len(ensemble.kept_epochs) == 2
    assert load_network(ensemble.keras).count_params() == ensemble.n_weights


def test_a_member_does_not_depend_on_those_before_it(windows, rotating, params, ensemble, memory):
    """The first member is what it would be alone: nothing is handed on from one to the next but the compiled program."""
    alone = train(windows, rotating[:1], network="compact", params=replace(params, epochs=3), checkpoints=memory(), log=print)
    assert alone.histories[0] == ensemble.histories[0]


def test_the_ensembles_answer_is_the_mean_of_log_odds(windows, ensemble, litert_of):
    """One file answers as the members do together, in Keras and in LiteRT."""
    model = load_network(ensemble.keras)
    with framework.keras_at_work() as keras:
        members = keras.Model(model.inputs, [model.get_layer(f"member_{number}_log_odds").output for number in (1, 2)])
        log_odds = np.mean([np.asarray(one)[:, 0] for one in members.predict_on_batch(windows.images[:8])], axis=0)
    expected = 1 / (1 + np.exp(-log_odds))
    assert keras_scores(ensemble.keras, windows.images[:8]) == pytest.approx(expected, abs=1e-6)
    assert litert_of(ensemble.keras, windows.images[:8]) == pytest.approx(expected, abs=1e-6)


def test_a_finished_training_is_not_repeated(windows, held_out, params, trained, finished):
    """With the last epoch's checkpoint there is nothing left to do but to hand over the best weights."""
    log = []
    again = train(windows, held_out, network="compact", params=params, checkpoints=finished, log=log.append)
    assert again.keras == trained.keras
    assert log == ["going on after 4 epochs"]


def test_another_seed_gives_another_network(windows, held_out, params, trained, memory):
    """The seed is really used, and a checkpoint of another training is not gone on with."""
    log = []
    state = TrainingState(job="other", finished=(), history=(), model=[], optimizer=[], best=[])
    other = train(
        windows,
        held_out,
        network="compact",
        params=replace(params, seed=12, epochs=1),
        checkpoints=memory(latest=(3, state.to_bytes())),
        log=log.append,
    )
    assert "starting from the beginning" in log[0]
    assert other.histories[0][0].loss != trained.histories[0][0].loss


def test_it_stops_early_and_keeps_the_best_epoch(windows, held_out, params, memory):
    """With labels that mean nothing, training stops before its last epoch, and the best epoch's weights are handed over."""
    rng = np.random.default_rng(4)
    images = np.where(held_out[0][:, None, None, None], rng.integers(0, 256, windows.images.shape), windows.images).astype(np.uint8)
    guesses = TrainingSet(images=images, labels=windows.labels, records=windows.records)
    log = []
    eager = replace(params, epochs=30, patience=2, learning_rate=2e-2)
    found = train(guesses, held_out, network="compact", params=eager, checkpoints=memory(), log=log.append)
    assert len(found.histories[0]) == found.kept_epochs[0] + 2 < 30
    best = min(found.histories[0], key=lambda epoch: (epoch.validation_loss, -epoch.validation_auroc))
    assert found.kept_epochs == (best.epoch,)
    assert "stopped early" in log[-1]


def test_a_training_that_ends_keeps_its_last_epoch(trained, finished):
    """The weights in the file are those that the last checkpoint's model has, though an epoch before may have had a lower loss."""
    assert trained.kept_epochs == (4,)
    state = TrainingState.from_bytes(finished.latest[1])
    with framework.keras_at_work():
        weights = load_network(trained.keras).get_weights()
    kept = [value for value in state.model if value.dtype == np.float32]
    assert len(kept) == len(weights)
    assert sum(float(value.sum()) for value in kept) == pytest.approx(sum(float(value.sum()) for value in weights), rel=1e-6)


def test_the_file_holds_no_clock_and_no_optimizer(trained):
    """All parts of the file have one fixed date, and the weights are the network's alone."""
    with zipfile.ZipFile(io.BytesIO(trained.keras)) as file:
        assert {part.date_time for part in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"date_saved" not in file.read("metadata.json")
    assert load_network(trained.keras).count_params() == trained.n_weights
    assert len(trained.keras) < 5 * trained.n_weights


def test_a_record_on_both_sides_is_refused(windows, params, memory):
    """To hold out some windows of a record and learn from its others is a fault of the caller."""
    half = np.arange(len(windows)) % 2 == 0
    with pytest.raises(SignalError, match=r"member 1: \d+ records are partly held out"):
        train(windows, [half], network="compact", params=params, checkpoints=memory(), log=print)


def test_a_member_needs_both_classes(windows, params, memory):
    """A fold without an abnormal record cannot say when to stop."""
    with pytest.raises(NotEnoughDataError, match="both classes"):
        train(windows, [windows.records == 0], network="compact", params=params, checkpoints=memory(), log=print)


def test_pictures_that_lie_on_the_device_train_the_same_network(windows, held_out, params, memory, monkeypatch):
    """Gathered on a device or by the thread: the same batches, and so the same bytes."""
    plain = replace(params, epochs=2, augmentation=NO_AUGMENTATION)
    run = {"network": "compact", "params": plain, "log": print}
    by_thread = train(windows, held_out, checkpoints=memory(), **run)
    monkeypatch.setattr(feeding, "accelerators", lambda: ["gpu:0"])
    on_device = train(windows, held_out, checkpoints=memory(), **run)
    assert on_device.keras == by_thread.keras


def test_with_a_device_it_computes_in_16_bits_and_keeps_weights_in_32(windows, held_out, params, memory, monkeypatch):
    """Where Keras names a graphics processor, mixed precision is on for the training and off after it; the file knows nothing of it."""
    for module in (framework, training):
        monkeypatch.setattr(module, "accelerators", lambda: ["gpu:0"])
    seen, build = [], training.build_network
    monkeypatch.setattr(training, "build_network", lambda *given, **more: seen.append(build(*given, **more)) or seen[-1])
    log = []
    found = train(windows, held_out, network="compact", params=replace(params, epochs=2), checkpoints=memory(), log=log.append)
    assert log[0] == "training on gpu:0, mixed_bfloat16"
    assert {layer.compute_dtype for layer in seen[0].layers if layer.weights} == {"bfloat16"}
    model = load_network(found.keras)
    assert {layer.compute_dtype for layer in model.layers if layer.weights} == {"float32"}
    assert found.histories[0][-1].validation_auroc > 0.8


def test_batches_are_shared_out_among_devices(windows, held_out, params, memory, monkeypatch):
    """With two devices each gets half of every batch, and what is learnt is what one device learns, but for rounding."""
    keras = framework.import_keras()
    if keras.backend.backend() != "jax" or len(keras.distribution.list_devices("cpu")) < 2:
        pytest.skip("needs KERAS_BACKEND=jax with XLA_FLAGS=--xla_force_host_platform_device_count=2")
    run = {"network": "compact", "params": replace(params, epochs=2, augmentation=NO_AUGMENTATION), "checkpoints": memory()}
    monkeypatch.setattr(framework, "MIXED_PRECISION", "float32")
    alone, log = train(windows, held_out, log=print, **run), []
    for module in (framework, training, feeding):
        monkeypatch.setattr(module, "accelerators", lambda: ["cpu:0", "cpu:1"])
    shared = train(windows, held_out, log=log.append, **run | {"checkpoints": memory()})
    assert log[0] == "training on 2 devices, float32"
    assert [epoch.loss for epoch in shared.histories[0]] == pytest.approx([epoch.loss for epoch in alone.histories[0]], rel=1e-3)
    assert keras_scores(shared.keras, windows.images) == pytest.approx(keras_scores(alone.keras, windows.images), abs=1e-3)


def test_it_learns_classes_beside_abnormal(trained_with_classes, strangers_with_classes):
    """Bands of rows that are brighter in records of a class are found too, by the outputs of these classes and by no other."""
    other = strangers_with_classes
    scores = keras_scores(trained_with_classes.keras, other.pictures(slice(None)))
    assert scores.shape == (len(other), 3)
    for column in range(3):
        known = other.truth[:, column] != NOT_KNOWN
        ranks = [roc_auc(other.truth[known, column], scores[known, output]) for output in range(3)]
        assert ranks[column] > 0.95
        assert sorted(ranks)[-2] < 0.8


def test_the_loss_counts_what_is_known():
    """By hand: the first record's second class is not known, of the second only classes are, and that counts half."""
    targets = np.array([[1, 0, 0], [0, 1, 1]], np.float32)
    weights = np.array([[1, 1, 0], [0, 0.5, 0.5]], np.float32)
    p = np.array([[0.8, 0.4, 0.9], [0.9, 0.3, 0.6]], np.float32)
    with framework.keras_at_work():
        found = np.asarray(loss_of_outputs(np.concatenate([targets, weights], axis=1), p))
    of_classes = np.array([-np.log(0.6) / 2, (-0.5 * np.log(0.3) - 0.5 * np.log(0.6)) / 2])
    assert found == pytest.approx([-np.log(0.8), 0] + CLASSES_COUNT * of_classes, abs=1e-5)


def test_a_training_with_classes_goes_on_where_it_was_killed(windows_with_classes, rotating, params, memory):
    """To the last byte, and not with the state of a training that knew other classes."""
    run = {"network": "compact", "params": replace(params, epochs=2), "log": print}
    whole = train(windows_with_classes, rotating, checkpoints=memory(), **run)
    killed = memory(die_after=3)
    with pytest.raises(KeyboardInterrupt):
        train(windows_with_classes, rotating, checkpoints=killed, **run)
    assert train(windows_with_classes, rotating, checkpoints=memory(latest=killed.latest), **run).keras == whole.keras
    other, log = replace(windows_with_classes, class_names=("MI", "HYP")), []
    train(other, rotating, checkpoints=memory(latest=killed.latest), **run | {"log": log.append})
    assert "starting from the beginning" in log[0]


def test_records_of_which_only_classes_are_known_stop_nothing(windows_with_classes, held_out, trained_with_classes, params, memory):
    """Validation figures are those of the records that are known to be normal or abnormal: leaving out the others changes none of them."""
    left_out = held_out[0] & (windows_with_classes.labels == NOT_KNOWN)
    assert left_out.any()
    changed = replace(params, epochs=6, augmentation=NO_AUGMENTATION)
    without = windows_with_classes.subset(~left_out)
    run = {"network": "compact", "params": changed, "checkpoints": memory(), "log": print}
    again = train(without, [held_out[0][~left_out]], **run)
    first, second = (one.histories[0][-1] for one in (trained_with_classes, again))
    assert second.validation_loss == pytest.approx(first.validation_loss, rel=1e-5)
    assert second.validation_auroc == first.validation_auroc
