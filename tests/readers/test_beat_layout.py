"""Tables whose columns are no samples and a label, and those that only look so."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.labels import Label
from tests.readings import read_heartbeat_csv

REAL = Path(__file__).parents[2] / "../shared/data/heartbeats"
real = pytest.mark.skipif(not REAL.is_dir(), reason="real heartbeat rows are not beside the checkout (shared/data/heartbeats)")
N_BEATS = 12


def beats(n=N_BEATS, *, seed=0):
    """Made-up beats as they are cut: shape (n, 187), from the R peak to behind the next one, scaled to [0, 1], then zeros."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((n, 187))
    for row in rows:
        times = np.arange(rng.integers(80, 150))
        wave = np.exp(-times / rng.uniform(1, 3)) + 0.3 * np.exp(-(((times - 40) / 9) ** 2)) + rng.uniform(0, 0.05, times.size)
        wave -= wave.min()
        row[: times.size] = wave / wave.max()
        row[0] = rng.choice([1.0, rng.uniform(0.92, 1)])
        row[times.size // 2] = 1.0  # a beat whose maximum is elsewhere, or is there twice
    return rows


def centred():
    """Made-up beats that were cut around their R peak."""
    rows = np.random.default_rng(1).uniform(0.1, 0.4, (N_BEATS, 187))
    rows[:, 93] = 1
    return rows


def labels(n=N_BEATS):
    """Labels 0 and 1 in turn."""
    return np.arange(n) % 2


def table(*columns):
    """Columns as the text of a CSV."""
    return "\n".join(",".join(f"{value:.6g}" for value in row) for row in np.column_stack(columns)) + "\n"


def refusal(text):
    """The sentence that refuses a table."""
    with pytest.raises(BadInputError) as caught:
        read_heartbeat_csv(text.encode(), name="t.csv")
    assert caught.value.reason is Reason.WRONG_WIDTH
    return caught.value.message


WRONG = {
    "label in front": (table(labels(), beats()), "column 1 is 0 or 1 in all rows: it looks like a label"),
    "label in front, all normal": (table(np.zeros(N_BEATS), beats()), "column 1 is 0 in all rows: it looks like a label"),
    "label in front, all abnormal": (table(np.ones(N_BEATS), beats()), "column 1 is 1 in all rows: it looks like a label"),
    "class in front": (table(np.arange(N_BEATS) % 5, beats()), "column 1 has the whole numbers 0 to 4 and looks like a label"),
    "index in front": (table(np.arange(N_BEATS), beats()), "column 1 counts 0, 1, … and looks like an index"),
    "index from 1": (table(np.arange(1, N_BEATS + 1), beats()), "column 1 counts 1, 2, … and looks like an index"),
    "shuffled index": (table(np.arange(N_BEATS)[::-1] * 37, beats()), "column 1 has whole numbers above 1"),
    "index and label": (table(np.arange(N_BEATS), beats(), labels()), "189 columns"),
    "index and 186 samples": (table(np.arange(N_BEATS), beats()[:, :186]), "column 1 counts 0, 1"),
    "188 samples": (table(beats(), np.linspace(0, 0.3, N_BEATS)), "column 188 has values such as 0.0273, 0.0545, 0.0818"),
    "188 samples, most of them padded": (table(beats(), [0.2, 0.4] + [0] * 10), "column 188 has values such as 0.2, 0.4"),
    "186 samples and a label": (table(beats()[:, :186], labels()), "column 187 is 0 or 1 in all rows and looks like a label"),
    "padding in front": (table(beats()[:, ::-1], labels()), "the zeros that fill up a row are before the beat"),
    "R peak in the middle": (
        table(centred(), labels()),
        "the R peak is in column 94",
    ),
    "two rows with an index": (table([0, 1], beats(2)), "column 1"),
    "one row, label in front": (table([0], beats(1)), "column 1 is 0 in all rows: it looks like a label or an index"),
}


@pytest.mark.parametrize(("text", "words"), WRONG.values(), ids=WRONG)
def test_wrong_columns_are_refused_whole(text, words):
    """Each arrangement of columns that is not 187 samples and a label is refused in one sentence that says which column looks like what."""
    message = refusal(text)
    assert words in message
    assert message.startswith("t.csv")


NAMES = {
    "an index of a data frame": ("," + ",".join(map(str, range(187))), "column 1 has no name, as an index has"),
    "a named index": ("Unnamed: 0," + ",".join(f"s{n}" for n in range(187)), "column 1 is named 'unnamed: 0', as an index has"),
    "a named label in front": ("target," + ",".join(f"s{n}" for n in range(187)), "column 1 is named 'target'"),
}


@pytest.mark.parametrize(("names", "words"), NAMES.values(), ids=NAMES)
def test_column_names_tell_of_wrong_columns(names, words):
    """A table that names an index or puts its label elsewhere is refused, though its values alone would leave doubt."""
    assert words in refusal(names + "\n" + table(beats(1), [0]))


def test_a_named_label_behind_the_samples_is_read():
    """The names s0 to s186 and label are as they should be."""
    names = ",".join([*(f"s{n}" for n in range(187)), "label"])
    assert len(read_heartbeat_csv(f"{names}\n{table(beats(), labels())}".encode(), name="t.csv").records) == N_BEATS


RIGHT = {
    "beats and labels": table(beats(), labels()),
    "beats alone": table(beats()),
    "one beat that begins with 1": table(np.r_[1, beats(1)[0, 1:]][None], [1]),
    "beats that all begin with 1, of one class": table(np.c_[np.ones(N_BEATS), 0.9 * beats()[:, 1:]], np.ones(N_BEATS)),
    "beats that all begin with 1, of two classes": table(np.c_[np.ones(N_BEATS), beats()[:, 1:]], labels()),
    "classes 0 to 4": table(beats(), np.arange(N_BEATS) % 5),
    "one beat without padding": table(np.r_[beats(1)[0, :60], np.full(127, 0.2)][None]),
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_right_columns_are_read(text):
    """A table is not refused for what happens to beats: a first sample of exactly 1, one class only, no padding, one row."""
    reading = read_heartbeat_csv(text.encode(), name="t.csv")
    assert (len(reading.records), reading.rejected) == (text.count("\n"), ())


def test_one_bad_label_costs_its_row_only():
    """A fraction among labels is a bad label where the others are classes."""
    reading = read_heartbeat_csv(table(beats(), [0.5, *labels()[1:]]).encode(), name="t.csv")
    assert [rejected.reason for rejected in reading.rejected] == [Reason.BAD_LABEL]
    assert len(reading.records) == N_BEATS - 1


def test_classes_of_mit_bih_are_normal_and_abnormal():
    """0 is normal, 1 to 4 are abnormal, and 5 and more are no label."""
    reading = read_heartbeat_csv(table(beats(), np.arange(N_BEATS) % 6).encode(), name="t.csv")
    assert [record.label for record in reading.records[:5]] == [Label.NORMAL, *[Label.ABNORMAL] * 4]
    assert [rejected.name for rejected in reading.rejected] == ["t.csv#6", "t.csv#12"]
    assert all("the label is '5'; it must be 0 (normal) or 1 to 4 (abnormal)" in rejected.message for rejected in reading.rejected)


@real
@pytest.mark.parametrize("n_rows", [1, 2, 3, 60])
def test_real_rows_are_read_and_with_the_label_in_front_refused(n_rows):
    """Any few rows of the public files are read; with the label in front, two rows are always refused, and one nearly always."""
    lines = [line for file in ("ptbdb_normal.csv", "ptbdb_abnormal.csv") for line in (REAL / file).read_text().splitlines()]
    n_read = 0
    windows = [lines[start : start + n_rows] for start in range(0, len(lines) - n_rows + 1, max(1, n_rows // 2))]
    for rows in windows:
        assert len(read_heartbeat_csv("".join(f"{row}\n" for row in rows).encode(), name="t.csv").records) == n_rows
        turned = "".join(",".join(np.roll(row.split(","), 1)) + "\n" for row in rows)
        with contextlib.suppress(BadInputError):
            n_read += len(read_heartbeat_csv(turned.encode(), name="t.csv").records) > 0
    assert n_read <= (3 if n_rows == 1 else 0)
