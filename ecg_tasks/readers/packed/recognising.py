"""Here: which format of archives a file is, by its content. Not here: what is in it."""

import tarfile
import zlib

from ecg_tasks.readers.packed.base import Packing, is_called_an_archive
from ecg_tasks.readers.text_file import GZIP_MAGIC

__all__ = ["HEAD_BYTES", "is_called_an_archive", "packing_of"]

HEAD_BYTES = 64 * 1024
"""So much of a file's start tells its format."""
_ZIP_MAGIC = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
"""A ZIP's first member; the end of one without members; the mark of one that was cut into several files."""
_OFFICE = (b"[Content_Types].xml", b"mimetypeapplication/vnd.oasis", b"word/", b"xl/")
"""What the first member of an Office file is called; a folder ``ptbxl/`` is none of these."""
_FIRST_NAME = 30
"""Byte at which the name of a ZIP's first member begins (PKWARE, APPNOTE.TXT 4.3.7)."""


def packing_of(head: bytes) -> Packing | None:
    r"""Return the format that a file's first bytes belong to, or None for anything else.

    >>> packing_of(b"PK\3\4" + bytes(100)).value, packing_of(b"record,label")
    ('zip', None)
    """
    if head.startswith(_ZIP_MAGIC):
        return None if head.startswith(_OFFICE, _FIRST_NAME) else Packing.ZIP
    if head.startswith(GZIP_MAGIC):
        try:
            head = zlib.decompressobj(31).decompress(head, tarfile.BLOCKSIZE)
        except zlib.error:
            return None
        return Packing.TAR_GZ if _is_tar(head) else None
    return Packing.TAR if _is_tar(head) else None


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:  # a block of zeros is a tar without members
        return isinstance(error, tarfile.EOFHeaderError) and len(head) >= 2 * tarfile.BLOCKSIZE  # type: ignore[attr-defined]
    return True
