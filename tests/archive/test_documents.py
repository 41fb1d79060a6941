"""Documents keep what they hold, know their age."""

import ast
import json
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import ecg_tasks
from ecg_tasks.archive import documents
from ecg_tasks.archive.documents import (
    ClassifyManifest,
    Code,
    Document,
    IntakeManifest,
    Manifest,
    QuarantineReason,
    RenderCounts,
    RenderJob,
    RenderManifest,
    Training,
    TrainingJob,
    end_run,
    find_manifest,
    load,
    read_manifest,
    read_manifests,
    write_manifest,
)
from ecg_tasks.errors import DamagedStoreError, StoreConflictError
from ecg_tasks.names import DagId

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


def test_a_run_that_is_over_keeps_its_account(bucket, caplog):
    """A task that runs again after its run was over changes no account and says so; another account by the other way is refused."""
    first, second = (RenderManifest(dag=DagId.RENDER_SPECTROGRAMS, run="r", counts=counts(n), shards=()) for n in (1, 0))
    key = end_run(bucket, first)
    assert end_run(bucket, first) == end_run(bucket, second) == key
    assert "has its account already" in caplog.text
    assert find_manifest(bucket, RenderManifest, "r").counts == first.counts
    with pytest.raises(StoreConflictError, match=key):
        write_manifest(bucket, second)


def counts(n):
    """Counts of a rendering, all the same."""
    return RenderCounts(**dict.fromkeys(RenderCounts.__struct_fields__, n))


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
    written = RenderManifest(dag=DagId.RENDER_SPECTROGRAMS, run="r", counts=counts, shards=())
    assert write_manifest(bucket, written) == "manifests/render_spectrograms/r.json"
    read = read_manifest(bucket, RenderManifest, "r")
    assert (read.counts, read.run) == (counts, "r")
    assert read.code == Code.running()
    assert find_manifest(bucket, RenderManifest, "never") is None
    bucket.put("manifests/render_spectrograms/r/list.json", b"[]")  # what stands beside an account is none
    assert list(read_manifests(bucket, RenderManifest)) == [read]


READS_JSON = {
    "archive/audit.py": "entries of the log, whose bytes are their names",
    "archive/registry.py": "champions",
    "pipeline/deidentification/written.py": "what was written once, of which every value is looked at",
    "queries/lineage/runs.py": "accounts as they were stored, to hold them against the log",
}
"""Modules beside the documents that read JSON without naming its type at once."""


def modules(*rooms):
    """The syntax of every module of these rooms, by name, without the documents' own."""
    for room in rooms:
        for path in (LIBRARY / room).rglob("*.py"):
            if "documents" not in path.parts:
                yield path.relative_to(LIBRARY).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_json_is_read_by_the_documents_alone():
    """Nothing else in archive, pipeline and queries parses JSON, but for what stands in the list."""
    found = {
        name
        for name, tree in modules("archive", "pipeline", "queries")
        if any(isinstance(node, ast.Call) and ast.unparse(node.func) == "json.loads" for node in ast.walk(tree))
    }
    assert found == READS_JSON.keys()


def is_untyped(annotation):
    """Whether it is that of an object of JSON whose keys nobody knows."""
    return annotation is not None and any(
        f"{kind}[str, {value}]" in ast.unparse(annotation) for kind in ("dict", "Mapping") for value in ("Any", "object")
    )


class UntypedAccess(ast.NodeVisitor):
    """Collect the accesses by a literal key to objects of JSON that have no type, in one module."""

    def __init__(self, fields, functions):
        self.fields, self.functions, self.names, self.found = fields, functions, set(), []

    def is_untyped(self, node):
        """Whether an expression is such an object: by its annotation, or as what made it is annotated."""
        match node:
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
                return name in self.functions
            case ast.Attribute(attr=name):
                return name in self.fields
            case ast.Name(id=name):
                return name in self.names
        return False

    def visit_ClassDef(self, node):
        """Its fields are no names of the module."""
        outer = self.names
        self.generic_visit(node)
        self.names = outer

    def visit_FunctionDef(self, node):
        """Its arguments have annotations, and its names end with it."""
        outer, arguments = self.names, [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        self.names = outer | {argument.arg for argument in arguments if is_untyped(argument.annotation)}
        self.generic_visit(node)
        self.names = outer

    def visit_Assign(self, node):
        """A name for an untyped object is one, too."""
        if self.is_untyped(node.value):
            self.names = self.names | {target.id for target in node.targets if isinstance(target, ast.Name)}
        self.generic_visit(node)

    def visit_AnnAssign(self, node):
        """A name with such an annotation."""
        if is_untyped(node.annotation) and isinstance(node.target, ast.Name):
            self.names = self.names | {node.target.id}
        self.generic_visit(node)

    def visit_Subscript(self, node):
        """As in ``stored["key"]``."""
        self.look(node, node.value, node.slice)

    def visit_Call(self, node):
        """As in ``stored.get("key")``."""
        if isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
            self.look(node, node.func.value, node.args[0])
        else:
            self.generic_visit(node)

    def look(self, node, of, key):
        """Note an access where its key is a literal."""
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and self.is_untyped(of):
            self.found.append(f"line {node.lineno}: {ast.unparse(node)}")
        self.generic_visit(node)


def untyped_accesses(trees, library):
    """Every access by a literal key to an untyped object of JSON, by module; ``library`` tells what is one."""
    fields, functions = set(), {"loads"}
    for tree in library:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                parts = (part for part in node.body if isinstance(part, ast.AnnAssign) and is_untyped(part.annotation))
                fields |= {part.target.id for part in parts}
            elif isinstance(node, ast.FunctionDef) and is_untyped(node.returns):
                functions.add(node.name)
    found = {}
    for name, tree in trees:
        visitor = UntypedAccess(fields, functions)
        visitor.visit(tree)
        if visitor.found:
            found[name] = visitor.found
    return found


def test_no_literal_key_picks_anything_out_of_json():
    """Archive, pipeline and queries know the fields of every object of JSON by its type."""
    library = [ast.parse(path.read_text(encoding="utf-8")) for path in LIBRARY.rglob("*.py")]
    assert untyped_accesses(modules("archive", "pipeline", "queries"), library) == {}


def test_a_literal_key_would_be_found():
    """Each way in which one could be written."""
    code = """
class Kept:
    detail: Mapping[str, Any]

def told() -> dict[str, Any]: ...

def look(given: dict[str, Any], kept: Kept, columns: dict[str, int]):
    read = json.loads(given["a"])
    inner: dict[str, object] = {}
    return read["b"], inner.get("c"), kept.detail["d"], told()["e"], columns["f"], read[kept]
"""
    tree = ast.parse(code)
    (found,) = untyped_accesses([("toy", tree)], [tree]).values()
    assert [line.partition(": ")[2] for line in found] == [
        "given['a']",
        "read['b']",
        "inner.get('c')",
        "kept.detail['d']",
        "told()['e']",
    ]


FIRST_USE = """
import sys, threading
import msgspec
from ecg_tasks.archive.documents import prepared

sys.setswitchinterval(1e-6)
for number in range(200):
    parts = [msgspec.defstruct(f"Part{place}", [("a", int, 1), ("b", dict[str, float], {})]) for place in range(20)]
    fields = [(f"f{place}", tuple[part, ...], ()) for place, part in enumerate(parts)]
    kind = msgspec.defstruct(f"Kind{number}", fields)
    data = {f"f{place}": [{"a": 2, "b": {"x": 1.0}}] * 3 for place in reversed(range(20))}
    together = threading.Barrier(6)

    def use():
        together.wait()
        msgspec.convert(data, GIVEN)

    threads = [threading.Thread(target=use) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
"""


@pytest.mark.parametrize(("given", "ends"), [("prepared(kind)", {0}), ("kind", {-signal.SIGSEGV})])
def test_a_type_may_be_used_first_by_several_threads(given, ends):
    """Pages are opened at once; msgspec by itself ends the process, which is why its types are prepared."""
    program = FIRST_USE.replace("GIVEN", given)
    done = subprocess.run([sys.executable, "-c", program], cwd=LIBRARY.parent, capture_output=True, check=False, timeout=300)
    assert done.returncode in ends, done.stderr[-500:]
