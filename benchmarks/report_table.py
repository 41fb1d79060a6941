"""Here: what a report's table of a million rows costs: writing it, the page's first view, and what a reader asks next. Not here: a night.

    python -m benchmarks.report_table 1000000

The rows are made up and come in parts, as a night's shards do. Each figure is of a process of its own, whose imports are over; the
bucket is the embedded stack's own server. The page is asked as ``pages`` asks it.
"""

import importlib
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from benchmarks.processes import Usage, Work, in_own_process
from benchmarks.store import s3_server

ROWS_A_SHARD = 4096
DATE, RUN = "2026-01-01", "million"
PAGE = f"/reports/{DATE}/{RUN}"
MEASURED = {
    "rate_bpm": (50, 100),
    "pr_ms": (120, 200),
    "qrs_ms": (70, 120),
    "qt_ms": (340, 450),
    "qtc_fridericia_ms": (360, 460),
    "qtc_bazett_ms": (360, 470),
    "axis_deg": (-30, 90),
}
"""What is measured of a recording, from where to where."""
VIEWS = {
    "first view of the page": [PAGE],
    "the same, then its next page": [PAGE, f"{PAGE}?offset=50"],
    "first view, filtered by a word": [f"{PAGE}?q=csv%237"],
    "first view, filtered and sorted": [f"{PAGE}?decision=uncertain&sort=quality"],
    "first view, sorted by name": [f"{PAGE}?sort=name"],
    "first view, 900,000 rows further": [f"{PAGE}?offset=900000"],
}
FILES = {
    "predictions.parquet": f"{PAGE}/files/predictions.parquet",
    "the rows of a filter as CSV": f"{PAGE}/rows.csv?decision=uncertain",
    "all rows, sorted by name, as CSV": f"{PAGE}/rows.csv?sort=name",
    "FHIR R5": f"{PAGE}/files/fhir-R5.ndjson",
    "XLSX": f"{PAGE}/files/predictions.xlsx",
}


def made_up(n_rows: int) -> Iterator[dict[str, Any]]:
    """Yield columns of made-up rows, a shard at a time."""
    import numpy as np

    rng = np.random.default_rng(1)
    for start in range(0, n_rows, ROWS_A_SHARD):
        n = min(ROWS_A_SHARD, n_rows - start)
        numbers = range(start, start + n)
        probability = rng.random(n, dtype=np.float32)
        probability[rng.random(n) < 0.05] = np.nan
        kinds = np.select(
            [np.isnan(probability), probability < 0.3, probability < 0.4], ["uninterpretable", "normal", "uncertain"], "abnormal"
        )
        record_ids = [rng.bytes(16).hex() for _ in numbers]
        yield {
            "record_id": record_ids,
            "name": [f"ward/day{number // 1000}.csv#{number % 1000}" for number in numbers],
            "source_sha256": [f"{number // 1000:064x}" for number in numbers],
            "decision": kinds.tolist(),
            "probability": probability,
            "recipe": ["heartbeat"] * n,
            "version": ["aaaa00000001"] * n,
            "n_windows": np.ones(n, np.int32),
            "n_used": np.where(np.isnan(probability), 0, 1),
            "quality": rng.random(n, dtype=np.float32),
            "flags": np.where(probability < 0.1, "noise,lead_off", "").tolist(),
            "seconds_read": [""] * n,
            "label": [("normal", "abnormal", None, None)[kind] for kind in rng.integers(4, size=n)],
            "synthetic": [True] * n,
            "age": rng.integers(18, 91, n).astype(np.float32),
            "sex": [("female", "male", None)[kind] for kind in rng.integers(3, size=n)],
            "recorded": [f"{year}" for year in rng.integers(1990, 2027, n)],
            "device": ["Mortara ELI 250"] * n,
            "filters": ["0.05 to 150 Hz, notch 50 Hz"] * n,
            "source_format": ["HL7 aECG"] * n,
            "model_digest": ["d" * 64] * n,
            "threshold": [0.35] * n,
            "abstain_low": [0.3] * n,
            "abstain_high": [0.4] * n,
            "shard": [f"{start:020x}"] * n,
            "site": [("north", "south", None)[kind] for kind in rng.integers(3, size=n)],
            **{name: rng.integers(low, high, n).astype(np.float64) for name, (low, high) in MEASURED.items()},
            "rhythm": ["regular"] * n,
            "not_measurable": [""] * n,
            "patient": [f"{number // 2:024x}" for number in numbers],
            "run": [RUN] * n,
            "date": [date.fromisoformat(DATE)] * n,
            "page": [f"http://localhost:8080/ecg/records/{record_id}?date={DATE}&run={RUN}" for record_id in record_ids],
        }


def write(n_rows: int) -> Work:
    """Case: the table and its CSV, written into the bucket with as much of a summary as the page reads."""
    from ecg_tasks.archive import keys, workspace
    from ecg_tasks.archive.run_table_writer import RunTableWriter
    from ecg_tasks.counts import ReportCounts
    from ecg_tasks.reporting.tables import csv_file

    store = workspace.open_store()
    store.create_bucket()

    def work() -> dict[str, float]:
        with RunTableWriter() as writer:
            for part in made_up(n_rows):
                writer.append(part)
            table = writer.finish()
        table.file.seek(0)
        store.put(keys.report(DATE, RUN, "predictions.parquet"), table.file)
        with csv_file(table.parts()) as file:
            store.put(keys.report(DATE, RUN, "predictions.csv"), file)
        counts = dict.fromkeys(ReportCounts.__struct_fields__, 0) | {"received": n_rows, "records": n_rows}
        decided = {str(decision): n for decision, n in table.decisions.items()}
        counts |= {"classified": decided["normal"] + decided["abnormal"]}
        counts |= {name: decided[name] for name in ("uncertain", "uninterpretable")}
        head = {
            "run": {"run_id": RUN, "created_utc": "2026-01-01T00:00:00+00:00"},
            "counts": counts,
            "decisions": decided,
            "models": [{"recipe": "heartbeat", "version": "aaaa00000001"}],
            "quarantine": {"by_reason": {}},
            "synthetic": {"n_records": n_rows},
        }
        store.put(keys.report(DATE, RUN, "summary.json"), json.dumps(head).encode())
        sizes = {item.key.rsplit("/", 1)[-1]: item.size / 1e6 for item in store.list_objects(keys.report(DATE, RUN, ""))}
        return {name: sizes[name] for name in ("predictions.parquet", "predictions.csv")}

    return work


def view(addresses: list[str]) -> Work:
    """Case: answers of the page's application, which has answered another page before; returns the bytes of the last."""
    from benchmarks.pages import browser

    client = browser()
    client.get("/reports")

    def work() -> int:
        n_bytes = 0
        for address in addresses:
            with client.stream("GET", address) as answer:
                if answer.status_code != 200:
                    raise RuntimeError(f"{address} answered {answer.status_code}")
                n_bytes = sum(len(piece) for piece in answer.iter_bytes())
        return n_bytes

    return work


def measure(n_rows: int, say: Callable[[str], None]) -> None:
    """Say what each costs, as it is known."""
    with s3_server() as server:
        say(f"{n_rows:,} rows, over {server.name}")
        environment = {**server.environment, "ECG_BUCKET": f"table-{uuid.uuid4().hex}", "ECG_RECIPES": "heartbeat"}
        written = in_own_process(write, environment=environment, n_rows=n_rows)
        sizes = ", ".join(f"{name} {size:.0f} MB" for name, size in written.result.items())
        _say(say, f"made up, sorted and written: {sizes}", written)
        for name, addresses in (VIEWS | {name: [address] for name, address in FILES.items()}).items():
            _say(say, name, in_own_process(view, environment=environment, addresses=addresses))


def _say(say: Callable[[str], None], name: str, usage: Usage) -> None:
    memory = f"{usage.peak_mb - usage.start_mb:.0f} MB above the {usage.start_mb:.0f} before"
    say(f"{name}: {usage.wall_s:.2f} s, {usage.cpu_s:.2f} s of a processor, {memory}")


if __name__ == "__main__":
    _named = importlib.import_module("benchmarks.report_table")  # the other processes import the cases by this name
    _named.measure(int(sys.argv[1]), lambda line: print(line, flush=True))
