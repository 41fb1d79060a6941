"""Here: what FAB's security manager does differently here: our roles, and logins that are slowed down.

Not here: passwords, sessions, LDAP and OpenID Connect, which are FAB's own. ``webserver_config.py`` names this class.
"""

from collections.abc import Callable, Iterable
from typing import Any

import flask
from airflow.providers.fab.auth_manager.models import User
from airflow.providers.fab.auth_manager.security_manager.override import FabAirflowSecurityManagerOverride
from werkzeug.exceptions import TooManyRequests

from deploy.accounts import logins
from deploy.accounts.roles import RIGHTS, Role


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
        """Check a password of our own."""
        return _at_the_page(username, lambda: super(SecurityManager, self).auth_user_db(username, password, rotate_session_id))

    def auth_user_ldap(self, username: str | None, password: str, rotate_session_id: bool = True) -> User | None:  # noqa: FBT001, FBT002 - as overridden
        """Ask the directory."""
        return _at_the_page(username, lambda: super(SecurityManager, self).auth_user_ldap(username, password, rotate_session_id))

    def get_oauth_user_info(self, provider: str, resp: dict[str, Any]) -> dict[str, Any]:
        """Return what a provider says of a person; of one named ``oidc``, what OpenID Connect's own claims say."""
        if provider != "oidc":
            return dict(super().get_oauth_user_info(provider, resp))
        claims = resp["userinfo"]  # of the ID token, whose signature, audience and nonce were checked
        groups = claims.get("groups") or claims.get("roles") or []
        return {
            "username": claims.get("preferred_username") or claims["sub"],
            "email": claims.get("email", ""),
            "first_name": claims.get("given_name", ""),
            "last_name": claims.get("family_name", ""),
            "role_keys": [groups] if isinstance(groups, str) else list(groups),
        }


def _at_the_page(name: str | None, ask: Callable[[], User | None]) -> User | None:
    """Count a try of the login page; one of the API is counted by `AuthManager.create_token`, which may ask here twice."""
    if not flask.has_request_context():
        return ask()
    try:
        return logins.counted(name, ask)
    except logins.TooManyError as error:
        raise TooManyRequests(str(error), retry_after=error.wait_s) from None
