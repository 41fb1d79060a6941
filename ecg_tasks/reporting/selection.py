"""Here: which records get their own page. Not here: making the pages."""

from ecg_tasks.labels import Decision
from ecg_tasks.report_columns import Query
from ecg_tasks.reporting.predictions import Predictions

SAMPLE_SHARE = 0.2
"""Part of the pages kept for a sample of the remaining records, so that a reader can always compare."""


def records_with_page(predictions: Predictions, *, limit: int) -> list[str]:
    """Choose the records that get a page: uncertain and abnormal ones, and a sample of the rest.

    All records when there are no more than ``limit``. Otherwise uncertain records come first, then abnormal ones, both with the highest
    P(abnormal) first; a fifth of the pages goes to the rest, drawn by record id, which is a hash: the same records give the same sample
    every time.

    Parameters
    ----------
    predictions : of the run
    limit : how many pages at most; 0 makes none

    Returns
    -------
    list of record ids, in the order in which the pages are worth reading
    """
    if not limit:
        return []
    n_flagged = sum(n for decision, n in predictions.decisions.items() if decision in {Decision.UNCERTAIN, Decision.ABNORMAL})
    n_rest = min(len(predictions) - n_flagged, max(round(limit * SAMPLE_SHARE), limit - n_flagged))
    flagged = [row["record_id"] for row in predictions.first(Query(), min(n_flagged, limit - n_rest))]
    rest = [
        row["record_id"]
        for decision in (Decision.NORMAL, Decision.UNINTERPRETABLE)
        for row in predictions.first(Query(decision=decision, sort="record_id"), n_rest)
    ]
    return [*flagged, *sorted(rest)[:n_rest]]
