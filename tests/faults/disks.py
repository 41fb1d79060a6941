"""Here: small disks of the bench's own, so that one can be full or read-only. Not here: when it is (``breaks``).

They need root and a loop device; where a machine gives neither, `why_not` tells, and what needs them is not tried.
"""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

SIZES_MB = {"home": 1024, "objects": 512, "temp": 96}
"""Folder of the bench to the size of its disk: database and logs, object store, temporary files."""
_BALLAST = "ballast"


class Disks:
    """One file system a folder, each in a file of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.why_not = ""
        self._closed: set[str] = set()

    def mount(self) -> None:
        """Make and mount all of them; without any where the machine does not let us."""
        if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
            self.why_not = "mounting a small disk needs root and mkfs.ext4"
            return
        for name, megabytes in SIZES_MB.items():
            image, place = self.folder / f"{name}.img", self.folder / name
            place.mkdir(exist_ok=True)
            with image.open("wb") as file:
                file.truncate(megabytes * 1024 * 1024)
            for command in (["mkfs.ext4", "-q", "-m", "0", str(image)], ["mount", "-o", "loop", str(image), str(place)]):
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    self.why_not = f"{command[0]}: {done.stderr.strip()}"
                    self.unmount()
                    return
            place.chmod(0o700)
            with suppress(OSError):
                (place / "lost+found").rmdir()

    def close(self, folder: str) -> None:
        """Make a folder read-only for every file that is opened from now on: it is mounted over itself.

        It is made so elsewhere first, where nobody writes: the kernel refuses it for a mount in which a file is open for writing.
        """
        place, aside = str(self.folder / folder), self.folder / "closed"
        aside.mkdir(exist_ok=True)
        read_only = ["mount", "-o", "remount,ro,bind", str(aside)]
        for command in (["mount", "--bind", place, str(aside)], read_only, ["mount", "--bind", str(aside), place], ["umount", str(aside)]):
            subprocess.run(command, check=True)
        self._closed.add(folder)

    def open(self, folder: str) -> None:
        """Let it be written again."""
        subprocess.run(["umount", "--lazy", str(self.folder / folder)], check=True)
        self._closed.discard(folder)

    def unmount(self) -> None:
        """Let them go."""
        for folder in list(self._closed):
            self.open(folder)
        for name in SIZES_MB:
            if os.path.ismount(self.folder / name):
                subprocess.run(["umount", "--lazy", str(self.folder / name)], check=False)

    def fill(self, name: str) -> None:
        """Leave no byte."""
        piece = 1 << 24
        with (self.folder / name / _BALLAST).open("ab", buffering=0) as file:
            while piece:
                try:
                    file.write(bytes(piece))
                except OSError:
                    piece //= 16

    def free(self, name: str) -> None:
        """Give the room back."""
        (self.folder / name / _BALLAST).unlink(missing_ok=True)
