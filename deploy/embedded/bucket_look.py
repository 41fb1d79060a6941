"""Here: asking the bucket in a process of its own, ``python -m deploy.embedded.bucket_look HOME``. Not here: other questions (``health``).

To import what speaks S3 takes longer than all other questions of ``./ecg status`` together. So a process does that beside them, and where
its answer does not come in time, it is left alone.
"""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.embedded.home import CHECKOUT, Home

_GIVES_WAY = 10
"""How nice the process is: what asked for it has more to ask, and on a busy machine one of the two comes too late."""


class BucketLook:
    """The process, from its start on; a context manager that ends it.

    Parameters
    ----------
    home : state folder of the stack
    """

    def __init__(self, home: Path) -> None:
        self.stand_ins: list[str] = []
        """A sentence for each model that serves because a better one is damaged, as far as it was told."""
        self.has_asked = False
        """Whether the bucket was asked yet: on a busy machine that may take its time."""
        self._fault: str | None = None
        self._told, self._ended = threading.Event(), threading.Event()
        self._process = subprocess.Popen(  # noqa: S603 - our own program, and no shell
            [sys.executable, "-P", "-m", "deploy.embedded.bucket_look", str(home)],
            env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._listener.join()
        self._process.__exit__(kind, error, trace)

    def fault(self) -> str:
        """Wait for the answer: what is wrong with the bucket, nothing if all is well."""
        self._told.wait()
        return "cannot be asked" if self._fault is None else self._fault

    def rest(self) -> str:
        """Wait for everything else that is told; returns nothing."""
        self._ended.wait()
        return ""

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self.has_asked = True
            told = json.loads(line)
            self.stand_ins += told.get("stand_ins", ())
            if "fault" in told:
                self._fault = told["fault"]
                self._told.set()
        self._told.set()
        self._ended.set()


def main() -> None:
    """Ask, and print each answer as a line of JSON as soon as it is known; that it begins to ask is one, too."""
    os.nice(_GIVES_WAY)
    from deploy.embedded import bucket
    from ecg_tasks.queries.stand_ins import stand_ins_in

    home = Home(sys.argv[1])
    if not home.exists:
        return
    _say({})
    _say({"fault": "" if bucket.answers(home) else "does not open the bucket for our key"})
    variables = bucket.environment(home)
    os.environ.update(variables)
    _say({"stand_ins": stand_ins_in(variables["ECG_BUCKET"])})


def _say(told: dict[str, object]) -> None:
    print(json.dumps(told), flush=True)  # noqa: T201 - to the process that asked


if __name__ == "__main__":
    main()
