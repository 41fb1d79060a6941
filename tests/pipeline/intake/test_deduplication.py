"""How records that came before are told from new ones."""

import numpy as np
import pytest

from ecg_tasks.pipeline.intake import publication


@pytest.mark.parametrize("known", [[], ["b"], ["a", "b", "c"]])
def test_an_id_is_let_in_once(known):
    """What the archive holds, or what stood before in this part or an earlier one, is a repetition; anything else is not."""
    parts = [["a", "b", "a"], ["c", "b"], []]
    seen = set(known)
    expected = []
    for ids in parts:
        expected.append([one in seen or one in ids[:at] for at, one in enumerate(ids)])
        seen.update(ids)

    class Archive:
        """What the catalogue knows."""

        def known(self, ids):
            return np.isin(ids, np.array(known, dtype="S32"))

    found = publication._seen_before(Archive(), [np.array(ids, dtype="S32") for ids in parts])
    assert [repeated.tolist() for repeated in found] == expected
