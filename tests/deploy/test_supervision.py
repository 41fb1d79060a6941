"""Here: what the supervisor is told. Not here: the supervisor at work (``test_stack``)."""

import configparser

import pytest

from deploy.embedded import supervision
from deploy.embedded.home import Home

A_NIGHT_S = 12 * 3600


@pytest.fixture
def programs(tmp_path):
    """The sections of all components."""
    home = Home(tmp_path)
    home.create()
    supervision.write_configuration(home)
    written = configparser.RawConfigParser()
    written.read(home.path / "supervisor.conf")
    return {name.removeprefix("program:"): written[name] for name in written.sections() if name.startswith("program:")}


def test_no_component_is_given_up_within_a_night(programs):
    """What cannot start while a disk is full is started when there is room again, without anybody's help."""
    assert set(programs) == set(supervision.COMPONENTS)
    for program in programs.values():
        assert program.getboolean("autorestart")
        assert sum(range(program.getint("startretries"))) > A_NIGHT_S  # the n-th retry waits n seconds
