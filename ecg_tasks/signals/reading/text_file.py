"""Here: the text of a CSV file from its bytes, gzip or not, within bounds. Not here: what the text means."""

import zlib

from ecg_tasks.errors import BadInputError, Reason

MAX_TEXT_BYTES = 256 * 1024 * 1024
"""A CSV file may have this many bytes once unpacked; more is ``too_large``."""

GZIP_MAGIC = b"\x1f\x8b"
_UTF8_BOM = b"\xef\xbb\xbf"
_GZIP_WINDOW = 31  # zlib's code for "gzip header, largest window"


def unpack(data: bytes, *, name: str, max_bytes: int = MAX_TEXT_BYTES) -> bytes:
    """The text in ``data``: gunzipped where it is gzip, without a byte order mark.

    Unpacking stops one byte past ``max_bytes``, so a small file that would unpack to a huge one costs no memory.

    Raises
    ------
    BadInputError
        ``too_large`` past the bound, ``unreadable`` for a broken gzip stream, an empty file, or a file with NUL bytes.
    """
    text = _gunzip(data, name=name, max_bytes=max_bytes) if data.startswith(GZIP_MAGIC) else data
    if len(text) > max_bytes:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: more than {max_bytes} bytes of text; split the file")
    text = text.removeprefix(_UTF8_BOM)
    if not text.strip():
        raise BadInputError(Reason.UNREADABLE, f"{name}: the file is empty")
    if b"\0" in text:
        raise BadInputError(Reason.UNREADABLE, f"{name}: byte {text.index(0)} is NUL; a CSV file must be plain text (ASCII or UTF-8)")
    return text


def _gunzip(data: bytes, *, name: str, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    room = max_bytes + 1
    rest = data
    while rest.startswith(GZIP_MAGIC) and room > 0:  # a gzip file may have several members
        unpacker = zlib.decompressobj(_GZIP_WINDOW)
        try:
            part = unpacker.decompress(rest, room)
        except zlib.error as error:
            raise BadInputError(Reason.UNREADABLE, f"{name}: damaged gzip stream ({error})") from None
        room -= len(part)
        parts.append(part)
        if not unpacker.eof and room > 0:
            raise BadInputError(Reason.UNREADABLE, f"{name}: the gzip stream ends early, after {max_bytes + 1 - room} bytes of text")
        rest = unpacker.unused_data
    return b"".join(parts)
