"""Here: the way between the tasks and the object store, which can be cut, slowed, made to lie, or held at one certain request.

Not here: what is broken while it holds (``breaks``). A signature covers a request's Host, so requests go on as they came.
"""

import enum
import hashlib
import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import psutil  # type: ignore[import-untyped]

_PIECE = 16 * 1024


class Fate(enum.Enum):
    """What becomes of a request that was held."""

    PASS = "goes on"
    HANG_UP = "never reaches the store"
    HALF_UP = "half of its body reaches the store"
    HALF_DOWN = "half of the answer comes back"
    LOSE_ANSWER = "reaches the store, and no answer comes back"


@dataclass(frozen=True, kw_only=True)
class Network:
    """How the way is at present: as it should be by default."""

    cut: bool = False
    status: int = 0
    """Answer every request with this error."""
    delay_s: float = 0.0
    bytes_per_s: float = 0.0
    """0: as fast as it goes."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request; ``owner`` is the process that made it."""

    method: str
    key: str
    port: int

    @property
    def owner(self) -> psutil.Process | None:
        """None if it has gone."""
        for one in psutil.net_connections(kind="tcp"):
            if one.laddr and one.laddr.port == self.port and one.pid and one.status == psutil.CONN_ESTABLISHED:
                with suppress(psutil.NoSuchProcess):
                    return psutil.Process(one.pid)
        return None


@dataclass(kw_only=True, eq=False)
class Rule:
    """Do something at the n-th request of a kind, once, while it is held.

    Parameters
    ----------
    method, pattern : of the request; the pattern is searched for in its key
    nth : at which of them, from 1
    act : done while the request is held; says what becomes of it
    answered : hold the answer instead: the store has done what was asked
    """

    method: str
    pattern: str
    act: Callable[[Request], Fate]
    nth: int = 1
    answered: bool = False
    fired_at: float = 0.0
    _seen: int = field(default=0, init=False)

    def fires(self, request: Request) -> bool:
        """Whether this is the one."""
        if self.fired_at or request.method != self.method or not re.search(self.pattern, request.key):
            return False
        self._seen += 1
        if self._seen < self.nth:
            return False
        self.fired_at = time.time()
        return True


class Proxy(ThreadingHTTPServer):
    """Listens on a free port of 127.0.0.1 and passes everything on to the store at ``port``."""

    daemon_threads = True
    request_queue_size = 128
    block_on_close = False

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.store_port = port
        self.network = Network()
        self.rules: list[Rule] = []
        self.torn: list[str] = []
        """Reads that gave other bytes than somebody once wrote whole."""
        self.n_read = 0
        self._written: dict[str, set[str]] = {}
        self._lock = threading.Lock()
        self._clients: set[socket.socket] = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where S3 seems to be."""
        return f"http://127.0.0.1:{self.server_port}"

    def forget(self) -> None:
        """Begin anew: no rules, a good network, nothing seen."""
        with self._lock:
            self.rules, self.network, self.torn, self.n_read, self._written = [], Network(), [], 0, {}

    def turn(self, network: Network, *, for_s: float) -> None:
        """Let the way be bad for a while, from now on; returns at once."""
        self.network = network
        if network.cut:
            for client in list(self._clients):
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
        timer = threading.Timer(for_s, self._mend)
        timer.daemon = True
        timer.start()

    def _mend(self) -> None:
        self.network = Network()

    def rule_for(self, request: Request, *, answered: bool) -> Rule | None:
        """The rule whose request this is."""
        with self._lock:
            return next((rule for rule in self.rules if rule.answered == answered and rule.fires(request)), None)

    def note_write(self, key: str, data: bytes, *, source: str) -> None:
        """Somebody sent a whole object, or had one copied."""
        with self._lock:
            digests = self._written.get(source, set()) if source else {hashlib.md5(data, usedforsecurity=False).hexdigest()}
            self._written.setdefault(key, set()).update(digests)

    def note_read(self, key: str, data: bytes, *, etag: str) -> None:
        """Somebody was given an object."""
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        with self._lock:
            self.n_read += 1
            known = self._written.get(key)
            if digest != etag or (known and digest not in known):
                self.torn.append(f"{key}: {len(data)} bytes that nobody wrote so")

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is what this is for."""


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def setup(self) -> None:
        super().setup()
        self.server._clients.add(self.connection)

    def finish(self) -> None:
        self.server._clients.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def _exchange(self) -> None:
        body = self._slowly_read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        request = Request(method=self.command, key=unquote(address.path.lstrip("/").partition("/")[2]), port=self.client_address[1])
        network = self.server.network
        time.sleep(network.delay_s)
        rule = self.server.rule_for(request, answered=False)
        fate = rule.act(request) if rule else Fate.PASS
        network = self.server.network
        if network.cut or fate is Fate.HANG_UP:
            return self._hang_up()
        if network.status:
            return self._refuse(network.status)
        try:
            status, headers, data = self._ask_store(body, half=fate is Fate.HALF_UP)
        except (OSError, http.client.HTTPException):
            return self._hang_up()
        if request.method == "PUT" and request.key:
            copied = unquote(self.headers.get("x-amz-copy-source", "")).lstrip("/").partition("/")[2]
            self.server.note_write(request.key, body, source=copied)
        later = self.server.rule_for(request, answered=True)
        fate = later.act(request) if later else fate
        if fate is Fate.LOSE_ANSWER or self.server.network.cut:
            return self._hang_up()
        if request.method == "GET" and request.key and status == http.client.OK and fate is Fate.PASS:
            self.server.note_read(request.key, data, etag=dict(headers).get("ETag", dict(headers).get("Etag", "")).strip('"'))
        return self._answer(status, headers, data, half=fate is Fate.HALF_DOWN)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _exchange  # noqa: N815 - http.server looks for these names

    def _slowly_read(self, n_bytes: int) -> bytes:
        pieces = []
        while n_bytes > 0:
            piece = self.rfile.read(min(n_bytes, _PIECE))
            if not piece:
                raise ConnectionError("the client went away in the middle of its request")
            pieces.append(piece)
            n_bytes -= len(piece)
            self._wait_for(len(piece))
        return b"".join(pieces)

    def _ask_store(self, body: bytes, *, half: bool) -> tuple[int, list[tuple[str, str]], bytes]:
        store = http.client.HTTPConnection("127.0.0.1", self.server.store_port, timeout=120)
        try:
            store.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() != "expect":  # answered here; it is not signed
                    store.putheader(name, value)
            store.endheaders()
            if half:
                store.send(body[: len(body) // 2])
                raise ConnectionError("half of it was enough")
            if body:
                store.send(body)
            answer = store.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            store.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], data: bytes, *, half: bool = False) -> None:
        self.send_response_only(status)
        framing = {"connection", "transfer-encoding"} | (set() if self.command == "HEAD" else {"content-length"})
        for name, value in headers:
            if name.lower() not in framing:
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if half:
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            return self._hang_up()
        for start in range(0, len(data), _PIECE):
            self.wfile.write(data[start : start + _PIECE])
            self._wait_for(min(_PIECE, len(data) - start))
        return None

    def _refuse(self, status: int) -> None:
        code = {500: "InternalError", 503: "SlowDown"}[status]
        text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>As asked for.</Message></Error>'
        self._answer(status, [("Content-Type", "application/xml")], b"" if self.command == "HEAD" else text.encode())

    def _wait_for(self, n_bytes: int) -> None:
        if self.server.network.bytes_per_s:
            time.sleep(n_bytes / self.server.network.bytes_per_s)

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):  # with a reset, not a friendly end
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with suppress(OSError):
            self.wfile.close()
        with suppress(OSError):
            self.connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
