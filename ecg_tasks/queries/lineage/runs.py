"""Here: which run made a thing, and whether its manifest is the one that the log knows. Not here: what runs have made (``tracing``)."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ecg_tasks.archive import audit, audit_check, keys
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.archive.workspace import find_json, get_json
from ecg_tasks.queries.lineage.links import Link, State, code_link

INGEST, RENDER, CLASSIFY, RETRAIN = "ingest_records", "render_spectrograms", "classify_records", "retrain_model"

Manifest = Mapping[str, Any]


class Runs:
    """The manifests of all runs, each read at most once, and the names of the log's entries."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._listed: dict[str, list[ObjectInfo]] = {}
        self._read: dict[str, Manifest] = {}
        self._logged: dict[str, audit.Name] | None = None

    def named(self, run: str) -> Manifest | None:
        """The manifest of the run of this id or name, of whatever DAG it is."""
        for dag in self._store.list_folders(keys.MANIFESTS):
            manifest: Manifest | None = find_json(self._store, keys.manifest(dag, keys.run_key(run)))
            if manifest is not None:
                return manifest
        return None

    def that(self, dag: str, has: Callable[[Manifest], bool], *, wrote: str) -> Manifest | None:
        """The manifest of the run that made a thing, or None: those are looked at first that were written when ``wrote`` was."""
        info = self._store.info(wrote)
        at = info.modified if info else datetime.now(UTC)
        if dag not in self._listed:
            self._listed[dag] = list(self._store.list_objects(f"{keys.MANIFESTS}{dag}/"))
        nearest = sorted(self._listed[dag], key=lambda item: abs(item.modified - at))
        return next((manifest for item in nearest if has(manifest := self._manifest(item.key))), None)

    def link(self, manifest: Manifest, *, beneath: tuple[Link, ...] = ()) -> Link:
        """A run, held against its entry in the log, with the code that it ran."""
        dag, run = manifest["dag"], manifest["run"]
        state, sentence = self._known_to_the_log(manifest)
        told = {name: f"{count:,}" for name, count in manifest.get("account", {}).items() if isinstance(count, int)}
        return Link(what=dag, name=run, state=state, sentence=sentence, told=told, beneath=(code_link(manifest.get("code")), *beneath))

    def _manifest(self, key: str) -> Manifest:
        if key not in self._read:
            self._read[key] = get_json(self._store, key)
        return self._read[key]

    def _known_to_the_log(self, manifest: Manifest) -> tuple[State, str]:
        if manifest["dag"] == INGEST:
            return self._intake_in_the_log(manifest)
        if manifest["dag"] == CLASSIFY and manifest.get(audit_check.ANCHOR):
            return self._night_in_the_log(manifest, manifest[audit_check.ANCHOR])
        return State.TOLD, "the log has no entry that its manifest could be held against"

    def _intake_in_the_log(self, manifest: Manifest) -> tuple[State, str]:
        dag, run = manifest["dag"], manifest["run"]
        sha256 = self._store.sha256([keys.manifest(dag, run)])
        detail = {"account": manifest["account"], "labels": manifest["labels"]["stored"], "manifest_sha256": sha256}
        act = audit.act_of(who=f"{dag}/{run}", action=audit.Action.INGEST, subject=run, detail=detail)
        if any(name.act == act for name in self._names().values()):
            return State.CHECKED, "its manifest is the one that the log has the SHA-256 of"
        if any(entry.action is audit.Action.INGEST and entry.subject == run for _, entry in audit.entries(self._store)):
            return State.BROKEN, "its manifest is not the one that the log has the SHA-256 of"
        return State.ABSENT, "the log has no entry of it: it is older than the log, or took nothing over"

    def _night_in_the_log(self, manifest: Manifest, digest: str) -> tuple[State, str]:
        if digest not in self._names():
            return State.BROKEN, f"its entry {digest[:12]} is not in the log"
        entry = audit.Entry.from_json(self._store.get(self._names()[digest].key))
        if entry.detail != {name: manifest[name] for name in ("report", "account", "champions")}:
            return State.BROKEN, f"its manifest says something else than its entry {digest[:12]} in the log"
        return State.CHECKED, f"its manifest says what its entry {digest[:12]} in the log says"

    def _names(self) -> dict[str, audit.Name]:
        if self._logged is None:
            found = (audit.Name.of(key) for key in self._store.list_keys(keys.AUDIT))
            self._logged = {name.digest: name for name in found if name is not None}
        return self._logged
