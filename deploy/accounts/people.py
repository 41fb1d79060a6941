"""Here: adding, listing, changing and disabling accounts in Airflow's database. Not here: the commands (``__main__``, ``./ecg users``)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.providers.fab.auth_manager.models import User
from airflow.providers.fab.auth_manager.security_manager.override import FabException

from deploy.accounts.roles import AccountError, Role
from deploy.accounts.security_manager import SecurityManager

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
"""It stands beside verdicts and decisions for ever, and in addresses."""


@dataclass(frozen=True, kw_only=True)
class AccountEntry:
    """One account, as the list shows it."""

    name: str
    roles: tuple[str, ...]
    active: bool
    last_login: datetime | None
    """In UTC, without a zone; None: never."""


@contextmanager
def opened() -> Iterator["People"]:
    """Open Airflow's database, its address as Airflow's settings say."""
    with get_application_builder() as builder:
        yield People(builder.sm)


class People:
    """The accounts.

    Parameters
    ----------
    manager : FAB's security manager, within its application
    """

    def __init__(self, manager: SecurityManager) -> None:
        self._manager = manager

    def everybody(self) -> list[AccountEntry]:
        """Return all accounts by name, disabled ones too: a name is never given to another person."""
        return sorted((_account(user) for user in self._manager.get_all_users()), key=lambda person: person.name)

    def add(self, name: str, role: Role, password: str) -> None:
        """Make an account.

        Raises
        ------
        AccountError
            If the name is taken, or none.
        """
        if not _NAME.fullmatch(name):
            raise AccountError("a name has 1 to 64 letters, digits, points, dashes, underscores or @, and begins with a letter or digit")
        if self._manager.find_user(username=name) is not None:
            raise AccountError(f"there is an account {name} already (upper and lower case are the same, and a name is never reused)")
        self._manager.add_user(name, name, "", f"{name.lower()}@accounts.invalid", self._role(role), password)

    def set_password(self, name: str, password: str) -> None:
        """Give a new password; sessions that were opened with the old one end."""
        if not self._manager.reset_password(self._find(name).id, password):
            raise AccountError(f"the password of {name} could not be stored")

    def set_role(self, name: str, role: Role) -> None:
        """Give another role in place of those that the person has; the last admin keeps it."""
        user = self._find(name)
        if role is not Role.ADMIN:
            self._keep_one_admin(user)
        user.roles = [self._role(role)]
        self._save(user)

    def set_active(self, name: str, *, active: bool) -> None:
        """Disable an account, whose sessions end, or let it in again; the last admin stays."""
        user = self._find(name)
        if not active:
            self._keep_one_admin(user)
        user.active = active
        self._save(user)
        if not active:
            self._manager.reset_user_sessions(user)

    def ensure_admin(self, name: str, password: str) -> bool:
        """Make the roles, and the first administrator unless there is an account of that name; return whether it was made."""
        self._manager.sync_roles()
        if self._manager.find_user(username=name) is not None:
            return False
        try:
            self.add(name, Role.ADMIN, password)
        except FabException:  # another api-server that starts was quicker
            if self._manager.find_user(username=name) is None:
                raise
            return False
        return True

    def _find(self, name: str) -> User:
        user = self._manager.find_user(username=name)
        if user is None:
            raise AccountError(f"there is no account {name}")
        return user

    def _role(self, role: Role) -> object:
        found = self._manager.find_role(role.stored)
        if found is None:
            self._manager.sync_roles()
            found = self._manager.find_role(role.stored)
        return found

    def _keep_one_admin(self, user: User) -> None:
        admins = {one.name for one in self.everybody() if one.active and Role.ADMIN.stored in one.roles}
        if admins == {user.username}:
            raise AccountError(f"{user.username} is the last admin; make another one first")

    def _save(self, user: User) -> None:
        if not self._manager.update_user(user):
            raise AccountError(f"the account {user.username} could not be stored")


def _account(user: User) -> AccountEntry:
    return AccountEntry(
        name=user.username, roles=tuple(role.name for role in user.roles), active=bool(user.active), last_login=user.last_login
    )
