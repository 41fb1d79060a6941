"""Many tasks that need a worker but no core: they show whether anything but cores keeps workers waiting. For `compose_scale.py` alone.

* reads: a listing of `records/` and `spectrograms/`, as the plans of the other DAGs do; writes: nothing
* rerun: safe; when it fails: the object store was out of reach
"""

from airflow.sdk import dag, task
from ecg_defaults import TASK_DEFAULTS


@dag(schedule=None, default_args=TASK_DEFAULTS, is_paused_upon_creation=False, params={"tasks": 8, "seconds": 5.0}, doc_md=__doc__)
def sleepers() -> None:
    """Declare the tasks."""

    @task
    def plan(params: dict | None = None) -> list[float]:
        return [params["seconds"]] * params["tasks"]

    @task
    def sleep(seconds: float) -> None:
        import time

        from ecg_tasks.archive.workspace import open_store
        from ecg_tasks.pipeline import render_spectrograms
        from ecg_tasks.settings import Settings
        from ecg_tasks.signals.recipes import get_recipe

        settings = Settings.from_environment()
        for name in settings.recipes:
            render_spectrograms.unrendered(open_store(settings), get_recipe(name))
        time.sleep(seconds)

    sleep.expand(seconds=plan())


sleepers()
