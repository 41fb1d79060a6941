"""Here: a collection in PTB-XL's layout, made larger by copies with another scale and noise. Not here: a night of it (``stack_night``).

    python -m benchmarks.larger_collection PTBXL TO 100000

writes a folder of 100,000 recordings at 100 Hz: first those of PTBXL, unchanged, then copies of them. Each copy is scaled by 0.8 to 1.25
and has noise of 5 to 20 microvolts. It has the patient and the labels of the original, and a number of its own.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

_NUMBERS = 100_000
"""Between a recording's number and its copy's: more than PTB-XL has."""
_IN_FOLDER = 1000


def copy_of(header: str, signals: bytes, stem: str, rng: np.random.Generator) -> tuple[str, bytes]:
    """Return a recording's header and signals (WFDB, format 16, no offset) under another name, scaled, with noise."""
    first, *lines = header.splitlines()
    old, n_leads, *rest = first.split()
    samples = np.frombuffer(signals, "<i2").reshape(-1, int(n_leads)).astype(np.float32)
    noise = rng.standard_normal(samples.shape, dtype=np.float32) * np.float32(rng.uniform(5, 20))
    changed = np.clip(np.rint(samples * np.float32(rng.uniform(0.8, 1.25)) + noise), -32767, 32767).astype("<i2")
    told = [" ".join((stem, n_leads, *rest))]
    for at, line in enumerate(lines[: int(n_leads)]):
        fields = line.replace(old, stem).split()
        fields[5:7] = [str(changed[0, at]), str(int(changed[:, at].sum(dtype=np.int64)) & 0xFFFF)]
        told.append(" ".join(fields))
    return "\n".join(told) + "\n", changed.tobytes()


def write_part(source: Path, target: Path, first: int, n: int) -> None:
    """Write the recordings from number ``first`` (0 and up) on of an endless larger collection, as a collection of their own."""
    table = pd.read_csv(source / "ptbxl_database.csv").to_dict("records")
    target.mkdir(parents=True)
    shutil.copy(source / "scp_statements.csv", target)
    rows: list[dict[Any, Any]] = []
    for at in range(first, first + n):
        number, row_at = divmod(at, len(table))
        row = table[row_at]
        own = int(row["ecg_id"]) + number * _NUMBERS
        name = f"records100/{own // _IN_FOLDER * _IN_FOLDER:07d}/{own:07d}_lr"
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        was = source / str(row["filename_lr"])
        header, signals = was.with_suffix(".hea").read_text(), was.with_suffix(".dat").read_bytes()
        if number:
            header, signals = copy_of(header, signals, Path(name).name, np.random.default_rng(at))
        else:
            header = header.replace(was.name, Path(name).name)
        (target / f"{name}.hea").write_text(header)
        (target / f"{name}.dat").write_bytes(signals)
        rows.append({**row, "ecg_id": own, "filename_lr": name})
    pd.DataFrame(rows).set_index("ecg_id").to_csv(target / "ptbxl_database.csv")


def main() -> None:
    """Write the larger collection."""
    write_part(Path(sys.argv[1]), Path(sys.argv[2]), 0, int(sys.argv[3]))


if __name__ == "__main__":
    main()
