"""Here: names that are stored, typed and shown: of DAGs, recipes, collections. Not here: what they stand for (``pipeline``, ``recipes``).

Nothing else is imported, so DAG files, plugins and the command line may name a DAG or a recipe at no cost.
"""

from enum import StrEnum


class DagId(StrEnum):
    """The DAGs. The values are stored, and are the names of the modules in ``dags/`` and ``pipeline/``."""

    INGEST_RECORDS = "ingest_records"
    RENDER_SPECTROGRAMS = "render_spectrograms"
    RETRAIN_MODEL = "retrain_model"
    DECIDE_CHAMPION = "decide_champion"
    CLASSIFY_RECORDS = "classify_records"
    BACKFILL_VERSION = "backfill_version"
    MAINTAIN_STORE = "maintain_store"
    FORGET_PATIENT = "forget_patient"


OLD_FIELDS = {"ensemble_size": "members"}
"""Form fields of DAGs by the name that they had in version 0.1: a run's configuration may still use it."""
INBOX = "inbox/"
"""Where people put files, below the bucket: tables of labels may name it too."""
RECORDS, LABELS, CLASSES = "records/", "labels/", "classes/"
SPECTROGRAMS, MEASUREMENTS = "spectrograms/", "measurements/"
REPORTS, PREDICTIONS, MONITORING = "reports/", "predictions/", "monitoring/"
"""Parts of the bucket that an asset stands for; `archive.keys` has all."""


class RecipeName(StrEnum):
    """The recipes, in the order in which they are asked. The values are stored."""

    TWELVE_LEAD = "twelve_lead"
    HEARTBEAT = "heartbeat"
    NOTEBOOK = "notebook"
    LEAD_SAMPLES = "lead_samples"


class CollectionName(StrEnum):
    """The public collections, in the order in which a folder is held against them. The values are stored, and are layouts of ``import``."""

    PTBXL = "ptbxl"
    MIMIC_IV_ECG = "mimic_iv_ecg"
    CODE15 = "code15"
    SPH = "sph"
    CHAPMAN = "chapman"
    LUDB = "ludb"
    CINC = "cinc"
    PTBDB = "ptbdb"
