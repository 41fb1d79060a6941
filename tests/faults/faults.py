"""Here: which faults are tried, in nights of several, each in another task. Not here: how they are done (``breaks``)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tests import versions
from tests.faults import breaks
from tests.faults.breaks import Act, Break
from tests.faults.night import SECOND, Work
from tests.faults.proxy import Fate, Network

OUTAGE_S = 20.0
A_NIGHT = Work()
TRAINING = Work(
    n_patients=140,  # with fewer, a side of the split may lack a class
    one_intake=True,
    then=(
        ("retrain_model", '{"recipe": "twelve_lead", "epochs": 3, "ensemble_size": 1, "policy": "refresh"}'),
        ("classify_records", '{"scope": "all"}'),
    ),
)
REFUSING = replace(
    TRAINING,
    then=tuple((dag, json.dumps(json.loads(form) | {"approval": True}) if dag == "retrain_model" else form) for dag, form in TRAINING.then),
    answer="Reject",
)
FORGETTING = Work(
    seen=True,
    then=(("classify_records", '{"scope": "all"}'), ("forget_patient", "{}"), ("maintain_store", '{"dry_run": false}')),
)
"""Its request is made when it is due: see `Nights.run`."""
FIRST = versions.shipped("twelve_lead").version
DECIDING = Work(
    second_version=True,
    then=(
        (
            "decide_champion",
            json.dumps(
                {"recipe": "twelve_lead", "action": "promote", "version": SECOND, "why": "tried", "override": "the gate was not asked"}
            ),
        ),
        ("classify_records", '{"scope": "all"}'),
        ("backfill_version", json.dumps({"recipe": "twelve_lead", "version": FIRST})),
        ("maintain_store", '{"dry_run": false}'),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is broken during which work, on which bench.

    Parameters
    ----------
    own_clock : of ``airflow`` and ``store``, those whose clock is the bench's own
    own_disks : small disks are needed
    while_asked : components that are killed at once while a person is asked
    """

    breaks: tuple[Break, ...]
    work: Work = A_NIGHT
    own_clock: tuple[str, ...] = ()
    own_disks: bool = False
    while_asked: tuple[str, ...] = ()


PLACES = {
    "ingest_batch": Break(dag="ingest_records", task="ingest_batch", method="PUT", pattern="^raw/", nth=5),
    "publish": Break(dag="ingest_records", task="publish", method="PUT", pattern="^records/"),  # its index stands already
    "render_shard": Break(dag="render_spectrograms", task="render_shard", method="PUT", pattern="^spectrograms/", nth=2),
    "classify_shard": Break(dag="classify_records", task="classify_shard", method="PUT", pattern="^predictions/"),
    "write_report": Break(dag="classify_records", task="write_report", method="PUT", pattern="^reports/", nth=3),
}
"""In the middle of each task that works: when it has written something, and something is missing."""
OTHERS = (
    Break(dag="ingest_records", task="plan", method="PUT", pattern="^staging/intake/.*/jobs/"),
    Break(dag="render_spectrograms", task="plan", method="PUT", pattern="^staging/render_spectrograms/.*/jobs/[^/]*$"),
    Break(dag="render_spectrograms", task="publish", method="PUT", pattern="^manifests/render_spectrograms/"),
    Break(dag="classify_records", task="pin_champion", method="PUT", pattern=r"^staging/classify_records/.*/pin\.json$"),
    Break(dag="classify_records", task="plan", method="PUT", pattern="^staging/classify_records/.*/jobs/[^/]*$"),
)
ANSWERED = (
    Break(dag="ingest_records", task="ingest_batch", method="PUT", pattern="^staging/intake/.*/results/"),
    Break(dag="ingest_records", task="publish", method="POST", pattern="^$"),  # the list of what goes from the inbox
    Break(dag="render_spectrograms", task="render_shard", method="PUT", pattern="^spectrograms/"),
    Break(dag="classify_records", task="classify_shard", method="PUT", pattern="^predictions/"),
    Break(dag="classify_records", task="write_report", method="PUT", pattern="^manifests/classify_records/"),
)
"""When something stands in the store, and its task does not know it yet."""
READS = (
    Break(dag="ingest_records", task="ingest_batch", method="GET", pattern=r"^inbox/.*\.dat$", nth=3),
    Break(dag="render_spectrograms", task="render_shard", method="GET", pattern="^records/"),
    Break(dag="classify_records", task="classify_shard", method="GET", pattern="^spectrograms/"),
    Break(dag="classify_records", task="write_report", method="GET", pattern="^predictions/"),
)
WEEKLY = (
    Break(dag="retrain_model", task="assemble_dataset", method="PUT", pattern="^datasets/"),
    Break(dag="retrain_model", task="train", method="PUT", pattern="^checkpoints/.*/epochs/", nth=2),
    Break(dag="retrain_model", task="evaluate", method="PUT", pattern="^models/", nth=3),
    Break(dag="retrain_model", task="gate", method="PUT", pattern=r"^models/.*/verdict\.json$"),
    Break(dag="retrain_model", task="choose", method="GET", pattern=r"^models/.*/verdict\.json$", nth=3),
    Break(dag="retrain_model", task="promote", method="PUT", pattern=r"^models/.*/champion\.json$"),
)
REFUSED = (Break(dag="retrain_model", task="note_refusal", method="PUT", pattern=r"^models/.*/champion\.json$"),)
BY_HAND = (
    Break(dag="decide_champion", task="decide", method="PUT", pattern=r"^models/.*/champion\.json$"),
    Break(dag="backfill_version", task="pin_versions", method="PUT", pattern=r"^staging/backfill_version/.*/pin\.json$"),
    Break(dag="backfill_version", task="plan", method="PUT", pattern="^staging/backfill_version/.*/jobs/[^/]*$"),
    Break(dag="backfill_version", task="classify_shard", method="PUT", pattern=rf"^predictions/.*/{FIRST}\.parquet$"),
    Break(dag="backfill_version", task="write_difference", method="PUT", pattern="^backfills/", nth=3),
    Break(dag="maintain_store", task="plan", method="PUT", pattern=r"^staging/maintain_store/.*/plan\.json$"),
    Break(dag="maintain_store", task="delete", method="PUT", pattern=r"^staging/maintain_store/.*/deleted\.json$"),
    Break(dag="maintain_store", task="check_orphans", method="PUT", pattern=r"^staging/maintain_store/.*/orphans\.json$"),
    Break(dag="maintain_store", task="check_contents", method="PUT", pattern=r"^staging/maintain_store/.*/contents\.json$"),
    Break(dag="maintain_store", task="publish", method="PUT", pattern="^manifests/maintain_store/"),
    Break(dag="maintain_store", task="fail_if_damaged", method="GET", pattern="^manifests/maintain_store/", nth=2),  # after publish
)


FORGOTTEN = (
    Break(dag="forget_patient", task="choose", method="GET", pattern="^forgotten/"),
    Break(dag="forget_patient", task="wait_for_others", method="PUT", pattern="^staging/intake/forgetting$"),
    Break(dag="forget_patient", task="carry_out", method="PUT", pattern="^forgotten/", nth=2),  # most is written again, and nothing is over
    Break(dag="forget_patient", task="let_others_begin", method="DELETE", pattern="^staging/intake/forgetting$"),
    Break(dag="maintain_store", task="pack_access_log", method="PUT", pattern="^access/.*/packed-"),
)


def everywhere(what: str, act: Act, places: tuple[Break, ...] = tuple(PLACES.values()), *, answered: bool = False) -> tuple[Break, ...]:
    """The same at all these places."""
    return tuple(replace(one, what=what, act=act, answered=answered) for one in places)


def each(acts: Mapping[str, tuple[str, Act]]) -> tuple[Break, ...]:
    """Place -> what is done there."""
    return tuple(replace(PLACES[place], what=what, act=act) for place, (what, act) in acts.items())


def kills(**components: str) -> tuple[Break, ...]:
    """Place -> component that is killed there."""
    return each({place: (f"{name} killed", breaks.kill(name)) for place, name in components.items()})


def halts(**components: str) -> tuple[Break, ...]:
    """Place -> component that is halted there."""
    return each({place: (f"{name} halted", breaks.halt(name)) for place, name in components.items()})


_CUT = "network cut for 20 s", breaks.network(Network(cut=True), for_s=OUTAGE_S)
_SLOW = "network slow for 20 s", breaks.network(Network(delay_s=0.3, bytes_per_s=100_000), for_s=OUTAGE_S)
_500 = "store answers 500 for 20 s", breaks.network(Network(status=500), for_s=OUTAGE_S)
_503 = "store answers 503 for 20 s", breaks.network(Network(status=503), for_s=OUTAGE_S)
_MACHINE = ("airflow", "store")

FAULTS: dict[str, Fault] = {
    "tasks": Fault(breaks=everywhere("task killed", breaks.kill_task, (*PLACES.values(), *OTHERS))),
    "tasks-after": Fault(breaks=everywhere("task killed after its write", breaks.kill_task, ANSWERED, answered=True)),
    "requests": Fault(
        breaks=(
            *everywhere("answer to a write lost", breaks.once(Fate.LOSE_ANSWER), (*PLACES.values(), *OTHERS)),
            *everywhere("write cut in its middle", breaks.once(Fate.HALF_UP), ANSWERED),
            *everywhere("read cut in its middle", breaks.once(Fate.HALF_DOWN), READS),
        )
    ),
    "airflow-1": Fault(
        breaks=kills(
            ingest_batch="scheduler",
            publish="postgres",
            render_shard="api-server",
            classify_shard="dag-processor",
            write_report="triggerer",
        )
    ),
    "store-1": Fault(
        breaks=kills(
            ingest_batch="store",
            publish="store-data",
            render_shard="store-data",
            classify_shard="store",
            write_report="store-data",
        )
    ),
    "network-1": Fault(breaks=each({"ingest_batch": _CUT, "publish": _500, "render_shard": _SLOW, "classify_shard": _503})),
    "workers": Fault(
        breaks=(
            *(
                replace(PLACES[place], what="worker above the task killed", act=breaks.kill_worker)
                for place in ("ingest_batch", "publish", "classify_shard", "write_report")
            ),
            replace(PLACES["render_shard"], what="all idle workers killed", act=breaks.kill_idle_workers),
        )
    ),
    "airflow-2": Fault(
        breaks=kills(
            ingest_batch="dag-processor",
            publish="triggerer",
            render_shard="postgres",
            classify_shard="scheduler",
            write_report="api-server",
        )
    ),
    "airflow-3": Fault(breaks=kills(ingest_batch="api-server", publish="scheduler", classify_shard="postgres")),
    "store-2": Fault(breaks=kills(ingest_batch="store-data", publish="store", classify_shard="store-data", write_report="store")),
    "network-2": Fault(breaks=each({"ingest_batch": _503, "publish": _CUT, "classify_shard": _500, "write_report": _CUT})),
    "disks": Fault(
        breaks=(
            *each(
                {
                    "ingest_batch": ("object store's disk full for 20 s", breaks.fill("objects", for_s=OUTAGE_S)),
                    "publish": ("disk of database and logs full for 20 s", breaks.fill("home", for_s=OUTAGE_S)),
                    "classify_shard": ("object store's disk full for 20 s", breaks.fill("objects", for_s=OUTAGE_S)),
                }
            ),
            Break(
                dag="classify_records",
                task="write_report",
                method="GET",
                pattern="^predictions/",
                what="disk of temporary files full for 20 s",
                act=breaks.fill("temp", for_s=OUTAGE_S),
            ),
        ),
        own_disks=True,
    ),
    "hangs-1": Fault(
        breaks=halts(
            ingest_batch="scheduler",
            publish="postgres",
            render_shard="api-server",
            classify_shard="dag-processor",
            write_report="triggerer",
        )
    ),
    "hangs-2": Fault(
        breaks=halts(
            ingest_batch="store",
            publish="store-data",
            render_shard="store-data",
            classify_shard="store",
            write_report="store-data",
        )
    ),
    "hangs-3": Fault(breaks=halts(ingest_batch="supervisor", classify_shard="postgres", write_report="scheduler")),
    "supervisor": Fault(
        breaks=(
            *each(dict.fromkeys(("ingest_batch", "classify_shard"), ("supervisor killed", breaks.kill_supervisor))),
            *kills(publish="guardian"),
        )
    ),
    "database-disk": Fault(
        breaks=each(
            {
                "ingest_batch": ("disk of database and logs full for two minutes", breaks.fill("home", for_s=2 * 60)),
                "classify_shard": ("disk of database and logs full for two minutes", breaks.fill("home", for_s=2 * 60)),
            }
        ),
        own_disks=True,
    ),
    "read-only": Fault(
        breaks=each(
            {
                "ingest_batch": ("object store's file system read-only for 20 s", breaks.close("objects/store", for_s=OUTAGE_S)),
                "publish": ("file system of the logs read-only for 20 s", breaks.close("home/logs", for_s=OUTAGE_S)),
                "classify_shard": ("object store's file system read-only for 20 s", breaks.close("objects/store", for_s=OUTAGE_S)),
                "write_report": ("file system of the logs read-only for 20 s", breaks.close("home/logs", for_s=OUTAGE_S)),
            }
        ),
        own_disks=True,
    ),
    "training": Fault(breaks=everywhere("task killed", breaks.kill_task, WEEKLY), work=TRAINING),
    "refusing": Fault(
        breaks=everywhere("task killed", breaks.kill_task, REFUSED),
        work=REFUSING,
        while_asked=("scheduler", "triggerer", "postgres"),
    ),
    "forgetting": Fault(breaks=everywhere("task killed", breaks.kill_task, FORGOTTEN), work=FORGETTING),
    "deciding": Fault(breaks=everywhere("task killed", breaks.kill_task, BY_HAND), work=DECIDING),
    "clock-5-minutes": Fault(
        breaks=each({"ingest_batch": ("the machine's clock set back 5 minutes", breaks.set_back(300))}), own_clock=_MACHINE
    ),
    "clock-an-hour": Fault(
        breaks=each({"ingest_batch": ("the machine's clock set back an hour for 20 s", breaks.set_back(3600, for_s=OUTAGE_S))}),
        own_clock=_MACHINE,
    ),
    "skew-5-minutes": Fault(
        breaks=each({"ingest_batch": ("clock set back 5 minutes, but not the store's", breaks.set_back(300))}), own_clock=("airflow",)
    ),
    "skew-an-hour": Fault(
        breaks=each({"ingest_batch": ("clock an hour behind the store's for 20 s", breaks.set_back(3600, for_s=OUTAGE_S))}),
        own_clock=("airflow",),
    ),
}
