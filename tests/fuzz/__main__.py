"""Here: ``python -m tests.fuzz``: a million inputs, every target in a process of its own that is watched, and what came of them.

Not here: the targets (``targets``), what a process does (``worker``).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SHARES = {
    "labels.csv": 0.11,
    "keys": 0.10,
    "gzip": 0.06,
    "format detection": 0.09,
    "WFDB header": 0.12,
    "DICOM": 0.05,
    "EDF": 0.04,
    "NumPy arrays": 0.04,
    "MATLAB arrays": 0.03,
    "HDF5 arrays": 0.02,
    "lead Parquet": 0.02,
    "lead CSV": 0.03,
    "heartbeat CSV": 0.05,
    "WFDB recording": 0.06,
    "inbox": 0.03,
    "archives": 0.03,
    "MUSE XML": 0.015,
    "aECG XML": 0.015,
    "CardioSoft XML": 0.01,
    "Philips XML": 0.015,
    "XLI": 0.015,
    "SCP-ECG": 0.02,
    "ISHNE": 0.01,
    "pages": 0.02,
}
"""Of all inputs, more to what is quick, and that first."""
BY_PROPERTY = 0.1
"""Of a target's inputs, so many come from Hypothesis; the others from Atheris."""
_LOOK_EVERY_S = 0.5
_STUCK_S = 120.0
"""Seconds without a new input in which the process did not work, either: it waits for something."""


def main() -> None:
    """Fuzz, print the table, and fail if any promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of all targets together (default: %(default)s)")
    parser.add_argument("--target", choices=SHARES, action="append", help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir(), "ecg-fuzz"), help="folder for counts and findings")
    asked = parser.parse_args()
    wanted = asked.target or list(SHARES)
    total = sum(SHARES[name] for name in wanted)
    rows = []
    for name in wanted:
        n_inputs = round(asked.inputs * SHARES[name] / total)
        n_property = round(n_inputs * BY_PROPERTY)
        for engine, share in (("property", n_property), ("coverage", n_inputs - n_property)):
            folder = asked.out / name.replace(" ", "-") / engine
            rows.append(fuzz(name, engine, n_inputs=share, start=asked.seed, folder=folder))
            print(f"{name}, {engine}: {rows[-1]['inputs']} inputs, faults: {rows[-1]['faults'] or 'none'}", file=sys.stderr, flush=True)  # noqa: T201
            (asked.out / "table.md").write_text(table(rows))
    print(table(rows))  # noqa: T201
    sys.exit(any(row["faults"] for row in rows))


def fuzz(target: str, engine: str, *, n_inputs: int, start: int, folder: Path) -> dict[str, Any]:
    """Give a target its inputs, in a new process after each that had to be ended; returns the counts of all together."""
    row: dict[str, Any] = {
        "target": target,
        "engine": engine,
        "inputs": 0,
        "outcomes": Counter(),
        "slowest_s": 0.0,
        "peak_mb": 0.0,
        "faults": {},
    }
    attempt = 0
    while row["inputs"] < n_inputs:
        own = folder / str(attempt)
        own.mkdir(parents=True, exist_ok=True)
        end = _watched(target, engine, n_inputs=n_inputs - row["inputs"], start=start + attempt, folder=own)
        counts = own / "counts.json"
        told = (
            json.loads(counts.read_text()) if counts.exists() else {"inputs": 0, "outcomes": {}, "slowest_s": 0, "peak_mb": 0, "faults": {}}
        )
        row["inputs"] += told["inputs"]
        row["outcomes"].update(told["outcomes"])
        row["faults"] |= told["faults"]
        row["slowest_s"] = max(row["slowest_s"], told["slowest_s"])
        row["peak_mb"] = max(row["peak_mb"], told["peak_mb"])
        if end:
            row["faults"][end] = row["faults"].get(end, 0) + 1
            if not told["inputs"]:
                break  # it cannot even begin
        attempt += 1
    return row


def _watched(target: str, engine: str, *, n_inputs: int, start: int, folder: Path) -> str:
    """Run one process; returns how it ended where that was not of itself. The input at fault stands in ``state``."""
    from tests.fuzz.worker import HANG_S, HEAD, STATE_BYTES

    state = folder / "state"
    state.write_bytes(bytes(STATE_BYTES))
    command = [sys.executable, "-W", "ignore", "-m", "tests.fuzz.worker", target, engine, str(n_inputs), str(start), str(folder)]
    environment = os.environ | dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    with (folder / "log").open("wb") as log, subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log) as process:
        seen, worked, since = 0, 0.0, time.monotonic()
        while process.poll() is None:
            time.sleep(_LOOK_EVERY_S)
            count, _ = HEAD.unpack(state.read_bytes()[: HEAD.size])
            used = _processor_s(process.pid)
            if count != seen:
                seen, worked, since = count, used, time.monotonic()
            elif seen and (used - worked > HANG_S or (time.monotonic() - since > _STUCK_S and used - worked < HANG_S / 100)):
                process.kill()
                process.wait()
                return f"hangs: {folder / 'state'}"
    return "" if process.returncode == 0 else f"ended with {process.returncode}: {folder / 'log'}"


def _processor_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: what came of every target's inputs; an input whose rows were refused for several reasons counts for each."""
    lines = [
        "| target | by | inputs | accepted | refused, by code | slowest | peak memory | faults |",
        "|---|---|---:|---:|---|---:|---:|---:|",
    ]
    for row in rows:
        codes = Counter(row["outcomes"])
        accepted, _ = codes.pop("accepted", 0), codes.pop("FAULT", 0)
        told = ", ".join(f"{code} {count:,}" for code, count in codes.most_common())
        cells = (row["target"], row["engine"], f"{row['inputs']:,}", f"{accepted:,}", told, f"{row['slowest_s'] * 1000:.0f} ms")
        lines.append(f"| {' | '.join(cells)} | {row['peak_mb']:.0f} MB | {sum(row['faults'].values())} |")
    lines.append(f"| all | | {sum(row['inputs'] for row in rows):,} | | | | | {sum(sum(row['faults'].values()) for row in rows)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
