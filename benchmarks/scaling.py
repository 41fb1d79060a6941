"""Here: how the cost of a record and the peak memory move with the number of records. Not here: the night itself (``night``).

The cost of a record is what its night took beyond a night of ten records, whose cost is nearly all fixed (one S3 client, one
model and one report a night, one job a task), divided by their number. The start of the processes (Python, imports) is counted separately.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.models import models_folder
from benchmarks.night import RECIPE, ROWS_PER_FILE, NightUsage, run_night
from benchmarks.store import s3_server

FIXED_RECORDS = 10


def measure(folder: Path, *, sizes: Sequence[int], repeats: int) -> dict[str, Any]:
    """Run nights of growing size.

    Parameters
    ----------
    folder : for an untrained network
    sizes : records in a night, rising
    repeats : so often the nights of ten records and of the first size are run; the median of their costs counts

    Returns
    -------
    dict
        ``cost_growth_cpu``, ``cost_growth_wall``, ``memory_growth``: last size against the first, 1 is no growth; ``server``,
        ``network``, ``rows_per_file``; ``fixed``: what a night of ten records took; ``sizes``: one object a size, see ``describe``.
    """
    models, network = models_folder(folder / "models", RECIPE)
    with s3_server() as server:
        plan = [FIXED_RECORDS, sizes[0]] * repeats + list(sizes[1:])
        nights = [run_night(n, bucket=f"bench-{number}", environment=server.environment, models=models) for number, n in enumerate(plan)]
    fixed = [night for night in nights if night.n_records == FIXED_RECORDS]
    described = [describe([night for night in nights if night.n_records == n], fixed) for n in sizes]
    return {
        **growth(described[0], described[-1]),
        "server": server.name,
        "network": network,
        "rows_per_file": ROWS_PER_FILE,
        "fixed": describe(fixed, []),
        "sizes": described,
    }


def describe(nights: Sequence[NightUsage], fixed: Sequence[NightUsage]) -> dict[str, Any]:
    """Compute figures of some nights of one size, each the median over them.

    Parameters
    ----------
    nights : at least one
    fixed : nights of ten records whose cost is subtracted, once a task; none to subtract nothing

    Returns
    -------
    dict
        ``n_records``, ``n_nights``, ``n_tasks``; ``start_wall_s`` and ``start_cpu_s`` of all processes; ``wall_s`` and ``cpu_s`` of the
        work; ``wall_ms`` and ``cpu_ms`` of a record, beyond the fixed cost; ``peak_mb`` of the largest process; and ``steps``: for
        each step ``n_tasks``, ``wall_ms``, ``cpu_ms``, ``start_mb`` and ``peak_mb``.
    """
    n_records = nights[0].n_records
    steps = {
        name: {
            "n_tasks": len(nights[0].tasks[name]),
            "wall_ms": 1000 * _beyond(nights, fixed, name, "wall_s") / n_records,
            "cpu_ms": 1000 * _beyond(nights, fixed, name, "cpu_s") / n_records,
            "start_mb": median(max(usage.start_mb for usage in night.tasks[name]) for night in nights),
            "peak_mb": median(max(usage.peak_mb for usage in night.tasks[name]) for night in nights),
        }
        for name in nights[0].tasks
    }
    totals = {
        field: median(sum(getattr(usage, field) for usages in night.tasks.values() for usage in usages) for night in nights)
        for field in ("start_wall_s", "start_cpu_s", "wall_s", "cpu_s")
    }
    return {
        "n_records": n_records,
        "n_nights": len(nights),
        "n_tasks": sum(int(step["n_tasks"]) for step in steps.values()),
        **totals,
        "wall_ms": sum(step["wall_ms"] for step in steps.values()),
        "cpu_ms": sum(step["cpu_ms"] for step in steps.values()),
        "peak_mb": max(step["peak_mb"] for step in steps.values()),
        "steps": steps,
    }


def growth(small: Mapping[str, Any], large: Mapping[str, Any]) -> dict[str, float]:
    """Return how cost and memory of the larger size compare with those of the smaller: 1 is no growth."""
    return {
        "cost_growth_cpu": large["cpu_ms"] / small["cpu_ms"],
        "cost_growth_wall": large["wall_ms"] / small["wall_ms"],
        "memory_growth": large["peak_mb"] / small["peak_mb"],
    }


def _beyond(nights: Sequence[NightUsage], fixed: Sequence[NightUsage], step: str, field: str) -> float:
    """Return the seconds that a step took, less the fixed cost of each of its tasks."""
    took = float(median(sum(getattr(usage, field) for usage in night.tasks[step]) for night in nights))
    if not fixed:
        return took
    once = float(median(sum(getattr(usage, field) for usage in night.tasks[step]) for night in fixed))
    return took - once * len(nights[0].tasks[step])
