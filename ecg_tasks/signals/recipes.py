"""Here: the named ways from a record to pictures, and back from stored pictures to what a network sees.

Not here: how a window is cut (``windowing``), drawn (``rendering``) or assessed (``quality``).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import ConfigurationError, offer
from ecg_tasks.names import RecipeName
from ecg_tasks.signals.flags import Flag, join_flags
from ecg_tasks.signals.lead_checks import LeadFindings, leads_checked
from ecg_tasks.signals.preparing import WINDOW_S, prepare, seconds_read
from ecg_tasks.signals.quality import BeatQuality, Quality, RecordingQuality, SampleQuality
from ecg_tasks.signals.record import Record
from ecg_tasks.signals.rendering import LEAD_STFT, BeatSpectrogram, LeadSamples, LeadSpectrograms, NotebookPicture, PictureAxes
from ecg_tasks.signals.windowing import BeatWindows, RecordingWindows, Windows

RENDERING_VERSION = 3
"""Raise it when the same parameters give other pictures or another quality of what could be drawn before: all is then rendered again.

A record that a recipe did not take, or that is refused because its leads contradict one another, needs no new version."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rendered:
    """What a shard of records became: one row a window, in the order of the records.

    A record that gave no window still has one row: ``window`` -1, an empty ``png``, quality 0, and a flag that says why.

    Parameters
    ----------
    record : shape (n,), int64, index into the records that were rendered
    window : shape (n,), int32, counts from 0 within a record
    start_s : shape (n,), float32, seconds from the record's start
    quality : shape (n,), float32, 0 (useless) to 1 (clean)
    flags : n strings, what is wrong with a window or was done to the recording, comma-joined; empty when nothing is
    read : n strings, the seconds of the recording that were read; empty for a heartbeat row
    png : n PNG files
    """

    record: NDArray[np.int64]
    window: NDArray[np.int32]
    start_s: NDArray[np.float32]
    quality: NDArray[np.float32]
    flags: list[str]
    read: list[str]
    png: list[bytes]

    def __len__(self) -> int:
        return len(self.record)


class _Notes(NamedTuple):
    """What is known of a record as a whole: its flags, the seconds read, and whether the leads that were read can be trusted."""

    flags: str
    read: str
    trusted: bool


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Record to windows to pictures, with every parameter in its name.

    Parameters
    ----------
    name : what it is called in the bucket, in forms and in reports
    windowing : which records it takes and how they are cut
    picture : what is drawn of a window
    quality : what makes a window bad, and from when on
    network : name of the network that reads its pictures; empty where there is none of our own
    min_quality : windows below do not count for a record's decision
    """

    name: str
    windowing: BeatWindows | RecordingWindows
    picture: NotebookPicture | BeatSpectrogram | LeadSpectrograms | LeadSamples
    quality: BeatQuality | RecordingQuality
    network: str
    min_quality: float

    @cached_property
    def digest(self) -> str:
        """12 hex digits of SHA-256 over all parameters and the version of the rendering code."""
        parameters = json.dumps([RENDERING_VERSION, asdict(self)], sort_keys=True)
        return hashlib.sha256(parameters.encode()).hexdigest()[:12]

    @property
    def key(self) -> str:
        """``<name>@<digest>``, the folder of its pictures in the bucket."""
        return f"{self.name}@{self.digest}"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels of what the network sees."""
        return self.picture.image_shape

    def accepts(self, record: Record) -> bool:
        """Return whether this recipe can say anything of the record: its leads and its length are right."""
        return self.windowing.accepts(record)

    def windows(self, records: Sequence[Record]) -> Windows:
        """Cut records into windows, shape (n, n_leads, n_samples); every record must be accepted."""
        return self.windowing.cut(records)

    def render(self, records: Sequence[Record]) -> Rendered:
        """Draw the pictures of all windows of the records, and measure their quality; every record must be accepted.

        A record's rows are the same whichever other records are rendered with it.
        """
        windows = self.windows(records)
        empty = np.setdiff1d(np.arange(len(records)), windows.record)
        quality, without_beats = self._assess(records, windows, empty)
        record = np.concatenate([windows.record, empty])
        order = np.argsort(record, kind="stable")
        notes = list(map(self._notes, records, leads_checked(records)))
        owners = record[order].tolist()
        trusted = np.array([notes[owner].trusted for owner in owners], dtype=bool)
        flags = quality.flags + without_beats
        png = self.picture.encode(windows) + [b""] * len(empty)
        return Rendered(
            record=record[order],
            window=np.concatenate([windows.window, np.full(len(empty), -1, np.int32)])[order],
            start_s=np.concatenate([windows.start_s, np.zeros(len(empty), np.float32)])[order],
            quality=np.where(trusted, np.concatenate([quality.values, np.zeros(len(empty), np.float32)])[order], np.float32(0)),
            flags=[join_flags(flags[row], notes[owner].flags) for row, owner in zip(order, owners, strict=True)],
            read=[notes[owner].read for owner in owners],
            png=[png[row] for row in order],
        )

    def _assess(self, records: Sequence[Record], windows: Windows, empty: NDArray[np.int64]) -> tuple[Quality, list[str]]:
        """Assess the quality of all windows, and the flags of records without any: what is wrong with the recording is in both."""
        quality = self.quality.assess(windows, fs=self.windowing.fs)
        if isinstance(self.quality, RecordingQuality) or isinstance(self.windowing, RecordingWindows):
            return quality, [Flag.NO_BEATS.value] * len(empty)
        around = self.windowing.surroundings(records)
        if not len(around):
            return quality, [Flag.NO_BEATS.value] * len(empty)
        assessed = self.quality.surroundings.assess(around, fs=self.windowing.fs)
        starts = list(zip(around.record.tolist(), around.start_s.tolist(), strict=True))
        grid = {(owner, int(start_s // WINDOW_S)): at for at, (owner, start_s) in enumerate(starts)}
        first = {owner: at for at, (owner, _) in reversed(list(enumerate(starts)))}  # of a shorter stretch there is but one
        index = [
            grid.get((int(owner), int(start_s // WINDOW_S)), first.get(int(owner), -1))
            for owner, start_s in zip(windows.record, windows.start_s, strict=True)
        ]
        flags = [join_flags(Flag.NO_BEATS, *(assessed.flags[at] for at in np.flatnonzero(around.record == record))) for record in empty]
        return quality.joined_by(assessed, index=np.array(index, np.int64)), flags

    def _notes(self, record: Record, checked: LeadFindings) -> "_Notes":
        """Return what is said of a record as a whole, and whether its leads can be trusted."""
        if record.is_heartbeat:
            return _Notes(flags="", read="", trusted=True)
        ready = prepare(record)
        read = self.windowing.stretches(ready)
        return _Notes(
            flags=join_flags(*ready.flags(self.windowing.leads, read), *checked.flags),
            read=seconds_read(read, stored_s=ready.stored_s),
            trusted=checked.suspects.isdisjoint(self.windowing.leads),
        )

    def decode(self, pngs: Sequence[bytes]) -> NDArray[np.uint8]:
        """Return what the network sees, shape (n, height, width, channels), uint8: the only way that training and serving read pictures."""
        return self.picture.decode(pngs)

    def axes(self) -> PictureAxes | None:
        """Return frequencies, times and level range of a picture, to draw it with units; None where it is no spectrogram."""
        return self.picture.axes()


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            Recipe(
                name=RecipeName.TWELVE_LEAD.value,
                windowing=RecordingWindows(),
                picture=LeadSpectrograms(),
                quality=RecordingQuality(),
                network="aligned",
                min_quality=0.5,
            ),
            Recipe(
                name=RecipeName.HEARTBEAT.value,
                windowing=BeatWindows(lenient=True),
                picture=BeatSpectrogram(),
                quality=BeatQuality(),
                network="aligned",
                min_quality=0.5,
            ),
            Recipe(
                name=RecipeName.NOTEBOOK.value,
                windowing=BeatWindows(),
                picture=NotebookPicture(),
                quality=BeatQuality(),
                network="notebook",
                min_quality=0.5,
            ),
            Recipe(
                name=RecipeName.LEAD_SAMPLES.value,
                windowing=RecordingWindows(fs=LeadSamples.fs),
                picture=LeadSamples(),
                quality=SampleQuality(),
                network="",
                min_quality=0.5,
            ),
        )
    }
)
"""Every recipe by its name."""
_EARLIER = tuple(
    replace(RECIPES[RecipeName.TWELVE_LEAD], picture=LeadSpectrograms(stft=replace(LEAD_STFT, hop_length=hop), low_db=-60.0))
    for hop in (8, 4)
)
"""Recipes whose pictures are rendered no more: those that are stored are read, for versions that learnt from them."""


def get_recipe(name: str) -> Recipe:
    """Find a recipe by its name.

    Raises
    ------
    ConfigurationError
        If there is none of that name; the message names those there are.
    """
    if name not in RECIPES:
        raise ConfigurationError(f"there is no recipe {name!r}{offer(name, RECIPES)}")
    return RECIPES[name]


def recipe_of(name: str, digest: str) -> Recipe:
    """Find the recipe that made pictures which a version reads, those that are rendered no more included.

    Parameters
    ----------
    name : of the recipe
    digest : of the recipe as it was, such as ``ModelSpec.recipe_digest``

    Raises
    ------
    ConfigurationError
        If such pictures are not known, or there is no recipe of that name.
    """
    for recipe in (get_recipe(name), *_EARLIER):
        if (recipe.name, recipe.digest) == (name, digest):
            return recipe
    raise ConfigurationError(f"pictures {name}@{digest} cannot be read; pictures made now are {get_recipe(name).key}")
