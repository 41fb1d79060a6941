"""Here: what version 0.1 reads in a bucket. Not here: what it should read (``test_upgrade``).

    python read_by_version_0_1.py FOLDER

It runs with the code of version 0.1 as ``ecg_tasks``, and so imports nothing of today's. ``FOLDER`` holds an object a file. Prints JSON.

``version-0.1.zip`` holds the modules of commit cd2755a that this imports, and no others; its comment says of which commit they are. It was
made by ``git archive --format=zip -9 -o version-0.1.zip cd2755a PATH...``, and Python imports from it as it is.
"""

# ruff: noqa: I001 - here ecg_tasks is version 0.1's
import io
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from ecg_tasks.signals.recipes import RECIPES
from ecg_tasks.steps import audit_check
from ecg_tasks.steps.browse import quarantine, records, runs, table
from ecg_tasks.steps.browse.overview import overview
from ecg_tasks.steps.champions import promotion
from ecg_tasks.steps.lineage import tracing
from ecg_tasks.steps.maintenance import checksums, orphans, rules
from ecg_tasks.steps.monitoring import drift, nights
from ecg_tasks.steps.reviewing import review
from ecg_tasks.steps.reviewing.labelling import labels_in_force
from ecg_tasks.steps.training import grouping
from ecg_tasks.storage import keys, registry, tables
from ecg_tasks.storage.object_store import ObjectStore

EVERYTHING = 10_000
A_PAGE = 500
"""Records of the queue at once, at most."""
PAGES = 20
"""Every so many records one has its page and its lineage read."""


class Folder:
    """As much of a boto3 client as reading needs, with a file an object."""

    def __init__(self, folder: Path) -> None:
        self._objects = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: ARG002, N803 - boto3's names
        """Return the content of an object."""
        if Key not in self._objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        data = self._objects[Key].read_bytes()
        return {"Body": StreamingBody(io.BytesIO(data), len(data))}

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: ARG002, N803 - as above
        """Return what is known of an object."""
        if Key not in self._objects:
            raise ClientError({"Error": {"Code": "404"}}, "HeadObject")
        return self._told(Key) | {"ContentLength": self._told(Key)["Size"]}

    def get_paginator(self, _: str) -> "Folder":
        """Return the only listing there is."""
        return self

    def paginate(self, *, Bucket: str, Prefix: str, Delimiter: str = "") -> Iterator[dict[str, Any]]:  # noqa: ARG002, N803 - as above
        """Yield every key below a prefix, or the folders there."""
        found = sorted(key for key in self._objects if key.startswith(Prefix))
        if Delimiter:
            folders = {key[len(Prefix) :].partition("/") for key in found}
            yield {"CommonPrefixes": [{"Prefix": f"{Prefix}{name}/"} for name, slash, _ in sorted(folders) if slash]}
        else:
            yield {"Contents": [self._told(key) for key in found]}

    def _told(self, key: str) -> dict[str, Any]:
        stat = self._objects[key].stat()
        return {"Key": key, "Size": stat.st_size, "ETag": '""', "LastModified": datetime.fromtimestamp(stat.st_mtime, UTC)}


def what_it_reads(store: ObjectStore) -> dict[str, Any]:
    """Return facts of every kind that version 0.1 shows, each read by its own function."""
    record_ids = [record_id for key in store.list_keys(keys.RECORD_INDEX) for record_id in tables.load(store.get(key))["record_id"]]
    pages = {record_id: records.record_page(store, record_id) for record_id in record_ids[::PAGES]}
    reports = {}
    for run in runs.runs(store).runs:
        summary, rows = runs.summary(store, run.date, run.run), table.table(store, run.date, run.run)
        order = None if rows is None else [row["record_id"] for row in rows.rows(rows.select(table.Query()))]
        reports[run.run] = {"account": dict(run.account), "decisions": summary and dict(summary.decisions), "order": order}
    manifests = [key for key in store.list_keys(keys.MANIFESTS) if key.split("/")[1] in {"ingest_records", "classify_records"}]
    traced = [*record_ids[::PAGES], *(json.loads(store.get(key))["run"] for key in manifests)]
    checked, seen = audit_check.check(store), overview(store)
    contents = checksums.audit_checksums(store, run="any", sample=EVERYTHING)
    later = datetime.now(UTC) + timedelta(days=1000)
    old = rules.judge(store, dict.fromkeys(rules.RULES, 7.0), at=later).deletable
    return {
        "records": record_ids,
        "decisions": {recipe: found and asdict(found) for recipe in RECIPES for found in [registry.read_decisions(store, recipe)]},
        "versions": {recipe: registry.versions(store, recipe) for recipe in RECIPES},
        "standing": {f"{one.recipe}/{one.version}": one.standing for one in promotion.listing()},
        "labels": {record_id: [entry.label, entry.who, entry.when] for record_id, entry in labels_in_force(store).items()},
        "pages": {record_id: _page(page) for record_id, page in pages.items()},
        "reports": reports,
        "headlines": {key: runs.headline(key) for key in store.list_keys(keys.REPORTS) if key.endswith(f"/{rules.INDEX}")},
        "quarantine": {
            one.source: [one.name, one.reason, len(quarantine.entry(store, one.source)[1])] for one in quarantine.entries(store).entries
        },
        "overview": {"n_runs": seen.n_runs, "n_waiting": seen.n_waiting},
        "queue": [item.record_id for item in review.queue(store, user="ada", limit=A_PAGE).items],
        "progress": asdict(review.progress(store)),
        "lights": [asdict(one) for one in drift.lights(store)],
        "nights": {recipe: [night["run"] for night in nights.all_nights(store, recipe)] for recipe in RECIPES},
        "groups": {record_id: [group.name, group.place] for record_id, group in grouping.read_groups(store).items()},
        "log": {"n_entries": checked.n_entries, "ends": list(checked.ends), "faults": [asdict(one) for one in checked.faults]},
        "broken": sorted(link.name for name in traced for link in tracing.trace(store, name).all() if link.state == "broken"),
        "orphans": {one.key: one.kind for one in orphans.find_orphans(store, at=later)},
        "damaged": {one.key: one.kind for one in contents.damaged},
        "raw_in_danger": sorted({key.split("/")[1] for key in old if key.startswith(keys.RAW)}),
    }


def _page(page: Any) -> dict[str, Any]:
    one = page.decided
    decided = one and [one.version.key, one.decision, None if np.isnan(one.probability) else one.probability]
    return {"decided": decided, "patient": page.stored.patient, "windows": len(page.windows)}


if __name__ == "__main__":
    os.environ.update(ECG_BUCKET="folder", ECG_PATIENT_KEY="a key that only the tests know....")
    _store = ObjectStore(Folder(Path(sys.argv[1])), "folder")  # type: ignore[arg-type]  # as much of a client as is used
    ObjectStore.connect = classmethod(lambda _, __: _store)  # type: ignore[method-assign, assignment]
    sys.stdout.write(json.dumps(what_it_reads(_store)))
