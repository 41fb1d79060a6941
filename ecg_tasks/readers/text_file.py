"""Here: the text of a CSV file from its bytes, gzip or not, in whatever Unicode, within bounds. Not here: what the text means."""

import codecs
import zlib

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.unknown_file import kind_of

MAX_TEXT_BYTES = 256 * 1024 * 1024
"""A CSV file may have this many bytes once unpacked; more is ``too_large``."""
MAX_GZIP_MEMBERS = 100_000
"""A gzip file may be made of this many pieces; each takes some 10 µs to open, however little it holds."""

GZIP_MAGIC = b"\x1f\x8b"
_UTF8_BOM = b"\xef\xbb\xbf"
_MARKS = (  # UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_GZIP_WINDOW = 31  # zlib's code for "gzip header, largest window"
_FIRST_PIECE = 256
_LARGEST_PIECE = 1024 * 1024


def unpack(data: bytes, *, name: str, max_bytes: int = MAX_TEXT_BYTES) -> bytes:
    """Return the text in ``data`` as UTF-8: gunzipped where it is gzip, without a byte order mark.

    UTF-16 and UTF-32 are read where a mark announces them, as Excel writes its "Unicode text". Bytes without a mark stay as they are.
    Unpacking stops one byte past ``max_bytes``, so a small file that would unpack to a huge one costs no memory.

    Raises
    ------
    BadInputError
        ``too_large`` past the bounds, ``unreadable`` for a broken gzip stream, an empty file, or a file that is no text.
    """
    text = _gunzip(data, name=name, max_bytes=max_bytes) if data.startswith(GZIP_MAGIC) else data
    text = _as_utf8(text, name=name, max_bytes=max_bytes)
    if len(text) > max_bytes:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: more than {max_bytes:,} bytes of text; split the file")
    if not text.strip():
        raise BadInputError(Reason.UNREADABLE, f"{name}: the file is empty")
    if b"\0" in text:
        raise BadInputError(Reason.UNREADABLE, f"{name}: {_no_text(text)}")
    return text


def first_line(text: bytes) -> bytes:
    """Return the first line that holds something; empty where none does."""
    return next((line for line in text.splitlines() if line.strip()), b"")


def unpacked_head(head: bytes) -> bytes:
    """Return the beginning of the text in a file's first bytes, as `unpack` would give it; empty where they cannot be unpacked.

    >>> unpacked_head("record,label".encode("utf-16"))
    b'record,label'
    """
    if head.startswith(GZIP_MAGIC):
        try:
            head = zlib.decompressobj(_GZIP_WINDOW).decompress(head, len(head))
        except zlib.error:
            return b""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return head.removeprefix(mark).decode(encoding, "ignore").encode("utf-8", "ignore")
    return head.removeprefix(_UTF8_BOM)


def _as_utf8(text: bytes, *, name: str, max_bytes: int) -> bytes:
    encoding = next((encoding for mark, encoding in _MARKS if text.startswith(mark)), None)
    if encoding is None:
        return text.removeprefix(_UTF8_BOM)
    decoder = codecs.getincrementaldecoder(encoding)()
    parts: list[bytes] = []
    n_bytes = 0
    try:
        for start in range(0, len(text), _LARGEST_PIECE):  # piece by piece, since a character may take four bytes in memory
            piece = decoder.decode(text[start : start + _LARGEST_PIECE], final=start + _LARGEST_PIECE >= len(text))
            parts.append(piece.encode("utf-8"))
            n_bytes += len(parts[-1])
            if n_bytes > max_bytes:
                break
    except UnicodeDecodeError as error:
        raise BadInputError(
            Reason.UNREADABLE, f"{name}: the file is marked as {encoding.upper()} but is not ({error.reason}); save it as UTF-8"
        ) from None
    return b"".join(parts).removeprefix(_UTF8_BOM)


def _no_text(text: bytes) -> str:
    kind = kind_of(text[:_LARGEST_PIECE])
    if kind is not None:
        return f"this is {kind}"
    at = text.index(0)
    if max(text[:200:2].count(0), text[1:200:2].count(0)) > len(text[:200]) / 4:
        return f"byte {at} is NUL, as in UTF-16 without its byte order mark; save the file as UTF-8"
    return f"byte {at} is NUL; a CSV file must be plain text (ASCII or UTF-8)"


def _gunzip(data: bytes, *, name: str, max_bytes: int) -> bytes:
    """Unpack all members of a gzip file, in a time that grows with its size however many there are.

    zlib hands back what lies behind a member as a copy, so a member gets its bytes in pieces that begin small.
    """
    parts: list[bytes] = []
    room = max_bytes + 1
    at = n_members = 0
    while data[at : at + len(GZIP_MAGIC)] == GZIP_MAGIC and room > 0:
        n_members += 1
        if n_members > MAX_GZIP_MEMBERS:
            raise BadInputError(Reason.TOO_LARGE, f"{name}: more than {MAX_GZIP_MEMBERS:,} gzip members; compress the text as one")
        unpacker = zlib.decompressobj(_GZIP_WINDOW)
        size = _FIRST_PIECE
        while not unpacker.eof and at < len(data) and room > 0:
            piece = data[at : at + size]
            try:
                part = unpacker.decompress(piece, room)
            except zlib.error as error:
                raise BadInputError(Reason.UNREADABLE, f"{name}: the gzip stream is damaged ({error})") from None
            at += len(piece) - len(unpacker.unconsumed_tail) - len(unpacker.unused_data)
            size = min(2 * size, _LARGEST_PIECE)
            room -= len(part)
            if part:
                parts.append(part)
        if not unpacker.eof and room > 0:
            raise BadInputError(Reason.UNREADABLE, f"{name}: the gzip stream ends early, after {max_bytes + 1 - room} bytes of text")
    return b"".join(parts)
