"""Here: the settings of FAB, as Airflow reads them (``[fab] config_file``). Not here: the classes that they name.

A site that asks a directory or a provider of identities writes the settings for that into a file of its own, and names it in
``ECG_LOGIN_CONFIG``: it is read after these (docs/accounts.md).
"""

import os
from pathlib import Path

from flask_appbuilder.const import AUTH_DB
from flask_appbuilder.exceptions import PasswordComplexityValidationError

from deploy.accounts import passwords
from deploy.accounts.security_manager import SecurityManager


def _long_enough(password: str) -> None:
    try:
        passwords.check(password)
    except passwords.PasswordRefusedError as error:
        raise PasswordComplexityValidationError(str(error)) from None


SECURITY_MANAGER_CLASS = SecurityManager
AUTH_TYPE = AUTH_DB
AUTH_USER_REGISTRATION = False
AUTH_RATE_LIMITED = False  # by address: all people behind one proxy would share it; ours counts for each name, in the API too
RATELIMIT_STORAGE_URI = "memory://"
FAB_PASSWORD_COMPLEXITY_ENABLED = True
FAB_PASSWORD_COMPLEXITY_VALIDATOR = _long_enough

if _file := os.environ.get("ECG_LOGIN_CONFIG"):
    exec(compile(Path(_file).read_text(), _file, "exec"))  # noqa: S102 - the administrator's own file, as Airflow reads this one
