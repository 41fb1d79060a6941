"""The site of a recording is the folder that it was dropped in, where the settings name that folder, and nothing else."""

import io
import zipfile

import pytest

from ecg_tasks.archive import keys, record_shards
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.settings import Settings

NEEDED = {"ECG_BUCKET": "ecg", "ECG_PATIENT_KEY": "k" * 32}


@pytest.fixture
def store(bucket, monkeypatch):
    """A bucket that stores no names, for two sites."""
    for name in ("ECG_KEEP_NAMES", "ECG_RAW_KEEPS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("ECG_SITES", "north, Ward 3")
    return bucket


def zipped(files: dict[str, bytes]) -> bytes:
    """A ZIP archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def run(name: str) -> None:
    """One whole run of the DAG's tasks."""
    ingest_records.publish(name, [ingest_records.ingest_batch(job) for job in ingest_records.plan(name)])


def sites(store) -> list[str]:
    """The sites of all records, in alphabetical order, ``-`` for one that is not known."""
    found = [one.record.site or "-" for key in store.list_keys(keys.RECORDS) for one in record_shards.load_shard(store.get(key))]
    return sorted(found)


def below(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    """The same files in a folder."""
    return {f"{folder}/{name}": data for name, data in files.items()}


def test_only_a_folder_that_is_listed_is_a_site_and_no_other_is_stored(store, make_wfdb):
    """Another folder, a listed one farther down, the inbox itself and a file that is called like a site give none."""
    inbox.put_files(below("north", make_wfdb("a", seed=1)).items())
    inbox.put_files(below("Ward 3/2026/11", make_wfdb("b", seed=2)).items())
    inbox.put_files(below("Mustermann", make_wfdb("c", seed=3)).items())
    inbox.put_files(below("Mustermann/north", make_wfdb("d", seed=4)).items())
    inbox.put_files(make_wfdb("north", seed=5).items())
    run("r1")
    assert sites(store) == ["-", "-", "-", "Ward 3", "north"]
    everything = b"".join(store.get(key) + key.encode() for key in store.list_keys("") if not key.startswith(keys.INBOX))
    assert b"Mustermann" not in everything


def test_an_archive_is_of_the_site_in_whose_folder_it_lies_and_else_its_members_are(store, make_wfdb):
    """The archive's own folder comes before the folders in it."""
    inbox.put_files([("north/x.zip", zipped(make_wfdb("a", seed=1) | below("Ward 3", make_wfdb("b", seed=2))))])
    inbox.put_files([("y.zip", zipped(below("Ward 3", make_wfdb("c", seed=3)) | below("north2", make_wfdb("d", seed=4))))])
    inbox.put_files([("Mustermann/z.zip", zipped(below("north", make_wfdb("e", seed=5))))])
    run("r1")
    assert sites(store) == ["-", "Ward 3", "north", "north", "north"]


def test_a_recording_that_comes_again_keeps_its_site(store, make_wfdb):
    """The first site is where it was recorded, as far as anybody knows."""
    inbox.put_files(below("north", make_wfdb("a", seed=1)).items())
    run("r1")
    inbox.put_files(below("Ward 3", make_wfdb("a", seed=1)).items())
    run("r2")
    assert sites(store) == ["north"]


def test_without_the_setting_there_is_no_site(store, make_wfdb, monkeypatch):
    """Also where names are stored."""
    monkeypatch.delenv("ECG_SITES")
    monkeypatch.setenv("ECG_KEEP_NAMES", "1")
    inbox.put_files(below("north", make_wfdb("a", seed=1)).items())
    run("r1")
    assert sites(store) == ["-"]


def test_a_folder_is_a_site_in_either_form_of_unicode():
    """A Mac sends another spelling of the same letters; the one that the setting has is stored."""
    settings = Settings.from_environment(NEEDED | {"ECG_SITES": "M\u00fcnchen"})
    assert StoredNames.of(settings).site_of("Mu\u0308nchen/a.hea") == "M\u00fcnchen"


def test_a_file_that_is_called_like_a_site_is_in_none():
    """A site is a folder; the file may be an archive, whose members are then looked at."""
    names = StoredNames.of(Settings.from_environment(NEEDED | {"ECG_SITES": "north.zip,south"}))
    assert names.site_of("north.zip") is None
    assert names.site_of("north.zip", "south/a.hea") == "south"
    assert names.site_of("north.zip/a.hea") == "north.zip"


def test_a_site_is_one_folder():
    """A path would never be found, so it is refused."""
    assert Settings.from_environment(NEEDED).sites == ()
    assert Settings.from_environment(NEEDED | {"ECG_SITES": " a , b c,"}).sites == ("a", "b c")
    with pytest.raises(ConfigurationError, match=r"ECG_SITES holds .a/b.; write names of folders"):
        Settings.from_environment(NEEDED | {"ECG_SITES": "a/b"})
