"""Here: every login that was tried, told in one place. Not here: whether it succeeds (``security_manager``)."""

import logging
from enum import StrEnum

log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """How it ended."""

    IN = "logged in"
    REFUSED = "refused"
    WAITS = "refused: too many wrong passwords"


def note(name: str, outcome: Outcome) -> None:
    """Tell that somebody tried to log in under a name; the name is whatever was typed, so it is quoted and cut."""
    shown = repr(name[:64])
    if outcome is Outcome.IN:
        log.info("login of %s: %s", shown, outcome)
    else:
        log.warning("login of %s: %s", shown, outcome)
