"""Here: pages, lists and tables that were written once, with the names in them replaced. Not here: which names (``known_names``)."""

import csv
import html
import io
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ecg_tasks.archive import tables
from ecg_tasks.pipeline.deidentification.known_names import KnownNames
from ecg_tasks.pipeline.intake.taking import kept_date
from ecg_tasks.settings import Dates
from ecg_tasks.signals.record import OLDEST_AGE

_TAG = re.compile(r"(<!--.*?-->|<style\b.*?</style\s*>|<script\b.*?</script\s*>|<[^>]*>)", re.DOTALL | re.IGNORECASE)
_JSON_SCRIPT = re.compile(r"(<script\b[^>]*json[^>]*>)(.*)(</script\s*>)", re.DOTALL | re.IGNORECASE)
_VALUE = re.compile(r'((?:title|aria-label|alt|href|content|value|id|data-[\w-]+|download)=")([^"]*)(")', re.IGNORECASE)


class Written:
    """What was written of records and files, in formats that a text can stand in."""

    def __init__(self, known: KnownNames, *, dates: Dates) -> None:
        self._known = known
        self._dates: Dates = dates

    def changed(self, key: str, data: bytes) -> bytes:
        """Return an object's bytes without names, ages above 90 and finer dates than are kept; the same bytes where it has none."""
        if data.startswith(b"PAR1"):
            return self._table(data)
        kinds: dict[str, Callable[[bytes], bytes]] = {"html": self._page, "json": self._json, "csv": self._csv, "md": self._plain}
        made = kinds.get(key.rpartition(".")[2])
        return data if made is None or key.endswith(".schema.json") else made(data)

    def _plain(self, data: bytes) -> bytes:
        return self._known.within(data.decode()).encode()

    def _page(self, data: bytes) -> bytes:
        made, tag = [], ""
        for piece in _TAG.split(data.decode()):
            if not piece.startswith("<"):
                made.append(self._text(piece, is_name=tag.startswith(("<bdi", "<title"))))
                continue
            tag = piece.lower()
            script = _JSON_SCRIPT.fullmatch(piece)
            if script:
                made.append(f"{script[1]}{self._json(script[2].encode()).decode()}{script[3]}")
            elif tag.startswith(("<style", "<script")):
                made.append(piece)
            else:
                made.append(_VALUE.sub(lambda found: f"{found[1]}{self._escaped(found[2], self._known.within)}{found[3]}", piece))
        return "".join(made).encode()

    def _text(self, piece: str, *, is_name: bool) -> str:
        stripped = piece.strip()
        if not stripped:
            return piece
        before, after = piece[: piece.index(stripped)], piece[piece.index(stripped) + len(stripped) :]
        tells = is_name or not html.unescape(stripped).isdigit()
        return before + self._escaped(stripped, self._known.told if tells else self._known.within) + after

    @staticmethod
    def _escaped(text: str, replace: Callable[[str], str]) -> str:
        plain = html.unescape(text)
        made = replace(plain)
        return text if made == plain else html.escape(made)

    def _json(self, data: bytes) -> bytes:
        try:
            plain = json.loads(data)
        except ValueError:
            return self._plain(data)
        made = self._value(plain)
        return data if made == plain or repr(made) == repr(plain) else json.dumps(made, indent=1, ensure_ascii=False).encode()

    def _value(self, value: Any, field: str = "") -> Any:
        if isinstance(value, str):
            return kept_date(value, self._dates) if field == "recorded" else self._known.told(value)
        if isinstance(value, list):
            return [self._value(one, field) for one in value]
        if isinstance(value, dict):
            made = {name: self._value(one, name) for name, one in value.items()}
            if isinstance(value.get("record_id"), str) and isinstance(value.get("name"), str):
                made["name"] = value["record_id"]
            return made
        if field == "age" and isinstance(value, int | float) and value > OLDEST_AGE:
            return OLDEST_AGE
        return value

    def _csv(self, data: bytes) -> bytes:
        text = data.decode()
        ends = "\r\n" if "\r\n" in text else "\n"
        rows = list(csv.reader(io.StringIO(text, newline="")))
        if not rows:
            return data
        head = rows[0]
        made = [head, *(self._row(dict(zip(head, row, strict=True))) if len(row) == len(head) else row for row in rows[1:])]
        if made == rows:
            return data
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator=ends).writerows(made)
        return out.getvalue().encode()

    def _row(self, row: dict[str, str]) -> list[str]:
        made = {name: value if name in {"", "record_id"} else self._cell(name, value) for name, value in row.items()}
        if "record_id" in row and "name" in row:
            made["name"] = row["record_id"]
        return list(made.values())

    def _cell(self, column: str, value: str) -> str:
        if column == "recorded":
            return kept_date(value, self._dates) or ""
        if column == "age" and value and float(value) > OLDEST_AGE:
            return f"{OLDEST_AGE:g}"
        return value if not value or _is_number(value) else self._known.told(value)

    def _table(self, data: bytes) -> bytes:
        table = tables.load_table(data)
        columns = tables.plain_columns(table)
        changed: dict[str, Any] = {}
        for name, values in columns.items():
            if name == "record_id":
                continue
            if name == "name" and "record_id" in columns:
                made: Any = list(columns["record_id"])
            elif name == "age":
                made = np.minimum(values, np.float32(OLDEST_AGE)) if isinstance(values, np.ndarray) else values
            elif isinstance(values, list) and all(value is None or isinstance(value, str) for value in values):
                to = {value: self._cell(name, value) if value else value for value in set(values)}
                made = [to[value] for value in values]
            else:
                continue
            if not (np.array_equal(made, values, equal_nan=True) if isinstance(values, np.ndarray) else made == values):
                changed[name] = made
        return tables.exchanged(table, changed, keyed=tables.has_keyed_buckets(table)) if changed else data


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
