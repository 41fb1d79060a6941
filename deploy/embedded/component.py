"""Here: the first moment of each of Airflow's processes: ``python -m deploy.embedded.component MODULE [ARGUMENT …]``.

Not here: what the modules do; the supervisor's first moment (``start``).

After every 700 objects more Python looks for garbage. A process that imports Airflow makes a million that stay, and spent up to a third of
its start on looking at them.
"""

import gc
import runpy
import sys

YOUNG = 100_000
"""During a start, so many objects more are there before the next look."""
_USUAL = gc.get_threshold()


def main() -> None:
    """Become the module, as ``python -m`` would."""
    gc.set_threshold(YOUNG)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def started() -> None:
    """Look for garbage as often as usual: what a process needs is imported."""
    gc.set_threshold(*_USUAL)


if __name__ == "__main__":
    from deploy.embedded import component  # noqa: PLW0406 - the module that others import: it knows what was usual

    component.main()
