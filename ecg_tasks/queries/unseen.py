"""Here: which records no training of some versions has seen, and whose they are. Not here: figures over them (the modules beside)."""

from collections.abc import Sequence

from ecg_tasks.archive import tables
from ecg_tasks.archive.catalog import RECORD, Catalog
from ecg_tasks.archive.descriptions import Descriptions, Person, persons_of
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.pipeline.champions.versions import TrainedOn


def unseen_by(store: ObjectStore, recipe: str, versions: Sequence[str], record_ids: Sequence[str]) -> dict[str, str]:
    """Return those of these records that none of the versions learnt from, each with its patient, or its own id where none is known."""
    catalog = Catalog.find(store)
    if not record_ids or catalog is None:
        return {}
    late = catalog.described(record_ids)
    persons: dict[str, Person] = {}
    for part in catalog.rows(["record_id", *tables.PERSON], kind=RECORD, where={"record_id": record_ids}):
        persons |= persons_of(part)
    persons |= late
    trainings = [TrainedOn.read(store, recipe, version, Descriptions(late)) for version in versions]
    found: dict[str, str] = {}
    for record_id in record_ids:
        person = persons.get(record_id, Person())
        if all(one.why(record_id, person.bucket, person.patient, person.public_patient) is None for one in trainings):
            found[record_id] = person.patient or record_id
    return found
