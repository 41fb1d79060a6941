"""Here: which records get a page of their own. Not here: making the pages."""

from typing import TYPE_CHECKING

from ecg_tasks.labels import Decision

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_SHARE = 0.2
"""Part of the pages kept for a sample of the remaining records, so that a reader can always compare."""


def records_with_page(predictions: "pd.DataFrame", *, limit: int) -> list[str]:
    """Choose the records that get a page: uncertain and abnormal ones, and a sample of the rest.

    All records when there are no more than ``limit``. Otherwise uncertain records come first, then abnormal ones with the most certain
    first; a fifth of the pages goes to the rest, drawn by record id, which is a hash: the same records give the same sample every time.

    Parameters
    ----------
    predictions : data frame with ``model.PREDICTION_COLUMNS``
    limit : how many pages at most; 0 makes none

    Returns
    -------
    list of record ids, in the order in which the pages are worth reading
    """
    table = predictions[["record_id", "decision", "probability"]]
    uncertain = table[table["decision"] == Decision.UNCERTAIN].sort_values("record_id")
    abnormal = table[table["decision"] == Decision.ABNORMAL].sort_values(["probability", "record_id"], ascending=[False, True])
    rest = table[~table["decision"].isin([Decision.UNCERTAIN, Decision.ABNORMAL])].sort_values("record_id")
    n_rest = min(len(rest), max(round(limit * SAMPLE_SHARE), limit - len(uncertain) - len(abnormal)))
    flagged = [*uncertain["record_id"].head(limit), *abnormal["record_id"].head(limit)]
    return [str(record_id) for record_id in (*flagged[: limit - n_rest], *rest["record_id"].head(n_rest))]
