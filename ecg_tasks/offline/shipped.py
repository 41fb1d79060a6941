"""Here: model versions in a folder, found and loaded with what they were trained on. Not here: versions in a bucket (``archive``)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ecg_tasks.archive import registry
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.evaluation.baselines import LogisticBaseline
from ecg_tasks.learning.serving import Classifier
from ecg_tasks.learning.version import METRICS, SUMS, Metrics, ModelSpec
from ecg_tasks.pipeline.champions.versions import TrainedOn


@dataclass(frozen=True, kw_only=True, eq=False)
class ShippedModel:
    """A version from a folder, checked and ready to classify."""

    files: Mapping[str, bytes]

    @cached_property
    def classifier(self) -> Classifier:
        """The network at work."""
        return Classifier.from_files(self.files)

    @property
    def spec(self) -> ModelSpec:
        """What it is."""
        return self.classifier.spec

    def trained_on(self, *, key: bytes | None) -> TrainedOn:
        """Return what it has seen; ``key`` is that of the patients of this installation, if there is one."""
        return TrainedOn.of_version(self.files, key=key)

    @cached_property
    def baselines(self) -> Mapping[str, LogisticBaseline]:
        """The simpler methods that were fitted beside it; none in a version from before they were kept."""
        return Metrics.from_json(self.files[METRICS]).baseline_models


def find_models(folder: Path, *, recipes: Sequence[str], wanted: str | None = None) -> list[ShippedModel]:
    """Return the champions of these recipes in a folder laid out as ``models/`` in the bucket, or the one version that is wanted.

    Parameters
    ----------
    folder : where versions lie
    recipes : whose models are asked for, in the order in which they are asked
    wanted : a version's name, or the folder of one

    Raises
    ------
    ConfigurationError
        If there is none, or the one wanted is of another recipe.
    """
    if wanted is None:
        champions = {champion.recipe: champion for champion in registry.shipped_champions(folder)}
        found = [ShippedModel(files=registry.read_shipped(folder, champions[name])) for name in recipes if name in champions]
        if not found:
            raise ConfigurationError(f"there is no {' or '.join(recipes)} model in {folder}; train one with the DAG retrain_model")
        return found
    places = [Path(wanted)] if (Path(wanted) / SUMS).is_file() else [path.parent for path in sorted(folder.glob(f"*/*/{SUMS}"))]
    version = next((path for path in places if path == Path(wanted) or path.name == wanted), None)
    if version is None:
        there = ", ".join(f"{path.parent.name} {path.name}" for path in places) or "none"
        raise ConfigurationError(f"there is no model {wanted!r} in {folder}, and it is not the folder of one; there are: {there}")
    model = ShippedModel(files=registry.read_folder(version))
    if model.spec.recipe not in recipes and len(recipes) == 1:
        raise ConfigurationError(f"the model {wanted} is of the recipe {model.spec.recipe}, not {recipes[0]}")
    return [model]
