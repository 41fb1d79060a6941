"""The database's server without root's rights, Airflow's role without the server's, and glances at it. A real server, alone in a home."""

import os
from pathlib import Path

import psycopg
import pytest
from airflow.models import import_all_models
from sqlalchemy import create_engine

from deploy.embedded import backup, dag_processor, executor, postgres, processes, triggerer
from deploy.embedded.glance import Glance
from deploy.embedded.home import Home

SUPERUSERS_WORK = "copy t to program 'id'", "create role other", "select pg_read_file('/etc/passwd')", "alter role airflow_user superuser"
OF_BEFORE = """
create type mood as enum ('good', 'bad');
create table t (id serial primary key, mood mood, n int generated always as identity);
create sequence loose;
create view seen as select id from t;
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home whose folder, and those above it, are closed to everybody else, with its server running."""
    home = Home(tmp_path_factory.mktemp("home"))
    home.create()
    postgres.ensure_initialized(home)
    with backup._database(home):
        yield home


def as_airflow(home):
    """Connect as Airflow does."""
    password = home.secrets().airflow_database_password
    return psycopg.connect(postgres._conninfo(home, postgres.DATABASE, user=postgres.USER, password=password), autocommit=True)


def test_airflows_role_owns_its_tables_and_nothing_else(home):
    """Tables of a home of before, or of a restored dump, become its own at the next start; the server's files and roles never do."""
    with psycopg.connect(postgres._conninfo(home, postgres.DATABASE), autocommit=True) as superuser:
        superuser.execute(OF_BEFORE)
    with as_airflow(home) as airflow, pytest.raises(psycopg.errors.InsufficientPrivilege):
        airflow.execute("alter table t add column further int")
    for _ in range(2):
        postgres.ensure_database(home, timeout_s=60)
    assert postgres.fault(home) == ""
    with psycopg.connect(postgres._conninfo(home, postgres.DATABASE), autocommit=True) as superuser:
        superuser.execute("create table job (job_type text, state text, latest_heartbeat timestamptz)")
        superuser.execute(
            "insert into job values ('SchedulerJob', 'running', now() - interval '90 seconds'), ('TriggererJob', 'failed', now())"
        )
        superuser.execute("insert into job values ('DagProcessorJob', 'running', null)")
        superuser.execute(f"alter table job owner to {postgres.USER}")  # as Airflow's own tables are
    (told,) = postgres.signs_of_life(home).items()
    assert told[0] == "SchedulerJob"
    assert told[1] >= 90
    with as_airflow(home) as airflow:
        airflow.execute("alter table t add column further int; insert into t (mood) values ('good'); alter type mood add value 'fair'")
        airflow.execute("drop view seen; drop sequence loose; create table later (a int)")
        for statement in SUPERUSERS_WORK:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                airflow.execute(statement)


def test_the_server_may_do_nothing_that_root_may(home):
    """Started by root it is nobody, and has no capability: not in force, and none that it could take. Its data are its own all the same."""
    if os.geteuid() != 0:
        pytest.skip("only root has capabilities to lose")
    found = processes.of_component(home, "postgres")
    assert found
    for process in found:
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if ":\t" in line)
        assert {status[name].strip() for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")} == {"0" * 16}
        assert set(status["Uid"].split()) == {"65534"}
        assert status["NoNewPrivs"] == "1"


@pytest.fixture
def tables(home, monkeypatch):
    """An engine of Airflow's role that finds Airflow's own tables, empty, in a schema of their own."""
    import airflow.settings
    from airflow.models.base import Base

    with as_airflow(home) as role:
        role.execute("create schema glances")
    engine = create_engine(postgres.url(home), connect_args={"options": "-csearch_path=glances"})
    import_all_models()
    Base.metadata.create_all(engine)
    monkeypatch.setattr(airflow.settings, "engine", engine)
    yield engine
    engine.dispose()


def test_a_glance_holds_up_nobody_and_comes_back(home, tables):
    """Each question of the stack is one that Airflow's tables answer. No transaction stays; a lost connection costs one answer."""
    glances = [Glance(module._TRACES) for module in (executor, triggerer)] + [Glance(dag_processor._WAITING)]
    answers = [(0, None, 0, 0, 0, 0), (0, None, 0, 0), (False, False, False)]
    assert [glance.answer() for glance in glances] == answers
    with psycopg.connect(postgres._conninfo(home, postgres.DATABASE), autocommit=True) as superuser:
        assert superuser.execute("select state from pg_stat_activity where usename = %s", [postgres.USER]).fetchall() == 3 * [("idle",)]
        superuser.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", [postgres.USER])
    assert [glance.answer() for glance in glances] == 3 * [()]
    assert [glance.answer() for glance in glances] == answers
    assert tables.pool.checkedout() == 3
