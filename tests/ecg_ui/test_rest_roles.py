"""Who may do what over Airflow's own API and the accounts' pages: every route that the application has, with every role.

A route that fits no line of the table fails: whoever adds or upgrades one says who may call it.
"""

import re
from datetime import UTC, datetime

import pytest

from ecg_tasks.names import DagId
from tests.ecg_ui.conftest import PASSWORD

ROLES = ("reader", "reviewer", "operator", "admin")
EVERYBODY, RUNNING, ADMIN, NOBODY = set(ROLES), {"operator", "admin"}, {"admin"}, set()
PLAIN, PROMOTING = DagId.CLASSIFY_RECORDS.value, DagId.DECIDE_CHAMPION.value

TABLE = (
    # methods, address, who
    ("GET", r"/api/v2/(monitor/health|version|auth/login|auth/logout)", EVERYBODY),
    ("GET|POST", r"/ui/(config|teams|auth/(menus|me|token))", EVERYBODY),
    ("GET", r"/api/v2/config(/.*)?", NOBODY),  # [api] expose_config
    (".*", r"/(api/v2|ui)/(connections|variables|pools)(/.*)?", RUNNING),
    (".*", r"/.*/xcomEntries(/.*)?", RUNNING),
    ("GET", r"/.*/(logs|externalLogUrl)/.*", RUNNING),
    ("GET", r"/api/v2/(dagSources|eventLogs|importErrors|jobs|providers)(/.*)?", RUNNING),
    ("GET", r"/api/v2/plugins(/.*)?", EVERYBODY),
    ("PUT", r"/api/v2/parseDagFile/.*", RUNNING),
    ("GET", r"/.*/hitlDetails(/.*)?", EVERYBODY),
    ("PATCH", r"/.*/hitlDetails", ADMIN),
    ("POST", r"/.*/(favorite|unfavorite)", EVERYBODY),  # a mark of one's own
    ("POST", r"/.*/(dagRuns|taskInstances)/list", EVERYBODY),  # reading, with a filter in the body
    ("DELETE", r"/api/v2/dags/.*", ADMIN),
    ("DELETE", r"/api/v2/assets(/.*)?", ADMIN),
    ("GET", r"/(api/v2|ui)/.*", EVERYBODY),
    ("POST|PUT|PATCH", r"/api/v2/(dags|assets|backfills)(/.*)?", RUNNING),
    ("GET", r"/auth/fab/v1/(roles|users|permissions)(/.*)?", ADMIN),
    ("POST|PATCH|DELETE", r"/auth/fab/v1/(roles|users)(/.*)?", ADMIN),
)
"""Methods and address of a route -> who may call it; the first that fits."""
FOR_NOBODY_IN_PARTICULAR = {"/auth/token", "/auth/token/cli", "/auth/logout"}
"""By which one becomes somebody, or nobody."""
WITHOUT_RULES = {"/", "/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect", "/{rest_of_path:path}"}
"""Airflow's single page, whose data come from the routes of the table, and the description of the API."""
VALUES = {"map_index": "-1", "try_number": "1", "task_try_number": "1", "asset_id": "987654", "asset_alias_id": "987654", "event_log_id": "987654"}
CHANGED = [{"action": "update", "entities": [{}]}]
BODIES = {
    "/api/v2/connections": {"actions": [{"action": "create", "entities": [{"connection_id": "c", "conn_type": "http"}]}]},
    "/api/v2/variables": {"actions": [{"action": "create", "entities": [{"key": "k", "value": "v"}]}]},
    "/api/v2/pools": {"actions": [{"action": "create", "entities": [{"name": "p", "slots": 1}]}]},
}
"""Of a PATCH on many at once, whose check reads it."""


def all_routes(app):
    """Method and path of everything that the application answers itself, and of the accounts' API."""
    from fastapi.routing import APIRoute

    found = []
    for route in app.routes:
        if isinstance(route, APIRoute):
            found += [(method, route.path) for method in sorted(route.methods - {"HEAD"})]
        elif getattr(route, "path", "") == "/auth":
            found += [(method, f"/auth{one.path}") for one in route.app.routes if isinstance(one, APIRoute) for method in sorted(one.methods)]
    return [(method, path) for method, path in found if path not in WITHOUT_RULES | FOR_NOBODY_IN_PARTICULAR]


def who_may(method, path):
    """The roles of the table's first line that fits."""
    for methods, pattern, roles in TABLE:
        if re.fullmatch(methods, method) and re.fullmatch(pattern, path):
            return roles
    raise AssertionError(f"the table has no line for {method} {path}: say who may call it")


@pytest.fixture
def known(airflow):
    """The DAGs as Airflow's database knows them, a backfill of each, and a token for the file of one."""
    from airflow.models.backfill import Backfill
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session
    from itsdangerous import URLSafeSerializer

    backfills = {}
    with create_session() as session:
        session.merge(DagBundleModel(name="dags-folder"))
        session.flush()
        for dag in (PLAIN, PROMOTING):
            session.merge(DagModel(dag_id=dag, bundle_name="dags-folder", relative_fileloc=f"{dag}.py", fileloc=f"{dag}.py"))
            session.flush()
            row = Backfill(dag_id=dag, from_date=datetime.now(UTC), to_date=datetime.now(UTC), dag_run_conf={}, max_active_runs=1)
            session.add(row)
            session.flush()
            backfills[dag] = row.id

    def token(dag):
        return URLSafeSerializer(airflow.state.secret_key).dumps({"bundle_name": "dags-folder", "relative_fileloc": f"{dag}.py"})

    yield backfills, token
    with create_session() as session:
        for row in session.query(Backfill).all():
            session.delete(row)


def ask(client, method, path, *, dag, known):
    """The status of a request to a route, about one DAG."""
    backfills, token = known
    values = VALUES | {"dag_id": dag, "backfill_id": str(backfills.get(dag, 0)), "file_token": token(dag)}
    address = re.sub(r"\{(\w+)(:\w+)?\}", lambda found: values.get(found[1], "nothing"), path)
    body = BODIES.get(path, {}) if method == "PATCH" else {"dag_id": dag}
    answer = client.request(method, address, json=None if method in {"GET", "DELETE"} else body)
    return answer.status_code


def test_every_route_has_a_line_in_the_table(airflow):
    """A route of a newer Airflow is in the test by itself, and fails until somebody has said who may call it."""
    routes = all_routes(airflow)
    assert len(routes) > 150
    assert {path.split("/")[1] for _, path in routes} == {"api", "ui", "auth"}
    for method, path in routes:
        who_may(method, path)


def test_each_role_gets_what_the_table_gives_it(airflow, client_of, known):
    """Every route with every role, about a DAG and about the one by which a version is promoted, which only an admin changes."""
    clients = {role: client_of(role) for role in ROLES}
    wrong, n = [], 0
    for method, path in all_routes(airflow):
        about_dag = re.search(r"\{(dag_id|backfill_id|file_token)\}|/backfills", path)
        for dag in (PLAIN, PROMOTING) if about_dag else (PLAIN,):
            may = who_may(method, path)
            changes = method != "GET" and may is RUNNING
            for role, client in clients.items():
                status = ask(client, method, path, dag=dag, known=known)
                n += 1
                wanted = role in (ADMIN if changes and dag == PROMOTING and about_dag else may)
                if (status not in {401, 403}) != wanted:
                    wrong.append(f"{role} {method} {path} ({dag}): {status}, wanted {'a way in' if wanted else '403'}")
    assert not wrong, f"{len(wrong)} of {n}:\n" + "\n".join(wrong)
    assert n > 600


def test_without_a_session_the_api_answers_nothing(airflow, client_of, known):
    """Only health, version and the way to the login page are for everybody."""
    nobody = client_of("nobody")
    open_to_all = {"/api/v2/monitor/health", "/api/v2/version", "/api/v2/auth/login", "/api/v2/auth/logout"}
    for method, path in all_routes(airflow):
        if path not in open_to_all:
            assert ask(nobody, method, path, dag=PLAIN, known=known) in {401, 403}, f"{method} {path}"
