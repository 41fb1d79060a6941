"""Here: the same work done in this process, step after step, without a stack: what a night must be equal to. Not here: a night (``night``).

`python -m tests.faults` compares its nights with an unbroken one on the same stack; the suite, which must be quick, with this.
"""

import json

from ecg_tasks.actions.inbox import put_in_order
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.pipeline import classify_records, ingest_records, render_spectrograms
from ecg_tasks.pipeline.champions.seed import install_champions
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
    ingest_records.publish(RUN, [ingest_records.ingest_batch(job) for job in ingest_records.plan(RUN)])
    render_spectrograms.publish(RUN, [render_spectrograms.render_shard(job) for job in render_spectrograms.plan(RUN)])
    ((_, form),) = work.then
    pin = classify_records.pin_champion(RUN, date="2026-01-02", details=200, **json.loads(form))
    classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])
    return night(store, RUN)
