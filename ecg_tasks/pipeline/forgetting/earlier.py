"""Here: what the store keeps of objects that were written over or deleted before a forgetting. Not here: what is in the bucket now.

A copy goes whole where something of the forgotten recordings may stand in it; what is there now of the same object stays. Those of the log
of acts and of the access log stay as these do (``kinds.KEEPS``).
"""

import re
import zipfile
from collections.abc import Iterator
from io import BytesIO

from ecg_tasks.archive import keys
from ecg_tasks.archive.object_store import Earlier, ObjectStore
from ecg_tasks.errors import EcgError, MissingObjectError
from ecg_tasks.pipeline.forgetting import logs
from ecg_tasks.pipeline.forgetting.gone import Gone
from ecg_tasks.pipeline.forgetting.leftovers import is_theirs, words_in
from ecg_tasks.pipeline.forgetting.stored_bytes import names_them
from ecg_tasks.readers.file_names import is_label_table

_STAYS = (keys.AUDIT, keys.ACCESS)
_ZIP = b"PK"


def forget(store: ObjectStore, gone: Gone) -> int:
    """Delete what is kept of objects that had something of theirs; returns how many copies went."""
    going = [one for one in store.earlier() if not one.key.startswith(_STAYS) and _has_to_go(one, gone)]
    for one in going:
        one.delete()
    return len(going)


def _has_to_go(one: Earlier, gone: Gone) -> bool:
    stem = keys.stem(one.key)
    named = {*one.key.split("/"), stem, *stem.split("-")}
    if named & (gone.words | gone.folders | gone.shards):
        return True
    if one.key.startswith(keys.INBOX) and is_theirs(one.key.removeprefix(keys.INBOX), gone):
        return True
    try:
        data = one.read()
        return _tells(data, gone, key=one.key)
    except MissingObjectError:
        return False
    except (EcgError, ValueError, OSError, zipfile.BadZipFile):
        return True  # what cannot be read cannot be searched


def _tells(data: bytes, gone: Gone, *, key: str) -> bool:
    if key.startswith(keys.RAW):  # bytes as they were dropped: theirs lie in folders of theirs
        return is_label_table(key.rpartition("/")[2]) and names_them(data, gone)
    if key.startswith(keys.LOGS):
        return logs.tells(data, logs.words_of(gone))
    if not gone.words.isdisjoint(words_in(data)):
        return True
    digests = re.compile(b"|".join(sorted(one.encode() for one in gone.ids | gone.patients | gone.sources | gone.empty_shards)))
    return any(digests.search(piece) for piece in _pieces(data))


def _pieces(data: bytes) -> Iterator[bytes]:
    """Yield what is neither JSON nor Parquet, and what is packed in it, as in a workbook."""
    yield data
    if data.startswith(_ZIP):
        with zipfile.ZipFile(BytesIO(data)) as archive:
            yield from map(archive.read, archive.namelist())
