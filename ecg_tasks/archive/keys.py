"""Here: the names of all objects in the bucket, and nothing else that knows them. Not here: reading or writing them."""

import hashlib
import re

from ecg_tasks import names

INBOX = names.INBOX
RAW = "raw/"
RECORDS = names.RECORDS
RECORD_INDEX = "record_index/"
ALIASES = "aliases/"
CATALOG = "catalog/"
CATALOG_HEAD = "catalog/head.json"
DESCRIPTIONS = "descriptions/"
QUARANTINE = "quarantine/"
LABELS = names.LABELS
CLASSES = names.CLASSES
SPECTROGRAMS = names.SPECTROGRAMS
MEASUREMENTS = names.MEASUREMENTS
SIGNATURES = "signatures/"
GROUPS = "groups/"
DATASETS = "datasets/"
CHECKPOINTS = "checkpoints/"
MODELS = "models/"
PREDICTIONS = names.PREDICTIONS
DECIDED = "decided/"
MONITORING = names.MONITORING
REPORTS = names.REPORTS
BACKFILLS = "backfills/"
MANIFESTS = "manifests/"
ACCOUNT_LISTS = "account_lists/"
TAKEN_OVER = "taken_over/"
DEIDENTIFIED = "deidentified/"
DEIDENTIFYING = "staging/deidentify/under_way"
"""That identifiers are being taken out of the bucket, or that this was broken off."""
AUDIT = "audit/"
FORGOTTEN = "forgotten/"
ACCESS = "access/"
LOGS = "logs/"
"""Where Airflow keeps the tasks' logs, if it keeps them in the bucket; see ``docker-compose.yaml``."""
STAGING = "staging/"
INTAKES = "staging/intake/"
"""Jobs and results of the intakes that are not over, and what the next one does first. It is listed by every plan, so it holds little."""
CHECK_CATALOG = "staging/intake/check_catalog"
"""That the catalogue may lack shards, which an earlier version of this program added."""
REFUSED = "staging/intake/refused"
"""By which digests the recordings are known that were forgotten: an intake refuses them. It stands where every plan lists anyway."""
REFUSED_NAMES = "staging/intake/refused_names"
"""By which digests a label table's rows are known that speak of them, for some days."""
FORGETTING = "staging/intake/forgetting"
"""That a recording is being forgotten now: no other run begins meanwhile."""

ONCE = (
    RAW,
    RECORDS,
    ALIASES,
    DESCRIPTIONS,
    LABELS,
    CLASSES,
    GROUPS,
    DATASETS,
    MODELS,
    PREDICTIONS,
    MONITORING,
    MANIFESTS,
    ACCOUNT_LISTS,
    AUDIT,
)
"""What is written once and never written over, but for what `written_once` leaves out of it."""
SET_ASIDE = (*ONCE, RECORD_INDEX, TAKEN_OVER, REPORTS, BACKFILLS)
"""Of what is written over or deleted below these our own store keeps a copy for some days: all that cannot be made again.

What is dropped, refused or under way is not here: it may name people, and its going is meant.
"""
CHAMPION = "champion.json"
VERDICT = "verdict.json"
APPROVALS = "approvals/"
_GROWS = f"{MANIFESTS}{names.DagId.RETRAIN_MODEL}/"
"""The account of a training says how it stands, from the verdict to a person's answer."""

DROP = "drop.json"
"""The list of a drop of several files, in raw/; a file of this name gets another there."""
REASON = "reason.json"
PUT_BACK = "put_back.json"
CLOSED = "closed.json"
_OURS = {REASON, PUT_BACK, CLOSED}
"""Beside the files of a quarantine entry; a file of such a name gets another there."""
_COPIES = re.compile(r"copies-([0-9a-f]{64})\.zip", re.ASCII)
"""The copies of several recordings in one object of raw/; a file of such a name gets another there."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_AIRFLOWS_OWN = re.compile(r"[a-z_]+__\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00(_+[A-Za-z0-9]+)?")
"""Ids that Airflow makes: of these no two differ only in signs."""
_MAX_NAME_BYTES = 900
"""S3 allows a key 1,024 bytes, a prefix and a digest included."""


def written_once(key: str) -> bool:
    """Return whether an object of this key is never written over: its name stands for its bytes, or for an act that is done.

    What people decide about a version stands beside its files, and may change.

    >>> written_once("audit/000000/1.json"), written_once("inbox/a.csv"), written_once("models/heartbeat/champion.json")
    (True, False, False)
    """
    if key.startswith(MODELS):
        _recipe, _, rest = key.removeprefix(MODELS).partition("/")
        _version, _, name = rest.partition("/")
        return bool(name) and name != VERDICT and not name.startswith(APPROVALS)
    return key.startswith(ONCE) and not key.startswith(_GROWS)


def run_key(run_id: str) -> str:
    """Return an Airflow run id as one safe path segment, unlike that of any other run: even two that differ only in signs share no account.

    >>> run_key("manual__2026-01-01T00:00:00+00:00"), run_key("my-run"), run_key("my+run")
    ('manual__2026-01-01T00-00-00-00-00', 'my-run', 'my-run-915a70d0af35a142')
    """
    safe = _UNSAFE.sub("-", run_id).strip(".-") or "run"
    if safe == run_id or _AIRFLOWS_OWN.fullmatch(run_id):
        return safe
    return f"{safe}-{_short_digest(run_id)}"


def stem(key: str) -> str:
    """Return the last segment of a key without its extension: the name that a derived object shares with its source.

    >>> stem("records/0a1b.parquet")
    '0a1b'
    """
    return key.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def file_name(name: str) -> str:
    """Return a dropped file's own name where that can be the last part of a key, and else one made from its digest.

    >>> file_name("100.dat"), file_name("..")
    ('100.dat', 'unnamed-5ec1f7e700f37c3d')
    """
    plain = name not in {"", ".", ".."} and not {"/", "\\"} & set(name) and name.isprintable()
    if plain and len(name.encode()) <= _MAX_NAME_BYTES:
        return name
    return f"unnamed-{_short_digest(name)}"


def _short_digest(name: str) -> str:
    return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:16]


def raw(sha256: str, name: str) -> str:
    """Return the key of a dropped file's bytes; ``sha256`` is theirs."""
    return f"{RAW}{sha256}/{'file-' * (name == DROP or bool(_COPIES.fullmatch(name)))}{file_name(name)}"


def raw_list(source: str) -> str:
    """Return the key of the list of a drop's files; ``source`` is the list's SHA-256."""
    return f"{RAW}{source}/{DROP}"


def raw_copies(source: str, sha256: str) -> str:
    """Return the key of the copies of several recordings; ``source`` is theirs, ``sha256`` that of the whole object."""
    return f"{RAW}{source}/copies-{sha256}.zip"


def digest_of_copies(key: str) -> str:
    """Return the SHA-256 that an object of several copies should have, by its key; empty for any other object.

    >>> digest_of_copies(raw_copies("0" * 64, "1" * 64)) == "1" * 64, digest_of_copies("raw/0/a.zip")
    (True, '')
    """
    match = _COPIES.fullmatch(key.rsplit("/", 1)[-1])
    return match[1] if match else ""


def taken_over(sha256: str, folder: str) -> str:
    """Return the key of the note that an archive was taken over: ``folder`` is what its recordings are named in, as it is stored."""
    return f"{TAKEN_OVER}{sha256}-{_short_digest(folder)}.json"


def record_shard(shard: str) -> str:
    return f"{RECORDS}{shard}.parquet"


def record_index(shard: str) -> str:
    return f"{RECORD_INDEX}{shard}.parquet"


def quarantine_entry(sha256: str, name: str) -> str:
    """Return an entry's folder: the same bytes under two names are two entries. In buckets of before 2026-11-28 it is ``sha256`` alone.

    >>> quarantine_entry("0" * 64, "ward/a.csv").removeprefix("0" * 64)
    '-81ea61b977a1b389'
    """
    return f"{sha256}-{_short_digest(name)}"


def quarantined(entry: str, name: str) -> str:
    return f"{QUARANTINE}{entry}/{'file-' * (name in _OURS)}{file_name(name)}"


def is_ours(name: str) -> bool:
    """Return whether an object of this name is ours, and no dropped file: a list, several copies, or what stands beside what is refused."""
    return name in _OURS or name == DROP or bool(_COPIES.fullmatch(name))


def quarantine_reason(entry: str) -> str:
    return f"{QUARANTINE}{entry}/{REASON}"


def quarantined_mark(entry: str, mark: str) -> str:
    """Return the key of a mark on an entry; ``mark`` is ``PUT_BACK`` or ``CLOSED``."""
    return f"{QUARANTINE}{entry}/{mark}"


def labels(digest: str) -> str:
    return f"{LABELS}{digest}.parquet"


def classes(digest: str) -> str:
    return f"{CLASSES}{digest}.parquet"


def spectrograms(recipe_key: str, shard: str) -> str:
    """Return the key of a shard's pictures; ``recipe_key`` is ``<recipe>@<digest>``."""
    return f"{SPECTROGRAMS}{recipe_key}/{shard}.parquet"


def spectrograms_of(recipe_key: str) -> str:
    """Return the folder of all pictures of one recipe."""
    return f"{SPECTROGRAMS}{recipe_key}/"


def measurements(method: str, shard: str) -> str:
    """Return the key of what was measured of a shard's records; ``method`` names how."""
    return f"{measurements_by(method)}{shard}.parquet"


def measurements_by(method: str) -> str:
    """Return the folder of all that was measured by one method."""
    return f"{MEASUREMENTS}{method}/"


def signatures(kind: str, shard: str) -> str:
    """Return the key of a shard's signatures; ``kind`` names how they are made."""
    return f"{SIGNATURES}{kind}/{shard}.parquet"


def aliases(digest: str) -> str:
    return f"{ALIASES}{digest}.parquet"


def catalog_segment(digest: str) -> str:
    return f"{CATALOG}{digest}.parquet"


def descriptions(number: int, digest: str) -> str:
    """Return the key of what became known of patients after their recordings; a higher number is a later intake."""
    return f"{DESCRIPTIONS}{number:09d}-{digest}.parquet"


def groups(digest: str) -> str:
    return f"{GROUPS}{digest}.parquet"


def dataset(dataset_id: str, name: str) -> str:
    return f"{DATASETS}{dataset_id}/{name}"


def checkpoint(recipe: str, version: str, name: str) -> str:
    return f"{CHECKPOINTS}{recipe}/{version}/{name}"


def model_file(recipe: str, version: str, name: str) -> str:
    return f"{MODELS}{recipe}/{version}/{name}"


def models_of(recipe: str) -> str:
    """Return the folder of all versions of a recipe."""
    return f"{MODELS}{recipe}/"


def champion(recipe: str) -> str:
    return f"{MODELS}{recipe}/{CHAMPION}"


def predictions(recipe: str, shard: str, version: str) -> str:
    return f"{PREDICTIONS}{recipe}/{shard}/{version}.parquet"


def decided(recipe: str, version: str, digest: str) -> str:
    """Return the key of what a version said of all shards together: a copy for quick reading that may be removed at any time."""
    return f"{DECIDED}{recipe}/{version}/{digest}.parquet"


def monitoring(recipe: str, run: str) -> str:
    return f"{MONITORING}{recipe}/{run}.json"


def report(date: str, run: str, path: str) -> str:
    return f"{REPORTS}{date}/{run}/{path}"


def backfill(name: str, path: str) -> str:
    """Return a key of what came of deciding again with a chosen version; never a nightly report, so never below reports/."""
    return f"{BACKFILLS}{name}/{path}"


def manifest(dag: str, run: str) -> str:
    return f"{MANIFESTS}{dag}/{run}.json"


def manifest_list(dag: str, run: str, name: str) -> str:
    """Return the key of a list that is too long for the run's manifest, beside it."""
    return f"{MANIFESTS}{dag}/{run}/{name}.json"


def deidentified(run: str, name: str) -> str:
    """Return the key of what a run wrote down that took identifiers out of the bucket."""
    return f"{DEIDENTIFIED}{run}/{name}"


def audit_entry(number: int, *, act: str, digest: str) -> str:
    """Return an entry's key: ``act`` is a digest of what was done, ``digest`` of the whole entry; a folder holds a thousand numbers."""
    return f"{audit_folder(number)}{number:09d}-{act}-{digest}.json"


def audit_folder(number: int) -> str:
    """Return the folder in which the entry of a number stands."""
    return f"{AUDIT}{number // 1000:06d}/"


def forgotten(token: str) -> str:
    """Return the key of what is written down of one forgetting; ``token`` is its name, and says nothing."""
    return f"{FORGOTTEN}{token}.json"


def access_day(day: str) -> str:
    """Return the folder of what was seen on a day (``2026-11-29``, UTC)."""
    return f"{ACCESS}{day}/"


def access_batch(day: str, *, time: str, writer: str, number: int, digest: str) -> str:
    """Return the key of a batch; ``time`` is ``123456`` for 12:34:56, ``digest`` that of the batch's bytes."""
    return f"{access_day(day)}{time}-{writer}-{number:06d}-{digest}.json"


def packed_access(day: str, digest: str) -> str:
    """Return the key of all batches of a day in one object; ``digest`` is that of its bytes."""
    return f"{access_day(day)}packed-{digest}.ndjson.gz"


def account_list(dag: str, run: str, name: str, digest: str) -> str:
    """Return the key of a list that is too long for a run's manifest; ``digest`` is that of its bytes."""
    return f"{ACCOUNT_LISTS}{dag}/{run}/{name}-{digest}.parquet"


def intake(run: str, path: str) -> str:
    """Return the key of a job, a result or a note on tries of an intake; all go when it is over."""
    return f"{INTAKES}{run}/{path}"


def put_back(entry: str) -> str:
    """Return the key of the note that a quarantine entry's files are in the inbox again; a run's objects lie one level deeper."""
    return f"{INTAKES}put_back-{entry}"


def released(digest: str) -> str:
    """Return the key of the note that a person lets a file of the inbox wait no longer; ``digest`` is `StoredNames.waiting_id`."""
    return f"{INTAKES}released-{digest}"


def staging(dag: str, run: str, path: str) -> str:
    """Return the key of one run's work in progress; it is removed when the run's manifest stands."""
    return f"{STAGING}{dag}/{run}/{path}"
