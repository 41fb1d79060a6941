"""A recording that was forgotten comes again with what belongs to it: nothing of that is kept, and other people keep what is theirs."""

import io
import zipfile
from datetime import UTC, datetime, timedelta

import pytest

from ecg_tasks.archive import forgotten, keys, tables
from ecg_tasks.archive.documents import Forgetting, IntakeManifest, RefusedNames, find, read_manifest
from ecg_tasks.archive.labelling import labels_in_force
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.pipeline import forget_patient, ingest_records
from ecg_tasks.pipeline.deidentification import bucket
from ecg_tasks.pipeline.forgetting.gone import Gone, Left
from ecg_tasks.pipeline.forgetting.leftovers import is_theirs
from ecg_tasks.pipeline.intake import archives, inbox
from ecg_tasks.readers.file_names import is_label_table
from ecg_tasks.settings import Settings
from tests.scanned import objects_with, spellings, unkeyed

ERIKA, ANNA = "Erika-4711", "Anna-4712"
NOTE = "erika lives beside the bakery"
HEAD = "record,label,patient_id\n"
OURS = (keys.AUDIT, keys.FORGOTTEN)


@pytest.fixture(params=["deidentified", "as_dropped", "as_dropped, with names"])
def store(request, bucket_in, monkeypatch, make_wfdb):
    """A bucket in which a recording of Erika's was forgotten and one of Anna's was not."""
    made = bucket_in(monkeypatch)
    for name in ("ECG_KEEP_NAMES", "ECG_RAW_KEEPS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ECG_WFDB_GRACE_S", "0")
    if request.param != "deidentified":
        monkeypatch.setenv("ECG_RAW_KEEPS", "as_dropped")
    if request.param.endswith("names"):
        monkeypatch.setenv("ECG_KEEP_NAMES", "1")
    drop(make_wfdb, "first", {"first/labels.csv": f"{HEAD}Erika,abnormal,{ERIKA}\nAnna,normal,{ANNA}\n"}, beside=NOTE)
    meant = forget_patient.find_meant(made, patient=ERIKA)
    token = forget_patient.ask(made, meant, who="dpo", why="she asked for it")
    forget_patient.begin(token)
    forget_patient.carry_out("f", token)
    forget_patient.end()
    return made


def recording(make_wfdb, who: str) -> dict[str, bytes]:
    """The one recording of a person."""
    return dict(make_wfdb(who, seed={"Erika": 1, "Anna": 2, "Berta": 3}[who]))


def drop(make_wfdb, folder: str, files: dict[str, str], *, who=("Erika", "Anna"), beside: str = "", run: str = "") -> None:
    """Drop people's recordings in a folder, each with what lies beside it, and take all of the inbox over."""
    found = [(f"{folder}/{name}", data) for one in who for name, data in recording(make_wfdb, one).items()]
    found += [(f"{folder}/{one}.atr", f"{one}: {beside}".encode()) for one in who if beside]
    inbox.put_files([*found, *((name, text.encode()) for name, text in files.items())])
    take_over(run or folder)


def take_over(run: str) -> IntakeManifest | None:
    """One run of ``ingest_records``; returns its account, if it had anything to do."""
    jobs = ingest_records.plan(run)
    if not jobs:
        return None
    ingest_records.publish(run, [ingest_records.ingest_batch(job) for job in jobs])
    return read_manifest(ingest_records.open_store(), IntakeManifest, run)


def told(store, *names: str) -> dict[str, set[str]]:
    """Where her id, what lay beside her recording, or a digest of a name stands, besides in logs."""
    stored = StoredNames.of(Settings.from_environment())
    wanted = {"id": spellings(ERIKA), "beside": {f"Erika: {NOTE}".lower().encode(), *unkeyed(f"Erika: {NOTE}")}}
    wanted |= {f"name {name}": {stored.hashed(name)[1:13].encode()} for name in names}
    wanted |= {f"spelt {name}": {name.lower().encode()} for name in names if "/" in name}
    return {key: found for key, found in objects_with(store, wanted).items() if not key.startswith(OURS)}


def labels(store) -> list[str]:
    """All labels that are stored."""
    return sorted(label for key in store.list_keys(keys.LABELS) for label in tables.load(store.get(key))["label"])


def account(store, run: str) -> IntakeManifest:
    """The account of a run."""
    return read_manifest(store, IntakeManifest, run)


def test_what_lay_beside_it_goes_with_it(store):
    """The first drop: notes beside a recording are forgotten with it, and those of others stay."""
    assert told(store, "first/Erika", "first/Erika.atr") == {}
    kept = [store.get(key) for key in store.list_keys(keys.RAW)]
    assert (f"Anna: {NOTE}".encode() in kept) is (Settings.from_environment().raw_keeps == "as_dropped")
    assert account(store, "first").counts.passed_over == 2


@pytest.mark.parametrize("keeps_names", [False, True])
def test_a_table_goes_whose_rows_name_it_in_their_own_folder(bucket_in, monkeypatch, make_wfdb, keeps_names):
    """It gives no patient, and where names are digests of paths nothing says where it lay; tables of others stay."""
    made = bucket_in(monkeypatch, ECG_RAW_KEEPS="as_dropped", ECG_WFDB_GRACE_S="0")
    if not keeps_names:
        monkeypatch.delenv("ECG_KEEP_NAMES")
    drop(make_wfdb, "north", {"north/labels.csv": "record,label\nErika,abnormal\nAnna,normal\n"})
    (her_id,) = (one for one, said in labels_in_force(made).items() if said.label == "abnormal")
    others = ["record,label\nAnna,abnormal\n", "record,label\nBerta,normal\n"]
    drop(make_wfdb, "later", {"north/labels (2).csv": others[0], "later/labels.csv": others[1]}, who=["Berta"])
    assert len([key for key in made.list_keys(keys.RAW) if is_label_table(key)]) == 3
    token = forget_patient.ask(made, forget_patient.find_meant(made, record=her_id), who="dpo", why="a mix-up")
    forget_patient.carry_out("f", token)
    assert objects_with(made, {"name": spellings("Erika")}) == {}
    assert sorted(made.get(key).decode() for key in made.list_keys(keys.RAW) if is_label_table(key)) == others


def test_a_folder_with_a_number_sign_in_its_name_is_somebody_elses():
    """What stands behind the sign is the number of a row at the end of a name alone."""
    meant = Forgetting(token="t", who="dpo", why="asked", when="", what="record", names=("bed",))
    gone = Gone(forgetting=meant, left=Left(), names=StoredNames(key=b"0" * 32, keep=True), key=b"0" * 32)
    assert [is_theirs(name, gone) for name in ("bed.hea", "bed.dat", "bed#3", "bed#2/r1.hea", "bed#2/r1.dat")] == [True] * 3 + [False] * 2


def test_a_table_about_nobody_else_goes_in_silence(store, make_wfdb):
    """It does not wait, is not refused, is kept nowhere, and the account tells nothing of it but that there was a table."""
    table = f"{HEAD}Erika,abnormal,{ERIKA}\n"
    drop(make_wfdb, "again", {"again/labels.csv": table}, who=["Erika"], beside=NOTE)
    assert store.list_keys(keys.INBOX) == []
    assert told(store, "again/Erika", "again/Erika.atr", "again/labels.csv") == {}
    assert store.list_keys(keys.QUARANTINE) == []
    counts = account(store, "again")
    assert (counts.counts.received, counts.counts.quarantined, counts.counts.passed_over) == (1, 1, 1)
    assert (counts.labels.rows, counts.labels.quarantined, counts.labels.stored) == (0, 0, 0)
    assert [one.key for one in counts.labels.tables] == [f"{keys.INBOX}{forgotten.NAME}"]


def test_a_table_about_others_too_counts_for_them(store, make_wfdb):
    """Their rows are settled, good ones and bad ones; nothing of hers is kept, be her row good, bad, or by the record's id."""
    (her_id,) = [one.record_id for one in read_again(make_wfdb)]
    rows = f"Erika,abnormal,{ERIKA}\nErika.hea,maybe,{ERIKA}\n{her_id},normal,{ERIKA}\nBerta,abnormal,B\nAnna,maybe,A\n"
    drop(make_wfdb, "again", {"again/labels.csv": HEAD + rows}, who=("Erika", "Anna", "Berta"), beside=NOTE)
    assert store.list_keys(keys.INBOX) == []
    assert told(store, "again/Erika", "again/Erika.atr") == {}
    assert labels(store) == ["abnormal", "normal"]
    counts = account(store, "again")
    assert (counts.labels.rows, counts.labels.quarantined, counts.labels.stored) == (2, 1, 1)
    assert (counts.counts.passed_over, counts.counts.duplicates, counts.counts.records) == (3, 1, 1)
    (bad,) = [key for key in store.list_keys(keys.QUARANTINE) if key.endswith(".csv")]
    assert store.get(bad) == b"Anna,maybe,A\n"
    assert not any(key.endswith("/labels.csv") for key in store.list_keys(keys.RAW))


def read_again(make_wfdb):
    """Her recording, as it is read."""
    from ecg_tasks import readers

    return readers.read("Erika.hea", recording(make_wfdb, "Erika")).records


def test_a_table_of_others_is_kept_as_ever(store, make_wfdb):
    """While recordings are refused, the bytes of a table that speaks of none of them are kept as the settings say."""
    drop(make_wfdb, "other", {"other/labels.csv": f"{HEAD}Berta,abnormal,B\n"}, who=["Berta"])
    kept = [key for key in store.list_keys(keys.RAW) if key.endswith("/labels.csv")]
    assert len(kept) == (Settings.from_environment().raw_keeps == "as_dropped")
    assert account(store, "other").labels.stored == 1


def test_a_table_that_cannot_be_read_is_not_kept(store, make_wfdb):
    """One that names her is refused aloud and lies nowhere; one that does not lies in quarantine."""
    files = {"again/labels.csv": f"who;what\nErika;{ERIKA}\n", "other/labels.csv": "who;what\nBerta;B\n"}
    drop(make_wfdb, "again", files, who=["Erika"])
    assert store.list_keys(keys.INBOX) == []
    assert told(store, "again/Erika", "again/labels.csv") == {}
    assert [key.rpartition("/")[2] for key in store.list_keys(keys.QUARANTINE) if key.endswith(".csv")] == ["labels.csv"]
    counts = account(store, "again")
    assert counts.labels.quarantined == 2
    assert [one.entry for one in counts.quarantined if "It was not kept, because" in one.message] == [""]


def test_an_archive_goes_with_its_table(store, make_wfdb):
    """The table lies in the archive: neither is kept, and what is others' is taken over; also where her recording is not in it."""
    for run, who, n in (("again", ("Erika", "Berta"), 1), ("later", ("Anna",), 0)):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            for name, content in {name: one for person in who for name, one in recording(make_wfdb, person).items()}.items():
                archive.writestr(name, content)
            archive.writestr("Erika.atr", f"Erika: {NOTE}")
            archive.writestr("labels.csv", f"{HEAD}Erika,abnormal,{ERIKA}\n{who[-1]},abnormal,x\n")
        inbox.put_files([("again.zip", data.getvalue())])
        take_over(run)
        assert store.list_keys(keys.INBOX) == []
        assert {key for key, found in told(store).items() if "id" in found} == set()
        assert (account(store, run).counts.records, account(store, run).labels.rows) == (n, 1)
        assert [key for key in store.list_keys(keys.RAW) if key.endswith(".zip") and "copies-" not in key] == []
    assert told(store) == {}


def test_an_archive_goes_with_its_table_while_others_wait(store, make_wfdb, monkeypatch):
    """Her row is read in the run that opens the archive, also where a later run takes what else belongs to the table.

    Her recording came under this name before.
    """
    drop(make_wfdb, "again", {}, who=["Erika"])
    monkeypatch.setitem(archives.open_all.__kwdefaults__, "max_drops", 1)
    table = f"{HEAD}Erika,abnormal,{ERIKA}\nBerta,abnormal,x\n".encode()
    for number, files in enumerate((recording(make_wfdb, "Berta") | {"labels.csv": table}, recording(make_wfdb, "Anna"))):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        inbox.put_files([(f"again.part-{number}.zip", data.getvalue())])
    assert take_over("one").left == 1
    assert take_over("two").left == 0
    assert store.list_keys(keys.INBOX) == []
    assert {key for key, found in told(store).items() if "id" in found} == set()
    assert labels(store).count("abnormal") == 1


def test_a_table_may_come_later(store, make_wfdb):
    """Some days long it is known by a digest with our key, also beside one that waits for somebody else's recording."""
    drop(make_wfdb, "again", {}, who=["Erika"])
    stored = StoredNames.of(Settings.from_environment())
    assert told(store, "again/Erika") == {}
    inbox.put_files([("again/labels.csv", f"{HEAD}Erika,abnormal,{ERIKA}\nAnna,normal,A\n".encode()), ("again/Anna.hea.part", b"x")])
    take_over("second")
    assert told(store, "again/Erika") == {}
    assert account(store, "second").labels.rows == 1
    names = find(store, RefusedNames, keys.REFUSED_NAMES)
    old = (datetime.now(UTC) - timedelta(days=forgotten.NAME_DAYS + 1)).isoformat()
    assert {one.when > old for one in names.names.values()} == {True}
    forgotten.remember_names(store, {stored.hashed("x"): next(iter(forgotten.refused(store)))}, key=stored.key)
    assert len(find(store, RefusedNames, keys.REFUSED_NAMES).names) == len(names.names) + 1


def test_names_are_known_for_some_days(store, monkeypatch):
    """Then nothing is left of them, and the object goes."""
    assert store.exists(keys.REFUSED_NAMES)
    monkeypatch.setattr(forgotten, "NAME_DAYS", -1)
    assert forgotten.remember_names(store, {}, key=b"") == {}
    assert not store.exists(keys.REFUSED_NAMES)


def test_what_is_allowed_again_counts_again(store, make_wfdb):
    """Also by a table that comes before its recording."""
    drop(make_wfdb, "again", {"again/labels.csv": f"{HEAD}Erika,abnormal,{ERIKA}\n"}, who=["Erika"])
    forget_patient.allow_again(store, who="dpo", why="she came back", token=next(forgotten.forgettings(store)).token)
    drop(make_wfdb, "again", {"again/labels.csv": f"{HEAD}Erika,uninterpretable,{ERIKA}\n"}, who=["Erika"], run="third")
    assert account(store, "third").labels.stored == 1
    assert labels(store) == ["normal", "uninterpretable"]


def test_the_same_notes_of_somebody_else_stay(bucket_in, monkeypatch, make_wfdb):
    """Bytes that lay beside another person's recording, too, are that person's."""
    made = bucket_in(monkeypatch)
    monkeypatch.setenv("ECG_RAW_KEEPS", "as_dropped")
    monkeypatch.setenv("ECG_WFDB_GRACE_S", "0")
    inbox.put_files([(f"w/{name}", data) for one in ("Erika", "Anna") for name, data in recording(make_wfdb, one).items()])
    inbox.put_files([("w/Anna.atr", b"shared"), ("w/labels.csv", f"{HEAD}Erika,normal,{ERIKA}\n".encode())])
    take_over("first")
    token = forget_patient.ask(made, forget_patient.find_meant(made, patient=ERIKA), who="dpo", why="asked")
    forget_patient.begin(token)
    forget_patient.carry_out("f", token)
    forget_patient.end()
    inbox.put_files([*((f"x/{name}", data) for name, data in recording(make_wfdb, "Erika").items()), ("x/Erika.atr", b"shared")])
    take_over("again")
    assert [made.get(key) for key in made.list_keys(keys.RAW) if key.endswith(".atr")] == [b"shared"]
    assert made.list_keys(keys.INBOX) == []


def test_taking_identifiers_out_lets_nobody_come_again(store, monkeypatch):
    """``./ecg deidentify`` removes what intakes left, and not what they refuse."""
    for name in ("ECG_KEEP_NAMES", "ECG_RAW_KEEPS"):
        monkeypatch.delenv(name, raising=False)
    before = store.get(keys.REFUSED), store.get(keys.REFUSED_NAMES)
    bucket.deidentify(store, Settings.from_environment(), run="one", say=lambda _: None, dry_run=False)
    assert (store.get(keys.REFUSED), store.get(keys.REFUSED_NAMES)) == before
