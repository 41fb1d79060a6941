"""Classes beside normal and abnormal, by the steps alone: from a label table to the version that reports them."""

import csv
import io
import json
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ecg_tasks import report_columns
from ecg_tasks.archive import keys, registry, tables
from ecg_tasks.cli.__main__ import app
from ecg_tasks.evaluation.metrics import roc_auc
from ecg_tasks.learning.version import Metrics
from ecg_tasks.offline import classify_archive, classify_file
from ecg_tasks.offline.evaluate_folder import evaluate_folder
from ecg_tasks.pipeline import classify_records, ingest_records, render_spectrograms, retrain_model
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.pipeline.training import promoting
from ecg_tasks.pipeline.training.class_rules import MIN_PATIENTS
from ecg_tasks.queries import exchange, models, records
from ecg_tasks.reporting.class_lines import class_lines

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]
N_PATIENTS = 240


def classes_of(number: int) -> list[str]:
    """NORM or STTC by the T wave, WIDE by the R wave, and RARE, which is no more than a word."""
    named = {"NORM": number % 2 == 0, "STTC": number % 2 == 1, "WIDE": number // 2 % 2 == 1, "RARE": number % 6 == 0}
    return [name for name, has in named.items() if has]


def _drop() -> list[tuple[str, bytes]]:
    """Beats of many patients: those without a T wave are abnormal; of every eighth no class is known."""
    rng, t = np.random.default_rng(5), np.arange(187)
    rows, table = [], ["record,label,patient_id,classes"]
    for number in range(N_PATIENTS):
        length = rng.integers(100, 150)
        width = 9 if "WIDE" in classes_of(number) else 4
        t_wave = 0.35 * np.exp(-(((t - 45 - rng.normal(0, 2)) / 9) ** 2))
        beat = np.exp(-((t / width) ** 2)) + (1 - number % 2) * t_wave + np.exp(-(((t - length * 0.83) / width) ** 2))
        rows.append(np.where(t < length, np.clip(beat * 0.9 + 0.05 * rng.random(187), 0, 1), 0))
        label, named = ("normal", "abnormal")[number % 2], "" if number % 8 == 7 else " ".join(classes_of(number))
        table.append(f"beats.csv#{number + 1},{label},patient {number},{named}")
    beats = "\n".join(",".join(f"{value:.5f}" for value in row) for row in rows)
    return [("w/beats.csv", beats.encode()), ("w/labels.csv", "\n".join(table).encode())]


@pytest.fixture(scope="module")
def store(bucket_in):
    """A bucket with these beats, taken over and rendered."""
    with pytest.MonkeyPatch.context() as patch:
        bucket = bucket_in(patch, ECG_RECIPES="heartbeat")
        inbox.put_files(_drop())
        ingest_records.publish("i", [ingest_records.ingest_batch(job) for job in ingest_records.plan("i")])
        render_spectrograms.publish("r", [render_spectrograms.render_shard(job) for job in render_spectrograms.plan("r")])
        yield bucket


def _retrain(run_id: str, *, seed: int = 0, epochs: int = 6, ensemble_size: int = 2) -> dict:
    """One run of the DAG ``retrain_model``; returns the verdict."""
    job = retrain_model.assemble_dataset(run_id, recipe="heartbeat", epochs=epochs, ensemble_size=ensemble_size, seed=seed)
    decision = retrain_model.gate(retrain_model.evaluate(retrain_model.train(job)))
    if promoting.is_promotable(run_id):
        promoting.promote(run_id, asked=False)
    return json.loads(retrain_model.open_store().get(decision))


@pytest.fixture(scope="module")
def champion(store):
    """The files of the version that serves, and the verdict on it."""
    verdict = _retrain("first")
    assert verdict["promote"], verdict["reason"]
    return registry.read_version(store, "heartbeat", registry.read_champion(store, "heartbeat").version), verdict


def test_a_version_tells_of_the_classes_of_its_data(champion):
    """Each class has an output, a rule and a code where one is known; one of too few patients is not served, and that is told."""
    files, _ = champion
    spec = json.loads(files["model.json"])
    assert [(one["name"], one["output"], one["code"]) for one in spec["classes"]] == [
        ("NORM", 1, "164854000"),
        ("STTC", 2, "428750005"),
        ("WIDE", 4, ""),
    ]
    told = json.loads(files["metrics.json"])["classes"]
    assert told["calibration"].keys() == {"NORM", "STTC", "WIDE"}
    assert all(one["n_records"] < json.loads(files["metrics.json"])["calibration"]["n_records"] for one in told["calibration"].values())
    assert told["left_out"]["RARE"].endswith(f"at least {MIN_PATIENTS} of each are needed")
    card = files["card.md"].decode()
    assert "- RARE was trained and is not served: " in card
    assert "| STTC | 428750005 (Nonspecific ST-T abnormality on electrocardiogram) | " in card
    assert "names no disease" not in card


def test_classes_are_told_of_patients_that_were_not_trained_on(champion):
    """The T wave and the width of the R wave are found; figures have intervals, and their mean has one too."""
    files, _ = champion
    found = Metrics.from_json(files["metrics.json"]).classes
    assert found.evaluations.keys() == {"NORM", "STTC", "WIDE"}
    assert all(one.auroc.value > 0.85 and one.auroc.low < one.auroc.high for one in found.evaluations.values())
    assert found.macro_auroc.low <= found.macro_auroc.value <= found.macro_auroc.high


def test_the_same_training_is_the_same_version(store, champion):
    """The classes are part of the data set, and so of the version's name: nothing is trained or judged anew."""
    before = {item.key: item.etag for item in store.list_objects(keys.MODELS)}
    _retrain("again")
    assert {item.key: item.etag for item in store.list_objects(keys.MODELS)} == before


def test_a_later_candidate_is_compared_class_by_class(store, champion, monkeypatch):
    """One that is better at abnormal passes only if no class may have fallen; the classes that fell are named."""
    from ecg_tasks.evaluation import gate

    decide = gate.evaluate_candidate
    given = {}

    def told(labels, candidate, incumbent, groups, **asked):
        given.update(asked["classes"])
        worse = gate.Scored(probabilities=np.full(len(labels), 0.5), threshold=0.5)
        return decide(labels, candidate, worse, groups, **asked)

    monkeypatch.setattr(gate, "evaluate_candidate", told)
    verdict = _retrain("second", seed=1, epochs=1, ensemble_size=1)
    assert given.keys() == {"NORM", "STTC", "WIDE"}
    assert {"auroc_difference_NORM", "auroc_difference_STTC", "auroc_difference_WIDE"} <= verdict["figures"].keys()
    assert verdict["limits"]["class_margin"] == 0.05


@pytest.fixture(scope="module")
def report(store, champion):
    """Date and run of the report of one night, and its summary."""
    pin = classify_records.pin_champion("night", date="2026-01-02", scope="all", details=3)
    key = classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])
    _, date, run, _ = key.split("/")
    return date, run, json.loads(store.get(keys.report(date, run, "summary.json")))


def _spec(champion) -> dict:
    return {one["name"]: one for one in json.loads(champion[0]["model.json"])["classes"]}


def test_a_report_tells_of_every_class(store, champion, report):
    """A column a class in Parquet and CSV alike, by the version's own rule; the counts of the summary are those of the rows."""
    date, run, summary = report
    rules = _spec(champion)
    table = pq.read_table(io.BytesIO(store.get(keys.report(date, run, "predictions.parquet"))))
    rows = table.to_pylist()
    assert table.schema.names[-15:] == [column.name for name in rules for column in report_columns.of_class(name)]
    assert len(rows) == N_PATIENTS
    for name, rule in rules.items():
        lo, hi = rule["abstain"]
        for row in rows:
            p = row[f"p_{name}"]
            wanted = "uncertain" if lo <= p <= hi else "present" if p >= rule["threshold"] else "absent"
            assert row[f"class_{name}"] == wanted
            assert row[f"threshold_{name}"] == rule["threshold"]
    in_csv = list(csv.DictReader(io.StringIO(store.get(keys.report(date, run, "predictions.csv")).decode())))
    assert [float(row["p_WIDE"]) for row in in_csv] == [row["p_WIDE"] for row in rows]
    (model,) = summary["models"]
    assert [(one["name"], one["code"]) for one in model["classes"]] == [(name, rule["code"]) for name, rule in rules.items()]
    for one in model["classes"]:
        counted = Counter(row[f"class_{one['name']}"] for row in rows)
        assert one["decisions"] == {name: counted[name] for name in ("present", "absent", "uncertain", "uninterpretable")}
    index = store.get(keys.report(date, run, "index.html")).decode()
    assert "RARE" not in index
    before, _, after = index.partition("<caption>Classes of heartbeat: ")
    assert before.count("<article") == before.count("</article>")  # over the page's whole width: half of it would hide the last columns
    assert after.partition("</table>")[0].count('<th scope="row">') == 3


def test_the_classes_are_the_records_own(store, report):
    """Most records that have a class are told to have it, by their names in the drop."""
    date, run, _ = report
    rows = pq.read_table(io.BytesIO(store.get(keys.report(date, run, "predictions.parquet")))).to_pylist()
    truth = {f"w/beats.csv#{number + 1}": classes_of(number) for number in range(N_PATIENTS)}
    for name in ("NORM", "STTC", "WIDE"):
        scores = [(name in truth[row["name"]], row[f"p_{name}"]) for row in rows]
        assert roc_auc([has for has, _ in scores], [p for _, p in scores]) > 0.85


def test_records_pages_and_fhir_tell_of_the_classes(store, champion, report):
    """On the page in the report, in what Airflow's page gathers, and as components with the codes of the version."""
    date, run, _ = report
    pages = store.list_keys(keys.report(date, run, "records/"))
    record_id = keys.stem(pages[0])
    page = store.get(pages[0]).decode()
    assert "Nonspecific ST-T abnormality on electrocardiogram, 428750005" in page
    found = records.record_page(store, record_id)
    lines = class_lines(found.decided.version.classes, found.decided.values)
    assert [line.of.name for line in lines] == list(_spec(champion))
    assert all(f"{line.probability:.3f}" in page for line in lines)
    (bundle,) = [json.loads(line) for line in b"".join(exchange.fhir_ndjson(store, date, run)).splitlines()]
    parts = [
        part["code"]["coding"][0]["code"]
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "Observation"
        for part in entry["resource"]["component"]
        if "Probability of" in part["code"]["text"]
    ]
    assert Counter(parts) == dict.fromkeys(("164854000", "428750005", "WIDE"), N_PATIENTS)


def test_predictions_of_before_there_were_classes_are_reported(store, champion, report):
    """The same report from predictions without the columns of classes: nothing is said of them, and all else is the same."""
    date, run, _ = report
    before = {key: store.get(key) for key in store.list_keys(keys.PREDICTIONS)}
    whole = pq.read_table(io.BytesIO(store.get(keys.report(date, run, "predictions.parquet"))))
    try:
        for key, data in before.items():
            columns = tables.load(data)
            store.replace(key, tables.dump(tables.PREDICTIONS, {name: columns[name] for name in tables.PREDICTIONS.names}))
        pin = classify_records.pin_champion("older", date="2026-01-03", scope="all", details=1)
        key = classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])
    finally:
        for name, data in before.items():
            store.replace(name, data)
    old = pq.read_table(io.BytesIO(store.get(key.replace("index.html", "predictions.parquet"))))
    shared = [column.name for column in report_columns.COLUMNS if column.name not in {"run", "date", "page"}]  # of the report itself
    assert old.select(shared).equals(whole.select(shared))
    assert all(old[f"{what}_{name}"].null_count == N_PATIENTS for name in _spec(champion) for what in ("p", "class"))


def test_the_models_page_has_the_figures_of_the_classes(store, champion):
    """Each version has them by class, and the mean of their AUROCs."""
    (heartbeat,) = models.models(store)
    serving = next(one for one in heartbeat.versions if one.serves)
    assert serving.classes.keys() == {"NORM", "STTC", "WIDE"}
    assert serving.classes["WIDE"]["auroc"].value > 0.85
    assert serving.macro_auroc.value == pytest.approx(np.mean([one["auroc"].value for one in serving.classes.values()]))


@pytest.fixture(scope="module")
def offline(store, champion, tmp_path_factory):
    """The same recordings in a folder, and the version in another."""
    folder, shipped = tmp_path_factory.mktemp("folder"), tmp_path_factory.mktemp("models")
    for name, data in _drop():
        (folder / name.removeprefix("w/")).write_bytes(data)
    models.export_champion(store, "heartbeat", shipped)
    return folder, shipped


def test_a_file_is_classified_without_any_stack(store, report, offline, monkeypatch):
    """The answer on every class is the nightly run's, and the command says it."""
    folder, shipped = offline
    date, run, _ = report
    rows = pq.read_table(io.BytesIO(store.get(keys.report(date, run, "predictions.parquet")))).to_pylist()
    nightly = {row["record_id"]: row for row in rows}
    found = classify_file.classify_file(folder / "beats.csv", models=shipped).results
    assert len(found) == N_PATIENTS
    for one in found:
        assert [(two.name, two.decision) for two in one.classes] == [
            (name, nightly[one.record_id][f"class_{name}"]) for name in ("NORM", "STTC", "WIDE")
        ]
        assert one.classes[2].probability == pytest.approx(nightly[one.record_id]["p_WIDE"], abs=1e-6)
    whole = classify_archive.classify_all
    monkeypatch.setattr(classify_archive, "classify_all", lambda *given, **asked: whole(*given, **asked | {"models": shipped}))
    told = CliRunner().invoke(app, ["classify", str(folder / "beats.csv")], env={"COLUMNS": "300"})
    first = found[0].classes[0]
    assert f"{found[0].name}: NORM {first.decision}, {first.probability:.3f} (from {first.threshold:.3f}); STTC " in told.output


def test_the_figures_of_the_classes_are_reproduced_from_a_folder(champion, offline):
    """Those of the card, to the last digit: the folder's label table reports the same classes, on the test patients alone."""
    folder, shipped = offline
    found = evaluate_folder(folder, models=shipped)
    told = json.loads(champion[0]["metrics.json"])["classes"]
    plain = json.loads(json.dumps(found.as_dict()["classes"]))
    assert plain == {name: told[name] for name in ("macro_auroc", "figures")}
    (version,) = {path.parent.name for path in shipped.glob("*/*/SHA256SUMS")}
    done = CliRunner().invoke(app, ["evaluate", str(folder), "--model", str(shipped / "heartbeat" / version)], env={"COLUMNS": "300"})
    assert found.evaluated[0].classes.evaluations["WIDE"].auroc.text() in done.output
    assert f"mean of the classes' AUROCs: {found.evaluated[0].classes.macro_auroc.text()}" in " ".join(done.output.split())
