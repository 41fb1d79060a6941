"""Here: a wall clock of the bench's own, which can be set back. Not here: when it is (``breaks``). The machine's clock is never touched.

libfaketime stands between the programs and the C library, so every process of a stack reads the time that a file says. Monotonic clocks
go on as they are, as they do when a real clock is set back; ``sleep.c`` mends what libfaketime does to sleeping then.
"""

import shutil
import subprocess
from pathlib import Path

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
WHY_NOT = (
    "" if LIBRARIES and shutil.which("cc") else "libfaketime or a C compiler is not there (Debian: apt-get install faketime gcc libc6-dev)"
)
SLEEP = Path(__file__).with_name("sleep.c")


class Clock:
    """The clock of whichever program was started with its variables."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set_back(0)

    def variables(self) -> dict[str, str]:
        """For the programs that shall go by it."""
        mended = self._file.with_name("sleep.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(mended), str(SLEEP)], check=True)
        return {
            "LD_PRELOAD": f"{mended}:{LIBRARIES[0]}",
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",  # second: read anew at each look, the file would take most of the processors
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set_back(self, by_s: float) -> None:
        """Let it be so much behind the machine's from now on."""
        partial = self._file.with_suffix(".new")
        partial.write_text(f"-{by_s:.0f}\n" if by_s else "+0\n")
        partial.replace(self._file)
