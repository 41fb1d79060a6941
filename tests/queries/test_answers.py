"""Here: what became of files that were dropped, through the real intake, pictures and champions. Not here: waiting for it (``cli``)."""

import pytest

from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.workspace import now
from ecg_tasks.pipeline import classify_records, ingest_records, render_spectrograms
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.queries import answers
from ecg_tasks.queries.answers import Fate
from tests.archives import beat_rows, heartbeat_csv, make_wfdb

__all__ = ["beat_rows", "heartbeat_csv", "make_wfdb"]


@pytest.fixture(params=[True, False], ids=["names are kept", "names are digests"])
def store(request, bucket, todays_version, monkeypatch):
    """A bucket with a champion for beats and one for twelve leads."""
    if not request.param:
        monkeypatch.delenv("ECG_KEEP_NAMES", raising=False)
    else:
        monkeypatch.setenv("ECG_KEEP_NAMES", "1")
    for recipe in ("twelve_lead", "heartbeat"):
        registry.write_version(bucket, recipe, "aaaa00000001", todays_version(recipe, "aaaa00000001"))
        registry.write_champion(bucket, recipe=recipe, version="aaaa00000001", since=now(), who="test", why="it is there")
    return bucket


def take_in(run: str) -> None:
    """One run of the intake."""
    ingest_records.publish(run, [ingest_records.ingest_batch(job) for job in ingest_records.plan(run)])


def decide(run: str) -> None:
    """Draw what is there, and decide."""
    render_spectrograms.publish(run, [render_spectrograms.render_shard(job) for job in render_spectrograms.plan(run)])
    pin = classify_records.pin_champion(run, date="2026-01-02", details=0)
    classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])


def told(found) -> list[tuple[str, Fate]]:
    """Name and fate of each answer."""
    return sorted((one.name, one.fate) for one in found.found)


def test_each_file_has_its_answer(store, beat_rows, heartbeat_csv, make_wfdb):
    """From the inbox to decisions, by the names that were dropped; what is refused or waits says why, and a second drop is answered too."""
    rows = beat_rows(3)
    files = {
        "Erika/beats.csv": heartbeat_csv(rows),
        "ward/bad.csv": b"no numbers\n",
        "ward/Thumbs.db": b"",
        "late.edf.part": b"0",
    } | {f"ward/{name}": data for name, data in make_wfdb("r", seed=5).items()}
    before = answers.accounts(store)
    inbox.put_files(files.items())

    on_its_way = answers.answers(store, files, before=before)
    assert not on_its_way.is_whole
    assert {fate for _, fate in told(on_its_way)} == {Fate.WAITS}

    take_in("i1")
    undecided = answers.answers(store, files, before=before)
    assert not undecided.is_whole
    assert [fate for _, fate in told(undecided)].count(Fate.PENDING) == 4

    decide("n1")
    found = answers.answers(store, files, before=before)
    assert found.is_whole
    by_name = {one.name: one for one in found.found}
    whole, late = by_name.pop("ward/r.hea"), by_name.pop("late.edf.part")
    refused, passed_over = by_name.pop("ward/bad.csv"), by_name.pop("ward/Thumbs.db")
    beats = list(by_name.values())
    assert [one.name.rpartition("#")[0] for one in beats] == ["Erika/beats.csv"] * 3
    assert {one.recipe for one in beats} == {"heartbeat"}
    assert all(one.fate is Fate.DECIDED and one.decision and len(one.record_id) == 32 for one in (*beats, whole))
    assert whole.recipe == "twelve_lead"
    assert (late.fate, late.why) == (Fate.WAITS, "the end of its upload")
    assert late.until
    assert (refused.fate, passed_over.fate) == (Fate.QUARANTINED, Fate.OTHER)
    assert "in quarantine (" in found.sentence
    assert "1 waiting for the end of its upload" in found.sentence

    again = {"again/beats.csv": heartbeat_csv(rows)}
    before = answers.accounts(store)
    inbox.put_files(again.items())
    take_in("i2")
    known = answers.answers(store, again, before=before)
    assert known.is_whole
    assert {one.record_id for one in known.found} == {one.record_id for one in beats}
    assert {one.name.rpartition("#")[0] for one in known.found} == {"again/beats.csv"}


def test_other_drops_are_not_answered(store, beat_rows, heartbeat_csv):
    """Who dropped one file is told of that file only, whatever else the same intake took over."""
    mine, theirs = (
        {"mine.csv": heartbeat_csv(beat_rows(1, seed=1))},
        {"theirs.csv": heartbeat_csv(beat_rows(2, seed=2)), "x.edf.part": b"0"},
    )
    before = answers.accounts(store)
    inbox.put_files((mine | theirs).items())
    take_in("i1")
    decide("n1")
    (one,) = answers.answers(store, mine, before=before).found
    assert one.name.startswith("mine.csv#")
    assert store.list_keys(keys.INBOX) == [f"{keys.INBOX}x.edf.part"]
