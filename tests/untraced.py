"""Here: the environment of a program that a test starts and whose lines do not count. Not here: how they are counted (``covered``)."""

import os


def untraced() -> dict[str, str]:
    """Variables of this process without those by which ``coverage`` starts in each Python: it would run up to twice as long."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
