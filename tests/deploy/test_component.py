"""The first moment of Airflow's processes: they are what ``python -m`` would make of them, and look for garbage less often."""

import json
import subprocess
import sys

from deploy.embedded import airflow, component
from deploy.embedded.home import Home

MODULE = """
import gc, json, multiprocessing.spawn, sys
is_main = sys.modules["__main__"].__dict__ is globals()
known_to_children = multiprocessing.spawn.get_preparation_data("x").get("init_main_from_name")
print(json.dumps([__name__, __spec__.name, sys.argv[1:], is_main, known_to_children, gc.isenabled(), gc.get_threshold()]))
"""


def test_it_becomes_the_module(tmp_path):
    """Its name, its arguments, what its children are told of it, as without: but for the threshold of the garbage collector."""
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "__main__.py").write_text(MODULE)
    environment = {"PYTHONPATH": f"{tmp_path}:{airflow.CHECKOUT}"}

    def said(*command):
        done = subprocess.run([*command, "part", "--port", "1"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    *usual, threshold = said(sys.executable, "-m")
    assert usual == ["__main__", "part.__main__", ["--port", "1"], True, "part.__main__", True]
    assert said(*airflow.COMPONENT) == [*usual, [component.YOUNG, *threshold[1:]]]


def test_every_part_of_airflow_begins_with_it(tmp_path):
    """And is named behind it."""
    home = Home(tmp_path)
    for name, words in airflow.COMMANDS.items():
        assert airflow.server_command(home, name)[: 3 + len(words)] == [*airflow.COMPONENT, *words]
