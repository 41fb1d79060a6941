"""Every benchmark at the smallest size: both sides do the same work, and the figures are all there."""

import io

import numpy as np
import pytest
from rich.console import Console

from benchmarks import beats, classification, gpu, inbox_plan, night, rendering, report_table, training, twelve_lead, twelve_lead_tables
from benchmarks import readers as readers_case
from benchmarks.models import models_folder
from benchmarks.written_files import WRITERS
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.run_table_writer import RunTableWriter
from ecg_tasks.pipeline import ingest_records, render_spectrograms
from ecg_tasks.readers import READERS
from tests.readings import read_heartbeat_csv

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]


def test_beats_are_read_back_as_they_were_drawn():
    """The CSV holds the rows to the last bit, no two of them are one record, and every one passes the reader."""
    reading = read_heartbeat_csv(beats.heartbeat_csv(300, seed=5), name="synthetic.csv")
    assert not reading.rejected
    assert np.array_equal(np.concatenate([record.samples for record in reading.records]), beats.heartbeat_rows(300, seed=5))
    assert len({record.record_id for record in reading.records}) == 300


def test_the_first_beats_are_the_same_for_any_number():
    """So that both sides of a comparison may run different numbers of windows."""
    assert np.array_equal(beats.heartbeat_rows(4, seed=1), beats.heartbeat_rows(50, seed=1)[:4])
    assert np.array_equal(rendering.windows("many_frames", 2), rendering.windows("many_frames", 3)[:2])


def test_rendering_gives_equal_pixels_and_all_figures(in_this_process):
    """Pictures of one and of many frames are matplotlib's, and every recipe has a figure."""
    found = rendering.measure(n_compared=2, n_drawn=3, n_recordings=1)
    assert found["cases"].keys() == rendering.CASES.keys()
    assert all(case["pixels_equal"] and case["times_faster"] > 0 for case in found["cases"].values())
    assert found["recipes"].keys() == {"notebook", "heartbeat", "twelve_lead", "lead_samples"}


def test_pixels_that_differ_end_the_benchmark(in_this_process, monkeypatch):
    """A faster wrong picture is not a result."""
    monkeypatch.setattr("benchmarks.notebook_method.draw", lambda _window, draw=rendering.notebook_method.draw: draw(np.arange(187.0)))
    with pytest.raises(RuntimeError, match="pixels differ"):
        rendering.measure(n_compared=2, n_drawn=3, n_recordings=1)


def test_the_notebooks_network_and_the_same_served_agree(in_this_process, tmp_path):
    """The three sides classify, and the two that are one network give one score."""
    found = classification.measure(tmp_path, n={"notebook": 3, "notebook_served": 4, "heartbeat": 5})
    assert found["max_score_difference"] < 1e-5
    assert [found[side]["n"] for side in classification.SIDES] == [3, 4, 5]


def test_a_plan_reads_no_header_again(monkeypatch):
    """Headers that were read before their signals came are known to the plan that takes them over."""
    monkeypatch.setenv("ECG_BUCKET", "memory")
    monkeypatch.setenv("ECG_PATIENT_KEY", "0" * 32)
    found = inbox_plan.measure(400)
    assert found["reading"]["requests"]["GET"] == 200 + 1
    assert found["planning"]["requests"]["GET"] == 1
    assert found["planning"]["left"] == 0


def test_made_up_rows_fill_a_reports_table():
    """The rows of the table's benchmark have every column that a report's table has."""
    with RunTableWriter() as writer:
        for part in report_table.made_up(20):
            writer.append(part)
        assert len(writer.finish()) == 20


def test_a_twelve_lead_recording_is_timed_stage_by_stage(in_this_process, tmp_path, monkeypatch):
    """Every stage has a figure and a bound, all recordings are decided on, and what was put in the place of tasks is gone again."""
    monkeypatch.setattr(twelve_lead, "FEW", 2)
    monkeypatch.setattr(twelve_lead, "RATES", (100,))
    before = ingest_records.Parser, render_spectrograms.render_one, ObjectStore.connect
    found = twelve_lead.measure(tmp_path, n_recordings=6, n_theirs=1, rounds=1)
    assert before == (ingest_records.Parser, render_spectrograms.render_one, ObjectStore.connect)
    at_100 = found["rates"]["100"]
    assert at_100["stages"].keys() == set(twelve_lead.STAGES)
    assert all(stage["bound_ms"] > 0 for stage in at_100["stages"].values())
    assert at_100["theirs_all_ms"] > 0
    assert at_100["n_bytes"] > 2 * 12 * 1000
    console = Console(width=200, record=True, file=io.StringIO())
    twelve_lead_tables.print_twelve_lead(console, found)
    text = console.export_text()
    assert all(stage in text for stage in twelve_lead.STAGES)


def test_learning_is_measured_on_the_same_beats_for_both_sides(in_this_process, monkeypatch):
    """Every figure is there, the notebook's hour is told from what was measured, and no patient is on two sides."""
    monkeypatch.setattr(training, "WARM_UP_STEPS", 1)
    monkeypatch.setattr(training, "NOTEBOOK_BATCH", 8)
    found = training.measure(n_normal=60, n_abnormal=130, n_steps=2, n_drawn=2, n_scored=20)
    theirs, ours = found["notebook"], found["heartbeat"]
    told_s = 190 * theirs["drawing_ms"] / 1000 + theirs["n_steps_in_all"] * theirs["step_ms"] / 1000
    assert theirs["wall_s"] == pytest.approx(told_s)
    assert theirs["n_steps_in_all"] == 20 * (found["n_train"] // 8)
    assert found["times_faster"] == pytest.approx(told_s / ours["wall_s"])
    assert len(ours["epochs"]) == 6
    assert all(epoch["windows_per_s"] > 0 for epoch in ours["epochs"])
    assert found["n_scored"] == 20
    assert found["better"] == (ours["auroc"] > theirs["auroc"])


def test_without_a_gpu_the_processor_stands_alone(in_this_process, monkeypatch):
    """A training and the transforms have their figures, and the table says that no GPU is seen."""
    monkeypatch.setattr(gpu, "N_DRAWN", 20)
    found = gpu.measure(n_recordings=130, n_windows=60, n_epochs=1)
    assert found["gpu"] == ""
    assert found["processor"]["training"]["windows_per_s"] > 0
    assert found["processor"]["rendering"]["n"] == 130
    assert found["processor"]["rendering"]["greys_that_differ"] == 0
    console = Console(width=160, record=True, file=io.StringIO())
    gpu.print_gpu(console, found)
    assert "no GPU is seen" in console.export_text()


def test_what_a_gpu_would_draw_is_what_is_drawn(monkeypatch):
    """The transforms in TensorFlow, here on the processor, give the greys of the recipe but for rounding."""
    monkeypatch.setattr(gpu, "N_DRAWN", 20)
    drawn = gpu.by_tensorflow(50)()
    assert drawn["n"] == 50
    assert drawn["greys_that_differ"] < 1e-3
    assert drawn["largest_difference"] <= 1


def test_beats_to_learn_from_keep_patients_apart():
    """As many of both classes as asked for; a patient has one label; learning and validation sides share none."""
    rows, labels, patients = beats.labelled_beats(90, 200, seed=1)
    assert rows.shape == (290, 187)
    assert np.bincount(labels).tolist() == [90, 200]
    assert all(len(set(labels[patients == patient])) == 1 for patient in set(patients))
    learnt, scored = training._sides(patients, n_scored=50)
    assert not set(patients[learnt]) & set(patients[scored])
    assert len(set(labels[learnt])) == len(set(labels[scored])) == 2


def test_a_night_runs_every_task_and_decides_on_every_record(in_this_process, s3_server, tmp_path):
    """From the inbox to the report in the order of the DAGs."""
    models, _ = models_folder(tmp_path, night.RECIPE)
    environment = {
        "AWS_ENDPOINT_URL_S3": s3_server,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
        "ECG_PATIENT_KEY": "a key that protects nobody here...",
    }
    found = night.run_night(12, bucket="bench-night", environment=environment, models=models)
    assert list(found.tasks) == [
        "ingest.plan",
        "ingest.ingest_batch",
        "ingest.publish",
        "render.plan",
        "render.render_shard",
        "render.publish",
        "classify.pin_champion",
        "classify.plan",
        "classify.classify_shard",
        "classify.write_report",
    ]
    assert all(len(usages) == 1 for usages in found.tasks.values())


def test_readers_are_timed_on_files_that_they_read(in_this_process):
    """Every reader has a row, beside its library where there is one, and the table shows it."""
    found = readers_case.measure(1)
    assert set(found["formats"]) == {reader.name for reader in READERS} == set(readers_case.written())
    assert all(taken["record_ms"] > 0 for taken in found["formats"].values())
    assert {name for name, taken in found["formats"].items() if "library" in taken} == set(WRITERS)
    console = Console(record=True, width=160)
    readers_case.print_readers(console, found)
    assert "pydicom" in console.export_text()
