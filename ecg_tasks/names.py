"""Here: names that are stored, typed and shown: the DAGs' and the recipes'. Not here: what they stand for (``pipeline``, ``recipes``).

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


INBOX = "inbox/"
"""Where people put files, below the bucket: tables of labels may name it too."""


class RecipeName(StrEnum):
    """The recipes, in the order in which they are asked. The values are stored."""

    TWELVE_LEAD = "twelve_lead"
    HEARTBEAT = "heartbeat"
    NOTEBOOK = "notebook"
    LEAD_SAMPLES = "lead_samples"
