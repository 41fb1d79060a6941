"""Here: the tasks of the DAG ``forget_patient``: a recording, or all of a patient, goes from everything. Not here: how (``forgetting``).

What is meant is written down first, in ``forgotten/``, and everything else begins from there, so that a run that was broken off anywhere
is ended by another one. While it is changing things, no other run begins (``FORGETTING`` stands in the bucket): the DAG waits until none
is at work. Then all is looked through until nothing is left to be changed. At last ids and names go from what was written down, too.
"""

import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Collection

from msgspec import structs

from ecg_tasks.archive import audit, forgotten, keys, object_store, registry
from ecg_tasks.archive.documents import (
    Approval,
    ClassifyManifest,
    DatasetManifest,
    Forgetting,
    ForgettingCounts,
    ForgettingManifest,
    IntakeManifest,
    LearntBy,
    Manifest,
    RenderManifest,
    find,
    find_manifest,
    read,
    read_manifests,
    write,
    write_manifest,
)
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.archive.task_log import counted, logged
from ecg_tasks.archive.workspace import now, open_store, patient_hash
from ecg_tasks.errors import ConfigurationError, DamagedStoreError
from ecg_tasks.names import DagId
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.forgetting import earlier, gone, logs, versions
from ecg_tasks.pipeline.forgetting.gone import Gone
from ecg_tasks.pipeline.forgetting.kinds import KINDS
from ecg_tasks.settings import Settings

DAG = DagId.FORGET_PATIENT
OTHERS = tuple(dag for dag in DagId if dag not in {DAG, DagId.DECIDE_CHAMPION})
"""The DAGs whose runs read or write what is changed here."""
_MOST_LOOKS = 10
_EARLIER = "earlier"
"""Among the prefixes of a manifest: copies or versions of objects that were written over or deleted before."""
_LOG_FILES = "log_files"
"""Beside the prefixes: logs on this machine."""
_APPROVE = "Approve"
_ACCOUNTS: tuple[type[Manifest], ...] = (IntakeManifest, RenderManifest, ClassifyManifest)


def find_meant(store: ObjectStore, *, patient: str = "", issuer: str = "", record: str = "") -> Forgetting:
    """Return what a patient's id, or a record's, means by now, with nothing written.

    Parameters
    ----------
    patient : id, as the recordings or a label table have it
    issuer : who gave the id, where the recordings say that (DICOM, aECG)
    record : id of one record

    Raises
    ------
    ConfigurationError
        If not one of them is given, or nothing is found.
    """
    if bool(patient.strip()) == bool(record.strip()):
        raise ConfigurationError("name either a patient or a record")
    key = Settings.from_environment().patient_key
    hashes = {patient_hash(patient, key=key), patient_hash(patient.strip(), key=key), patient_hash(patient, key=key, issuer=issuer)}
    meant = Forgetting(
        token="",
        who="",
        why="",
        when="",
        what="patient" if patient.strip() else "record",
        record_ids=(record.strip(),) if record.strip() else (),
        patients=tuple(sorted(filter(None, hashes))) if patient.strip() else (),
    )
    found = gone.find(store, record_ids=frozenset(meant.record_ids), patients=frozenset(meant.patients))
    if not found and record.strip():
        raise ConfigurationError(f"there is no record {record.strip()!r}")
    if not found:
        raise ConfigurationError(
            "no recording of this patient is found: by this id, and without any other of who gave it."
            " Where recordings say who gave the id (DICOM, aECG), name that too (issuer); or name the records by their own ids"
        )
    return structs.replace(meant, records=tuple(one for one, _ in found), n_records=len(found))


def ask(store: ObjectStore, meant: Forgetting, *, who: str, why: str, approval: bool = False) -> str:
    """Write down what is to be forgotten; returns the token that a run of the DAG takes. Nothing is changed yet.

    One that was asked for and is not over goes on under its token. With ``approval`` a person is asked before anything is changed.

    Raises
    ------
    ConfigurationError
        If nobody or no reason is named.
    """
    if not why.strip() or not who.strip():
        raise ConfigurationError("forgetting needs a reason and a name: they are kept")
    for one in forgotten.forgettings(store):
        if not one.is_over and (one.record_ids, one.patients) == (meant.record_ids, meant.patients):
            return one.token
    token = secrets.token_hex(8)
    bare = structs.replace(meant, token=token, who=who.strip(), why=why.strip(), when=now(), approval=approval, records=())
    write(store, keys.forgotten(token), bare)
    return token


def look(store: ObjectStore, forgetting: Forgetting) -> tuple[Forgetting, tuple[LearntBy, ...]]:
    """Return all that was found of a forgetting, and the versions that learnt from it, with nothing changed."""
    found, left = gone.completed(store, forgetting)
    return found, versions.learnt_by(store, _gone(found, left))


def sentence(token: str) -> str:
    """Say what is going to be forgotten, for the person who is asked to approve that; nothing in it tells of whom.

    Raises
    ------
    ConfigurationError
        If there is no such request.
    """
    store = open_store()
    asked = _asked(store, token)
    if asked.is_over:
        return f"{_records(asked.n_records)} of this request were forgotten on {asked.ended}. There is nothing left to do."
    found, learnt = look(store, asked)
    whose = f"{_records(found.n_records)} of one patient" if asked.patients else _records(found.n_records)
    return (
        f"**{whose} would be removed for good** from everything in the bucket; {_models(learnt)}. Asked for by {asked.who}.\n\n"
        "**Approve**: this starts once no other run is active, and cannot be undone. Copies and backups made before keep the recordings:"
        " delete those yourself. **Reject**, or no answer in two days: nothing changes, and the request is deleted."
    )


def needs_approval(token: str) -> bool:
    """Tell whether a person must approve a request; `ConfigurationError` if there is none."""
    return _asked(open_store(), token).approval


@object_store.forgetting()
def note_answer(run_id: str, token: str, answer: Approval) -> str:
    """Write down what the person said who was asked; returns its key. A request that was refused goes: nothing of it was begun."""
    store = open_store()
    if answer.chosen != _APPROVE:
        store.delete(keys.forgotten(token))
    return write(store, _answer_key(keys.run_key(run_id)), answer)


def begin_alone(token: str, *, at_work: Callable[[], bool]) -> bool:
    """Begin if no other run is at work; returns whether it is so. ``at_work`` tells whether one is.

    It looks before, so that nobody waits in vain, and after, for a run may have begun in between: it either sees what `begin` wrote, or
    is seen here.
    """
    if at_work():
        return False
    begin(token)
    if not at_work():
        return True
    end()
    return False


def begin(token: str) -> None:
    """Let no run of another DAG begin, and refuse the recordings from now on."""
    store = open_store()
    if _asked(store, token).is_over:
        return
    store.put(keys.FORGETTING, b"")


def end() -> None:
    """Let other runs begin again."""
    open_store().delete(keys.FORGETTING)


@object_store.forgetting()
@logged
def carry_out(run_id: str, token: str) -> str:
    """Forget what was asked for, in everything; returns the key of the run's manifest. Begun again anywhere, it comes to the same.

    Raises
    ------
    ConfigurationError
        If there is no such request, or it has to be approved and was not.
    DamagedStoreError
        If something of it comes again and again while it is taken out.
    """
    settings = Settings.from_environment()
    store, run = open_store(settings), keys.run_key(run_id)
    asked = _asked(store, token)
    manifest = find_manifest(store, ForgettingManifest, run)
    if manifest is not None:
        return keys.manifest(DAG, run)
    n_by_kind: Counter[str] = Counter()
    approved_by = _approved_by(store, run) if asked.approval and not asked.is_over else ""
    if not asked.is_over:
        ingest_records.end_broken_off(store)
        for _ in range(_MOST_LOOKS):
            asked, left = gone.completed(store, _with_times(store, asked))
            asked = _with_times(store, asked)
            write(store, keys.forgotten(token), asked)
            what = _gone(asked, left)
            forgotten.refuse(store, more=map(what.digest, what.ids))
            forgotten.remember_names(store, what.names_and_records, key=what.key)
            changed = Counter({kind.prefix: kind.forget(store, what) for kind in KINDS})
            n_by_kind += changed
            if not +changed:
                break
        else:
            raise DamagedStoreError(f"something of {token} is there again after {_MOST_LOOKS} looks: {dict(+changed)}")
        n_by_kind[_EARLIER] = earlier.forget(store, what)
        if settings.logs is not None:  # last: what was done until here may have written some
            n_by_kind[_LOG_FILES] = logs.forget_in_folder(settings.logs, what)
        asked = _ended(store, what, asked, approved_by=approved_by)
    counted(**{f"changed_in_{kind.strip('/')}": n for kind, n in n_by_kind.items() if n})
    return _publish(store, run, asked, n_by_kind)


def allow_again(store: ObjectStore, *, who: str, why: str, record: str = "", token: str = "") -> str:
    """Let a recording that was forgotten be taken over if it comes again; returns a sentence.

    A patient's hash is not kept, so a patient's recordings are allowed by the ids of their records, or by the token of the forgetting.

    Raises
    ------
    ConfigurationError
        If it was not forgotten, or nobody or no reason is named.
    """
    if not who.strip() or not why.strip():
        raise ConfigurationError("allowing again needs a reason and a name: they are kept")
    digest = forgotten.digest_of(record, key=Settings.from_environment().patient_key) if record else ""
    found = [
        one for one in forgotten.forgettings(store) if one.is_over and not one.allowed and (digest in one.digests or one.token == token)
    ]
    if not found:
        raise ConfigurationError("nothing of that was forgotten, or it is allowed already")
    for one in found:
        write(store, keys.forgotten(one.token), structs.replace(one, allowed=f"{now()} by {who.strip()}: {why.strip()}"))
        audit.append(store, who=who, action=audit.Action.ALLOW, subject=one.token, detail={"why": why.strip()})
    forgotten.refuse(store)
    return f"{_records(sum(one.n_records for one in found))} may come again"


def headline(manifest_key: str) -> str:
    """Return one sentence of a run's account."""
    return read(open_store(), ForgettingManifest, manifest_key).outcome


def digests(store: ObjectStore) -> tuple[str, ...]:
    """Return the digests of all that is forgotten and was not allowed again: what a restored backup has to forget."""
    return tuple(sorted(set().union(*(one.digests for one in forgotten.forgettings(store) if one.is_over and not one.allowed))))


def meant_by(store: ObjectStore, listed: Collection[str]) -> Forgetting | None:
    """Return the records of the archive that a list of digests means, as a request; None where there is none of them."""
    key = Settings.from_environment().patient_key
    wanted = frozenset(listed)
    ids = [record_id for record_id in gone.record_ids(store) if forgotten.digest_of(record_id, key=key) in wanted]
    if not ids:
        return None
    found = gone.find(store, record_ids=frozenset(ids), patients=frozenset())
    return Forgetting(
        token="", who="", why="", when="", what="record", record_ids=tuple(sorted(ids)), records=tuple(one for one, _ in found)
    )


def _asked(store: ObjectStore, token: str) -> Forgetting:
    found = find(store, Forgetting, keys.forgotten(token)) if token.isalnum() else None
    if found is None:
        raise ConfigurationError(f"there is no request {token!r} to forget anything; ./ecg forget makes one")
    return found


def _answer_key(run: str) -> str:
    return keys.staging(DAG, run, "answer.json")


def _approved_by(store: ObjectStore, run: str) -> str:
    answer = find(store, Approval, _answer_key(run))
    if answer is None or answer.chosen != _APPROVE or not answer.who:
        raise ConfigurationError("nobody has approved this request in this run: nothing was changed")
    return answer.who


def _gone(forgetting: Forgetting, left: gone.Left) -> Gone:
    settings = Settings.from_environment()
    return Gone(forgetting=forgetting, left=left, names=StoredNames.of(settings), key=settings.patient_key)


def _with_times(store: ObjectStore, forgetting: Forgetting) -> Forgetting:
    """Write down when all was written first that has a place by its time and may be written again."""
    first = forgotten.first_written(store)
    shards = {one.shard for one in forgetting.records}
    listed = [
        *(item for dag in (kind.DAG for kind in _ACCOUNTS) for item in store.list_objects(f"{keys.MANIFESTS}{dag}/")),
        *(item for item in store.list_objects(keys.MODELS) if item.key.endswith(f"/{registry.SUMS}")),
        *(item for item in store.list_objects(keys.PREDICTIONS) if item.key.split("/")[2] in shards),
    ]
    return structs.replace(forgetting, written={item.key: first(item).isoformat() for item in listed} | forgetting.written)


def _ended(store: ObjectStore, what: Gone, asked: Forgetting, *, approved_by: str) -> Forgetting:
    """Log the act, and take out of what was written down all that tells of whom it was."""
    learnt = versions.learnt_by(store, what)
    rewritten = _rewritten(store, what)
    detail = {
        "why": asked.why,
        "what": asked.what,
        "records": asked.n_records,
        "approved_by": approved_by,
        "learnt_by": [f"{one.recipe}/{one.version}" for one in learnt],
        "rewritten_sha256": hashlib.sha256("\n".join(f"{key} {digest}" for key, digest in sorted(rewritten.items())).encode()).hexdigest(),
    }
    audit.append(store, who=asked.who, action=audit.Action.FORGET, subject=asked.token, detail=detail)
    ended = Forgetting(
        token=asked.token,
        who=asked.who,
        why=asked.why,
        when=asked.when,
        what=asked.what,
        n_records=asked.n_records,
        digests=tuple(sorted(map(what.digest, what.ids))),
        learnt_by=learnt,
        rewritten=rewritten,
        written=_changed_since(store, asked.written),
        ended=now(),
    )
    write(store, keys.forgotten(asked.token), ended)
    return ended


def _rewritten(store: ObjectStore, what: Gone) -> dict[str, str]:
    """Return the SHA-256 of every object that has other bytes by now than its name, or the log, says."""
    changed = [keys.manifest(one.dag, one.run) for kind in _ACCOUNTS for one in read_manifests(store, kind) if what.token in one.forgotten]
    for dataset_id in store.list_folders(keys.DATASETS):
        made = find(store, DatasetManifest, keys.dataset(dataset_id, "manifest.json"))
        if made is not None and what.token in made.forgotten:
            changed += [keys.dataset(dataset_id, name) for name in ("manifest.json", "split.parquet")]
    changed += [keys.record_shard(shard) for shard in what.shards - what.empty_shards]
    return {key: store.sha256([key]) for key in sorted(changed)}


def _changed_since(store: ObjectStore, written: dict[str, str]) -> dict[str, str]:
    prefixes = {key.split("/")[0] for key in written}
    there = {item.key: item.modified.isoformat() for prefix in prefixes for item in store.list_objects(f"{prefix}/")}
    return {key: when for key, when in written.items() if key in there and there[key] != when}


def _publish(store: ObjectStore, run: str, ended: Forgetting, n_by_kind: Counter[str]) -> str:
    learnt = ended.learnt_by
    outcome = f"{_records(ended.n_records)} forgotten ({ended.token}); {_models(learnt)}"
    serving = [one.recipe for one in learnt if one.serves]
    if serving:
        outcome += f". To train again without them: {'; '.join(retrain_command(recipe) for recipe in sorted(set(serving)))}"
    manifest = ForgettingManifest(
        dag=DAG,
        run=run,
        counts=ForgettingCounts(records=ended.n_records, objects=sum(n_by_kind.values()), versions=len(learnt)),
        token=ended.token,
        who=ended.who,
        why=ended.why,
        objects={prefix: n for prefix, n in sorted(n_by_kind.items()) if n},
        learnt_by=learnt,
        outcome=outcome,
    )
    return write_manifest(store, manifest)


def retrain_command(recipe: str) -> str:
    r"""Return the command that trains a recipe again, with what is labelled by then.

    >>> retrain_command("heartbeat")
    './ecg run retrain_model --conf \'{"recipe": "heartbeat"}\''
    """
    return f"""./ecg run retrain_model --conf '{{"recipe": "{recipe}"}}'"""


def _records(n: int) -> str:
    return f"{n:,} {'record' if n == 1 else 'records'}"


def _models(learnt: Collection[LearntBy]) -> str:
    if not learnt:
        return "no version of a model learned from this"
    return "versions that learned from this: " + ", ".join(f"{one.recipe} {one.version}{' (serves)' * one.serves}" for one in learnt)
