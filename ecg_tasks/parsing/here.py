"""Here: reading a drop, and making its copy without identifiers, in this very process. Not here: the process for that (``serving``)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from ecg_tasks import readers
from ecg_tasks.errors import BadInputError
from ecg_tasks.readers import Read

Found = tuple[Read, dict[str, bytes] | None]
"""What a drop holds, and a copy without identifiers, or None where none is wanted or can be made."""


class Parse(Protocol):
    """Reads a drop, here or elsewhere."""

    def __call__(self, name: str, contents: Mapping[str, bytes], *, called: Mapping[str, str] | None) -> Found:
        """Read a drop; raises `BadInputError` where it is refused.

        Parameters
        ----------
        name : the drop's path below the inbox
        contents : bytes by file name, the drop's first file first
        called : for a copy without identifiers, the name of each of its files; None: no copy
        """


class AskedDrop(NamedTuple):
    """A drop that is to be read, as `Parse` takes it."""

    name: str
    contents: Mapping[str, bytes]
    called: Mapping[str, str] | None


class ParseAll(Protocol):
    """Reads some drops, here or elsewhere."""

    def __call__(self, asked: Sequence[AskedDrop], /) -> list[Found | BadInputError]:
        """Read them one after the other; returns what each holds, or why it is refused."""


def read_here(name: str, contents: Mapping[str, bytes], *, called: Mapping[str, str] | None) -> Found:
    """Read a drop in this process, as `Parse` says."""
    read = readers.read(name, contents)
    return read, None if called is None else _copy(name, contents, called, read)


def _copy(name: str, contents: Mapping[str, bytes], called: Mapping[str, str], read: Read) -> dict[str, bytes] | None:
    try:
        return readers.deidentified(name, contents, before=read, called=called)
    except BadInputError:
        return None
