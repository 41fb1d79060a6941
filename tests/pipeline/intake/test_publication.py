"""A publication over any number of files: its memory, and lists that are too long for its manifest."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import single_recordings
from ecg_tasks.archive import account_lists, keys
from ecg_tasks.archive.documents import IntakeManifest, read_manifest
from ecg_tasks.archive.object_store import ObjectStore
from tests.whole_documents import intake

ROOT = Path(__file__).parents[3]
N_FEW, N_MANY = 2000, 8000


@pytest.fixture
def staged(tmp_path, monkeypatch):
    """Maker of a folder in place of a bucket in which the tasks of a run have staged so many recordings of two files each."""
    for name in ("ECG_BUCKET", "ECG_PATIENT_KEY", "ECG_RECIPES"):
        monkeypatch.setenv(name, "set by the benchmark")
    monkeypatch.setattr(ObjectStore, "connect", ObjectStore.connect)

    def make(n_recordings):
        folder = tmp_path / str(n_recordings)
        single_recordings.stage(str(folder), n_recordings, "r1")()
        return single_recordings.work_on(str(folder), n_recordings), single_recordings.publish(str(folder), n_recordings, "r1")

    return make


ALONE = """
import json, sys, tracemalloc
from benchmarks import single_recordings
from ecg_tasks.archive import account_lists, catalog
from ecg_tasks.pipeline.intake import describing, results
results._KEPT_BYTES = catalog.TAIL_ROWS = 0  # bounds that so few would not reach
describing.AT_ONCE, catalog._GROUP_ROWS, account_lists._GROUP_ROWS = 512, 256, 256
peaks = []
for n_recordings in map(int, sys.argv[2:]):
    folder = f"{sys.argv[1]}/{n_recordings}"
    single_recordings.stage(folder, n_recordings, "r1")()
    publish = single_recordings.publish(folder, n_recordings, "r1")
    tracemalloc.start()
    counts = publish()
    peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
    assert (counts["received"], counts["records"]) == (n_recordings, n_recordings)
print(json.dumps(peaks))
"""


def test_memory_does_not_grow_with_the_number_of_files(tmp_path):
    """Four times as many recordings take some ids and digests more each, and none of the kilobytes of their lines in the account.

    In a process of its own: what others have left in one changes how much a publication takes there.
    """
    command = [sys.executable, "-c", ALONE, str(tmp_path), str(N_FEW), str(N_MANY)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    few, many = json.loads(done.stdout.splitlines()[-1])
    assert (many - few) / (N_MANY - N_FEW) < 1000  # bytes; a line of the account takes over 3,000


def test_a_long_list_is_a_table(staged):
    """The manifest names it, an older program refuses that manifest, and every line of the list can be read; all staged files are gone."""
    store, publish = staged(N_FEW)
    publish()
    data = json.loads(store.get(keys.manifest("ingest_records", "r1")))
    assert (data["schema_version"], data["inputs"]) == (2, [])
    manifest = read_manifest(store, IntakeManifest, "r1")
    found = list(account_lists.inputs(store, manifest))
    assert [one.record_name for one in found] == [single_recordings.path_of(number) for number in range(N_FEW)]
    assert found[17] == single_recordings._input(17)
    assert store.list_keys(keys.STAGING) == []


def test_both_lists_come_back_as_they_went(bucket):
    """Few lines stand in the manifest, many in a table; they are the same lines, without names or files too."""
    from ecg_tasks.archive.documents import InboxFile, Input, QuarantinedInput

    lines = [Input(name=f"{n}.csv", record_name="", files=(), fate="gone") for n in range(3)]
    lines.append(Input(name="ä", record_name="a", files=(InboxFile(key="k", etag="e"),), source="s", fate="records", received=2, records=2))
    bad = [QuarantinedInput(name=f"{n}", reason="flat", message="", source="s") for n in range(4)]
    for times in (1, account_lists.INLINE):
        with account_lists.writer_of_inputs() as inputs, account_lists.writer_of_quarantined() as quarantined:
            for _ in range(times):
                inputs.add(lines)
                quarantined.add(bad)
            told = {}
            told["inputs"], told["inputs_table"] = inputs.put(bucket, dag="ingest_records", run="r", name="inputs")
            told["quarantined"], told["quarantined_table"] = quarantined.put(bucket, dag="ingest_records", run="r", name="quarantined")
        manifest = intake("r", **told)
        assert (len(manifest.inputs) == 0) == bool(manifest.inputs_table) == (times > 1)
        assert list(account_lists.inputs(bucket, manifest)) == lines * times
        assert list(account_lists.quarantined(bucket, manifest)) == bad * times
