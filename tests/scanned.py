"""Here: the search for bytes in all that a bucket holds, however deep they are packed. Not here: what is planted (``planted_files``).

``objects_with(store, wanted)`` reads every object, and returns the keys of those in which something wanted stands, with what it was: in
the object's key, in its bytes, or in what is packed in them (ZIP, gzip, the values and remarks of Parquet, base64 in JSON and HTML,
compressed parts of MATLAB files, and each of these in the others). What is wanted is given by a name for messages, and the bytes to look
for, of samples those that are stored:

>>> wanted = {"Erika": spellings("Erika"), "samples": {bytes([1, 2, 3, 4])}}
>>> found_in(wanted, gzip.compress(b'{"name": "ERIKA"}'))
{'Erika'}

A text is looked for by its ``spellings``: in UTF-8, Latin-1, UTF-16 and escaped as URLs and JSON escape it, in either case; and in every
digest without a key that a program would make of it (``unkeyed``), in hexadecimal, of which any 12 digits at its start are enough.
"""

import base64
import binascii
import contextlib
import gzip
import hashlib
import io
import json
import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from urllib.parse import quote

import pyarrow as pa
from pyarrow import parquet

from ecg_tasks.archive.object_store import ObjectStore

Wanted = Mapping[str, Collection[bytes]]
"""What is looked for: its name in messages, to all bytes of which any is enough."""
DIGITS = 12
"""So many hexadecimal digits of a digest are enough: nothing stored is cut shorter."""
_BASE64 = re.compile(rb'"(?:data:[a-z/+-]+;base64,)?([A-Za-z0-9+/]{24,}={0,2})"')
_HEX = re.compile(rb"[0-9a-f]{%d,}" % DIGITS)
_IS_DIGEST = re.compile(rb"[0-9a-f]{%d}" % DIGITS)


def unpacked(data: bytes) -> Iterator[bytes]:
    """Yield some bytes, and everything that is packed in them, however deep."""
    yield data
    if b"\0" in data:
        yield data.replace(b"\0", b"")  # UTF-16
    if data.startswith(b"PAR1"):
        yield from _of_parquet(data)
    elif data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield archive.comment
            for member in archive.infolist():
                yield member.filename.encode()
                yield member.comment + member.extra
                yield from unpacked(archive.read(member))
    elif data.startswith(b"\x1f\x8b"):
        with contextlib.suppress(OSError, EOFError, zlib.error):  # what is refused as damaged is in quarantine as it is
            yield from unpacked(gzip.decompress(data))
    elif data.startswith(b"MATLAB 5"):
        yield from _of_matlab(data)
    elif data[:200].lstrip()[:1] in {b"{", b"[", b"<"}:
        for packed in _BASE64.findall(data):
            with contextlib.suppress(binascii.Error):
                yield from unpacked(base64.b64decode(packed, validate=True))


def _of_parquet(data: bytes) -> Iterator[bytes]:
    file = parquet.ParquetFile(pa.BufferReader(data))
    yield f"{file.metadata.metadata}{file.schema_arrow}{[field.metadata for field in file.schema_arrow]}".encode()
    for column in file.read(use_threads=False).columns:
        if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            for value in column.to_pylist():
                yield from unpacked(value or b"")
        else:
            yield json.dumps(column.to_pylist(), default=str, ensure_ascii=False).encode(errors="surrogatepass")


def _of_matlab(data: bytes) -> Iterator[bytes]:
    at = 128
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<II", data, at)
        with contextlib.suppress(zlib.error):
            yield zlib.decompress(data[at + 8 : at + 8 + size]) if kind == 15 else data[at : at + 8 + size]
        at += 8 + size


def spellings(text: str) -> set[bytes]:
    """Return the bytes that a text may stand as, in lower case, and the beginnings of its digests without a key."""
    found: set[bytes] = set()
    for form in ("NFC", "NFD"):
        for spelt in {unicodedata.normalize(form, text), unicodedata.normalize(form, text.casefold())}:
            found |= {spelt.encode(), json.dumps(spelt)[1:-1].encode(), quote(spelt).encode(), quote(spelt, safe="").encode()}
            with contextlib.suppress(UnicodeEncodeError):
                found.add(spelt.encode("latin-1"))
    return {one.lower() for one in found} | unkeyed(text)


def unkeyed(text: str) -> set[bytes]:
    """Return the beginnings of the digests that anybody can make of a text, in hexadecimal."""
    forms = {text, text.casefold(), unicodedata.normalize("NFC", text).casefold(), text.strip(), f"{text}\n"}
    kinds = ("md5", "sha1", "sha256", "sha512", "blake2b")
    made = (hashlib.new(kind, form.encode(errors="surrogatepass"), usedforsecurity=False) for form in forms for kind in kinds)
    return {digest.hexdigest()[:DIGITS].encode() for digest in made}


class Search:
    """What is looked for, made ready to be looked for in many objects."""

    def __init__(self, wanted: Wanted) -> None:
        self._digests: dict[bytes, str] = {}
        self._texts: dict[bytes, str] = {}
        self._binary: list[tuple[bytes, str]] = []
        for name, forms in wanted.items():
            for form in forms:
                if _IS_DIGEST.fullmatch(form):
                    self._digests[form] = name
                elif _is_text(form):
                    self._texts[form] = name
                else:
                    self._binary.append((form, name))
        self._pattern = re.compile(b"(?=(" + _together(sorted(self._texts)) + b"))", re.DOTALL) if self._texts else None

    def found_in(self, *parts: bytes) -> set[str]:
        """Return the names of what stands in some bytes."""
        found: set[str] = set()
        for data in parts:
            for piece in unpacked(data):
                lower = piece.lower()
                found.update(name for form, name in self._binary if name not in found and form in piece)
                for form in set(self._pattern.findall(lower)) if self._pattern is not None else ():
                    found.update(name for length in range(1, len(form) + 1) if (name := self._texts.get(form[:length])) is not None)
                if self._digests:
                    found.update(self._digests[run[:DIGITS]] for run in _HEX.findall(lower) if run[:DIGITS] in self._digests)
        return found


def _is_text(form: bytes) -> bool:
    try:
        return form.decode().isprintable() and form == form.lower()
    except UnicodeDecodeError:
        return False


def _together(forms: list[bytes]) -> bytes:
    """Return a pattern of forms, the longest first, in which what begins alike stands together: most of a text is skipped quickly."""
    by_first: dict[bytes, list[bytes]] = {}
    for form in forms:
        by_first.setdefault(form[:1], []).append(form[1:])
    parts = []
    for first, rests in by_first.items():
        longer = [rest for rest in rests if rest]
        rest = _together(longer) if len(longer) > 1 else b"".join(map(re.escape, longer))
        parts.append(re.escape(first) + (b"(?:" + rest + b")" + b"?" * (len(longer) < len(rests)) if longer else b""))
    return b"|".join(parts)


def found_in(wanted: Wanted, *parts: bytes) -> set[str]:
    """Return the names of what stands in some bytes."""
    return Search(wanted).found_in(*parts)


def objects_with(store: ObjectStore, wanted: Wanted, *, below: str = "") -> dict[str, set[str]]:
    """Return every object in whose key or content something wanted stands, with the names of that; nothing is left out of the search."""
    search, listed = Search(wanted), store.list_keys(below)
    found = {key: search.found_in(key.encode(), data) for key, data in zip(listed, store.get_many(listed), strict=True)}
    return {key: names for key, names in found.items() if names}
