"""Documents keep what they hold, know their age."""

import ast
import json
from pathlib import Path

import msgspec
import pytest

import ecg_tasks
from ecg_tasks.archive import documents
from ecg_tasks.archive.documents import (
    ClassifyManifest,
    Code,
    DagId,
    Document,
    IntakeManifest,
    IntakeTries,
    Manifest,
    QuarantineReason,
    RenderCounts,
    RenderJob,
    RenderManifest,
    Training,
    TrainingJob,
    find_manifest,
    load,
    read_manifest,
    read_manifests,
    write_manifest,
)
from ecg_tasks.errors import DamagedStoreError

LIBRARY = Path(ecg_tasks.__file__).parent


def all_kinds(kind=Document):
    """Every kind of document."""
    for one in kind.__subclasses__():
        yield one
        yield from all_kinds(one)


def test_what_nights_write_is_read_whole(two_nights):
    """An account read and written again says all that it said, so no field of it is missing in its type."""
    for kind in (IntakeManifest, RenderManifest, ClassifyManifest):
        stored = {key: data for key, data in two_nights.items() if key.startswith(f"manifests/{kind.DAG}/")}
        assert stored
        for key, data in stored.items():
            assert json.loads(data).items() <= json.loads(load(kind, data, name=key).to_json()).items()


def test_every_manifest_is_of_a_dag():
    """There is one account for each DAG."""
    assert sorted(kind.DAG for kind in all_kinds(Manifest)) == sorted(DagId)


def test_the_dags_are_those_of_the_folder():
    """A DAG's id is the name of its file, and of its module in the pipeline."""
    root = LIBRARY.parent
    files = {path.stem for path in (root / "dags").glob("*.py") if not path.stem.startswith("ecg_")}
    assert files == set(DagId)
    assert all((LIBRARY / "pipeline" / f"{dag}.py").is_file() for dag in DagId)


def test_a_later_schema_is_refused():
    """What this program does not know is told, and not half understood."""
    later = QuarantineReason(schema_version=QuarantineReason.SCHEMA + 1, name="a", reason="empty", message="b", source="c")
    with pytest.raises(DamagedStoreError, match=r"entry\.json: a QuarantineReason of schema 2; this program knows 1: update it first"):
        load(QuarantineReason, later.to_json(), name="entry.json")


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"name": 3}', b"\xff"])
def test_what_is_no_document_is_refused_with_its_name(data):
    """Neither half a file nor another kind of JSON raises anything else."""
    with pytest.raises(DamagedStoreError, match=r"reason\.json"):
        load(QuarantineReason, data, name="reason.json")


def test_the_ensembles_size_is_stored_under_its_first_name():
    """A job and a training of version 0.1 are read, and are written as version 0.1 wrote them."""
    fields = {"run": "r", "recipe": "heartbeat", "dataset_id": "d", "epochs": 1, "seed": 0, "version": "v"}
    job = load(TrainingJob, json.dumps(fields | {"n_members": 4}).encode(), name="job")
    assert job.ensemble_size == 4
    assert json.loads(job.to_json())["n_members"] == 4
    training = Training(params={}, ensemble_size=2, kept_epochs=(), epochs=(), n_weights=1)
    assert "ensemble_size" not in json.loads(training.to_json())
    assert load(Training, training.to_json(), name="training") == training


def test_an_older_document_gets_todays_form():
    """Bare lists and objects of version 0.1 are read."""
    assert load(RenderJob, b'[{"shard": "a", "recipes": ["heartbeat"]}]', name="job").shards[0].recipes == ("heartbeat",)
    assert load(QuarantineReason, b'{"name": "a", "reason": "empty", "message": "b", "source": "c"}', name="reason").schema_version == 1
    assert load(IntakeTries, b'{"a.csv": {"reason": "unreadable", "message": "b"}}', name="try").refused["a.csv"].message == "b"


def test_an_unknown_field_is_passed_over():
    """A field that a later program adds harms no older one."""
    plain = {"name": "a", "reason": "empty", "message": "b", "source": "c", "schema_version": 1, "colour": "red"}
    assert QuarantineReason.from_plain(plain).name == "a"


@pytest.mark.parametrize("kind", sorted(set(all_kinds()), key=lambda kind: kind.__name__))
def test_documents_are_frozen_and_have_a_version(kind):
    """No document changes once it is made, and each says which schema it follows."""
    assert kind.__struct_config__.frozen
    assert "schema_version" in kind.__struct_fields__
    assert all(part.__struct_config__.frozen for part in documents.__dict__.values() if isinstance(part, type(msgspec.Struct)))


def test_a_manifest_is_found_by_its_run(bucket):
    """The account of a run is read as its type; a run without one has none."""
    counts = RenderCounts(records=2, taken=1, windows=3)
    written = RenderManifest(dag=DagId.RENDER_SPECTROGRAMS, run="r", account=counts, shards=())
    assert write_manifest(bucket, written) == "manifests/render_spectrograms/r.json"
    read = read_manifest(bucket, RenderManifest, "r")
    assert (read.account, read.run) == (counts, "r")
    assert read.code == Code.running()
    assert find_manifest(bucket, RenderManifest, "never") is None
    bucket.put("manifests/render_spectrograms/r/list.json", b"[]")  # what stands beside an account is none
    assert list(read_manifests(bucket, RenderManifest)) == [read]


READS_JSON = {
    "archive/audit.py": "entries of the log, whose bytes are their names",
    "archive/registry.py": "champions",
    "pipeline/intake/notifications.py": "messages of S3",
    "queries/lineage/runs.py": "accounts as they were stored, to hold them against the log",
}
"""Modules beside the documents that take JSON apart, each into types of its own or byte by byte."""


def test_json_is_read_by_the_documents_alone():
    """Nothing else in archive, pipeline and queries parses JSON, so no literal key picks anything out of it."""
    found = set()
    for room in ("archive", "pipeline", "queries"):
        for path in (LIBRARY / room).rglob("*.py"):
            name = path.relative_to(LIBRARY).as_posix()
            calls = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
            if "documents" not in path.parts and any(ast.unparse(call.func) == "json.loads" for call in calls):
                found.add(name)
    assert found == READS_JSON.keys()
