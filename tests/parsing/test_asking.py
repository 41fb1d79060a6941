"""What a task reads by another process is what it would read itself; and a file that wants more than being read gets nothing."""

import contextlib
import gzip
import mmap
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from benchmarks.readers import written
from ecg_tasks import sandbox
from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import IntakeManifest, load
from ecg_tasks.errors import BadInputError, ConfigurationError, Reason
from ecg_tasks.parsing import asking, here, messages
from ecg_tasks.parsing.asking import Parser
from ecg_tasks.parsing.here import AskedDrop, read_here
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.readers import Read
from ecg_tasks.sandbox import Walls
from ecg_tasks.signals.record import Record
from tests.hospital_files import FORMATS, strip

HUNGRY = gzip.compress(b"1,2\n" * 1_000_000)
"""A million lines, which take more than 100 MB to be split, in some kilobytes."""
WALLED = pytest.mark.skipif(bool(sandbox.possible().missing), reason="this kernel has no Landlock or no seccomp")

PLANTED = """
import ctypes, errno, mmap, os, resource, signal, socket, sys, threading
from pathlib import Path
from ecg_tasks import readers
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.parsing import serving
from ecg_tasks.readers.base import OneFile, Reading

TASK = int(sys.argv[2])
HOME = {home!r}


def connects():
    with socket.create_connection(("127.0.0.1", {port})) as peer:
        peer.send(b"x")


def reads_the_tasks_environment():
    return Path(f"/proc/{{TASK}}/environ").read_bytes()


def reads_the_tasks_memory():
    return open(f"/proc/{{TASK}}/mem", "rb")


def traces_the_task():
    if ctypes.CDLL(None, use_errno=True).ptrace(16, TASK, 0, 0) < 0:
        raise PermissionError(ctypes.get_errno())


def forks():
    for _ in range(100):
        if not os.fork():
            os._exit(0)


def makes_files_in_memory():
    os.memfd_create("more")


def takes_all_memory():
    kept = []
    while True:
        kept.append(bytearray(b"x") * 50_000_000)


def mapped():
    frame = sys._getframe()
    while "shared" not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals["shared"]


def fills_what_it_was_given():
    shared = mapped()
    for at in range(0, len(shared), mmap.PAGESIZE):
        shared[at] = 1


def descriptor():
    return max(n for n in range(3, 64) if _is_memory(n))


def _is_memory(n):
    try:
        return os.fstat(n).st_nlink == 0
    except OSError:
        return False


def makes_it_longer():
    try:
        os.lseek(descriptor(), 0, os.SEEK_END)
        os.write(descriptor(), b"x")
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise PermissionError from error


def changes_what_follows():
    shared = mapped()
    start, size = (int(word) for word in shared[:64].split()[2:4])

    def change():
        while True:
            shared[start : start + size] = os.urandom(1) * size

    threading.Thread(target=change, daemon=True).start()
    raise BadInputError(Reason.UNREADABLE, "it goes on")


def never_ends():
    while True:
        pass


def crashes():
    ctypes.string_at(0)


DEEDS = dict(
    environment=lambda: (_ for _ in ()).throw(PermissionError) if not [one for one in os.environ if "SECRET" in one or "KEY" in one] else 1,
    task_environment=reads_the_tasks_environment,
    task_memory=reads_the_tasks_memory,
    trace=traces_the_task,
    socket=lambda: socket.socket(),
    connect=connects,
    secrets=lambda: Path(HOME, "secrets.json").read_text(),
    passwords=lambda: Path("/etc/passwd").read_text(),
    write=lambda: Path(HOME, "planted").write_text("x"),
    append=lambda: open(Path(HOME, "secrets.json"), "a"),
    remove=lambda: Path(HOME, "secrets.json").unlink(),
    mode=lambda: os.chmod(Path(HOME, "secrets.json"), 0o777),
    fork=forks,
    program=lambda: os.execv("/bin/sh", ["sh", "-c", "true"]),
    kill=lambda: os.kill(TASK, signal.SIGTERM),
    limits=lambda: resource.setrlimit(resource.RLIMIT_CPU, (1, 1)),
    shared=makes_files_in_memory,
    memory=takes_all_memory,
    disk=fills_what_it_was_given,
    shorter=lambda: os.ftruncate(descriptor(), 0),
    longer=makes_it_longer,
    rewrite=lambda: os.pwrite(descriptor(), b"x", 0),
    changes=changes_what_follows,
    endless=never_ends,
    crash=crashes,
)


class Planted(OneFile):
    name, title = "planted", "a planted file"

    def knows(self, name, head):
        return head.startswith(b"PLANTED ")

    def read(self, files, name):
        (data,) = files.values()
        DEEDS[data.split()[1].decode()]()
        Path(HOME, "done").write_text("x")
        raise SystemExit("it was done")

    def deidentified(self, files, name):
        return files


readers.READERS.insert(0, Planted())
serving.main()
"""


COUNTING = """
import os
from pathlib import Path
from ecg_tasks.parsing import serving


def counted(pid, sent):
    with Path({ended!r}).open("a") as ended:
        ended.write(f"{{pid}}\\n")


os.kill = counted
serving.main()
"""


@pytest.fixture
def home(tmp_path):
    """A home with a secret in it."""
    (tmp_path / "secrets.json").write_text("the secret of the home")
    return tmp_path


@pytest.fixture
def server():
    """A port that somebody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@contextlib.contextmanager
def readers_of(script, monkeypatch):
    """Let tasks have readers that a script of our own has changed."""
    listener = asking.listen()
    process = subprocess.Popen(
        [sys.executable, str(script), str(listener.fileno()), str(os.getpid())],
        env=sandbox.bare_environment() | {"PYTHONPATH": str(Path(__file__).parents[2])},
        pass_fds=[listener.fileno()],
    )
    monkeypatch.setenv(asking.ADDRESS, asking.address_of(listener))
    yield process
    process.kill()
    process.wait()
    listener.close()


@pytest.fixture
def planted(home, server, monkeypatch, tmp_path_factory):
    """Readers among which one does what its file says, as a library would that a file takes over; ``DEEDS`` are what it can do."""
    script = tmp_path_factory.mktemp("planted") / "planted.py"
    script.write_text(PLANTED.format(home=str(home), port=server.getsockname()[1]))
    monkeypatch.setenv("ECG_TEST_SECRET", "the secret of the task")
    with readers_of(script, monkeypatch) as process:
        yield SimpleNamespace(process=process, home=home, server=server)


BY_THE_READER = "environment task_environment task_memory trace socket connect secrets passwords write append remove mode fork program kill"
BY_THE_READER += " limits shared shorter longer rewrite"
ENDING = {"memory": Reason.TOO_LARGE, "disk": Reason.TOO_LARGE, "endless": Reason.TOO_LARGE, "crash": Reason.UNREADABLE}


@WALLED
def test_each_deed_of_a_hostile_file_is_refused_and_accounted_for(bucket, planted, monkeypatch, beat_rows, heartbeat_csv):
    """Every one ends in quarantine with a reason; the good file beside them is taken over, the account adds up, and nothing has changed."""
    monkeypatch.setattr(asking, "MEMORY_BYTES", 300_000_000)
    monkeypatch.setattr(asking, "CPU_S", 2)
    deeds, good = [*BY_THE_READER.split(), *ENDING], heartbeat_csv(beat_rows(3))
    inbox.put_files([*((f"w/{deed}.csv", f"PLANTED {deed} ".encode()) for deed in deeds), ("w/zz.csv", good)])
    (job,) = ingest_records.plan("r1")
    ingest_records.publish("r1", [ingest_records.ingest_batch(job)])
    manifest = load(IntakeManifest, bucket.get(keys.manifest("ingest_records", "r1")), name="manifest")
    reasons = {one.name.removesuffix(".csv").removeprefix("w/"): one for one in manifest.quarantined}
    assert {name: one.reason for name, one in reasons.items()} == dict.fromkeys(BY_THE_READER.split(), Reason.UNREADABLE) | ENDING
    failed = [reasons[deed].message for deed in BY_THE_READER.split()]
    assert [told for told in failed if "(PermissionError)" not in told and "(ValueError)" not in told] == [], "the kernel refused it"
    assert (manifest.counts.received, manifest.counts.records, manifest.counts.quarantined) == (len(deeds) + 3, 3, len(deeds))
    assert (planted.home / "secrets.json").read_text() == "the secret of the home"
    assert sorted(path.name for path in planted.home.iterdir()) == ["secrets.json"]
    planted.server.settimeout(0)
    with pytest.raises(BlockingIOError):
        planted.server.accept()
    assert planted.process.poll() is None
    assert bucket.list_keys(keys.INBOX) == []


def test_what_is_read_is_what_would_be_read_here(beat_rows, heartbeat_csv):
    """In every format: records with all that is known of them, refused rows, copies and faults are the same to the last bit."""
    drops = [*written().values(), {"a.csv": heartbeat_csv(beat_rows(4)) + b"1,2,3\n"}, {"x.jpg": b"\xff\xd8\xff"}]
    drops += [
        {f"r{form.suffix}": form.write(strip(leads=form.strip.leads, step_nv=form.strip.step_nv, seconds=6))} for form in FORMATS.values()
    ]
    with Parser() as parser:
        for contents in drops:
            name = f"w/{next(iter(contents))}"
            called = {file: f"0{file}" for file in contents}
            assert told(parser.read, name, contents, called) == told(read_here, name, contents, called)
            assert told(parser.read, name, contents, None) == told(read_here, name, contents, None)


def test_drops_are_read_together_as_one_by_one(beat_rows, heartbeat_csv):
    """By one question, each with its own fault, refused rows, copy and names; a copy that is the file itself comes back as that."""
    drops = [*written().values(), {"a.csv": heartbeat_csv(beat_rows(4)) + b"1,2,3\n"}, {"x.jpg": b"\xff\xd8\xff"}]
    asked = [
        AskedDrop(f"w{n}/{next(iter(drop))}", drop, {file: f"{n}{file}" for file in drop} if n % 3 else None)
        for n, drop in enumerate(drops)
    ]
    with Parser() as parser:
        found = parser.read_all(asked)
        pid = parser.pids()[1]
        assert [told_of(one) for one in found] == [told(read_here, *one) for one in asked]
        assert parser.read_all([]) == []
        assert parser.pids()[1] == pid
    assert sum(isinstance(one, BadInputError) for one in found) == 1


@WALLED
def test_what_ends_the_process_costs_only_itself(planted, beat_rows, heartbeat_csv):
    """Of drops that are read together each other is read as it would be alone, whatever came before the one that ends it, or after."""
    good = heartbeat_csv(beat_rows(3))
    crash = AskedDrop("c.csv", {"c.csv": b"PLANTED crash "}, None)
    first, last = (AskedDrop(name, {name: good}, {name: f"0{name}"}) for name in ("a.csv", "z.csv"))
    with Parser() as parser:
        found = parser.read_all([first, crash, last])
    assert [told_of(one) for one in (found[0], found[2])] == [told(read_here, *one) for one in (first, last)]
    assert (found[1].reason, found[1].message) == (
        Reason.UNREADABLE,
        "c.csv: the process that read it crashed (-11); export it again",
    )


@WALLED
def test_who_goes_on_writing_changes_nothing_that_was_taken(planted, beat_rows, heartbeat_csv):
    """A file leaves a thread behind that writes over the samples of the next answers, before they are taken and after that."""
    asked = AskedDrop("a.csv", {"a.csv": heartbeat_csv(beat_rows(40))}, {"a.csv": "0a.csv"})
    n_asked, size = len(asked.contents["a.csv"]) + len(messages.asking([asked])), 10_000
    with Parser() as parser:
        with pytest.raises(BadInputError, match="it goes on"):
            parser.read("c.csv", {"c.csv": f"PLANTED changes {n_asked} {size} ".encode()}, called=None)
        pid = parser.pids()[1]
        for _ in range(5):
            (found,) = parser.read_all([asked])
            before, begun = told_of(found), worked_s(pid)
            while worked_s(pid) < begun + 0.02:
                time.sleep(0.001)
            assert told_of(found) == before
            assert parser.pids()[1] == pid


def worked_s(pid):
    """The processor time of another process."""
    return time.clock_gettime(~pid << 3 | 2)


def test_a_drop_has_its_room(monkeypatch, beat_rows, heartbeat_csv):
    """One for which the shared file of the process would be too small has another process, and so have none of those after it."""
    monkeypatch.setattr(asking, "_LEAST_SHARED", 1024)
    monkeypatch.setattr(asking, "_MOST_KEPT", 8192)
    small, large = (AskedDrop("a.csv", {"a.csv": heartbeat_csv(beat_rows(n))}, {"a.csv": "0a.csv"}) for n in (1, 50))
    with Parser() as parser:
        pids = []
        for one in (small, large, small, large):
            assert [told_of(found) for found in parser.read_all([one])] == [told(read_here, *one)]
            pids.append(parser.pids()[1])
    assert pids[0] != pids[1] == pids[2] == pids[3]


def test_a_system_without_files_in_memory_has_them_on_the_disk(monkeypatch, beat_rows, heartbeat_csv):
    """Such as macOS: the file has no name, and is mapped as the other."""
    monkeypatch.setattr(messages, "sys", SimpleNamespace(platform="darwin"))
    asked = AskedDrop("a.csv", {"a.csv": heartbeat_csv(beat_rows(3))}, {"a.csv": "0a.csv"})
    with Parser() as parser:
        assert [told_of(one) for one in parser.read_all([asked, asked])] == [told(read_here, *asked)] * 2
        assert os.fstat(parser._file).st_nlink == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what a process has mapped")
def test_two_batches_share_nothing(beat_rows, heartbeat_csv):
    """Each process has the file of its own batch, and no descriptor of another; their parent has none."""
    good = {"a.csv": heartbeat_csv(beat_rows(3))}
    with Parser() as one, Parser() as other:
        for parser in (one, other):
            parser.read("a.csv", good, called=None)
        seen = [shared_files(parser.pids()[1]) for parser in (one, other)]
        own = [{os.fstat(parser._file).st_ino} for parser in (one, other)]
        assert seen == own
        assert own[0] != own[1]
        assert shared_files(one.pids()[0]) == set()


def shared_files(pid):
    """The numbers of the files in memory that a process has mapped, or opened."""
    mapped = [line.split()[4] for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "/memfd:ecg" in line]
    opened = [file.stat().st_ino for file in Path(f"/proc/{pid}/fd").iterdir() if "/memfd:ecg" in str(file.readlink())]
    return {int(number) for number in mapped} | set(opened)


def told_of(found):
    """A drop's answer, to be compared."""
    if isinstance(found, BadInputError):
        return found.reason, found.message
    read, copy = found
    return [vars_of(one) for one in read.records], read.rejected, copy


def told(parse, name, contents, called):
    """All that reading a drop gives, to be compared."""
    try:
        return told_of(parse(name, contents, called=called))
    except BadInputError as fault:
        return told_of(fault)


def vars_of(record):
    """The fields of a record; of the samples their bytes."""
    return {"samples": record.samples.tobytes()} | {
        name: value for name, value in vars(record).items() if name not in {"samples", "record_id"}
    }


def test_a_process_that_is_killed_costs_the_file_it_read(beat_rows, heartbeat_csv):
    """Somebody, or the kernel short of memory, kills it; the next file is read by a new one."""
    good = heartbeat_csv(beat_rows(3))
    with Parser() as parser:
        for sent, reason in ((signal.SIGKILL, Reason.TOO_LARGE), (signal.SIGSEGV, Reason.UNREADABLE)):
            assert len(parser.read("a.csv", {"a.csv": good}, called=None)[0].records) == 3
            os.kill(parser._pid, sent)
            with pytest.raises(BadInputError) as caught:
                parser.read("a.csv", {"a.csv": good}, called=None)
            assert caught.value.reason is reason


def test_memory_and_time_are_bounded_by_the_kernel(monkeypatch, beat_rows, heartbeat_csv):
    """A file that takes too much memory or too long is told with its bound, and the next one is read by a new process."""
    good, slow = heartbeat_csv(beat_rows(3)), heartbeat_csv(beat_rows(40)) * 1500
    with Parser() as parser:
        with monkeypatch.context() as patch:
            patch.setattr(asking, "MEMORY_BYTES", 60_000_000)
            patch.setattr(asking, "MEMORY_PER_BYTE", 0)
            with pytest.raises(BadInputError, match="more than 60 MB of memory, or more than there is") as caught:
                parser.read("hungry.csv.gz", {"hungry.csv.gz": HUNGRY}, called=None)
            assert caught.value.reason is Reason.TOO_LARGE
        with monkeypatch.context() as patch:
            patch.setattr(asking, "CPU_S", 0)
            patch.setattr(asking, "CPU_S_PER_MB", 0)
            with pytest.raises(BadInputError, match="took more than 0 s") as caught:
                parser.read("slow.csv", {"slow.csv": slow}, called=None)
            assert caught.value.reason is Reason.TOO_LARGE
        assert len(parser.read("a.csv", {"a.csv": good}, called=None)[0].records) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody hears at once that a task has gone")
def test_a_process_whose_task_has_gone_is_ended_once(monkeypatch, tmp_path, beat_rows, heartbeat_csv):
    """Its parent does not try it again and again until it has ended, which takes as much processor time as that takes."""
    good = {"a.csv": heartbeat_csv(beat_rows(3))}
    (tmp_path / "counting.py").write_text(COUNTING.format(ended=str(tmp_path / "ended")))
    with readers_of(tmp_path / "counting.py", monkeypatch):
        with Parser() as gone:
            gone.read("a.csv", good, called=None)
            left = psutil.Process(gone.pids()[1])
            left.suspend()
        for _ in range(3):
            with Parser() as other:
                other.read("a.csv", good, called=None)
        ended = [int(pid) for pid in (tmp_path / "ended").read_text().split()]
        left.kill()
    assert ended.count(left.pid) == 1


TASK = """
import sys
from ecg_tasks.parsing import asking
parser = asking.Parser()
parser.start()
print(*parser.pids(), flush=True)
if sys.argv[1:]:
    parser.read("a.csv", {"a.csv": (b",".join([b"0.5"] * 187) + b",0\\n") * 200_000}, called=None)
sys.stdin.readline()
"""


@pytest.mark.parametrize("work", [[], ["reads"]], ids=["waits", "reads"])
def test_a_killed_task_leaves_no_process_behind(work):
    """What read for it ends by itself, whether it works or waits: nobody is left who would end it."""
    command = [sys.executable, "-c", TASK, *work]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], text=True) as task:
        pids = [int(pid) for pid in task.stdout.readline().split()]
        assert all(map(psutil.pid_exists, pids))
        task.kill()
    left = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, alive = psutil.wait_procs(left, timeout=300)
    assert alive == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows where a program lies in memory")
def test_readers_begin_again_when_a_module_has_changed(beat_rows, heartbeat_csv):
    """A task finds our modules as they are on the disk, and so does what reads for it: the same process, with the program new."""
    good = {"a.csv": heartbeat_csv(beat_rows(3))}
    seen = []
    for _ in range(2):
        with Parser() as parser:
            assert len(parser.read("a.csv", good, called=None)[0].records) == 3
            pid = parser.pids()[0]
        seen.append((pid, Path(f"/proc/{pid}/maps").read_text().splitlines()[0]))
        os.utime(here.__file__)
    assert seen[0][0] == seen[1][0]
    assert seen[0][1] != seen[1][1], "it lies elsewhere, as every program that begins does"


def test_readers_that_begin_again_know_their_children(beat_rows, heartbeat_csv):
    """A task whose reader was forked before is told how that ended, and who reads for one that has gone is ended; nobody stays behind."""
    good = {"a.csv": heartbeat_csv(beat_rows(3))}
    with Parser() as old, Parser() as gone:
        for parser in (old, gone):
            assert len(parser.read("a.csv", good, called=None)[0].records) == 3
        left = [psutil.Process(parser.pids()[1]) for parser in (old, gone)]
        for _ in range(2):
            os.utime(here.__file__)
            with Parser() as new:
                assert len(new.read("a.csv", good, called=None)[0].records) == 3
        left[1].suspend()
        gone._end()
        left[0].send_signal(signal.SIGSEGV)
        with pytest.raises(BadInputError, match=r"the process that read it crashed \(-11\)"):
            old.read("a.csv", good, called=None)
    _, alive = psutil.wait_procs(left, timeout=300)
    assert alive == []


def wfdb_drop(*formats):
    """What is asked for, of a recording with one lead in each of these formats, in a file of its own, with its copy."""
    leads = [(number, fmt, lead) for number, (fmt, lead) in enumerate(zip(formats, ("II", "V1"), strict=False))]
    lines = [f"r.d{number} {fmt} 100000000(0)/mV 16 0 0 0 0 {lead}\n" for number, fmt, lead in leads]
    files = {"r.hea": f"r {len(formats)} 250 2500\n{''.join(lines)}".encode()}
    files |= {f"r.d{number}": bytes(range(250)) * 60 for number, *_ in leads}
    return AskedDrop("r.hea", files, {file: f"0{file}" for file in files})


@pytest.mark.parametrize("fmt", ["16", "24", "32", "61", "80", "160", "212", "310", "311", "8"])
def test_no_format_of_wfdb_needs_the_disk(fmt):
    """Behind walls nothing can be written, so each is read in memory."""
    drop = wfdb_drop(fmt)
    with Parser() as parser:
        assert told(parser.read, *drop[:2], drop.called) == told(read_here, *drop[:2], drop.called)
        assert len(parser.read(*drop[:2], called=None)[0].records) == 1
        assert parser._is_ordinary


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what lies in a process's memory")
def test_ordinary_recordings_are_read_by_a_fork_without_libraries(beat_rows, heartbeat_csv):
    """It costs a part of the other. What needs a library is read by one that has it, and so is what comes after it, whatever it is."""
    plain, resampled = wfdb_drop("16"), wfdb_drop("16", "16x2")
    table = AskedDrop("a.csv", {"a.csv": heartbeat_csv(beat_rows(3))}, None)
    with Parser() as parser:
        parsers = []
        for asked in ([plain, plain], [plain], [plain, resampled], [plain]):
            assert [told_of(one) for one in parser.read_all(asked)] == [told(read_here, *one) for one in asked]
            parsers.append((parser._pid, "/pandas/" in Path(f"/proc/{parser._pid}/maps").read_text()))
    assert [has_pandas for _, has_pandas in parsers] == [False, False, True, True]
    assert parsers[0] == parsers[1]
    assert parsers[2] == parsers[3]
    with Parser() as parser:
        parser.read_all([plain])
        assert [told_of(one) for one in parser.read_all([table, plain])] == [told(read_here, *one) for one in (table, plain)]
        assert "/pandas/" in Path(f"/proc/{parser._pid}/maps").read_text()


def test_ordinary_readers_begin_again_and_are_done_without():
    """They find modules that have changed, too, and end with those beside them; where there are none, the others read."""
    plain = wfdb_drop("16")
    with Parser() as parser:
        parser.read_all([plain])
        parent = psutil.Process(parser.pids()[0])
    os.utime(here.__file__)
    with Parser() as parser:
        assert told_of(parser.read_all([plain])[0]) == told(read_here, *plain)
        assert (parser.pids()[0], parser._is_ordinary) == (parent.pid, True)
    others = parent.parent()
    parent.kill()
    with Parser() as parser:
        assert told_of(parser.read_all([plain])[0]) == told(read_here, *plain)
        assert (parser.pids()[0], parser._is_ordinary) == (others.pid, False)
    asking._stop()
    with Parser() as parser:
        assert told_of(parser.read_all([plain])[0]) == told(read_here, *plain)
        assert parser._is_ordinary


def test_readers_that_are_ended_cost_no_file(beat_rows, heartbeat_csv):
    """Whoever ends the parent of all that read ends these, too: the file is read again, by others."""
    good = {"a.csv": heartbeat_csv(beat_rows(3))}
    with Parser() as parser:
        parser.start()
        parent, reader = map(psutil.Process, parser.pids())
        parent.kill()
        assert psutil.wait_procs([reader], timeout=300)[1] == []
        assert len(parser.read("a.csv", good, called=None)[0].records) == 3
        assert parser.pids()[0] != parent.pid


def test_a_process_that_lies_is_not_said_to_have_ended(monkeypatch, beat_rows, heartbeat_csv):
    """What is no answer refuses the file, with that as the reason, and the next file is read by another process."""
    good = {"a.csv": heartbeat_csv(beat_rows(3))}
    with Parser() as parser:
        with monkeypatch.context() as patch:
            patch.setattr(messages, "answered", lambda *_, **__: int("no number"))
            with pytest.raises(BadInputError, match="gave a wrong answer") as caught:
                parser.read("a.csv", good, called=None)
        assert caught.value.reason is Reason.UNREADABLE
        assert len(parser.read("a.csv", good, called=None)[0].records) == 3


def test_readers_that_die_before_they_start_end_the_wait(monkeypatch, beat_rows, heartbeat_csv):
    """What waits at their socket is taken by nobody then: the task fails, and its next try has readers again."""
    deaf = asking.listen()
    monkeypatch.setattr(asking, "START_S", 0.3)
    monkeypatch.setenv(asking.ADDRESS, asking.address_of(deaf))
    parser = Parser(required=False)
    with parser, pytest.raises(RuntimeError, match="did not start"):
        parser.read("x.csv", {"x.csv": heartbeat_csv(beat_rows(1))}, called=None)
    monkeypatch.undo()
    with Parser(required=False) as again:
        assert again.read("x.csv", {"x.csv": heartbeat_csv(beat_rows(1))}, called=None)[0].records
    deaf.close()


def test_walls_that_are_missing_are_told_once_or_refused(caplog):
    """Without Landlock files are read all the same, with a word in the log, unless the settings require it."""
    asking._tell.cache_clear()
    less = Walls(landlock=0, seccomp=True)
    for _ in range(2):
        asking._tell(less, required=False)
    assert caplog.text.count("this kernel has no Landlock: files are read in a process of their own") == 1
    with pytest.raises(ConfigurationError, match="ECG_SANDBOX is required, but this kernel has no Landlock"):
        asking._tell(less, required=True)
    asking._tell(Walls(landlock=1, seccomp=True), required=True)


ONE = Record(samples=np.ones((1, 4), dtype=np.float32), fs=1.0, leads=("II",), unit="mV", name="a")
AT = 1000
"""Where what was found begins."""


def drop(called=None):
    """What is asked for, of a file ``a`` that has ``x``."""
    return AskedDrop("a", {"a": b"x"}, called)


def answer(copy=None, called=None):
    """The bytes before an answer, and its own."""
    samples, files, end = messages.answering(drop(called), Read(records=(ONE,)), copy, logged=[])
    return b"".join([*samples, *files]), messages.packed([end])


DATA, END = answer()


@pytest.fixture
def shared():
    """A shared file, and the place where the process that reads has mapped it."""
    file = messages.shared_file(100_000)
    with mmap.mmap(file, 100_000) as mapped:
        yield SimpleNamespace(file=file, mapped=mapped)
    os.close(file)


@pytest.mark.parametrize(
    ("data", "end", "called"),
    [
        (DATA[:-4], END, None),
        (DATA + b"x", END, None),
        (DATA, b"\xc1", None),
        (*answer({"b": b"x"}), None),
        (*answer({"b": b"x"}), {"a": "c"}),
        (*answer({"b": b"x"}, called={"a": "b"}), {"a": "c"}),
        (DATA, messages.packed([]), None),
    ],
    ids=["short", "long", "no answer", "a copy nobody asked for", "a copy under another name", "another file as it was given", "none"],
)
def test_an_answer_is_checked_before_it_is_used(shared, data, end, called):
    """Whoever takes the process over can write what he likes: what is no answer to the question is none."""
    shared.mapped[AT : AT + len(data + end)] = data + end
    for n_answer in (len(end), len(end) + 1, -1):
        with pytest.raises((ValueError, TypeError)):
            messages.answered(shared.file, AT, len(data), n_answer, [drop(called)], room=messages.Room())
    shared.mapped[AT : AT + len(DATA + END)] = DATA + END
    ((_, read, _),) = messages.answered(shared.file, AT, len(DATA), len(END), [drop()], room=messages.Room())
    assert read.records[0].record_id == ONE.record_id


@pytest.mark.parametrize(("n_found", "n_answer"), [(100_000, 1), (-1, 1), (0, 100_000), (2**62, 2**62), (-(2**63), 2**63 - 1)])
def test_no_length_leads_out_of_the_shared_file(shared, n_found, n_answer):
    """Nothing beyond its end, or before what was found, is read."""
    with pytest.raises(ValueError, match="more than a shared file has"):
        messages.answered(shared.file, AT, n_found, n_answer, [drop()], room=messages.Room())


@pytest.mark.parametrize("size", [3, -2, 2**40], ids=["longer", "negative", "very long"])
def test_a_copy_lies_in_what_was_found(shared, size):
    """Its length is the stranger's word."""
    data, _ = answer({"b": b"xy"}, called={"a": "b"})
    told = messages.Answered(copy={"b": size})
    shared.mapped[AT : AT + len(data)] = data
    n_answer = messages.put(shared.mapped, [messages.packed([told])], at=AT + 2) - AT - 2
    with pytest.raises(ValueError, match="less than the answers report"):
        messages.answered(shared.file, AT, 2, n_answer, [drop({"a": "b"})], room=messages.Room())


def test_what_was_taken_does_not_change_any_more(shared):
    """It is a copy: who writes into the shared file after the answer changes nothing that was checked."""
    data, end = answer({"b": b"copy"}, called={"a": "b"})
    shared.mapped[AT : AT + len(data + end)] = data + end
    ((_, read, copy),) = messages.answered(shared.file, AT, len(data), len(end), [drop({"a": "b"})], room=messages.Room())
    shared.mapped[:] = b"\xff" * len(shared.mapped)
    assert (read.records[0].record_id, read.records[0].name, copy) == (ONE.record_id, "a", {"b": b"copy"})


def test_many_records_of_all_sizes_have_their_own_memory(shared):
    """Each gets its own samples, whether a block of memory has room for it or not."""
    room = messages.Room()
    taken = [room.take(n_samples) for n_samples in (10, 0, 5_000_000, 7, 4_000_000)]
    for number, samples in enumerate(taken):
        samples[:] = number
    assert [(samples.size, set(samples[:: max(1, samples.size // 9)])) for samples in taken] == [
        (10, {0}),
        (0, set()),
        (5_000_000, {2}),
        (7, {3}),
        (4_000_000, {4}),
    ]
