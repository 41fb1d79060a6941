"""The list of a drop's files keeps its bytes, which name the drop."""

import hashlib
import json

import msgspec
import pytest

from ecg_tasks.archive import sources
from ecg_tasks.archive.documents import DropList


@pytest.mark.parametrize("names", [("a.hea", "a.dat"), ('a "b" é\\\n.hea', "\u2028.dat", "c.dat")])
def test_a_list_is_written_as_json_writes_it(names):
    """Whatever the names are: earlier versions wrote the same, and the source is its digest."""
    files = [sources.file_of(name, name.encode()) for name in names]
    stored = [{"name": one.name, "bytes": one.n_bytes, "sha256": one.sha256} for one in files]
    expected = json.dumps({"files": stored}, indent=1, sort_keys=True).encode()
    assert sources.source_of(files) == hashlib.sha256(expected).hexdigest()
    assert [one.name for one in msgspec.json.decode(expected, type=DropList).files] == list(names)
