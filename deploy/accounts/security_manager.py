"""Here: what FAB's security manager does differently here: our roles, and logins that are slowed down and told.

Not here: passwords, sessions, LDAP and OpenID Connect, which are FAB's own. ``webserver_config.py`` names this class.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import flask
from airflow.providers.fab.auth_manager.models import User
from airflow.providers.fab.auth_manager.security_manager.override import FabAirflowSecurityManagerOverride
from fastapi import HTTPException, status
from werkzeug.exceptions import TooManyRequests

from deploy.accounts import logins
from deploy.accounts.roles import RIGHTS, Role
from deploy.accounts.throttle import Throttle

THROTTLE = Throttle()


class SecurityManager(FabAirflowSecurityManagerOverride):
    """Roles of our own in place of the provider's, and every login counted."""

    ROLE_CONFIGS = [{"role": "Public", "perms": []}, *({"role": role.stored, "perms": sorted(RIGHTS[role])} for role in Role)]  # noqa: RUF012 - as the provider declares it

    def bulk_sync_roles(self, roles: Iterable[dict[str, Any]]) -> None:
        """Give each role exactly the rights of the table: what an earlier version gave, or somebody added by hand, goes."""
        super().bulk_sync_roles(roles)
        for role in set(Role) - {Role.ADMIN}:
            stored = self.find_role(role.stored)
            for permission in list(stored.permissions) if stored else []:
                if (permission.action.name, permission.resource.name) not in RIGHTS[role]:
                    self.remove_permission_from_role(stored, permission)

    def auth_user_db(self, username: str | None, password: str, rotate_session_id: bool = True) -> User | None:  # noqa: FBT001, FBT002 - as overridden
        """Check a password of our own; see `_counted`."""
        return self._counted(username, lambda: super(SecurityManager, self).auth_user_db(username, password, rotate_session_id))

    def auth_user_ldap(self, username: str | None, password: str, rotate_session_id: bool = True) -> User | None:  # noqa: FBT001, FBT002 - as overridden
        """Ask the directory; see `_counted`."""
        return self._counted(username, lambda: super(SecurityManager, self).auth_user_ldap(username, password, rotate_session_id))

    def auth_user_oauth(self, userinfo: dict[str, Any], rotate_session_id: bool = True) -> User | None:  # noqa: FBT001, FBT002 - as overridden
        """Take whom the provider of identities has checked, and tell it."""
        user = super().auth_user_oauth(userinfo, rotate_session_id)
        name = str(userinfo.get("username") or userinfo.get("email") or "")
        logins.note(name, logins.Outcome.IN if user else logins.Outcome.REFUSED)
        return user

    def _counted(self, name: str | None, ask: Callable[[], User | None]) -> User | None:
        """Ask, unless too many tries under this name were wrong; 429 then, by the form and by the API."""
        name = name or ""
        if wait_s := THROTTLE.begin(name):
            logins.note(name, logins.Outcome.WAITS)
            _refuse(math.ceil(wait_s))
        user = ask()
        if user is not None:
            THROTTLE.right(name)
        logins.note(name, logins.Outcome.IN if user else logins.Outcome.REFUSED)
        return user


def _refuse(wait_s: int) -> NoReturn:
    sentence = f"Too many wrong passwords for this name. Try again in {wait_s} seconds."
    if flask.has_request_context():
        raise TooManyRequests(sentence, retry_after=wait_s)
    raise HTTPException(status.HTTP_429_TOO_MANY_REQUESTS, sentence, headers={"Retry-After": str(wait_s)})
