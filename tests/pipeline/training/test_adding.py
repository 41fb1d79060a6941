"""A network that somebody else trained: from its file to the version that decides, by the steps that our own take, and no others."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from ecg_tasks.archive import audit, keys, registry, tables
from ecg_tasks.errors import ConfigurationError, ModelRefusedError
from ecg_tasks.evaluation.splits import Split
from ecg_tasks.labels import CLASS_ORDER
from ecg_tasks.learning.added import Description
from ecg_tasks.learning.serving import Classifier
from ecg_tasks.learning.version import ModelSpec
from ecg_tasks.offline import classify_file
from ecg_tasks.pipeline import classify_records, decide_champion, ingest_records, render_spectrograms, retrain_model
from ecg_tasks.pipeline.champions.versions import TrainedOn
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.pipeline.training import adding, dataset, promoting
from ecg_tasks.queries import dag_runs, explained, models, records
from ecg_tasks.settings import Settings
from ecg_tasks.signals.recipes import get_recipe
from ecg_tasks.signals.record import STANDARD_LEADS
from ecg_tasks.signals.rendering import LeadSamples
from ecg_tasks.signals.sample_files import labels_csv, wfdb_record
from ecg_tasks.signals.synthesis import draw_heart, synthesize
from tests.added_networks import described, keras_file, litert_file, onnx_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]
ROOT = Path(__file__).parents[3]
N_PATIENTS = 200


def _beats():
    """Beats of many patients: those without a T wave are abnormal, and have the class STTC."""
    rng, t = np.random.default_rng(5), np.arange(187)
    rows, table = [], ["record,label,patient_id,classes"]
    for number in range(N_PATIENTS):
        length = rng.integers(100, 150)
        t_wave = 0.35 * np.exp(-(((t - 45 - rng.normal(0, 2)) / 9) ** 2))
        beat = np.exp(-((t / 5) ** 2)) + (1 - number % 2) * t_wave + np.exp(-(((t - length * 0.83) / 5) ** 2))
        rows.append(np.where(t < length, np.clip(beat * 0.9 + 0.05 * rng.random(187), 0, 1), 0))
        table.append(f"beats.csv#{number + 1},{('normal', 'abnormal')[number % 2]},patient {number},{('NORM', 'STTC')[number % 2]}")
    beats = "\n".join(",".join(f"{value:.5f}" for value in row) for row in rows)
    return [("w/beats.csv", beats.encode()), ("w/labels.csv", "\n".join(table).encode())]


def _recordings():
    """Recordings of twelve leads: those of every other patient are abnormal."""
    rng = np.random.default_rng(3)
    files, labels = {}, []
    for number in range(90):
        heart = draw_heart(rng, label=CLASS_ORDER[number % 2], min_severity=0.9)
        samples = synthesize(heart, fs=500.0, duration_s=10.0, rng=rng)
        files |= wfdb_record(samples, fs=500.0, leads=STANDARD_LEADS, stem=f"r{number}", comments=())
        labels.append({"record": f"r{number}", "label": heart.label.value, "patient_id": f"p{number}"})
    return [(f"ward/{name}", data) for name, data in (files | {"labels.csv": labels_csv(labels)}).items()]


def _take_over(files):
    inbox.put_files(files)
    ingest_records.publish("i", [ingest_records.ingest_batch(job) for job in ingest_records.plan("i")])
    render_spectrograms.publish("r", [render_spectrograms.render_shard(job) for job in render_spectrograms.plan("r")])


def _fitted(store, recipe, features):
    """Weights and bias of a logistic regression that somebody else might have fitted."""
    from sklearn.linear_model import LogisticRegression

    _, rows = dataset.assemble(store, recipe)
    pictures = dataset.load_pictures(store, recipe, dataset.on_splits(rows, Split.TRAIN, Split.VALIDATION))
    values = features(pictures.images)
    mean, spread = values.mean(axis=0), values.std(axis=0) + 1e-3
    fit = LogisticRegression(C=0.1).fit((values - mean) / spread, pictures.labels[pictures.record])
    weights = fit.coef_[0] / spread
    return weights[:, None], fit.intercept_ - weights @ mean


def _run(run_id, added, recipe="heartbeat", *, who="ada", approval=False):
    """One run of the DAG ``retrain_model`` on a network that was handed in; returns the verdict."""
    job = retrain_model.assemble_dataset(run_id, recipe=recipe, epochs=None, seed=0, added=added, who=who, approval=approval)
    decision = retrain_model.gate(retrain_model.evaluate(retrain_model.train(job)))
    if promoting.is_promotable(run_id) and not approval:
        promoting.promote(run_id, asked=False)
    return json.loads(retrain_model.open_store().get(decision))


@pytest.fixture(scope="module")
def store(bucket_in):
    """A bucket with beats."""
    with pytest.MonkeyPatch.context() as patch:
        bucket = bucket_in(patch, ECG_RECIPES="heartbeat")
        _take_over(_beats())
        yield bucket


@pytest.fixture(scope="module")
def given(store):
    """The same network in the three formats, each with its description; its second number is its word on STTC."""
    recipe = get_recipe("heartbeat")
    weights, bias = _fitted(store, recipe, lambda images: images.reshape(len(images), -1) / 1.0)
    weights, bias = np.hstack([weights, weights]), np.repeat(bias, 2)
    keras = keras_file(weights, bias, recipe.image_shape)
    onnx = onnx_file(weights, bias, recipe.image_shape)
    columns = {"abnormal": 0, "classes": "{ STTC = 1 }"}
    by_probability = described(recipe.key, values="probability", **columns)
    return {
        "keras": (keras, by_probability),
        "litert": (litert_file(keras), by_probability),
        "onnx": (onnx, described(recipe.key, values="log-odds", **columns)),
    }


@pytest.fixture(scope="module")
def champions(store, given):
    """The verdict on each of them, one after the other; the first is ONNX."""
    found = {}
    for kind in ("onnx", "litert", "keras"):
        found[kind] = _run(f"add {kind}", adding.hand_in(store, *given[kind]))
    return found


def _files(store, version):
    return registry.read_version(store, "heartbeat", version)


def test_the_first_serves_because_the_gate_says_so(store, champions):
    """The verdict is the gate's own, with its figures; champion, manifest and log name the run and the person."""
    verdict = champions["onnx"]
    assert (verdict["promote"], verdict["kind"]) == (True, "first"), verdict["reason"]
    champion = registry.read_champion(store, "heartbeat")
    assert champion.version == verdict["version"]
    assert verdict["note"].endswith("learnt from PTB-XL 1.0.3: if these test patients are among them, its figures are too good.")
    subject = f"heartbeat/{verdict['version']}"
    acts = [(entry.who, str(entry.action), entry.detail.get("licence")) for _, entry in audit.entries(store) if entry.subject == subject]
    assert acts == [("ada", "add", "MIT"), (champion.who, "promote", None)]
    assert champion.who.startswith("retrain_model/")
    assert dag_runs.training(store, "add onnx").startswith(f"heartbeat {verdict['version']} is first: ")


def test_the_others_are_compared_with_it_and_do_not_serve(store, champions):
    """The same answers in another format are another version, which is not better: it is kept, and rejected."""
    assert len({one["version"] for one in champions.values()}) == 3
    for kind in ("litert", "keras"):
        assert (champions[kind]["kind"], champions[kind]["champion"]) == ("rejected", champions["onnx"]["version"])
        assert champions[kind]["new_data"] == {"n_training": 0, "n_new": 0}
    assert registry.read_champion(store, "heartbeat").version == champions["onnx"]["version"]


def test_a_version_has_all_that_ours_have(store, champions, given):
    """Golden scores, figures, card and the file as it was given; what serves and what was given are named."""
    for kind, file in (("onnx", "model.onnx"), ("litert", "model.tflite"), ("keras", "model.tflite")):
        files = _files(store, champions[kind]["version"])
        assert {
            "model.json",
            "golden.npz",
            "metrics.json",
            "card.md",
            "training_records.csv",
            "roc.svg",
            "SHA256SUMS",
            file,
        } <= files.keys()
        assert ("model.keras" in files) == (kind == "keras")
        assert given[kind][0] == files["model.keras" if kind == "keras" else file]
        spec = ModelSpec.from_json(files["model.json"])
        assert (spec.added.given_as, spec.added.file, spec.network, spec.n_weights > 250) == (kind, file, "Their network", True)
        assert [(one.name, one.output) for one in spec.classes] == [("STTC", 1)]
        assert ModelSpec.from_json(spec.to_json()) == spec
        assert json.loads(files["metrics.json"])["test"]["auroc"]["value"] > 0.95


def test_the_three_formats_say_the_same(store, champions):
    """What each version says of the same pictures, before any calibration."""
    images = np.random.default_rng(0).integers(0, 256, (20, *get_recipe("heartbeat").image_shape), dtype=np.uint8)
    said = [Classifier.from_files(_files(store, one["version"])).predict_outputs(images) for one in champions.values()]
    assert said[0].shape == (20, 2)
    assert all(np.allclose(one, said[0], atol=1e-5) for one in said)


def test_the_card_says_whose_it_is(store, champions):
    """That it is somebody else's, its licence and source, what it learnt from, and nothing of a training that was none of ours."""
    card = _files(store, champions["keras"]["version"])["card.md"].decode()
    assert "**Somebody else trained this network.**" in card
    assert "- Licence: MIT" in card
    assert "- Learnt from: PTB-XL 1.0.3." in card
    assert "- Their network: https://example.org/network (MIT)" in card
    assert "On training and validation patients the weights are fitted" not in card
    assert "The weights come from elsewhere." in card
    assert "| STTC | 428750005" in card


def test_only_records_that_it_was_calibrated_or_tested_on_are_listed(store, champions):
    """Those of the other splits were not trained on by it: a later candidate of ours counts them as new."""
    files = _files(store, champions["onnx"]["version"])
    sides = {line.split(",")[1] for line in files["training_records.csv"].decode().splitlines()[1:]}
    assert sides == {"calibration", "test"}
    rows = dataset.load_rows(store, champions["onnx"]["dataset_id"])
    seen = TrainedOn.of_version(files, key=Settings.from_environment().patient_key)
    known = {row.split for row in rows if seen.why(row.record_id, row.patient_bucket, row.patient, row.public_patient)}
    assert known == {Split.CALIBRATION}


def test_it_decides_in_a_night(store, champions):
    """Predictions and report are those of any champion, the class included; a model of ours is not needed."""
    pin = classify_records.pin_champion("night", date="2026-01-02", scope="all", details=2)
    report = classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])
    _, date, run, _ = report.split("/")
    table = tables.load(store.get(keys.report(date, run, "predictions.parquet")))
    assert len(table["record_id"]) == N_PATIENTS
    assert set(table["version"]) == {champions["onnx"]["version"]}
    assert {"p_STTC", "class_STTC"} <= table.keys()
    assert set(table["decision"]) >= {"normal", "abnormal"}


def test_the_list_of_models_says_whose_they_are(store, champions):
    """By the name that the description gives."""
    (found,) = models.models(store)
    assert {one.version.added for one in found.versions} == {"Their network"}


def test_the_same_again_changes_nothing(store, champions, given):
    """The version is made of the file, the description and the data: added again, it is the same, and nothing is evaluated anew."""
    before = {item.key: item.etag for item in store.list_objects(keys.MODELS)}
    _run("again", adding.hand_in(store, *given["litert"]))
    assert {item.key: item.etag for item in store.list_objects(keys.MODELS)} == before


def test_a_person_who_shall_approve_is_asked(store, champions, given):
    """With an approval asked for, nothing serves without one, as with a training."""
    digest = adding.hand_in(store, given["litert"][0], given["litert"][1].replace(b"MIT", b"BSD"))
    _run("asked", digest, approval=True)
    with pytest.raises(ConfigurationError):
        promoting.promote("asked", asked=True)


def test_a_person_needs_a_reason_to_let_a_rejected_one_serve(store, champions):
    """The gate's word on it counts as on any other."""
    with pytest.raises(ConfigurationError, match="was rejected by the gate"):
        decide_champion.decide("p", recipe="heartbeat", action="promote", version=champions["keras"]["version"], why="I like it", who="ada")


def test_what_was_handed_in_is_looked_at_again(store, given):
    """A run takes nothing for granted: an object that was changed in the bucket, a digest of nothing, another recipe."""
    digest = adding.hand_in(store, given["onnx"][0], given["onnx"][1] + b"# another\n")
    (key,) = [key for key in store.list_keys(keys.staging("retrain_model", f"added-{digest}", "")) if key.endswith("network")]
    store.put(key, given["litert"][0])
    with pytest.raises(ModelRefusedError, match="is not what was handed in"):
        _run("changed", digest)
    with pytest.raises(ConfigurationError, match="no network 00ff was handed in"):
        _run("nothing", "00ff")
    with pytest.raises(ConfigurationError, match="this run is about twelve_lead"):
        _run("elsewhere", adding.hand_in(store, *given["onnx"]), recipe="twelve_lead")


def test_pictures_that_are_no_longer_made_are_refused(given):
    """A network that learnt other pictures would say something of these, and nobody would know."""
    with pytest.raises(ModelRefusedError, match=r"reads pictures heartbeat@000000000000; heartbeat@\w+ are made now"):
        adding.load(given["onnx"][0], described("heartbeat@000000000000", values="log-odds"))
    with pytest.raises(ModelRefusedError, match="there is no recipe 'theirs'"):
        adding.load(given["onnx"][0], described("theirs@000000000000", values="log-odds"))


def test_a_network_of_samples_goes_the_same_way(bucket_in, monkeypatch, tmp_path):
    """It is described as docs/models.md does, and reads the middle eight seconds of five leads; it serves, and decides."""
    from onnx import helper, numpy_helper

    store = bucket_in(monkeypatch, ECG_RECIPES="lead_samples")
    _take_over(_recordings())
    recipe, leads = get_recipe("lead_samples"), ("I", "II", "V1", "V2", "V5")
    description = re.search(r"```toml\n(.*?)```", (ROOT / "docs/models.md").read_text(), re.DOTALL)[1].encode()
    assert Description.from_toml(description).reads == recipe.key

    def features(images):
        from ecg_tasks.signals.resampling import resample

        moved = resample(LeadSamples().samples(images)[:, [STANDARD_LEADS.index(lead) for lead in leads]], fs=500, target_fs=400)
        middle = moved[:, :, 400:3600] * 1000
        return np.concatenate([middle.max(axis=2), middle.min(axis=2), np.abs(middle).mean(axis=2)], axis=1)

    weights, bias = _fitted(store, recipe, features)
    axes = numpy_helper.from_array(np.array([1]), "axes")
    before = [
        helper.make_node("Constant", [], ["axes"], value=axes),
        helper.make_node("ReduceMax", ["read"], ["high"], axes=[1], keepdims=0),
        helper.make_node("ReduceMin", ["read"], ["low"], axes=[1], keepdims=0),
        helper.make_node("Abs", ["read"], ["size"]),
        helper.make_node("ReduceMean", ["size"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Concat", ["high", "low", "mean"], ["numbers"], axis=1),
    ]
    three = np.hstack([np.zeros_like(weights), weights, weights])
    network = onnx_file(three, np.array([0.0, *bias, *bias]), (3200, 5), before=before, kind="float")
    verdict = _run("s", adding.hand_in(store, network, description), recipe="lead_samples")
    assert verdict["promote"], verdict["reason"]
    pin = classify_records.pin_champion("night", date="2026-01-02", scope="all", details=2)
    report = classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])
    _, date, run, _ = report.split("/")
    table = tables.load(store.get(keys.report(date, run, "predictions.parquet")))
    assert len(table["record_id"]) == 90
    assert set(table["recipe"]) == {"lead_samples"}
    assert set(table["version"]) == {verdict["version"]}
    assert not np.isnan(table["probability"]).any()
    models.export_champion(store, "lead_samples", tmp_path / "models")
    for name, data in _recordings()[:2]:
        (tmp_path / Path(name).name).write_bytes(data)
    alone = classify_file.classify_file(tmp_path / "r0.hea", recipe="lead_samples", models=tmp_path / "models").results[0]
    at = table["record_id"].index(alone.record_id)
    assert (alone.decision.value, alone.probability) == (table["decision"][at], pytest.approx(table["probability"][at], abs=1e-6))
    page = records.record_page(store, table["record_id"][0])
    assert (page.decided.version.version, len(page.windows), page.views) == (verdict["version"], 1, ())
    assert explained.attribution(store, page) is None
    card = registry.read_version(store, "lead_samples", verdict["version"])["card.md"].decode()
    assert "- Reads: samples of I, II, V1, V2, V5 at 400 Hz, in uV times 1" in card
    assert "- MI is known to the network and is not served: 0 calibration patients have it" in card


def test_a_recipe_without_a_network_of_ours_cannot_be_trained(bucket_in, monkeypatch):
    """The message says what to do in its place."""
    bucket_in(monkeypatch, ECG_RECIPES="lead_samples")
    with pytest.raises(ConfigurationError, match=r"has no network to be trained: ./ecg models add takes one"):
        retrain_model.assemble_dataset("r", recipe="lead_samples", epochs=1, seed=0)
