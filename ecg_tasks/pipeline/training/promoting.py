"""Here: from a verdict to a champion: what a person answered, and the last look at everything before it is written.

Not here: the verdict (``gating``), or a person's decision without a training (``decide_champion``).

Nothing here trusts what one task passes to another: a run's id leads to its job, the job to the verdict and to the answer, and all three
lie in the bucket. So what is edited, cleared or marked in Airflow changes when these functions run, and not what they may do.
"""

import logging
from urllib.parse import urlencode

from msgspec import structs

from ecg_tasks.archive import audit, keys, registry
from ecg_tasks.archive.documents import Approval, RetrainManifest, StoredVerdict, TrainingJob, find, plain, write, write_manifest
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.task_log import logged
from ecg_tasks.archive.workspace import now, open_store
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.evaluation.gate import VerdictKind
from ecg_tasks.evaluation.intervals import Interval
from ecg_tasks.names import DagId
from ecg_tasks.pipeline.champions import synthetic
from ecg_tasks.pipeline.champions.hand_over import hand_over
from ecg_tasks.pipeline.training import dataset
from ecg_tasks.pipeline.training.gating import still_holds

DAG = DagId.RETRAIN_MODEL
APPROVE = "Approve"
"""The answer that lets a version serve, as Airflow's operator calls it."""


def is_promotable(run_id: str) -> bool:
    """Return whether the verdict on a run's version says that it may serve, and it was not rejected since."""
    store = open_store()
    work, verdict = _evaluated(store, run_id)
    return verdict.promote and not rejected(store, work)


def subject(run_id: str) -> str:
    """Return what the person who approves is asked, in one line: which version, and whether it is better or a refresh."""
    work, verdict = _evaluated(open_store(), run_id)
    return f"Promote {work.recipe} version {work.version}? It is {_PASSED.get(verdict.kind, verdict.kind)}."


def question(run_id: str, *, pages: str = "") -> str:
    """Return what the person who approves has to know, as Markdown; it is read from the bucket, so that it is what the gate wrote.

    Parameters
    ----------
    pages : address of the ECG pages, for links to the card and the comparison; without it there are none
    """
    store = open_store()
    work, verdict = _evaluated(store, run_id)
    asked = (
        f"The new version `{work.version}` of the recipe `{work.recipe}` passed the gate:"
        f" it is **{_PASSED.get(verdict.kind, verdict.kind)}**. {_tested(verdict)}"
    )
    added = "Somebody else trained this network. Only its author knows whether it has seen the test patients before." if work.added else ""
    otherwise = f"version `{verdict.champion}` continues to decide" if verdict.champion else "no version of this recipe decides"
    follows = (
        f"**Approve**: from the next run of `{DagId.CLASSIFY_RECORDS}` on, the new version decides on all recordings."
        f" **Reject**, or no answer in two days: {otherwise}."
    )
    figures = _figures(verdict)
    reason = f"What the gate found: {verdict.reason}."
    parts = (asked, added, follows, figures, _EXPLAINED if figures else "", reason, verdict.note, _links(work, verdict, pages))
    return "\n\n".join(filter(None, parts))


_PASSED: dict[str, str] = {
    VerdictKind.FIRST: "the first model of this recipe",
    VerdictKind.BETTER: "better than the serving version",
    VerdictKind.REFRESH: "a refresh: as good as the serving version, and trained on newer data",
}
_EXPLAINED = (
    "AUROC: 1 is a perfect ranking, 0.5 is guessing. Sensitivity: the share of the abnormal recordings that are found."
    " Calibration error: how far the probabilities are from what was observed; 0 is best."
)


def _tested(verdict: StoredVerdict) -> str:
    if not verdict.champion:
        return "It was tested on patients whose recordings were not used to train it."
    return (
        f"It was compared with the serving version, `{verdict.champion}`, on the same test patients, whose recordings were not used to"
        " train either of them."
    )


def _links(work: TrainingJob, verdict: StoredVerdict, pages: str) -> str:
    """Return where more is said of a version, as Markdown."""
    links = [f"[the card of the new version]({pages}/models/{work.recipe}/{work.version})"] if pages else []
    if pages and verdict.champion:
        both = urlencode({"recipe": work.recipe, "one": verdict.champion, "other": work.version})
        links.append(f"[both versions side by side]({pages}/models/compare?{both})")
    links.append(f"the verdict in the bucket, `{keys.model_file(work.recipe, work.version, registry.VERDICT)}`")
    return f"More: {'; '.join(links)}."


def _figures(verdict: StoredVerdict) -> str:
    """Return the figures of a verdict as a table; empty where an older one has none."""
    told = {name: Interval.from_dict(plain(figure)).text() for name, figure in verdict.figures.items()}
    rows = [("AUROC (95 % interval)", told.get("candidate_auroc", ""), told.get("champion_auroc", ""), told.get("auroc_difference", ""))]
    rows += [
        (name, f"{value:.3f}", "", "")
        for name, value in (("Sensitivity at its threshold", verdict.sensitivity), ("Calibration error", verdict.ece))
        if value is not None
    ]
    rows += [(f"AUROC of {name.removeprefix(_OF_A_CLASS)}", "", "", text) for name, text in told.items() if name.startswith(_OF_A_CLASS)]
    rows = [row for row in rows if any(row[1:])]
    if not rows:
        return ""
    head = ("Figure", "New version", "Serving version", "Difference, paired by patient")
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows))


_OF_A_CLASS = "auroc_difference_"


def note_answer(run_id: str, answer: Approval) -> str:
    """Keep an answer beside the version, with the verdict that it is about, and log an approval; returns its key.

    The process calls it that Airflow wakes with the answer; nothing else writes there.
    """
    store = open_store()
    work, verdict = _evaluated(store, run_id)
    on_this = structs.replace(answer, version=work.version, champion=verdict.champion, evaluated=verdict.evaluated)
    key = write(store, _answer_key(work), on_this)
    if answer.chosen == APPROVE and answer.who:
        detail = {"run": work.run, "why": answer.why.strip(), "answered": answer.when}
        audit.append(store, who=answer.who, action=audit.Action.APPROVE, subject=f"{work.recipe}/{work.version}", detail=detail)
    return key


@logged
def promote(run_id: str, *, asked: bool) -> str | None:
    """Let a run's version serve from now on, if everything still allows it at this moment; returns the key of the champion's note.

    None where a person decided otherwise since the verdict: their choice stands, and the run's manifest says so.

    Parameters
    ----------
    asked : whether the run's form asked for a person's approval

    Raises
    ------
    ConfigurationError
        If the gate did not let the version pass by this run's policy, or an approval that was asked for is missing or was given on
        another verdict. Nothing has changed then.
    """
    store = open_store()
    work, verdict = _evaluated(store, run_id)
    who = f"{DAG}/{work.run}"
    champion = hand_over(store, work.recipe, who=who, read=False)
    if champion is not None and champion.version == work.version:
        if champion.who == who:  # an earlier try of this task came so far
            log_act(store, work, audit.Action.PROMOTE, why=champion.why)
        write_result(store, work, verdict, outcome=f"{work.version} serves since {champion.since}")
        return keys.champion(work.recipe)
    if not verdict.promote or verdict.policy != work.policy:
        raise ConfigurationError(f"{work.version} is not promoted: the gate did not let it pass ({verdict.reason})")
    why = verdict.reason
    if asked or work.approval:
        answer = _approval(store, work, verdict)
        why += f"; approved by {answer.who}" + (f": {answer.why.strip()}" if answer.why.strip() else "")
    if obstacle := _decided_since(store, work, verdict, champion):
        _log(f"{work.version} is not promoted: {obstacle}")
        write_result(store, work, verdict, outcome=f"{work.version} is not promoted: {obstacle}")
        return None
    registry.write_champion(store, recipe=work.recipe, version=work.version, since=now(), who=who, why=why)
    log_act(store, work, audit.Action.PROMOTE, why=why)
    write_result(store, work, verdict, outcome=f"{work.version} serves from now on")
    return keys.champion(work.recipe)


@logged
def refuse(run_id: str) -> str | None:
    """Mark a run's version as rejected if a person, or the deadline, refused it; returns the key of the champion's note.

    None, and nothing is marked, if no approval was asked for or the answer was yes.
    """
    store = open_store()
    work, verdict = _evaluated(store, run_id)
    answer = find(store, Approval, _answer_key(work))
    if answer is None or answer.chosen == APPROVE:
        return None
    who = answer.who or f"{DAG}/{work.run}"
    why = (answer.why.strip() or "refused without a reason") if answer.who else "it was not approved in time"
    registry.reject(store, recipe=work.recipe, version=work.version, when=now(), who=who, why=why)
    log_act(store, work, audit.Action.REJECT, why=why, who=who)
    write_result(store, work, verdict)
    return keys.champion(work.recipe)


def rejected(store: ObjectStore, work: TrainingJob) -> bool:
    """Return whether the job's version was rejected and does not serve."""
    decided = registry.read_decisions(store, work.recipe)
    return decided is not None and decided.version != work.version and decided.rejection(work.version) is not None


def log_act(store: ObjectStore, work: TrainingJob, action: audit.Action, *, why: str, who: str = "") -> None:
    """Log what was done to the job's version, by the run itself unless a person is named."""
    detail = {"run": work.run, "why": why}
    audit.append(store, who=who or f"{DAG}/{work.run}", action=action, subject=f"{work.recipe}/{work.version}", detail=detail)


def write_result(store: ObjectStore, work: TrainingJob, verdict: StoredVerdict, *, outcome: str = "") -> None:
    """Write the run's manifest as it is now: the verdict, the serving version, the answer of a person, and the outcome."""
    champion = registry.read_champion(store, work.recipe)
    manifest = RetrainManifest(
        dag=DAG,
        run=work.run,
        counts=dataset.load_manifest(store, work.dataset_id).counts,
        recipe=work.recipe,
        version=work.version,
        dataset_id=work.dataset_id,
        verdict=verdict,
        rejected=rejected(store, work),
        serving=champion.version if champion else None,
        approval=find(store, Approval, _answer_key(work)),
        outcome=outcome,
    )
    write_manifest(store, manifest)


def job_key(run_id: str) -> str:
    """Return where the job of a run lies."""
    return keys.staging(DAG, keys.run_key(run_id), "job.json")


def _evaluated(store: ObjectStore, run_id: str) -> tuple[TrainingJob, StoredVerdict]:
    """Return the job of a run, and the gate's verdict on its version."""
    work = find(store, TrainingJob, job_key(run_id))
    if work is None:
        raise ConfigurationError(f"{DAG} {run_id} has assembled no data set: run it from its first task")
    verdict = find(store, StoredVerdict, keys.model_file(work.recipe, work.version, registry.VERDICT))
    if verdict is None:
        raise ConfigurationError(f"the gate has not evaluated {work.recipe} {work.version}: run the task gate")
    return work, verdict


def _answer_key(work: TrainingJob) -> str:
    return keys.model_file(work.recipe, work.version, f"{keys.APPROVALS}{work.run}.json")


def _approval(store: ObjectStore, work: TrainingJob, verdict: StoredVerdict) -> Approval:
    """Return the approval of this verdict by a person."""
    answer = find(store, Approval, _answer_key(work))
    nothing = f"{work.version} is not promoted: this run asks for a person's approval, and"
    if answer is None:
        raise ConfigurationError(f"{nothing} it was not given; clear the task approval to ask")
    if answer.chosen != APPROVE or not answer.who:
        raise ConfigurationError(f"{nothing} the answer was no")
    if (answer.champion, answer.evaluated) != (verdict.champion, verdict.evaluated):
        raise ConfigurationError(f"{nothing} {answer.who} gave it on an earlier verdict; clear the task approval to ask again")
    return answer


def _decided_since(store: ObjectStore, work: TrainingJob, verdict: StoredVerdict, champion: registry.Champion | None) -> str:
    """Return what was decided against the version since the verdict, as a sentence; nothing if nothing was."""
    if rejected(store, work):
        return "it was rejected while this run was under way"
    if not still_holds(verdict, work, champion):
        since = f"{champion.version} serves since {champion.since}, by {champion.who}" if champion else "nothing serves any more"
        return f"{since}; the version was compared with {verdict.champion or 'nothing'}. Start {DAG} again for a new verdict"
    return synthetic.obstacle(store, work.recipe, work.version)


def _log(line: str) -> None:
    logging.getLogger(__name__).info(line)
