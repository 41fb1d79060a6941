"""Here: the rows of one report: filtered, sorted and cut into pages, quick at 100,000 of them. Not here: HTML.

The table is read once from the report's ``predictions.csv`` and kept by the file's ETag; a filter is a mask over columns.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive import keys
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import MissingObjectError
from ecg_tasks.labels import Decision, Label
from ecg_tasks.reporting.tables import differs

if TYPE_CHECKING:
    import pandas as pd

SORTS = ("attention", "name", "decision", "probability", "quality", "windows", "label", "recipe", "flags", "record_id")
"""What a table can be sorted by; ``attention`` is the report's own order: what needs eyes first."""
_ATTENTION = (Decision.UNCERTAIN, Decision.ABNORMAL, Decision.UNINTERPRETABLE, Decision.NORMAL)
_TEXTS = ("record_id", "name", "decision", "recipe", "version", "flags", "label", "synthetic")
_NUMBERS = ("probability", "quality", "n_windows", "n_used")
_KEPT = 3
"""Tables kept in memory; one of 100,000 rows takes about 60 MB."""
_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which rows, in which order; an empty text asks for nothing.

    ``text`` is words that must all occur in name, id or flags; ``label`` is a label or ``none``; ``differs`` keeps firm decisions
    that contradict their label.
    """

    text: str = ""
    decision: str = ""
    recipe: str = ""
    label: str = ""
    differs: bool = False
    sort: str = "attention"
    descending: bool = False


class RunTable:
    """All rows of a report, by column."""

    def __init__(self, data: bytes) -> None:
        import pandas as pd

        self._data = data
        self._ranks: dict[str, NDArray[np.float64]] = {}
        self._frame: pd.DataFrame = pd.read_csv(
            io.BytesIO(data),
            usecols=lambda name: name in _TEXTS or name in _NUMBERS,
            dtype=dict.fromkeys(("decision", "recipe", "version", "flags", "label", "synthetic"), "category")
            | dict.fromkeys(("record_id", "name"), "str"),
            na_values={name: [""] for name in _NUMBERS},
            keep_default_na=False,
        )
        for name in ("decision", "recipe", "version", "flags", "label", "synthetic"):
            self._frame[name] = self._frame[name].astype("str").astype("category")

    def __len__(self) -> int:
        return len(self._frame)

    @property
    def recipes(self) -> list[str]:
        """Recipes that decided."""
        return sorted(self._frame["recipe"].cat.categories)

    def select(self, query: Query) -> NDArray[np.intp]:
        """Rows that pass, in order, shape (n_found,)."""
        frame = self._frame
        keep = np.ones(len(frame), dtype=bool)
        for name, wanted in (("decision", query.decision), ("recipe", query.recipe), ("label", query.label)):
            if wanted:
                keep &= (frame[name] == ("" if wanted == "none" else wanted)).to_numpy(dtype=bool)
        if query.differs:
            keep &= self._differs
        for word in query.text.lower().split():
            keep &= self._haystack.str.contains(word, regex=False).to_numpy(dtype=bool)
        rank = self._rank(query.sort)
        found = np.flatnonzero(keep)
        return found[np.argsort(-rank[found] if query.descending else rank[found], kind="stable")]

    def rows(self, places: NDArray[np.intp]) -> list[dict[str, Any]]:
        """Cells of the rows at these places; a probability that is not known is None."""
        columns = {name: self._frame[name].iloc[places].tolist() for name in (*_TEXTS, *_NUMBERS)}
        made = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        for row in made:
            row["probability"] = None if np.isnan(row["probability"]) else row["probability"]
            row["synthetic"] = row["synthetic"] == "yes"
            row["differs"] = differs(row["decision"], row["label"])
        return made

    def neighbours(self, query: Query, record_id: str) -> tuple[str | None, str | None]:
        """Records before and after this one among the rows that pass."""
        found = self.select(query)
        ids = self._frame["record_id"].to_numpy()
        places = np.flatnonzero(ids[found] == record_id)
        if not len(places):
            return None, None
        at = int(places[0])
        return (str(ids[found[at - 1]]) if at else None), (str(ids[found[at + 1]]) if at + 1 < len(found) else None)

    def csv(self, places: NDArray[np.intp]) -> Iterator[bytes]:
        """The rows at these places as CSV, cell by cell as the report wrote them: harmless to spreadsheets already."""
        lines = csv.reader(io.StringIO(self._data.decode(), newline=""))
        header = next(lines)
        wanted = set(places.tolist())
        kept = {row: line for row, line in enumerate(lines) if row in wanted}
        for start in range(-1, len(places), _ROWS_AT_ONCE):
            out = io.StringIO(newline="")
            writer = csv.writer(out, lineterminator="\n")
            if start < 0:
                writer.writerow(header)
            writer.writerows(kept[place] for place in places[max(start, 0) : start + _ROWS_AT_ONCE].tolist())
            yield out.getvalue().encode()

    @cached_property
    def _haystack(self) -> "pd.Series[str]":
        frame = self._frame
        flags = frame["flags"].astype("str").str.replace("_", " ")
        return (frame["name"] + "\n" + frame["record_id"] + "\n" + flags).str.lower()

    @cached_property
    def _differs(self) -> NDArray[np.bool_]:
        decision, label = self._frame["decision"], self._frame["label"]
        missed = (decision == Decision.NORMAL.value) & (label == Label.ABNORMAL.value)
        raised = (decision == Decision.ABNORMAL.value) & (label == Label.NORMAL.value)
        return np.asarray(missed | raised, dtype=bool)

    def _rank(self, sort: str) -> NDArray[np.float64]:
        """A number a row that rises in the order asked for; made once, for ordering names takes longer than all the rest."""
        if sort not in self._ranks:
            self._ranks[sort] = self._ranked(sort)
        return self._ranks[sort]

    def _ranked(self, sort: str) -> NDArray[np.float64]:
        frame = self._frame
        if sort == "attention":
            probability = frame["probability"].fillna(0.0).to_numpy(dtype=float)
            first = {decision.value: place for place, decision in enumerate(_ATTENTION)}
            attention = frame["decision"].astype("str").map(first).to_numpy(dtype=float)
            order = np.lexsort((frame["record_id"].to_numpy(dtype="S32"), -probability, attention))
            rank = np.empty(len(frame))
            rank[order] = np.arange(len(frame))
            return rank
        if sort == "windows":
            return frame["n_used"].to_numpy(dtype=float)
        if sort in _NUMBERS:
            return frame[sort].fillna(-1.0).to_numpy(dtype=float)
        return np.asarray(frame[sort].rank(method="dense"), dtype=float)


def table(store: ObjectStore, date: str, run: str) -> RunTable | None:
    """Return the rows of a report, or None if there is no such report."""
    key = keys.report(date, run, "predictions.csv")
    info = store.info(key)
    if info is None:
        return None
    try:
        return _table(store, key, info.etag)
    except MissingObjectError:
        return None


@lru_cache(maxsize=_KEPT)
def _table(store: ObjectStore, key: str, _etag: str) -> RunTable:
    return RunTable(store.get(key))
