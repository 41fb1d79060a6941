"""Here: small random changes to pictures while training, in NumPy and on uint8. Not here: when they are used (``training``)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How much is changed; 0 switches a change off, and all are off unless set.

    Parameters
    ----------
    time_shift : largest shift along the time axis, as a share of the width; what leaves on one side comes in on the other
    frequency_mask : largest height of the band that is blanked, as a share of the height (all channels)
    time_mask : largest width of the stretch that is blanked, as a share of the width (all channels)
    lead_dropout : probability that a channel is blanked; the last one left never is
    mixup : ``alpha`` of the Beta distribution that mixes pictures and labels in pairs; larger mixes more

    References
    ----------
    Masks: Park et al. (SpecAugment), arXiv 1904.08779. Mixup: Zhang et al., arXiv 1710.09412.
    """

    time_shift: float = 0.0
    frequency_mask: float = 0.0
    time_mask: float = 0.0
    lead_dropout: float = 0.0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        for name in ("time_shift", "frequency_mask", "time_mask", "lead_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigurationError(f"{name}={getattr(self, name)}; it must lie in [0, 1)")
        if not self.mixup >= 0:
            raise ConfigurationError(f"mixup={self.mixup}; it must not be negative")


NO_AUGMENTATION = Augmentation()


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """What one training step sees.

    Parameters
    ----------
    images : ndarray, shape (n, height, width, channels), uint8
    targets : ndarray, shape (n, n_outputs), float32: probabilities to be learnt; between 0 and 1 after mixup
    weights : ndarray, shape (n, n_outputs), float32; 0 where the target is not known
    """

    images: NDArray[np.uint8]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]


def augment(batch: Batch, *, params: Augmentation, rng: np.random.Generator) -> Batch:
    """Apply the changes that are switched on to a copy of the batch; blank is 0, the floor of the level scale."""
    images = batch.images.copy()
    n, height, width, channels = images.shape
    if params.time_shift:
        largest = int(params.time_shift * width)
        images = _shift(images, rng.integers(-largest, largest + 1, size=(n, 1)))
    if params.frequency_mask:
        images[_stretches(rng, n=n, size=height, share=params.frequency_mask)] = 0
    if params.time_mask:
        images.swapaxes(1, 2)[_stretches(rng, n=n, size=width, share=params.time_mask)] = 0
    if params.lead_dropout and channels > 1:
        drawn = rng.random((n, channels))
        dropped = (drawn < params.lead_dropout) & (drawn < drawn.max(axis=1, keepdims=True))
        images *= ~dropped[:, None, None, :]
    if params.mixup:
        share = rng.beta(params.mixup, params.mixup, size=(n,)).astype(np.float32)
        return _mix(Batch(images=images, targets=batch.targets, weights=batch.weights), share=share, partner=rng.permutation(n))
    return Batch(images=images, targets=batch.targets, weights=batch.weights)


def _shift(images: NDArray[np.uint8], steps: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Rotate each picture along its time axis by its own number of columns, ``steps`` of shape (n, 1)."""
    width = images.shape[2]
    columns = (np.arange(width) - steps) % width
    return np.take_along_axis(images, columns[:, None, :, None], axis=2)


def _stretches(rng: np.random.Generator, *, n: int, size: int, share: float) -> NDArray[np.bool_]:
    """Return one random stretch of 0 to ``share * size`` places for each of ``n`` pictures, as a mask of shape (n, size)."""
    length = rng.integers(0, int(share * size) + 1, size=(n, 1))
    start = rng.integers(0, size - length + 1)
    place = np.arange(size)
    return np.asarray((place >= start) & (place < start + length))


def _mix(batch: Batch, *, share: NDArray[np.float32], partner: NDArray[np.intp]) -> Batch:
    """Mix each picture, target and weight with its partner's: ``share`` of its own, the rest of the partner's.

    Where one of the two targets is not known, the mixture is not known.
    """
    pixel_share, share = share[:, None, None, None], share[:, None]
    known = (batch.weights > 0) & (batch.weights[partner] > 0)
    mixed = pixel_share * batch.images + (1 - pixel_share) * batch.images[partner]
    return Batch(
        images=np.rint(mixed).astype(np.uint8),
        targets=share * batch.targets + (1 - share) * batch.targets[partner],
        weights=np.where(known, share * batch.weights + (1 - share) * batch.weights[partner], np.float32(0)),
    )
