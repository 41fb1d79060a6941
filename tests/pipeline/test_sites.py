"""A site with enough calibration patients gets a rule of its own, from the training to the report; one with too few does not."""

import csv
import io
import json
import os
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ecg_tasks.archive import keys, registry, tables
from ecg_tasks.archive.documents import MonitoringRun, read
from ecg_tasks.cli.__main__ import app
from ecg_tasks.errors import BadInputError
from ecg_tasks.learning.version import ModelSpec
from ecg_tasks.offline.evaluate_folder import evaluate_folder
from ecg_tasks.pipeline import classify_records, decided, ingest_records, render_spectrograms, retrain_model
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.pipeline.training import promoting, sites
from ecg_tasks.queries import drift as shown
from ecg_tasks.queries import review_queue
from ecg_tasks.queries.models import export_champion
from ecg_tasks.queries.records import record_page

OF_SITE = {"north": 150, "south": 40, "": 40}
"""Patients; those of no site lie in a folder that is not listed."""


def _drop() -> list[tuple[str, bytes]]:
    """Beats, one a patient: those without a T wave are abnormal, in the north every third, elsewhere every second."""
    rng, t = np.random.default_rng(5), np.arange(187)
    files: list[tuple[str, bytes]] = []
    patient = 0
    for site, n in OF_SITE.items():
        rows, labels = [], ["record,label,patient_id"]
        for number in range(n):
            patient += 1
            abnormal = number % (3 if site == "north" else 2) == 0
            length = rng.integers(100, 150)
            t_wave = 0.35 * np.exp(-(((t - 45 - rng.normal(0, 2)) / 9) ** 2))
            beat = np.exp(-((t / 4) ** 2)) + (not abnormal) * t_wave + np.exp(-(((t - length * 0.83) / 4) ** 2))
            rows.append(np.where(t < length, np.clip(beat * 0.9 + 0.25 * rng.random(187), 0, 1), 0))
            labels.append(f"beats.csv#{number + 1},{'abnormal' if abnormal else 'normal'},patient {patient}")
        beats = "\n".join(",".join(f"{value:.5f}" for value in row) for row in rows)
        folder = site or "elsewhere"
        files += [(f"{folder}/beats.csv", beats.encode()), (f"{folder}/labels.csv", "\n".join(labels).encode())]
    return files


@pytest.fixture(scope="module")
def night(bucket_in):
    """A version that was trained on these beats, and a report on them; the store, its files, and the report's date and run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sites, "MIN_PATIENTS_OF_A_SITE", 15)
        patch.setattr(sites, "MIN_OF_A_CLASS_AT_A_SITE", 3)
        store = bucket_in(patch, ECG_RECIPES="heartbeat", ECG_SITES="north,south")
        inbox.put_files(_drop())
        ingest_records.publish("i", [ingest_records.ingest_batch(job) for job in ingest_records.plan("i")])
        render_spectrograms.publish("r", [render_spectrograms.render_shard(job) for job in render_spectrograms.plan("r")])
        job = retrain_model.assemble_dataset("t", recipe="heartbeat", epochs=5, ensemble_size=1, seed=0)
        verdict = json.loads(store.get(retrain_model.gate(retrain_model.evaluate(retrain_model.train(job)))))
        if promoting.is_promotable("t"):
            promoting.promote("t", asked=False)
        else:
            registry.write_champion(store, recipe="heartbeat", version=verdict["version"], since="2026-01-01", who="test", why="test")
        files = registry.read_version(store, "heartbeat", verdict["version"])
        patch.setattr("ecg_tasks.pipeline.reports.report_builder.EXPLAINED", 0)
        pin = classify_records.pin_champion("c", date="2026-01-02", scope="all", details=3)
        report = classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])
        _, date, run, _ = report.split("/")
        yield store, files, date, run


def _rows(store, date: str, run: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(store.get(keys.report(date, run, "predictions.csv")).decode())))


def test_the_version_has_a_rule_for_the_site_with_enough_patients(night):
    """The other one is counted and held back; the card says both, and how each rule did on the site's test patients."""
    _, files, _, _ = night
    spec, metrics = ModelSpec.from_json(files["model.json"]), json.loads(files["metrics.json"])
    assert [one.site for one in spec.sites] == ["north"]
    assert spec.sites[0].bias != spec.bias
    told = metrics["sites"]
    assert {site: one["own"] for site, one in told.items()} == {"north": True, "south": False}
    assert told["north"]["calibration"]["n_patients"] >= 15 > told["south"]["calibration"]["n_patients"]
    assert told["north"]["test"].keys() == {"n_records", "pooled", "own"}
    assert told["south"]["test"] == {}
    card = files["card.md"].decode()
    assert "## Sites with a calibration of their own" in card
    assert "| south | " in card
    assert "held back" in card.split("## Sites with a calibration")[1].split("| south | ")[1].splitlines()[0]
    assert {one["value"] for one in metrics["subgroups"] if one["attribute"] == "site"} == {"north", "south", "unknown"}


def test_records_of_the_site_are_decided_on_by_its_rule(night):
    """In the predictions, the report's columns, the record's pages and the reviewers' queue; others by the version's own."""
    store, files, date, run = night
    spec = ModelSpec.from_json(files["model.json"])
    own = spec.sites[0]
    rows = _rows(store, date, run)
    assert {site: len([row for row in rows if row["site"] == site]) for site in OF_SITE} == OF_SITE
    for row in rows:
        threshold, (low, high) = (own.threshold, own.abstain) if row["site"] == "north" else (spec.threshold, spec.abstain)
        assert float(row["threshold"]) == pytest.approx(threshold)
        if row["decision"] == "uninterpretable":
            continue
        p = float(row["probability"])
        expected = "uncertain" if high > low and low <= p <= high else "abnormal" if p >= threshold else "normal"
        assert row["decision"] == expected, row
    items = {item.record_id: item for item in review_queue.queue(store, user="anna", limit=500).items}
    for row in rows:
        assert items[row["record_id"]].threshold == pytest.approx(float(row["threshold"]))
    north = next(row for row in rows if row["site"] == "north")
    assert record_page(store, north["record_id"]).decided.version.threshold == pytest.approx(own.threshold)
    page = next(key for key in store.list_keys(keys.report(date, run, "records/")))
    shown_row = next(row for row in rows if row["record_id"] == keys.stem(page))
    assert f"Abnormal from {float(shown_row['threshold']):.3f} on" in store.get(page).decode()


def test_without_its_site_a_record_is_decided_on_as_all_others(night):
    """The probability of the site's rule is another one."""
    store, files, date, run = night
    spec = ModelSpec.from_json(files["model.json"])
    row = next(row for row in _rows(store, date, run) if row["site"] == "north" and row["probability"])
    rule, own = spec.rule, spec.sites[0]
    raw = (np.log(float(row["probability"]) / (1 - float(row["probability"]))) - own.bias) * own.temperature
    assert rule.calibrate(np.array([1 / (1 + np.exp(-raw))]), ["north"])[0] == pytest.approx(float(row["probability"]), abs=1e-5)
    assert rule.calibrate(np.array([1 / (1 + np.exp(-raw))]), [None])[0] != pytest.approx(float(row["probability"]), abs=1e-5)


def test_the_night_is_watched_by_these_rules_too(night):
    """Its estimate takes each record's own threshold; a copy of decisions without a column for sites is read as one without sites."""
    store, files, _, run = night
    watched = read(store, MonitoringRun, keys.monitoring("heartbeat", run))
    assert set(watched.sites) >= {"north", "south"}
    assert watched.measures["abnormal"].counts
    assert "By site" in [table.title for table in shown.page(store, "heartbeat").tables]
    (copy,) = store.list_keys(keys.DECIDED)
    columns = tables.load(store.get(copy))
    before = store.get(copy)
    try:
        out = io.BytesIO()
        pq.write_table(pq.read_table(io.BytesIO(before)).drop_columns(["site"]), out)
        store.put(copy, out.getvalue())
        decided._decided.forget()
        (one,) = decided.serving(store, ["heartbeat"])
        assert len(one.ids) == len(columns["record_id"])
        assert set(one.threshold.tolist()) == {ModelSpec.from_json(files["model.json"]).threshold}
    finally:
        store.put(copy, before)
        decided._decided.forget()


@pytest.fixture(scope="module")
def on_a_disk(night, tmp_path_factory):
    """The drop in a folder of folders, and the version as ``./ecg export`` writes it."""
    store, files, _, _ = night
    folder, models = tmp_path_factory.mktemp("hospitals"), tmp_path_factory.mktemp("models")
    registry.write_champion(
        store, recipe="heartbeat", version=json.loads(files["model.json"])["version"], since="2026-01-01", who="t", why="t"
    )
    export_champion(store, "heartbeat", models)
    for name, data in _drop():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    return folder, models


@pytest.fixture(scope="module")
def of_folder(on_a_disk):
    """What ``./ecg evaluate --sites`` finds of it; one of the sites has no folder."""
    folder, models = on_a_disk
    key = os.environ["ECG_PATIENT_KEY"].encode()
    found = evaluate_folder(folder, recipe="heartbeat", models=models, patient_key=key, sites=("north", "south", "west"))
    return json.loads(json.dumps(found.as_dict(), allow_nan=False))


def test_a_folder_of_sites_is_evaluated_as_the_card_was_and_as_the_nights_decide(night, of_folder):
    """Figures of a site by both rules are the card's to the last digit; all others are of the decisions that the report has."""
    store, files, date, run = night
    metrics = json.loads(files["metrics.json"])
    assert of_folder["sites"] == {"north": 150, "south": 40, "west": 0}
    assert of_folder["account"]["received"] == sum(OF_SITE.values())
    assert of_folder["site_rules"] == {"north": metrics["sites"]["north"]["test"]}
    left_out = {one["record_id"] for one in of_folder["left_out"]["records"]}
    assert {one["name"].split("/")[0] for one in of_folder["left_out"]["records"]} == {"north", "south", "elsewhere"}
    rows = [row for row in _rows(store, date, run) if row["record_id"] not in left_out and row["probability"]]
    assert len(rows) == of_folder["n_records"] == metrics["test"]["n_records"]
    called = [(float(row["probability"]) >= float(row["threshold"]), row["label"] == "abnormal", row["site"]) for row in rows]
    assert of_folder["confusion"] == {
        "true_positives": sum(said and is_so for said, is_so, _ in called),
        "false_positives": sum(said and not is_so for said, is_so, _ in called),
        "true_negatives": sum(not said and not is_so for said, is_so, _ in called),
        "false_negatives": sum(not said and is_so for said, is_so, _ in called),
    }
    assert of_folder["figures"]["coverage"]["value"] == pytest.approx(np.mean([row["decision"] != "uncertain" for row in rows]))
    groups = {one["value"]: one for one in of_folder["subgroups"] if one["attribute"] == "site"}
    assert set(groups) == {"north", "south", "unknown"}
    assert groups["north"]["figures"]["specificity"]["value"] == metrics["sites"]["north"]["test"]["own"]["specificity"]["value"]


def test_a_table_above_the_sites_names_recordings_in_them(on_a_disk, night, of_folder, tmp_path):
    """It gives the same; without the option nothing is of a site, and the figures are those of the card by the rule of all."""
    folder, models = on_a_disk
    _, files, _, _ = night
    lines = ["record,label,patient_id"]
    for inner in folder.iterdir():
        shutil.copytree(inner, tmp_path / inner.name)
        (tmp_path / inner.name / "labels.csv").unlink()
        lines += [f"{inner.name}/{line}" for line in (inner / "labels.csv").read_text().splitlines()[1:]]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    found = evaluate_folder(tmp_path, recipe="heartbeat", models=models, sites=("north", "south", "west")).as_dict()
    for name in ("figures", "subgroups", "site_rules", "sites", "confusion", "curves"):
        assert json.loads(json.dumps(found[name])) == of_folder[name]
    pooled = evaluate_folder(tmp_path, recipe="heartbeat", models=models).as_dict()
    assert not {"sites", "site_rules"} & set(pooled)
    test = json.loads(files["metrics.json"])["test"]
    assert json.loads(json.dumps(pooled["figures"])) == {name: test[name] for name in pooled["figures"]}


def test_a_folder_or_an_archive_may_be_a_site_itself(on_a_disk, tmp_path):
    """Its name says so, as that of the folder at the top of an archive; a folder of folders without any site is refused as ever."""
    folder, models = on_a_disk
    one = evaluate_folder(folder / "north", recipe="heartbeat", models=models, sites=("north",)).as_dict()
    archive = shutil.make_archive(str(tmp_path / "drop"), "zip", root_dir=folder, base_dir="north")
    packed = evaluate_folder(type(folder)(archive), recipe="heartbeat", models=models, sites=("north",)).as_dict()
    assert one["sites"] == packed["sites"] == {"north": 150}
    assert one["site_rules"] == packed["site_rules"] != {}
    with pytest.raises(BadInputError, match="neither"):
        evaluate_folder(folder, recipe="heartbeat", models=models)


def test_the_command_takes_sites_as_an_option_or_from_the_setting(on_a_disk, of_folder, tmp_path):
    """It says by whose rule a site was decided on, shows both, names a site without a recording, and refuses what is no folder's name."""
    folder, models = on_a_disk
    asked = ["evaluate", str(folder), "--model", str(models / "heartbeat" / of_folder["version"])]
    written = {}
    for name, more, setting in (("option", ["--sites", "north,south,west"], ""), ("setting", [], "north,south,west")):
        out = tmp_path / f"{name}.json"
        done = CliRunner().invoke(app, [*asked, *more, "--json", str(out)], env={"COLUMNS": "200", "ECG_SITES": setting})
        assert done.exit_code == 0, done.output
        assert "decided on by calibration, threshold and band of their own, in all figures above: north" in done.output
        assert "no recording was read of the site west" in done.output
        for rule in ("of all", "its own"):
            (line,) = [line for line in done.output.splitlines() if line.strip().startswith("north") and rule in line]
            found = of_folder["site_rules"]["north"]["own" if rule == "its own" else "pooled"]["sensitivity"]
            assert f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})" in line
        written[name] = json.loads(out.read_text())
    assert written["option"] == written["setting"] == of_folder
    refused = CliRunner().invoke(app, [*asked, "--sites", "a/b"])
    assert refused.exit_code != 0
    assert "a/b" in str(refused.exception) + refused.output
