"""Here: the four roles, and what each may do in Airflow and on our pages. Not here: who has which (Airflow's database).

A right is a pair of an action and a resource, in the words of Airflow's FAB provider. What is not listed is refused.
"""

from enum import StrEnum

from ecg_tasks.names import DagId

LABELS = "ECG Labels"
"""The resource that only our pages know: ``can_edit`` on it is the right to give verdicts."""
PROMOTIONS = DagId.DECIDE_CHAMPION
"""Who may edit this DAG decides which model serves."""
FORGETTING = DagId.FORGET_PATIENT
"""Who may edit this DAG has patients forgotten."""


class AccountError(Exception):
    """An account cannot be made or changed so; says why in a sentence."""


class Role(StrEnum):
    """The roles, by the names of the commands."""

    READER = "reader"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def stored(self) -> str:
        """Name in Airflow's database, where the provider gives ``Admin`` every right that there is."""
        return "Admin" if self is Role.ADMIN else self.value


Right = tuple[str, str]


def _rights(action: str, *resources: str) -> set[Right]:
    return {(action, resource) for resource in resources}


_OWN = _rights("can_read", "My Password", "My Profile") | _rights("can_edit", "My Password", "My Profile")
_READING = (
    _OWN
    | _rights("can_read", "Website", "DAGs", "DAG Runs", "DAG Versions", "DAG Warnings", "DAG Dependencies", "Task Instances")
    | _rights("can_read", "Assets", "Asset Aliases", "Plugins", "HITL Detail")
    | _rights("menu_access", "DAGs", "Assets", "Documentation")
)
"""States of runs, and our pages; no log, no code and no value that tasks handed on."""
_LABELLING = _rights("can_edit", LABELS)
_OPERATING = (
    _rights("can_read", "DAG Code", "Task Logs", "XComs", "Audit Logs", "ImportError", "Jobs", "Triggers", "Cluster Activity")
    | _rights("can_read", "Connections", "Pools", "Providers", "Variables")
    | {("can_edit", f"DAG:{dag}") for dag in DagId if dag not in {PROMOTIONS, FORGETTING}}
    | _rights("can_create", "DAG Runs", "Task Instances", "XComs", "Assets", "Connections", "Pools", "Variables")
    | _rights("can_edit", "DAG Runs", "Task Instances", "XComs", "Assets", "Connections", "Pools", "Variables")
    | _rights("can_delete", "XComs", "Connections", "Pools", "Variables")
    | _rights(
        "menu_access", "Admin", "Audit Logs", "Connections", "Pools", "Plugins", "Providers", "Variables", "XComs", "Jobs", "HITL Detail"
    )
)
"""Running the system. Not among it: answering the question before a promotion, forgetting, and deleting runs, which are evidence."""

_ADMINISTERING = _rights("can_edit", "DAGs", "HITL Detail") | _rights("can_delete", "DAGs", "DAG Runs", "Task Instances", "Assets")

RIGHTS: dict[Role, frozenset[Right]] = {
    Role.READER: frozenset(_READING),
    Role.REVIEWER: frozenset(_READING | _LABELLING),
    Role.OPERATOR: frozenset(_READING | _OPERATING),
    Role.ADMIN: frozenset(_READING | _LABELLING | _OPERATING | _ADMINISTERING),
}
"""Of an admin what Airflow's API asks for; the provider adds the rights on its own pages, where people are managed."""
