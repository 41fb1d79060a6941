"""Here: the server's time of every page inside Airflow, over an archive of made-up decisions. Not here: the browser's time.

The pages are asked as a browser asks them, without Airflow's own middle layers and with the right to everything. The bucket is the
embedded stack's own server, on the disk. ``first`` is the first question of a fresh process; ``again`` the median of those after it,
and ``of a processor`` what that takes where other work runs beside. ``python -m benchmarks.pages 1000000`` takes other sizes.
"""

import hashlib
import importlib
import json
import os
import statistics
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.processes import Work, in_own_process
from benchmarks.store import s3_server
from ecg_tasks.names import RecipeName

SIZES = (100, 100_000)
REPEATS = 7
RECIPE = RecipeName.HEARTBEAT.value
DATE, RUN = "2026-01-01", "bench"
CHECKOUT = Path(__file__).parents[1]


def measure(say: Callable[[str], None], *, sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """Measure the milliseconds of each page and size."""
    found: dict[str, Any] = {"sizes": list(sizes), "pages": {}}
    with s3_server() as server:
        found["server"] = server.name
        for n_records in sizes:
            say(f"an archive of {n_records:,} records")
            environment = {**server.environment, "ECG_BUCKET": f"pages-{uuid.uuid4().hex}", "ECG_RECIPES": RECIPE}
            in_own_process(fill, environment=environment, n_records=n_records)
            say(f"pages over {n_records:,} records")
            for page, taken in in_own_process(ask, environment=environment).result.items():
                found["pages"].setdefault(page, {})[str(n_records)] = taken
    return found


def print_pages(console: Console, found: Mapping[str, Any]) -> None:
    """Print a table with one row for each page."""
    table = Table(title=f"Server time of the pages, ms, over {found['server']}")
    table.add_column("page")
    for n_records in found["sizes"]:
        table.add_column(f"first, {n_records:,}", justify="right")
        table.add_column("of a processor", justify="right")
        table.add_column("again", justify="right")
        table.add_column("of a processor", justify="right")
    for page, by_size in found["pages"].items():
        table.add_row(page, *(f"{by_size[str(n)][when]:.0f}" for n in found["sizes"] for when in ("first", "first work", "again", "work")))
    console.print(table)


def fill(n_records: int) -> Work:
    """Case: an archive as the pipeline leaves it, with decisions by lot."""

    def work() -> None:
        import numpy as np

        from ecg_tasks.archive import keys, record_shards, workspace
        from ecg_tasks.archive.documents import IntakeCounts, IntakeManifest, LabelCounts, write_manifest
        from ecg_tasks.names import DagId
        from ecg_tasks.pipeline import classify_records
        from ecg_tasks.signals.record import HEARTBEAT_SAMPLES

        store = workspace.open_store()
        store.create_bucket()
        version = install(store)
        rng = np.random.default_rng(1)
        shards = []
        for start in range(0, n_records, record_shards.MAX_SHARD_RECORDS):
            n = min(record_shards.MAX_SHARD_RECORDS, n_records - start)
            samples = np.round(rng.random((n, 1, HEARTBEAT_SAMPLES)), 3).astype(np.float32)
            stored = [archived(one, name=f"ward/day.csv#{start + row}") for row, one in enumerate(samples)]
            ids = [one.record.record_id for one in stored]
            shard = record_shards.shard_name(ids)
            store.put(keys.record_shard(shard), record_shards.dump_shard(stored))
            store.put(keys.record_index(shard), record_shards.dump_index(stored))
            for key, data in derived(ids, [one.record for one in stored[:1]], rng, shard=shard, version=version):
                store.put(key, data)
            shards.append(shard)
        counts = IntakeCounts(received=n_records, records=n_records)
        manifest = IntakeManifest(
            dag=DagId.INGEST_RECORDS, run="bench", counts=counts, inputs=(), shards=tuple(shards), quarantined=(), labels=LabelCounts()
        )
        write_manifest(store, manifest)
        classify_records.write_report(classify_records.pin_champion(RUN, date=DATE, scope="all", details=0), [])

    return work


def archived(samples: Any, *, name: str) -> Any:
    """Return a record as the archive keeps it."""
    from ecg_tasks.archive.record_shards import StoredRecord
    from ecg_tasks.signals.record import HEARTBEAT_FS, Record

    record = Record(samples=samples, fs=HEARTBEAT_FS, leads=("II",), unit="relative", name=name, synthetic=True)
    return StoredRecord(record=record, source="ab" * 32, patient=None, split_bucket=-1)


def install(store: Any) -> str:
    """Let the shipped champion serve, as a version for today's pictures; returns its name."""
    from ecg_tasks.archive import registry
    from ecg_tasks.signals.recipes import get_recipe

    champion = next(one for one in registry.shipped_champions(CHECKOUT / "models") if one.recipe == RECIPE)
    files = registry.read_shipped(CHECKOUT / "models", champion)
    files["model.json"] = json.dumps(json.loads(files["model.json"]) | {"recipe_digest": get_recipe(RECIPE).digest}).encode()
    sums = [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in files.items() if name != registry.SUMS]
    registry.write_version(store, RECIPE, champion.version, files | {registry.SUMS: "\n".join(sums).encode()})
    registry.write_champion(store, recipe=RECIPE, version=champion.version, since="2026-01-01T00:00:00+00:00", who="bench", why="bench")
    return champion.version


def derived(ids: list[str], drawn: list[Any], rng: Any, *, shard: str, version: str) -> Iterator[tuple[str, bytes]]:
    """Make pictures (one for all: only their size matters) and decisions by lot."""
    import numpy as np

    from ecg_tasks.archive import keys, tables
    from ecg_tasks.signals.recipes import get_recipe

    recipe, n = get_recipe(RECIPE), len(ids)
    png = recipe.render(drawn).png[0]
    zeros = np.zeros(n, np.int32)
    pictures = {"record_id": ids, "window": zeros, "start_s": zeros, "quality": rng.random(n), "flags": [""] * n, "png": [png] * n}
    yield keys.spectrograms(recipe.key, shard), tables.dump(tables.SPECTROGRAMS, rest(tables.SPECTROGRAMS, n) | pictures)
    yield keys.predictions(RECIPE, shard, version), decided(ids, rng)


def decided(ids: list[str], rng: Any) -> bytes:
    """Return decisions by lot, as Parquet."""
    import numpy as np

    from ecg_tasks.archive import tables
    from ecg_tasks.labels import Decision

    n = len(ids)
    probability, ones = rng.random(n), np.ones(n, np.int32)
    decision = np.select([probability < 0.3, probability < 0.4], [Decision.NORMAL, Decision.UNCERTAIN], Decision.ABNORMAL)
    columns = {"record_id": ids, "probability": probability, "decision": decision.tolist(), "n_windows": ones, "n_used": ones}
    columns |= {"quality": rng.random(n), "flags": ["noise" if one < 0.1 else "" for one in probability]}
    return tables.dump(tables.PREDICTIONS, rest(tables.PREDICTIONS, n) | columns)


def rest(schema: Any, n: int) -> dict[str, Any]:
    """Return every column of a table, with nothing in it: for those that no page shows."""
    import numpy as np

    return {field.name: [""] * n if str(field.type) == "string" else np.zeros(n, np.int32) for field in schema}


def ask() -> Work:
    """Case: every page, first and again; of records, another one each time, or the same."""

    def work() -> dict[str, dict[str, float]]:
        client = browser()
        report = f"/reports/{DATE}/{RUN}"
        from ecg_tasks.archive.predictions import RunTable
        from ecg_tasks.archive.temporary_file import new_file
        from ecg_tasks.archive.workspace import open_store
        from ecg_tasks.report_columns import Query

        found = RunTable.copied(open_store().stream(f"reports/{DATE}/{RUN}/predictions.parquet"), new_file())
        records = [row["record_id"] for row in found.first(Query(descending=True), 50)]
        pages = {
            "overview": ["/"],
            "reports": ["/reports"],
            "report": [report],
            "report, next page": [f"{report}?offset={offset}" for offset in (50, 0)],
            "report, filtered by a word": [f"{report}?q={word}" for word in ("csv#7", "csv#8", "noise", "csv#12")],
            "report, sorted by name": [f"{report}?sort=name", f"{report}?sort=name&descending=true"],
            "report, filtered and sorted": [f"{report}?decision=uncertain&sort={name}" for name in ("probability", "quality")],
            "record, another": [f"/records/{record}" for record in records],
            "record, the same": [f"/records/{records[0]}"],
            "record, another, from its report": [f"/records/{record}?date={DATE}&run={RUN}" for record in records[:25]],
            "record, the same, from its report": [f"/records/{records[0]}?date={DATE}&run={RUN}"],
            "records before a verdict": [f"/records/{record}?reading=true" for record in records[25:]],
            "review": ["/review"],
            "models": ["/models"],
            "monitoring": ["/monitoring"],
            "quarantine": ["/quarantine"],
        }
        return {name: timed(client, addresses) for name, addresses in pages.items()}

    return work


def timed(client: Any, addresses: list[str]) -> dict[str, float]:
    """Return the milliseconds of the first request, the median of the later ones, and the processor time of each."""
    taken, worked = [], []
    for turn in range(1 + REPEATS):
        start, busy = time.perf_counter(), time.process_time()
        answer = client.get(addresses[turn % len(addresses)])
        taken.append((time.perf_counter() - start) * 1e3)
        worked.append((time.process_time() - busy) * 1e3)
        if answer.status_code != 200:
            raise RuntimeError(f"{addresses[turn % len(addresses)]} answered {answer.status_code}: {answer.text[:500]}")
    return {
        "first": taken[0],
        "first work": worked[0],
        "again": statistics.median(taken[1:]),
        "work": statistics.median(worked[1:]),
    }


def browser() -> Any:
    """Make a client of the pages for a user with all rights, without Airflow's database."""
    os.environ["AIRFLOW__API__SECRET_KEY"] = uuid.uuid4().hex
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Starlette's own deprecation
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
        from fastapi.testclient import TestClient

        from ecg_ui import security
        from ecg_ui.app import create_app
    user = SimpleAuthManagerUser(username="bench", role="ADMIN")
    app = create_app()
    app.dependency_overrides = {security.signed_in: lambda: user, security.may_read: lambda: None}
    for question in ("_labels", "_edits", "_runs"):
        setattr(security, question, lambda *_: True)  # they would ask a database
    return TestClient(app, headers={"accept": "text/html"})


if __name__ == "__main__":
    _named = importlib.import_module("benchmarks.pages")  # the other processes import the cases by this name
    _console = Console(width=160, highlight=False)
    _console.print(f"load before {os.getloadavg()[0]:.1f}")
    _named.print_pages(_console, _named.measure(_console.print, sizes=[int(one) for one in sys.argv[1:]]))
    _console.print(f"load after {os.getloadavg()[0]:.1f}")
