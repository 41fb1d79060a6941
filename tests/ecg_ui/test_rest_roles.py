"""Who may do what over Airflow's own API and the accounts' API: every route that the application has, with every role.

A route that fits no line of the table fails: whoever adds or upgrades one says who may call it.
"""

import re
import warnings
from datetime import UTC, datetime

import pytest

from ecg_tasks.names import DagId

pytestmark = pytest.mark.slow

ROLES = ("reader", "reviewer", "operator", "admin")
EVERYBODY, RUNNING, ADMIN, NOBODY = set(ROLES), {"operator", "admin"}, {"admin"}, set()
PLAIN, PROMOTING = DagId.CLASSIFY_RECORDS.value, DagId.DECIDE_CHAMPION.value

TABLE = (
    # methods, address, who
    ("GET", r"/api/v2/(monitor/health|version|auth/login|auth/logout)", EVERYBODY),
    ("GET|POST", r"/ui/(config|auth/(menus|me|token))", EVERYBODY),
    ("GET", r"/api/v2/config(/.*)?|/ui/teams", NOBODY),  # not switched on here
    ("POST", r"/api/v2/connections/enqueue-test", NOBODY),  # neither
    ("GET", r"/api/v2/connections/enqueue-test", EVERYBODY),  # who knows the token of a test, and there are none
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
    ("DELETE", r"/api/v2/(dags|assets)(/.*)?", ADMIN),
    ("PATCH", r"/api/v2/dags", ADMIN),  # many at once
    ("GET", r"/(api/v2|ui)/.*", EVERYBODY),
    ("POST|PUT|PATCH", r"/api/v2/(dags|assets|backfills)(/.*)?", RUNNING),
    ("GET|POST|PATCH|DELETE", r"/auth/fab/v1/(roles|users|permissions)(/.*)?", ADMIN),
)
"""Methods and address of a route -> who may call it; the first that fits."""
FOR_NOBODY_IN_PARTICULAR = {"/auth/token", "/auth/token/cli", "/auth/logout"}
"""By which one becomes somebody, or nobody."""
WITHOUT_RULES = {
    *("/", "/{rest_of_path:path}"),  # Airflow's single page, whose data come from the routes of the table
    *("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"),
    *("/health", "/api/v1/{_:path}", "/api/{_:path}"),  # that older addresses are gone
}
VALUES = {
    "map_index": "-1",
    "try_number": "1",
    "task_try_number": "1",
    "asset_id": "987654",
    "asset_alias_id": "987654",
    "event_log_id": "987654",
}


def body_for(method, path, dag):
    """What a route is sent: where the right depends on it, or is asked after it was read, something sensible."""
    entities = {
        "/api/v2/connections": {"connection_id": "c", "conn_type": "http"},
        "/api/v2/variables": {"key": "k", "value": "v"},
        "/api/v2/pools": {"name": "p", "slots": 1},
        "/api/v2/dags/{dag_id}/dagRuns": {"dag_run_id": "r", "dag_id": dag, "state": "failed"},
    }
    if method == "PATCH" and path in entities:
        return {"actions": [{"action": "update" if "dagRuns" in path else "create", "entities": [entities[path]]}]}
    if path.endswith("/clearDagRuns"):
        return {"dag_runs": [{"dag_run_id": "r", "dag_id": dag}]}
    if path.endswith("/enqueue-test"):
        return {"connection_id": "c", "conn_type": "http"}
    return {"dag_id": dag}


def all_routes(app):
    """Method and path of everything that the application answers itself, and of the accounts' API."""
    from fastapi.routing import APIRoute

    found = []
    for route in app.routes:
        if isinstance(route, APIRoute):
            found += [(method, route.path) for method in sorted(route.methods - {"HEAD"})]
        elif getattr(route, "path", "") == "/auth":
            found += [
                (method, f"/auth{one.path}") for one in route.app.routes if isinstance(one, APIRoute) for method in sorted(one.methods)
            ]
    return [(method, path) for method, path in found if path not in WITHOUT_RULES | FOR_NOBODY_IN_PARTICULAR]


def who_may(method, path):
    """The roles of the table's first line that fits; None: it says nothing."""
    for methods, pattern, roles in TABLE:
        if re.fullmatch(methods, method) and re.fullmatch(pattern, path):
            return roles
    return None


@pytest.fixture
def known(airflow):
    """Maker of a DAG as Airflow's database knows it, with a backfill: its number, and a token for the DAG's file."""
    from airflow.models.backfill import Backfill
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session
    from itsdangerous import URLSafeSerializer

    made = set()

    def make(dag):
        now = datetime.now(UTC)
        with create_session() as session:
            session.merge(DagBundleModel(name="dags-folder"))
            session.flush()
            if session.get(DagModel, dag) is None:
                made.add(dag)
                session.add(DagModel(dag_id=dag, bundle_name="dags-folder", relative_fileloc=f"{dag}.py", fileloc=f"{dag}.py"))
                session.flush()
            row = session.query(Backfill).filter_by(dag_id=dag).first()
            if row is None:
                row = Backfill(dag_id=dag, from_date=now, to_date=now, dag_run_conf={}, max_active_runs=1)
                session.add(row)
                session.flush()
            number = row.id
        file = {"bundle_name": "dags-folder", "relative_fileloc": f"{dag}.py"}
        return str(number), URLSafeSerializer(airflow.state.secret_key).dumps(file)

    yield make
    with create_session() as session:
        session.query(Backfill).delete()
        # Only what is of this test: another test of this process may have run the DAG, and its runs hold on to it.
        session.query(DagModel).filter(DagModel.dag_id.in_(made)).delete()


def ask(client, method, path, *, dag, known):
    """The status of a request to a route, about one DAG."""
    backfill, token = known(dag)
    values = VALUES | {"dag_id": dag, "backfill_id": backfill, "file_token": token}
    address = re.sub(r"\{(\w+)(:\w+)?\}", lambda found: values.get(found[1], "nothing"), path)
    client._transport.raise_server_exceptions = False  # whoever is let in may ask for what is not there
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow's own deprecations
        return client.request(method, address, json=None if method in {"GET", "DELETE"} else body_for(method, path, dag)).status_code


def test_every_route_has_a_line_in_the_table(airflow):
    """A route of a newer Airflow is in the test by itself, and fails until somebody has said who may call it."""
    routes = all_routes(airflow)
    assert len(routes) > 150
    assert {path.split("/")[1] for _, path in routes} == {"api", "ui", "auth"}
    assert [f"{method} {path}" for method, path in routes if who_may(method, path) is None] == []


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
