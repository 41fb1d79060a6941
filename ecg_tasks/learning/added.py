"""Here: what is stated of a network that somebody else trained, what it reads of our pictures, and what its answers mean.

Not here: whether its file is harmless (``added_file``), or running it (``runtimes``).
"""

import re
import tomllib
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import ModelRefusedError
from ecg_tasks.labels import ClassList, in_order
from ecg_tasks.names import RecipeName
from ecg_tasks.signals.lead_names import standard_name
from ecg_tasks.signals.record import STANDARD_LEADS
from ecg_tasks.signals.rendering import LeadSamples
from ecg_tasks.signals.resampling import resample

DESCRIPTION = "description.toml"
MAX_DESCRIPTION_BYTES = 2**16
PICTURE_AXES = ("height", "width", "channels")
SAMPLE_AXES = ("leads", "time")
UNITS = {"mV": 1.0, "uV": 1000.0}
"""How many of a unit make one mV."""
MAX_TEXT = 2000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._()+-]{0,99}", re.ASCII)
SAMPLES = LeadSamples()
LOWEST_FS, HIGHEST_FS = 50.0, 1000.0
"""Hz."""
SHORTEST_S, LONGEST_S = 5.0, 20.0
"""A window has ten seconds: of a network that reads less, the middle is read; around one that reads more are zeros."""


class _Stated(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a description: a field that is not known is refused, for it would say something that is not done."""


class NetworkInput(_Stated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the network reads.

    Parameters
    ----------
    layout : names of its axes behind the batch: height, width and channels of pictures, leads and time of samples, in any order
    scale : what pixels (0 to 255), or samples in their unit, are multiplied by; 1 for a network that takes them as they are
    leads : of samples: which leads, in its order; empty: the twelve in the usual order
    fs : of samples: Hz
    unit : of samples: mV or uV
    """

    layout: tuple[str, ...] = ()
    scale: float = 1.0
    leads: tuple[str, ...] = ()
    fs: float = 0.0
    unit: Literal["mV", "uV"] = "mV"

    @property
    def is_of_samples(self) -> bool:
        """Whether anything is stated that only samples have."""
        return bool(self.leads or self.fs or self.unit != "mV")


class NetworkOutput(_Stated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the network answers: one row of numbers for each window.

    Parameters
    ----------
    values : ``probability``, ``log-odds`` (each number by itself) or ``softmax`` (the numbers become probabilities together)
    abnormal : index of the number that stands for abnormal; or, in its place,
    normal : index of the number that stands for normal
    classes : index of the number of each class that it knows
    """

    values: Literal["probability", "log-odds", "softmax"]
    abnormal: int | None = None
    normal: int | None = None
    classes: dict[str, int] = {}


class Description(_Stated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What its author, or who adds it, states of a network.

    Parameters
    ----------
    name : what it is called
    reads : ``<recipe>@<digest>``, whose pictures it reads; those of the recipe ``lead_samples`` are pictures in this sense
    licence : under which it may be used
    source : where it comes from: an address, a paper
    learnt_from : collections or hospitals whose patients it has seen; empty where nobody says so
    """

    name: str
    reads: str
    licence: str
    source: str
    learnt_from: tuple[str, ...] = ()
    input: NetworkInput = NetworkInput()
    output: NetworkOutput

    @classmethod
    def from_toml(cls, data: bytes) -> "Description":
        """Read a description.

        Raises
        ------
        ModelRefusedError
            If it is no TOML, or a field is unknown, missing or impossible; the message names it.
        """
        if len(data) > MAX_DESCRIPTION_BYTES:
            raise ModelRefusedError(f"the description has {len(data):,} bytes; {MAX_DESCRIPTION_BYTES:,} are enough")
        try:
            stated = tomllib.loads(data.decode())
        except (ValueError, RecursionError) as error:
            raise ModelRefusedError(f"the description is no TOML: {error}") from None
        return cls.from_plain(stated)

    @classmethod
    def from_plain(cls, stated: Any) -> "Description":
        """Read what ``as_dict`` returned, or TOML as Python has it; `ModelRefusedError` if it says anything impossible."""
        try:
            found = msgspec.convert(stated, cls)
        except msgspec.ValidationError as error:
            raise ModelRefusedError(f"the description cannot be read: {error}") from None
        if fault := found.fault():
            raise ModelRefusedError(f"the description cannot be right: {fault}")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for ``model.json``."""
        return dict(msgspec.to_builtins(self))

    @property
    def recipe(self) -> str:
        """The recipe whose pictures it reads."""
        return self.reads.partition("@")[0]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that it knows, in our order."""
        return in_order(self.output.classes)

    @property
    def credit(self) -> str:
        """One line that says whose it is."""
        return f"{self.name}: {self.source} ({self.licence})"

    def fault(self) -> str:
        """Return what cannot be right in it, or nothing."""
        said = self.output
        columns = [one for one in (said.abnormal, said.normal) if one is not None]
        lines = {"reads": self.reads, "licence": self.licence, "source": self.source}
        faults = (
            (not _NAME.fullmatch(self.name), "name must be 1 to 100 letters, digits, blanks and marks out of . _ ( ) + -"),
            *((not _is_line(text), f"{name} must be one line of text") for name, text in lines.items()),
            *((not _is_line(text), "learnt_from must be lines of text") for text in self.learnt_from),
            (not all(self.reads.partition("@")), f"reads is {self.reads!r}; it must be <recipe>@<digest>, as cards say"),
            (len(columns) != 1, "output must have either abnormal or normal"),
            (any(column < 0 for column in (*columns, *said.classes.values())), "an index of output is negative"),
            (len(set(said.classes.values())) < len(said.classes), "two classes of output have the same index"),
            *((not _is_class(name), f"{name!r} is not a name of a class") for name in said.classes),
            (not 0 < self.input.scale < np.inf, "scale must be a number above 0"),
            (self.recipe != RecipeName.LEAD_SAMPLES and self.input.is_of_samples, "leads, fs and unit are of samples alone"),
        )
        return next((fault for is_wrong, fault in faults if is_wrong), "")


def _is_line(text: str) -> bool:
    return 0 < len(text.strip()) <= MAX_TEXT and text.isprintable()


def _is_class(name: str) -> bool:
    try:
        found = ClassList.read(name)
    except ValueError:
        return False
    return found is not None and found.is_whole and found.names == {name}


class Adapter:
    """Between our pictures and somebody else's network: pictures to what it reads, and what it answers to probabilities.

    Parameters
    ----------
    stated : its description
    image_shape : height, width and channels of the recipe's pictures
    shape : what the network's file reads, without the batch; None for a length that the file leaves open
    n_values : numbers in its answer

    Raises
    ------
    ModelRefusedError
        If the network cannot be what the description says.
    """

    def __init__(
        self, stated: Description, *, image_shape: Sequence[int], shape: Sequence[int | None], dtype: np.dtype[Any], n_values: int
    ) -> None:
        self._stated = stated
        self._dtype = dtype
        said = stated.output
        self._columns = [
            said.abnormal if said.abnormal is not None else said.normal or 0,
            *map(said.classes.__getitem__, stated.class_names),
        ]
        if max(self._columns) >= n_values:
            raise ModelRefusedError(f"the network gives {n_values} numbers; the description names number {max(self._columns)}")
        if dtype not in (np.dtype(np.uint8), np.dtype(np.float32)):
            raise ModelRefusedError(f"the network reads {dtype}; uint8 and float32 are known")
        if dtype == np.uint8 and stated.input.scale != 1:
            raise ModelRefusedError("the network reads uint8: its pictures cannot be scaled")
        self._of_samples = stated.recipe == RecipeName.LEAD_SAMPLES
        axes = SAMPLE_AXES if self._of_samples else PICTURE_AXES
        layout = stated.input.layout or axes
        if sorted(layout) != sorted(axes):
            raise ModelRefusedError(f"the layout is {', '.join(layout)}; it must be {', '.join(axes)} in some order")
        self._order = tuple(axes.index(name) for name in layout)
        lengths = self._sample_lengths(shape, layout) if self._of_samples else tuple(image_shape)
        wanted = tuple(lengths[axis] for axis in self._order)
        self.shape = wanted
        if len(shape) != len(wanted) or any(size not in (None, want) for size, want in zip(shape, wanted, strict=True)):
            told = " × ".join("?" if size is None else str(size) for size in shape)
            raise ModelRefusedError(f"the network reads {told}; by its description it is {' × '.join(map(str, wanted))}")

    @property
    def n_outputs(self) -> int:
        """Probabilities that come of its answer: of abnormal, and of each class."""
        return len(self._columns)

    def read(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        """Return what the network reads of pictures, shape (n, *shape)."""
        stated = self._stated.input
        if not self._of_samples:
            return np.ascontiguousarray(self._laid_out(images if self._dtype == np.uint8 else images * np.float32(stated.scale)))
        samples = SAMPLES.samples(images)[:, self._leads]
        moved = resample(samples, fs=SAMPLES.fs, target_fs=stated.fs) * np.float32(UNITS[stated.unit] * stated.scale)
        return np.ascontiguousarray(self._laid_out(_of_length(moved, self._n_samples)).astype(np.float32))

    def probabilities(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return P(abnormal) and of each class, shape (n, n_outputs), of the network's numbers, shape (n, n_values)."""
        said = self._stated.output
        exact = values.astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused by who asked
            if said.values == "log-odds":
                exact = 1 / (1 + np.exp(-exact))
            elif said.values == "softmax":
                powers = np.exp(exact - exact.max(axis=1, keepdims=True))
                exact = powers / powers.sum(axis=1, keepdims=True)
        chosen = exact[:, self._columns]
        if said.abnormal is None:
            chosen[:, 0] = 1 - chosen[:, 0]
        return chosen.astype(np.float32)

    def _laid_out(self, values: NDArray[Any]) -> NDArray[Any]:
        return values.transpose(0, *(1 + axis for axis in self._order))

    def _sample_lengths(self, shape: Sequence[int | None], layout: Sequence[str]) -> tuple[int, int]:
        stated = self._stated.input
        if not LOWEST_FS <= stated.fs <= HIGHEST_FS:
            raise ModelRefusedError(f"fs is {stated.fs:g} Hz; it must be from {LOWEST_FS:g} to {HIGHEST_FS:g}")
        names = [standard_name(name) for name in stated.leads] or list(STANDARD_LEADS)
        if unknown := [name for name in names if name not in STANDARD_LEADS]:
            raise ModelRefusedError(f"{', '.join(unknown)} is none of the leads {', '.join(STANDARD_LEADS)}")
        self._leads = [STANDARD_LEADS.index(name) for name in names]
        along = layout.index("time")
        told = shape[along] if len(shape) == len(layout) else None
        self._n_samples = told or round(SAMPLES.n_samples / SAMPLES.fs * stated.fs)
        seconds = self._n_samples / stated.fs
        if not SHORTEST_S <= seconds <= LONGEST_S:
            raise ModelRefusedError(f"the network reads {seconds:g} s; it must be from {SHORTEST_S:g} to {LONGEST_S:g}")
        return len(names), self._n_samples


def _of_length(samples: NDArray[np.float32], n_samples: int) -> NDArray[np.float32]:
    """Return the middle of samples, or samples between zeros, shape (n, n_leads, n_samples)."""
    more = samples.shape[2] - n_samples
    if more >= 0:
        return samples[:, :, more // 2 : more // 2 + n_samples]
    before = -more // 2
    return np.pad(samples, ((0, 0), (0, 0), (before, -more - before)))
