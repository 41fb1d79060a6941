"""Small drops for the tests of the steps."""

import io

import numpy as np
import pytest
import wfdb


def _beat_rows(n: int, *, seed: int = 0) -> np.ndarray:
    """Heartbeat rows, shape (n, 187): an R wave at both ends, a T wave between, zeros behind."""
    rng = np.random.default_rng(seed)
    t = np.arange(187)
    rows = np.zeros((n, 187))
    for row in range(n):
        length = rng.integers(90, 150)
        beat = np.exp(-((t / 4) ** 2)) + rng.uniform(0.1, 0.4) * np.exp(-(((t - 35) / 9) ** 2)) + np.exp(-(((t - length * 0.83) / 4) ** 2))
        beat = beat / beat.max() * 0.9 + 0.05 * rng.random(187)
        rows[row] = np.where(t < length, beat, 0)
    return np.round(rows, 6)


def _heartbeat_csv(rows: np.ndarray, labels: np.ndarray | None = None) -> bytes:
    """CSV bytes, with the label as column 188 when given."""
    table = rows if labels is None else np.column_stack([rows, labels])
    out = io.StringIO()
    np.savetxt(out, table, delimiter=",", fmt="%.6g")
    return out.getvalue().encode()


@pytest.fixture
def beat_rows():
    """Maker of heartbeat rows."""
    return _beat_rows


@pytest.fixture
def heartbeat_csv():
    """Maker of heartbeat CSV files."""
    return _heartbeat_csv


@pytest.fixture
def make_wfdb(tmp_path):
    """Files of a twelve-lead WFDB recording, made by wfdb's own writer."""

    def make(name: str, *, seed: int, seconds: float = 10.0, fs: int = 250) -> dict[str, bytes]:
        rng = np.random.default_rng(seed)
        t = np.arange(int(seconds * fs)) / fs
        phase = (t * rng.uniform(1.0, 1.4)) % 1.0
        wave = np.exp(-(((phase - 0.3) / 0.012) ** 2)) + 0.25 * np.exp(-(((phase - 0.55) / 0.04) ** 2))
        gains = rng.uniform(0.4, 1.2, 12)
        signal = wave[:, None] * gains + 0.01 * rng.standard_normal((len(t), 12))
        leads = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
        wfdb.wrsamp(name, fs=fs, units=["mV"] * 12, sig_name=leads, p_signal=signal, fmt=["16"] * 12, write_dir=str(tmp_path))
        return {f"{name}{suffix}": (tmp_path / f"{name}{suffix}").read_bytes() for suffix in (".hea", ".dat")}

    return make
