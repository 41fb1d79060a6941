"""Here: what a version's answer on one record rests on, for a page. Not here: finding it out (``classifying.explaining``).

Loading a version takes longer than asking it, so the few latest are kept; a version answers one question at a time.
"""

from functools import lru_cache
from threading import Lock

from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import MissingObjectError, ModelRefusedError
from ecg_tasks.learning.serving import Classifier
from ecg_tasks.pipeline.classify_records import load_champion
from ecg_tasks.pipeline.reports.explaining import explain_record
from ecg_tasks.queries.records import RecordPage
from ecg_tasks.reporting.influence import Influence
from ecg_tasks.signals.recipes import get_recipe

_KEPT = 256
"""Explanations; one takes some 20 kB."""

_asking = Lock()
_known: dict[tuple[str, str, str], Influence | None] = {}


def influence(store: ObjectStore, found: RecordPage) -> Influence | None:
    """What the decision on a record rests on; None where there is no answer, or its version is gone or reads other pictures."""
    if found.decided is None or found.decided.probability is None:
        return None
    version, record = found.decided.version, found.stored.record
    known = (version.digest, version.key, record.record_id)
    with _asking:
        if known not in _known:
            classifier = _classifier(store, version.recipe, version.version)
            made = None if classifier is None else explain_record(classifier, record)
            while len(_known) >= _KEPT:
                del _known[next(iter(_known))]
            _known[known] = made
        return _known[known]


@lru_cache(maxsize=4)
def _classifier(store: ObjectStore, recipe: str, version: str) -> Classifier | None:
    try:
        classifier = load_champion(store, recipe, version)
    except (MissingObjectError, ModelRefusedError):
        return None
    return classifier if classifier.spec.recipe_digest == get_recipe(recipe).digest else None
