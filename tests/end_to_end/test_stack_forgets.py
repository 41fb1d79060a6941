"""Here: a patient is forgotten by the command, and is in nothing that the whole stack keeps. Not here: each kind of object (``pipeline``).

The tests run in their order; each leaves the stack healthy.
"""

import json
import re

import pytest

from benchmarks import written_files as written
from ecg_tasks.archive import keys
from ecg_tasks.archive.object_store import forgetting
from tests.pipeline.test_forget_patient import told_of
from tests.scanned import Search, objects_with

pytestmark = [pytest.mark.stack, pytest.mark.chain("stack"), pytest.mark.timeout(3600)]
ERIKA, ANNA = "erika-471147", "anna-471248"
UPLOAD = "late.edf.part"
LOGS = (keys.AUDIT, keys.ACCESS)
"""Where an id of a record stays that somebody saw."""


def of(person: str, seed: int) -> dict[str, bytes]:
    """Two recordings of a person: a DICOM file that says who it is, and a WFDB record of which a label table does."""
    (dicom,) = written.dicom(written.made(seed), PatientID=person, IssuerOfPatientID="").values()
    record = written.wfdb(written.made(seed + 1), name=f"walk-of-{person}")
    table = f"record,label,patient_id\nwalk-of-{person},normal,{person}\n".encode()
    return {f"{person}/rest-of-{person}.dcm": dicom, f"{person}/labels.csv": table} | {
        f"{person}/{name}": data for name, data in record.items()
    }


@pytest.fixture(scope="module")
def told():
    """What is looked for, and the words that the first test learns: ids of records, and the token."""
    return {}


def test_a_drop_ends_with_its_decisions(ecg, objects, told, tmp_path):
    """One command from two folders to a decision a recording; an upload that goes on is told, with what it waits for, and deleted."""
    ecg("up")
    told["files"] = of(ERIKA, 71) | of(ANNA, 81)
    for name, data in (told["files"] | {f"{ANNA}/{UPLOAD}": b"0"}).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    said = json.loads(ecg("put", tmp_path / ERIKA, tmp_path / ANNA, "--wait", "--json"))
    fates = {one["name"]: one["fate"] for one in said["answers"]}
    assert sorted(fates.values()) == ["decided"] * 4 + ["waits"]
    assert fates[f"{ANNA}/{UPLOAD}"] == "waits"
    assert all(one["decision"] and one["record_id"] for one in said["answers"] if one["fate"] == "decided")
    assert said["note"].startswith("4 records: ")
    assert "1 file still in the inbox: 1 for the end of its upload (until 20" in said["note"]
    assert [one["name"] for one in json.loads(ecg("inbox", "--json"))["files"]] == [f"{ANNA}/{UPLOAD}"]
    ecg("inbox", "delete", f"{ANNA}/{UPLOAD}", "--yes")
    assert json.loads(ecg("audit", "--json", "--last", "1"))[-1]["action"] == "delete"
    with objects() as store:
        assert not store.list_keys(keys.INBOX)


def test_two_patients_are_decided(stack, objects, told):
    """Their recordings are in the archive, in a report, and were looked at; some of what tells of one was written over or deleted."""
    files = told["files"]
    with objects() as store:
        told["ids"], told["wanted"] = told_of(store, ERIKA)
        told["others"] = told_of(store, ANNA)[0]
        assert len(told["ids"]) == len(told["others"]) == 2
        of_dicom = files[f"{ERIKA}/rest-of-{ERIKA}.dcm"]
        told["wanted"] |= {"bytes of the file": {of_dicom[-300:-200]}}
        found = objects_with(store, told["wanted"])
        assert {key.partition("/")[0] for key in found} >= {"raw", "records", "labels", "predictions", "reports", "manifests"}
        raw = [key for key in found if key.startswith(keys.RAW)]
        assert len(raw) >= 2
        index = next(key for key in found if key.startswith(keys.RECORD_INDEX))
        store.replace(index, store.get(index))
        store.delete(raw[0])
        with forgetting():
            copies = {one.key: Search(told["wanted"]).found_in(one.read()) for one in store.earlier()}
        assert copies[raw[0]]
        assert copies[index]
    with stack.airflow() as api:
        assert told["ids"][0] in api._request("GET", f"/ecg/records/{told['ids'][0]}").text


def test_one_of_them_is_forgotten(ecg, stack, objects, told, wait_until):
    """No object, copy of an earlier object or log has an id, a name, a digest or a sample; the log of acts is whole, the stack healthy."""
    said = ecg("forget", "--patient", ERIKA, "--yes", "--why", "asked for it")
    (told["token"],) = re.findall(r"request (\w+);", said)
    search = Search(told["wanted"])
    with objects() as store:
        left = objects_with(store, told["wanted"])
        assert {key: names for key, names in left.items() if not key.startswith(LOGS)} == {}
        assert {name.partition(" ")[0] for names in left.values() for name in names} <= {"id"}
        with forgetting():
            copies = {one.key: search.found_in(one.key.encode(), one.read()) for one in store.earlier()}
        assert {key: names for key, names in copies.items() if names} == {}
        assert len(told_of(store, ANNA)[0]) == 2
    logs = {str(path): search.found_in(path.read_bytes()) for path in stack.home.logs.rglob("*") if path.is_file()}
    assert {path: names for path, names in logs.items() if names} == {}
    ecg("audit", "verify")
    wait_until(lambda: stack.status().healthy, "health")
