"""What the network saw of a record is what its version reads, or nothing: never the pictures of another recipe."""

import pytest

from ecg_tasks.queries import records
from ecg_tasks.queries.models import Version
from ecg_tasks.signals.recipes import get_recipe

EARLIER = "059025766e34"
"""Digest of the pictures that version 0.1 made of twelve leads: a column every 64 ms."""


def version(digest):
    """A version of ``twelve_lead`` that reads the pictures of this digest."""
    return Version(
        recipe="twelve_lead",
        version="aaaa00000001",
        digest="",
        threshold=0.5,
        abstain=None,
        dataset_id="",
        synthetic=False,
        recipe_digest=digest,
    )


@pytest.mark.parametrize(("digest", "columns"), [(get_recipe("twelve_lead").digest, 29), (EARLIER, 15), ("", 29)])
def test_a_records_page_shows_the_pictures_that_its_version_reads(digest, columns):
    """Those made now, and those of before that are made no more; of a version that is gone, today's."""
    assert records._read_by(version(digest)).image_shape == (9, columns, 24)


def test_pictures_that_cannot_be_read_are_not_replaced_by_others():
    """A page without a spectrogram is better than one of what the network did not see."""
    assert records._read_by(version("0" * 12)) is None
