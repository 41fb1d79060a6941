"""Here: how a network is trained, and with what each recipe is. Not here: the training itself (``training``)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from ecg_tasks.errors import ConfigurationError
from ecg_tasks.learning.augmentation import NO_AUGMENTATION, Augmentation
from ecg_tasks.names import RecipeName


@dataclass(frozen=True, kw_only=True)
class TrainingParams:
    """How a network is trained.

    Parameters
    ----------
    seed : of weights, order, augmentation and dropout
    epochs : passes over the training set at most; the learning rate falls to 0 over all of them, along a cosine
    batch_size : windows a step; smaller means more and noisier steps
    learning_rate : at the start
    weight_decay : of AdamW; 0 makes it Adam; larger keeps weights smaller
    patience : epochs without a lower validation loss after which training stops
    ensemble_size : networks that are trained and whose log-odds are averaged; each holds out other patients
    balance : let both classes count the same, see ``TrainingSet.weights``
    augmentation : see ``Augmentation``

    References
    ----------
    Adam: Kingma and Ba, arXiv 1412.6980. AdamW: Loshchilov and Hutter, arXiv 1711.05101; cosine: arXiv 1608.03983.
    """

    seed: int
    epochs: int
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    patience: int = 10
    ensemble_size: int = 1
    balance: bool = False
    augmentation: Augmentation = NO_AUGMENTATION

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience", "ensemble_size"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name}={getattr(self, name)}; it must be at least 1")
        if not self.learning_rate > 0 or not self.weight_decay >= 0:
            raise ConfigurationError(f"learning_rate={self.learning_rate} must be above 0, weight_decay={self.weight_decay} not below")
        if not 0 <= self.seed < 2**32:
            raise ConfigurationError(f"seed={self.seed}; it must lie in [0, 2**32)")

    def as_dict(self) -> dict[str, Any]:
        """Return the parameters as they are stored and as a version's name holds them: ``ensemble_size`` has its first name there."""
        stored = asdict(self)
        stored["n_members"] = stored.pop("ensemble_size")
        return stored


RECIPE_TRAINING: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        RecipeName.NOTEBOOK: {"epochs": 20, "patience": 20},
        RecipeName.HEARTBEAT: {"epochs": 6, "batch_size": 128, "learning_rate": 2e-3, "weight_decay": 1e-2, "patience": 12},
        RecipeName.TWELVE_LEAD: {
            "epochs": 14,
            "batch_size": 32,
            "learning_rate": 2e-3,
            "weight_decay": 2e-2,
            "patience": 14,
            "ensemble_size": 4,
        },
    }
)
"""What each recipe trains with, unless a run says otherwise.

No augmentation: pictures of aligned beats must not be shifted, and of nine kinds tried one by one none raised the AUROC in
cross-validation. Four members for ``twelve_lead`` make its answers depend less on the seed; ``heartbeat`` gained nothing by them
(docs/measurements/tuning.md).
"""


def training_params(recipe: str, *, seed: int, epochs: int | None = None, ensemble_size: int | None = None) -> TrainingParams:
    """Return the parameters that a recipe trains with; ``epochs`` and ``ensemble_size`` override its own.

    Raises
    ------
    ConfigurationError
        If nothing is stated for the recipe.
    """
    if recipe not in RECIPE_TRAINING:
        raise ConfigurationError(f"there are no training parameters for recipe {recipe!r}; there are for {', '.join(RECIPE_TRAINING)}")
    chosen = dict(RECIPE_TRAINING[recipe])
    chosen |= {name: value for name, value in (("epochs", epochs), ("ensemble_size", ensemble_size)) if value is not None}
    return TrainingParams(seed=seed, **chosen)
