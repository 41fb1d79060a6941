"""Here: the real browser of the tests. Not here: which pages it opens, and what axe says of them (``accessibility``)."""

import shutil
from contextlib import contextmanager

import pytest

CHROMIUM = shutil.which("chromium")
IN_A_BROWSER = (
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine (Debian: apt-get install chromium)"),
)
"""The marks of tests that need it."""


@contextmanager
def chromium():
    """A headless Chromium, for as long as the context is open."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
