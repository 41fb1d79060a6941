"""Here: the first moment of every component: ``python -m deploy.embedded.start HOME COMPONENT``. Not here: the supervisor that runs it.

It ends what a killed predecessor left running, sets the environment (so that no secret stands in the supervisor's
configuration), and becomes the component.
"""

import ctypes
import os
import signal
import sys

from deploy.embedded import airflow, object_store, postgres, processes, systemd
from deploy.embedded.home import CHECKOUT, Home
from deploy.embedded.supervision import GUARDIAN

_PR_SET_PDEATHSIG = 1


def command(home: Home, component: str) -> list[str]:
    """Return the command that is the component."""
    if component == "postgres":
        return postgres.server_command(home)
    if component in object_store.COMPONENTS:
        return object_store.server_command(home, component)
    if component == GUARDIAN:
        return [sys.executable, "-m", "deploy.embedded.guardian", str(home)]
    return airflow.server_command(home, component)


def main() -> None:
    """Become one component; the arguments are the state folder and the component."""
    home, component = Home(sys.argv[1]), sys.argv[2]
    processes.end(processes.of_component(home, component), grace_s=0)
    environment = airflow.clean_environment(os.environ) | processes.marks(home, component)
    if component in airflow.COMMANDS:
        environment |= airflow.environment(home)
    if component == GUARDIAN:
        environment |= {"PYTHONPATH": str(CHECKOUT)}
    else:  # only the guardian speaks to systemd
        environment = {name: value for name, value in environment.items() if name not in systemd.VARIABLES}
    if sys.platform == "linux" and component != GUARDIAN:  # should the supervisor be killed, its components stop too
        stop = signal.SIGINT if component == "postgres" else signal.SIGTERM
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(stop))
    os.chdir(home.postgres if component == "postgres" else CHECKOUT)
    argv = command(home, component)
    os.execve(argv[0], argv, environment)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
