"""A folder is judged as the card was made: trained here on made-up recordings, laid out as PTB-XL; shipped champions on real ones."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ecg_tasks.archive import registry
from ecg_tasks.errors import BadInputError, ConfigurationError, ModelRefusedError, NotEnoughDataError
from ecg_tasks.offline import model_evaluator
from ecg_tasks.offline.collections.ptbxl import read_ptbxl
from ecg_tasks.offline.evaluate_folder import evaluate_folder
from ecg_tasks.pipeline import ingest_records, retrain_model
from ecg_tasks.pipeline.champions import seed
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.pipeline.training import promoting
from ecg_tasks.queries.models import export_champion
from ecg_tasks.signals.record import STANDARD_LEADS
from ecg_tasks.signals.resampling import resample
from ecg_tasks.signals.sample_drop import sample_drop
from ecg_tasks.signals.sample_files import heartbeat_csv, wfdb_record
from tests.readings import read_wfdb

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]
REAL = Path(__file__).parents[2] / "../shared/data/ptbxl100"
N_PATIENTS = 140


@dataclass(frozen=True, kw_only=True)
class World:
    """A folder of recordings, a folder of models trained on them, and the files of the only version in it."""

    folder: Path
    models: Path
    files: dict[str, bytes]

    @property
    def metrics(self):
        """What the version's card is made of."""
        return json.loads(self.files["metrics.json"])

    @property
    def splits(self):
        """Record id to split."""
        return dict(line.split(",")[:2] for line in self.files["training_records.csv"].decode().splitlines()[1:])


def as_ptbxl(folder):
    """Write one recording a patient as PTB-XL lays them out, with ids such as ``12.0``, and everything that can be missing."""
    drop = {
        name.removeprefix("synthetic/"): data
        for name, data in sample_drop(seed=2026, n_patients=N_PATIENTS, recordings_per_patient=1).items()
    }
    lines = ["ecg_id,patient_id,age,sex,scp_codes,strat_fold,filename_lr,filename_hr"]
    labels = [line.split(",") for line in drop["labels.csv"].decode().splitlines()[1:]]
    for number, (stem, label, _) in enumerate(labels, start=1):
        codes = {"normal": "{'NORM': 100.0}", "abnormal": "{'IMI': 80.0, 'SR': 0.0}", "": "{'SR': 0.0}"}[label]
        low, high = f"records100/00000/{number:05d}_lr", f"records500/00000/{number:05d}_hr"
        lines.append(f'{number},{number + 500}.0,{30 + number % 60}.0,{number % 2},"{codes}",{number // 2 % 10 + 1},{low},{high}')
        for suffix in (".hea", ".dat"):
            file = (folder / high).with_suffix(suffix)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(drop[stem + suffix].replace(stem.encode(), f"{number:05d}_hr".encode()))
    (folder / "ptbxl_database.csv").write_text("\n".join(lines) + "\n")
    (folder / "scp_statements.csv").write_text(",diagnostic,diagnostic_class\nNORM,1.0,NORM\nIMI,1.0,MI\nSR,,\n")


@pytest.fixture(scope="module")
def world(bucket_in, tmp_path_factory):
    """A model that the steps of ``retrain_model`` made, exported as ``./ecg export`` does."""
    folder, models = tmp_path_factory.mktemp("ptbxl"), tmp_path_factory.mktemp("models")
    as_ptbxl(folder)
    with pytest.MonkeyPatch.context() as patch:
        store = bucket_in(patch, ECG_RECIPES="twelve_lead")
        inbox.put_files((name, data if isinstance(data, bytes) else data.read_bytes()) for name, data in read_ptbxl(folder).for_inbox())
        ingest_records.publish("all", [ingest_records.ingest_batch(job) for job in ingest_records.plan("all")])
        job = retrain_model.assemble_dataset("all", recipe="twelve_lead", epochs=4, ensemble_size=1, seed=0)
        retrain_model.gate(retrain_model.evaluate(retrain_model.train(job)))
        assert promoting.is_promotable("all")
        promoting.promote("all", asked=False)
        version = export_champion(store, "twelve_lead", models)
    return World(folder=folder, models=models, files=registry.read_folder(version))


@pytest.fixture(scope="module")
def found(world):
    """What the folder gives, as JSON has it."""
    return json.loads(json.dumps(evaluate_folder(world.folder, models=world.models).as_dict(), allow_nan=False))


def assert_same_as_card(found, metrics):
    """Every figure with its interval, and all that goes with them, to the last digit."""
    figures = {name: value for name, value in metrics["test"].items() if isinstance(value, dict) and "low" in value}
    assert found["figures"] == figures
    assert {name: found[name] for name in metrics["test"] if name not in figures} == {
        name: value for name, value in metrics["test"].items() if name not in figures
    }
    for part in ("baselines", "subgroups", "curves"):
        assert found[part] == metrics[part]


def nearly(value):
    """Return a document whose numbers are equal to others that differ in the sixth digit at most."""
    if isinstance(value, dict):
        return {name: nearly(one) for name, one in value.items()}
    if isinstance(value, list):
        return [nearly(one) for one in value]
    return pytest.approx(value, rel=1e-5) if isinstance(value, float) else value


def test_the_card_is_reproduced_by_one_command(world, found):
    """From the folder alone: the figures, intervals, baselines, subgroups and curves of the version's own metrics.json, exactly."""
    assert_same_as_card(found, world.metrics)
    assert found["n_records"] == sum(split == "test" for split in world.splits.values())
    assert found["figures"]["auroc"]["value"] > 0.8


def test_what_was_trained_on_is_named_and_left_out(world, found):
    """The records left out are exactly those of the other three splits, by name and id, and no other."""
    left_out = {one["record_id"] for one in found["left_out"]["records"]}
    assert left_out == {record_id for record_id, split in world.splits.items() if split != "test"}
    assert found["left_out"]["n_records"] == len(left_out) > 80
    assert {one["why"] for one in found["left_out"]["records"]} == {"record"}
    assert all(one["name"].endswith("_hr") for one in found["left_out"]["records"])


def test_the_account_adds_up(found):
    """Every recording that the folder names has one fate."""
    counts = found["account"]
    assert counts["received"] == N_PATIENTS == sum(counts.values()) - counts["received"]
    assert counts["unlabelled"] == N_PATIENTS // 11
    assert counts["judged"] == found["n_records"]


def test_the_schema_is_stable(found):
    """A program finds these keys, and only these."""
    assert set(found) == {
        *("schema_version", "notice", "folder", "layout", "account", "unreadable", "missing", "recipe", "version", "synthetic_model"),
        *("left_out", "uninterpretable", "n_records", "n_patients", "n_abnormal", "split_unit", "threshold", "abstain", "seed"),
        *("n_resamples", "confusion", "figures", "baselines", "subgroups", "curves", "others"),
    }
    assert all(set(figure) == {"value", "low", "high", "method"} for figure in found["figures"].values())
    assert set(found["baselines"]) == {"beat_length", "simple_features"}


@pytest.fixture
def worn_folder(world, tmp_path):
    """The same people as another site has them: 100 Hz only for some, files missing, broken and doubled, labels that are none."""
    lines = (world.folder / "ptbxl_database.csv").read_text().splitlines()
    names = {line.split(",")[-1]: number for number, line in enumerate(lines)}
    for high, number in names.items():
        if number == 0:
            continue
        for suffix in (".hea", ".dat"):
            source, target = (world.folder / high).with_suffix(suffix), (tmp_path / high).with_suffix(suffix)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    (tmp_path / "records500/00000/00001_hr.dat").unlink()
    (tmp_path / "records500/00000/00002_hr.dat").write_bytes(b"\x00" * 100)
    for suffix in (".hea", ".dat"):
        (tmp_path / f"records500/00000/00003_hr{suffix}").unlink()
        four = (tmp_path / f"records500/00000/00004_hr{suffix}").read_bytes()
        (tmp_path / f"records500/00000/99999_hr{suffix}").write_bytes(four.replace(b"00004_hr", b"99999_hr"))
    lines[5] = lines[5].replace("'", "")
    doubled = lines[4].replace("00004_hr", "99999_hr")
    absent = lines[6].replace("00006_", "88888_")
    (tmp_path / "ptbxl_database.csv").write_text("\n".join([*lines, doubled, absent]) + "\n")
    (tmp_path / "scp_statements.csv").write_bytes((world.folder / "scp_statements.csv").read_bytes())
    return tmp_path


def test_what_cannot_be_judged_is_counted_by_its_reason(world, worn_folder):
    """Missing files, broken files, doubles and labels that are none cost only themselves; the account still adds up."""
    found = evaluate_folder(worn_folder, models=world.models).as_dict()
    assert found["account"]["received"] == N_PATIENTS + 2
    assert found["unreadable"]["by_reason"] == {"bad_label": 1, "incomplete": 2}
    assert found["missing"] == ["00003_hr", "88888_hr"]
    assert found["account"]["missing"] == 2
    assert found["account"]["duplicates"] == 1
    assert all(one["message"] for one in found["unreadable"]["records"])


def test_another_recording_of_a_patient_trained_on_is_left_out(world, tmp_path):
    """At 100 Hz nobody's signal is known by its id; the patients are, and so nobody but the test patients is judged."""
    (tmp_path / "ptbxl_database.csv").write_bytes((world.folder / "ptbxl_database.csv").read_bytes())
    (tmp_path / "scp_statements.csv").write_bytes((world.folder / "scp_statements.csv").read_bytes())
    (tmp_path / "records100/00000").mkdir(parents=True)
    for header in sorted((world.folder / "records500/00000").glob("*.hea")):
        high = {header.with_suffix(suffix).name: header.with_suffix(suffix).read_bytes() for suffix in (".hea", ".dat")}
        samples = read_wfdb(high, header=header.name, name=header.stem).records[0].samples
        slow = resample(samples, fs=500.0, target_fs=100.0)
        for name, data in wfdb_record(slow, fs=100.0, leads=STANDARD_LEADS, stem=header.stem.replace("_hr", "_lr")).items():
            (tmp_path / "records100/00000" / name).write_bytes(data)
    found = evaluate_folder(tmp_path, models=world.models).as_dict()
    assert {one["why"] for one in found["left_out"]["records"]} == {"patient"}
    assert found["account"]["judged"] == world.metrics["test"]["n_records"]
    assert found["figures"]["auroc"]["value"] == pytest.approx(world.metrics["test"]["auroc"]["value"], abs=0.1)


def test_the_folds_of_the_collection_decided_who_was_trained_on(world, found):
    """Left out are folds 1 to 8, judged are 9 and 10, on an installation that never saw the one that trained."""
    judged = {f"{number:05d}_hr" for number in range(1, N_PATIENTS + 1) if number // 2 % 10 + 1 > 8}
    assert not judged & {one["name"] for one in found["left_out"]["records"]}
    assert found["n_records"] + len(found["uninterpretable"]) <= len(judged)
    assert found["n_records"] > 0.6 * len(judged)


def test_few_at_a_time_is_the_same_as_all_at_once(world, found, monkeypatch):
    """How many recordings are drawn together changes nothing, so memory need not hold them all."""
    monkeypatch.setattr(model_evaluator, "RECORDS_AT_ONCE", 7)
    assert json.loads(json.dumps(evaluate_folder(world.folder, models=world.models).as_dict())) == found


def test_nothing_left_is_said_with_the_reasons(world, tmp_path):
    """Beats are not for this model: the error counts where the records went."""
    rng = np.random.default_rng(0)
    (tmp_path / "beats.csv").write_bytes(heartbeat_csv(rng.random((3, 187)), [0, 1, 0]))
    with pytest.raises(NotEnoughDataError, match="3 not taken"):
        evaluate_folder(tmp_path, models=world.models)


def test_a_beat_that_rows_contradict_each_other_about_is_not_judged(tmp_path, beat_rows, heartbeat_csv):
    """Its own label does not stand in for them: it has one fate, with both rows named."""
    (tmp_path / "beats.csv").write_bytes(heartbeat_csv(beat_rows(6, seed=3), np.array([0, 1, 0, 1, 0, 1])))
    rows = ["beats.csv#1,normal", "beats.csv#2,normal", "beats.csv#2,abnormal"]
    (tmp_path / "labels.csv").write_text("\n".join(["record,label", *rows]))
    found = evaluate_folder(tmp_path, recipe="heartbeat").as_dict()
    assert found["account"]["received"] == 6
    assert [one["name"] for one in found["unreadable"]["records"]] == ["beats.csv#2"]
    assert found["account"]["judged"] + found["account"]["uninterpretable"] == 5


def test_models_are_found_by_version_and_by_folder(world, found):
    """The version's name and its folder lead to the same figures; what is not there is answered with what is."""
    version = found["version"]
    for wanted in (version, str(world.models / "twelve_lead" / version)):
        again = evaluate_folder(world.folder, model=wanted, models=world.models).as_dict()
        assert again["figures"] == found["figures"]
    with pytest.raises(ConfigurationError, match=f"twelve_lead {version}"):
        evaluate_folder(world.folder, model="0123456789ab", models=world.models)
    with pytest.raises(ConfigurationError, match="of the recipe twelve_lead, not heartbeat"):
        evaluate_folder(world.folder, model=version, recipe="heartbeat", models=world.models)
    with pytest.raises(ConfigurationError, match="no heartbeat model"):
        evaluate_folder(world.folder, recipe="heartbeat", models=world.models)


def test_a_model_of_other_pictures_is_refused(world, monkeypatch):
    """A model that reads pictures which are no longer made gives no figures at all, rather than wrong ones."""
    monkeypatch.setattr("ecg_tasks.signals.recipes.RENDERING_VERSION", -1)
    from ecg_tasks.signals.recipes import RECIPES

    for recipe in RECIPES.values():
        recipe.__dict__.pop("digest", None)
    try:
        with pytest.raises(ModelRefusedError, match="train a new model"):
            evaluate_folder(world.folder, models=world.models)
    finally:
        for recipe in RECIPES.values():
            recipe.__dict__.pop("digest", None)


def test_no_labelled_folder_is_refused(world, tmp_path):
    """An empty folder is named."""
    with pytest.raises(BadInputError, match="neither"):
        evaluate_folder(tmp_path, models=world.models)


def test_the_command_prints_and_writes_the_same(world, found, tmp_path):
    """The table has every figure with its interval, the sentences who was left out and why, the file the whole JSON."""
    from ecg_tasks.cli.__main__ import app

    out = tmp_path / "figures.json"
    model = str(world.models / "twelve_lead" / found["version"])
    done = CliRunner().invoke(app, ["evaluate", str(world.folder), "--model", model, "--json", str(out)], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    auroc = found["figures"]["auroc"]
    assert f"{auroc['value']:.3f}" in done.output
    assert f"{auroc['low']:.3f} to {auroc['high']:.3f}" in done.output
    assert "left out, because the model was trained, stopped or calibrated on them" in done.output
    assert "not a medical device" in done.output
    assert "trained on synthetic data" in done.output
    assert json.loads(out.read_text()) == found


@pytest.fixture(scope="module")
def tested_on(tmp_path_factory):
    """Fold 9 of PTB-XL as PhysioNet lays it out: what the shipped champions were tested on."""
    folder = tmp_path_factory.mktemp("fold_9")
    subprocess.run([sys.executable, REAL / "unpack.py", folder, "9"], check=True, capture_output=True)
    return folder


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the recordings {REAL} are not here")
@pytest.mark.parametrize("champion", registry.shipped_champions(seed.SHIPPED_MODELS), ids=lambda champion: champion.recipe)
def test_shipped_cards_are_reproduced(champion, tested_on):
    """All that a shipped card says of its test comes back from those recordings; nearly, since processors differ in the ninth digit."""
    found = json.loads(json.dumps(evaluate_folder(tested_on, recipe=champion.recipe).as_dict()))
    card = json.loads(registry.read_shipped(seed.SHIPPED_MODELS, champion)["metrics.json"])
    assert found["version"] == champion.version
    assert_same_as_card(found, nearly(card))
