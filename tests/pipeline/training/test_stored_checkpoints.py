"""Where a training leaves its state between two epochs."""

from ecg_tasks.pipeline.retrain_model import _StoredCheckpoints

FOLDER = "checkpoints/heartbeat/v/epochs/"


def test_only_the_latest_state_is_kept(bucket):
    """Each epoch replaces the one before, also the state of another training after as many epochs or more."""
    checkpoints = _StoredCheckpoints(bucket, FOLDER)
    assert checkpoints.load() is None
    for epoch, data in ((3, b"of another training"), (1, b"of another again"), (1, b"first"), (2, b"second")):
        checkpoints.save(epoch, data)
        assert checkpoints.load() == (epoch, data)
        assert len(bucket.list_keys(FOLDER)) == 1
