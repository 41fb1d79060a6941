"""The first moment of Airflow's processes: they are what ``python -m`` would make of them, and at first look for garbage less often."""

import asyncio
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from deploy.embedded import airflow, api_server, component, dag_processor, executor, triggerer
from deploy.embedded.home import Home

MODULE = """
import gc, json, multiprocessing.spawn, sys
from deploy.embedded import component
is_main = sys.modules["__main__"].__dict__ is globals()
known_to_children = multiprocessing.spawn.get_preparation_data("x").get("init_main_from_name")
thresholds = [gc.get_threshold(), component.started() or gc.get_threshold()]
print(json.dumps([__name__, __spec__.name, sys.argv[1:], is_main, known_to_children, gc.isenabled(), *thresholds]))
"""


def test_it_becomes_the_module(tmp_path):
    """With the same name, arguments and word for its children; only garbage is looked for less often, until the start is over."""
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "__main__.py").write_text(MODULE)
    environment = {"PYTHONPATH": f"{tmp_path}:{airflow.CHECKOUT}"}

    def said(*command):
        done = subprocess.run([*command, "part", "--port", "1"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    *usual, threshold, after = said(sys.executable, "-m")
    assert threshold == after
    assert usual == ["__main__", "part.__main__", ["--port", "1"], True, "part.__main__", True]
    assert said(*airflow.COMPONENT) == [*usual, [component.YOUNG, *threshold[1:]], threshold]


def test_the_start_is_over_where_each_begins_its_work(monkeypatch):
    """Before the scheduler has workers, the triggerer its other process, the dag-processor a round, and the api-server a port."""
    over = []

    class StartedError(Exception):
        """Ends a part of Airflow that would begin its work."""

    def started():
        over.append(True)
        raise StartedError

    monkeypatch.setattr(component, "started", started)
    monkeypatch.setitem(sys.modules, "airflow.api_fastapi.main", SimpleNamespace(app=None))
    starts = [
        executor.LocalExecutor(parallelism=1).start,
        triggerer.Supervisor.start,
        dag_processor.Manager(max_runs=1).run,
        lambda: asyncio.run(api_server.serve(SimpleNamespace())),
    ]
    for start in starts:
        with pytest.raises(StartedError):
            start()
    assert len(over) == len(starts)


def test_every_part_of_airflow_begins_with_it(tmp_path):
    """And is named behind it."""
    home = Home(tmp_path)
    for name, words in airflow.COMMANDS.items():
        assert airflow.server_command(home, name)[: 3 + len(words)] == [*airflow.COMPONENT, *words]
