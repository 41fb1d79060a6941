"""Here: notes of the archives (ZIP, tar) that were taken over whole, so that one that comes again is not read again. Not here: reading it.

A note is written only where nothing of an archive was refused: a later version of the readers may read what this one refuses. The same
bytes under another name are another archive, for its recordings are called after it.
"""

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import IntakeManifest, TakenArchive, find, write
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import now


def taken_before(store: ObjectStore, sha256: str, folder: str, *, kept: str) -> TakenArchive | None:
    """Return the note on an archive, by its digest and the folder that its recordings are named in, as it is stored.

    There is none where raw/ was to keep something else of it than it is now (``kept``).
    """
    found = find(store, TakenArchive, keys.taken_over(sha256, folder))
    return found if found is not None and found.counts.kept == kept else None


def note_archives(store: ObjectStore, manifest: IntakeManifest) -> None:
    """Write down which archives an intake took over whole; a second time changes nothing but the moment."""
    for counts in manifest.archives:
        if not counts.quarantined:
            write(store, keys.taken_over(counts.source, counts.folder), TakenArchive(run=manifest.run, at=now(), counts=counts))
