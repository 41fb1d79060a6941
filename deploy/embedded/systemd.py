"""Here: what this process says to the systemd that started it. Not here: the unit (``service``)."""

import os
import socket
from contextlib import suppress

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""By which systemd says where and how often it wants to be told."""


def is_asked() -> bool:
    """Return whether systemd started the stack, and waits to be told how it is."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def notify(*lines: str) -> None:
    """Tell systemd these, such as ``READY=1`` (see sd_notify(3)); without it do nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out, suppress(OSError):  # systemd is busy: the next one tells
        out.sendto("\n".join(lines).encode(), "\0" + address[1:] if address.startswith("@") else address)
