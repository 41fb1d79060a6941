"""What is kept, what goes, what is an orphan and what is damaged, on a bucket that real steps have filled."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from ecg_tasks.archive import audit, keys, registry
from ecg_tasks.archive.access_log import Access, AccessLog, AccessOutcome, Act
from ecg_tasks.archive.workspace import now
from ecg_tasks.errors import ConfigurationError, DamagedStoreError, StoreError
from ecg_tasks.pipeline import classify_records, ingest_records, maintain_store
from ecg_tasks.pipeline.maintenance.orphans import find_orphans
from ecg_tasks.pipeline.maintenance.rules import RULES, checked_days, judge

FIRST, SECOND = "aaaa00000001", "aaaa00000002"
"""The versions of the two nights."""
NEVER_DELETED = (
    keys.RECORDS,
    keys.RECORD_INDEX,
    keys.ALIASES,
    keys.DESCRIPTIONS,
    keys.LABELS,
    keys.CLASSES,
    keys.GROUPS,
    keys.DATASETS,
    keys.MODELS,
    keys.MONITORING,
    keys.MANIFESTS,
    keys.AUDIT,
    keys.INBOX,
)


@pytest.fixture
def store(bucket, two_nights, monkeypatch):
    """A bucket of the test's own that holds the same."""
    monkeypatch.setenv("ECG_RECIPES", "heartbeat")
    bucket.put_many((key, data, "application/octet-stream") for key, data in two_nights.items())
    return bucket


@pytest.fixture
def in_a_year(monkeypatch):
    """Lets maintenance think that a year has passed."""
    later = (datetime.now(UTC) + timedelta(days=365)).isoformat(timespec="seconds")
    monkeypatch.setattr(maintain_store, "now", lambda: later)
    return datetime.fromisoformat(later)


def maintain(run: str = "m", *, days=None, dry_run: bool = False, sample: int = 50, due=()) -> dict:
    """One run of the DAG; returns its manifest."""
    planned = maintain_store.plan(run, days=days or {}, dry_run=dry_run, sample=sample, due=due)
    deleted = maintain_store.delete(planned)
    key = maintain_store.publish(planned, deleted, maintain_store.check_orphans(planned), maintain_store.check_contents(planned))
    return json.loads(maintain_store.open_store().get(key))


def there(store, *but: str) -> dict[str, str]:
    """Everything in the bucket, with its ETag."""
    return {item.key: item.etag for item in store.list_objects("") if not item.key.startswith(but)}


def test_a_whole_bucket_is_told_whole(store, in_a_year):
    """What the pipeline itself has written has no orphan and no damage, however much of it is read."""
    manifest = maintain(dry_run=True, sample=10_000)
    assert manifest["orphans"] == []
    assert manifest["contents"]["damaged"] == []
    assert manifest["contents"]["read"] == manifest["contents"]["there"]
    assert {"raw", "records", "labels", "models"} <= {kind for kind, n in manifest["contents"]["read"].items() if n}


def test_a_dry_run_deletes_nothing(store, in_a_year):
    """It lists what would go, with its bytes, and leaves the bucket and the log as they are."""
    before = there(store)
    manifest = maintain(dry_run=True, days=dict.fromkeys(RULES, 100.0))
    assert manifest["account"]["deletable"] == len(manifest["deletable"]) > 0
    assert manifest["account"]["deletable_bytes"] == sum(one["bytes"] for one in manifest["deletable"]) > 0
    assert manifest["account"]["deleted"] == 0
    assert there(store, keys.MANIFESTS + maintain_store.DAG, keys.STAGING + maintain_store.DAG) == {
        key: etag
        for key, etag in before.items()
        if not key.startswith((keys.MANIFESTS + maintain_store.DAG, keys.STAGING + maintain_store.DAG))
    }


def test_without_days_nothing_goes(store, in_a_year):
    """0 days are for ever."""
    assert maintain(days={})["account"]["deletable"] == 0


def test_what_nothing_deletes_stays(store, in_a_year):
    """With every rule at its shortest: records, labels, models, accounts and the bytes behind records stay."""
    before = there(store)
    maintain(days={name: max(rule.at_least, 0.001) for name, rule in RULES.items()})
    after = there(store)
    gone = before.keys() - after.keys()
    assert gone
    assert not [key for key in gone if key.startswith(NEVER_DELETED)]
    sources = {f"raw/{source}/" for source in _sources(store)}
    assert not [key for key in gone if key.startswith(tuple(sources))]
    assert [key for key in gone if key.startswith("raw/")]  # the bad file's
    assert find_orphans(store, at=in_a_year) == []


def _sources(store) -> set[str]:
    from ecg_tasks.pipeline.maintenance.rules import record_sources

    return record_sources(store)


def test_predictions_stay_with_the_reports_that_need_them(store, in_a_year):
    """A version that no longer serves keeps its predictions while a report of it stays, and loses them with it."""
    of_first = [key for key in store.list_keys(keys.PREDICTIONS) if keys.stem(key) == FIRST]
    kept = maintain("kept", days={"predictions": 10.0})
    assert kept["account"]["deleted"] == 0
    assert kept["prefixes"]["predictions"]["needed_objects"] == len(store.list_keys(keys.PREDICTIONS))
    maintain("both", days={"predictions": 10.0, "reports": 10.0})
    left = store.list_keys(keys.PREDICTIONS)
    assert left == [key for key in left if keys.stem(key) == SECOND] != []
    assert of_first
    assert store.list_keys(keys.REPORTS) == []


def test_pictures_stay_for_recipes_in_use(store, in_a_year, todays_version):
    """Pictures of a recipe that is no longer made go, unless a version that serves reads them."""
    old, shards = "aaaa00000003", [keys.stem(key) for key in store.list_keys(keys.RECORDS)]
    registry.write_version(store, "heartbeat", old, todays_version("heartbeat", old, recipe_digest="0ld"))
    for shard in shards:
        store.put(keys.spectrograms("heartbeat@0ld", shard), b"old")
    days = checked_days({"spectrograms": 1.0})
    assert judge(store, days, at=in_a_year).deletable.keys() == {keys.spectrograms("heartbeat@0ld", shard) for shard in shards}
    registry.write_champion(store, recipe="heartbeat", version=old, since=now(), who="test", why="back")
    assert judge(store, days, at=in_a_year).deletable == {}


def test_what_a_run_at_work_uses_stays(store, in_a_year):
    """The version that a run without an account has pinned keeps its predictions, and the report that it writes stays."""
    for key in store.list_keys(keys.MANIFESTS + classify_records.DAG):
        store.delete(key)
    days = checked_days({"predictions": 1.0, "reports": 1.0})
    assert judge(store, days, at=in_a_year).deletable == {}


def test_deletions_are_logged_before(store, in_a_year, monkeypatch):
    """The log tells of a deletion that was begun, and once of one that took two tries; the account adds up to what was planned."""
    fails = iter([True, False, False, False])
    delete_many = type(store).delete_many

    def dies(self, going):
        chosen = list(going)
        if next(fails):
            delete_many(self, chosen[: len(chosen) // 2])
            raise StoreError("killed")
        delete_many(self, chosen)

    monkeypatch.setattr(type(store), "delete_many", dies)
    planned = maintain_store.plan("m", days={"reports": 10.0, "predictions": 10.0}, dry_run=False, sample=0)
    n_planned = len(json.loads(store.get(planned))["objects"])
    with pytest.raises(StoreError):
        maintain_store.delete(planned)
    assert [entry.action for _, entry in audit.entries(store)].count("delete") == 1
    manifest = maintain("m", days={"reports": 10.0, "predictions": 10.0}, sample=0)
    assert manifest["account"]["deleted"] == n_planned > 0
    assert manifest["account"]["kept_since"] == 0
    assert store.list_keys(keys.REPORTS) == []
    deleted = [entry for _, entry in audit.entries(store) if entry.action == "delete"]
    assert [(entry.subject, entry.detail["objects"]) for entry in deleted] == [("m", n_planned)]


def test_the_first_page_goes_first(store, in_a_year):
    """A report that is half deleted has no first page, so nothing takes it for whole."""
    planned = json.loads(store.get(maintain_store.plan("m", days={"reports": 1.0}, dry_run=True, sample=0)))
    is_index = [key.endswith("/index.html") for key, _, _ in planned["objects"]]
    assert is_index == sorted(is_index, reverse=True)
    assert sum(is_index) == 2


def test_what_became_needed_stays(store, in_a_year):
    """Between the plan and the deletion the old version serves again: its predictions stay, and the account says so."""
    planned = maintain_store.plan("m", days={"predictions": 1.0, "reports": 1.0}, dry_run=False, sample=0)
    registry.write_champion(store, recipe="heartbeat", version=FIRST, since=now(), who="test", why="back")
    before = [key for key in store.list_keys(keys.PREDICTIONS) if keys.stem(key) == FIRST]
    manifest = maintain("m", days={"predictions": 1.0, "reports": 1.0}, sample=0)
    assert before == [key for key in store.list_keys(keys.PREDICTIONS) if keys.stem(key) == FIRST] != []
    assert manifest["kept_since"] == before
    assert manifest["account"]["deleted"] + manifest["account"]["kept_since"] == len(json.loads(store.get(planned))["objects"])


@pytest.mark.parametrize(
    ("prefix", "kind"),
    [
        pytest.param(keys.RAW, "records without the dropped file", id="raw"),
        pytest.param(keys.RECORDS, "index without its records", id="records"),
        pytest.param(keys.RECORD_INDEX, "records without their index", id="index"),
        pytest.param(keys.PREDICTIONS, "report without its predictions", id="predictions"),
        pytest.param(f"{keys.MODELS}heartbeat/{FIRST}", "predictions without their version", id="model"),
        pytest.param(f"{keys.MODELS}heartbeat/{SECOND}", "champion without its version", id="champion"),
        pytest.param(f"{keys.MANIFESTS}{classify_records.DAG}", "report without a manifest", id="account"),
        pytest.param(f"{keys.MANIFESTS}{ingest_records.DAG}", "dropped file without any fate", id="duplicates' account"),
    ],
)
def test_a_lost_source_is_found(store, in_a_year, prefix, kind):
    """Whatever prefix is emptied, what was made from it is named."""
    store.put(keys.raw("0" * 64, "x.csv"), b"never taken over")
    store.delete_many(store.list_keys(prefix))
    assert kind in {orphan.kind for orphan in find_orphans(store, at=in_a_year)}


def test_work_in_progress_is_no_orphan(store):
    """A file that stands in raw/ since a moment ago belongs to a run at work."""
    store.put(keys.raw("0" * 64, "x.csv"), b"just now")
    assert find_orphans(store, at=datetime.now(UTC)) == []
    (found,) = find_orphans(store, at=datetime.now(UTC) + timedelta(days=1))
    assert (found.kind, found.key) == ("dropped file without any fate", keys.raw("0" * 64, ""))


@pytest.mark.parametrize("kind", ["raw", "records", "labels", "models"])
def test_changed_bytes_are_found(store, in_a_year, kind):
    """One byte more or less in an object, and the run that reads it fails and names it."""
    key = next(key for key in store.list_keys(f"{kind}/") if not key.endswith("champion.json"))
    store.replace(key, store.get(key)[:-1] + b"\x00\x00")
    manifest = maintain(dry_run=True, sample=100)
    (damage,) = manifest["contents"]["damaged"]
    assert damage["kind"] == kind
    assert damage["key"] in key
    with pytest.raises(DamagedStoreError, match=damage["key"]):
        maintain_store.fail_if_damaged(keys.manifest(maintain_store.DAG, "m"))
    assert "1 damaged" in maintain_store.headline(keys.manifest(maintain_store.DAG, "m"))


def test_a_damaged_index_stops_everything(store, in_a_year):
    """Where it cannot be told which records there are, nothing is planned, let alone deleted."""
    key = store.list_keys(keys.RECORD_INDEX)[0]
    store.replace(key, store.get(key)[:-9])
    with pytest.raises(DamagedStoreError, match=key):
        maintain_store.plan("m", days={"reports": 1.0}, dry_run=False, sample=0)


def test_another_run_reads_another_sample():
    """The sample follows from the run: the same again in a repeated task, another one in the next run."""
    from ecg_tasks.pipeline.maintenance.checksums import _drawn

    names = [f"{number}" for number in range(1000)]
    assert _drawn(names, run="a", sample=20) == _drawn(reversed(names), run="a", sample=20)
    assert set(_drawn(names, run="a", sample=20)) != set(_drawn(names, run="b", sample=20))


@pytest.mark.parametrize("days", [{"labels": 1.0}, {"raw": 1.0}, {"staging": 0.5}, {"reports": -1.0}])
def test_impossible_rules_are_refused(days):
    """There is no rule for labels, and what a run may still need cannot be asked to go."""
    with pytest.raises(ConfigurationError):
        checked_days(days)


FORM = {f"{name}_days": "0" for name in RULES} | {"dry_run": "True", "sample": "7"}
"""What an untouched form says."""


def test_a_scheduled_run_deletes_what_the_setting_names(store, in_a_year, monkeypatch):
    """With a retention in the settings, the scheduled run deletes below the named prefixes alone, without a person."""
    monkeypatch.setenv("ECG_RETENTION", "reports=30, staging=30")
    before = there(store)
    asked = maintain_store.form(FORM, scheduled=True)
    manifest = maintain(**asked)
    gone = before.keys() - there(store).keys()
    assert manifest["account"]["mode"] == "for real"
    assert len(gone) == manifest["account"]["deleted"] > 0
    assert {key.split("/")[0] + "/" for key in gone} <= {keys.REPORTS, keys.STAGING, keys.QUARANTINE}
    assert any(key.startswith(keys.REPORTS) for key in gone)


@pytest.mark.parametrize(("setting", "stays"), [("", False), ("quarantine=0", True), ("reports=0,quarantine=400", True)])
def test_the_quarantine_has_a_deadline(store, in_a_year, monkeypatch, setting, stays):
    """After 30 days what could not be read goes, also as the only copy and where no setting asks for it; a setting gives other days."""
    monkeypatch.setenv("ECG_RETENTION", setting)
    store.put(keys.quarantined("f" * 64, "only.csv"), b"refused unread")
    store.put(keys.staging("ingest_records", "broken-off", "jobs/0.json"), b"names")
    before = there(store)
    manifest = maintain(**maintain_store.form(FORM, scheduled=True))
    gone = before.keys() - there(store).keys()
    assert keys.staging("ingest_records", "broken-off", "jobs/0.json") in gone
    assert [key for key in gone if not key.startswith((keys.QUARANTINE, keys.STAGING))] == []
    assert (store.list_keys(keys.QUARANTINE) != []) == stays
    assert manifest["account"]["deleted"] == len(gone)
    assert manifest["account"]["mode"] == ("for real" if setting else "dry run: only what has a deadline was deleted")
    assert [entry.detail["objects"] for _, entry in audit.entries(store) if entry.action == "delete"] == [len(gone)]


def test_the_quarantine_stays_until_its_deadline(store, monkeypatch):
    """Not a day less than 30: a person has a month to look at what could not be read."""
    for days, stays in ((29.9, True), (30.1, False)):
        then = (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds")
        monkeypatch.setattr(maintain_store, "now", lambda then=then: then)
        assert store.list_keys(keys.QUARANTINE) != []
        maintain(f"after-{days}", **maintain_store.form(FORM, scheduled=True))
        assert (store.list_keys(keys.QUARANTINE) != []) == stays


def test_a_persons_form_decides(monkeypatch):
    """A form filled in by a person is never overruled, by a setting or a deadline."""
    monkeypatch.setenv("ECG_RETENTION", "reports=30")
    assert maintain_store.form(FORM) == {"days": dict.fromkeys(RULES, 0.0), "dry_run": True, "sample": 7, "due": ()}


@pytest.mark.parametrize("retention", ["reports", "reports=soon", "reports=inf", "reports=nan", "reports=30;staging=30", "=="])
def test_a_retention_that_cannot_be_read_is_refused(monkeypatch, retention):
    """A slip in the setting deletes nothing: the run fails and names the setting."""
    monkeypatch.setenv("ECG_RETENTION", retention)
    with pytest.raises(ConfigurationError, match="ECG_RETENTION"):
        maintain_store.form(FORM, scheduled=True)


def test_the_access_log_is_packed_and_goes_after_two_years(store, monkeypatch):
    """Of days that are over all that was written is one object; a scheduled run deletes it when it is old, with an entry in the log."""
    log = AccessLog(store)
    for who in ("ada", "eve"):
        log.note(Access(when=now(), who=who, act=Act.READ, page="/p", outcome=AccessOutcome.SHOWN))
        log.flush()
    assert maintain_store.pack_access_log() == 0
    in_days(monkeypatch, 2)
    assert maintain_store.pack_access_log() == 2
    scheduled = maintain_store.form(dict.fromkeys(("sample", *(f"{name}_days" for name in RULES)), "0"), scheduled=True)
    for days, left in ((700, 1), (740, 0)):
        in_days(monkeypatch, days)
        maintain_store.delete(maintain_store.plan(f"after {days}", **scheduled))
        assert len(store.list_keys(keys.ACCESS)) == left
    assert audit.entries(store)[-1][1].action == "delete"


def in_days(monkeypatch, days):
    """Let maintenance think that so many days have passed."""
    later = (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds")
    monkeypatch.setattr(maintain_store, "now", lambda: later)
