"""Here: the one error of the embedded stack. Not here: errors about data or models (``ecg_tasks.errors``)."""

from ecg_tasks.errors import EcgError


class StackError(EcgError):
    """The stack could not be brought where it was asked to go; the message says which part, and where its log is."""


class PortTakenError(StackError):
    """Another program listens where one of our servers was to listen; another port has to be chosen."""
