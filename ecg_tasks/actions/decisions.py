"""Here: what a person decides about a model, as the form of the DAG that does it. Not here: doing it (``pipeline.decide_champion``).

The page and the command line start that DAG, so decisions come one after the other and stand in Airflow's own history too.
"""

from ecg_tasks.pipeline.decide_champion import ChampionAction

__all__ = ["ChampionAction", "form"]


def form(*, recipe: str, action: ChampionAction, version: str, why: str, override: str = "") -> dict[str, str]:
    """Return the form of a run of ``decide_champion``.

    Parameters
    ----------
    version : the one meant; empty for a rollback of whatever serves
    why : kept for ever beside the decision
    override : why a version that was rejected, or never evaluated, shall serve
    """
    return {"recipe": recipe, "action": action.value, "version": version, "why": why, "override": override}
