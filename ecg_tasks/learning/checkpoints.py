"""Here: what a training must remember between two epochs, as bytes. Not here: where they are kept (``Checkpoints`` is given)."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Arrays = Sequence[NDArray[Any]]


class Checkpoints(Protocol):
    """The place where a training leaves its state after every epoch."""

    def load(self) -> tuple[int, bytes] | None:
        """Return the latest state and the number of epochs, of all members, that it was left after, or None."""

    def save(self, n_epochs: int, data: bytes) -> None:
        """Keep the state after so many epochs; older ones may go."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one pass over the training set gave.

    ``loss`` is the weighted mean over the training windows; ``validation_loss`` (log loss) and ``validation_auroc`` count
    every validation record once. ``windows_per_s`` is the pace of training, validation apart, and ``waiting`` the share of that
    time in which the network waited for its next batch; both are of the machine and the moment, and make no difference
    between two epochs.
    """

    epoch: int
    loss: float
    validation_loss: float
    validation_auroc: float
    windows_per_s: float = field(compare=False)
    waiting: float = field(compare=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Member:
    """A member of an ensemble whose training is over: its epochs, and its weights after the best of them."""

    history: tuple[Epoch, ...]
    weights: Arrays


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingState:
    """Everything that the next epoch depends on; random numbers are drawn again from the seed, the member and the epoch.

    Parameters
    ----------
    job : digest of the parameters and the data, so that no training goes on with another's state
    finished : the members before the present one
    history : one entry an epoch of the present member
    model : all variables of the model, the state of its random layers included
    optimizer : all variables of the optimizer
    best : weights of the model after the best epoch
    """

    job: str
    finished: tuple[Member, ...]
    history: tuple[Epoch, ...]
    model: Arrays
    optimizer: Arrays
    best: Arrays

    @property
    def n_epochs(self) -> int:
        """Epochs of all members so far."""
        return sum(len(member.history) for member in self.finished) + len(self.history)

    def to_bytes(self) -> bytes:
        """Return an ``.npz`` file without pickles."""
        histories = [[asdict(epoch) for epoch in history] for history in (*(member.history for member in self.finished), self.history)]
        head = json.dumps({"job": self.job, "histories": histories})
        groups = {"model": self.model, "optimizer": self.optimizer, "best": self.best}
        groups |= {f"member{number}": member.weights for number, member in enumerate(self.finished)}
        arrays = {f"{name}_{index}": array for name, group in groups.items() for index, array in enumerate(group)}
        buffer = io.BytesIO()
        np.savez(buffer, head=np.array(head), **arrays)  # type: ignore[arg-type]  # the stubs take **arrays for allow_pickle
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "TrainingState | None":
        """Read what ``to_bytes`` returned; None where the bytes are no such state, so that training starts from the beginning."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                head = json.loads(str(file["head"]))
                groups: dict[str, list[NDArray[Any]]] = {"model": [], "optimizer": [], "best": []}
                for name in file.files:  # in the order they were written
                    if name != "head":
                        groups.setdefault(name.rpartition("_")[0], []).append(file[name])
            *finished, history = [tuple(Epoch(**epoch) for epoch in history) for history in head["histories"]]
            return cls(
                job=head["job"],
                finished=tuple(Member(history=epochs, weights=groups[f"member{number}"]) for number, epochs in enumerate(finished)),
                history=history,
                model=groups["model"],
                optimizer=groups["optimizer"],
                best=groups["best"],
            )
        except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile):
            return None
