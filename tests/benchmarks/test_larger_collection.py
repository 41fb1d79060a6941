"""A copy in the larger collection is a recording of its own, which every check of its header passes."""

import numpy as np
import wfdb

from benchmarks.larger_collection import copy_of


def test_a_copy_has_samples_and_checksums_of_its_own(tmp_path):
    """The samples are the original's, scaled and with noise, and its header tells their first values and sums."""
    rng = np.random.default_rng(3)
    original = np.rint(100 * np.cumsum(rng.standard_normal((1000, 2)), axis=0)).astype(int)
    wfdb.wrsamp(
        "r1", 100, ["mV", "mV"], ["I", "II"], d_signal=original, fmt=["16"] * 2, adc_gain=[1000] * 2, baseline=[0] * 2, write_dir=tmp_path
    )
    header, signals = copy_of((tmp_path / "r1.hea").read_text(), (tmp_path / "r1.dat").read_bytes(), "c9", rng)
    (tmp_path / "c9.hea").write_text(header)
    (tmp_path / "c9.dat").write_bytes(signals)
    copy = wfdb.rdrecord(str(tmp_path / "c9"), physical=False)
    assert copy.sig_name == ["I", "II"]
    assert copy.checksum == copy.calc_checksum()
    assert copy.init_value == copy.d_signal[0].tolist()
    scale = np.polyfit(original.ravel(), copy.d_signal.ravel(), 1)[0]
    assert 0.8 < scale < 1.25
    assert 4 < np.std(copy.d_signal - scale * original) < 21
