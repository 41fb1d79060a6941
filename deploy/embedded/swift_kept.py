"""Here: what the store keeps of an object of the archive that is written over or deleted, for how long, and the way back.

Not here: which objects these are (``ecg_tasks.archive.keys``), the store's other programs (``swift_node``).

Whoever has the bucket's key may write over and delete everything in it. Before that happens to an object of the archive, the store's proxy
puts a copy into an account of its own, to which the bucket's key does not reach; after some days the copy goes.

``swift_kept.py list FOLDER [PREFIX]`` or ``swift_kept.py back FOLDER KEY [STAMP]``.
"""

import hashlib
import hmac
import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

KEEPER = "keeper.json"
"""File beside the configuration: how the store's own programs reach what is kept."""
ACCOUNT = "AUTH_kept"
SEEN_AS = "set-aside."
"""Before a bucket's name: what is kept of it, as another bucket, for who sends the key ``erase``."""
USER = "kept:keeper"
_EXPIRY = ("HTTP_X_DELETE_AT", "HTTP_X_DELETE_AFTER")
_ON_COPIES = {"GET", "HEAD", "DELETE"}
_DAY_S = 24 * 3600.0
_MOST_BYTES = 5 * 1024**3
"""No object is longer that comes in one request, as a copy does."""
_GONE = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND)


def derived(secret: str, use: str) -> str:
    """Return a key of its own for one use, made of the secret between the store's servers."""
    return hmac.new(secret.encode(), use.encode(), hashlib.sha256).hexdigest()


class Keep:
    """WSGI filter of the proxy: a copy of an object below ``prefixes`` is set aside before it is written over or deleted.

    Who sends the key ``erase`` lets nothing be kept, of what was set aside before neither: what is forgotten must be nowhere. He may also
    list, read and delete the copies, as objects ``KEY/STAMP`` of a bucket ``set-aside.BUCKET``: what was forgotten may have been deleted
    before.
    """

    def __init__(self, proxy: Callable[..., Iterable[bytes]], *, prefixes: tuple[str, ...], erase: str) -> None:
        self._proxy = proxy
        self._prefixes = prefixes
        self._erase = erase.encode()
        self._made: set[str] = set()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Hand the request on, after a copy was set aside where there is something to lose; 503 where that cannot be done."""
        led = self._led(environ)
        if led is not None:
            return self._proxy(led, start_response)
        place = self._place(environ)
        if place is None or not self._may(environ):
            return self._proxy(environ, start_response)
        for header in _EXPIRY:  # Swift's own way to let an object vanish later, which nothing here uses
            environ.pop(header, None)
        erases = self._knows_key(environ)
        environ.pop("HTTP_X_ECG_ERASE", None)
        new_only = environ.get("HTTP_IF_NONE_MATCH", "").strip() == "*"
        if environ["REQUEST_METHOD"] == "POST" or (environ["REQUEST_METHOD"] == "PUT" and new_only):
            return self._proxy(environ, start_response)
        done = self._forget(environ, *place) if erases else self._set_aside(environ, *place)
        if done:
            return self._proxy(environ, start_response)
        start_response("503 Service Unavailable", [("Content-Length", "0")])
        return [b""]

    def _knows_key(self, environ: dict[str, Any]) -> bool:
        given = str(environ.get("HTTP_X_ECG_ERASE", "")).encode("latin-1", "replace")
        return bool(self._erase) and hmac.compare_digest(given, self._erase)

    def _led(self, environ: dict[str, Any]) -> dict[str, Any] | None:
        """Return a request for copies as one to the account that holds them; None for any other request."""
        version, _account, bucket, key = [*str(environ["PATH_INFO"]).lstrip("/").split("/", 3), "", "", ""][:4]
        if not bucket.startswith(SEEN_AS) or environ["REQUEST_METHOD"] not in _ON_COPIES or not self._knows_key(environ):
            return None
        path = "/".join(["", version, ACCOUNT, bucket.removeprefix(SEEN_AS), *filter(None, [key])])
        return environ | {"PATH_INFO": path, "swift.authorize": lambda _request: None}

    def _place(self, environ: dict[str, Any]) -> tuple[str, str] | None:
        """Return bucket and key of an object of the archive that a request would change."""
        if environ["REQUEST_METHOD"] not in {"PUT", "DELETE", "POST"}:
            return None
        _version, account, bucket, key = [*str(environ["PATH_INFO"]).lstrip("/").split("/", 3), "", "", ""][:4]
        return (bucket, key) if account != ACCOUNT and key.startswith(self._prefixes) else None

    @staticmethod
    def _may(environ: dict[str, Any]) -> bool:
        """Return whether the sender may do it at all: what is refused anyway must not fill the disk."""
        from swift.common.swob import Request  # type: ignore[import-not-found]

        authorize = environ.get("swift.authorize")
        return authorize is None or authorize(Request(environ)) is None

    def _set_aside(self, environ: dict[str, Any], bucket: str, key: str) -> bool:
        from swift.common.utils import FileLikeIter  # type: ignore[import-not-found]
        from swift.common.utils.timestamp import Timestamp  # type: ignore[import-not-found]

        found = self._ask(environ, "GET", environ["PATH_INFO"])
        if found.status_int == HTTPStatus.NOT_FOUND:
            return True
        if found.status_int != HTTPStatus.OK:
            return False
        if (found.content_length or 0) > _MOST_BYTES:  # a report as CSV may be; it can be made again of its table
            found.app_iter.close()
            return True
        if bucket not in self._made:
            if self._ask(environ, "PUT", f"/v1/{ACCOUNT}/{bucket}").status_int not in {HTTPStatus.CREATED, HTTPStatus.ACCEPTED}:
                return False
            self._made.add(bucket)
        headers = {"Content-Length": str(found.content_length), "Content-Type": found.content_type or "application/octet-stream"}
        target = f"/v1/{ACCOUNT}/{bucket}/{key}/{Timestamp.now().internal}"
        return bool(self._ask(environ, "PUT", target, headers=headers, body=FileLikeIter(found.app_iter)).status_int == HTTPStatus.CREATED)

    def _forget(self, environ: dict[str, Any], bucket: str, key: str) -> bool:
        """Delete what was set aside of an object before."""
        listed = self._ask(environ, "GET", f"/v1/{ACCOUNT}/{bucket}", query=f"format=json&prefix={_quoted(key)}/")
        if listed.status_int == HTTPStatus.NOT_FOUND:
            return True
        if listed.status_int != HTTPStatus.OK:
            return False
        names = [one["name"].encode().decode("latin-1") for one in json.loads(listed.body or b"[]")]
        exact = [name for name in names if name.rpartition("/")[0] == key]
        return all(self._ask(environ, "DELETE", f"/v1/{ACCOUNT}/{bucket}/{name}").status_int in _GONE for name in exact)

    def _ask(
        self, environ: dict[str, Any], method: str, path: str, *, query: str = "", headers: dict[str, str] | None = None, body: Any = None
    ) -> Any:
        from swift.common.wsgi import make_pre_authed_request  # type: ignore[import-not-found]

        # without a question mark the request would have the query of the one in hand, such as that its body is a list of parts
        asked = f"{_quoted(path)}?{query}"
        request = make_pre_authed_request(environ, method=method, path=asked, headers=headers, swift_source="KEEP")
        if body is not None:
            request.environ["wsgi.input"] = body
        return request.get_response(self._proxy)


def keep(_common: dict[str, str], *, prefixes: str, keeper_file: str, **_paste: str) -> Callable[[Callable[..., Iterable[bytes]]], Keep]:
    """Make the filter, for the proxy's configuration (``paste.filter_factory``)."""
    erase = json.loads(Path(keeper_file).read_text())["erase"]
    return lambda proxy: Keep(proxy, prefixes=tuple(prefixes.split()), erase=erase)


class SetAside:
    """What is set aside, through the proxy, which has to run."""

    def __init__(self, folder: Path) -> None:
        told = json.loads((folder / KEEPER).read_text())
        self._address = f"http://127.0.0.1:{told['port']}"
        self._days = float(told["days"])
        self._account = told["account"]
        self._token = ""
        with self._ask("GET", "/auth/v1.0", headers={"X-Auth-User": USER, "X-Auth-Key": told["key"]}) as let_in:
            self._token = let_in.headers["X-Auth-Token"]

    def copies(self, prefix: str = "") -> Iterator[tuple[str, str, str, int]]:
        """Yield bucket, key, stamp (when it was set aside, in seconds since 1970) and size of every copy, by key and time."""
        for bucket in self._listed(f"/v1/{ACCOUNT}"):
            for one in self._listed(f"/v1/{ACCOUNT}/{_quote(bucket['name'])}", prefix):
                key, _, stamp = one["name"].rpartition("/")
                yield bucket["name"], key, stamp, one["bytes"]

    def expire(self, *, now: float) -> int:
        """Delete the copies that are older than they are kept; returns how many."""
        old = [(bucket, key, stamp) for bucket, key, stamp, _ in self.copies() if float(stamp) < now - self._days * _DAY_S]
        for bucket, key, stamp in old:
            self._ask("DELETE", f"/v1/{ACCOUNT}/{_quote(bucket)}/{_quote(key)}/{stamp}").close()
        return len(old)

    def back(self, key: str, stamp: str = "") -> str:
        """Put a copy back, the latest unless told, and return its stamp; `KeyError` if there is none. What stands there is set aside."""
        found = [(bucket, at) for bucket, one, at, _ in self.copies(key) if one == key and stamp in {"", at}]
        if not found:
            raise KeyError(key)
        bucket, at = found[-1]
        with self._ask("GET", f"/v1/{ACCOUNT}/{_quote(bucket)}/{_quote(key)}/{at}") as copy:
            headers = {"Content-Length": copy.headers["Content-Length"], "Content-Type": copy.headers["Content-Type"]}
            self._ask("PUT", f"/v1/{self._account}/{_quote(bucket)}/{_quote(key)}", headers=headers, body=copy).close()
        return at

    def _listed(self, path: str, prefix: str = "") -> Iterator[dict[str, Any]]:
        marker = ""
        while True:
            try:
                with self._ask("GET", f"{path}?format=json&prefix={_quote(prefix)}&marker={_quote(marker)}") as answer:
                    page = json.loads(answer.read() or b"[]")
            except urllib.error.HTTPError as error:
                if error.code == HTTPStatus.NOT_FOUND:  # nothing was ever set aside
                    return
                raise
            if not page:
                return
            yield from page
            marker = page[-1]["name"]

    def _ask(self, method: str, path: str, *, headers: dict[str, str] | None = None, body: Any = None) -> Any:
        """Ask without any proxy between: the address is this machine's."""
        request = urllib.request.Request(  # noqa: S310 - our own address
            self._address + path, method=method, data=body, headers={"X-Auth-Token": self._token} | (headers or {})
        )
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120)


def _quoted(path: str) -> str:
    """Quote a path as WSGI hands it on: each character one byte."""
    return urllib.parse.quote(path.encode("latin-1"))


def _quote(name: str) -> str:
    return urllib.parse.quote(name)


def main(command: str, folder: str, *arguments: str) -> None:
    """List copies, a line of JSON each, or put one back."""
    kept = SetAside(Path(folder))
    if command == "list":
        for _bucket, key, stamp, size in kept.copies(*arguments):
            print(json.dumps({"key": key, "stamp": stamp, "bytes": size}))  # noqa: T201 - what it is asked for
        return
    try:
        print(kept.back(*arguments))  # noqa: T201 - what it is asked for
    except KeyError:
        sys.exit(f"nothing is kept of {arguments[0]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
