"""Here: shuffled batches of a training set, prepared while the network works, and how long it waited. Not here: the training itself."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.learning.augmentation import NO_AUGMENTATION, Batch, augment
from ecg_tasks.learning.dataset import NOT_KNOWN, TrainingSet
from ecg_tasks.learning.framework import accelerators, import_keras
from ecg_tasks.learning.parameters import TrainingParams

RESIDENT_BYTES = 2**33
"""Pictures of at most this size are laid into the memory of a graphics processor once; larger sets are sent there batch by batch."""


class Feed:
    """Batches of one training set.

    Where there is a graphics processor and pictures are not changed on their way, they lie in its memory and are gathered
    there; else a thread gathers the next batch (of uint8 pictures, in memory of a batch's size) while the network works on this one.

    Parameters
    ----------
    windows : what to train on
    batch_size : windows a batch; what is left over of an epoch is not seen that time (each epoch leaves out others)
    params : seed, balance and augmentation
    member : number of the member of an ensemble, part of the seed
    """

    def __init__(self, windows: TrainingSet, *, batch_size: int, params: TrainingParams, member: int) -> None:
        self._windows = windows
        self._batch_size = batch_size
        self._params = params
        self._member = member
        self._targets = np.where(windows.truth == NOT_KNOWN, 0, windows.truth).astype(np.float32)
        self._weights = windows.output_weights(balance=params.balance)
        self._resident: Any = None
        if accelerators() and params.augmentation == NO_AUGMENTATION and windows.images.nbytes <= RESIDENT_BYTES:
            self._resident = import_keras().ops.convert_to_tensor(windows.pictures(slice(None)))
        self.waited_s = 0.0

    @property
    def n_steps(self) -> int:
        """Batches an epoch."""
        return len(self._windows) // self._batch_size

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Return the batches of an epoch (the first is 1): for one seed, member and epoch always the same ones."""
        rng = np.random.default_rng([self._params.seed, self._member, epoch])
        order = rng.permutation(len(self._windows))
        places = [np.sort(order[step * self._batch_size : (step + 1) * self._batch_size]) for step in range(self.n_steps)]
        if self._resident is not None:
            for chosen in places:
                yield self._on_device(chosen)
            return
        with ThreadPoolExecutor(max_workers=1) as thread:
            coming = thread.submit(self._gather, places[0], rng)
            for following in (*places[1:], None):
                began = time.perf_counter()
                batch = coming.result()
                self.waited_s += time.perf_counter() - began
                if following is not None:
                    coming = thread.submit(self._gather, following, rng)
                yield batch

    def _gather(self, places: NDArray[np.integer], rng: np.random.Generator) -> Batch:
        batch = Batch(
            images=self._windows.pictures(places),  # in ascending order, for a memory map's sake
            targets=self._targets[places],
            weights=self._weights[places],
        )
        return batch if self._params.augmentation == NO_AUGMENTATION else augment(batch, params=self._params.augmentation, rng=rng)

    def _on_device(self, places: NDArray[np.integer]) -> Batch:
        began = time.perf_counter()
        batch = Batch(
            images=import_keras().ops.take(self._resident, places, axis=0),
            targets=self._targets[places],
            weights=self._weights[places],
        )
        self.waited_s += time.perf_counter() - began
        return batch
