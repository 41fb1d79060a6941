"""What the environment decides."""

import logging

from ecg_tasks.settings import Settings

NEEDED = {"ECG_BUCKET": "ecg", "ECG_PATIENT_KEY": "k" * 32}


def test_a_setting_is_read_by_its_old_name_with_a_warning(caplog):
    """Who upgrades keeps what was set; the new name goes before the old one, silently."""
    with caplog.at_level(logging.WARNING):
        assert Settings.from_environment(NEEDED | {"ECG_SPREAD": "7"}).min_tasks == 7
    assert "ECG_SPREAD is called ECG_MIN_TASKS now" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert Settings.from_environment(NEEDED | {"ECG_SPREAD": "7", "ECG_MIN_TASKS": "3"}).min_tasks == 3
        assert Settings.from_environment(NEEDED).min_tasks == 1
    assert caplog.text == ""
