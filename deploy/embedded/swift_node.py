"""Here: what the store's own Python runs: Swift's rings, its servers of data and its proxy, the secret between them, the proxy's memory and
its mark of changes.

Not here: their settings (``object_store``).

``swift_node.py rings FOLDER account=PORT …``, ``data FOLDER``, ``chores FOLDER CHORE …``, ``proxy FOLDER CONFIGURATION …`` or
``forget FOLDER``.
"""

import hmac
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

PART_POWER = 8
INNER_SECRET = "inner.secret"  # noqa: S105 - the file's name
"""File beside the configuration: what the account, container and object servers demand of every client."""
_HEADER = "X-Ecg-Inner-Secret"
KINDS = ("account", "container", "object")
"""Swift's servers of data; each has its ring, its port and its configuration."""
FORGOTTEN_S = 24 * 3600.0
"""So long a store at work keeps the name of a deleted object, and up to as long again until it looks."""
LOOK_S = 5.0
"""Between two looks whether a chore is due."""
AGAIN_S = 60.0
"""After a chore that failed."""


class ForwardClock:
    """Seconds since 1970 that never repeat and never go back, whatever the machine's clock does, in this process or the next.

    Swift numbers writes by the time and lets the highest win: what was overwritten after the clock was set back would silently stay as it
    was, and what was deleted would refuse to go. While the clock is behind, this one goes on from where it was, in Swift's smallest steps.

    Parameters
    ----------
    file : holds a moment that none given out so far is after, by a second at most
    """

    STEP_S = 1e-4
    """Swift's own numbers have five digits."""
    AHEAD_S = 1.0

    def __init__(self, file: Path, *, wall: Callable[[], float] = time.time) -> None:
        self._file = file
        self._wall = wall
        try:
            self._reserved = float(file.read_text())
        except (OSError, ValueError):
            self._reserved = 0.0
        self._last = self._reserved

    def now(self) -> float:
        """Return a moment after all that were given out before."""
        self._last = max(self._wall(), self._last + self.STEP_S)
        if self._last > self._reserved:
            with suppress(OSError):  # a full disk: reading needs the time, too, and goes on; the next moment tries again
                partial = self._file.with_suffix(".new")
                partial.write_text(f"{self._last + self.AHEAD_S:.5f}")
                partial.replace(self._file)
                self._reserved = self._last + self.AHEAD_S
        return self._last


def make_rings(folder: Path, servers: list[str]) -> None:
    """Make one ring a server, given as ``kind=port``: this machine's one disk, one replica."""
    from swift.common.ring import RingBuilder  # type: ignore[import-not-found]

    for server in servers:
        kind, port = server.split("=")
        builder = RingBuilder(part_power=PART_POWER, replicas=1, min_part_hours=0)
        builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "disk", "weight": 1.0})
        builder.rebalance()
        builder.get_ring().save(str(folder / f"{kind}.ring.gz"))


class Gate:
    """WSGI filter of an inner server: lets in only who knows the secret.

    Swift's inner servers ask for no credentials: they are made for a private network. On one machine every local user reaches
    the loopback, so without this filter every user could read and change the bucket.
    """

    def __init__(self, server: Callable[..., Iterable[bytes]], secret: str) -> None:
        if not secret:
            raise ValueError("the secret of the store's inner servers is empty")
        self._server = server
        self._secret = secret.encode("latin-1")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Hand the request on, or answer 403 without reading it."""
        given = str(environ.get("HTTP_" + _HEADER.upper().replace("-", "_"), ""))
        if hmac.compare_digest(given.encode("latin-1", "replace"), self._secret):
            return self._server(environ, start_response)
        start_response("403 Forbidden", [("Content-Length", "0"), ("Connection", "close")])
        return [b""]


def gate(_common: dict[str, str], *, secret_file: str, **_paste: str) -> Callable[[Callable[..., Iterable[bytes]]], Gate]:
    """Make the filter, for the servers' configuration (``paste.filter_factory``)."""
    secret = Path(secret_file).read_text(encoding="ascii")
    return lambda server: Gate(server, secret)


class Memory:
    """What the proxy knows of accounts and buckets, in its own process, as Swift would keep it in memcached.

    Without it Swift asks the account server and the container server before every request for an object. There is one proxy, which
    forgets a bucket when it creates or deletes it. Nothing is remembered of a bucket that is written to: while the container server is
    away a write has to fail, or it would return before a listing has it.
    """

    MOST = 1000
    """Keys at most: a client may ask for any number of buckets that there are not."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, str]] = {}

    def get(self, key: str, **_: object) -> Any:
        """Return a copy of the value, or None where there is none any more."""
        until, text = self._kept.get(key, (0.0, ""))
        return json.loads(text) if self._clock() < until else None

    def set(self, key: str, value: object, *, time: float = 0, **_: object) -> None:
        """Keep a value for so many seconds."""
        if len(self._kept) >= self.MOST:
            self._kept.clear()
        self._kept[key] = (self._clock() + time, json.dumps(value))

    def delete(self, key: str, **_: object) -> None:
        """Forget a value."""
        self._kept.pop(key, None)


class MemoryForWriting:
    """A memory in which no bucket is found; what is kept or forgotten in it is so in the whole one."""

    def __init__(self, whole: Memory) -> None:
        self._whole = whole
        self.set = whole.set
        self.delete = whole.delete

    def get(self, key: str, **_: object) -> Any:
        """Return what is known of an account; None for a bucket."""
        return None if key.startswith("container/") else self._whole.get(key)


def memory(_common: dict[str, str], **_paste: str) -> Callable[[Callable[..., Iterable[bytes]]], Callable[..., Iterable[bytes]]]:
    """Make the filter that hands Swift its memory with every request, for the proxy's configuration (``paste.filter_factory``)."""
    kept = Memory()
    for_writing = MemoryForWriting(kept)

    def filtered(proxy: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            environ["swift.cache"] = kept if environ["REQUEST_METHOD"] in {"GET", "HEAD"} else for_writing
            return proxy(environ, start_response)

        return answer

    return filtered


_Filter = Callable[[Callable[..., Iterable[bytes]]], Callable[..., Iterable[bytes]]]


def mark(_common: dict[str, str], *, file: str, **_paste: str) -> _Filter:
    """Make the filter that gives a file another time after each request that may have changed something (``paste.filter_factory``).

    A program that looks at the file's time before it lists a bucket knows later, by the time alone, whether another list would be the same.
    """
    Path(file).touch(mode=0o600)

    def marked(answer: Iterable[bytes]) -> Iterator[bytes]:
        try:
            yield from answer
        finally:
            if (close := getattr(answer, "close", None)) is not None:
                close()
            with suppress(OSError):
                os.utime(file, ns=(time.time_ns(), time.time_ns()))

    def filtered(proxy: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            given = proxy(environ, start_response)
            return given if environ["REQUEST_METHOD"] in {"GET", "HEAD"} else marked(given)

        return answer

    return filtered


def tell_secret(folder: Path) -> None:
    """Send the secret with every request that this process makes to an inner server.

    All of Swift's requests between servers go through ``BufferedHTTPConnection``.
    """
    from swift.common.bufferedhttp import BufferedHTTPConnection  # type: ignore[import-not-found]

    secret = (folder / INNER_SECRET).read_text(encoding="ascii")
    plain = BufferedHTTPConnection.putrequest

    def putrequest(connection: Any, *arguments: Any, **more: Any) -> None:
        plain(connection, *arguments, **more)
        connection.putheader(_HEADER, secret)

    BufferedHTTPConnection.putrequest = putrequest


def log_here_only() -> None:
    """Let this process log into its own output and nowhere else.

    Where ``log_address`` is no socket, Swift sends each line to port 514 of this machine, by UDP: keys of objects may stand in them.
    """
    import logging

    from swift.common.utils import logs  # type: ignore[import-not-found]

    logs.ThreadSafeSysLogHandler = lambda **_address: logging.NullHandler()


def run_data(folder: Path, _arguments: list[str]) -> None:
    """Become Swift's account, container and object servers in one process, each at its own port, and do what a daemon would beside them.

    It ends when one of them does, so that the supervisor starts all anew.
    """
    import eventlet  # type: ignore[import-not-found]
    from swift.common import utils, wsgi  # type: ignore[import-not-found]

    tell_secret(folder)
    log_here_only()
    servers = []
    for kind in KINDS:
        file = str(folder / f"store-{kind}.conf")
        conf, logger, global_conf, strategy = wsgi.check_config(file, f"{kind}-server", verbose=True)
        servers.append((conf, logger, strategy.no_fork_sock(), global_conf))
    utils.clean_up_daemon_hygiene()
    _keep_one_hub(utils.get_hub())
    ended = eventlet.queue.LightQueue()
    for told in servers:
        eventlet.spawn(wsgi.run_server, *told).link(ended.put)
    eventlet.spawn(look_after, folder).link(ended.put)
    ended.get().wait()  # raises what ended it
    sys.exit("a server of the store's data has ended")


def _keep_one_hub(kind: str) -> None:
    """Have one loop for all that runs in this process: each of Swift's servers begins with a new one, as it means to be alone."""
    from eventlet import hubs

    make = hubs.use_hub
    make(kind)
    hubs.use_hub = lambda kind=None: make() if kind is None else None  # eventlet's own threads ask for none by name


class Chores:
    """What has to be done beside the servers, and when: listings that lack a write, names to forget, copies that are too old.

    Parameters
    ----------
    folder : the store's
    clock : seconds, for tests
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._next = {"forget": clock() + FORGOTTEN_S, "expire": clock()}  # a start has just forgotten

    def due(self) -> list[str]:
        """Return the chores whose time has come, and note when each comes again."""
        now = self._clock()
        due = [chore for chore, at in self._next.items() if now > at]
        self._next |= dict.fromkeys(due, now + FORGOTTEN_S)
        return ["update"] * lacks_a_write(self._folder / "devices") + due

    def put_off(self, chores: Iterable[str]) -> None:
        """Do chores that failed again soon."""
        self._next |= {chore: self._clock() + AGAIN_S for chore in chores if chore in self._next}


def look_after(folder: Path) -> None:
    """Let the chores be done for ever, each time by a process of their own: it is rarely there, and holds up no request."""
    from eventlet import sleep
    from eventlet.green import subprocess  # type: ignore[import-not-found]

    chores = Chores(folder)
    while True:
        sleep(LOOK_S)
        if (due := chores.due()) and subprocess.call([sys.executable, __file__, "chores", str(folder), *due]) != 0:
            chores.put_off(due)


def lacks_a_write(devices: Path) -> bool:
    """Return whether a listing has not heard of a write: a server was away then."""
    return any(devices.glob("*/async_pending*/*/*"))


def run_chores(folder: Path, chores: list[str]) -> None:
    """Do some chores, ``update`` the listings, ``forget`` names or ``expire`` copies, and end with status 1 if one failed."""
    failed = False
    if "update" in chores:
        update(folder)
    if "forget" in chores:
        forget(folder, older_s=FORGOTTEN_S)
    if "expire" in chores:
        from swift_kept import SetAside  # type: ignore[import-not-found] # beside this script

        try:
            SetAside(folder).expire(now=time.time())
        except (OSError, ValueError) as error:  # the proxy is away
            failed = True
            print(f"what is kept of deleted objects could not be looked through: {error}", file=sys.stderr)  # noqa: T201 - its log
    sys.exit(failed)


def update(folder: Path) -> None:
    """Put into the listings what they lack, as ``swift-object-updater`` does, which by itself looks for its settings in /etc/swift."""
    from swift.common import utils
    from swift.common.daemon import run_daemon  # type: ignore[import-not-found]
    from swift.obj.updater import ObjectUpdater  # type: ignore[import-not-found]

    tell_secret(folder)
    log_here_only()
    utils.set_swift_dir(str(folder))
    run_daemon(ObjectUpdater, str(folder / "store-object.conf"), once=True, verbose=True)


def forget(folder: Path, *, older_s: float) -> None:
    """Remove the names of objects that were deleted so long ago: Swift keeps them until a replicator goes over them, which one node lacks.

    They stand in the databases of the listings, in rows and in what these have left behind, and beside the marks of deletions.
    """
    from swift.container.backend import ContainerBroker  # type: ignore[import-not-found]

    if lacks_a_write(folder / "devices"):
        return  # a listing that has not heard of a write yet must know what was deleted after it
    before = time.time() - older_s
    for mark in (folder / "devices").glob("*/objects*/*/*/*/*.ts"):
        with suppress(FileNotFoundError):
            if mark.stat().st_mtime < before:
                mark.unlink()
    for database in (folder / "devices").glob("*/containers/*/*/*/*.db"):
        broker = ContainerBroker(str(database))
        if broker.reclaim(before, before).reclaimed:
            with broker.get() as connection:
                connection.isolation_level = None  # a database is rewritten outside of any transaction
                connection.execute("VACUUM")


def run_forget(folder: Path, _arguments: list[str]) -> None:
    """Forget all that is deleted, while no server runs."""
    forget(folder, older_s=0.0)


def run_proxy(folder: Path, arguments: list[str]) -> None:
    """Become ``swift-proxy-server``, which numbers all writes, with a clock that never goes back.

    S3's own times, by which old signatures are refused, stay those of the machine's clock.
    """
    from swift.common.utils.timestamp import Timestamp  # type: ignore[import-not-found]
    from swift.proxy.server import main  # type: ignore[import-not-found]

    tell_secret(folder)
    log_here_only()
    clock = ForwardClock(folder / "cache" / "latest-write")

    def now(kind: Any, offset: int = 0, delta: int = 0) -> Any:
        return kind(clock.now() if kind is Timestamp else time.time(), offset=offset, delta=delta)

    Timestamp.now = classmethod(now)
    sys.argv[1:] = arguments
    main()


if __name__ == "__main__":
    commands: dict[str, Callable[[Path, list[str]], None]] = {
        "rings": make_rings,
        "data": run_data,
        "chores": run_chores,
        "proxy": run_proxy,
        "forget": run_forget,
    }
    commands[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
