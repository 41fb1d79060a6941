"""Here: ZIP, tar and tar.gz: which one a file is, its members, and their bytes. Not here: what a member holds (``readers``)."""

from collections.abc import Callable, Iterator

from ecg_tasks.readers.packed.base import Limits, PackedMember, Packing, Source, name_inside
from ecg_tasks.readers.packed.contents import Contents, Extent, unzipped
from ecg_tasks.readers.packed.forward import Forward
from ecg_tasks.readers.packed.recognising import is_called_an_archive, packing_of
from ecg_tasks.readers.packed.tarred import gunzipped, walk_tar
from ecg_tasks.readers.packed.zipped import walk_zip, zip_directory

__all__ = [
    "Contents",
    "Extent",
    "Forward",
    "Limits",
    "PackedMember",
    "Packing",
    "Source",
    "gunzipped",
    "is_called_an_archive",
    "name_inside",
    "packing_of",
    "unzipped",
    "walk",
    "zip_directory",
]


def walk(
    source: Source, packing: Packing, *, name: str, limits: Limits, wanted: Callable[[str], int]
) -> Iterator[tuple[PackedMember, bytes]]:
    """Read an archive once from its first to its last byte, and yield every member with the start of its content.

    Memory holds the start of one member, and of a ZIP its directory.

    Parameters
    ----------
    name : of the archive, for sentences
    wanted : how many bytes of a member's start are asked for, by its path; 0 for none

    Raises
    ------
    BadInputError
        If the archive as a whole cannot be trusted: cut off, damaged, or beyond its limits. What is wrong with one member stands in its
        ``fault``.
    """
    found = walk_zip if packing is Packing.ZIP else walk_tar
    yield from found(source, packing, name=name, limits=limits, wanted=wanted)
