"""Here: how Airflow's components are set up and run. Not here: its DAGs, or the calls to its REST API (``airflow_api``)."""

import os
import subprocess
import sys
from collections.abc import Mapping

from deploy.embedded import address, bucket, object_store, outlets, postgres
from deploy.embedded.errors import StackError
from deploy.embedded.home import CHECKOUT, LOOPBACK, Home

LOGIN = "admin"
POOLS = CHECKOUT / "deploy" / "pools.json"
FAB_SETTINGS = CHECKOUT / "deploy" / "accounts" / "webserver_config.py"
DISABLED_WITHIN_S = 5
"""So long an api-server remembers an account before it looks again."""
HEARTBEAT_S = 10
"""Between two signs of life of a component: a third of what Airflow and ``health`` wait for one."""
SESSION_MIN = 12 * 60
"""Minutes after which a login is asked for again, however busy a session is."""

COMPONENT = [sys.executable, "-m", "deploy.embedded.component"]
COMMANDS = {
    "api-server": ["deploy.embedded.api_server"],
    "dag-processor": ["deploy.embedded.dag_processor"],
    "triggerer": ["deploy.embedded.triggerer", "--skip-serve-logs"],
    "scheduler": ["airflow", "scheduler", "--skip-serve-logs"],
}
"""Component -> Python's module and its arguments. Logs are read from the disk here, so no server for them is needed."""


def ui(home: Home) -> str:
    """Return the address of the web interface and the REST API on this machine, for tasks and commands."""
    return f"http://{LOOPBACK}:{home.ports().ui}"


def shown_ui(home: Home) -> str:
    """Return the address that people enter: that on this machine, unless the settings give another."""
    return address.chosen(home).url or ui(home)


def server_command(home: Home, component: str) -> list[str]:
    """Return the command that runs one component in the foreground."""
    reached = ["--port", str(home.ports().ui), *address.chosen(home).arguments()] if component == "api-server" else []
    return [*COMPONENT, *COMMANDS[component], *reached]


def environment(home: Home) -> dict[str, str]:
    """Return the task's environment and Airflow's settings, without what the caller's own environment holds."""
    secrets = home.secrets()
    settings: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": CHECKOUT / "dags",
            "plugins_folder": CHECKOUT / "plugins",
            "executor": "deploy.embedded.executor.LocalExecutor",
            "parallelism": parallelism(),
            "load_examples": False,
            "dags_are_paused_at_creation": False,
            "fernet_key": secrets.fernet_key,
            "auth_manager": "deploy.accounts.auth_manager.AuthManager",
            "execution_api_server_url": f"{ui(home)}/execution/",
            "hostname_callable": "socket.gethostname",
        },
        "api": {
            "base_url": shown_ui(home),
            "secret_key": secrets.api_secret_key,
            "expose_config": False,
            "enable_swagger_ui": False,  # its page runs scripts of another site
            "workers": 1,
        },
        "api_auth": {"jwt_secret": secrets.jwt_secret},
        "fab": {"config_file": FAB_SETTINGS, "cache_ttl": DISABLED_WITHIN_S, "session_max_lifetime_minutes": SESSION_MIN},
        "database": {"sql_alchemy_conn": postgres.url(home)},
        "scheduler": {
            # A step of a run waits half of it on average. With 0.1 an idle scheduler takes a quarter of a core.
            "scheduler_idle_sleep_time": 0.25,
            "task_instance_heartbeat_timeout": 20,
            "task_instance_heartbeat_timeout_detection_interval": 5,
            # A killed scheduler's tasks are looked for when it has been silent for 30 s: at its successor's start that is too early.
            "orphaned_tasks_check_interval": 10,
            "scheduler_heartbeat_sec": HEARTBEAT_S,
            "job_heartbeat_sec": HEARTBEAT_S,  # the dag-processor's
        },
        "triggerer": {"job_heartbeat_sec": HEARTBEAT_S},
        # A restart of the api-server takes ten seconds, and its first answer to a task some more: running tasks have to outlive it.
        "workers": {"min_heartbeat_interval": 3, "max_failed_heartbeats": 20, "execution_api_retries": 8, "execution_api_timeout": 60},
        # A file that changed is read within seconds all the same; reading the others again each time takes half a second of a core.
        # New files are looked for every ten seconds: at each check, as the refresh is always due by then.
        "dag_processor": {"bundle_refresh_check_interval": 10, "refresh_interval": 5, "min_file_process_interval": 300},
        "logging": {
            "base_log_folder": home.logs / "tasks",
            "dag_processor_child_process_log_directory": home.logs / "dag_processor",
            "colored_console_log": False,
            "namespace_levels": "botocore=WARNING",  # a line for every look into the inbox
            "file_task_handler_new_folder_permissions": "0o700",
            "file_task_handler_new_file_permissions": "0o600",
        },
    }
    seen = bucket.environment(home)
    for section, names in outlets.settings(os.environ, bucket=seen["ECG_BUCKET"]).items():
        settings.setdefault(section, {}).update(names)
    flat = {f"AIRFLOW__{section}__{name}".upper(): str(value) for section, names in settings.items() for name, value in names.items()}
    own = {"AIRFLOW_HOME": str(home.airflow), "ECG_LOGS": str(home.logs), "OPENBLAS_NUM_THREADS": "1"}  # decision 0185
    if bucket.is_embedded(home):
        own["ECG_STORE_CHANGES"] = str(object_store.changes(home))
    return own | flat | seen | outlets.variables(os.environ)


def parallelism() -> int:
    """Return how many tasks run at once: they wait for the store and Airflow more than they compute, so four for each core, 32 at most."""
    return min(4 * (os.cpu_count() or 1), 32)


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` without anything that would steer Airflow, boto3 or Python elsewhere; 127.0.0.1 never goes through a proxy."""
    foreign = ("AIRFLOW", "AWS_", "PYTHON")
    kept = {name: value for name, value in environ.items() if not name.startswith(foreign)}
    for name in ("no_proxy", "NO_PROXY"):
        kept[name] = ",".join(filter(None, [kept.get(name), LOOPBACK, "localhost"]))
    if sys.platform == "darwin":
        # Airflow forks its workers and tasks. There Apple's libraries kill a fork that touches them, as a look for the system's proxy does.
        kept["OBJC_DISABLE_INITIALIZE_FORK_SAFETY"] = "YES"
        if not any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name in kept):
            kept |= {"no_proxy": "*", "NO_PROXY": "*"}
    return kept


def ensure_migrated(home: Home) -> None:
    """Bring the database to the tables of the installed Airflow, and make the pools and the administrator: once for each version."""
    from importlib.metadata import version

    stamp = home.airflow / "migrated"
    wanted = "\n".join((version("apache-airflow"), version("apache-airflow-providers-fab"), POOLS.read_text()))
    if stamp.exists() and stamp.read_text() == wanted:
        return
    log = home.log("migrate")
    cpu_slots = 2 * (os.cpu_count() or 1)
    with log.open("ab") as output:
        done = subprocess.run(  # noqa: S603 - our own program, and no shell
            [*COMPONENT, "deploy.embedded.migrate", str(POOLS), str(cpu_slots), LOGIN],
            input=home.secrets().admin_password.encode(),
            env=clean_environment(os.environ) | environment(home),
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        raise StackError(f"Airflow's database could not be made ready; see {log}")
    stamp.write_text(wanted)
