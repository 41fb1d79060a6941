"""Here: a pytest plugin: a run under ``CI`` fails when a test was skipped without leave. Not here: the list (``allowed_skips.toml``).

A skip is silent: a missing browser or missing recordings would take checks away, and nobody would notice.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_name("allowed_skips.toml")


@dataclass(frozen=True, kw_only=True)
class Leave:
    """What may be skipped.

    Parameters
    ----------
    test : how the test's id begins
    reason : a part of the reason that the test gives
    why : why that is no loss
    unless : a path, relative to the checkout; where it exists, the test must run
    """

    test: str
    reason: str
    why: str
    unless: str = ""

    def covers(self, test: str, reason: str) -> bool:
        """Whether this test may be skipped for this reason on this machine."""
        return test.startswith(self.test) and self.reason in reason and not (self.unless and (ROOT / self.unless).exists())


def leaves(file: Path = LIST) -> list[Leave]:
    """Read the list."""
    return [Leave(**entry) for entry in tomllib.loads(file.read_text())["skip"]]


def without_leave(skipped: Mapping[str, str], allowed: Sequence[Leave]) -> list[str]:
    """Return a sentence for each skipped test (id -> reason) that nothing in the list covers."""
    return [f"{test}: {reason}" for test, reason in skipped.items() if not any(leave.covers(test, reason) for leave in allowed)]


class Watch:
    """Collects what is skipped, in the process that hears of all tests."""

    def __init__(self) -> None:
        self.skipped: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that was skipped; what is expected to fail is none."""
        if report.skipped and not hasattr(report, "wasxfail"):
            self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that was skipped as a whole."""
        if report.skipped:
            self._note(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Let the run fail."""
        if without_leave(self.skipped, leaves()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say why."""
        if found := without_leave(self.skipped, leaves()):
            terminalreporter.section("skipped without leave", red=True)
            for sentence in found:
                terminalreporter.line(sentence)
            terminalreporter.line(
                f"{len(found)} skipped tests must run. Provide what they miss, or name them with a reason in {LIST.relative_to(ROOT)}."
            )

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        self.skipped[report.nodeid] = reason.removeprefix("Skipped: ")


def pytest_configure(config: pytest.Config) -> None:
    """Watch under ``CI``; with several test processes, in the one that starts the others."""
    if os.environ.get("CI") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Watch(), "skips-watch")
