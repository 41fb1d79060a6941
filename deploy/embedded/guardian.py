"""Here: the guardian, ``python -m deploy.embedded.guardian HOME``: it restarts what hangs, and the supervisor when that dies.

Not here: restarting what dies, which the supervisor does; how a component is asked (``health``).

It runs under the supervisor, which restarts it; and it restarts the supervisor, where no systemd does. Under systemd it tells
systemd how the stack is: a guardian that tells nothing for two minutes, because it or the supervisor hangs, has the whole stack restarted.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import psutil  # type: ignore[import-untyped]

from deploy.embedded import bucket, health, processes, supervision, systemd
from deploy.embedded.errors import PortTakenError
from deploy.embedded.home import Home
from deploy.embedded.stack import Stack

LOOK_S, WORRIED_S = 10.0, 5.0
"""Between two looks at the components: while all is well, and while something is not."""
QUESTION_S = 10.0
"""So long an answer may take: a busy machine is no fault."""
HALTED_S = 10.0
"""What a signal has halted for so long is restarted."""
DEAF_S = 60.0
"""What has not answered for so long is restarted, if it was asked so often meanwhile; twice as long after each time that did not help."""
CLOSED_S = 600.0
"""The same for a server that lets nobody in yet: on a busy machine a start takes minutes."""
LOOKS = 3
MOST_DOUBLINGS = 5
YOUNG_S = 90.0
"""What was started so lately may not answer yet."""
AGAIN_S = 15.0
"""After a start of the whole stack that failed."""


class Guardian:
    """Remembers since when what is not well."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._bad: dict[str, tuple[float, int]] = {}
        self._killed: dict[str, int] = {}

    def look(self) -> dict[str, str]:
        """Ask every component, and kill what hangs, with all that it started: the supervisor starts it anew.

        Returns
        -------
        dict: component -> what is wrong with it, as in `health.faults`
        """
        runs: dict[str, supervision.Program] = {}
        faults = health.halted({"supervisor": supervision.pid(self.home)})
        if not faults:
            try:
                runs = {name: run for name, run in supervision.runs(self.home).items() if run.state == "RUNNING"}
            except supervision.UNANSWERED:
                faults = {"supervisor": "does not answer"}
        if not faults:
            halted = health.halted({name: run.pid for name, run in runs.items()})
            waiting = {"api-server", *health.JOBS} if "postgres" in halted else set()
            asked = [name for name in runs if name not in {supervision.GUARDIAN, *halted, *waiting}]
            faults = health.faults(self.home, asked, most_s=QUESTION_S) | halted
        for component in self.hanging(faults, young={name for name, run in runs.items() if run.since_s < YOUNG_S}, now=time.monotonic()):
            _say(self.home, f"{component} {faults[component]}: killing it, so that it is started again")
            if component == "supervisor":
                _kill(supervision.pid(self.home))
            else:
                processes.end(processes.of_component(self.home, component), grace_s=0)
        return faults

    def hanging(self, faults: Mapping[str, str], *, young: set[str], now: float) -> list[str]:
        """Note what is not well, and return what has been so for too long.

        A component is not blamed for another: while the database does not answer, nothing of Airflow is judged.

        Parameters
        ----------
        young : components that were started lately
        now : seconds on a clock that does not go while the machine sleeps
        """
        judged = {
            name: fault
            for name, fault in faults.items()
            if health.is_known(fault) and not ("postgres" in faults and name == "api-server" and not health.is_halt(fault))
        }
        self._bad = {name: self._bad.get(name, (now, 0)) for name in judged}
        self._killed = {name: n for name, n in self._killed.items() if name in faults or name in young}
        found = []
        for name, fault in judged.items():
            since, looks = self._bad[name]
            self._bad[name] = since, looks + 1
            patience_s = _patience_s(fault) * 2 ** min(self._killed.get(name, 0), MOST_DOUBLINGS)
            if now - since >= patience_s and looks + 1 >= LOOKS and (health.is_halt(fault) or name not in young):
                found.append(name)
                del self._bad[name]
                self._killed[name] = self._killed.get(name, 0) + 1
        return found

    def watch(self) -> None:
        """Look after the stack until the supervisor is gone, or stops this process.

        A look that fails, whatever the reason, does not end the watch: with the supervisor dead, nobody would start the stack again.
        """
        parent = supervision.pid(self.home)  # which may be dead by now
        while os.getppid() == parent:
            try:
                faults = self.look()
            except Exception as error:  # noqa: BLE001 - see above
                faults = {"supervisor": f"cannot be asked: {type(error).__name__}: {error}"}
                _say(self.home, f"a look at the stack failed: {type(error).__name__}: {error}")
            if "supervisor" not in faults:
                systemd.notify("WATCHDOG=1", f"STATUS={_sentence(faults)}")
            rested_at = time.monotonic() + (WORRIED_S if faults else LOOK_S)
            while time.monotonic() < rested_at and os.getppid() == parent:
                time.sleep(1.0)


def main() -> None:
    """Watch; first start what the supervisor has not started yet, and in the end another supervisor, where no systemd does that.

    That one has a guardian from its beginning, which starts the rest: if it is killed meanwhile, it is restarted, and goes on with it.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    home = Home(sys.argv[1])
    is_begun = supervision.is_guarded(home) and supervision.states(home).get("scheduler") == "STOPPED"  # what a start starts last
    if systemd.is_asked() or is_begun:
        _again_and_again(home, partial(Stack.up, by_guardian=True))
        systemd.notify("READY=1")
    Guardian(home).watch()
    if not systemd.is_asked():
        _say(home, "the supervisor is gone: starting the stack again")
        _again_and_again(home, Stack.begin)


def _again_and_again(home: Home, start: Callable[[Stack, Callable[[str], None]], object]) -> None:
    """Start the stack with the bucket that it has, until that succeeds, whatever was in the way.

    Where another program has taken our port, the supervisor is killed, which ends this watch, too: the next one chooses another port.
    """
    for name in bucket.elsewhere(os.environ):
        del os.environ[name]
    os.environ.update(bucket.chosen(home))
    while True:
        try:
            start(Stack(home.path), partial(_say, home))
        except PortTakenError as error:
            _say(home, f"{error}: killing the supervisor, so that the next one chooses another")
            _kill(supervision.pid(home))
            return
        except Exception as error:  # noqa: BLE001 - nobody else tries again
            _say(home, f"the stack did not start: {error}")
            systemd.notify("WATCHDOG=1", f"STATUS={error}")
            time.sleep(AGAIN_S)
        else:
            return


def _say(home: Home, sentence: str) -> None:
    """Print a sentence, which the supervisor writes into this process's log; write it there where the supervisor is dead."""
    try:
        print(sentence, flush=True)  # noqa: T201 - its log
    except OSError:
        with home.log(supervision.GUARDIAN).open("ab") as log:
            for stream in (1, 2):
                os.dup2(log.fileno(), stream)
        print(sentence, flush=True)  # noqa: T201 - its log


def _patience_s(fault: str) -> float:
    if health.is_halt(fault):
        return HALTED_S
    return DEAF_S if health.is_hang(fault) else CLOSED_S


def _kill(pid: int) -> None:
    if pid:
        with suppress(psutil.Error):
            psutil.Process(pid).kill()


def _sentence(faults: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {fault}" for name, fault in faults.items()) or "healthy"


if __name__ == "__main__":
    main()
