"""Every file of the corpus is read or refused with its code, by the very tasks that run at night."""

import json

import pytest

from ecg_tasks.archive import keys
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake.inbox import checked_path
from ecg_tasks.readers.file_names import is_label_table
from tests.fuzz.corpus import Case, cases

CASES = list(cases())


@pytest.fixture(scope="module")
def taken():
    """What one run of the intake says of all cases together, each in a folder of its own: entries by case, records by case."""
    from ecg_tasks.archive import workspace
    from ecg_tasks.archive.object_store import ObjectStore
    from tests.fuzz.memory_s3 import memory_store

    store, client = memory_store(
        {f"inbox/{number:03d}/{name}": data for number, case in enumerate(CASES) for name, data in case.files.items()}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ObjectStore, "connect", lambda _: store)
        settings = {"ECG_BUCKET": "memory", "ECG_PATIENT_KEY": "k" * 32, "ECG_WFDB_GRACE_S": "0"}
        for name, value in (settings | {"ECG_KEEP_NAMES": "1", "ECG_RAW_KEEPS": "as_dropped"}).items():
            patch.setenv(name, value)
        assert workspace.open_store() is store
        before = dict(client.objects)
        ingest_records.publish("r", [ingest_records.ingest_batch(job) for job in ingest_records.plan("r")])
        yield before, client.objects, json.loads(client.objects[keys.manifest("ingest_records", "r")])


def of_case(number, names):
    """Names in the folder of a case, without the folder."""
    return [name.removeprefix(f"{number:03d}/") for name in names if name.startswith(f"{number:03d}/")]


def test_there_are_many_different_cases():
    """Far more than forty, none twice, and every reason code is met."""
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) > 150
    assert sum(bool(case.refused) for case in CASES) > 120
    assert {code for case in CASES for code in case.refused.values()} == set(Reason) - {Reason.FORGOTTEN}  # no content is refused for that


@pytest.mark.parametrize(("number", "case"), list(enumerate(CASES)), ids=[case.name for case in CASES])
def test_case(taken, number: int, case: Case):
    """What must be read is read, what must be refused is refused with its code and a sentence, and nothing else happens."""
    _, objects, manifest = taken
    refused = {}
    for entry in manifest["quarantined"]:
        for name in of_case(number, [entry["name"]]):
            refused[name] = Reason(entry["reason"])
            assert len(entry["message"]) > 10
            assert keys.quarantine_reason(entry["entry"]) in objects
    assert refused == case.refused
    assert sum(item["records"] + item["duplicates"] for item in manifest["inputs"] if of_case(number, [item["name"]])) == case.records


def test_nothing_is_lost_and_the_inbox_is_empty(taken):
    """Each byte that was dropped stands in raw/ or quarantine/, and nothing is left in the inbox."""
    before, after, _ = taken
    assert [key for key in after if key.startswith(keys.INBOX)] == []
    kept = {data for key, data in after.items() if key.startswith((keys.RAW, keys.QUARANTINE))}
    assert [key for key, data in before.items() if data not in kept] == []


def test_account_adds_up(taken):
    """The run's account counts each input once."""
    counts = taken[2]["account"]
    assert counts["received"] == counts["records"] + counts["duplicates"] + counts["quarantined"]
    assert counts["waiting"] == 0


@pytest.mark.parametrize("name", ["b\udcff.csv", "\ud800", b"caf\xe9.csv".decode(errors="surrogateescape"), "", "a/", "/a", "\0"])
def test_names_that_are_no_text_are_refused_at_the_door(name):
    """A file name that is not UTF-8, as a disk may have it, never becomes a key."""
    with pytest.raises(BadInputError) as caught:
        checked_path(name)
    assert caught.value.reason is Reason.UNSAFE_PATH
    caught.value.message.encode()


def test_labels_file_is_the_readers_name():
    """The corpus speaks of the file that the intake takes for a label table."""
    assert is_label_table("labels.csv")


def test_every_entry_can_be_looked_at(taken):
    """The quarantine's page shows each entry with its code, whatever its files were called."""
    from ecg_tasks.archive.workspace import open_store
    from ecg_tasks.queries import quarantine

    store = open_store()
    listed = quarantine.entries(store, limit=1000).entries
    assert len(listed) > 100
    for entry in listed:
        found = quarantine.entry(store, entry.id)
        assert found is not None
        assert found[1], entry.name
