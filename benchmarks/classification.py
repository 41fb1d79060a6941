"""Here: what a decision costs, from the bytes of a PNG on, beside the notebook's one ``predict`` a picture. Not here: the tables.

The same beats are classified three times:

* ``notebook``: the notebook's pictures by its own network in Keras, one after the other;
* ``notebook_served``: the same pictures by the same network with the same weights, served as this project serves: batches, LiteRT;
* ``heartbeat``: this project's own small pictures of these beats by its own small network, as the nightly run does.

The first step shows what batches and LiteRT give, the second what a better picture gives. Each runs in a process of its own;
the notebook's may use all cores, as Keras does by itself, this project's uses one.
"""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.beats import heartbeat_records
from benchmarks.models import models_folder
from benchmarks.processes import Usage, Work, in_own_process
from ecg_tasks.archive import registry

SEED = 2
WINDOWS_AT_ONCE = 512
"""Pictures that the nightly run decodes before it classifies them."""
N_COMPARED = 20
"""Pictures whose scores must agree between the notebook's network and the same network served."""
MAX_DIFFERENCE = 1e-3
SIDES = ("notebook", "notebook_served", "heartbeat")


def measure(folder: Path, *, n: dict[str, int]) -> dict[str, Any]:
    """Classify the same beats in three ways.

    Parameters
    ----------
    folder : for pictures and untrained networks
    n : for each of ``SIDES``, how many pictures

    Returns
    -------
    dict
        For each of ``SIDES``: ``n``, ``wall_ms`` and ``cpu_ms`` (a picture), ``start_s``, ``start_mb``, ``peak_mb``, ``network``;
        and ``max_score_difference`` between the two that are the same network.

    Raises
    ------
    RuntimeError
        If these two do not give the same scores.
    """
    found: dict[str, Any] = {}
    scores: dict[str, list[float]] = {}
    for side in SIDES:
        recipe = "heartbeat" if side == "heartbeat" else "notebook"
        models, network = models_folder(folder / "models", recipe)
        pngs = folder / f"{side}_{n[side]}"
        in_own_process(draw, folder=str(pngs), recipe=recipe, n=n[side], as_savefig_writes=side == "notebook")
        if side == "notebook":
            usage = in_own_process(by_notebook, pngs=str(pngs), models=str(models))
        else:
            usage = in_own_process(served, pngs=str(pngs), models=str(models), recipe=recipe)
        scores[side] = usage.result
        found[side] = _figures(usage, n=n[side]) | {"network": network}
    n_both = min(N_COMPARED, n["notebook"], n["notebook_served"])
    difference = float(np.abs(np.subtract(scores["notebook"][:n_both], scores["notebook_served"][:n_both])).max())
    if difference > MAX_DIFFERENCE:
        raise RuntimeError(f"the notebook's network and the same network served differ by {difference} in their scores")
    return found | {"max_score_difference": difference}


def _figures(usage: Usage, *, n: int) -> dict[str, Any]:
    return {
        "n": n,
        "wall_ms": 1000 * usage.wall_s / n,
        "cpu_ms": 1000 * usage.cpu_s / n,
        "start_s": usage.start_wall_s,
        "start_mb": usage.start_mb,
        "peak_mb": usage.peak_mb,
    }


def draw(folder: str, recipe: str, n: int, as_savefig_writes: bool) -> Work:  # noqa: FBT001 - always given by name
    """Case: one PNG a beat, in files named by their order."""
    from benchmarks import notebook_method
    from ecg_tasks.signals.recipes import get_recipe

    def work() -> None:
        Path(folder).mkdir(parents=True)
        for at, png in enumerate(get_recipe(recipe).render(heartbeat_records(n, seed=SEED)).png):
            (Path(folder) / f"{at:06d}.png").write_bytes(notebook_method.as_savefig_writes(png) if as_savefig_writes else png)

    return work


def by_notebook(pngs: str, models: str) -> Work:
    """Case: the notebook's network, one ``predict`` a picture; gives the scores."""
    import keras

    from benchmarks import notebook_method

    champion = next(champion for champion in registry.shipped_champions(Path(models)) if champion.recipe == "notebook")
    weights = keras.saving.load_model(Path(models) / "notebook" / champion.version / "model.keras", compile=False).get_weights()
    model = notebook_method.build_network(weights)
    files = _read(pngs)
    notebook_method.classify(files[0], model)  # the first call traces and compiles

    return lambda: [notebook_method.classify(png, model)[1] for png in files]


def served(pngs: str, models: str, recipe: str) -> Work:
    """Case: this project's way from PNGs to decisions; gives the windows' scores."""
    from ecg_tasks.offline.classify_file import shipped_classifier
    from ecg_tasks.signals.recipes import get_recipe

    chosen, classifier = get_recipe(recipe), shipped_classifier(recipe, Path(models))
    files = _read(pngs)

    def work() -> list[float]:
        scores = np.concatenate(
            [classifier.predict(chosen.decode(files[start : start + WINDOWS_AT_ONCE])) for start in range(0, len(files), WINDOWS_AT_ONCE)]
        )
        classifier.decide(np.arange(len(files)), scores, np.ones(len(files)), n_records=len(files))
        found: list[float] = scores.tolist()
        return found

    return work


def _read(pngs: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(Path(pngs).iterdir())]
