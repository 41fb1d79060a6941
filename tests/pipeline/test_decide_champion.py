"""People's decisions about versions: what they do, what they refuse, what they keep, and that they can be repeated."""

import itertools
import json

import pytest

from ecg_tasks.archive import audit, keys, registry
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import ConfigurationError, ModelRefusedError, StoreError
from ecg_tasks.pipeline import decide_champion
from ecg_tasks.queries import dag_runs, models

RECIPE = "heartbeat"


@pytest.fixture
def store(evaluated_versions):
    """Versions a, b and c, accepted by the gate, and d, rejected by it; a serves."""
    return evaluated_versions


RUNS = itertools.count()


def decide(action, version="", *, why="a reason", who="alice", run=None, override="", cleared=False):
    """One run of the DAG ``decide_champion``, a new one unless it is named; returns its manifest."""
    key = decide_champion.decide(
        run or f"run {next(RUNS)}", recipe=RECIPE, action=action, version=version, why=why, who=who, override=override, cleared=cleared
    )
    return json.loads(decide_champion.open_store().get(key))


def test_promotion_keeps_who_when_and_why(store):
    """The version serves, and the one before stands in the history with all that was known of it."""
    manifest = decide("promote", "b", why="looks right")
    champion = registry.read_champion(store, RECIPE)
    assert (champion.version, champion.who, champion.why, champion.action) == ("b", "alice", "looks right", "promoted")
    assert champion.history == (registry.Service(version="a", since="t0", who="gate", why="first", action="promoted"),)
    assert (manifest["served_before"], manifest["serving"]) == ("a", "b")


def test_rollback_goes_to_the_one_before_and_rejects_the_one_that_served(store):
    """After a rollback the earlier version serves, the later one is marked with the reason, and nothing is lost from the history."""
    decide("promote", "b")
    decide("rollback", why="too many alarms")
    champion = registry.read_champion(store, RECIPE)
    assert (champion.version, champion.action, champion.why) == ("a", "rolled back", "too many alarms")
    assert [one.version for one in champion.history] == ["b", "a"]
    assert champion.rejection("b").why == "too many alarms"


def test_rollback_passes_over_what_was_rejected(store):
    """A version that was rejected after it served is not gone back to."""
    for version in "bc":
        decide("promote", version)
    decide("reject", "b")
    decide("rollback", "c")
    assert registry.read_champion(store, RECIPE).version == "a"


@pytest.mark.parametrize(("action", "version"), [("promote", "c"), ("rollback", ""), ("rollback", "b"), ("reject", "c")])
def test_deciding_twice_changes_nothing(store, action, version):
    """The same decision again, in the same run or in another, leaves champion.json as it was and says so."""
    decide("promote", "b")
    decide(action, version)
    before = store.get(keys.champion(RECIPE))
    for _ in range(2):
        assert "nothing was changed" in decide(action, version)["outcome"]
    assert store.get(keys.champion(RECIPE)) == before


def test_a_run_decides_once(store):
    """The task of an old run again, cleared or not, leaves what was decided since, its manifest and the log as they are."""
    first = decide("promote", "b", run="old")
    decide("promote", "c", who="bob")
    before = {item.key: item.etag for item in store.list_objects("")}
    assert decide("promote", "b", run="old", cleared=True) == decide("promote", "b", run="old") == first
    assert {item.key: item.etag for item in store.list_objects("")} == before
    with pytest.raises(ConfigurationError, match="there is no heartbeat version"):
        decide("promote", "nothing", run="refused")
    with pytest.raises(ConfigurationError, match="was refused before, and is not tried again"):
        decide("promote", "a", run="refused", cleared=True)
    assert registry.read_champion(store, RECIPE).version == "c"


@pytest.mark.parametrize(("action", "version"), [("promote", "c"), ("rollback", ""), ("reject", "c")])
def test_a_cleared_run_decides_nothing(store, action, version):
    """Clearing a run that died before it decided asks its own user anew: nothing is done in the name of the one who started it."""
    decide("promote", "b")
    before = store.get(keys.champion(RECIPE))
    with pytest.raises(ConfigurationError, match="a cleared run decides nothing: start a new one, in your own name"):
        decide(action, version, cleared=True)
    assert store.get(keys.champion(RECIPE)) == before
    assert len(audit.entries(store)) == 1


@pytest.mark.parametrize(("action", "version"), [("promote", "c"), ("rollback", ""), ("rollback", "b"), ("reject", "c")])
def test_a_run_that_died_after_its_act_is_logged_when_it_is_cleared(store, monkeypatch, action, version):
    """What a run had done before its log entry was lost gets its entry and its manifest; it is not done again."""
    decide("promote", "b")

    def gone(*_args, **_more):
        raise StoreError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(audit, "append", gone)
        with pytest.raises(StoreError):
            decide(action, version, run="died")
    before = store.get(keys.champion(RECIPE))
    assert "before it was cleared" in decide(action, version, run="died", cleared=True)["outcome"]
    assert store.get(keys.champion(RECIPE)) == before
    assert [str(entry.action) for _, entry in audit.entries(store)] == ["promote", action]


@pytest.mark.parametrize(("action", "version"), [("promote", "c"), ("rollback", ""), ("reject", "c")])
def test_broken_anywhere_and_run_again_comes_to_the_same(store, monkeypatch, action, version):
    """Break every write of a decision once: after the next try the same decision stands, once."""
    decide("promote", "b")
    whole, broken = ObjectStore.put, set()

    def once(self, key, *args, **kwargs):
        place = keys.AUDIT if key.startswith(keys.AUDIT) else key  # an entry's name has its moment in it
        if place not in broken:
            broken.add(place)
            raise StoreError(f"the store went away at {key}")
        return whole(self, key, *args, **kwargs)

    monkeypatch.setattr(ObjectStore, "put", once)
    for _ in range(5):
        try:
            decide(action, version, run="broken")
            break
        except StoreError:
            continue
    champion = registry.read_champion(store, RECIPE)
    expected = {"promote": ("c", 2, 0), "rollback": ("a", 2, 1), "reject": ("b", 1, 1)}[action]
    assert (champion.version, len(champion.history), len(champion.rejections)) == expected
    assert len(broken) == 3
    assert [entry.action for _, entry in audit.entries(store)][1:] == [action]


def test_what_was_rejected_serves_only_against_a_stated_reason(store):
    """A version that the gate or a person rejected, or that nobody judged, needs the override, which is kept beside the rejection."""
    decide("reject", "c", why="odd threshold", who="bob")
    store.delete(keys.model_file(RECIPE, "b", registry.VERDICT))
    for version, said in (("d", "rejected by the gate: because"), ("c", "rejected by bob on"), ("b", "never evaluated")):
        with pytest.raises(ConfigurationError, match=said):
            decide("promote", version)
        assert registry.read_champion(store, RECIPE).version == "a"
    decide("promote", "c", why="the best there is", override="the threshold was checked by hand")
    champion = registry.read_champion(store, RECIPE)
    assert champion.version == "c"
    for part in ("the best there is", "odd threshold", "the threshold was checked by hand"):
        assert part in champion.why
    assert champion.rejection("c").who == "bob"


def test_a_version_that_does_not_work_is_not_promoted(store, works):
    """What fails in a fresh process never serves, whatever the reason."""
    works["b"] = "golden scores differ"
    with pytest.raises(ModelRefusedError, match="golden scores differ"):
        decide("promote", "b", override="I insist")
    assert registry.read_champion(store, RECIPE).version == "a"


@pytest.mark.parametrize(
    ("action", "version", "said"),
    [
        ("promote", "z", "there is no heartbeat version 'z'"),
        ("reject", "a", "it serves|a serves; roll back"),
        ("rollback", "c", "a serves, not c"),
        ("rollback", "", "nothing to roll back to"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(store, action, version, said):
    """Nothing changes, and the run's manifest tells why, for whoever asked from afar."""
    before = store.get(keys.champion(RECIPE))
    with pytest.raises(ConfigurationError, match=said):
        decide(action, version, run="refused")
    assert store.get(keys.champion(RECIPE)) == before
    assert dag_runs.decision(store, "refused").startswith("refused: ")


@pytest.mark.parametrize("missing", ["why", "who"])
def test_a_decision_needs_a_reason_and_a_name(store, missing):
    """Neither may be left out."""
    with pytest.raises(ConfigurationError, match="needs a reason and a name"):
        decide("promote", "b", **{missing: ""})


def test_the_list_tells_what_became_of_each(store):
    """Every version is listed once with its area, verdict and standing."""
    decide("promote", "b")
    decide("reject", "c", why="no", who="bob")
    (found,) = models.models(store)
    standing = {one.version.version: one.standing for one in found.versions}
    assert standing["a"] == "served before"
    assert standing["b"].endswith("promoted by alice")
    assert standing["c"].endswith("by bob: no")
    assert standing["d"] == ""
    assert {one.verdict.kind for one in found.versions} == {"better", "rejected"}
