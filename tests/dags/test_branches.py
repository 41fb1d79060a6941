"""Which tasks run and which are skipped, with the steps themselves replaced."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import report_link
import run_note
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.api.datamodels._generated import DagRunType

from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.documents import Approval, TrainingJob, write
from ecg_tasks.errors import ConfigurationError, NotEnoughDataError
from ecg_tasks.pipeline import (
    backfill_version,
    classify_records,
    decide_champion,
    forget_patient,
    ingest_records,
    maintain_store,
    render_spectrograms,
    retrain_model,
)
from ecg_tasks.pipeline.intake import waiting
from ecg_tasks.pipeline.training import promoting
from ecg_tasks.queries import dag_runs, runs
from tests.versions import evaluated_versions

USER = {"id": "1", "name": "alice"}
WHEN = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _without_a_bucket(monkeypatch):
    """A run's note is made from what its steps write, which they do not here."""
    monkeypatch.setattr(runs, "headline", lambda report: f"headline of {report}")
    monkeypatch.setattr(dag_runs, "headline", lambda dag, run_id: f"headline of {dag} {run_id}")


@pytest.fixture
def steps(monkeypatch):
    """Replaces functions of a step module by ones that note their call and return what is asked."""
    calls = []

    def replace(module, **results):
        for name, result in results.items():

            def step(*args, _name=name, _result=result, **kwargs):
                calls.append((_name, *args, *kwargs.values()))
                return _result

            monkeypatch.setattr(module, name, step)
        return calls

    return replace


def _states(tasks):
    return {(task.task_id, task.map_index) if task.map_index >= 0 else task.task_id: task.state for task in tasks}


def _events(asset: str = "ecg_records"):
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session() as session:
        return session.scalar(
            select(func.count())
            .select_from(AssetEvent)
            .join(AssetModel, AssetEvent.asset_id == AssetModel.id)
            .where(AssetModel.name == asset)
        )


def test_an_event_tells_where_to_read_on(run_dag, steps):
    """What an intake, a drawing and a night tell by their assets is the key of what they wrote down, and nothing else."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    steps(waiting, rest="")
    steps(ingest_records, plan=["job"], ingest_batch="result", publish="manifests/ingest_records/1.json")
    run_dag("ingest_records")
    with create_session() as session:
        newest = session.scalars(select(AssetEvent).order_by(AssetEvent.id.desc())).first()
        assert (newest.source_task_id, newest.extra) == ("publish", {"told_in": "manifests/ingest_records/1.json"})


def test_an_asset_has_the_address_of_its_part_of_the_bucket(monkeypatch):
    """Where lineage is sent; elsewhere it has its name alone, and a DAG is read without boto3."""
    import ecg_assets

    monkeypatch.setenv("ECG_BUCKET", "hospital")
    monkeypatch.delenv("OPENLINEAGE_URL", raising=False)
    named = ecg_assets._asset("ecg_records", "records/", "labels/")
    monkeypatch.setenv("OPENLINEAGE_URL", "http://lineage.example.org")
    addressed = ecg_assets._asset("ecg_records", "records/", "labels/")
    assert [(one.name, one.uri) for one in (named, addressed)] == [("ecg_records", "ecg_records"), ("ecg_records", "s3://hospital/records")]
    assert addressed.extra == {"prefixes": ["records/", "labels/"]}
    parts = {value for value in vars(keys).values() if isinstance(value, str) and value.endswith("/")}
    all_of_them = (ecg_assets.ECG_INBOX, ecg_assets.ECG_RECORDS, ecg_assets.ECG_SPECTROGRAMS, ecg_assets.ECG_REPORTS)
    assert {prefix for one in all_of_them for prefix in one.extra["prefixes"]} <= parts


def test_an_empty_inbox_starts_nothing(run_dag, steps):
    """Without anything to take over, the batches and the publication are skipped, and no picture is asked for."""
    before = _events()
    steps(ingest_records, plan=[])
    steps(waiting, rest="")
    run, tasks = run_dag("ingest_records")
    assert run.state == "success"
    assert _states(tasks) == {"plan": "success", "ingest_batch": "skipped", "publish": "skipped", "ask_for_the_rest": "skipped"}
    assert _events() == before


@pytest.mark.parametrize("jobs", [[], ["job/0"]])
def test_what_is_left_is_asked_for(run_dag, steps, jobs):
    """A run that left recordings to the next one, or only read headers, lets the next one start at once, as a drop would."""
    before = _events("ecg_inbox")
    steps(ingest_records, plan=jobs, ingest_batch="result", publish="manifest")
    calls = steps(waiting, rest="7 recordings or files are left to the next run")
    run, tasks = run_dag("ingest_records")
    assert (run.state, _states(tasks)["ask_for_the_rest"]) == ("success", "success")
    assert calls[-1] == ("rest", run.run_id)
    assert _events("ecg_inbox") == before + 1


def test_batches_are_published_together(run_dag, steps, monkeypatch):
    """Every job is one task, `publish` gets all results in order and the run's name, and tells that there are records."""
    before = _events()
    calls = steps(ingest_records, plan=["job/0", "job/1"], ingest_batch="result", publish="manifest")
    monkeypatch.setattr(waiting, "rest", lambda _: "")
    run, tasks = run_dag("ingest_records")
    batches_of_it = {("ingest_batch", 0): "success", ("ingest_batch", 1): "success"}
    assert _states(tasks) == {"plan": "success", **batches_of_it, "publish": "success", "ask_for_the_rest": "skipped"}
    first, *batches, last = calls
    assert first == ("plan", run.run_id)
    first_tries = [("ingest_batch", "job/0", False), ("ingest_batch", "job/1", False)]
    assert sorted(batches) == first_tries  # side by side, in no order
    assert last == ("publish", run.run_id, ["result", "result"])
    assert _events() == before + 1


def _note_of(run):
    """Return the note that the scheduler writes when a run has ended."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        stored = session.scalar(select(DagRun).where(DagRun.dag_id == run.dag_id, DagRun.run_id == run.run_id))
        stored.note = None
        run_note.on_dag_run_success(stored, msg="")
        return stored.note


@pytest.mark.parametrize("jobs", [[], ["job/0"]])
@pytest.mark.parametrize("dag_id", ["ingest_records", "render_spectrograms"])
def test_an_intake_and_its_drawing_have_a_note(run_dag, steps, dag_id, jobs):
    """Also where there was nothing to do, and the task that would have told it was skipped."""
    module = {"ingest_records": ingest_records, "render_spectrograms": render_spectrograms}[dag_id]
    results = {"ingest_records": {"ingest_batch": "result"}, "render_spectrograms": {"render_shard": "result"}}[dag_id]
    steps(module, plan=jobs, publish="manifest", **results)
    steps(waiting, rest="")
    run, _ = run_dag(dag_id)
    assert _note_of(run) == f"headline of {dag_id} {run.run_id}"


def test_the_note_of_a_training_is_what_came_of_it_last(run_dag, steps, monkeypatch):
    """The gate tells its verdict, and the promotion after it what was done: the note has the second."""
    sentences = iter(["it is better", "it is better; it serves"])
    monkeypatch.setattr(dag_runs, "headline", lambda _dag, _run: next(sentences))
    steps(retrain_model, assemble_dataset="job", train="version", evaluate="figures", gate="verdict")
    steps(promoting, is_promotable=True, promote="champion")
    run, _ = run_dag("retrain_model")
    assert _note_of(run) == "it is better; it serves"


def test_a_decision_that_was_refused_has_a_note(run_dag, monkeypatch):
    """Its run fails, and says why where runs are listed."""

    def refused(*_args, **_more):
        raise ConfigurationError("there is no such version")

    monkeypatch.setattr(decide_champion, "decide", refused)
    monkeypatch.setattr(dag_runs, "headline", lambda _dag, _run: "refused: there is no such version")
    run, _ = run_dag("decide_champion", conf={"recipe": "heartbeat", "action": "reject", "version": "ab12", "why": "so", "override": None})
    assert run.state == "failed"
    assert _note_of(run) == "refused: there is no such version"


def test_a_night_without_new_records_is_reported(run_dag, steps):
    """With nothing to decide on, the report is written all the same."""
    calls = steps(classify_records, pin_champion="pin", plan=[], write_report="report")
    run, tasks = run_dag("classify_records")
    assert run.state == "success"
    assert _states(tasks) == {"pin_champion": "success", "plan": "success", "classify_shard": "skipped", "write_report": "success"}
    assert calls[-1] == ("write_report", "pin", [], report_link.address())


def test_a_run_by_hand_reports_on_its_own_day(run_dag, steps):
    """A run without a logical date, as the form and the API start it, is dated by the day it was started."""
    calls = steps(classify_records, pin_champion="pin", plan=[], write_report="report")
    run, _ = run_dag("classify_records", conf={"scope": "all", "details": 7}, run_after=datetime(2026, 3, 4, 5, 6, tzinfo=UTC))
    assert calls[0] == ("pin_champion", run.run_id, "manual", "2026-03-04", "all", 7)


def test_a_backfill_reports_on_the_past(run_dag, steps):
    """A run with a logical date is dated by it, whenever it runs."""
    calls = steps(classify_records, pin_champion="pin", plan=[], write_report="report")
    run, _ = run_dag("classify_records", logical_date=datetime(2026, 2, 3, 2, 0, tzinfo=UTC))
    assert calls[0] == ("pin_champion", run.run_id, "manual", "2026-02-03", "new", 200)


@pytest.mark.parametrize(
    ("promotable", "answer", "expected"),
    [
        pytest.param(False, None, ("skipped", "skipped"), id="not better"),
        pytest.param(False, "Approve", ("skipped", "skipped"), id="not better, so nobody is asked"),
        pytest.param(True, None, ("skipped", "success"), id="better"),
        pytest.param(True, "Approve", ("success", "success"), id="better and approved"),
        pytest.param(True, "Reject", ("success", "skipped"), id="better and refused"),
    ],
)
def test_promotion(run_dag, steps, monkeypatch, promotable, answer, expected):  # noqa: PLR0917 - pytest passes by name
    """Only a better candidate is promoted, and where approval was asked for only with it."""
    _answer(monkeypatch, answer)
    calls = steps(retrain_model, assemble_dataset="job", train="version", evaluate="figures", gate="verdict")
    steps(
        promoting,
        is_promotable=promotable,
        subject="Promote it?",
        question="?",
        note_answer="answer",
        promote="champion",
        refuse="champion",
    )
    run, tasks = run_dag("retrain_model", conf={"approval": answer is not None, "epochs": 3, "policy": "refresh"})
    states = _states(tasks)
    assert run.state == "success"
    assert (states["approval"], states["promote"]) == expected
    judged = [("train", "job"), ("evaluate", "job"), ("gate", "job"), ("is_promotable", run.run_id)]
    assert calls[:5] == [
        ("assemble_dataset", run.run_id, "twelve_lead", 3, None, 0, "", "refresh", answer is not None, "", "dag_test", False),
        *judged,
    ]
    rest = calls[5:]
    if answer and promotable:
        said = Approval(chosen=answer, who="alice", why="so", when=WHEN.isoformat())
        asked = [("subject", run.run_id), ("question", run.run_id, "/plugin/ecg/ecg")]
        assert rest[:3] == [*asked, ("note_answer", run.run_id, said)]
        rest = rest[3:]
    if states["promote"] == "success":
        assert rest == [("promote", run.run_id, answer is not None)]
        assert states["note_refusal"] == "skipped"
    else:
        assert rest == [("refuse", run.run_id)]


@pytest.fixture
def trained(bucket, steps, monkeypatch):
    """A bucket in which the gate let version b pass and refused d, and a serves; gives what lets a run train one of them."""
    evaluated_versions(bucket)
    steps(retrain_model, train="version", evaluate="figures", gate="verdict")

    def trains(version):
        def assemble_dataset(run_id, *, recipe, policy, approval, **_more):
            work = {"run": keys.run_key(run_id), "recipe": recipe, "version": version, "dataset_id": "ds", "policy": policy}
            return write(bucket, promoting.job_key(run_id), TrainingJob(**work, epochs=1, seed=0, approval=approval))

        monkeypatch.setattr(retrain_model, "assemble_dataset", assemble_dataset)

    return trains


def test_what_the_gate_refused_is_not_promoted_by_marking_tasks(run_dag, bucket, trained, monkeypatch):
    """A branch that is made to go on (by a mark or an edited XCom) comes to `promote`, which reads the verdict itself and fails."""
    trained("d")
    monkeypatch.setattr(promoting, "is_promotable", lambda _run: True)
    run, tasks = run_dag("retrain_model", conf={"recipe": "heartbeat"})
    assert (run.state, _states(tasks)["promote"]) == ("failed", "failed")
    assert registry.read_champion(bucket, "heartbeat").version == "a"


def test_an_approval_that_nobody_gave_promotes_nothing(run_dag, bucket, trained, monkeypatch):
    """A task `approval` that ends without an answer, as one that is marked as a success does, is no approval."""
    trained("b")
    monkeypatch.setattr(ApprovalOperator, "execute", lambda *_: None)
    run, tasks = run_dag("retrain_model", conf={"recipe": "heartbeat", "approval": True})
    states = _states(tasks)
    assert (run.state, states["approval"], states["promote"]) == ("failed", "success", "failed")
    assert registry.read_champion(bucket, "heartbeat").version == "a"


def test_an_approval_comes_from_the_answer_itself(run_dag, bucket, trained, monkeypatch):
    """What Airflow's API server hands over is kept in the bucket, and lets the version serve."""
    trained("b")
    _answer(monkeypatch, "Approve")
    run, _ = run_dag("retrain_model", conf={"recipe": "heartbeat", "approval": True})
    champion = registry.read_champion(bucket, "heartbeat")
    assert (run.state, champion.version, champion.why) == ("success", "b", "because; approved by alice: so")


def test_a_choice_made_while_a_person_was_asked_stands(run_dag, bucket, trained, monkeypatch):
    """Somebody promotes another version before the answer comes: the approved one does not replace it, and the run ends well."""
    trained("b")

    def meanwhile(operator, context):
        registry.write_champion(bucket, recipe="heartbeat", version="c", since="t5", who="bob", why="my choice")
        return answered(operator, context)

    _answer(monkeypatch, "Approve")
    answered = ApprovalOperator.execute
    monkeypatch.setattr(ApprovalOperator, "execute", meanwhile)
    run, tasks = run_dag("retrain_model", conf={"recipe": "heartbeat", "approval": True})
    assert (run.state, _states(tasks)["promote"]) == ("success", "skipped")
    assert registry.read_champion(bucket, "heartbeat").version == "c"


def _answer(monkeypatch, answer):
    """Let whoever is asked answer at once, as Airflow's API server hands an answer over."""

    def answered(operator, context):
        event = {"chosen_options": [answer], "params_input": {"why": "so"}, "responded_at": WHEN, "responded_by_user": USER}
        return operator.execute_complete(context, event)

    monkeypatch.setattr(ApprovalOperator, "execute", answered)


def test_a_training_that_fails_fails_its_run(run_dag, steps, monkeypatch):
    """Too little data ends the run as failed: the tasks that note a refusal are skipped then, and must not make it pass."""
    steps(retrain_model, train="version", evaluate="figures", gate="verdict")

    def too_little(*_args, **_more):
        raise NotEnoughDataError("three labelled patients")

    monkeypatch.setattr(retrain_model, "assemble_dataset", too_little)
    run, tasks = run_dag("retrain_model")
    assert run.state == "failed"
    assert _states(tasks)["ended"] == "upstream_failed"


def test_a_decision_names_who_asked_for_it(run_dag, steps):
    """The form reaches the step as it was filled in, with the user as Airflow knows him or her; no field of the form names another."""
    calls = steps(decide_champion, decide="manifest")
    form = {"recipe": "heartbeat", "action": "reject", "version": "ab12", "why": "a {{ brace }} in the reason", "override": None}
    run, tasks = run_dag("decide_champion", conf=form)
    assert _states(tasks) == {"decide": "success"}
    assert calls == [("decide", run.run_id, "dag_test", False, "heartbeat", "reject", "ab12", "a {{ brace }} in the reason", "")]
    run, tasks = run_dag("decide_champion", conf=form | {"on_behalf_of": "alice"})
    assert run.state == "failed"
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(None, ("skipped", "success"), id="nobody is asked"),
        pytest.param("Approve", ("success", "success"), id="approved"),
        pytest.param("Reject", ("success", "skipped"), id="refused"),
    ],
)
def test_forgetting_waits_for_others_and_lets_them_begin_again(run_dag, steps, monkeypatch, answer, expected):
    """Airflow says whether another run is at work; whatever came of it, others may begin again; a request that was refused is not done."""
    _answer(monkeypatch, answer)
    calls = steps(
        forget_patient,
        needs_approval=answer is not None,
        sentence="?",
        note_answer="answer",
        carry_out="manifest",
        headline="one",
        end=None,
    )
    monkeypatch.setattr(forget_patient, "begin_alone", lambda token, *, at_work: calls.append(("begin", token, at_work())) or True)
    run, tasks = run_dag("forget_patient", conf={"request": "ab12"})
    states = _states(tasks)
    assert run.state == "success"
    assert (states["approval"], states["carry_out"]) == expected
    assert calls[-1] == ("end",)
    assert states["let_others_begin"] == "success"
    if expected[1] == "success":
        assert ("begin", "ab12", False) in calls
        assert ("carry_out", run.run_id, "ab12") in calls


@pytest.mark.parametrize("dag_id", ["retrain_model", "forget_patient"])
def test_silence_is_a_no(dags, dag_id):
    """Nobody's answer within two days promotes nothing and forgets nothing, and the wait is not cut short by a task's time limit."""
    approval = dags[dag_id].task_dict["approval"]
    assert approval.defaults == ["Reject"]
    assert approval.response_timeout == timedelta(days=2)
    assert approval.execution_timeout is None


def test_maintenance_deletes_before_it_looks(run_dag, steps):
    """The form reaches the plan as numbers, nothing is looked for before what goes is gone, and the account comes last."""
    calls = steps(
        maintain_store,
        pack_access_log=3,
        plan="plan",
        delete="deleted",
        check_orphans="orphans",
        check_contents="contents",
        publish="manifest",
        headline="headline",
        fail_if_damaged=None,
    )
    run, tasks = run_dag("maintain_store", conf={"dry_run": False, "reports_days": 2.5})
    assert set(_states(tasks).values()) == {"success"}
    packed, (name, run_id, days, dry_run, sample, due), deleted, *looked, published, _, judged = calls
    assert packed == ("pack_access_log",)
    assert (name, run_id, dry_run, sample, due) == ("plan", run.run_id, False, 200, ())
    assert days["reports"] == 2.5
    assert days["raw"] == 0
    assert deleted == ("delete", "plan")
    assert sorted(looked) == [("check_contents", "plan"), ("check_orphans", "plan")]
    assert published == ("publish", "plan", "deleted", "orphans", "contents")
    assert judged == ("fail_if_damaged", "manifest")


def test_a_backfill_that_has_nothing_to_decide_is_compared(run_dag, steps):
    """The form reaches the step, and where both versions have decided on everything the page is written all the same."""
    calls = steps(backfill_version, pin_versions="pin", plan=[], write_difference="page", headline="headline")
    run, tasks = run_dag("backfill_version", conf={"recipe": "heartbeat", "version": "ab12"})
    assert _states(tasks) == {"pin_versions": "success", "plan": "success", "classify_shard": "skipped", "write_difference": "success"}
    (name, run_id, _date, *form), *_ = calls
    assert (name, run_id, form) == ("pin_versions", run.run_id, ["heartbeat", "ab12", ""])
    assert ("write_difference", "pin", [], report_link.address()) in calls


@pytest.mark.parametrize("kind", list(DagRunType))
def test_maintenance_knows_a_scheduled_run(dags, kind):
    """Only of a scheduled run the first task is told so: a person's form is never taken for nobody's."""
    task = dags["maintain_store"].get_task("plan")
    told = task.render_template(task.op_kwargs["run_type"], {"dag_run": SimpleNamespace(run_type=kind)})
    assert (told == "scheduled") == (kind is DagRunType.SCHEDULED)


def test_a_run_that_shall_have_a_drop_waits_for_the_intake(run_dag, steps, monkeypatch):
    """Asked to, its first task gives its slot back and asks again until all is taken over and drawn; then it goes on as ever."""
    answers, asked = [False, False, True], []

    def is_over(*, until):
        asked.append(until)
        return answers[len(asked) - 1]

    calls = steps(classify_records, pin_champion="pin", plan=[], write_report="report")
    monkeypatch.setattr(classify_records, "is_intake_over", is_over)
    run, tasks = run_dag("classify_records", conf={"after_intake": True})
    assert run.state == "success"
    assert [name for name, *_ in calls] == ["pin_champion", "plan", "write_report"]
    assert len(asked) == len(answers)
    assert len(set(asked)) == 1
    assert _states(tasks)["write_report"] == "success"


def test_pictures_that_are_decided_on_already_make_no_second_report(run_dag, steps):
    """A run that pictures started, and that finds nothing new, ends without a report and without a fault."""
    steps(classify_records, pin_champion="pin", has_work=False, plan=[], write_report="report")
    run, tasks = run_dag("classify_records")
    assert run.state == "success"
    assert set(_states(tasks).values()) == {"skipped"}
