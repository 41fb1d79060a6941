"""From measurements to ratios, targets and the JSON."""

import json
import re
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import figures, scaling, twelve_lead
from benchmarks.night import NightUsage
from benchmarks.processes import Usage

README = Path(figures.__file__).with_name("README.md")


def usage(cpu_s, *, peak_mb=200.0):
    """A task that took so long."""
    return Usage(start_wall_s=2.0, start_cpu_s=1.5, start_mb=150.0, wall_s=2 * cpu_s, cpu_s=cpu_s, peak_mb=peak_mb, result=None)


def night(n_records, *, n_tasks=1, fixed_s=0.5, record_s=0.001, peak_mb=200.0):
    """A night whose cost is known: a plan of fixed cost, and tasks that share the records."""
    tasks = [usage(fixed_s + record_s * n_records / n_tasks, peak_mb=peak_mb) for _ in range(n_tasks)]
    return NightUsage(n_records=n_records, tasks={"render.plan": [usage(0.3)], "render.render_shard": tasks})


def _of_rate(fs, ms):
    """What recordings at one rate cost, each stage so many times its bound."""
    ours = {
        "stages": dict.fromkeys(twelve_lead.STAGES, ms),
        "bounds": dict.fromkeys(twelve_lead.STAGES, (0.05, "bytes copied")),
        "store": 0.1,
        "fixed_ms": 900.0,
        "n_bytes": 24 * fs * 10,
    }
    return twelve_lead.beside(ours, {"wfdb reads": 4.0, "matplotlib draws": 5.0 * len(twelve_lead.STAGES) - 4})


@pytest.fixture
def found():
    """Results of all benchmarks, as small as they can be."""
    case = {
        "times_faster": 250.0,
        "ours_ms": 0.1,
        "matplotlib_ms": 25.0,
        "pixels_equal": True,
        "n_compared": 2,
        "n_drawn": 3,
        "ours_start_mb": 100.0,
        "ours_peak_mb": 110.0,
        "matplotlib_start_mb": 140.0,
        "matplotlib_peak_mb": 170.0,
    }
    sides = {
        side: {"n": 10, "wall_ms": wall, "cpu_ms": wall / 2, "start_s": 1.0, "start_mb": 100.0, "peak_mb": peak, "network": "untrained"}
        for side, wall, peak in (("notebook", 60.0, 800.0), ("notebook_served", 12.0, 300.0), ("heartbeat", 0.3, 160.0))
    }
    fixed = [night(10, record_s=0.0)]
    sizes = [scaling.describe([night(1000)], fixed), scaling.describe([night(100_000, n_tasks=4, peak_mb=250.0)], fixed)]
    told = {"server": "Swift", "network": "untrained", "rows_per_file": 1000, "fixed": scaling.describe(fixed, []), "sizes": sizes}
    return {
        "rendering": {
            "cases": {"one_frame": case, "many_frames": case | {"times_faster": 90.0}},
            "recipes": {name: {"ms": 0.1, "n_pictures": 5} for name in ("notebook", "heartbeat", "twelve_lead")},
            "matplotlib": "3.11.2",
        },
        "classification": sides | {"max_score_difference": 1e-7},
        "twelve_lead": {
            "n_recordings": 40,
            "n_theirs": 1,
            "rounds": 1,
            "rates": {rate: _of_rate(fs, ms) for rate, fs, ms in (("500", 500, 0.5), ("100", 100, 0.1))},
        },
        "scaling": scaling.growth(*sizes) | told,
        "train": {
            "times_faster": 30.0,
            "better": True,
            "n_windows": 14_552,
            "n_train": 8731,
            "n_scored": 1000,
            "notebook": {
                "wall_s": 3000.0,
                "drawing_ms": 40.0,
                "step_ms": 500.0,
                "n_drawn": 200,
                "n_steps": 546,
                "n_steps_in_all": 5440,
                "auroc": 0.7,
                "peak_mb": 1900.0,
            },
            "heartbeat": {
                "wall_s": 100.0,
                "start_s": 5.0,
                "rendering_s": 10.0,
                "training_s": 90.0,
                "auroc": 0.8,
                "peak_mb": 900.0,
                "epochs": [{"windows_per_s": 1000.0, "waiting": 0.001}],
            },
        },
    }


def test_the_fixed_cost_is_subtracted_once_a_task():
    """Whatever the number of tasks, a record costs what it costs."""
    fixed = [night(10, record_s=0.0), night(10, record_s=0.0)]
    for n_records, n_tasks in ((1000, 1), (100_000, 4)):
        described = scaling.describe([night(n_records, n_tasks=n_tasks)], fixed)
        assert described["cpu_ms"] == pytest.approx(1.0)
        assert described["wall_ms"] == pytest.approx(2.0)
        assert described["steps"]["render.plan"]["cpu_ms"] == pytest.approx(0)
        assert described["n_tasks"] == 1 + n_tasks
        assert described["start_wall_s"] == pytest.approx(2.0 * (1 + n_tasks))


def test_of_several_nights_the_median_counts():
    """One night that was disturbed changes nothing."""
    described = scaling.describe([night(1000), night(1000, record_s=0.5), night(1000)], [night(10, record_s=0.0)])
    assert described["cpu_ms"] == pytest.approx(1.0)
    assert described["n_nights"] == 3


def test_growth_shows_what_is_not_linear():
    """A record that costs more in a larger night, and a process that holds more, are seen."""
    fixed = [night(10, record_s=0.0)]
    small = scaling.describe([night(1000)], fixed)
    large = scaling.describe([night(100_000, record_s=0.002, peak_mb=400.0)], fixed)
    assert scaling.growth(small, large) == pytest.approx({"cost_growth_cpu": 2.0, "cost_growth_wall": 2.0, "memory_growth": 2.0})


def test_ratios_compare_the_sides_and_know_their_targets(found):
    """Every ratio is theirs by ours, or large by small, and is met on the right side of its target."""
    told = {ratio.name: ratio for ratio in figures.ratios(found)}
    assert told["rendering_one_frame"].met is True
    assert told["rendering_many_frames"].met is False
    assert (told["classification"].value, told["classification"].met) == (pytest.approx(200), True)
    assert told["classification_same_network"].value * told["classification_smaller_picture"].value == pytest.approx(200)
    assert (told["classification_memory"].value, told["classification_memory"].met) == (pytest.approx(5), None)
    assert (told["cost_growth_cpu"].value, told["cost_growth_cpu"].met) == (pytest.approx(1), True)
    assert (told["twelve_lead_500_ms"].value, told["twelve_lead_500_ms"].met) == (pytest.approx(4.5), False)
    assert (told["twelve_lead_100_ms"].value, told["twelve_lead_100_ms"].met) == (pytest.approx(0.9), True)
    assert told["twelve_lead_500"].value == pytest.approx(10)
    assert told["twelve_lead_500_bound"].value == pytest.approx(10)
    assert (told["memory_growth"].value, told["memory_growth"].met) == (pytest.approx(1.25), False)


def test_noise_meets_no_bound():
    """A cost that came out below zero was not measured, so its growth meets no target."""
    assert figures.Ratio(name="cost", says="", value=-7.32, at_most=1.15).met is False


def test_one_benchmark_alone_gives_its_ratios_alone(found):
    """What was not run is in neither the ratios nor the document."""
    document = figures.document({"rendering": found["rendering"]}, quick=True, load_before=0.0)
    assert set(document["ratios"]) == {"rendering_one_frame", "rendering_many_frames"}
    assert "classification" not in document


def test_every_key_of_the_json_is_documented(found):
    """Each object's keys, down to the tasks of a night, stand in the README, and the ratios come before the details."""
    document = json.loads(json.dumps(figures.document(found, quick=False, load_before=0.5), allow_nan=False))
    assert list(document)[:3] == ["schema_version", "quick", "ratios"]
    documented = set(re.findall(r"`([^`\s]+)`", README.read_text()))
    keys = {*document, *document["ratios"], *document["machine"], *next(iter(document["ratios"].values()))}
    keys |= {*document["rendering"], *document["rendering"]["cases"], *document["classification"], *document["classification"]["notebook"]}
    keys |= {key for key in document["rendering"]["cases"]["one_frame"] if not key.endswith("_mb")}
    keys |= {
        *document["train"],
        *document["train"]["notebook"],
        *document["train"]["heartbeat"],
        *document["train"]["heartbeat"]["epochs"][0],
    }
    keys |= {*document["scaling"], *document["scaling"]["sizes"][0], *document["scaling"]["sizes"][0]["steps"]["render.plan"]}
    at_500 = document["twelve_lead"]["rates"]["500"]
    keys |= {*document["twelve_lead"], *at_500, *at_500["stages"]["read"]}
    assert keys <= documented, sorted(keys - documented)


def test_tables_show_every_ratio_and_both_outcomes(found, monkeypatch, tmp_path, capsys):
    """The command prints its tables and writes the JSON, whatever the figures are."""
    monkeypatch.setattr(command, "run", lambda *_, **__: found)
    monkeypatch.setattr("sys.argv", ["bench", "--quick", "--json", str(tmp_path / "figures.json")])
    monkeypatch.setenv("COLUMNS", "160")
    command.main()
    printed = capsys.readouterr().out
    assert "yes" in printed
    assert "no" in printed
    for ratio in figures.ratios(found):
        assert ratio.says in printed
    assert json.loads((tmp_path / "figures.json").read_text())["quick"] is True
