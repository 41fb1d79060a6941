"""Here: what of a request and its answer goes into the access log, and the session's cookie that scripts cannot read.

Not here: how it is stored (``actions.access``). Logins, refusals and pages are seen from outside, by request and status, so it does not
matter which auth manager lets people in; what a page showed, and to which user, the page itself says.
"""

import asyncio
import json
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qs

from airflow.api_fastapi.app import API_ROOT_PATH, get_cookie_path
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.core_api.security import GetUserDep, resolve_user_from_token
from fastapi import Depends, HTTPException, Request, Response, status
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ecg_tasks.actions import access
from ecg_tasks.actions.access import AccessOutcome, Act
from ecg_tasks.errors import EcgError
from ecg_ui.inputs import DATE, RECORD, RUN

ROOT = API_ROOT_PATH.rstrip("/")
LOGIN = re.compile(rf"{re.escape(ROOT)}/auth/(.*/)?(login|token)[^?]*")
"""Where auth managers take names and passwords."""
SENT_BACK = re.compile(rf"{re.escape(ROOT)}/auth/oauth-authorized/.+")
"""Where a provider of identities sends people back."""
MAX_BODY = 64 * 1024
"""Bytes of a login, or of its answer, that are looked at."""
MAX_NAME = 100
"""Characters of a name that was entered at a login."""
_SEEN = "ecg.seen"


@dataclass(kw_only=True)
class Shown:
    """What a page says of itself; empty where none of ours was reached."""

    who: str = ""
    page: str = ""
    record: str = ""
    other: str = ""
    """Another record that is shown with it."""
    run: str = ""
    thing: str = ""
    status: int = 0
    """With which status a page refused, before it sent the person to the login."""


def seen(request: Request) -> Shown:
    """Return where a page may say more about what it shows; what it says without the layer around it goes nowhere."""
    found = request.scope.setdefault(_SEEN, Shown())
    assert isinstance(found, Shown)  # noqa: S101 - nobody else writes there
    return found


def noted(request: Request, user: GetUserDep) -> None:
    """Say which page is shown to which user, and of what. Dependency of every page."""
    seen(request).who = user.get_name()
    say_what(request)


def say_what(request: Request) -> None:
    """Say which page was asked for, and which record, run or thing its address names; nothing where it is none of ours."""
    route = request.scope.get("route")
    if route is None:
        return
    found, values, query = seen(request), request.path_params, request.query_params
    found.page = f"/ecg{route.path}"
    found.record = _if(RECORD, values.get("record_id", ""))
    date, run = values.get("date") or query.get("date", ""), values.get("run") or query.get("run", "")  # a record, looked at from a report
    found.run = f"{date}/{run}" if _if(DATE, date) and _if(RUN, run) else ""
    found.thing = "/".join(str(values[name]) for name in ("kind", "recipe", "version", "plot", "name") if name in values)


def _if(pattern: str, value: str) -> str:
    """Return a part of an address if it is what it should be; it may be anything, a name too."""
    return value if re.fullmatch(pattern, value) else ""


Noted = Annotated[Shown, Depends(seen)]
"""For a page that shows a record which its address does not name."""


class Watch:
    """Notes logins, refusals and what our pages show.

    Parameters
    ----------
    app : what answers
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note what comes of it before the answer begins; nobody waits for the bucket."""
        if scope["type"] == "lifespan":
            await self._app(scope, _written_at_the_end(receive), send)
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[_SEEN] = found = Shown()
        login = _Login(scope, receive, send) if scope["method"] == "POST" and LOGIN.fullmatch(scope["path"]) else None
        is_noted = False

        async def watched(message: Message) -> None:
            nonlocal is_noted
            if message["type"] == "http.response.start":
                is_noted = True  # a download may last for minutes, and be killed
                await _note(scope, found, login, message)
            await (login.send if login else send)(message)

        try:
            await self._app(scope, login.receive if login else receive, watched)
        finally:
            if not is_noted:
                await _note(scope, found, login, {"status": status.HTTP_500_INTERNAL_SERVER_ERROR, "headers": []})


class _Login:
    """A login on its way in and out: whose name it has, and the session that it gives.

    Airflow's own login page asks for a token and has a script write it into a cookie, which any script could read then. So a page's
    request gets the cookie with the answer, as one that no script can read, and browsers do not let a script replace such a one.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]  # to read the answer
        self._headers = dict(scope["headers"])
        self._receive, self._send = receive, send
        self._body = bytearray()
        self._start: Message | None = None
        self._answer = bytearray()

    @property
    def name(self) -> str:
        """The name that was entered; empty if none can be found."""
        try:
            if b"json" in self._headers.get(b"content-type", b""):
                given = json.loads(self._body)["username"]
            else:
                given = parse_qs(self._body.decode())["username"][0]
        except (ValueError, KeyError, TypeError, IndexError, RecursionError):
            return ""
        return "".join(filter(str.isprintable, str(given)))[:MAX_NAME]

    async def receive(self) -> Message:
        """Hand on a piece of the request."""
        message = await self._receive()
        if message["type"] == "http.request" and len(self._body) < MAX_BODY:
            self._body += message.get("body", b"")
        return message

    async def send(self, message: Message) -> None:
        """Hand on a piece of the answer; one that gives a page a session waits until it is whole, to get the cookie."""
        if message["type"] == "http.response.start" and b"origin" in self._headers and _is_json(message):
            self._start = message
            return
        if self._start is not None and message["type"] == "http.response.body":
            self._answer += message.get("body", b"")
            if message.get("more_body") and len(self._answer) < MAX_BODY:
                return
            start, self._start = self._start, None
            if cookie := self._cookie():
                start["headers"] = [*start["headers"], cookie]
            await self._send(start)
            message = {**message, "body": bytes(self._answer)}
        await self._send(message)

    def _cookie(self) -> tuple[bytes, bytes] | None:
        try:
            token = json.loads(self._answer)["access_token"]
        except (ValueError, KeyError, TypeError):
            return None
        made = Response()
        made.set_cookie(COOKIE_NAME_JWT_TOKEN, str(token), path=get_cookie_path(), httponly=True, samesite="lax")
        return next((name, value) for name, value in made.raw_headers if name == b"set-cookie")


def note_other_host() -> None:
    """Note a request that was meant for a server of another name."""
    access.note(who="", act=Act.REQUEST, page="another host", outcome=AccessOutcome.REFUSED)


async def _note(scope: Scope, found: Shown, login: _Login | None, answer: Message) -> None:
    try:
        await _noted(scope, found, login, answer)
    except Exception:  # whatever it is, the answer must not suffer
        logging.getLogger(__name__).exception("An access could not be noted")


async def _noted(scope: Scope, found: Shown, login: _Login | None, answer: Message) -> None:
    code, session = found.status or answer["status"], _session(answer["headers"])
    page = found.page or _address(scope)
    of_what = {"record": found.record, "run": found.run, "thing": found.thing}
    if code >= status.HTTP_400_BAD_REQUEST:  # nothing of this name was shown, so it may be any text
        of_what |= {"run": "", "thing": ""}
    if login is not None and (outcome := _of_login(answer, session)):
        access.note(who=login.name, act=Act.LOGIN, page=page, outcome=outcome)
    elif login is None and session and scope["path"].startswith(f"{ROOT}/auth/"):  # a provider of identities sent the person back
        if (who := await _user(session)) != await _user(_credential(scope)):  # else the session that it had is handed on
            access.note(who=who, act=Act.LOGIN, page=page, outcome=AccessOutcome.SHOWN)
    elif SENT_BACK.fullmatch(scope["path"]) and _is_back_to_login(answer):  # nobody knows under which name
        access.note(who="", act=Act.LOGIN, page=page, outcome=AccessOutcome.REFUSED)
    elif code in _REFUSALS:
        access.note(who=found.who or await _user(_credential(scope)), act=Act.REQUEST, page=page, outcome=AccessOutcome.REFUSED, **of_what)
    elif found.who and scope["method"] in {"GET", "HEAD"}:
        for record in (found.record, found.other) if found.other else (found.record,):
            access.note(who=found.who, act=Act.READ, page=page, outcome=_of_page(code), **of_what | {"record": record})


_REFUSALS = {status.HTTP_401_UNAUTHORIZED, status.HTTP_403_FORBIDDEN}
_PLAIN = re.compile(r"[a-z0-9_]{1,20}", re.ASCII)


def _of_page(code: int) -> AccessOutcome:
    if code >= status.HTTP_500_INTERNAL_SERVER_ERROR:
        return AccessOutcome.FAILED
    return AccessOutcome.ABSENT if code >= status.HTTP_400_BAD_REQUEST else AccessOutcome.SHOWN


def _of_login(answer: Message, session: str) -> AccessOutcome | None:
    """Return how a login ended; None where a page sends the browser on and a later answer gives the session."""
    code = answer["status"]
    if code >= status.HTTP_500_INTERNAL_SERVER_ERROR:
        return AccessOutcome.FAILED
    if session or (code < status.HTTP_300_MULTIPLE_CHOICES and _is_json(answer)):
        return AccessOutcome.SHOWN
    if status.HTTP_300_MULTIPLE_CHOICES <= code < status.HTTP_400_BAD_REQUEST and not _is_back_to_login(answer):
        return None
    return AccessOutcome.REFUSED  # with a status, by the form once more, or by the way back to it


def _is_back_to_login(answer: Message) -> bool:
    return b"login" in dict(answer["headers"]).get(b"location", b"")


def _session(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the session that an answer gives the browser; empty if it gives none, or takes one away."""
    for name, value in headers:
        if name == b"set-cookie":
            given = value.decode("latin-1").partition(";")[0].partition("=")
            if given[0].strip() == COOKIE_NAME_JWT_TOKEN and given[2].strip('"'):
                return given[2]
    return ""


def _credential(scope: Scope) -> str:
    """Return the token with which a request came; a header goes before a cookie, as it does in Airflow."""
    request = Request(scope)
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token if kind.lower() == "bearer" else request.cookies.get(COOKIE_NAME_JWT_TOKEN, "")


async def _user(token: str) -> str:
    """Return the name of the user who has a token; empty without a valid one."""
    if not token:
        return ""
    try:
        return str((await resolve_user_from_token(token)).get_name())
    except HTTPException:
        return ""


def _address(scope: Scope) -> str:
    """Return a path that is none of our pages: its first two parts, so that no value of an address is kept."""
    parts = [part if _PLAIN.fullmatch(part) else "…" for part in scope["path"].removeprefix(ROOT).split("/")[1:3]]
    return "/" + "/".join(parts)


def _is_json(answer: Message) -> bool:
    return any(name == b"content-type" and value.startswith(b"application/json") for name, value in answer["headers"])


def _written_at_the_end(receive: Receive) -> Receive:
    """Return what tells the application to stop, after what waits was written."""

    async def received() -> Message:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            try:
                await asyncio.to_thread(access.flush)
            except EcgError as error:
                logging.getLogger(__name__).error("The end of the access log could not be written: %s", type(error).__name__)  # noqa: TRY400
        return message

    return received
