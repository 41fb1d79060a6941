"""Here: what a version's answer on one record is based on, for a page. Not here: finding it out (``reports.explaining``).

Loading a version takes longer than asking it, so the few latest are kept; a version answers one question at a time.
"""

from threading import Lock

from ecg_tasks.archive import forgotten
from ecg_tasks.archive.cache import keep
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import ConfigurationError, MissingObjectError, ModelRefusedError
from ecg_tasks.learning.serving import Classifier
from ecg_tasks.pipeline.classify_records import load_champion
from ecg_tasks.pipeline.reports.explaining import explain_record
from ecg_tasks.queries.models import Version
from ecg_tasks.queries.records import RecordPage, stored_record
from ecg_tasks.reporting.attribution import Attribution
from ecg_tasks.signals.recipes import recipe_of

_asking = Lock()


def attribution(store: ObjectStore, found: RecordPage) -> Attribution | None:
    """Return what the decision on a record is based on; None where there is no answer, or its version is gone or reads other pictures."""
    if found.decided is None or found.decided.probability is None:
        return None
    with _asking:
        return _explained(store, found.decided.version, found.shard, found.stored.record.record_id, forgotten=forgotten.generation(store))


@keep(256)  # one takes some 20 kB
def _explained(
    store: ObjectStore,
    version: Version,
    shard: str,
    record_id: str,
    *,
    forgotten: tuple[tuple[str, str], ...],  # noqa: ARG001 - a generation
) -> Attribution | None:
    stored, classifier = stored_record(store, shard, record_id), _classifier(store, version.recipe, version.version)
    return None if stored is None or classifier is None else explain_record(classifier, stored.record)


@keep(4)
def _classifier(store: ObjectStore, recipe: str, version: str) -> Classifier | None:
    try:
        classifier = load_champion(store, recipe, version)
        recipe_of(recipe, classifier.spec.recipe_digest)
    except (MissingObjectError, ModelRefusedError, ConfigurationError):
        return None
    return classifier
