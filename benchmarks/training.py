"""Here: what learning costs, from the samples of labelled beats to a trained network, beside the notebook's way. Not here: the tables.

Both sides learn from the same synthetic beats, as many and as unbalanced as the heartbeat files are, and from the same imaginary
patients: 60 % of these are learnt from and 30 % validated on, as the notebook shares out its beats. Each side runs in a process of
its own and may use all cores.

* ``notebook``: a matplotlib figure a picture, its network, Adam, batches of 32, 20 epochs. That takes an hour, so some pictures
  and some steps are measured, and the rest is estimated from them; the validation AUROC is that after the steps measured.
* ``heartbeat``: cutting, quality, pictures and the whole training of the recipe as ``retrain_model`` runs it, without the store.
"""

import time
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.beats import labelled_beats
from benchmarks.processes import Work, in_own_process
from ecg_tasks.signals.record import HEARTBEAT_FS, Record

N_NORMAL, N_ABNORMAL = 4046, 10_506
"""Rows of the two heartbeat files."""
NOTEBOOK_EPOCHS = 20
NOTEBOOK_BATCH = 32
LEARNT_FROM, VALIDATED_ON = 0.6, 0.9
"""Patients below the first share are learnt from, those up to the second validated on; the rest is the notebook's test side."""
SEED = 3
PICTURES_AT_ONCE = 512
"""Pictures of the notebook's that are drawn and shrunk at a time."""
WARM_UP_STEPS = 3
"""Not counted: the first traces and compiles."""


def measure(*, n_normal: int, n_abnormal: int, n_steps: int, n_drawn: int, n_scored: int) -> dict[str, Any]:
    """Run both sides and compare them.

    Parameters
    ----------
    n_normal, n_abnormal : beats to learn from and validate on
    n_steps : steps of the notebook's training that are run; 2 epochs are twice the batches of its training side
    n_drawn : pictures that matplotlib draws
    n_scored : validation beats, the first ones, that both sides score

    Returns
    -------
    dict
        ``times_faster``; ``n_windows``, ``n_train``, ``n_scored``; ``notebook``: ``wall_s`` (estimated from what was measured),
        ``drawing_ms`` a picture, ``step_ms``, ``n_steps`` measured of ``n_steps_in_all``, ``n_drawn``, ``auroc``, ``peak_mb``;
        ``heartbeat``: ``wall_s``, ``start_s``, ``rendering_s``, ``training_s``, ``auroc``, ``epochs`` (each with pace, waiting and
        figures), ``peak_mb``; ``better``: whether ours has the higher AUROC.
    """
    theirs = in_own_process(by_notebook, n_normal=n_normal, n_abnormal=n_abnormal, n_scored=n_scored, n_steps=n_steps, n_drawn=n_drawn)
    ours = in_own_process(by_heartbeat, n_normal=n_normal, n_abnormal=n_abnormal, n_scored=n_scored)
    n_windows, n_train = n_normal + n_abnormal, ours.result["n_train"]
    n_steps_in_all = NOTEBOOK_EPOCHS * (n_train // NOTEBOOK_BATCH)
    notebook_s = n_windows * theirs.result["drawing_ms"] / 1000 + n_steps_in_all * theirs.result["step_ms"] / 1000
    return {
        "times_faster": notebook_s / ours.wall_s,
        "better": ours.result["auroc"] > theirs.result["auroc"],
        "n_windows": n_windows,
        "n_train": n_train,
        "n_scored": ours.result["n_scored"],
        "notebook": theirs.result | {"wall_s": notebook_s, "n_steps_in_all": n_steps_in_all, "peak_mb": theirs.peak_mb},
        "heartbeat": ours.result | {"wall_s": ours.wall_s, "start_s": ours.start_wall_s, "peak_mb": ours.peak_mb},
    }


def by_notebook(n_normal: int, n_abnormal: int, n_scored: int, n_steps: int, n_drawn: int) -> Work:
    """Case: some pictures by matplotlib, some steps of its network."""
    import keras

    from benchmarks import notebook_method
    from ecg_tasks.evaluation.metrics import roc_auc
    from ecg_tasks.learning.keras_file import score_windows
    from ecg_tasks.signals.recipes import get_recipe

    rows, labels, patients = labelled_beats(n_normal, n_abnormal, seed=SEED)
    learnt, scored = _sides(patients, n_scored=n_scored)
    rng = np.random.default_rng(SEED)
    steps = [rng.choice(learnt, NOTEBOOK_BATCH, replace=False) for _ in range(WARM_UP_STEPS + n_steps)]
    needed = np.unique(np.concatenate([*steps, scored]))
    place = {int(row): at for at, row in enumerate(needed)}

    recipe = get_recipe("notebook")  # matplotlib's own pixels, drawn faster
    parts = [needed[start : start + PICTURES_AT_ONCE] for start in range(0, len(needed), PICTURES_AT_ONCE)]
    images = np.concatenate([recipe.decode(recipe.render(_records(rows[part])).png) for part in parts])
    inputs = keras.Input((notebook_method.SIDE, notebook_method.SIDE, 3))
    model = keras.Model(inputs, notebook_method.untrained_network()(inputs))
    model.compile("adam", loss="binary_crossentropy")

    def work() -> dict[str, Any]:
        notebook_method.draw(rows[0])  # the first figure brings matplotlib up
        began = time.perf_counter()
        for row in rows[:n_drawn]:
            notebook_method.draw(row)
        drawing_s = time.perf_counter() - began
        for at, chosen in enumerate(steps):
            if at == WARM_UP_STEPS:
                began = time.perf_counter()
            batch = images[[place[int(row)] for row in chosen]] / np.float32(255)
            model.train_on_batch(batch, labels[chosen][:, None].astype(np.float32))
        step_s = (time.perf_counter() - began) / n_steps
        scores = score_windows(_scaled(model), images[[place[int(row)] for row in scored]])
        return {
            "drawing_ms": 1000 * drawing_s / n_drawn,
            "step_ms": 1000 * step_s,
            "n_drawn": n_drawn,
            "n_steps": n_steps,
            "auroc": roc_auc(labels[scored], scores),
        }

    return work


def by_heartbeat(n_normal: int, n_abnormal: int, n_scored: int) -> Work:
    """Case: the recipe ``heartbeat``, from samples to a trained network."""
    from ecg_tasks.evaluation.metrics import roc_auc
    from ecg_tasks.learning.dataset import TrainingSet
    from ecg_tasks.learning.keras_file import load_network, score_windows
    from ecg_tasks.learning.parameters import training_params
    from ecg_tasks.learning.training import train
    from ecg_tasks.signals.recipes import get_recipe

    recipe = get_recipe("heartbeat")
    rows, labels, patients = labelled_beats(n_normal, n_abnormal, seed=SEED)
    learnt, scored = _sides(patients, n_scored=n_scored)
    validated = np.isin(np.arange(len(rows)), np.flatnonzero(_share(patients) >= LEARNT_FROM))
    used = np.flatnonzero(_share(patients) < VALIDATED_ON)

    def work() -> dict[str, Any]:
        began = time.perf_counter()
        images = recipe.decode(recipe.render(_records(rows)).png)
        rendered = time.perf_counter()
        windows = TrainingSet(images=images[used], labels=labels[used], records=used)
        trained = train(
            windows,
            [validated[used]],
            network=recipe.network,
            params=training_params(recipe.name, seed=SEED),
            checkpoints=NoCheckpoints(),
            log=lambda _line: None,
        )
        ended = time.perf_counter()
        scores = score_windows(load_network(trained.keras), images[scored])
        return {
            "n_train": len(learnt),
            "n_scored": len(scored),
            "rendering_s": rendered - began,
            "training_s": ended - rendered,
            "epochs": [asdict(epoch) for epoch in trained.histories[0]],
            "auroc": roc_auc(labels[scored], scores),
        }

    return work


class NoCheckpoints:
    """No measurement is resumed."""

    def load(self) -> None:
        """Return None: nothing was left."""

    def save(self, n_epochs: int, data: bytes) -> None:
        """Keep nothing."""


def _records(rows: NDArray[np.float32]) -> list[Record]:
    return [Record(samples=row[None], fs=HEARTBEAT_FS, leads=("II",), unit="relative", name="beat", synthetic=True) for row in rows]


def _scaled(model: Any) -> Any:
    """Return the network that reads stored pictures: its scale from 0 to 1 comes first."""
    import keras

    pictures = keras.Input(model.input_shape[1:], dtype="uint8")
    return keras.Model(pictures, model(keras.layers.Rescaling(1 / 255)(pictures)))


def _share(patients: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the position of each beat's patient among all patients, from 0 up to 1."""
    return np.asarray(patients / (patients.max() + 1))


def _sides(patients: NDArray[np.integer], *, n_scored: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the beats to train on, and those that both sides are evaluated on, in a fixed random order."""
    share = _share(patients)
    order = np.random.default_rng(SEED).permutation(len(patients))
    validation = order[(share[order] >= LEARNT_FROM) & (share[order] < VALIDATED_ON)]
    return np.flatnonzero(share < LEARNT_FROM), validation[:n_scored]
