"""Here: the bytes of forgotten recordings in raw/, alone or among copies of others. Not here: which ones (``gone``).

Copies of an archive are written again without theirs. Any other object that holds recordings of others, too, goes whole, and so does a
label table that has a row of theirs: it was one file, and a file with a part cut out is not what was dropped. Accounts then say that
nothing is kept of it.
"""

from ecg_tasks.archive import account_lists, keys, packed_copies
from ecg_tasks.archive.documents import IntakeManifest, read_manifests
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.archive.workspace import patient_hash
from ecg_tasks.errors import BadInputError, DamagedStoreError
from ecg_tasks.pipeline.forgetting.gone import Gone
from ecg_tasks.readers.file_names import LABEL_TABLE, is_label_table, recording_name
from ecg_tasks.readers.labels_csv import read_labels


def without(store: ObjectStore, item: ObjectInfo, gone: Gone) -> str:
    """Return the key of an object of raw/ written again without theirs: its own where it has nothing of them, empty where it has to go."""
    if not keys.digest_of_copies(item.key):
        return ""
    try:
        return packed_copies.rewrite_without(store, item, gone.ids)
    except (BadInputError, DamagedStoreError):
        return ""  # what cannot be read cannot be searched


def forget(store: ObjectStore, gone: Gone) -> int:
    """Delete or write again all that holds bytes of theirs."""
    listed_rows = [key for key in store.list_keys(keys.RAW) if is_label_table(key.rpartition("/")[2]) and names_them(store.get(key), gone)]
    store.delete_many(listed_rows)
    n_changed = len(listed_rows)
    for folder in sorted(gone.folders.intersection(store.list_folders(keys.RAW))):
        listed = list(store.list_objects(f"{keys.RAW}{folder}/"))
        kept = {item.key: without(store, item, gone) for item in listed}  # what is new is there before what is old goes
        going = [item.key for item in listed if kept[item.key] != item.key]
        store.delete_many(going)
        n_changed += len(going)
    return n_changed


def names_them(table: bytes, gone: Gone) -> bool:
    """Tell whether a label table, as it was dropped, has a row of one of the patients, or of a recording that is called as theirs."""
    try:
        rows = read_labels(table, name=LABEL_TABLE).rows
    except BadInputError:
        return False
    persons = frozenset(gone.forgetting.persons) - gone.left.patients
    return any(
        patient_hash(row.patient_id, key=gone.key) in persons
        or row.record in gone.ids
        or any(name == row.record or name.endswith(f"/{recording_name(row.record)}") for name in gone.called)
        for row in rows
    )


def forget_notes(store: ObjectStore, gone: Gone) -> int:
    """Delete the notes on archives that they came in: what comes again is read again, and theirs is refused. Accounts must still tell."""
    going: set[str] = set()
    for manifest in read_manifests(store, IntakeManifest):
        if manifest.archives:
            lines = (line for line in account_lists.inputs(store, manifest) if line.files and line.files[0].member)
            mixed = {line.files[0].key for line in lines if gone.is_whole(line) or gone.shares(line)}
            going |= {keys.taken_over(one.source, one.folder) for one in manifest.archives if one.key in mixed}
    there = store.list_keys(keys.TAKEN_OVER)
    going |= {key for key in there if key.removeprefix(keys.TAKEN_OVER).partition("-")[0] in gone.sources}
    store.delete_many(sorted(going.intersection(there)))
    return len(going.intersection(there))
