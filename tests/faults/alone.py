"""Here: the same work done in this process, step after step, without a stack: what a night must be equal to. Not here: a night (``night``).

`python -m tests.faults` compares its nights with an unbroken one on the same stack; the suite, which must be quick, with this.
"""

import json

from ecg_tasks.cli.inbox import put_in_order
from ecg_tasks.steps import render
from ecg_tasks.steps.champions.seed import install_champions
from ecg_tasks.steps.classifying import classify
from ecg_tasks.steps.ingesting import ingest
from ecg_tasks.storage.object_store import ObjectStore
from tests.faults.night import Night, Work, drop, night

RUN = "alone"


def unbroken(store: ObjectStore, work: Work) -> Night:
    """Take a drop over, render it and report on it, in an empty bucket that the environment names.

    Raises
    ------
    ValueError
        If the work has more to it than a report.
    """
    if [dag for dag, _ in work.then] != ["classify_records"] or work.second_version or work.answer:
        raise ValueError(f"only a report is made in one process, and not {work}")
    install_champions()
    put_in_order(list(drop(work.n_patients).items()))
    ingest.publish(RUN, [ingest.ingest_batch(job) for job in ingest.plan(RUN)])
    render.publish(RUN, [render.render_shard(job) for job in render.plan(RUN)])
    ((_, form),) = work.then
    pin = classify.pin_champion(RUN, date="2026-01-02", details=200, **json.loads(form))
    classify.write_report(pin, [classify.classify_shard(job) for job in classify.plan(pin)])
    return night(store, RUN)
