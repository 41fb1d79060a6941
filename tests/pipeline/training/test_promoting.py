"""The way from a verdict to a champion: everything is looked at again, in the bucket, at the moment of writing."""

import json
import re

import pytest

from ecg_tasks.archive import audit, keys, registry
from ecg_tasks.archive.documents import Approval, TrainingJob, write
from ecg_tasks.errors import ConfigurationError, StoreError
from ecg_tasks.pipeline import decide_champion
from ecg_tasks.pipeline.training import promoting
from tests.plain_json import get_json, put_json

RECIPE = "heartbeat"


@pytest.fixture
def store(evaluated_versions):
    """Versions a to d, the gate's verdicts on them against a, which serves; run ``r`` trained b, and run ``no`` trained d."""
    for run, version in (("r", "b"), ("no", "d")):
        work = TrainingJob(run=run, recipe=RECIPE, version=version, dataset_id="ds", epochs=1, seed=0)
        write(evaluated_versions, promoting.job_key(run), work)
    return evaluated_versions


def _serving(store):
    return registry.read_champion(store, RECIPE).version


def _acts(store):
    return [(entry.who, str(entry.action), entry.subject) for _, entry in audit.entries(store)]


def _outcome(store, run="r"):
    return get_json(store, keys.manifest(promoting.DAG, run))["outcome"]


def _verdict(store, **changes):
    key = keys.model_file(RECIPE, "b", registry.VERDICT)
    put_json(store, key, get_json(store, key) | changes)


def test_what_the_gate_let_pass_serves_and_is_logged(store):
    """The run's version serves in the run's own name; the task again changes nothing and logs nothing more."""
    assert promoting.promote("r", asked=False) == keys.champion(RECIPE)
    champion = registry.read_champion(store, RECIPE)
    assert (champion.version, champion.who, champion.why) == ("b", "retrain_model/r", "because")
    before = store.get(keys.champion(RECIPE))
    promoting.promote("r", asked=False)
    assert store.get(keys.champion(RECIPE)) == before
    assert _acts(store) == [("retrain_model/r", "promote", "heartbeat/b")]
    assert _outcome(store).startswith("b serves since")


def test_a_promotion_whose_entry_was_lost_is_logged_by_the_next_try(store, monkeypatch):
    """A store that goes away between the act and its log entry fails the task, and the next try logs the act."""

    def gone(*_args, **_more):
        raise StoreError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(audit, "append", gone)
        with pytest.raises(StoreError):
            promoting.promote("r", asked=False)
    promoting.promote("r", asked=False)
    assert _acts(store) == [("retrain_model/r", "promote", "heartbeat/b")]


@pytest.mark.parametrize("asked", [False, True])
def test_what_the_gate_refused_is_never_promoted(store, asked):
    """However the task comes to run, and though somebody approved: the verdict itself says no."""
    promoting.note_answer("no", Approval(chosen="Approve", who="carol"))
    with pytest.raises(ConfigurationError, match="d is not promoted: the gate did not let it pass"):
        promoting.promote("no", asked=asked)
    assert _serving(store) == "a"


def test_a_verdict_by_another_policy_does_not_count(store):
    """Two runs may train the same version: one that asked for a refresh lends its verdict to no other."""
    _verdict(store, policy="refresh")
    with pytest.raises(ConfigurationError, match="the gate did not let it pass"):
        promoting.promote("r", asked=False)
    assert _serving(store) == "a"


@pytest.mark.parametrize("missing", ["job", "verdict"])
def test_a_run_whose_tasks_were_marked_as_done_promotes_nothing(store, missing):
    """Where the first task or the gate was marked as a success without running, there is nothing to promote."""
    store.delete(promoting.job_key("r") if missing == "job" else keys.model_file(RECIPE, "b", registry.VERDICT))
    with pytest.raises(ConfigurationError, match="assembled no data set" if missing == "job" else "the gate has not evaluated"):
        promoting.promote("r", asked=False)
    assert _serving(store) == "a"


def _by_hand(action, version=""):
    decide_champion.decide(f"{action} {version}", recipe=RECIPE, action=action, version=version, why="my choice", who="alice")


@pytest.mark.parametrize(
    ("acts", "serving", "told"),
    [
        ([("promote", "c")], "c", "c serves since .*, by alice; the version was compared with a. Start retrain_model again"),
        ([("promote", "c"), ("rollback", "")], "a", "a serves since .*, by alice; the version was compared with a"),
        ([("reject", "b")], "a", "it was rejected while this run was under way"),
        ([("promote", "b"), ("rollback", "")], "a", "it was rejected while this run was under way"),
    ],
)
def test_a_choice_made_meanwhile_stands(store, acts, serving, told):
    """Whatever a person decided between the verdict and the promotion stays as it is, and the run's account says why."""
    for act in acts:
        _by_hand(*act)
    before = store.get(keys.champion(RECIPE))
    assert promoting.promote("r", asked=False) is None
    assert store.get(keys.champion(RECIPE)) == before
    assert _serving(store) == serving
    assert re.search(told, _outcome(store))


def test_an_approval_is_kept_and_logged_and_lets_the_version_serve(store):
    """Who approved, and why, stands beside the version, in the log under their name, and in the champion's reason."""
    promoting.note_answer("r", Approval(chosen="Approve", who="carol", why=" looks right ", when="t2"))
    promoting.promote("r", asked=True)
    champion = registry.read_champion(store, RECIPE)
    assert (champion.version, champion.who, champion.why) == ("b", "retrain_model/r", "because; approved by carol: looks right")
    assert _acts(store) == [("carol", "approve", "heartbeat/b"), ("retrain_model/r", "promote", "heartbeat/b")]
    assert get_json(store, keys.manifest(promoting.DAG, "r"))["approval"]["who"] == "carol"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, "asks for a person's approval, and it was not given"),
        (Approval(chosen="Reject", who="carol"), "and the answer was no"),
        (Approval(chosen="Approve", who=None), "and the answer was no"),
    ],
)
@pytest.mark.parametrize("by", ["form", "job"])
def test_without_the_approval_that_was_asked_for_nothing_serves(store, answer, told, by):
    """A task `approval` that was marked as a success, or an edited XCom, leaves no answer in the bucket: nothing is promoted."""
    if answer is not None:
        promoting.note_answer("r", answer)
    if by == "job":
        put_json(store, promoting.job_key("r"), get_json(store, promoting.job_key("r")) | {"approval": True})
    with pytest.raises(ConfigurationError, match=told):
        promoting.promote("r", asked=by == "form")
    assert _serving(store) == "a"


def test_an_approval_counts_for_its_own_verdict_and_run_only(store):
    """A yes to an earlier verdict, or in another run, is none to this one."""
    promoting.note_answer("r", Approval(chosen="Approve", who="carol"))
    _verdict(store, judged="t9")
    with pytest.raises(ConfigurationError, match="carol gave it on an earlier verdict; clear the task approval"):
        promoting.promote("r", asked=True)
    put_json(store, promoting.job_key("other"), get_json(store, promoting.job_key("r")) | {"run": "other"})
    with pytest.raises(ConfigurationError, match="it was not given"):
        promoting.promote("other", asked=True)
    assert _serving(store) == "a"


def test_the_question_is_what_the_gate_wrote(store):
    """Version, reason and opponent come from the bucket."""
    told = promoting.question("r")
    for part in ("version `b` of the recipe `heartbeat`", "because", "the serving version, `a`", "models/heartbeat/b/verdict.json"):
        assert part in told


def test_the_question_says_what_follows_from_each_answer(store):
    """What approval, refusal and silence do, with a version that serves and without one; nothing is claimed of a foreign network."""
    told = promoting.question("r")
    assert "**Approve**: from the next run of `classify_records` on, the new version decides" in told
    assert "**Reject**, or no answer in two days: version `a` continues to decide." in told
    assert "AUROC: 1 is" not in told, "there are no figures to explain"
    _verdict(store, champion=None, kind="first")
    assert "no answer in two days: no version of this recipe decides." in promoting.question("r")
    work = TrainingJob(run="r", recipe=RECIPE, version="b", dataset_id="ds", epochs=0, seed=0, added="00ff")
    write(store, promoting.job_key("r"), work)
    assert "Only its author knows whether it has seen the test patients" in promoting.question("r")


FIGURE = {"value": 0.9, "low": 0.85, "high": 0.95}
DIFFERENCE = {"value": 0.02, "low": -0.01, "high": 0.05}


@pytest.mark.parametrize(
    ("kind", "words"),
    [("better", "better than the serving version"), ("refresh", "a refresh: as good as the serving version, and trained on newer data")],
)
def test_the_question_shows_figures_interval_and_card(store, kind, words):
    """Whoever approves sees what the gate saw, which of the two it is, and where the card and the comparison are."""
    figures = {"candidate_auroc": FIGURE, "champion_auroc": FIGURE, "auroc_difference": DIFFERENCE, "auroc_difference_MI": DIFFERENCE}
    _verdict(store, kind=kind, figures=figures, sensitivity=0.91, ece=0.034, note="2 candidates have been evaluated.")
    told = promoting.question("r", pages="/plugin/ecg/ecg")
    for part in (
        f"passed the gate: it is **{words}**",
        "| AUROC (95 % interval) | 0.900 (0.850 to 0.950) | 0.900 (0.850 to 0.950) | 0.020 (-0.010 to 0.050) |",
        "| Sensitivity at its threshold | 0.910 |",
        "| Calibration error | 0.034 |",
        "| AUROC of MI |  |  | 0.020 (-0.010 to 0.050) |",
        "[the card of the new version](/plugin/ecg/ecg/models/heartbeat/b)",
        "(/plugin/ecg/ecg/models/compare?recipe=heartbeat&one=a&other=b)",
        "2 candidates have been evaluated.",
    ):
        assert part in told
    assert promoting.subject("r") == f"Promote heartbeat version b? It is {words}."


def test_a_refusal_in_the_interface_is_kept(store):
    """Who refused, and why; the version is then not promotable, and the same run's promotion does nothing."""
    promoting.note_answer("r", Approval(chosen="Reject", why="too slow", who="carol"))
    promoting.refuse("r")
    rejection = registry.read_champion(store, RECIPE).rejection("b")
    assert (rejection.who, rejection.why) == ("carol", "too slow")
    assert not promoting.is_promotable("r")
    assert promoting.promote("r", asked=False) is None
    assert _serving(store) == "a"
    assert json.loads(store.get(keys.manifest("retrain_model", "r")))["rejected"] is True
    before = store.get(keys.champion(RECIPE))
    promoting.note_answer("r", Approval(chosen="Reject", why="again", who="dave"))
    promoting.refuse("r")
    assert store.get(keys.champion(RECIPE)) == before


def test_the_deadline_refuses_in_nobodys_name(store):
    """Without an answer the run itself stands for who, and the reason says that nobody approved."""
    promoting.note_answer("r", Approval(chosen="Reject", who=None))
    promoting.refuse("r")
    rejection = registry.read_champion(store, RECIPE).rejection("b")
    assert (rejection.who, rejection.why) == ("retrain_model/r", "it was not approved in time")


@pytest.mark.parametrize("answer", [None, Approval(chosen="Approve", who="carol")])
def test_no_refusal_marks_nothing(store, answer):
    """Where nobody was asked, or the answer was yes, nothing is marked."""
    if answer is not None:
        promoting.note_answer("r", answer)
    assert promoting.refuse("r") is None
    assert registry.read_champion(store, RECIPE).rejections == ()


def test_a_first_candidate_can_be_refused(store):
    """Where nothing serves, the rejection is kept all the same, nothing serves still, and a later promotion keeps it."""
    store.delete(keys.champion(RECIPE))
    promoting.note_answer("r", Approval(chosen="Reject", why="no", who="carol"))
    promoting.refuse("r")
    assert registry.read_champion(store, RECIPE) is None
    assert registry.read_decisions(store, RECIPE).rejection("b").why == "no"
    _by_hand("promote", "a")
    assert registry.read_champion(store, RECIPE).rejection("b").why == "no"
