"""Each night is written once, made of what is new; drift is told, and suggests a training without starting one."""

import json
from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from ecg_tasks.archive import catalog, keys, tables, verdicts
from ecg_tasks.archive.documents import ClassifiedShard, Ingests, MonitoringRun, PinnedVersion, ReportPin, read, write_manifest
from ecg_tasks.archive.workspace import key_digest
from ecg_tasks.evaluation.drift import Reference
from ecg_tasks.learning.decisions import SiteRule
from ecg_tasks.learning.version import METRICS, SPEC, TRAINING_PATIENTS, TRAINING_RECORDS, ModelSpec, TrainingPatient
from ecg_tasks.pipeline.monitoring import drift, monitoring_runs
from ecg_tasks.pipeline.training.reference import ABOVE, BELOW
from ecg_tasks.queries import drift as shown
from ecg_tasks.settings import Settings
from tests import whole_documents
from tests.plain_json import put_json
from tests.versions import patients_with_buckets
from tests.whole_documents import intake


class Hospital:
    """Nights of records for a version that knows what it was tested on: scores uniform below 0.5."""

    def __init__(self, archive):
        self.archive, self.store, self.rng = archive, archive.store, np.random.default_rng(3)
        self.night, self.next_id = 0, 0
        archive.put_model("heartbeat")
        self.put_reference("v1")

    def put_reference(self, version: str, *, known: bool = True) -> None:
        """What the version was tested on."""
        score = self.rng.uniform(0, 0.5, 400)
        reference = {
            "score": Reference.of_numbers(score).as_dict(),
            "abnormal": Reference.of_kinds({BELOW: 380, ABOVE: 20}).as_dict(),
            "quality": Reference.of_numbers(self.rng.uniform(0.6, 1, 400)).as_dict(),
            "input": Reference.of_kinds({"1 lead, 500 Hz": 400}).as_dict(),
        }
        put_json(self.store, keys.model_file("heartbeat", version, METRICS), {"reference": reference} if known else {})
        self.store.put(
            keys.model_file("heartbeat", version, TRAINING_RECORDS), b"record_id,side,bucket\nffffffff000000000000000000000000,train,-1\n"
        )

    def set_site(self, shard: str, sites) -> None:
        """Where the records of a shard come from."""
        key = keys.record_index(shard)
        self.store.put(key, tables.dump(tables.RECORD_INDEX, tables.load(self.store.get(key)) | {"site": list(sites)}))

    def arrive(self, n: int, *, shift: float = 0.0, version: str = "v1", scope: str = "new") -> tuple[ReportPin, list[ClassifiedShard]]:
        """One night's shard and its decisions; returns the pin and the shards of the run."""
        self.night += 1
        run, shard = f"run{self.night}", f"shard{self.night}"
        ids = [f"{number * 2654435761 % 2**32:08x}{'0' * 24}" for number in range(self.next_id, self.next_id + n)]
        self.next_id += n
        score = np.where(self.rng.random(n) < 0.05, 0.7, self.rng.uniform(0, 0.5, n)) if not shift else self.rng.uniform(shift, 1, n)
        self.archive.put_shard(shard, ids, score, version=version, quality=self.rng.uniform(0.6, 1, n).astype(np.float32))
        write_manifest(self.store, intake(run, shards=(shard,)))
        ingests = Ingests(runs=(run,), through="", at_through=())
        champions = {"heartbeat": PinnedVersion(version=version, since="")}
        pin = whole_documents.pin(run, date=f"2026-01-{self.night:02d}", scope=scope, ingests=ingests, champions=champions)
        return pin, [ClassifiedShard(shard=shard, recipe="heartbeat", version=version, records=n, windows=n)]


@pytest.fixture
def hospital(archive, monkeypatch):
    """A hospital before its first night."""
    monitoring_runs._get.forget()
    return Hospital(archive)


def test_steady_nights_stay_steady_and_a_shift_is_told_and_stays_told(hospital):
    """Five nights as tested, then two with high scores: the light turns, names the run, and suggests a training."""
    for _ in range(5):
        (light,) = drift.observe(hospital.store, *hospital.arrive(60))
    assert light.state == "steady"
    assert not light.suggests_retraining
    pin, done = hospital.arrive(60, shift=0.4)
    (light,) = drift.observe(hospital.store, pin, done)
    assert (light.state, light.since) == ("drift", pin.run)
    assert light.suggests_retraining
    assert "P(abnormal)" in light.sentence or "threshold" in light.sentence
    drift.observe(hospital.store, *hospital.arrive(60))
    assert shown.lights(hospital.store) == (light,)


def test_a_rerun_changes_nothing_and_a_lost_night_is_made_the_same_again(hospital, monkeypatch):
    """Byte for byte: the file follows from the night's records and the night before."""
    drift.observe(hospital.store, *hospital.arrive(50))
    pin, done = hospital.arrive(50)
    drift.observe(hospital.store, pin, done)
    key = keys.monitoring("heartbeat", pin.run)
    before, etag = hospital.store.get(key), hospital.store.info(key)
    drift.observe(hospital.store, pin, done)
    assert hospital.store.info(key) == etag
    hospital.store.delete(key)
    monitoring_runs._get.forget()
    drift.observe(hospital.store, pin, done)
    assert hospital.store.get(key) == before


def test_a_night_reads_only_what_is_new(hospital, monkeypatch):
    """The cost of a night does not follow from the archive: of twelve nights before, one file is read."""
    for _ in range(12):
        drift.observe(hospital.store, *hospital.arrive(10))
    monitoring_runs._get.forget()
    pin, done = hospital.arrive(10)
    read = []
    get = hospital.store.get
    monkeypatch.setattr(hospital.store, "get", lambda key: read.append(key) or get(key))
    drift.observe(hospital.store, pin, done)
    assert [key for key in read if key.startswith((keys.PREDICTIONS, keys.RECORD_INDEX))] == [
        keys.predictions("heartbeat", done[0].shard, "v1"),
        keys.record_index(done[0].shard),
    ]
    assert sum(key.startswith(keys.MONITORING) for key in read) <= 13  # moto tells seconds, so nights of the same second are all read


def test_what_it_was_trained_on_and_more_records_of_a_patient_do_not_count(hospital):
    """Its scores of these are no measure of what comes in; a patient's records resemble one another."""
    pin, done = hospital.arrive(6)
    shard = done[0].shard
    index = tables.load(hospital.store.get(keys.record_index(shard)))
    index["patient"] = ["p", "p", "p", None, None, None]
    hospital.store.put(keys.record_index(shard), tables.dump(tables.RECORD_INDEX, index))
    trained = f"record_id,side,bucket\n{index['record_id'][3]},train,-1\n{index['record_id'][4]},test,-1\n"
    hospital.store.replace(keys.model_file("heartbeat", "v1", TRAINING_RECORDS), trained.encode())
    drift.observe(hospital.store, pin, done)
    night = read(hospital.store, MonitoringRun, keys.monitoring("heartbeat", pin.run))
    assert (night.decided, night.watched) == (6, 3)
    assert sum(night.measures["score"].counts) == 3


def test_strangers_in_the_buckets_of_the_training_are_watched(hospital):
    """A version that names its patients has seen these and nobody else, by either of their names; one of before goes by buckets."""
    pin, done = hospital.arrive(6)
    shard = done[0].shard
    index = tables.load(hospital.store.get(keys.record_index(shard)))
    index["patient"] = ["seen", "seen, public", "q", "r", "s", "t"]
    index["public_patient"] = [None, "public", "another", None, None, None]
    index["split_bucket"] = [7, 8, 8, 7, 7, 9]
    hospital.store.put(keys.record_index(shard), tables.dump(tables.RECORD_INDEX, index))
    hospital.store.replace(keys.model_file("heartbeat", "v1", TRAINING_RECORDS), f"record_id,side,bucket\n{'e' * 32},train,7\n".encode())
    drift.observe(hospital.store, pin, done)
    night = read(hospital.store, MonitoringRun, keys.monitoring("heartbeat", pin.run))
    assert (night.decided, night.watched) == (6, 3)
    key = key_digest(Settings.from_environment().patient_key)
    patients = [TrainingPatient("seen", key, None, 7), TrainingPatient("f" * 24, "of another", "public", 8)]
    hospital.store.replace(keys.model_file("heartbeat", "v1", TRAINING_PATIENTS), patients_with_buckets(patients))
    hospital.store.delete(keys.monitoring("heartbeat", pin.run))
    monitoring_runs._get.forget()
    drift.observe(hospital.store, pin, done)
    night = read(hospital.store, MonitoringRun, keys.monitoring("heartbeat", pin.run))
    assert (night.decided, night.watched) == (6, 4)


@pytest.mark.parametrize("n_watched", [5, 3])
def test_a_large_night_is_watched_by_a_sample_with_one_record_a_patient(hospital, monkeypatch, n_watched):
    """The patients with the smallest ids count, whichever shard holds them, as if the whole night had been in memory."""
    monkeypatch.setattr(monitoring_runs, "MAX_WATCHED", n_watched)
    pin, done = hospital.arrive(12)
    more, also = hospital.arrive(12)
    patients = {}
    for number, shard in enumerate((done[0].shard, also[0].shard)):
        index = tables.load(hospital.store.get(keys.record_index(shard)))
        index["patient"] = [f"p{at % 4 if at < 8 else 100 * number + at}" for at in range(12)]
        hospital.store.put(keys.record_index(shard), tables.dump(tables.RECORD_INDEX, index))
        for record_id, patient in zip(index["record_id"], index["patient"], strict=True):
            patients[patient] = min(patients.get(patient, record_id), record_id)
    pin = structs.replace(pin, ingests=structs.replace(pin.ingests, runs=(*pin.ingests.runs, *more.ingests.runs)))
    watched = []
    monkeypatch.setattr(monitoring_runs, "_ties", lambda _, ids: watched.append(list(ids)) or np.full(len(ids), 0.5))
    drift.observe(hospital.store, pin, [*done, *also])
    assert watched[0] == sorted(patients.values())[:n_watched]
    night = read(hospital.store, MonitoringRun, keys.monitoring("heartbeat", pin.run))
    assert (night.decided, night.watched) == (24, n_watched)


def test_a_new_version_decides_the_archive_again_but_only_what_came_in_is_watched(hospital):
    """And it starts anew, against its own reference."""
    drift.observe(hospital.store, *hospital.arrive(120, shift=0.4))
    assert shown.lights(hospital.store)[0].state == "drift"
    hospital.archive.put_model("heartbeat", version="v2")
    hospital.put_reference("v2")
    pin, done = hospital.arrive(20, version="v2")
    old = structs.replace(done[0], shard="shard1")
    (light,) = drift.observe(hospital.store, pin, [*done, old])
    assert (light.version, light.state) == ("v2", "unknown")
    assert "20 records so far; 100 are needed" in light.sentence
    assert read(hospital.store, MonitoringRun, keys.monitoring("heartbeat", pin.run)).number == 1


def test_another_kind_of_recording_is_noticed(hospital):
    """Every record of the second night has twelve leads."""
    drift.observe(hospital.store, *hospital.arrive(100))
    pin, done = hospital.arrive(100)
    index = tables.load(hospital.store.get(keys.record_index(done[0].shard)))
    index["leads"] = [["I"] * 12] * 100
    hospital.store.put(keys.record_index(done[0].shard), tables.dump(tables.RECORD_INDEX, index))
    (light,) = drift.observe(hospital.store, pin, done)
    assert light.state == "drift"
    assert "Leads and sampling rate" in light.sentence


def test_small_nights_are_pooled_until_they_tell_something(hospital):
    """PSI needs 100 records: three nights of 40 give the first figure, the fourth begins a new pool."""
    told = []
    for _ in range(4):
        pin, done = hospital.arrive(40)
        drift.observe(hospital.store, pin, done)
        told.append(read(hospital.store, MonitoringRun, keys.monitoring("heartbeat", pin.run)).measures["score"].psi is not None)
    assert told == [False, False, True, False]


def test_a_version_that_does_not_say_what_it_was_tested_on_stays_unknown(hospital):
    """As those of before this was kept; so does one that has had no night."""
    assert shown.lights(hospital.store)[0].state == "unknown"
    hospital.put_reference("v1", known=False)
    (light,) = drift.observe(hospital.store, *hospital.arrive(150))
    assert light.state == "unknown"
    assert "does not say" in light.sentence
    assert shown.page(hospital.store, "heartbeat").figures == ()


def test_the_page_has_a_picture_and_a_table_for_each_measure(hospital):
    """Over the nights asked for, of the serving version only."""
    for _ in range(3):
        drift.observe(hospital.store, *hospital.arrive(50))
    page = shown.page(hospital.store, "heartbeat", nights=2)
    assert [figure.title for figure in page.figures][:2] == ["Evidence that something has changed", "Share called abnormal"]
    assert len(page.figures) == 6
    assert len(page.figures[0].rows) == 2
    assert page.light == shown.lights(hospital.store)[0]
    assert shown.page(hospital.store, "twelve_lead").light.state == "unknown"


def test_a_night_is_plain_json(hospital):
    """No nan, which other programs cannot read."""
    pin, done = hospital.arrive(0)
    drift.observe(hospital.store, pin, done)
    data = hospital.store.get(keys.monitoring("heartbeat", pin.run))
    json.loads(data, parse_constant=lambda name: pytest.fail(f"{name} in a night's file"))


def test_a_night_is_estimated_from_its_probabilities(hospital):
    """Of what is watched, with an interval; the page has a row a night, the latest first. An empty night has none."""
    pin, done = hospital.arrive(200)
    drift.observe(hospital.store, pin, done)
    night = read(hospital.store, MonitoringRun, keys.monitoring("heartbeat", pin.run))
    p = tables.load(hospital.store.get(keys.predictions("heartbeat", done[0].shard, "v1")))["probability"].astype(float)
    expected = p[p >= 0.5].sum() / p.sum()
    found = night.estimated["sensitivity"]
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high
    drift.observe(hospital.store, *hospital.arrive(0))
    last, _ = hospital.arrive(30)
    drift.observe(hospital.store, last, [structs.replace(done[0], shard="shard3", records=30)])
    (table,) = shown.page(hospital.store, "heartbeat").tables
    assert table.title == "Estimated without labels"
    assert [row[:2] for row in table.rows] == [("2026-01-03", "30"), ("2026-01-01", "200")]
    assert table.rows[1][2].startswith(f"{expected:.3f} (")


def test_labels_that_come_later_are_held_against_the_estimate(hospital):
    """Of records that it was not trained on, one a patient; a reviewer's verdict stands in place of the source's."""
    pin, done = hospital.arrive(40)
    drift.observe(hospital.store, pin, done)
    shard = done[0].shard
    index = tables.load(hospital.store.get(keys.record_index(shard)))
    index["patient"] = ["p", "p", *[None] * 38]
    hospital.store.put(keys.record_index(shard), tables.dump(tables.RECORD_INDEX, index))
    catalog.rebuild(hospital.store)
    ids, p = index["record_id"], tables.load(hospital.store.get(keys.predictions("heartbeat", shard, "v1")))["probability"]
    trained = f"record_id,side,bucket\n{ids[3]},train,-1\n".encode()
    hospital.store.replace(keys.model_file("heartbeat", "v1", TRAINING_RECORDS), trained)
    hospital.archive.put_labels(dict.fromkeys(ids[:9], "abnormal"))
    assert [table.title for table in shown.page(hospital.store, "heartbeat").tables] == ["Estimated without labels"]
    hospital.archive.put_labels(dict.fromkeys(ids[9:30], "normal"), when="2026-01-02T00:00:00+00:00")
    verdicts.save_verdict(hospital.store, ids[5], verdict="uninterpretable", user="anna")
    verdicts.save_verdict(hospital.store, ids[6], verdict="normal", user="anna")
    table = shown.page(hospital.store, "heartbeat").tables[1]
    first = min(ids[:2])
    counted = [one for one in ids[:30] if one not in {ids[3], ids[5]} and (one not in ids[:2] or one == first)]
    truth = np.array([one in ids[:9] and one != ids[6] for one in counted])
    of = dict(zip(ids, p, strict=True))
    called = np.array([of[one] >= 0.5 for one in counted])
    assert f"Of {len(counted)} decided records ({truth.sum()} abnormal)" in table.note
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["Sensitivity"][1].startswith(f"{called[truth].mean():.3f} (")
    assert rows["Accuracy"][1].startswith(f"{(called == truth).mean():.3f} (")
    assert {row[3] for row in table.rows} <= {"inside", "outside"}


def test_drift_and_quality_are_told_by_site(hospital):
    """Each against what the version was tested on; a site that has moved does so alone, and small ones are only counted."""
    pin, done = hospital.arrive(240)
    north = np.arange(240) % 2 == 0
    hospital.set_site(done[0].shard, ["north" if one else "south" for one in north])
    drift.observe(hospital.store, pin, done)
    night = read(hospital.store, MonitoringRun, keys.monitoring("heartbeat", pin.run))
    assert {site: one.watched for site, one in night.sites.items()} == {"north": 120, "south": 120, "": 0}
    assert not night.sites["north"].measures["score"].psi_large
    pin, done = hospital.arrive(230, shift=0.6)
    hospital.set_site(done[0].shard, [*["south"] * 225, *["east"] * 5])
    drift.observe(hospital.store, pin, done)
    night = read(hospital.store, MonitoringRun, keys.monitoring("heartbeat", pin.run))
    assert night.sites["south"].measures["score"].psi_large
    assert (night.sites["north"].decided, night.sites["north"].quality) == (0, None)
    table = shown.page(hospital.store, "heartbeat").tables[-1]
    assert table.title == "By site"
    rows = {row[0]: row[1:] for row in table.rows}
    assert list(rows) == ["east", "north", "south", "not known"]
    assert rows["east"][:3] == ("5", "0", "held back")
    assert rows["south"][0] == "345"
    assert "(large)" in rows["south"][6]
    assert "(large)" not in rows["north"][6]
    assert rows["north"][2] == f"{night_quality(hospital, 'run1', 'north'):.2f}"


def test_a_night_is_counted_and_estimated_by_the_rule_of_each_site(hospital):
    """In the north all are called abnormal, elsewhere hardly anybody; what is uninterpretable is counted where it was recorded."""
    key = keys.model_file("heartbeat", "v1", SPEC)
    rule = SiteRule(site="north", temperature=1.0, bias=0.0, threshold=0.0, abstain=(0.0, 0.0))
    hospital.store.replace(key, replace(ModelSpec.from_json(hospital.store.get(key)), sites=(rule,)).to_json())
    pin, done = hospital.arrive(100)
    hospital.set_site(done[0].shard, ["north", "south", "south", "south"] * 25)
    predicted = keys.predictions("heartbeat", done[0].shard, "v1")
    columns = tables.load(hospital.store.get(predicted))
    p = np.array(columns["probability"], dtype=np.float64)
    p[[0, 4, 8, 1]] = np.nan
    hospital.store.replace(predicted, tables.dump(tables.PREDICTIONS, columns | {"probability": p.astype(np.float32)}))
    drift.observe(hospital.store, pin, done)
    night = read(hospital.store, MonitoringRun, keys.monitoring("heartbeat", pin.run))
    counted = {site: (one.decided, one.uninterpretable, one.watched) for site, one in night.sites.items()}
    assert counted == {"north": (25, 3, 22), "south": (75, 1, 74), "": (0, 0, 0)}
    assert (night.decided, night.uninterpretable, night.watched) == (100, 4, 96)
    north = np.arange(100) % 4 == 0
    called = (north | (p >= 0.5)) & ~np.isnan(p)
    assert night.measures["abnormal"].counts[:2] == (96 - called.sum(), called.sum())
    assert night.sites["north"].measures["abnormal"].counts[:2] == (0, 22)
    assert night.estimated["sensitivity"].value == pytest.approx(p[called].sum() / np.nansum(p), abs=1e-6)


def night_quality(hospital, run: str, site: str) -> float:
    """Mean quality of a site's records in one night."""
    night = read(hospital.store, MonitoringRun, keys.monitoring("heartbeat", run))
    return night.sites[site].quality


def test_without_a_site_nothing_is_told_by_site(hospital):
    """As in nights of before; and an older night's file is read."""
    pin, done = hospital.arrive(20)
    drift.observe(hospital.store, pin, done)
    key = keys.monitoring("heartbeat", pin.run)
    night = json.loads(hospital.store.get(key))
    assert night["sites"] == {}
    del night["sites"], night["estimated"]
    put_json(hospital.store, key, night)
    monitoring_runs._get.forget()
    assert shown.page(hospital.store, "heartbeat").tables == ()
    drift.observe(hospital.store, *hospital.arrive(20))
    assert [table.title for table in shown.page(hospital.store, "heartbeat").tables] == ["Estimated without labels"]
