"""Here: whether the heaps of an HDF5 file, where texts of any length lie, can be gone through to their ends. Not here: reading HDF5.

The HDF5 in h5py goes through a whole heap before it reads a text from it, and never leaves a free place of no length, or a text whose
length is near the largest number (``docs/upstream.md``).
"""

from ecg_tasks.errors import BadInputError, Reason

_HEAP = b"GCOL\x01\0\0\0"
_LENGTH_AT = {0: 14, 1: 14, 2: 10, 3: 10}
"""Where the superblock of each version says how many bytes a length takes."""
_MAX_PLACES = 500_000
"""In all heaps together: half a second."""


def check_heaps(data: bytes, *, name: str) -> None:
    """Go through every global heap of a file as HDF5 does.

    Raises
    ------
    BadInputError
        ``unreadable`` where one has no end, ``too_large`` from 500,001 texts on.

    References
    ----------
    The HDF Group, HDF5 File Format Specification, version 3.0, III.E (global heap).
    """
    width = data[_LENGTH_AT.get(data[8], 10)] if len(data) > max(_LENGTH_AT.values()) else 0
    start, n_places = data.find(_HEAP), 0
    while start >= 0:
        head = _padded(len(_HEAP) + width)
        at, end = start + head, start + _number(data, start + len(_HEAP), width)
        while at + head <= min(end, len(data)):
            length = _number(data, at + 8, width)
            place = head + _padded(length) if _number(data, at, 2) else length  # of a text, or a free one
            if not 0 < place <= end - at:
                raise BadInputError(Reason.UNREADABLE, f"{name}: the HDF5 file is damaged (a heap that never ends); upload it again")
            at += place
            n_places += 1
            if n_places > _MAX_PLACES:
                raise BadInputError(Reason.TOO_LARGE, f"{name}: the HDF5 file has more than {_MAX_PLACES:,} texts; leave them out")
        start = data.find(_HEAP, start + 1)


def _number(data: bytes, at: int, width: int) -> int:
    return int.from_bytes(data[at : at + width], "little")


def _padded(length: int) -> int:
    return -(-length // 8) * 8
