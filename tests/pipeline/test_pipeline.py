"""From dropped files to a report, by the steps alone: a model is trained, promoted, and decides on every record."""

import json
from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from ecg_tasks import ECG_Classifier
from ecg_tasks.actions import verdicts
from ecg_tasks.archive import keys, registry, tables
from ecg_tasks.archive.documents import Training, TrainingJob, read
from ecg_tasks.archive.forgotten import digest_of
from ecg_tasks.archive.object_store import ObjectStore, forgetting
from ecg_tasks.errors import NotEnoughDataError, StoreError
from ecg_tasks.evaluation.splits import Split
from ecg_tasks.labels import Decision
from ecg_tasks.learning.version import (
    GOLDEN,
    SUMS,
    TRAINING_PATIENTS,
    TRAINING_RECORDS,
    Golden,
    checksums,
    training_patients,
    training_records,
    training_records_csv,
)
from ecg_tasks.pipeline import classify_records, ingest_records, render_spectrograms, retrain_model
from ecg_tasks.pipeline.champions import fresh_process
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.pipeline.training import candidate, dataset, gating, promoting
from ecg_tasks.pipeline.training.reference import MEASURES
from ecg_tasks.queries import drift
from ecg_tasks.settings import Settings
from ecg_tasks.signals.recipes import get_recipe

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]
N_PATIENTS = 240


def ingest_all(run_id: str) -> str:
    """One run of the DAG ``ingest_records``."""
    jobs = ingest_records.plan(run_id)
    return ingest_records.publish(run_id, [ingest_records.ingest_batch(job) for job in jobs]) if jobs else ""


def render_all(run_id: str) -> str:
    """One run of the DAG ``render_spectrograms``."""
    jobs = render_spectrograms.plan(run_id)
    return render_spectrograms.publish(run_id, [render_spectrograms.render_shard(job) for job in jobs]) if jobs else ""


def classify_all(run_id: str, *, scope: str = "new") -> str:
    """One run of the DAG ``classify_records``; returns the key of the report."""
    pin = classify_records.pin_champion(run_id, date="2026-01-02", scope=scope, details=5)
    return classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])


def retrain_all(run_id: str, *, seed: int = 0, epochs: int = 8, ensemble_size: int = 2, policy: str = "better") -> tuple[str, dict]:
    """One run of the DAG ``retrain_model``; returns the job's key and the verdict."""
    job = retrain_model.assemble_dataset(run_id, recipe="heartbeat", epochs=epochs, ensemble_size=ensemble_size, seed=seed, policy=policy)
    decision = retrain_model.gate(retrain_model.evaluate(retrain_model.train(job)))
    if promoting.is_promotable(run_id):
        promoting.promote(run_id, asked=False)
    return job, json.loads(retrain_model.open_store().get(decision))


def snapshot(store: ObjectStore, *prefixes: str) -> dict[str, str]:
    """ETags of everything below the prefixes."""
    return {item.key: item.etag for prefix in prefixes for item in store.list_objects(prefix)}


@pytest.fixture(scope="module")
def store(bucket_in):
    """A bucket with beats of many patients, half of them without a T wave, taken over and rendered."""
    with pytest.MonkeyPatch.context() as patch:
        bucket = bucket_in(patch, ECG_RECIPES="heartbeat")
        rng = np.random.default_rng(5)
        t = np.arange(187)
        labels = np.arange(N_PATIENTS) % 2
        rows = np.zeros((N_PATIENTS, 187))
        for row, label in enumerate(labels):
            length = rng.integers(100, 150)
            t_wave = 0.35 * np.exp(-(((t - 35 - rng.normal(0, 2)) / 9) ** 2))
            beat = np.exp(-((t / 4) ** 2)) + (0 if label else 1) * t_wave + np.exp(-(((t - length * 0.83) / 4) ** 2))
            rows[row] = np.where(t < length, np.clip(beat * 0.9 + 0.05 * rng.random(187), 0, 1), 0)
        text = "\n".join(",".join(f"{value:.5f}" for value in row) for row in rows)
        table = "record,label,patient_id\n" + "".join(
            f"beats.csv#{row + 1},{'abnormal' if label else 'normal'},patient {row}\n" for row, label in enumerate(labels)
        )
        inbox.put_files([("w/beats.csv", text.encode()), ("w/labels.csv", table.encode())])
        ingest_all("first")
        render_all("first")
        yield bucket


@pytest.fixture(scope="module")
def trained(store):
    """The verdict on the first candidate."""
    return retrain_all("first")


def test_first_candidate_is_promoted(store, trained):
    """A model that separates the classes on unseen patients becomes the first champion, and says on whom it was tested."""
    job, verdict = trained
    assert verdict["promote"], verdict["reason"]
    assert verdict["kind"] == "first"
    champion = registry.read_champion(store, "heartbeat")
    assert champion.version == json.loads(store.get(job))["version"]
    metrics = json.loads(registry.read_version(store, "heartbeat", champion.version)["metrics.json"])["test"]
    assert metrics["split_unit"] == "patient"
    assert metrics["n_patients"] == metrics["n_records"] > 15


def test_no_patient_is_on_two_sides(store, trained):
    """The split that was written down keeps every patient in one split."""
    job, _ = trained
    split = tables.load(store.get(keys.dataset(json.loads(store.get(job))["dataset_id"], "split.parquet")))
    splits: dict[str, set[str]] = {}
    for group, name in zip(split["group"], split["side"], strict=True):
        splits.setdefault(group, set()).add(name)
    assert all(len(found) == 1 for found in splits.values())
    assert {name for found in splits.values() for name in found} == {"train", "validation", "calibration", "test"}


def test_same_training_again_changes_nothing(store, trained):
    """The same data and seed name the same version, which is not trained, judged or promoted anew."""
    before = snapshot(store, keys.MODELS, keys.DATASETS, keys.CHECKPOINTS)
    retrain_all("again")
    assert snapshot(store, keys.MODELS, keys.DATASETS, keys.CHECKPOINTS) == before


@pytest.fixture(scope="module")
def worse(store, trained):
    """The job and the verdict of a candidate that learnt for one epoch only, the twentieth to be judged on its test set."""
    champion = registry.read_champion(store, "heartbeat")
    splits = registry.read_version(store, "heartbeat", champion.version)[TRAINING_RECORDS]
    extra = [f"earlier{number}" for number in range(len(registry.versions(store, "heartbeat")), 19)]
    for name in extra:
        store.put(keys.model_file("heartbeat", name, TRAINING_RECORDS), splits)
        store.put(keys.model_file("heartbeat", name, SUMS), b"")
    judged = retrain_all("worse", seed=1, epochs=1, ensemble_size=1)
    for name in extra:
        store.delete_many([keys.model_file("heartbeat", name, TRAINING_RECORDS), keys.model_file("heartbeat", name, SUMS)])
    return judged


def test_candidate_that_is_not_better_is_kept_and_rejected(store, trained, worse):
    """One epoch more or less does not beat the champion; the version stays, with the reason beside it."""
    _, first = trained
    job, verdict = worse
    assert first["promote"]
    assert not verdict["promote"]
    assert verdict["kind"] == "rejected"
    assert "not shown to be better than the champion" in verdict["reason"]
    version = json.loads(store.get(job))["version"]
    assert registry.has_version(store, "heartbeat", version)
    assert registry.read_champion(store, "heartbeat").version != version


def test_test_set_counts_the_candidates_it_judged(store, trained, worse):
    """The first version counts itself, each later one those before; at twenty the card and the verdict say so."""
    _, first = trained
    assert first["candidates_judged"] == 1
    job, verdict = worse
    assert verdict["candidates_judged"] == 20
    assert "20 candidates have been evaluated" in verdict["note"]
    assert "20 candidates" in store.get(keys.model_file("heartbeat", json.loads(store.get(job))["version"], "card.md")).decode()


def test_version_works_in_a_fresh_process_and_a_damaged_one_does_not(store, trained):
    """The promoted artifact reproduces its golden scores in a process without TensorFlow; with other golden scores it is refused."""
    champion = registry.read_champion(store, "heartbeat")
    files = registry.read_version(store, "heartbeat", champion.version)
    assert fresh_process.fault_of(files) == ""
    golden = Golden.from_bytes(files[GOLDEN])
    other = {name: data for name, data in files.items() if name != SUMS}
    other[GOLDEN] = replace(golden, scores=1 - golden.scores).to_bytes()
    assert "golden scores differ" in fresh_process.fault_of(other | {SUMS: checksums(other)})
    assert fresh_process.fault_of({}) != ""


def test_artifact_that_does_not_work_is_rejected(store, trained, monkeypatch):
    """What the fresh process says is wrong is the gate's reason, and nothing is promoted."""
    monkeypatch.setattr(fresh_process, "fault_of", lambda _files: "it cannot be loaded")
    job, _ = trained
    work = structs.replace(read(store, TrainingJob, job), policy="refresh", run="broken-artifact")
    verdict = gating.evaluate_candidate(store, get_recipe("heartbeat"), work, None)
    assert (verdict.promote, verdict.kind) == (False, "rejected")
    assert "does not work in a fresh process: it cannot be loaded" in verdict.reason


def test_refresh_needs_records_that_the_champion_has_not_seen(store, trained, worse):
    """By the policy of a refresh the same data again is none; to a champion that saw none of it, all of it is new."""
    _, verdict = retrain_all("refresh", seed=1, epochs=1, ensemble_size=1, policy="refresh")
    assert verdict["new_data"]["n_new"] == 0
    assert (verdict["promote"], verdict["kind"]) == (False, "rejected")
    assert "it is not a refresh: 0 of its" in verdict["reason"]
    assert verdict["limits"]["margin"] == 0.05
    work = structs.replace(read(store, TrainingJob, trained[0]), policy="refresh", run="refresh-of-a-stranger")
    champion = registry.read_champion(store, "heartbeat")
    files = registry.read_version(store, "heartbeat", champion.version)
    stranger = {name: data for name, data in files.items() if name != SUMS} | {TRAINING_RECORDS: b"record_id,side,bucket\n"}
    registry.write_version(store, "heartbeat", "stranger", stranger | {SUMS: checksums(stranger)})
    found = gating.evaluate_candidate(store, get_recipe("heartbeat"), work, replace(champion, version="stranger"))
    assert found.new_data.n_new == found.new_data.n_training > 100
    assert found.kind in {"refresh", "better"}, found.reason
    for name in [*stranger, SUMS]:
        store.delete(keys.model_file("heartbeat", "stranger", name))


def test_what_was_forgotten_and_is_back_is_no_new_data(store, trained):
    """A champion's list names a forgotten recording by its digest: allowed again, it counts as one that the champion has seen."""
    champion = registry.read_champion(store, "heartbeat")
    files = registry.read_version(store, "heartbeat", champion.version)
    key = Settings.from_environment().patient_key
    splits = {digest_of(one, key=key): split for one, split, _ in training_records(files[TRAINING_RECORDS])}
    forgot = {name: data for name, data in files.items() if name != SUMS} | {TRAINING_RECORDS: training_records_csv(splits)}
    registry.write_version(store, "heartbeat", "forgot", forgot | {SUMS: checksums(forgot)})
    work = structs.replace(read(store, TrainingJob, trained[0]), policy="refresh", run="refresh-of-the-forgotten")
    found = gating.evaluate_candidate(store, get_recipe("heartbeat"), work, replace(champion, version="forgot"))
    assert (found.new_data.n_new, found.kind) == (0, "rejected")
    for name in [*forgot, SUMS]:
        store.delete(keys.model_file("heartbeat", "forgot", name))


def test_every_record_gets_one_decision_and_the_report_adds_up(store, trained):
    """The report counts every record once, and its figures are over patients that no training has seen."""
    report = classify_all("night-1")
    summary = json.loads(store.get(report.replace("index.html", "summary.json")))
    assert summary["counts"]["records"] == N_PATIENTS
    assert summary["counts"]["pending"] == 0
    lines = store.get(report.replace("index.html", "predictions.csv")).decode().splitlines()
    assert len(lines) == N_PATIENTS + 1
    assert 15 < summary["unseen_labelled"][0]["n_records"] < N_PATIENTS / 2
    assert b"not a medical device" in store.get(report)


def test_a_version_names_whom_it_has_seen_and_one_of_before_is_told_by_buckets(store, trained):
    """The list has every patient but those of the test. Without it gate and report leave out by buckets, and say how many."""
    job, champion = read(store, TrainingJob, trained[0]), registry.read_champion(store, "heartbeat")
    rows = dataset.load_rows(store, job.dataset_id)
    learnt, tested = ([row for row in rows if (row.split == Split.TEST) == is_tested] for is_tested in (False, True))
    files = registry.read_version(store, "heartbeat", champion.version)
    named = list(training_patients(files[TRAINING_PATIENTS]))
    assert {one.patient for one in named} == {row.group for row in learnt}
    assert {one.bucket for one in named} == {-1}
    assert files[TRAINING_RECORDS].startswith(b"record_id,side\n")

    def figures(run_id):
        summary = json.loads(store.get(classify_all(run_id, scope="all").replace("index.html", "summary.json")))
        return summary["unseen_labelled"][0]["n_records"], [note for note in summary["notes"] if "bucket" in note]

    assert figures("night-by-name") == (len(tested), [])
    buckets = [tested[0].patient_bucket, *(row.patient_bucket for row in learnt[1:])]
    n = sum(row.patient_bucket in buckets for row in tested)
    lines = [f"{row.record_id},{row.split},{bucket}\n" for row, bucket in zip(learnt, buckets, strict=True)]
    before = {name: data for name, data in files.items() if name not in {SUMS, TRAINING_PATIENTS}}
    before[TRAINING_RECORDS] = ("record_id,side,bucket\n" + "".join(lines)).encode()
    with forgetting():  # a version is never written over otherwise
        registry.write_version(store, "heartbeat", champion.version, before | {SUMS: checksums(before)})
    n_unseen, (note,) = figures("night-by-bucket")
    registry.write_version(store, "heartbeat", "before", before | {SUMS: checksums(before)})
    with forgetting():
        registry.write_version(store, "heartbeat", champion.version, files)
    assert n_unseen == len(tested) - n
    assert f"Figures of heartbeat {champion.version}: {n} record{' is' if n == 1 else 's are'} left out by" in note
    found = gating.evaluate_candidate(store, get_recipe("heartbeat"), structs.replace(job, run="x"), replace(champion, version="before"))
    assert f" {n} record{' is' if n == 1 else 's are'} left out by" in found.note
    store.delete_many([keys.model_file("heartbeat", "before", name) for name in (*before, SUMS)])


def test_a_night_is_watched_against_what_the_version_remembers(store, trained):
    """The version stores how its held-out records were spread, the night its own records, and the manifest how they compare."""
    report = classify_all("night-watched", scope="all")
    champion = registry.read_champion(store, "heartbeat")
    reference = json.loads(registry.read_version(store, "heartbeat", champion.version)["metrics.json"])["reference"]
    assert set(reference) == set(MEASURES)
    held_out = sum(reference["score"]["counts"])
    assert held_out == sum(reference["beat_s"]["counts"]) == sum(reference["quality"]["counts"]) > 30
    assert reference["input"]["kinds"] == ["1 lead, 125 Hz", "other"]
    run = report.split("/")[2]
    night = json.loads(store.get(keys.monitoring("heartbeat", run)))
    (light,) = json.loads(store.get(keys.manifest("classify_records", run)))["drift"]
    assert (light["recipe"], light["version"]) == ("heartbeat", champion.version)
    assert night["watched"] <= N_PATIENTS
    assert [sum(night["measures"][name]["counts"]) for name in MEASURES] == [night["watched"]] * len(MEASURES)  # each is known of each
    assert drift.lights(store)[0].state in {"unknown", "steady", "watch"}  # the same beats that it was tested on


def test_a_verdict_enters_the_next_training_set_with_its_reviewer(store, trained):
    """The data set says who labelled each record, and counts by reviewer; taking the verdict back gives the first data set again."""
    job, _ = trained
    before = json.loads(store.get(job))["dataset_id"]
    split = tables.load(store.get(keys.dataset(before, "split.parquet")))
    record_id = split["record_id"][0]
    turned = "normal" if split["label"][0] == "abnormal" else "abnormal"
    classify_all("night-reviewed")
    saved = verdicts.save_verdict(store, record_id, verdict=turned, user="anna")
    after = json.loads(store.get(retrain_model.assemble_dataset("reviewed", recipe="heartbeat", epochs=1, seed=0)))["dataset_id"]
    rows = tables.load(store.get(keys.dataset(after, "split.parquet")))
    row = rows["record_id"].index(record_id)
    assert (rows["label"][row], rows["labelled_by"][row]) == (turned, "review:anna")
    assert set(rows["labelled_by"]) == {"review:anna", "source:w/labels.csv"}
    manifest = json.loads(store.get(keys.dataset(after, "manifest.json")))
    assert manifest["labelled_by"] == {"review:anna": 1, "source": len(rows["label"]) - 1}
    verdicts.withdraw(store, record_id, user="anna", when=saved.when)
    assert json.loads(store.get(retrain_model.assemble_dataset("undone", recipe="heartbeat", epochs=1, seed=0)))["dataset_id"] == before


def test_nothing_of_a_version_is_fitted_on_test_patients(store, trained):
    """With the test labels turned round, weights, calibration, threshold and band are the same bytes; the figures are not."""
    work = read(store, TrainingJob, trained[0])
    recipe, rows = get_recipe("heartbeat"), dataset.load_rows(store, work.dataset_id)
    turned = {"normal": "abnormal", "abnormal": "normal"}
    others = [replace(row, label=turned[row.label]) if row.split == Split.TEST else row for row in rows]
    before = registry.read_version(store, "heartbeat", work.version)
    training = read(store, Training, keys.checkpoint("heartbeat", work.version, "training.json"))
    made = candidate.build_version(
        store,
        spec=candidate.provisional_spec(work=work, recipe=recipe, training=training, synthetic=False),
        network=candidate.trained_network(store.get(keys.checkpoint("heartbeat", work.version, "trained.keras")), recipe),
        recipe=recipe,
        calibration=dataset.load_pictures(store, recipe, dataset.on_splits(others, *candidate.CALIBRATED_ON)),
        test=dataset.load_pictures(store, recipe, dataset.on_splits(others, Split.TEST)),
        rows=others,
        manifest=dataset.load_manifest(store, work.dataset_id),
    )
    assert all(made[name] == before[name] for name in ("model.json", "model.keras", "model.tflite", "golden.npz"))
    assert made["metrics.json"] != before["metrics.json"]


def test_second_night_has_nothing_to_do(store, trained):
    """Without new records no prediction changes, and the report of the night is empty; `all` covers everything again."""
    classify_all("night-2")
    before = snapshot(store, keys.PREDICTIONS, keys.RECORDS, keys.SPECTROGRAMS)
    empty = classify_all("night-3")
    assert json.loads(store.get(empty.replace("index.html", "summary.json")))["counts"]["records"] == 0
    whole = classify_all("night-4", scope="all")
    assert json.loads(store.get(whole.replace("index.html", "summary.json")))["counts"]["records"] == N_PATIENTS
    assert snapshot(store, keys.PREDICTIONS, keys.RECORDS, keys.SPECTROGRAMS) == before


def test_new_records_wait_until_they_are_rendered(store, trained, beat_rows, heartbeat_csv):
    """Records without pictures are pending in tonight's report and decided in tomorrow's."""
    classify_all("night-5")
    inbox.put_files([("w/late.csv", heartbeat_csv(beat_rows(7, seed=77)))])
    ingest_all("late")
    pending = json.loads(store.get(classify_all("night-6").replace("index.html", "summary.json")))["counts"]
    assert (pending["records"], pending["pending"]) == (7, 7)
    render_all("late")
    decided = json.loads(store.get(classify_all("night-7").replace("index.html", "summary.json")))["counts"]
    assert (decided["records"], decided["pending"]) == (7, 0)


def test_ecg_classifier_answers_as_the_nightly_run(store, trained, tmp_path):
    """The old call on one stored picture gives the probability and the decision of the batch, to the last bit."""
    classify_all("night-8")
    champion = registry.read_champion(store, "heartbeat")
    folder = tmp_path / "heartbeat" / champion.version
    folder.mkdir(parents=True)
    for name, data in registry.read_version(store, "heartbeat", champion.version).items():
        (folder / name).write_bytes(data)
    (tmp_path / "heartbeat" / "champion.json").write_bytes(store.get(keys.champion("heartbeat")))
    for shard_key in store.list_keys(keys.spectrograms_of(get_recipe("heartbeat").key)):
        pictures = tables.load(store.get(shard_key))
        predictions = tables.load(store.get(keys.predictions("heartbeat", keys.stem(shard_key), champion.version)))
        expected = dict(zip(predictions["record_id"], zip(predictions["probability"], predictions["decision"], strict=True), strict=True))
        for record_id, png in list(zip(pictures["record_id"], pictures["png"], strict=True))[:10]:
            (tmp_path / "picture.png").write_bytes(png)
            result = ECG_Classifier(tmp_path / "picture.png", models=tmp_path, show=False)
            assert np.float32(result.probability) == expected[record_id][0]
            assert result.decision == Decision(expected[record_id][1])


def test_tasks_broken_anywhere_come_to_the_same(store, trained, monkeypatch):
    """Break every write of rendering and classification once and run the task again: the same objects result."""
    kinds = (keys.SPECTROGRAMS, keys.PREDICTIONS)
    classify_all("night-9")
    expected = snapshot(store, *kinds)
    store.delete_many(expected)
    broken: set[str] = set()
    whole = ObjectStore.put

    def once(self, key, *args, **kwargs):
        place = keys.AUDIT if key.startswith(keys.AUDIT) else key  # an entry's name has its moment in it
        if place not in broken:
            broken.add(place)
            raise StoreError(f"the store went away at {key}")
        return whole(self, key, *args, **kwargs)

    monkeypatch.setattr(ObjectStore, "put", once)

    def insist(task, *args, **kwargs):
        for _ in range(200):
            try:
                return task(*args, **kwargs)
            except StoreError:
                continue
        raise AssertionError(f"{task} never came through")

    insist(
        render_spectrograms.publish,
        "broken",
        [insist(render_spectrograms.render_shard, job) for job in insist(render_spectrograms.plan, "broken")],
    )
    pin = insist(classify_records.pin_champion, "broken", date="2026-01-02", scope="all", details=2)
    insist(classify_records.write_report, pin, [insist(classify_records.classify_shard, job) for job in insist(classify_records.plan, pin)])
    assert len(broken) > 15
    assert snapshot(store, *kinds) == expected


def test_too_little_data_is_said_plainly(bucket, beat_rows, heartbeat_csv):
    """Without enough labelled records of both classes the training gives up and says what is missing."""
    inbox.put_files([("b.csv", heartbeat_csv(beat_rows(4), np.array([0, 0, 0, 1])))])
    ingest_all("r1")
    with pytest.raises(NotEnoughDataError, match=r"split has . abnormal records; it needs at least 2"):
        retrain_model.assemble_dataset("r1", recipe="heartbeat", epochs=1, seed=0)
