"""What the environment decides."""

import logging
import re
import subprocess
from pathlib import Path

import pytest

from ecg_tasks.errors import ConfigurationError
from ecg_tasks.settings import Settings, decides_at_once

ROOT = Path(__file__).parents[1]
NEEDED = {"ECG_BUCKET": "ecg", "ECG_PATIENT_KEY": "k" * 32}


def test_a_setting_is_read_by_its_old_name_with_a_warning(caplog):
    """Who upgrades keeps what was set; the new name goes before the old one, silently."""
    with caplog.at_level(logging.WARNING):
        assert Settings.from_environment(NEEDED | {"ECG_SPREAD": "7"}).min_tasks == 7
    assert "ECG_SPREAD is now called ECG_MIN_TASKS" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert Settings.from_environment(NEEDED | {"ECG_SPREAD": "7", "ECG_MIN_TASKS": "3"}).min_tasks == 3
        assert Settings.from_environment(NEEDED).min_tasks == 1
    assert caplog.text == ""


def test_dates_are_kept_as_one_of_three():
    """Only the year where nothing is set; any other word is refused with those that are known."""
    assert Settings.from_environment(NEEDED).dates == "year"
    assert [Settings.from_environment(NEEDED | {"ECG_DATES": word}).dates for word in ("exact", "Month", " year ")] == [
        "exact",
        "month",
        "year",
    ]
    with pytest.raises(ConfigurationError, match="ECG_DATES is 'day'; it must be one of exact, month, year"):
        Settings.from_environment(NEEDED | {"ECG_DATES": "day"})


def test_an_address_for_notices_is_checked_and_never_told():
    """Blanks stand between addresses, a comma at the end of one is passed over, and one without a scheme is refused by its place."""
    found = Settings.from_environment(NEEDED | {"ECG_NOTIFY": " slack://a/b/c, mailtos://u:p@example.org?to=a,b\n"})
    assert found.notify == ("slack://a/b/c", "mailtos://u:p@example.org?to=a,b")
    with pytest.raises(ConfigurationError, match="address 2 of ECG_NOTIFY has no scheme") as refused:
        Settings.from_environment(NEEDED | {"ECG_NOTIFY": "slack://a/b/c secret-word"})
    assert "secret-word" not in str(refused.value)


def test_it_is_decided_by_night_unless_set_otherwise():
    """A third word is refused with the two that are known."""
    assert [decides_at_once(found) for found in ({}, {"ECG_DECIDE": "nightly"}, {"ECG_DECIDE": " At_Once "})] == [False, False, True]
    with pytest.raises(ConfigurationError, match="ECG_DECIDE is 'hourly'; it must be one of nightly, at_once"):
        decides_at_once({"ECG_DECIDE": "hourly"})


@pytest.mark.parametrize("name", ["ECG_WFDB_GRACE_S", "ECG_MAX_OBJECT_BYTES", "ECG_MAX_ARCHIVE_MEMBERS", "ECG_MIN_TASKS"])
@pytest.mark.parametrize("text", ["inf", "1e999", "nan", "-1", "ten"])
def test_a_number_that_none_can_be_is_refused_by_name(name, text):
    """Also the one that means no limit: no time and no size can have it, and whatever asks for it would fail."""
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_environment(NEEDED | {name: text})


INTERNAL = {
    "ECG_COMPONENT",
    "ECG_COVERAGE_FOLDER",
    "ECG_COVERAGE_SOURCE",
    "ECG_ID",
    "ECG_LOGS",
    "ECG_PARSERS",
    "ECG_STACK",
    "ECG_STORE_CHANGES",
    "ECG_STORE_PORT",
}
"""Variables that one part of the program sets for another; and names that only look like variables."""


def test_every_setting_has_its_line_in_the_docs():
    """The page of settings names each variable that the product reads, and none that it does not."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    product = [file for file in files if file.startswith(("ecg_tasks/", "ecg_ui/", "deploy/", "dags/", "plugins/", "docker-compose.yaml"))]
    texts = [(ROOT / file).read_text() for file in product if file.endswith((".py", ".yaml"))]
    read = {name for text in texts for name in re.findall(r"""["'{ ]_?(ECG_[A-Z0-9_]+)["':}]""", text)} - INTERNAL
    described = set(re.findall(r"`(ECG_[A-Z0-9_]+)`", (ROOT / "docs" / "settings.md").read_text()))
    assert read - described - {"ECG_COMPLETE"} == set()
    assert {name for name in described if not any(re.search(rf"\b{name}\b", text) for text in texts)} == set()
