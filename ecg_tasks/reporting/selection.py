"""Here: which records get a page of their own. Not here: making the pages."""

from ecg_tasks.labels import Decision
from ecg_tasks.reporting.predictions import Predictions

SAMPLE_SHARE = 0.2
"""Part of the pages kept for a sample of the remaining records, so that a reader can always compare."""


def records_with_page(predictions: Predictions, *, limit: int) -> list[str]:
    """Choose the records that get a page: uncertain and abnormal ones, and a sample of the rest.

    All records when there are no more than ``limit``. Otherwise uncertain records come first, then abnormal ones with the most certain
    first; a fifth of the pages goes to the rest, drawn by record id, which is a hash: the same records give the same sample every time.

    Parameters
    ----------
    predictions : of the run
    limit : how many pages at most; 0 makes none

    Returns
    -------
    list of record ids, in the order in which the pages are worth reading
    """
    n_flagged = sum(n for decision, n in predictions.decisions.items() if decision in {Decision.UNCERTAIN, Decision.ABNORMAL})
    n_rest = min(len(predictions) - n_flagged, max(round(limit * SAMPLE_SHARE), limit - n_flagged))
    uncertain_first = (
        f"ORDER BY decision <> '{Decision.UNCERTAIN}', iif(decision = '{Decision.ABNORMAL}', -probability, 0), record_id LIMIT ?"
    )
    is_flagged = f"decision IN ('{Decision.UNCERTAIN}', '{Decision.ABNORMAL}')"
    flagged = predictions.select(("record_id",), f"WHERE {is_flagged} {uncertain_first}", limit - n_rest)
    rest = predictions.select(("record_id",), f"WHERE NOT {is_flagged} ORDER BY record_id LIMIT ?", n_rest)
    return [str(record_id) for (record_id,) in (*flagged, *rest)]
