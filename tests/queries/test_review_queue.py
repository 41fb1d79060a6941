"""The reviewers' queue holds what teaches most, each verdict counts once, and nothing that was said is lost."""

from datetime import UTC, datetime

import numpy as np
import pytest

from ecg_tasks.actions import verdicts as acts
from ecg_tasks.archive import audit, keys, tables, verdicts
from ecg_tasks.archive.class_lists import ClassEntry, classes_in_force, stored_classes, write_classes
from ecg_tasks.archive.labelling import LabelEntry, labels_in_force, stored_labels, write_labels
from ecg_tasks.archive.workspace import now
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.labels import in_order
from ecg_tasks.pipeline import decided
from ecg_tasks.queries import review_queue, second_readings


@pytest.fixture
def reviewed(archive):
    """Twelve records, the most uncertain first by id, decided on by one model."""
    archive.put_model("heartbeat")
    archive.put_shard("s1", archive.ids(12), 0.5 - 0.04 * np.arange(12))
    return archive


def waiting(store, user: str) -> list[str]:
    """Ids in a user's queue."""
    return [item.record_id for item in review_queue.queue(store, user=user, limit=500).items]


def snapshot(store) -> dict[str, str]:
    """ETags of all label tables."""
    return {item.key: item.etag for item in store.list_objects(keys.LABELS)}


def test_the_queue_starts_with_the_most_uncertain_and_pages(reviewed):
    """An item says why it is there, by which model, and what the model says."""
    ids = reviewed.ids(12)
    page = review_queue.queue(reviewed.store, user="anna", limit=5)
    assert [item.record_id for item in page.items] == ids[:5]
    assert (page.waiting, page.reviewed, page.total) == (12, 0, 12)
    first = page.items[0]
    assert (first.name, first.shard, first.recipe, first.version) == ("name 00000000", "s1", "heartbeat", "v1")
    assert (first.decision, first.probability, first.threshold, first.abstain) == ("abnormal", 0.5, 0.5, (0.4, 0.6))
    assert [why.code for why in first.why] == ["uncertain"]
    assert first.priority == pytest.approx(0.6)
    following = review_queue.queue(reviewed.store, user="anna", offset=5, limit=5)
    assert [item.record_id for item in following.items] == ids[5:10]


def test_a_label_against_the_model_goes_first(reviewed):
    """The sure record with the opposite label outranks the uncertain one; a label that fits adds nothing."""
    last = reviewed.ids(12)[-1]
    reviewed.put_labels({last: "abnormal", reviewed.ids(12)[-2]: "normal"})
    items = review_queue.queue(reviewed.store, user="anna").items
    assert items[0].record_id == last
    assert (items[0].label, items[0].labelled_by) == ("abnormal", "source:labels.csv")
    assert items[0].why[0].code == "contradicts_label"
    assert items[-1].record_id == reviewed.ids(12)[-2]


def test_a_verdict_is_a_label_and_leaves_the_queue(reviewed):
    """With the user's name; the same again, however often, writes nothing."""
    record_id = reviewed.ids(12)[1]
    reviewed.put_labels({record_id: "normal"})
    saved = acts.save_verdict(reviewed.store, record_id, verdict="abnormal", user="anna", comment=" ST depression ")
    assert saved.changed
    assert saved.in_force == "abnormal"
    entry = labels_in_force(reviewed.store)[record_id]
    assert (entry.label, entry.who, entry.when, entry.comment) == ("abnormal", "review:anna", saved.when, "ST depression")
    before = snapshot(reviewed.store)
    again = acts.save_verdict(reviewed.store, record_id, verdict="abnormal", user="anna", comment="ST depression")
    assert not again.changed
    assert again.when == saved.when
    assert snapshot(reviewed.store) == before
    assert record_id not in waiting(reviewed.store, "anna")
    assert record_id not in waiting(reviewed.store, "bert")
    assert review_queue.queue(reviewed.store, user="anna").reviewed == 1


def test_taking_back_restores_what_was_before_and_deletes_nothing(reviewed):
    """A withdrawal is one more table; the second one of the same verdict writes nothing; the history has all of it."""
    record_id = reviewed.ids(12)[1]
    reviewed.put_labels({record_id: "normal"})
    first = acts.save_verdict(reviewed.store, record_id, verdict="abnormal", user="anna")
    second = acts.save_verdict(reviewed.store, record_id, verdict="uninterpretable", user="anna")
    kept = snapshot(reviewed.store)
    assert acts.withdraw(reviewed.store, record_id, user="anna", when=second.when).in_force == "abnormal"
    assert kept.items() < snapshot(reviewed.store).items()
    assert not acts.withdraw(reviewed.store, record_id, user="anna", when=second.when).changed
    assert acts.withdraw(reviewed.store, record_id, user="anna", when=first.when).in_force == "normal"
    assert record_id in waiting(reviewed.store, "anna")
    told = review_queue.history(reviewed.store, record_id)
    assert [(one.label, one.kind, one.user, one.withdrawn, one.in_force) for one in told] == [
        ("uninterpretable", "review", "anna", True, False),
        ("abnormal", "review", "anna", True, False),
        ("normal", "source", "labels.csv", False, True),
    ]


def test_nobody_takes_back_another_ones_verdict(reviewed):
    """Nor one that was never given."""
    record_id = reviewed.ids(12)[1]
    saved = acts.save_verdict(reviewed.store, record_id, verdict="normal", user="anna")
    with pytest.raises(ConfigurationError, match="bert gave no verdict"):
        acts.withdraw(reviewed.store, record_id, user="bert", when=saved.when)


def test_a_skip_hides_the_record_from_this_user_only_and_is_no_label(reviewed):
    """Somebody else should tell."""
    record_id = reviewed.ids(12)[0]
    assert acts.save_verdict(reviewed.store, record_id, verdict="skip", user="anna").in_force is None
    assert record_id not in waiting(reviewed.store, "anna")
    assert record_id in waiting(reviewed.store, "bert")
    assert labels_in_force(reviewed.store) == {}
    assert review_queue.queue(reviewed.store, user="anna").reviewed == 0


def test_where_two_reviewers_differ_the_record_goes_to_a_third(reviewed):
    """It goes up, to nobody who has spoken, and one who skips passes it on; the third verdict makes a majority."""
    record_id = reviewed.ids(12)[10]  # due for a second reading
    acts.save_verdict(reviewed.store, record_id, verdict="normal", user="anna")
    assert record_id in waiting(reviewed.store, "bert")
    assert waiting(reviewed.store, "bert")[0] != record_id
    acts.save_verdict(reviewed.store, record_id, verdict="abnormal", user="bert")
    assert record_id not in waiting(reviewed.store, "bert")
    assert record_id not in waiting(reviewed.store, "anna")
    assert waiting(reviewed.store, "carl")[0] == record_id
    assert review_queue.queue(reviewed.store, user="carl").items[0].why[0].code == "disputed"
    told = review_queue.progress(reviewed.store)
    assert (told.disputed, told.assigned) == (1, {second_readings.ANYBODY: 1})
    acts.save_verdict(reviewed.store, record_id, verdict="skip", user="carl")
    assert record_id not in waiting(reviewed.store, "carl")
    acts.save_verdict(reviewed.store, record_id, verdict="abnormal", user="dora")
    told = review_queue.progress(reviewed.store)
    assert (told.disputed, told.assigned) == (0, {})
    assert record_id not in waiting(reviewed.store, "emil")
    assert labels_in_force(reviewed.store)[record_id].label == "abnormal"


def test_a_second_reading_is_one_persons_while_there_are_several(archive):
    """Of four who read, each of the other three gets a share of what the first has read; one who skips passes on; one who is away, too."""
    archive.put_model("heartbeat")
    ids = archive.ids(400)
    archive.put_shard("s1", ids, np.full(400, 0.5))
    due = [one for one in ids if int(one[:8], 16) % second_readings.SECOND_READINGS == 0]
    entries = [LabelEntry(record_id=one, label="normal", who="review:anna", when=now()) for one in due]
    entries += [LabelEntry(record_id=ids[1], label="skip", who=f"review:{user}", when=now()) for user in ("bert", "carl", "dora")]
    write_labels(
        archive.store, [*entries, LabelEntry(record_id=ids[2], label="normal", who="review:old", when="2026-01-01T00:00:00+00:00")]
    )
    mine = {user: {one for one in waiting(archive.store, user) if one in due} for user in ("anna", "bert", "carl", "dora", "new", "old")}
    assert not mine["anna"] | mine["new"] | mine["old"]
    assert sorted(one for user in ("bert", "carl", "dora") for one in mine[user]) == due
    assert review_queue.progress(archive.store).assigned == {user: len(mine[user]) for user in ("bert", "carl", "dora")}
    assert all(len(mine[user]) > 5 for user in ("bert", "carl", "dora"))
    passed_on = min(mine["bert"])
    acts.save_verdict(archive.store, passed_on, verdict="skip", user="bert")
    now_with = [user for user in ("carl", "dora") if passed_on in waiting(archive.store, user)]
    assert len(now_with) == 1
    (other,) = {"carl", "dora"} - set(now_with)
    assert mine[other] <= set(waiting(archive.store, other))


def test_a_reading_is_given_to_somebody_by_name(reviewed):
    """It is that person's alone and first, also where none is due by rule; a skip passes it on; the log has who gave it to whom."""
    record_id, other = reviewed.ids(12)[11], reviewed.ids(12)[9]  # neither is due for a second reading
    for name in ("bert", "carl"):
        acts.save_verdict(reviewed.store, other, verdict="normal", user=name)
    with pytest.raises(ConfigurationError, match="no verdict yet"):
        acts.ask(reviewed.store, record_id, reader="bert", who="olga")
    acts.save_verdict(reviewed.store, record_id, verdict="normal", user="anna")
    assert review_queue.next_reading(reviewed.store, record_id).reader is None
    for name in ("anna", "nobody", "asked\n"):
        with pytest.raises(ConfigurationError, match="cannot be asked"):
            acts.ask(reviewed.store, record_id, reader=name, who="olga")
    for name in ("bert", "carl", "carl"):
        acts.ask(reviewed.store, record_id, reader=name, who="olga")
        assert review_queue.next_reading(reviewed.store, record_id) == review_queue.NextReading(
            reader=name, asked=name, able=("bert", "carl")
        )
        queues = {one: waiting(reviewed.store, one) for one in ("anna", "bert", "carl", "dora")}
        assert {one for one, ids in queues.items() if record_id in ids} == {name}
        assert queues[name][0] == record_id
    assert review_queue.progress(reviewed.store).assigned == {"carl": 1}
    log = [(entry.who, entry.detail["reader"]) for _, entry in audit.entries(reviewed.store) if entry.action == audit.Action.ASK]
    assert log == [("olga", "bert"), ("olga", "carl")]
    saved = acts.save_verdict(reviewed.store, record_id, verdict="skip", user="carl")
    assert review_queue.progress(reviewed.store).assigned == {}
    acts.withdraw(reviewed.store, record_id, user="carl", when=saved.when)
    assert record_id in waiting(reviewed.store, "carl")
    acts.ask(reviewed.store, record_id, reader="", who="olga")
    assert not [one for one in ("bert", "carl", "dora") if record_id in waiting(reviewed.store, one)]


def test_to_be_asked_is_no_verdict(reviewed):
    """Nothing is said of the recording by that: no label, no history, no reader, nothing to take back."""
    record_id = reviewed.ids(12)[11]
    acts.save_verdict(reviewed.store, reviewed.ids(12)[9], verdict="normal", user="bert")
    acts.save_verdict(reviewed.store, record_id, verdict="abnormal", user="anna")
    before = review_queue.history(reviewed.store, record_id), review_queue.progress(reviewed.store).by_user
    acts.ask(reviewed.store, record_id, reader="bert", who="olga")
    assert (review_queue.history(reviewed.store, record_id), review_queue.progress(reviewed.store).by_user) == before
    assert labels_in_force(reviewed.store)[record_id].who == "review:anna"
    (asked,) = [entry for entry in stored_labels(reviewed.store) if entry.label == "asked"]
    assert second_readings.readers([asked], now=datetime.now(UTC)) == set()
    with pytest.raises(ConfigurationError, match="bert gave no verdict"):
        acts.withdraw(reviewed.store, record_id, user="bert", when=asked.when)


def test_who_was_asked_and_is_away_gives_it_back_to_the_rule():
    """A name counts while that person is among those who gave verdicts lately."""
    said = {"anna": verdicts.Opinion(label="normal", when="2026-03-01T00:00:00+00:00")}
    assert second_readings.reader_of("0" * 32, said, known={"bert", "carl"}, asked="carl") == "carl"
    assert second_readings.reader_of("0" * 32, said, known={"bert"}, asked="carl") == "bert"
    assert not second_readings.needs_another("1" * 32, said, known={"bert"}, asked="carl")
    assert second_readings.needs_another("1" * 32, said, known={"carl"}, asked="carl")


def test_who_is_away_gives_readings_to_the_others():
    """Thirty days after the last verdict; a verdict that was taken back is none."""
    said = [
        LabelEntry(record_id="a", label="normal", who="review:anna", when="2026-03-01T00:00:00+00:00"),
        LabelEntry(record_id="a", label="skip", who="review:bert", when="2026-03-05T00:00:00+00:00"),
        LabelEntry(record_id="a", label="normal", who="review:carl", when="2026-03-05T00:00:00+00:00"),
        LabelEntry(
            record_id="a", label="withdrawn", who="review:carl", when="2026-03-06T00:00:00+00:00", withdraws="2026-03-05T00:00:00+00:00"
        ),
    ]
    assert second_readings.readers(said, now=datetime(2026, 3, 20, tzinfo=UTC)) == {"anna", "bert"}
    assert second_readings.readers(said, now=datetime(2026, 4, 2, tzinfo=UTC)) == {"bert"}
    assert second_readings.readers(said, now=datetime(2026, 5, 2, tzinfo=UTC)) == set()


def test_a_blind_order_says_nothing(archive):
    """Of 120 records the fifty that teach most, in an order that does not change with what the model says of them, another for each."""
    archive.put_model("heartbeat")
    ids = archive.ids(120)
    archive.put_shard("s1", ids, 0.5 - 0.004 * np.arange(120))
    page = review_queue.queue(archive.store, user="anna", limit=500, blind=True)
    order = [item.record_id for item in page.items]
    assert (sorted(order), page.waiting) == (ids[:50], 120)
    places = [ids.index(one) for one in order]
    assert abs(np.corrcoef(places, np.arange(50))[0, 1]) < 0.3
    assert [one.record_id for one in review_queue.queue(archive.store, user="bert", limit=500, blind=True).items] != order
    archive.put_model("heartbeat", version="v2")
    archive.put_shard("s1", ids, np.concatenate([0.3 + 0.004 * np.arange(50), np.full(70, 0.01)]), version="v2")
    assert [one.record_id for one in review_queue.queue(archive.store, user="anna", limit=500, blind=True).items] == order
    acts.save_verdict(archive.store, order[7], verdict="normal", user="anna")
    after = [item.record_id for item in review_queue.queue(archive.store, user="anna", limit=500, blind=True).items]
    assert [one for one in after if one in order] == [one for one in order if one != order[7]]
    assert review_queue.queue(archive.store, user="anna", offset=50, blind=True).items == ()


def test_further_readings_are_among_the_blind_batch(archive):
    """However little a record teaches: without that, nobody would come to them in an archive of many."""
    archive.put_model("heartbeat")
    ids = archive.ids(400)
    archive.put_shard("s1", ids, 0.5 - 0.001 * np.arange(400))
    due = [one for one in ids[-200:] if int(one[:8], 16) % second_readings.SECOND_READINGS == 0]
    for record_id in due:
        acts.save_verdict(archive.store, record_id, verdict="normal", user="anna")
    order = [item.record_id for item in review_queue.queue(archive.store, user="bert", limit=500, blind=True).items]
    assert len(order) == 50
    assert set(due) < set(order)


def test_what_is_revealed_is_as_it_was_before_the_verdict(reviewed):
    """The reasons speak of the source's label, not of the reviewer's own; without a verdict there is nothing."""
    record_id = reviewed.ids(12)[11]
    reviewed.put_labels({record_id: "abnormal"})
    before = next(one for one in review_queue.queue(reviewed.store, user="anna").items if one.record_id == record_id)
    assert review_queue.reveal(reviewed.store, record_id, user="anna") is None
    acts.save_verdict(reviewed.store, record_id, verdict="normal", user="anna")
    assert review_queue.reveal(reviewed.store, record_id, user="anna") == review_queue.Revealed(verdict="normal", item=before)
    assert review_queue.has_verdict(reviewed.store, record_id, user="anna")
    assert review_queue.reveal(reviewed.store, record_id, user="bert") is None
    assert not review_queue.has_verdict(reviewed.store, record_id, user="bert")
    assert review_queue.reveal(reviewed.store, "f" * 32, user="anna") is None


def test_saying_the_same_again_after_another_one_differed_counts(reviewed):
    """The latest wins, and insisting is later."""
    record_id = reviewed.ids(12)[10]
    acts.save_verdict(reviewed.store, record_id, verdict="normal", user="anna")
    acts.save_verdict(reviewed.store, record_id, verdict="abnormal", user="bert")
    assert acts.save_verdict(reviewed.store, record_id, verdict="normal", user="anna").changed
    assert labels_in_force(reviewed.store)[record_id].who == "review:anna"


def test_agreement_of_pairs_and_progress(reviewed):
    """Kappa of what both judged; skips and what was taken back do not count."""
    ids = reviewed.ids(12)
    for place, (first, second) in enumerate([("normal", "normal"), ("abnormal", "abnormal"), ("normal", "abnormal"), ("skip", "normal")]):
        acts.save_verdict(reviewed.store, ids[place], verdict=first, user="anna")
        acts.save_verdict(reviewed.store, ids[place], verdict=second, user="bert")
    (pair,) = review_queue.agreement(reviewed.store)
    assert (pair.first, pair.second, pair.n) == ("anna", "bert", 3)
    assert pair.kappa.value == pytest.approx(0.4)
    told = review_queue.progress(reviewed.store)
    assert (told.records, told.labelled, told.reviewed, told.disputed) == (12, 4, 4, 1)
    assert told.by_user == {"anna": 3, "bert": 4}


def test_what_cannot_be_is_refused(reviewed):
    """An unknown record, verdict, user or page; nothing is written."""
    record_id = reviewed.ids(12)[0]
    with pytest.raises(acts.UnknownRecordError, match="no model has decided"):
        acts.save_verdict(reviewed.store, "f" * 32, verdict="normal", user="anna")
    for changes in ({"verdict": "withdrawn"}, {"user": " "}, {"user": "a\nb"}, {"comment": "x" * 1001}):
        with pytest.raises(ConfigurationError):
            acts.save_verdict(reviewed.store, record_id, **({"verdict": "normal", "user": "anna"} | changes))
    for page in ({"offset": -1}, {"limit": 0}, {"limit": 501}):
        with pytest.raises(ConfigurationError):
            review_queue.queue(reviewed.store, user="anna", **page)
    assert snapshot(reviewed.store) == {}


def test_models_that_differ_and_a_new_champion_change_the_queue(reviewed):
    """A second recipe that sees the record otherwise lifts it; a new version is read as soon as it serves and has decided."""
    ids = reviewed.ids(12)
    assert waiting(reviewed.store, "anna")[-1] == ids[11]
    reviewed.put_model("twelve_lead")
    reviewed.put_shard("s1", ids[11:], [0.999], recipe="twelve_lead")
    items = review_queue.queue(reviewed.store, user="anna").items
    (item,) = (one for one in items if one.record_id == ids[11])
    assert item in items[:6]
    assert item.recipe == "twelve_lead"
    assert item.why[0].code == "recipes_disagree"
    reviewed.put_model("heartbeat", version="v2")
    reviewed.put_shard("s1", ids, np.linspace(0.1, 0.5, 12), version="v2")
    assert review_queue.queue(reviewed.store, user="anna", limit=1).items[0].version == "v2"


def test_what_the_queue_shows_is_what_counts_whatever_was_said_before(reviewed):
    """After sixty verdicts, withdrawals and label tables in turn, the queue's labels are those that a training would take."""
    rng = np.random.default_rng(6)
    ids, given = reviewed.ids(12), []
    for number in range(60):
        record_id, user = ids[rng.integers(12)], ("anna", "bert", "carl")[rng.integers(3)]
        match rng.integers(4):
            case 0 if given:
                said = given.pop(rng.integers(len(given)))
                acts.withdraw(reviewed.store, said[0], user=said[1], when=said[2])
            case 1:
                reviewed.put_labels({record_id: ("normal", "abnormal")[number % 2]}, when=f"2026-11-{1 + number // 4:02d}T00:00:00+00:00")
            case _:
                verdict = ("normal", "abnormal", "uninterpretable", "skip")[rng.integers(4)]
                given.append((record_id, user, acts.save_verdict(reviewed.store, record_id, verdict=verdict, user=user).when))
        if number % 10 == 9:
            force = labels_in_force(reviewed.store)
            for item in review_queue.queue(reviewed.store, user="dora").items:
                entry = force.get(item.record_id)
                assert (item.label, item.labelled_by) == ((entry.label, entry.who) if entry else (None, None))
            assert review_queue.progress(reviewed.store).labelled == len(force)


def test_an_empty_archive_has_an_empty_queue(archive):
    """Before the first night there is nothing to review."""
    page = review_queue.queue(archive.store, user="anna")
    assert (page.items, page.waiting, page.total) == ((), 0, 0)
    assert review_queue.agreement(archive.store) == ()


def test_copies_of_all_decisions_spare_reading_every_shard_and_say_the_same(reviewed, monkeypatch):
    """A process that starts reads the copies, and from the shards only what came after them."""
    before = review_queue.queue(reviewed.store, user="anna", limit=500)
    decided.write_snapshot(reviewed.store, "heartbeat", "v1")
    decided._decided.forget()
    reviewed.put_shard("s2", reviewed.ids(1, first=100), [0.9])
    read = []
    get = reviewed.store.get
    monkeypatch.setattr(reviewed.store, "get", lambda key: read.append(key) or get(key))
    now = review_queue.queue(reviewed.store, user="anna", limit=500)
    assert [key for key in read if key.startswith(keys.PREDICTIONS)] == [keys.predictions("heartbeat", "s2", "v1")]
    assert [item for item in now.items if item.shard == "s1"] == list(before.items)
    assert now.total == 13


def test_a_night_copies_what_is_new_and_many_copies_become_one(reviewed, monkeypatch):
    """The same night twice adds nothing; a new version's first copy removes the old version's."""
    monkeypatch.setattr(decided, "MAX_COPIES", 2)
    counts = []
    for night in range(4):
        reviewed.put_shard(f"night{night}", reviewed.ids(2, first=100 + 2 * night), [0.9, 0.8])
        decided.write_snapshot(reviewed.store, "heartbeat", "v1")
        decided.write_snapshot(reviewed.store, "heartbeat", "v1")
        found = [tables.load(reviewed.store.get(key))["record_id"] for key in reviewed.store.list_keys(keys.DECIDED)]
        assert sorted(one for part in found for one in part) == sorted([*reviewed.ids(12), *reviewed.ids(2 * night + 2, first=100)])
        counts.append(len(found))
    assert counts == [1, 2, 1, 2]
    reviewed.put_shard("s1", reviewed.ids(12), np.full(12, 0.5), version="v2")
    decided.write_snapshot(reviewed.store, "heartbeat", "v2")
    assert [key.split("/")[2] for key in reviewed.store.list_keys(keys.DECIDED)] == ["v2"]


def test_a_queue_of_100_000_records_follows_one_verdict(archive):
    """All of them labelled: a verdict after the first look is seen in the next one."""
    n = 100_000
    archive.put_model("heartbeat")
    rng = np.random.default_rng(1)
    ids = archive.ids(n)
    archive.put_shard("s1", ids, rng.random(n), quality=rng.random(n).astype(np.float32))
    archive.put_labels(dict.fromkeys(ids, "normal"))
    review_queue.queue(archive.store, user="anna")
    acts.save_verdict(archive.store, ids[5], verdict="abnormal", user="anna")
    page = review_queue.queue(archive.store, user="anna")
    assert page.waiting == n - 1
    assert verdicts.opinions(verdicts.all_entries(archive.store))[ids[5]]["anna"].label == "abnormal"


OFFERED = ("NORM", "MI", "AF")
"""Classes of a serving version."""


def known(store, record_id):
    """What is known of a record's classes, as words; None where nothing is."""
    found = classes_in_force(stored_classes(store), labels=stored_labels(store)).get(record_id)
    return None if found is None else (sorted(found.has), sorted(found.lacks))


def test_a_verdict_may_have_classes(reviewed):
    """Those that were asked for and not checked are absent, of others nothing is said; they go with the verdict, and with its end."""
    record_id = reviewed.ids(12)[1]
    saved = acts.save_verdict(reviewed.store, record_id, verdict="abnormal", user="anna", checked=["MI"], offered=OFFERED)
    assert known(reviewed.store, record_id) == (["MI"], ["AF", "NORM"])
    assert [(said.label, said.classes) for said in review_queue.history(reviewed.store, record_id)] == [("abnormal", "MI -NORM -AF ?")]
    assert audit.entries(reviewed.store)[-1][1].detail["classes"] == "MI -NORM -AF ?"
    acts.withdraw(reviewed.store, record_id, user="anna", when=saved.when)
    assert known(reviewed.store, record_id) is None


def test_the_same_classes_again_write_nothing_and_others_do(reviewed):
    """Unless another reviewer has named others since: then they are the latest again."""
    record_id = reviewed.ids(12)[1]
    given = {"verdict": "abnormal", "offered": OFFERED}
    assert acts.save_verdict(reviewed.store, record_id, user="anna", checked=["MI"], **given).changed
    assert not acts.save_verdict(reviewed.store, record_id, user="anna", checked=["MI"], **given).changed
    assert acts.save_verdict(reviewed.store, record_id, user="anna", checked=["-"], **given).changed
    assert known(reviewed.store, record_id) == ([], ["AF", "MI", "NORM"])
    assert acts.save_verdict(reviewed.store, record_id, user="bert", checked=["AF"], **given).changed
    assert acts.save_verdict(reviewed.store, record_id, user="anna", checked=["-"], **given).changed
    assert known(reviewed.store, record_id) == ([], ["AF", "MI", "NORM"])


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        ({"tags": ["AF"]}, "AF ?"),
        ({"tags": ["", " af-flutter; AF ", "-PVC"]}, "AF af-flutter -PVC ?"),
        ({"tags": ["mi"], "checked": ["AF"], "offered": OFFERED}, "MI AF -NORM ?"),
        ({"tags": ["AF"], "checked": ["-"], "offered": OFFERED}, "AF -NORM -MI ?"),
        ({"tags": ["AF"], "offered": OFFERED}, "AF ?"),
        ({"tags": ["", " "], "offered": OFFERED}, ""),
    ],
)
def test_classes_of_ones_own_stand_beside_those_of_the_version(reviewed, fields, stored):
    """Boxes that nobody touched say nothing; what is typed in counts as checked."""
    record_id = reviewed.ids(12)[1]
    acts.save_verdict(reviewed.store, record_id, verdict="abnormal", user="anna", **fields)
    assert review_queue.history(reviewed.store, record_id)[0].classes == stored
    assert review_queue.known_classes(reviewed.store) == in_order(stored.replace(" -", " ").removesuffix("?").split())


def test_a_verdict_without_classes_leaves_those_of_the_source_where_they_fit(reviewed):
    """Nothing checked is nothing said."""
    record_id = reviewed.ids(12)[1]
    reviewed.put_labels({record_id: "abnormal"})
    source = ClassEntry(record_id=record_id, classes="MI", who="source:labels.csv", when="2026-01-01T00:00:00+00:00")
    write_classes(reviewed.store, [source])
    acts.save_verdict(reviewed.store, record_id, verdict="abnormal", user="anna", offered=OFFERED)
    assert known(reviewed.store, record_id)[0] == ["MI"]
    assert [(said.label, said.classes) for said in review_queue.history(reviewed.store, record_id)] == [
        ("abnormal", ""),
        ("abnormal", "MI"),
    ]
    acts.save_verdict(reviewed.store, record_id, verdict="normal", user="anna", offered=OFFERED)
    assert known(reviewed.store, record_id) is None


@pytest.mark.parametrize(
    ("verdict", "checked", "words"),
    [
        ("abnormal", ["NORM"], "NORM is the class of a normal recording"),
        ("normal", ["MI"], "among the classes is MI"),
        ("normal", ["-"], "NORM is said to be absent"),
        ("uninterpretable", ["MI"], "no classes"),
        ("skip", ["MI"], "a skip says nothing"),
        ("abnormal", ["-", "MI"], "one or the other"),
        ("abnormal", ["HYP"], "not among the classes"),
    ],
)
def test_classes_that_contradict_the_verdict_are_refused(reviewed, verdict, checked, words):
    """Nothing is saved, neither the verdict nor the classes."""
    before = snapshot(reviewed.store)
    with pytest.raises(ConfigurationError, match=words):
        acts.save_verdict(reviewed.store, reviewed.ids(12)[0], verdict=verdict, user="anna", checked=checked, offered=OFFERED)
    assert snapshot(reviewed.store) == before
