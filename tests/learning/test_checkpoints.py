"""The state between two epochs as bytes: nothing is lost, nothing is unpickled, damage is noticed."""

import numpy as np
import pytest

from ecg_tasks.learning.checkpoints import Epoch, Member, TrainingState

EPOCH = Epoch(epoch=1, loss=0.5, validation_loss=0.25, validation_auroc=float("nan"), windows_per_s=100.0, waiting=0.01)
STATE = TrainingState(
    job="f00",
    finished=(
        Member(history=(EPOCH, EPOCH), weights=[np.ones(3, np.float32), np.eye(2)]),
        Member(history=(EPOCH,), weights=[np.zeros((1, 2), np.float32)]),
    ),
    history=(EPOCH,),
    model=[np.arange(12, dtype=np.float32).reshape(3, 4) + index for index in range(12)],
    optimizer=[np.array(7, np.int64)],
    best=[np.zeros(2, np.uint32)],
)


def test_roundtrip():
    """Every array comes back in its place with its type, more than ten of them too."""
    back = TrainingState.from_bytes(STATE.to_bytes())
    assert back is not None
    assert (back.job, repr(back.history)) == (STATE.job, repr(STATE.history))
    for group in ("model", "optimizer", "best"):
        for before, after in zip(getattr(STATE, group), getattr(back, group), strict=True):
            assert before.dtype == after.dtype
            assert np.array_equal(before, after)
    assert [repr(member.history) for member in back.finished] == [repr(member.history) for member in STATE.finished]
    assert all(
        np.array_equal(before, after)
        for ours, theirs in zip(STATE.finished, back.finished, strict=True)
        for before, after in zip(ours.weights, theirs.weights, strict=True)
    )
    assert back.n_epochs == 4


def test_the_same_state_gives_the_same_bytes():
    """No clock is in the file."""
    assert STATE.to_bytes() == STATE.to_bytes()


@pytest.mark.parametrize("data", [b"", b"nonsense", STATE.to_bytes()[:-200], b"\x80\x04K\x01."])
def test_damage_is_no_state(data):
    """Empty, foreign, cut and pickled bytes all say that there is nothing to go on with."""
    assert TrainingState.from_bytes(data) is None
