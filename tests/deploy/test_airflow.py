"""Here: Airflow's settings and environment. Not here: Airflow at work (``test_stack``)."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.embedded import airflow, bucket, health, object_store, supervision, task_environment
from deploy.embedded.home import Home
from ecg_tasks.settings import Settings


@pytest.fixture
def home(tmp_path):
    """An empty state folder."""
    home = Home(tmp_path)
    home.create()
    return home


def test_a_task_sees_where_the_bucket_is(home):
    """The environment of every task is what the settings ask for, and nothing of Airflow's own secrets."""
    seen = bucket.environment(home)
    assert set(seen) == {
        "ECG_BUCKET",
        "ECG_PATIENT_KEY",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_DEFAULT_REGION",
        "ECG_STORE_ERASE_KEY",
        "PYTHONPATH",
    }


def test_a_task_knows_where_the_logs_are(home):
    """All of them, so that a forgetting leaves nothing there, whoever asked for it and in whichever way."""
    given = task_environment.of(airflow.environment(home))
    assert Settings.from_environment(given).logs == home.logs
    assert home.logs in home.log("api-server").parents
    assert home.logs in Path(given["AIRFLOW__LOGGING__BASE_LOG_FOLDER"]).parents


def test_forks_live_on_macos(monkeypatch):
    """Apple's libraries may be touched after a fork, and are not asked for a proxy where the environment names none."""
    monkeypatch.setattr(airflow.sys, "platform", "darwin")
    kept = airflow.clean_environment({})
    assert kept == {"OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES", "no_proxy": "*", "NO_PROXY": "*"}
    kept = airflow.clean_environment({"https_proxy": "proxy.example.org"})
    assert kept["no_proxy"] == "127.0.0.1,localhost"


def test_the_callers_environment_does_not_steer_the_stack():
    """A profile, another Airflow or another Python path of the caller is left out; its own settings of this project stay."""
    caller = {
        "AWS_PROFILE": "x",
        "AIRFLOW__CORE__EXECUTOR": "x",
        "AIRFLOW_HOME": "x",
        "PYTHONPATH": "x",
        "HOME": "/h",
        "ECG_RECIPES": "heartbeat",
    }
    kept = airflow.clean_environment(caller | {"no_proxy": "example.org"})
    assert kept == {
        "HOME": "/h",
        "ECG_RECIPES": "heartbeat",
        "no_proxy": "example.org,127.0.0.1,localhost",
        "NO_PROXY": "127.0.0.1,localhost",
    }


def test_what_a_dead_process_left_is_taken_up_within_a_minute(home):
    """A killed worker's task by its silence; a killed scheduler's tasks when it counts as dead, at the next look for such tasks."""
    from airflow.configuration import conf

    given = airflow.environment(home)

    def seconds(option):
        return float(given.get(f"AIRFLOW__SCHEDULER__{option}".upper(), conf.get_default_value("scheduler", option)))

    assert seconds("task_instance_heartbeat_timeout") + seconds("task_instance_heartbeat_timeout_detection_interval") <= 45
    assert seconds("scheduler_health_check_threshold") + seconds("orphaned_tasks_check_interval") <= 45


def test_signs_of_life_come_three_times_before_they_are_missed(home):
    """Of each component that leaves them, for the guardian and for Airflow's own pages."""
    from airflow.configuration import conf

    given = airflow.environment(home)
    for section, option in (
        ("scheduler", "scheduler_heartbeat_sec"),
        ("scheduler", "job_heartbeat_sec"),
        ("triggerer", "job_heartbeat_sec"),
    ):
        assert float(given[f"AIRFLOW__{section}__{option}".upper()]) * 3 <= health.SILENT_S
    for section, option in (
        ("scheduler", "scheduler_health_check_threshold"),
        ("triggerer", "triggerer_health_check_threshold"),
        ("dag_processor", "health_check_threshold"),
    ):
        assert float(conf.get_default_value(section, option)) >= health.SILENT_S


def test_the_embedded_stores_changes_are_told_to_the_watcher(home):
    """A bucket elsewhere marks none, and is listed."""
    assert airflow.environment(home)["ECG_STORE_CHANGES"] == str(object_store.changes(home))
    bucket.choose(home, {"ECG_BUCKET": "elsewhere"})
    assert "ECG_STORE_CHANGES" not in airflow.environment(home)


def test_every_setting_is_known_to_airflow(home):
    """A misspelt setting would do nothing, silently."""
    from airflow.configuration import conf

    for name in airflow.environment(home):
        if name.startswith("AIRFLOW__"):
            _, section, option = name.lower().split("__")
            assert conf.configuration_description.get(section, {}).get("options", {}).get(option) is not None, name


def test_the_supervisor_file_holds_no_secret_of_the_components(home):
    """Of all secrets, only the control password stands in the supervisor's configuration."""
    supervision.write_configuration(home)
    text = (home.path / "supervisor.conf").read_text()
    secrets = home.secrets()
    assert secrets.control_password in text
    assert not [name for name in vars(secrets) if name != "control_password" and getattr(secrets, name) in text]


def test_the_guardian_and_the_scheduler_stop_first_and_the_database_last():
    """Groups stop in the reverse of their order: what uses another stops before it, and nobody restarts what is stopped."""
    assert [group.name for group in supervision.GROUPS] == ["database", "objects", "airflow", "scheduling", "guarding"]
    assert supervision.COMPONENTS[0] == "postgres"
    assert supervision.COMPONENTS[-2:] == ("scheduler", supervision.GUARDIAN)


def test_a_percent_sign_in_a_path_is_escaped(tmp_path):
    """Supervisor would read a percent sign as the begin of a name."""
    home = Home(tmp_path / "50% off")
    home.create()
    supervision.write_configuration(home)
    assert f"{tmp_path}/50%% off/logs" in (home.path / "supervisor.conf").read_text()


def test_pools_of_the_dags_are_made():
    """The pools that the DAGs name are in the file that every deployment reads."""
    from ecg_defaults import CHAMPION, CPU_POOL, GPU, NIGHT

    pools = json.loads(airflow.POOLS.read_text())
    assert set(pools) == {CPU_POOL, GPU, CHAMPION, NIGHT}
    assert pools[GPU]["slots"] == pools[CHAMPION]["slots"] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads in /proc")
@pytest.mark.parametrize("where", ["embedded", "image"])
def test_numpy_starts_no_threads_in_a_task(home, where):
    """Tasks that run at once would take the cores from each other: without the variable NumPy starts a thread for each further core."""
    if where == "embedded":
        given = task_environment.of(airflow.environment(home))
    else:
        dockerfile = (airflow.CHECKOUT / "deploy" / "compose" / "Dockerfile").read_text(encoding="utf-8")
        given = dict(re.findall(r"^ +(OPENBLAS\w+)=(\S+)", dockerfile, re.MULTILINE))
    counting = "import os, numpy; print(len(os.listdir('/proc/self/task')))"
    found = {
        name: int(subprocess.run([sys.executable, "-c", counting], env=environ, capture_output=True, check=True, timeout=60).stdout)
        for name, environ in (("given", given), ("free", {}))
    }
    assert found["given"] == 1
    if len(os.sched_getaffinity(0)) > 1:
        assert found["free"] > 1
