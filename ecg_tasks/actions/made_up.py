"""Here: dropping made-up recordings for a first look. Not here: making them (``signals``), or the whole demonstration (``cli.demo``)."""

from ecg_tasks.archive import audit, keys
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import now
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.pipeline.champions import synthetic

SEED = 2027
"""Other recordings than those of ``./ecg demo``, which may come later."""
N_PATIENTS = 10


def drop(store: ObjectStore, *, who: str) -> int:
    """Put recordings of people who do not exist into the inbox, with what goes wrong in real life; returns how many files.

    Raises
    ------
    ConfigurationError
        If the bucket holds real recordings: made-up ones would stand in reports and figures beside them.
    """
    if synthetic.holds_real(store):
        raise ConfigurationError("this bucket holds real recordings: made-up ones are not put beside them by a button")
    from ecg_tasks.signals.sample_drop import sample_drop

    files = sample_drop(seed=SEED, n_patients=N_PATIENTS, recordings_per_patient=1)
    n_files = store.put_many((keys.INBOX + name, data, "application/octet-stream") for name, data in files.items())
    audit.append(store, who=who, action=audit.Action.DROP, subject=keys.INBOX, detail={"files": n_files, "synthetic": True, "when": now()})
    return n_files
