"""Here: Airflow's auth manager, FAB's with four additions. Not here: what a role may do (``roles``), or how people log in.

A token names the password that it was given for, so that a new password ends the sessions of the old one; logins by the API are
counted as those by the page are; a logout ends the session in the database; and it says under which name our pages ask for the right to
label.
"""

import asyncio
import hashlib
import hmac
from typing import Any

import flask
from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager
from airflow.providers.fab.auth_manager.models import User
from fastapi import FastAPI, HTTPException, Request, Response, status
from starlette.middleware.base import RequestResponseEndpoint

from deploy.accounts import logins
from deploy.accounts.roles import LABELS


class AuthManager(FabAuthManager):
    """People with accounts of their own in Airflow's database, or in a directory that FAB asks."""

    label_resource = LABELS
    """Read by ``ecg_ui.security``; an Airflow with another auth manager has none."""

    def create_token(self, headers: dict[str, str], body: dict[str, Any]) -> User | None:
        """Check name and password at the API's door; 429 where the name has to wait."""
        try:
            return logins.counted(str(body.get("username") or ""), lambda: super(AuthManager, self).create_token(headers, body))
        except logins.TooManyError as error:
            raise HTTPException(status.HTTP_429_TOO_MANY_REQUESTS, str(error), headers={"Retry-After": str(error.wait_s)}) from None

    def get_fastapi_app(self) -> FastAPI | None:
        """Return FAB's application, in which a logout ends the session, too: FAB itself takes it from the browser alone."""
        app: FastAPI | None = super().get_fastapi_app()

        async def end_session(request: Request, call_next: RequestResponseEndpoint) -> Response:
            if request.url.path.rstrip("/").endswith("/logout"):
                await asyncio.to_thread(self._end_session, request.headers.get("cookie", ""))
            return await call_next(request)

        if app is not None:
            app.middleware("http")(end_session)
        return app

    def _end_session(self, cookies: str) -> None:
        """Delete the session of a request: who copied its cookie could go on with it, and get tokens, until 12 hours after the login."""
        flask_app = self.flask_app
        with flask_app.test_request_context(headers={"Cookie": cookies}):
            flask.session.clear()
            flask_app.session_interface.save_session(flask_app, flask.session, flask_app.make_response(""))

    def serialize_user(self, user: User) -> dict[str, Any]:
        """Return what a token holds: who, and the mark of the password."""
        return {**super().serialize_user(user), "password": _mark(user)}

    def deserialize_user(self, token: dict[str, Any]) -> User:
        """Return the user of a token.

        Raises
        ------
        ValueError
            If the account is gone or disabled, or has another password since.
        """
        for _ in range(2):
            user = super().deserialize_user(token)
            if hmac.compare_digest(str(token.get("password")), _mark(user)):
                return user
            self.cache.clear()  # it may remember the account as it was before the password changed
        raise ValueError(f"the password of user {token['sub']} has changed")


def _mark(user: User) -> str:
    return hashlib.sha256(str(user.password).encode()).hexdigest()[:16]
