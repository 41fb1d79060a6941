"""Here: who may see and change what, and that a form was sent from one of our own pages. Not here: who a user is (Airflow).

Reading asks for read access to the DAG ``classify_records``, starting a run of it for the right to do that, giving a reading to
somebody for edit access to it, changing the inbox or
putting files back for edit access to ``ingest_records``, a decision about a model for edit access to ``decide_champion``, through
which it goes, and forgetting for edit access to ``forget_patient``. No DAG labels: that is a right of its own
where the auth manager has it (``deploy.accounts``), and edit access to ``classify_records`` elsewhere.
A form carries a token that the server made for this user and session. The session's cookie alone would let any page that a
reviewer visits send forms in the reviewer's name.
"""

import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlparse

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.auth.tokens import get_signing_key
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_dag
from airflow.configuration import conf
from airflow.models.dag import DagModel
from fastapi import Form, HTTPException, Request, status
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ecg_tasks.names import DagId

DAG_ID = DagId.CLASSIFY_RECORDS.value
PUTS_BACK = DagId.INGEST_RECORDS.value
"""Who may edit it changes what lies in the inbox, too."""
DECIDES = DagId.DECIDE_CHAMPION.value
FORGETS = DagId.FORGET_PATIENT.value
TOKEN_LIFETIME_S = 8 * 3600
"""A form that was open for longer has to be loaded again."""

signed_in = get_user
"""Dependency of what holds no data: style sheet, script, icons."""
may_read = requires_access_dag("GET", param_dag_id=DAG_ID)
"""Dependency of every page."""
may_put_back = requires_access_dag("PUT", param_dag_id=PUTS_BACK)
may_ask = requires_access_dag("PUT", param_dag_id=DAG_ID)
"""Giving a reading to somebody."""
may_decide = requires_access_dag("PUT", param_dag_id=DECIDES)
may_forget = requires_access_dag("PUT", param_dag_id=FORGETS)
may_run = requires_access_dag("POST", DagAccessEntity.RUN, param_dag_id=DAG_ID)
"""Starting a run that decides on what was dropped."""


def may_label(user: GetUserDep) -> None:
    """Refuse who may give no verdicts. Like `may_put_back`, `may_decide` and `may_forget`, of a form's target, with `sent_from_here`."""
    if not _labels(user):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Forbidden")


POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; "  # spectrograms stand in the page
    "form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'self'"  # Airflow's own frame
)
"""On every page, errors too; stricter than that of Airflow's own pages."""


class SecurityHeaders:
    """Puts `POLICY` on every answer, and forbids caches to keep what they are not allowed to keep. Other headers: ``doors``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the answer back with its headers."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                added = [(b"content-security-policy", POLICY.encode())]
                if b"cache-control" not in present:
                    added.append((b"cache-control", b"no-store"))
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, with_headers)


@dataclass(frozen=True, kw_only=True)
class Rights:
    """Which forms are worth showing somebody; their targets ask again."""

    label: bool
    ask: bool
    put_back: bool
    """With it come the names of files and what stands in them: only who runs the system sees these."""
    decide: bool
    forget: bool
    run: bool

    @property
    def any(self) -> bool:
        """Whether there is anything but reading."""
        return self.label or self.ask or self.put_back or self.decide or self.forget or self.run


def rights(user: BaseUser) -> Rights:
    """Ask Airflow what somebody may do besides reading."""
    return Rights(
        label=_labels(user),
        ask=_edits(user, DAG_ID),
        put_back=_edits(user, PUTS_BACK),
        decide=_edits(user, DECIDES),
        forget=_edits(user, FORGETS),
        run=_runs(user),
    )


def _labels(user: BaseUser) -> bool:
    manager = get_auth_manager()
    if resource := getattr(manager, "label_resource", None):
        return bool(manager.is_authorized_custom_view(method="PUT", resource_name=resource, user=user))
    return _edits(user, DAG_ID)


def _runs(user: BaseUser) -> bool:
    details = DagDetails(id=DAG_ID, team_name=DagModel.get_team_name(DAG_ID))
    manager = get_auth_manager()
    return bool(manager.is_authorized_dag(method="POST", access_entity=DagAccessEntity.RUN, details=details, user=user))


def _edits(user: BaseUser, dag_id: str) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return bool(get_auth_manager().is_authorized_dag(method="PUT", details=details, user=user))


def form_token(request: Request, user: BaseUser) -> str:
    """Make the hidden field of a form: when it ends, and a proof that we made it for this user and session."""
    ends = str(int(time.time()) + TOKEN_LIFETIME_S)
    return f"{ends}.{_proof(request, user, ends)}"


def sent_from_here(request: Request, user: GetUserDep, token: Annotated[str, Form()] = "") -> None:
    """Refuse a form that another site sent, or that carries no valid token."""
    if not _is_same_origin(request):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "This form was sent from another site.")
    ends, _, proof = token.partition(".")
    fresh = ends.isdecimal() and len(ends) < len("9" * 12) and int(ends) >= time.time()
    if not fresh or not hmac.compare_digest(proof.encode(), _proof(request, user, ends).encode()):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "This form is out of date. Go back, load the page again, and repeat.")


def _proof(request: Request, user: BaseUser, ends: str) -> str:
    session = request.headers.get("authorization") or request.cookies.get(COOKIE_NAME_JWT_TOKEN, "")
    message = "\n".join(("ecg-form", ends, user.get_id(), hashlib.sha256(session.encode()).hexdigest()))
    return hmac.new(get_signing_key("api", "secret_key").encode(), message.encode(), hashlib.sha256).hexdigest()


def _is_same_origin(request: Request) -> bool:
    """Return whether the browser says that the form came from one of our pages; one that says nothing is not trusted."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = urlparse(request.headers.get("origin", ""))  # where pages are served without TLS, browsers tell only this
    own = {request.headers.get("host", ""), urlparse(conf.get("api", "base_url", fallback="")).netloc}
    return origin.scheme in {"http", "https"} and origin.netloc in own - {""}
