"""Here: one recording in memory and its identity. Not here: reading formats (``readers``) or storing shards (``archive``)."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import SignalError
from ecg_tasks.labels import Label

STANDARD_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
"""The twelve standard leads, in the order that every twelve-lead array here uses."""

HEARTBEAT_FS = 125.0
"""Sampling rate of a heartbeat row, in Hz (Kachuee et al. 2018, arXiv 1805.00794)."""
HEARTBEAT_SAMPLES = 187
"""Samples in a heartbeat row; a shorter beat is padded with zeros at its end."""

OLDEST_AGE = 90.0
"""Years. Whoever is older counts as so old: a higher age may tell who it is."""

Unit = Literal["mV", "relative"]
"""``relative``: a heartbeat row, scaled to [0, 1] before it came here; its level in mV is lost."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """One recording: the same samples, rate and leads are the same record, wherever they came from.

    Parameters
    ----------
    samples : ndarray, shape (n_leads, n_samples), float32, in ``unit``
    fs : sampling rate in Hz
    leads : one name per row of ``samples``; standard leads are spelled as in ``STANDARD_LEADS``
    unit : ``mV``, or ``relative`` for a heartbeat row
    name : where it was found: path below the inbox without extension, or ``file.csv#row`` (rows count from 1)
    patient : the patient's id as the source gives it; it is never stored, only its keyed hash
    issuer : who gave the id, where the source says so; it is in the hash and nowhere else
    age : years, or None; above 89 it is 90
    sex : ``female``, ``male`` or None
    label : the truth as the source gives it, or None
    synthetic : made by a program, not measured on a person; whatever is derived from it says so
    recorded : when it began, in ISO 8601 as far as it is known or kept, such as ``2024``, ``2024-05``, ``2024-05-03`` or
        ``2024-05-03T10:11:12+02:00``; on the clock of the device where there is no time zone; None is not known, as below
    device : maker and model
    filters : those that the samples went through before they were stored, in words, such as ``0.05 to 150 Hz, notch 50 Hz``
    source_format : what it was read from, such as ``SCP-ECG 2.1``
    site : where it comes from: the folder of the inbox that it was dropped in, if that is a site
    """

    samples: NDArray[np.float32]
    fs: float
    leads: tuple[str, ...]
    unit: Unit
    name: str
    patient: str | None = None
    age: float | None = None
    sex: Literal["female", "male"] | None = None
    label: Label | None = None
    synthetic: bool = False
    recorded: str | None = None
    device: str | None = None
    filters: str | None = None
    source_format: str | None = None
    site: str | None = None
    issuer: str | None = None

    def __post_init__(self) -> None:
        if len(self.samples.shape[1:]) != 1 or self.samples.dtype != np.float32:
            raise SignalError(
                f"samples must be float32 of shape (n_leads, n_samples), not {self.samples.dtype} of shape {self.samples.shape}"
            )
        if len(self.leads) != self.samples.shape[0]:
            raise SignalError(f"{len(self.leads)} lead names for {self.samples.shape[0]} leads")
        if not self.fs > 0:
            raise SignalError(f"fs={self.fs} Hz; it must be above 0")

    @property
    def n_samples(self) -> int:
        """Samples in each lead."""
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.fs

    @property
    def is_heartbeat(self) -> bool:
        """Whether this is one beat that was cut and scaled before it came here."""
        return self.unit == "relative"

    @cached_property
    def known(self) -> dict[str, Any]:
        """What was found out about the samples, under the name of whoever did, so that it is found out once; it goes with the record."""
        return {}

    @cached_property
    def record_id(self) -> str:
        """First 32 hex digits of SHA-256 over the samples, their shape, ``fs`` and the lead names."""
        digest = hashlib.sha256(np.ascontiguousarray(self.samples, dtype="<f4").data)
        digest.update(repr((self.samples.shape, float(self.fs), self.leads)).encode())
        return digest.hexdigest()[:32]

    def described(self, **changes: Any) -> "Record":
        """Return the same signal, described otherwise: its id and what is known of it stay.

        Raises
        ------
        SignalError
            If the signal itself were to change.
        """
        if not changes.keys().isdisjoint({"samples", "fs", "leads", "unit"}):
            raise SignalError("another signal is another record")
        changed = replace(self, **changes)
        changed.__dict__.update({name: self.__dict__[name] for name in ("record_id", "known") if name in self.__dict__})
        return changed
