"""Here: running a module behind walls from its first line: ``python -m ecg_tasks.sandbox.within FOLDER MODULE …``. Not here: the walls.

They are put up before anything else is imported: a library that makes threads at its import would keep these outside.
"""

import runpy
import sys

from ecg_tasks import sandbox


def main() -> None:
    """Leave the process one folder to write to, no network and no other process, and run the module there."""
    folder, module, *arguments = sys.argv[1:]
    sandbox.end_with_parent()
    reads = [*sandbox.libraries(), "/proc/self"]  # TensorFlow looks up where its own code lies when it fails
    writes = [folder, "/dev/null", "/dev/shm"]  # noqa: S108 - of libraries
    sandbox.enter(sandbox.prepare(reads=reads, writes=writes, calls=sandbox.seccomp.NO_NETWORK))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
