"""Here: what an archive and its members are, the same for every format. Not here: any format."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ecg_tasks.errors import BadInputError, Reason

_SUFFIXES = re.compile(r"\.(zip|tar|tgz|tar\.gz)$", re.ASCII | re.IGNORECASE)
_PART = re.compile(r"\.part-?[0-9a-f]+$", re.ASCII | re.IGNORECASE)


class Packing(StrEnum):
    """The formats of archives."""

    ZIP = "zip"
    TAR = "tar"
    TAR_GZ = "tar.gz"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Bounds of one archive: its bytes, packed as unpacked, and its members."""

    n_bytes: int
    n_members: int


class Source(Protocol):
    """Where an archive's bytes come from: a file on a disk, or an object."""

    @property
    def size(self) -> int:
        """Its length in bytes."""

    def pieces(self) -> Iterator[bytes]:
        """Return all of its bytes, in pieces."""

    def read_at(self, at: int, n_bytes: int) -> bytes:
        """Return a part of it; fewer bytes at its end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedMember:
    """One member of an archive, as its header says; nothing of it is believed before it is unpacked.

    Parameters
    ----------
    path : without ``./`` before it; ends with ``/`` for a folder
    size : unpacked, in bytes
    at, end : where it lies: in a ZIP its local header and what follows, in a tar its content, as the tar is unpacked
    packed, crc, deflated : as in a ZIP's directory
    fault : why it cannot be unpacked
    """

    path: str
    size: int
    at: int = 0
    end: int = 0
    packed: int = 0
    crc: int = 0
    deflated: bool = False
    fault: BadInputError | None = None


def name_inside(path: str) -> str:
    """Return the folder that an archive's members are named in: its own name without the ending, and without the number of a part.

    >>> name_inside("ward/night.tar.gz"), name_inside("ptbxl.part-3f2a.zip")
    ('ward/night', 'ptbxl')
    """
    bare = _SUFFIXES.sub("", path)
    return _PART.sub("", bare) or bare


def is_called_an_archive(path: str) -> bool:
    """Tell whether a file is an archive by its name.

    >>> is_called_an_archive("a.ZIP"), is_called_an_archive("a.npz"), is_called_an_archive("a.csv.gz")
    (True, False, False)
    """
    return _SUFFIXES.search(path) is not None


def plain_path(path: str) -> str:
    """Return a member's path as it can be stored: without ``./`` before it, and with signs that are no text written out."""
    while path.startswith("./"):
        path = path[2:]
    return path.encode("utf-8", "backslashreplace").decode()


def check_totals(limits: Limits, *, name: str, n_members: int, n_bytes: int) -> None:
    """Refuse an archive beyond its limits.

    Raises
    ------
    BadInputError
        ``too_large``.
    """
    if n_members > limits.n_members:
        raise BadInputError(Reason.TOO_LARGE, f"{name} has more than {limits.n_members:,} members; pack it into several archives")
    if n_bytes > limits.n_bytes:
        sentence = (
            f"{name} holds {n_bytes:,} bytes or more when it is unpacked; the limit is {limits.n_bytes:,}, so pack it into several archives"
        )
        raise BadInputError(Reason.TOO_LARGE, sentence)
