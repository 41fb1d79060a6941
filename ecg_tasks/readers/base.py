"""Here: what a reader is and what it hands back, the same for every format. Not here: any format, or what becomes of a recording."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import Reason
from ecg_tasks.labels import Label
from ecg_tasks.signals.record import Unit

MAX_CONTENT_CHARS = 4096
"""A rejected row's text is kept up to this length; the whole of it stands in the raw file."""


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Lead:
    """One signal as its file gives it.

    Parameters
    ----------
    fs : Hz
    samples : ndarray, shape (n_samples,), in ``units``; NaN where the file marks a sample as invalid
    """

    name: str
    units: str
    fs: float
    samples: NDArray[np.floating]


@dataclass(frozen=True, kw_only=True, slots=True)
class Patient:
    """The person that a recording is of, as its file says; None is not known.

    Parameters
    ----------
    id : never stored, only its keyed hash
    age : years
    issuer : who gave the id, such as an OID or a hospital: the same id of two issuers may be two persons
    """

    id: str | None = None
    age: float | None = None
    sex: Literal["female", "male"] | None = None
    issuer: str | None = None


NOBODY = Patient()


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """The filters that the samples went through before they were stored, in Hz; None is not known, 0 is switched off."""

    highpass_hz: float | None = None
    lowpass_hz: float | None = None
    notch_hz: float | None = None

    @property
    def text(self) -> str | None:
        """What matters to whoever reads the picture, in words; None where nothing is known.

        >>> Filters(highpass_hz=0.05, lowpass_hz=150.0, notch_hz=50.0).text, Filters(lowpass_hz=40.0, notch_hz=0.0).text
        ('0.05 to 150 Hz, notch 50 Hz', 'low-pass 40 Hz, no notch')
        """
        named = [("high-pass", self.highpass_hz), ("low-pass", self.lowpass_hz), ("notch", self.notch_hz)]
        band = f"{self.highpass_hz:g} to {self.lowpass_hz:g} Hz" if self.highpass_hz and self.lowpass_hz else ""
        each = [f"{name} {hz:g} Hz" if hz else f"no {name}" for name, hz in (named[2:] if band else named) if hz is not None]
        return ", ".join([*([band] if band else []), *each]) or None


@dataclass(frozen=True, kw_only=True, slots=True)
class Acquisition:
    """When and with what a recording was made, as its file says; None is not known. Nothing is decided by it.

    Parameters
    ----------
    recorded : when it began, on the clock of the device: a `datetime`, with a time zone only where the file gives one, or the day alone
    device : manufacturer and model, never a serial number
    source_format : the file's format with its version, as people call it, such as ``SCP-ECG 2.1``
    """

    recorded: date | None = None
    device: str | None = None
    filters: Filters = Filters()
    source_format: str | None = None


UNKNOWN_ACQUISITION = Acquisition()


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Recording:
    """One recording as its file gives it: its leads as they are stored, the person it is of, and how it was made.

    Parameters
    ----------
    name : path below the inbox, without ``.hea``, or ``file.csv#row``
    unit : ``relative`` for a heartbeat that was cut and scaled before it came here
    label : the truth as the file gives it, or None
    synthetic : made by a program, as the file says
    """

    name: str
    leads: tuple[Lead, ...]
    unit: Unit = "mV"
    patient: Patient = NOBODY
    label: Label | None = None
    synthetic: bool = False
    acquisition: Acquisition = UNKNOWN_ACQUISITION


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """One row that could not be used, while the rest of its file could.

    Parameters
    ----------
    name : ``file.csv#row``, rows counted as in ``Recording.name``
    content : the row's own text, cut at ``MAX_CONTENT_CHARS``
    """

    name: str
    reason: Reason
    message: str
    content: str = ""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What one file, or one set of files that belong together, held."""

    recordings: tuple[Recording, ...]
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Companions:
    """The files that a file needs beside itself, all of them in its own folder.

    ``nested`` says that those among them which the same reader knows name further files. Of the ``optional`` names the first that is
    there comes along; a file can be read without any.
    """

    names: tuple[str, ...] = ()
    nested: bool = False
    optional: tuple[str, ...] = ()


class OneFile:
    """A format whose files stand by themselves."""

    def companions(self, name: str, data: bytes) -> Companions:  # noqa: ARG002 - of any file
        """Tell that a file needs no other."""
        return Companions()


class Reader(Protocol):
    """One format. A fault of the data is a ``BadInputError`` or a ``Rejected``, never anything else.

    Parameters
    ----------
    name : one word, such as ``wfdb``
    title : as sentences call a file of this format, such as ``a WFDB recording``
    """

    name: str
    title: str

    def knows(self, name: str, head: bytes) -> bool:
        """Tell whether a file is of this format, by its name and its first bytes, of which 64 KiB are plenty."""

    def companions(self, name: str, data: bytes) -> Companions:
        """Tell which other files this one needs; `BadInputError` where it cannot say."""

    def read(self, files: Mapping[str, bytes], name: str) -> Reading:
        """Read the recordings of a file.

        Parameters
        ----------
        files : bytes by file name: the file itself first, then those beside it
        name : path below the inbox
        """

    def deidentified(self, files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
        """Make the same files without identifiers of persons, which this reader reads to the same records.

        Samples, rates, units, filters, names of leads and the device's model stay; so do sex, age (90 above 89), label and, where it is
        simple, the year. What else could name somebody or lead to somebody is left out.

        Parameters
        ----------
        files : bytes by file name: the file itself first, then those beside it; all of them can be read
        name : path below the inbox

        Returns
        -------
        dict of bytes by file name, with the same names in the same order

        Raises
        ------
        BadInputError
            Where it cannot be done.
        """
