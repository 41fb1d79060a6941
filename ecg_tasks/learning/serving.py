"""Here: a model version at work, without TensorFlow. Not here: reading pictures or storing predictions."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import ModelRefusedError, SignalError
from ecg_tasks.learning import runtimes
from ecg_tasks.learning.added import Adapter
from ecg_tasks.learning.decisions import RecordDecisions, decide
from ecg_tasks.learning.version import GOLDEN, SPEC, Golden, ModelSpec, check_checksums

MAX_GOLDEN_DIFFERENCE = 1e-4
"""Largest difference between the score of a golden picture at training and this runtime's; beyond it a version is refused."""
MAX_BATCH = 32
"""Windows in one call of the network; larger is no faster."""
MAX_BATCH_VALUES = 2**20
"""Values in the pictures of one call: large pictures go fewer at a time, so that memory stays bounded."""


class Classifier:
    """A model version that has been checked and is ready to classify.

    Every call of the network has the same number of windows, the last of them filled up with empty pictures: a window's
    score is the same to the last bit whatever other windows are in the call.

    Use ``from_files``; a classifier belongs to one thread at a time. ``typical`` is the picture that explanations compare others with.
    """

    def __init__(self, spec: ModelSpec, network: bytes, *, n_threads: int, typical: NDArray[np.uint8] | None = None) -> None:
        self.spec = spec
        self.typical = typical
        self._network = runtimes.load(spec.network_file, network, n_threads=n_threads)
        shape, dtype = self._network.shape, self._network.dtype
        self._adapter: Adapter | None = None
        if spec.added is not None:
            adapter = Adapter(
                spec.added.description, image_shape=spec.image_shape, shape=shape, dtype=dtype, n_values=self._network.n_values
            )
            self._adapter, self.n_outputs, read = adapter, adapter.n_outputs, adapter.shape
            self._batch = self._network.batch or 1  # of somebody else's network it is not known whether windows leave one another alone
        elif shape != tuple(spec.image_shape) or dtype != np.uint8:
            raise ModelRefusedError(
                f"{spec.network_file} reads {dtype} pictures of shape {shape}; {SPEC} says uint8 of {tuple(spec.image_shape)}"
            )
        else:
            self.n_outputs, read = self._network.n_values, tuple(spec.image_shape)
            self._batch = max(1, min(MAX_BATCH, MAX_BATCH_VALUES // int(np.prod(spec.image_shape))))
        if absent := [one.name for one in spec.classes if one.output >= self.n_outputs]:
            raise ModelRefusedError(f"{spec.network_file} has {self.n_outputs} outputs; {SPEC} says that others report {', '.join(absent)}")
        self._network.prepare(self._batch, read)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], *, n_threads: int = 1) -> "Classifier":
        """Load a version and refuse it unless it is whole and does what its own record says.

        Parameters
        ----------
        files : file name to content; ``model.keras`` and other files that serving does not read may be left out
        n_threads : processors that one call uses; with 1, several tasks side by side do not get in each other's way

        Raises
        ------
        ModelRefusedError
            If a checksum, the specification, the shape of the pictures or a golden score is not as recorded.
        """
        check_checksums(files, needed=(SPEC, GOLDEN))
        spec = ModelSpec.from_json(files[SPEC])
        check_checksums(files, needed=(spec.network_file,))
        golden = Golden.from_bytes(files[GOLDEN])
        classifier = cls(spec, files[spec.network_file], n_threads=n_threads, typical=_typical(golden))
        if len(golden.images) == 0 or golden.images.shape[1:] != tuple(classifier.spec.image_shape):
            raise ModelRefusedError(f"{GOLDEN} has pictures of shape {golden.images.shape}; {SPEC} says {classifier.spec.image_shape}")
        scores = classifier.predict_outputs(golden.images)
        if golden.scores.size != scores.size:
            raise ModelRefusedError(f"{GOLDEN} has scores of shape {golden.scores.shape}; {spec.network_file} gives {scores.shape}")
        difference = float(np.abs(scores - golden.scores.reshape(scores.shape)).max())
        if not difference <= MAX_GOLDEN_DIFFERENCE:
            raise ModelRefusedError(f"golden scores differ by {difference:.2g} from those at training; {MAX_GOLDEN_DIFFERENCE} is allowed")
        return classifier

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return P(abnormal) of each window, shape (n,), float32: the first column of `predict_outputs`."""
        return self.predict_outputs(images)[:, 0]

    def predict_outputs(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return all that the network says of each window.

        Parameters
        ----------
        images : ndarray, shape (n, height, width, channels), uint8, as the recipe decodes them

        Returns
        -------
        ndarray, shape (n, n_outputs), float32: P(abnormal), then the classes that it was trained for, before any calibration

        Raises
        ------
        SignalError
            If the pictures are not of this model's shape or type.
        ModelRefusedError
            If the network gives something that is no probability: nothing that it says can be trusted then.
        """
        if images.dtype != np.uint8 or images.shape[1:] != tuple(self.spec.image_shape):
            raise SignalError(
                f"pictures are {images.dtype} of shape {images.shape}; this model reads uint8 of (n, *{self.spec.image_shape})"
            )
        scores = np.empty((len(images), self.n_outputs), np.float32)
        filled = np.zeros((self._batch, *images.shape[1:]), np.uint8)
        for start in range(0, len(images), self._batch):
            chunk = images[start : start + self._batch]
            filled[: len(chunk)] = chunk
            filled[len(chunk) :] = 0
            scores[start : start + len(chunk)] = self._answer(filled)[: len(chunk)]
        are_probabilities = ((scores >= 0) & (scores <= 1)).all(axis=1)  # nan is neither
        if not are_probabilities.all():
            none = f"{np.count_nonzero(~are_probabilities)} of {len(scores)} pictures"
            raise ModelRefusedError(f"{self.spec.recipe} {self.spec.version} gives no probability for {none}; promote another version")
        return scores

    def _answer(self, images: NDArray[np.uint8]) -> NDArray[np.floating]:
        """Return what the network says of one batch of pictures, shape (batch, n_outputs)."""
        if self._adapter is None:
            return self._network(images)
        return self._adapter.probabilities(self._network(self._adapter.read(images)))

    def decide(
        self, record: NDArray[np.integer], probabilities: NDArray[np.floating], quality: NDArray[np.floating], n_records: int
    ) -> RecordDecisions:
        """Decide on records by this model's own rule, on classes too if all outputs are given; parameters as in ``decisions.decide``."""
        return decide(record, probabilities, quality, n_records=n_records, rule=self.spec.rule)


def _typical(golden: Golden) -> NDArray[np.uint8]:
    """Return the picture that explanations compare with; of a version that has none, the median of its golden pictures."""
    if golden.typical is not None:
        return golden.typical
    median: NDArray[np.uint8] = np.median(golden.images, axis=0).astype(np.uint8)
    return median
