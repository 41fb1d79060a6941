"""A night in the manner of ``python -m tests.faults``, the proxy it needs, and that what it looks for would be found."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from deploy.embedded import object_store
from ecg_tasks.archive import keys
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import StoreError
from tests.faults import breaks, clock
from tests.faults.__main__ import table
from tests.faults.alone import unbroken
from tests.faults.bench import opened, wait_until
from tests.faults.breaks import Break
from tests.faults.checks import counts_by_run
from tests.faults.faults import A_NIGHT, FAULTS, OTHERS, Fault, everywhere
from tests.faults.proxy import Fate, Network, Proxy, Rule
from tests.faults.trial import Broken, Trial, trial

pytestmark = pytest.mark.slow

NIGHT = Fault(
    breaks=(
        *everywhere("task killed", breaks.kill_task),
        *(
            replace(place, what=f"{component} killed", act=breaks.kill(component))
            for place, component in zip(OTHERS[:-1], 2 * object_store.COMPONENTS, strict=True)
        ),
        replace(OTHERS[-1], what=f"{object_store.COMPONENTS[-1]} halted", act=breaks.halt(object_store.COMPONENTS[-1])),
    )
)
"""Every working task is killed once, and each part of the object store twice; one of them is halted, too: the guardian has to find it.

The whole suite, by hand, takes hours on a busy machine.
"""


@pytest.fixture(scope="module")
def alone(clean_environment, bucket_in, s3_server):
    """What came of a night's work in this process, and the requests by which it was done, in their order."""
    asked = []
    proxy = Proxy(int(s3_server.rpartition(":")[2]))
    with pytest.MonkeyPatch.context() as patch:
        behind = bucket_in(patch)
        patch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        patch.setattr(proxy, "rule_for", lambda request, *, answered: asked.append(request) if answered else None)
        done = unbroken(behind, A_NIGHT)
    proxy.shutdown()
    proxy.server_close()
    return done, asked


@pytest.mark.stack
@pytest.mark.timeout(3600)
def test_a_night_comes_through(alone):
    """Everything that was broken came back by itself, and nothing differs from the same work done by one process."""
    alone, _ = alone
    assert alone.received["records"] == len(alone.labels) > 20
    with opened() as bench:
        wait_until(bench.is_healthy, "a healthy stack")
        done = trial(bench, "the suite's", NIGHT, unbroken=alone)
    assert done.faults == ()
    assert len(done.broken) == len(NIGHT.breaks) == 10


@pytest.fixture
def way(s3_server, bucket, monkeypatch):
    """A proxy, the bucket behind it, and the same bucket as it looks through the proxy."""
    proxy = Proxy(int(s3_server.rpartition(":")[2]))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    yield proxy, bucket, ObjectStore.connect(bucket.bucket)
    proxy.shutdown()
    proxy.server_close()


def test_the_proxy_changes_nothing(way):
    """What is written, copied, listed, read and removed through it is what the store has."""
    proxy, behind, through = way
    through.put("a/größe b.bin", b"bytes" * 10_000)
    through.copy("a/größe b.bin", "b")
    assert behind.get("b") == through.get("b") == behind.get("a/größe b.bin") == b"bytes" * 10_000
    through.delete("b")
    assert through.list_keys("") == behind.list_keys("") == ["a/größe b.bin"]
    assert through.info("b") is None
    assert (proxy.torn, proxy.n_read) == ([], 1)


@pytest.mark.parametrize("fate", [Fate.HALF_UP, Fate.HANG_UP])
def test_half_a_write_is_no_object(way, fate):
    """A write that breaks off leaves what was there before; the next try writes it whole."""
    proxy, behind, through = way
    behind.put("one", b"before")
    proxy.rules = [Rule(method="PUT", pattern="one", act=lambda _: fate)]
    through.put("one", b"after " * 50_000)  # tried again below our own errors
    assert behind.get("one") == b"after " * 50_000
    assert proxy.rules[0].fired_at


def test_half_an_answer_is_an_error(way):
    """A read that breaks off is never taken for the object."""
    proxy, behind, through = way
    behind.put("one", b"whole " * 50_000)
    proxy.rules = [Rule(method="GET", pattern="one", act=lambda _: Fate.HALF_DOWN)]
    with pytest.raises(StoreError, match="could not read one"):
        through.get("one")
    assert through.get("one") == b"whole " * 50_000


def test_a_bad_network_is_an_error_and_passes(way):
    """Cut off and refused requests raise what a task is tried again for; afterwards all is well."""
    proxy, behind, through = way
    for bad in (Network(cut=True), Network(status=500), Network(status=503)):
        proxy.network = bad
        with pytest.raises(StoreError, match="could not write one"):
            through.put("one", b"1")
        proxy.network = Network()
    through.put("one", b"2")
    assert behind.get("one") == b"2"


def test_the_owner_of_a_request_is_known(way):
    """The process that is killed is the one that asked."""
    proxy, _, through = way
    owners = []
    proxy.rules = [Rule(method="PUT", pattern="second", nth=2, act=lambda request: owners.append(request.owner.pid) or Fate.PASS)]
    for key in ("first", "second", "second", "second"):
        through.put(key, b"")
    assert owners == [os.getpid()]


def test_torn_reads_are_seen(way):
    """Bytes that nobody wrote whole through the proxy are told, were they in the store or not."""
    proxy, behind, through = way
    through.put("one", b"what was written")
    behind.put("one", b"what was")
    through.get("one")
    assert len(proxy.torn) == 1


def test_a_false_account_is_seen(bucket):
    """An account that does not add up is told."""
    counts = {"received": 3, "records": 1, "duplicates": 0, "quarantined": 1}
    bucket.put(keys.manifest("ingest_records", "one"), json.dumps({"account": counts}).encode())
    assert len(counts_by_run(bucket)) == 1


def test_every_break_of_a_night_finds_its_request(alone):
    """What one process asks of the store for the same work meets each pattern as often as its break waits for."""
    _, asked = alone
    breaks_of_it = {replace(one, what="", act=breaks.nothing) for fault in FAULTS.values() if fault.work == A_NIGHT for one in fault.breaks}
    assert len(breaks_of_it) > 15
    assert [one for one in breaks_of_it if not any(map(one.rule(None).fires, asked))] == []


def test_every_component_is_killed_and_halted():
    """None is left out; Airflow's own, the database and the store are killed each during an intake and during a report.

    A halted guardian is found by nobody but systemd.
    """
    from deploy.embedded import supervision

    killed = {(one.what, one.dag) for fault in FAULTS.values() for one in fault.breaks}
    assert {f"{name} killed" for name in supervision.COMPONENTS} <= {what for what, _ in killed}
    assert {f"{name} halted" for name in {*supervision.COMPONENTS, "supervisor"} - {supervision.GUARDIAN}} <= {what for what, _ in killed}
    for name in {*supervision.COMPONENTS} - {supervision.GUARDIAN}:
        assert {(f"{name} killed", "ingest_records"), (f"{name} killed", "classify_records")} <= killed


def test_every_task_of_every_dag_is_killed():
    """In some night; but for those that wait for a person in no process, those that do nothing, and one that only asks for another run."""
    from airflow.dag_processing.dagbag import DagBag

    dags = DagBag(dag_folder="dags").dags
    assert len(dags) == 8
    tasks = {(dag.dag_id, task) for dag in dags.values() for task in dag.task_ids}
    killed = {(one.dag, one.task) for fault in FAULTS.values() for one in fault.breaks if one.what == "task killed"}
    meant = {("ingest_records", "ask_for_the_rest")}
    assert tasks - killed == meant | {(dag, task) for dag in ("forget_patient", "retrain_model") for task in ("approval", "ended")}
    assert FAULTS["refusing"].while_asked


def test_the_table_tells_what_was_not_survived():
    """Each break has its row, and a night that was not survived says so."""
    broken = Broken(what="store killed", where="ingest_records.publish", retried_s=7.04, ended_s=None)
    told = table([Trial(name="one", broken=(broken,), faults=("lost",)), Trial(name="two", not_tried="no root")])
    assert "| one | store killed | ingest_records.publish | 7.0 s | – | **no** |" in told
    assert "not tried: no root" in told


def test_a_break_does_nothing_unless_told():
    """A place by itself is no fault."""
    assert Break(dag="", task="", method="PUT", pattern="").act is breaks.nothing


@pytest.mark.skipif(bool(clock.WHY_NOT), reason=clock.WHY_NOT)
def test_a_clock_that_is_set_back(tmp_path):
    """A program goes by the bench's clock at once, and still sleeps."""
    own = clock.Clock(tmp_path / "clock")
    own.set_back(3600)
    program = "import time; time.sleep(0.01); print(time.time())"
    done = subprocess.run([sys.executable, "-c", program], env=os.environ | own.variables(), capture_output=True, text=True, check=True)
    assert 3500 < time.time() - float(done.stdout) < 3700
