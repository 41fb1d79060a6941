"""Here: which run made a thing, and whether its manifest is the one that the log knows. Not here: what runs have made (``tracing``)."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ecg_tasks.archive import audit, forgotten, keys
from ecg_tasks.archive.documents import ClassifyManifest, IntakeManifest, Manifest, find_manifest, plain, read
from ecg_tasks.archive.documents.manifests import AnyManifest, counts_as_stored
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.archive.replaced import Replacements
from ecg_tasks.names import DagId
from ecg_tasks.queries.lineage.links import Link, LinkState, code_link


class RunLinks:
    """The manifests of all runs, each read at most once, and the names of the log's entries."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._listed: dict[str, list[ObjectInfo]] = {}
        self._read: dict[str, Any] = {}
        self._logged: dict[str, audit.Name] | None = None
        self._replaced: Replacements | None = None

    def named(self, run: str) -> Manifest | None:
        """Return the manifest of the run of this id or name, of whatever DAG it is."""
        kinds = sorted(Manifest.__subclasses__(), key=lambda kind: kind.DAG)
        found = (find_manifest(self._store, kind, keys.run_key(run)) for kind in kinds)
        return next((manifest for manifest in found if manifest is not None), None)

    def that(self, kind: type[AnyManifest], has: Callable[[AnyManifest], bool], *, wrote: str) -> AnyManifest | None:
        """Return the manifest of the run that made a thing, or None; search first those that were written when ``wrote`` was."""
        info = self._store.info(wrote)
        at = info.modified if info else datetime.now(UTC)
        if kind.DAG not in self._listed:
            self._listed[kind.DAG] = list(self._store.list_objects(f"{keys.MANIFESTS}{kind.DAG}/"))
        nearest = sorted(self._listed[kind.DAG], key=lambda item: abs(item.modified - at))
        return next((manifest for item in nearest if has(manifest := self._manifest(kind, item.key))), None)

    def made_by(self, kind: type[AnyManifest], has: Callable[[AnyManifest], bool], *, wrote: str) -> Link:
        """Return the run that made a thing."""
        manifest = self.that(kind, has, wrote=wrote)
        return unknown_run(kind.DAG) if manifest is None else self.link(manifest)

    def link(self, manifest: Manifest, *, beneath: Iterable[Link] = ()) -> Link:
        """Return a run, held against its entry in the log, with the code that it ran."""
        state, sentence = self._held_against_the_log(manifest)
        counts = plain(getattr(manifest, "counts", None)) or {}
        metadata = {name: f"{count:,}" for name, count in counts.items() if isinstance(count, int)}
        below = (code_link(manifest.code), *beneath)
        return Link(what=manifest.dag, name=manifest.run, state=state, sentence=sentence, metadata=metadata, beneath=below)

    def _manifest(self, kind: type[AnyManifest], key: str) -> Any:
        if key not in self._read:
            self._read[key] = read(self._store, kind, key)
        return self._read[key]

    def _held_against_the_log(self, manifest: Manifest) -> tuple[LinkState, str]:
        """Compare the JSON as it was stored with the log: what was written before a field was added has to keep its digest for ever."""
        data = self._store.get(keys.manifest(manifest.dag, manifest.run))
        if manifest.forgotten:
            if hashlib.sha256(data).hexdigest() in forgotten.rewritten(self._store, keys.manifest(manifest.dag, manifest.run)):
                return LinkState.CHECKED, "something in it was forgotten, and its manifest is the one that was written down then"
            return LinkState.BROKEN, "something in it was forgotten, and its manifest is not the one that was written down then"
        if isinstance(manifest, IntakeManifest):
            return self._intake_in_the_log(manifest, data)
        if isinstance(manifest, ClassifyManifest) and manifest.audit:
            return self._night_in_the_log(manifest.audit, json.loads(data))
        return LinkState.RECORDED, "the log has no entry to compare its manifest with"

    def _intake_in_the_log(self, manifest: IntakeManifest, data: bytes) -> tuple[LinkState, str]:
        key = keys.manifest(manifest.dag, manifest.run)
        counts, sha256 = counts_as_stored(data), self._digest_before(key, hashlib.sha256(data).hexdigest())
        detail = {"account": counts, "labels": manifest.labels.stored, "manifest_sha256": sha256}
        act = audit.act_of(who=f"{manifest.dag}/{manifest.run}", action=audit.Action.INGEST, subject=manifest.run, detail=detail)
        if any(name.act == act for name in self._names().values()):
            return LinkState.CHECKED, "its manifest is the one that the log has the SHA-256 of"
        if any(entry.action is audit.Action.INGEST and entry.subject == manifest.run for _, entry in audit.entries(self._store)):
            return LinkState.BROKEN, "its manifest is not the one that the log has the SHA-256 of"
        return LinkState.ABSENT, "the log has no entry of it: it is older than the log, or took nothing over"

    def _night_in_the_log(self, digest: str, stored: Mapping[str, Any]) -> tuple[LinkState, str]:
        if digest not in self._names():
            return LinkState.BROKEN, f"its entry {digest[:12]} is not in the log"
        entry = audit.Entry.from_json(self._store.get(self._names()[digest].key))
        if entry.detail != {name: stored.get(name) for name in ("report", "account", "champions")}:
            return LinkState.BROKEN, f"its manifest says something else than its entry {digest[:12]} in the log"
        return LinkState.CHECKED, f"its manifest says what its entry {digest[:12]} in the log says"

    def _digest_before(self, key: str, sha256: str) -> str:
        if self._replaced is None:
            self._replaced = Replacements.read(self._store)
        return self._replaced.digest_before(key, sha256)

    def _names(self) -> dict[str, audit.Name]:
        """Return the names of the log's entries, by digest."""
        if self._logged is None:
            found = (audit.Name.of(key) for key in self._store.list_keys(keys.AUDIT))
            self._logged = {name.digest: name for name in found if name is not None}
        return self._logged


def unknown_run(dag: DagId, sentence: str = "no manifest names it") -> Link:
    """Return an unknown run of a DAG."""
    return Link(what=dag, name="unknown", state=LinkState.ABSENT, sentence=sentence)
