"""Who, when, with which device and filters: from dropped files of many formats, by the real steps, to every form of the report."""

import csv
import io
import json
import re

import pyarrow.parquet as pq
import pytest

from benchmarks import written_files as written
from ecg_tasks.archive import descriptions, keys, record_shards, registry, tables
from ecg_tasks.archive.descriptions import Descriptions
from ecg_tasks.archive.workspace import now
from ecg_tasks.pipeline import classify_records, ingest_records, render_spectrograms
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.queries import exchange, report_table
from tests.hospital_files import FORMATS, Scp, aecg, scp, strip, wfdb_twin

BAND = "0.05 to 150 Hz, notch 50 Hz"
AT = "2002-11-22T09:10:11"
EXPECTED = {
    "aecg.xml": (49.0, "male", f"{AT}-05:00", "Mortara ELI 250", BAND, "HL7 aECG", None),
    "scp.scp": (49.0, "male", f"{AT}+01:00", "Mortara ELI25", BAND, "SCP-ECG 2.0", None),
    "muse.xml": (49.0, "male", AT, "MAC55", BAND, "GE MUSE XML", None),
    "ishne.ecg": (49.0, "male", AT, "Lifecard CF", None, "ISHNE 1.0", None),
    "r.dcm": (69.0, "female", "2020-06-01T10:15:00", "Made 1", BAND, "DICOM 12-lead ECG", None),
    "dated": (81.0, "female", "1990-10-01T13:05:00", None, None, "WFDB", None),
    "bare": (None, None, None, None, None, "WFDB", None),
    "north/there": (None, None, None, None, None, "WFDB", "north"),
}
"""By the name of the recording: age, sex, time, device, filters, format and site."""
COLUMNS = ("age", "sex", "recorded", "device", "filters", "source_format", "site")


def dropped() -> dict[str, bytes]:
    """A recording of each format, no two alike."""
    made = {
        "aecg.xml": aecg(strip(seed=1), changes=[('value="20021122091011.000"', 'value="20021122091011.250-0500"')]),
        "scp.scp": scp(strip(seed=2), Scp(tags=((34, b"\x3c\0\0\0"),))),
        "muse.xml": FORMATS["muse"].write(FORMATS["muse"].strip),
        "ishne.ecg": FORMATS["ishne"].write(strip(seed=3)),
        **written.dicom(written.made(4)),
        **wfdb_twin(strip(seed=6), "bare"),
        **{f"north/{name}": data for name, data in wfdb_twin(strip(seed=7), "there").items()},
    }
    dated = wfdb_twin(strip(seed=5), "dated")
    dated["dated.hea"] = dated["dated.hea"].replace(b" 5000\n", b" 5000 13:5:0 01/10/1990\n", 1) + b"# age: 81\n# sex: female\n"
    return made | dated


def ingest(run: str, files: dict[str, bytes]) -> None:
    """One run of the DAG ``ingest_records``."""
    inbox.put_files(files.items())
    ingest_records.publish(run, [ingest_records.ingest_batch(job) for job in ingest_records.plan(run)])


def stored_facts(store) -> dict[str, tuple]:
    """What the shards say, by name; the indexes beside them must say the same."""
    found = {}
    for key in store.list_keys(keys.RECORDS):
        index = tables.load(store.get(keys.record_index(keys.stem(key))))
        for row, one in enumerate(record_shards.load_shard(store.get(key))):
            found[one.record.name] = tuple(getattr(one.record, column) for column in COLUMNS)
            assert [index[column][row] for column in COLUMNS[1:]] == list(found[one.record.name][1:])
    return found


@pytest.fixture(scope="module")
def night(bucket_in, todays_version):
    """A bucket that keeps whole dates, after one intake and one report of all formats; with the report's date and run."""
    with pytest.MonkeyPatch.context() as patch:
        store = bucket_in(patch, ECG_DATES="exact", ECG_RECIPES="twelve_lead", ECG_SITES="north")
        registry.write_version(store, "twelve_lead", "aaaa00000001", todays_version("twelve_lead", "aaaa00000001"))
        registry.write_champion(store, recipe="twelve_lead", version="aaaa00000001", since=now(), who="test", why="test")
        ingest("i", dropped())
        render_spectrograms.publish("r", [render_spectrograms.render_shard(job) for job in render_spectrograms.plan("r")])
        patch.setattr("ecg_tasks.pipeline.reports.report_builder.EXPLAINED", 0)  # what a decision is based on takes a second each
        pin = classify_records.pin_champion("c", date="2026-01-02", scope="all", details=len(EXPECTED))
        report = classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])
        _, date, run, _ = report.split("/")
        return store, date, run


def test_shards_have_what_the_files_say(night):
    """In the shard and in its index."""
    assert stored_facts(night[0]) == EXPECTED


def test_the_table_has_it_in_csv_and_parquet(night):
    """An empty cell is not known; the schema says what each column is."""
    store, date, run = night
    rows = csv.DictReader(io.StringIO(store.get(keys.report(date, run, "predictions.csv")).decode()))
    in_csv = {row["name"]: tuple(row[column] for column in COLUMNS) for row in rows}
    assert in_csv == {name: tuple("" if value is None else str(value) for value in said) for name, said in EXPECTED.items()}
    table = pq.read_table(io.BytesIO(store.get(keys.report(date, run, "predictions.parquet"))))
    assert {row["name"]: tuple(row[column] for column in COLUMNS) for row in table.to_pylist()} == EXPECTED
    fields = json.loads(store.get(keys.report(date, run, "predictions.schema.json")))["fields"]
    described = {field["name"]: field for field in fields}
    assert described["age"]["type"] == "number"
    assert {described[column]["type"] for column in COLUMNS[1:]} == {"string"}


def test_fhir_has_the_time_as_far_as_it_can_say_it(night):
    """With a time zone the whole moment, without one the day; what is not known is absent."""
    store, date, run = night
    (bundle,) = (json.loads(line) for line in exchange.fhir_ndjson(store, date, run))
    names = {row["record_id"]: row["name"] for row in report_table.table(store, date, run).all_rows()}
    when: dict[str, set[str | None]] = {}
    components: dict[str, dict[str, object]] = {}
    for resource in (entry["resource"] for entry in bundle["entry"]):
        if resource["resourceType"] != "Device":
            name = names[resource["identifier"][0]["value"]]
            when.setdefault(name, set()).add(resource.get("effectiveDateTime"))
        if resource["resourceType"] == "Observation":
            said = {one["code"]["coding"][0]["code"]: one for one in resource["component"]}
            components[name] = {code: next(value for key, value in one.items() if key != "code") for code, one in said.items()}
    assert when == {
        "aecg.xml": {f"{AT}-05:00"},
        "scp.scp": {f"{AT}+01:00"},
        "muse.xml": {"2002-11-22"},
        "ishne.ecg": {"2002-11-22"},
        "r.dcm": {"2020-06-01"},
        "dated": {"1990-10-01"},
        "bare": {None},
        "north/there": {None},
    }
    measured = {"8867-4", "8625-6", "8633-0", "8634-8", "76634-5", "76635-2", "8632-2", "rhythm"}
    assert components["bare"].keys() == {"quality", "source-format"} | measured
    assert components["north/there"]["site"] == "north"
    assert components["r.dcm"]["30525-0"]["value"] == 69.0
    assert components["r.dcm"]["46098-0"]["coding"][0]["code"] == "female"
    assert [components["r.dcm"][code] for code in ("device", "filters", "source-format")] == ["Made 1", BAND, "DICOM 12-lead ECG"]


def test_the_records_page_tells_it(night):
    """And says aloud what is not known."""
    store, date, run = night
    pages = {}
    for row in report_table.table(store, date, run).all_rows():
        page = store.get(keys.report(date, run, f"records/{row['record_id']}.html")).decode()
        facts = dict(re.findall("<dt>([^<]*)</dt><dd><bdi>([^<]*)</bdi></dd>", page))
        pages[row["name"]] = [facts.get(title) for title in ("Person", "Recorded", "Device", "Filters", "Format", "Site")]
    assert pages["aecg.xml"] == ["49 years, male", "2002-11-22 09:10:11-05:00", "Mortara ELI 250", BAND, "HL7 aECG", None]
    assert pages["dated"] == ["81 years, female", "1990-10-01 13:05:00", "not known", "not known", "WFDB", None]
    assert pages["bare"] == ["age not known, sex not known", "not known", "not known", "not known", "WFDB", None]
    assert pages["north/there"][-1] == "north"


@pytest.mark.parametrize(
    ("dates", "kept"),
    [("exact", f"{AT}-05:00"), ("month", "2002-11"), ("year", "2002"), ("", "2002")],
    ids=["exact", "month", "year", "unset"],
)
def test_dates_are_kept_as_the_site_chooses(bucket_in, monkeypatch, dates, kept):
    """In the shard, its index, and every document; of itself a site keeps the year. The raw file stays as it is."""
    store = bucket_in(monkeypatch, ECG_DATES=dates)
    data = aecg(strip(leads=("I", "II"), seconds=5, fs=100), changes=[('091011.000"', '091011-0500"')])
    ingest("i", {"a.xml": data})
    assert stored_facts(store)["a.xml"][2] == kept
    documents = [key for key in store.list_keys("") if key.endswith(".json")]
    assert documents
    assert not any(b"2002-11-22" in store.get(key) for key in documents)


@pytest.mark.parametrize(("born", "age"), [("19091123", 90.0), ("19130508", 89.0), ("19530508", 49.0)])
def test_ages_above_89_are_stored_as_90(bucket, born, age):
    """From a birth date here; a year below stays."""
    small = strip(leads=("I", "II"), seconds=5, fs=100)
    ingest("i", {"a.xml": aecg(small, changes=[('birthTime value="19530508"', f'birthTime value="{born}"')])})
    assert stored_facts(bucket)["a.xml"][0] == age


def test_an_age_of_a_label_table_is_stored_as_90_too(bucket):
    """With the recording, and where it becomes known later; the time and the device that are stored stay."""
    small = strip(leads=("I", "II"), seconds=5, fs=100)
    ingest("i", {"w/a.xml": aecg(small), "w/labels.csv": b"record,label,age\na.xml,normal,93\n"})
    assert stored_facts(bucket)["w/a.xml"][:3] == (90.0, "male", "2002")
    ingest("j", {"w/labels.csv": b"record,label,age,sex\na.xml,,95.5,F\n"})
    (key,) = bucket.list_keys(keys.RECORDS)
    (stored,) = record_shards.load_shard(bucket.get(key))
    known = Descriptions.read(bucket).stored(stored).record
    assert (known.age, known.sex, known.recorded, known.device) == (90.0, "female", "2002", "Mortara ELI 250")
    written_down = [descriptions.persons_of(tables.load(bucket.get(key))) for key in bucket.list_keys(keys.DESCRIPTIONS)]
    assert {person.age for persons in written_down for person in persons.values()} == {90.0}


def test_a_refusal_tells_nothing_of_the_recording(bucket):
    """Neither the message nor the entry in quarantine has the time, the device or the person."""
    cut = aecg(strip(seed=1))[:-4000]
    ingest("i", {"a.xml": cut})
    (entry,) = (key for key in bucket.list_keys(keys.QUARANTINE) if key.endswith("reason.json"))
    for key in (entry, keys.manifest("ingest_records", "i")):
        assert not any(word in bucket.get(key) for word in (b"20021122", b"2002-11", b"Mortara", b"ELI 250", b"19530508"))
