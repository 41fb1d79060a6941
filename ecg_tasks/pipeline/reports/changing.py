"""Here: which decisions of the archive a change of champions changed. Not here: a chosen version against another (``backfill_version``)."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import ReportPin
from ecg_tasks.archive.known_labels import KnownLabels
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.parallel import bounded_parallel_map
from ecg_tasks.archive.predictions import join_shard
from ecg_tasks.evaluation.intervals import nan_to_none
from ecg_tasks.labels import Decision
from ecg_tasks.reporting.changes import ChangedRecord, Changes


class _Said(NamedTuple):
    """What a set of champions said of a record, and its name."""

    name: str
    decision: Decision
    probability: float | None


def changes(store: ObjectStore, pinned: ReportPin, *, labels: KnownLabels) -> Changes | None:
    """Compare the decisions of the last report's champions with those of this one, over the whole archive; None if no champion changed.

    A record counts where both sets of champions have decided on its whole shard. Memory holds the changed records only.
    """
    before, after = pinned.before, pinned.versions
    if not before or before == after:
        return None
    recipes = pinned.recipes
    predicted: dict[str, set[tuple[str, str]]] = {}
    for name in recipes:
        for key in store.list_keys(f"{keys.PREDICTIONS}{name}/"):
            predicted.setdefault(key.split("/")[2], set()).add((name, keys.stem(key)))
    needed = {item for versions in (before, after) for item in versions.items() if item[0] in recipes}
    shards = sorted(shard for shard, found in predicted.items() if needed <= found)

    def compared(shard: str) -> tuple[int, list[tuple[str, _Said, _Said]]]:
        one, other = (_said(store, shard, {name: found[name] for name in recipes if name in found}) for found in (before, after))
        both = [(record_id, said, other[record_id]) for record_id, said in one.items() if record_id in other]
        return len(both), [found for found in both if found[1].decision != found[2].decision]

    n_records, counts, records = 0, Counter[tuple[Decision, Decision]](), list[ChangedRecord]()
    for n, changed in bounded_parallel_map(compared, shards):
        n_records += n
        for (record_id, one, other), label in zip(changed, labels.of([record_id for record_id, *_ in changed]), strict=True):
            counts[one.decision, other.decision] += 1
            records.append(
                ChangedRecord(
                    record_id=record_id,
                    name=one.name,
                    before=one.decision,
                    after=other.decision,
                    probability_before=one.probability,
                    probability_after=other.probability,
                    label=label,
                )
            )
    return Changes(before=before, after=after, n_records=n_records, counts=counts, records=records)


def _said(store: ObjectStore, shard: str, versions: Mapping[str, str]) -> dict[str, _Said]:
    columns = join_shard(store, shard, versions, ("record_id", "name", "decision", "probability")).columns
    if "decision" not in columns:
        return {}
    said = zip(columns["name"], map(Decision, columns["decision"]), map(nan_to_none, columns["probability"].tolist()), strict=True)
    return dict(zip(columns["record_id"], map(_Said._make, said), strict=True))
