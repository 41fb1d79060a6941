"""Here: the model versions that the benchmarks serve: the shipped champions, or untrained networks. Not here: serving them.

An untrained network costs what a trained one costs: the same sums with other numbers. Its decisions mean nothing.
"""

import json
from pathlib import Path

import numpy as np

from benchmarks.processes import Work, in_own_process
from ecg_tasks.archive import registry
from ecg_tasks.learning.version import SPEC, ModelSpec
from ecg_tasks.pipeline.champions.seed import SHIPPED_MODELS
from ecg_tasks.signals.recipes import get_recipe

UNTRAINED = "untrained"
"""Name of the version of an untrained network."""


def models_folder(folder: Path, recipe: str) -> tuple[Path, str]:
    """Make a folder laid out as ``models/`` with a champion of the recipe, and in words which network that is.

    Parameters
    ----------
    folder : where an untrained one is made if no champion is shipped that reads the pictures of today
    """
    for champion in registry.shipped_champions(SHIPPED_MODELS):
        if champion.recipe == recipe:
            spec = ModelSpec.from_json(registry.read_shipped(SHIPPED_MODELS, champion)[SPEC])
            if spec.recipe_digest == get_recipe(recipe).digest:
                return SHIPPED_MODELS, f"shipped champion {champion.version}"
    if not (folder / recipe).exists():
        in_own_process(make_untrained, folder=str(folder), recipe=recipe)
    return folder, "untrained weights, which cost the same"


def make_untrained(folder: str, recipe: str) -> Work:
    """Case: write a version with fresh random weights, and let it serve."""
    from ecg_tasks.archive.documents import Training, TrainingJob
    from ecg_tasks.evaluation.summary import evaluate
    from ecg_tasks.learning.export import export_litert, keras_scores
    from ecg_tasks.learning.framework import import_keras
    from ecg_tasks.learning.keras_file import save_network
    from ecg_tasks.learning.networks import build_network
    from ecg_tasks.learning.runtimes import LITERT
    from ecg_tasks.learning.version import KERAS, Golden, version_files
    from ecg_tasks.pipeline.training.candidate import golden_pictures, provisional_spec

    keras = import_keras()

    def work() -> None:
        chosen = get_recipe(recipe)
        keras.utils.set_random_seed(0)
        model = build_network(chosen.network, chosen.image_shape)
        saved = save_network(chosen.network, chosen.image_shape, [model.get_weights()])
        spec = provisional_spec(
            work=TrainingJob(
                run="none",
                recipe=recipe,
                dataset_id="none",
                epochs=0,
                seed=0,
                version=UNTRAINED,
                credits=("nothing: its weights are random",),
            ),
            recipe=chosen,
            training=Training(params={}, ensemble_size=1, kept_epochs=(), epochs=(), n_weights=model.count_params()),
            synthetic=True,
        )
        figures = evaluate(np.arange(20) % 2, np.full(20, 0.5), np.arange(20).astype(str), threshold=0.5, seed=0, n_resamples=20)
        golden = golden_pictures(chosen)
        files = version_files(
            spec=spec,
            network={KERAS: saved, LITERT: export_litert(saved)},
            metrics={"test": figures.as_dict()},
            golden=Golden(images=golden, scores=keras_scores(saved, golden)),
            splits={},
            patients=[],
            pictures={},
        )
        version = Path(folder) / recipe / UNTRAINED
        version.mkdir(parents=True)
        for name, content in files.items():
            (version / name).write_bytes(content)
        champion = {"recipe": recipe, "version": UNTRAINED, "since": "", "who": "benchmarks", "why": "for its speed alone", "history": []}
        (Path(folder) / recipe / "champion.json").write_text(json.dumps(champion))

    return work
