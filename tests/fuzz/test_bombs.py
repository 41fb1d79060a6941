"""Small files that would fill the memory, read by a process that has 1 GB of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.untraced import untraced

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
READ = """
import json, resource
from ecg_tasks.errors import BadInputError
from ecg_tasks.readers.labels_csv import read_labels
from tests.fuzz.corpus import bombs
from tests.fuzz.worker import MEMORY_BYTES
from tests.readings import read_heartbeat_csv
resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
told = []
for name, data, code in bombs():
    read = read_labels if name == "labels.csv" else read_heartbeat_csv
    try:
        found = [rejected.reason for rejected in read(data, name=name).rejected]
    except BadInputError as fault:
        found = [fault.reason]
    told.append([name, len(data), [str(one) for one in found], str(code)])
print(json.dumps(told))
"""


@pytest.mark.timeout(180)
def test_bombs_are_refused_within_a_gigabyte():
    """A megabyte of gzip that holds a gigabyte, or millions of lines, rows or columns, is refused with its code."""
    done = subprocess.run([sys.executable, "-c", READ], cwd=ROOT, env=untraced(), capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert len(told) > 5
    for name, size, found, code in told:
        assert found == [code], (name, found)
        assert size < 6_000_000
