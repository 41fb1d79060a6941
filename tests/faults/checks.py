"""Here: what must hold after a fault, besides that the night is equal to an unbroken one. Not here: running it (``night``)."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.pipeline.maintenance.checksums import audit_checksums
from ecg_tasks.pipeline.maintenance.orphans import AT_WORK, find_orphans
from ecg_tasks.queries import audit_log
from tests.faults.bench import Bench
from tests.faults.night import Night, Run

EVERYTHING = 1_000_000


def faults_of(bench: Bench, night: Night, reference: Night, runs: list[Run]) -> list[str]:
    """Every promise that does not hold, as a sentence; nothing if all is well."""
    store = bench.store
    found = [f"{one.dag} {one.run} ended as {one.state}" for one in runs if one.state != "success"]
    for name in ("received", "reasons", "decisions", "labels", "models", "serving", "rows", "seen"):
        was, should = getattr(night, name), getattr(reference, name)
        if was != should:
            found.append(f"{name} differ: {_difference(should, was)}")
    found += counts_by_run(store)
    found += [f"still in the inbox: {key}" for key in store.list_keys(keys.INBOX)]
    # As if the time that a run may be at work were over: nothing may be excused by it.
    found += [f"{one.kind}: {one.key} lacks {one.lacks}" for one in find_orphans(store, at=datetime.now(UTC) + AT_WORK + timedelta(days=1))]
    found += [f"damaged {one.kind}: {one.key}: {one.found}" for one in audit_checksums(store, run="faults", sample=EVERYTHING).damaged]
    found += [f"audit log: {one.sentence}" for one in audit_log.check(store).faults]
    found += bench.proxy.torn
    if not bench.proxy.n_read:
        found.append("nothing was read through the proxy: it watched nothing")
    return found


def counts_by_run(store: ObjectStore) -> list[str]:
    """Accounts that do not add up, records that stand twice, and records without a decision."""
    found = []
    for key in store.list_keys(f"{keys.MANIFESTS}ingest_records/"):
        one = json.loads(store.get(key))["account"]
        if one["received"] != one["records"] + one["duplicates"] + one["quarantined"] + one.get("forgotten", 0):
            found.append(f"{key} does not add up: {one}")
    for key in store.list_keys(f"{keys.MANIFESTS}classify_records/"):
        one = json.loads(store.get(key))["account"]
        if one["records"] != sum(one[fate] for fate in ("classified", "uncertain", "uninterpretable", "pending")) or one["pending"]:
            found.append(f"{key} does not add up: {one}")
    ids: Counter[str] = Counter()
    for data in store.get_many(store.list_keys(keys.RECORD_INDEX)):
        ids.update(tables.load(data, ["record_id"])["record_id"])
    decided: set[str] = set()
    for data in store.get_many(store.list_keys(keys.PREDICTIONS)):
        decided.update(tables.load(data, ["record_id"])["record_id"])
    found += [f"{record} stands {n} times" for record, n in ids.items() if n > 1]
    found += [f"{record} has no decision" for record in sorted(ids.keys() - decided)]
    found += [f"a decision on {record}, which is no record" for record in sorted(decided - ids.keys())]
    return found


def _difference(should: object, was: object) -> str:
    if isinstance(should, dict) and isinstance(was, dict):
        wrong = [name for name in sorted({*should, *was}) if should.get(name) != was.get(name)]
        return f"{len(wrong)} of {len(should)}, first {wrong[0]}: {should.get(wrong[0])} became {was.get(wrong[0])}"
    if isinstance(should, tuple) and isinstance(was, tuple):
        return f"{len(should)} became {len(was)}: {sorted({*should} ^ {*was})[:3]}"
    return f"{should} became {was}"
