"""Here: what holds for every answer of the api-server, Airflow's own included: under which names it answers, headers, cookies.

Not here: who may see what (``security``), who saw what (``watching``).
"""

import ipaddress
import os
from collections.abc import Iterable
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager_cls
from airflow.configuration import conf
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ecg_ui import watching

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
ALLOWED_HOSTS = "ECG_ALLOWED_HOSTS"
"""Further names under which the server is reached, with commas between."""

POLICY = (
    "default-src 'self'; "
    "script-src 'self' 'wasm-unsafe-eval'; "  # the editor of SQL is WebAssembly
    "style-src 'self' 'unsafe-inline'; "  # Airflow's components style themselves
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
"""Of pages that are not ours; ours bring a stricter one (``security``)."""
FAB = "airflow.providers.fab"
FAB_POLICY = POLICY.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'")
"""Of the login and the accounts where FAB has them: its pages have scripts in them, without a nonce."""
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",  # Airflow shows our pages in a frame of its own
    "referrer-policy": "same-origin",  # without any referrer a browser would send forms without their origin, too
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""On every answer that does not bring its own, besides a policy."""
TRANSPORT_SECURITY = "max-age=31536000"
"""A year, sent where the pages are reached by TLS. Not for subdomains, which are not ours."""


class Doors:
    """The outermost layer of the api-server.

    Airflow adds a plugin's middleware innermost: inside its own, which sets cookies, and inside that which answers when something fails.
    So this one, when it is first called (by the server at its start, before any request), puts another of itself around the whole
    application, and only passes requests on from then.

    Parameters
    ----------
    app : what answers
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._watch = watching.Watch(app)
        self._hosts = allowed_hosts()
        self._https = urlsplit(conf.get("api", "base_url", fallback="")).scheme == "https"
        self._login_policy = login_policy(get_auth_manager_cls())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request that is meant for another server; pass others on, and the answer back with its headers."""
        whole = scope.get("app")
        if whole is not None and not isinstance(whole.middleware_stack, Doors):
            whole.middleware_stack = Doors(whole.middleware_stack)
        if scope["type"] == "lifespan":
            await self._watch(scope, receive, send)
            return
        if _PASSED in scope:
            await self._app(scope, receive, send)
            return
        scope[_PASSED] = True
        https = self._https or scope["scheme"] in {"https", "wss"}
        policy = self._login_policy if scope["path"].startswith(f"{watching.ROOT}/auth/") else POLICY

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = list(_headers(message["headers"], https=https, policy=policy))
            await send(message)

        host = _host(scope)
        if host in self._hosts or _is_address(host):
            await self._watch(scope, receive, with_headers)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            watching.note_other_host()
            await _refuse(with_headers)


_PASSED = "ecg.doors"
"""In the scope of a request that has come through the outermost layer."""
_SENTENCE = (
    b"This server does not answer under this name. AIRFLOW__API__BASE_URL (on Compose ECG_UI_URL) and ECG_ALLOWED_HOSTS say under which.\n"
)


def allowed_hosts() -> frozenset[str]:
    """Return the names under which the server answers: its address as it is configured for people and for tasks, loopback, further ones.

    A page of another site that lets its own name lead here (DNS rebinding) comes with that name, so it is refused. An address of digits
    cannot be made to lead elsewhere, and is always accepted (`_is_address`): probes of Kubernetes come with the pod's.
    """
    addresses = (conf.get("api", "base_url", fallback=""), conf.get("core", "execution_api_server_url", fallback="") or "")
    named = (urlsplit(address).hostname or "" for address in addresses)
    further = os.environ.get(ALLOWED_HOSTS, "").split(",")
    return frozenset(name.strip().lower().rstrip(".") for name in (*named, *further) if name.strip()) | LOOPBACK


def login_policy(auth_manager: type) -> str:
    """Return the policy of the pages below ``/auth/``, which are the auth manager's."""
    return FAB_POLICY if any(kind.__module__.startswith(FAB) for kind in auth_manager.__mro__) else POLICY


def _host(scope: Scope) -> str:
    """Return the name or address in the only Host header, without its port; empty if there is none that can be read."""
    found = [value for name, value in scope["headers"] if name == b"host"]
    if len(found) != 1:
        return ""
    try:
        return (urlsplit(f"//{found[0].decode('ascii')}").hostname or "").rstrip(".")
    except ValueError:  # UnicodeDecodeError is one
        return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _headers(present: Iterable[tuple[bytes, bytes]], *, https: bool, policy: str = POLICY) -> Iterable[tuple[bytes, bytes]]:
    """Yield the headers of an answer, its cookies made safe, and those of ours that it does not have."""
    names = set()
    for name, value in present:
        names.add(name.lower())
        yield name, _cookie(value, https=https) if name.lower() == b"set-cookie" else value
    wanted = {"content-security-policy": policy} | HEADERS | ({"strict-transport-security": TRANSPORT_SECURITY} if https else {})
    yield from ((name.encode(), value.encode()) for name, value in wanted.items() if name.encode() not in names)


def _cookie(value: bytes, *, https: bool) -> bytes:
    """Return a cookie that no script can read, that other sites' forms do not send, and, where there is TLS, only goes by it."""
    attributes = {part.partition(b"=")[0].strip().lower() for part in value.split(b";")[1:]}
    wanted = [(b"httponly", b"HttpOnly"), (b"samesite", b"SameSite=lax"), *([(b"secure", b"Secure")] if https else [])]
    return b"; ".join([value, *(text for name, text in wanted if name not in attributes)])


async def _refuse(send: Send) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(_SENTENCE)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": _SENTENCE})
