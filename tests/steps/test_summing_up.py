"""How the rows of a report are gathered from many shards."""

import numpy as np
import pandas as pd
import pytest

from ecg_tasks.steps import ingest, summing_up


def part(ids, **changes):
    """Rows of one shard, as they are gathered."""
    rows = {
        "record_id": ids,
        "source_sha256": "ab" * 32,
        "decision": "normal",
        "recipe": "heartbeat",
        "version": "v1",
        "flags": "",
        "label": None,
    }
    frame = pd.DataFrame(rows | changes)
    return frame.astype(dict.fromkeys(summing_up._REPEATED, "str")).astype(dict.fromkeys(summing_up._REPEATED, "category"))


def test_shards_with_and_without_labels_become_one_table():
    """Columns of repeated values stay such, whatever values a shard lacks, and a missing label stays missing."""
    whole = summing_up._one_below_the_other(
        [part(["a", "b"]), part(["c"], decision="abnormal", label="abnormal", flags="flat"), part(["d"], version="v2")]
    )
    assert whole["record_id"].tolist() == ["a", "b", "c", "d"]
    assert whole["decision"].tolist() == ["normal", "normal", "abnormal", "normal"]
    assert whole["version"].tolist() == ["v1", "v1", "v1", "v2"]
    assert whole["label"].isna().tolist() == [True, True, False, True]
    assert all(isinstance(whole[name].dtype, pd.CategoricalDtype) for name in summing_up._REPEATED)


@pytest.mark.parametrize("known", [[], ["b"], ["a", "b", "c"]])
def test_an_id_is_let_in_once(known):
    """What the archive holds, or what stood before in this part or an earlier one, is a repetition; anything else is not."""
    parts = [["a", "b", "a"], ["c", "b"], []]
    seen = set(known)
    expected = []
    for ids in parts:
        expected.append([one in seen or one in ids[:at] for at, one in enumerate(ids)])
        seen.update(ids)
    found = ingest._seen_before(np.array(known, dtype="S32"), [np.array(ids, dtype="S32") for ids in parts])
    assert [repeated.tolist() for repeated in found] == expected
