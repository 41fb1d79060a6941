"""Here: which decisions of the archive a change of champions changed. Not here: a chosen version against another (``backfill_version``)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.documents import ReportPin
from ecg_tasks.archive.labelling import LabelEntry
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.parallel import bounded_parallel_map
from ecg_tasks.errors import MissingObjectError
from ecg_tasks.evaluation.intervals import nan_to_none
from ecg_tasks.labels import Decision
from ecg_tasks.reporting.changes import ChangedRecord, Changes

if TYPE_CHECKING:
    import pandas as pd


def decisions(store: ObjectStore, shard: str, *, recipes: Sequence[str], versions: Mapping[str, str]) -> "pd.DataFrame | None":
    """Return the decisions on a shard: the first recipe that takes a record decides on it. None while any version has not decided."""
    import pandas as pd

    found: list[pd.DataFrame] = []
    for name in recipes:
        if name not in versions:
            continue
        try:
            columns = tables.load(store.get(keys.predictions(name, shard, versions[name])))
        except MissingObjectError:
            return None
        columns.setdefault("seconds_read", [""] * tables.n_rows(columns))  # absent in older tables
        found.append(pd.DataFrame(columns).assign(recipe=name, version=versions[name]))
    return pd.concat(found, ignore_index=True).drop_duplicates("record_id", keep="first") if found else None


def changes(store: ObjectStore, pinned: ReportPin, *, labels: Mapping[str, LabelEntry]) -> Changes | None:
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

    def compared(shard: str) -> "tuple[int, pd.DataFrame] | None":
        one = decisions(store, shard, recipes=recipes, versions=before)
        other = decisions(store, shard, recipes=recipes, versions=after)
        if one is None or other is None:
            return None
        columns = ["record_id", "decision", "probability"]
        both = one[columns].merge(other[columns], on="record_id", suffixes=("_before", "_after"), validate="one_to_one")
        changed = both[both["decision_before"] != both["decision_after"]]
        if len(changed):
            index = tables.load(store.get(keys.record_index(shard)), ["record_id", "name"])
            changed = changed.assign(name=changed["record_id"].map(dict(zip(index["record_id"], index["name"], strict=True))))
        return len(both), changed

    n_records, counts, records = 0, Counter[tuple[Decision, Decision]](), list[ChangedRecord]()
    for found in bounded_parallel_map(compared, shards):
        if found is None:
            continue
        n_records += found[0]
        for row in found[1].to_dict("records"):
            one, other = Decision(row["decision_before"]), Decision(row["decision_after"])
            counts[one, other] += 1
            label = labels.get(row["record_id"])
            records.append(
                ChangedRecord(
                    record_id=row["record_id"],
                    name=row["name"],
                    before=one,
                    after=other,
                    probability_before=nan_to_none(row["probability_before"]),
                    probability_after=nan_to_none(row["probability_after"]),
                    label=None if label is None else label.label,
                )
            )
    return Changes(before=before, after=after, n_records=n_records, counts=counts, records=records)
