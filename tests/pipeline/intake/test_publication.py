"""A publication over any number of files: its memory, and lists that are too long for its manifest."""

import gc
import json
import tracemalloc

import pytest

from benchmarks import single_recordings
from ecg_tasks.archive import account_lists, catalog, keys
from ecg_tasks.archive.documents import IntakeManifest, read_manifest
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.pipeline.intake import describing, results
from tests.whole_documents import intake

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


def test_memory_does_not_grow_with_the_number_of_files(staged, monkeypatch):
    """Four times as many recordings take some ids and digests more each, and none of the kilobytes of their lines in the account."""
    # bounds that so few would not reach
    monkeypatch.setattr(results, "_KEPT_BYTES", 0)
    monkeypatch.setattr(catalog, "TAIL_ROWS", 0)
    monkeypatch.setattr(describing, "AT_ONCE", 512)
    for module in (catalog, account_lists):
        monkeypatch.setattr(module, "_GROUP_ROWS", 256)
    peaks = []
    for n_recordings in (N_FEW, N_MANY):
        _, publish = staged(n_recordings)
        gc.collect()
        gc.freeze()  # the more else a process holds, the later Python looks for what is no longer used
        tracemalloc.start()
        counts = publish()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert (counts["received"], counts["records"]) == (n_recordings, n_recordings)
    assert (peaks[1] - peaks[0]) / (N_MANY - N_FEW) < 1000, peaks  # bytes; a line of the account takes over 3,000


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
