"""Here: what all documents have in common: a schema's version, and their way to JSON and back. Not here: any single document."""

import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Self, TypeVar

import msgspec

from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import DamagedStoreError, MissingObjectError

AnyType = TypeVar("AnyType")
_preparing = threading.Lock()
_prepared: set[Any] = set()


def prepared(kind: type[AnyType]) -> type[AnyType]:
    """Return a type after msgspec has read its fields, in one thread at a time.

    msgspec 0.22 reads the fields of a type at its first use. A second thread that uses the type meanwhile finds half of them, and the whole
    process ends with a segmentation fault: so did the pages, when two were opened right after a start.
    """
    if kind not in _prepared:
        with _preparing:
            msgspec.json.Decoder(kind)
            _prepared.add(kind)
    return kind


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a document, without its own version."""


class Document(Part, frozen=True, kw_only=True):
    """One JSON object in the bucket.

    A field that was added later has a default, which is what its absence means. A reader passes over fields that it does not know;
    what an older program would misunderstand gets a higher ``schema_version``, and is refused by it.
    """

    SCHEMA: ClassVar[int] = 1
    schema_version: int = 1

    @classmethod
    def from_plain(cls, plain: Any) -> Self:
        """Make the document of plain JSON, of this version or an older one.

        Raises
        ------
        DamagedStoreError
            If a field is missing or of another type, or the document is of a later version than this program knows.
        """
        try:
            found = msgspec.convert(cls.upgraded(plain), prepared(cls))
        except msgspec.ValidationError as error:
            raise DamagedStoreError(f"it is no {cls.__name__}: {error}") from None
        if found.schema_version > cls.SCHEMA:
            raise DamagedStoreError(f"a {cls.__name__} of schema {found.schema_version}; this program knows {cls.SCHEMA}: update it first")
        return found

    @classmethod
    def upgraded(cls, plain: Any) -> Any:
        """Give an older document today's form; most need nothing."""
        return plain

    def to_json(self) -> bytes:
        """Return the bytes that are stored, keys in order; the schema's version is always among them."""
        content = {"schema_version": self.schema_version} | plain(self)
        return msgspec.json.format(msgspec.json.encode(content, order="sorted"), indent=1)


AnyDocument = TypeVar("AnyDocument", bound=Document)


def plain(value: Any) -> Any:
    """Return a part of a document as plain lists and dicts, as an entry of the log holds it."""
    return msgspec.to_builtins(value)


def load(kind: type[AnyDocument], data: bytes, *, name: str) -> AnyDocument:
    """Read a document; the error gives ``name`` where it is damaged.

    Raises
    ------
    DamagedStoreError
        If it is not JSON, or no document of this kind.
    """
    try:
        return kind.from_plain(json.loads(data))  # not msgspec's own: older documents may hold NaN
    except ValueError as error:
        raise DamagedStoreError(f"{name} is not JSON: {error}") from None
    except DamagedStoreError as error:
        raise DamagedStoreError(f"{name}: {error}") from None


def read(store: ObjectStore, kind: type[AnyDocument], key: str) -> AnyDocument:
    """Read a document from the bucket; `MissingObjectError` if it is not there."""
    return load(kind, store.get(key), name=key)


def read_many(store: ObjectStore, kind: type[AnyDocument], wanted: Iterable[str]) -> Iterator[AnyDocument]:
    """Read documents, several at once, in their order."""
    listed = list(wanted)
    for key, data in zip(listed, store.get_many(listed), strict=True):
        yield load(kind, data, name=key)


def find(store: ObjectStore, kind: type[AnyDocument], key: str) -> AnyDocument | None:
    """Read a document, or None if it is not there: how a task that ran before knows it."""
    try:
        return read(store, kind, key)
    except MissingObjectError:
        return None


def write(store: ObjectStore, key: str, document: Document) -> str:
    """Write a document; returns its key."""
    store.put(key, document.to_json(), content_type="application/json")
    return key


def listed_below(name: str, plain: Any) -> Any:
    """Put a bare list, as version 0.1 wrote some documents, below a name."""
    return {name: plain} if isinstance(plain, list) else plain


def read_shown(store: ObjectStore, key: str) -> dict[str, Any] | None:
    """Read JSON that a page shows as it stands, or None if it is not there."""
    try:
        shown: dict[str, Any] = json.loads(store.get(key))
    except MissingObjectError:
        return None
    return shown
