"""Here: the evaluation of a candidate by the gate: on which records, against which champion, and the verdict as stored.

Not here: the gate's rules (``evaluation.gate``), or what follows from a verdict (``retrain_model``).
"""

from dataclasses import asdict

from ecg_tasks.archive import registry
from ecg_tasks.archive.descriptions import Descriptions
from ecg_tasks.archive.documents import StoredFigure, StoredNewData, StoredVerdict, TrainingJob
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import now
from ecg_tasks.evaluation import gate as gate_policy
from ecg_tasks.evaluation.splits import Split
from ecg_tasks.learning.decisions import RecordDecisions
from ecg_tasks.learning.serving import Classifier
from ecg_tasks.pipeline.champions import fresh_process, versions
from ecg_tasks.pipeline.champions.versions import TrainedOn
from ecg_tasks.pipeline.training import adding, candidate, class_rules
from ecg_tasks.pipeline.training.dataset import load_pictures, load_rows, on_splits
from ecg_tasks.pipeline.training.evaluated import candidates_evaluated
from ecg_tasks.settings import Settings
from ecg_tasks.signals.recipes import Recipe


def still_holds(verdict: StoredVerdict, work: TrainingJob, champion: registry.Champion | None) -> bool:
    """Return whether an earlier verdict is still valid: by the same policy, against the champion that serves since the same time.

    A champion that served then and serves again was chosen again in between. In older verdicts without the time it is not compared.
    """
    version, since = (champion.version, champion.since) if champion else (None, None)
    return (verdict.champion, verdict.champion_since or since, verdict.policy) == (version, since, work.policy)


def evaluate_candidate(store: ObjectStore, recipe: Recipe, work: TrainingJob, champion: registry.Champion | None) -> StoredVerdict:
    """Evaluate a candidate by the rules of the gate, on test records of patients that the champion was not trained on either."""
    files = registry.read_version(store, recipe.name, work.version)
    policy = gate_policy.GatePolicy(promotion=gate_policy.PromotionPolicy(work.policy))
    rows = load_rows(store, work.dataset_id)
    n_evaluated = candidates_evaluated(store, recipe.name, work.version, [row.record_id for row in on_splits(rows, Split.TEST)])
    new_data, by_bucket, n_unknown = None, 0, 0
    if fault := fresh_process.fault_of(files):
        verdict = gate_policy.GateVerdict(
            promote=False, kind=gate_policy.VerdictKind.REJECTED, reason=f"it does not work in a fresh process: {fault}"
        )
    else:
        incumbent, seen = _incumbent(store, recipe, work, champion)
        training = [] if work.added else on_splits(rows, Split.TRAIN, Split.VALIDATION)
        tested = on_splits(rows, Split.TEST)
        if incumbent is not None:
            why = {row.record_id: seen.why(row.record_id, row.patient_bucket, row.patient, row.public_patient) for row in tested}
            by_bucket, n_unknown = sum(one == "bucket" for one in why.values()), seen.n_unknown
            tested = [row for row in tested if why[row.record_id] is None]
            n_new = sum(seen.why(row.record_id, -1) is None for row in training)
            new_data = gate_policy.NewData(n_training=len(training), n_new=n_new)
        pictures = load_pictures(store, recipe, tested)
        classifier = Classifier.from_files(files)
        ours = candidate.record_decisions(classifier, pictures)
        theirs = None if incumbent is None else candidate.record_decisions(incumbent, pictures)
        told = {one.name for one in classifier.spec.classes}
        verdict = gate_policy.evaluate_candidate(
            pictures.labels,
            _scored(classifier, ours),
            None if incumbent is None or theirs is None else _scored(incumbent, theirs),
            pictures.groups,
            seed=candidate.BOOTSTRAP_SEED,
            classes=None if theirs is None else class_rules.in_common(pictures.rows, ours, theirs),
            lost=() if incumbent is None else [one.name for one in incumbent.spec.classes if one.name not in told],
            new_data=new_data,
            policy=policy,
        )
    notes = (
        gate_policy.note_on_test_set(n_evaluated),
        versions.left_out_by_bucket(by_bucket),
        versions.not_compared(n_unknown),
        adding.note_on(files),
    )
    return StoredVerdict(
        recipe=recipe.name,
        version=work.version,
        promote=verdict.promote,
        kind=verdict.kind,
        reason=verdict.reason,
        figures={name: StoredFigure(**asdict(interval)) for name, interval in verdict.figures.items()},
        sensitivity=verdict.sensitivity,
        ece=verdict.ece,
        new_data=StoredNewData(**asdict(new_data)) if new_data else None,
        policy=work.policy,
        limits=policy.as_dict(),
        candidates_evaluated=n_evaluated,
        note=" ".join(filter(None, notes)),
        champion=champion.version if champion else None,
        champion_since=champion.since if champion else None,
        dataset_id=work.dataset_id,
        evaluated=now(),
    )


def _incumbent(
    store: ObjectStore, recipe: Recipe, work: TrainingJob, champion: registry.Champion | None
) -> tuple[Classifier | None, TrainedOn]:
    """Return the present champion and what it has seen; None if there is none, or if it reads pictures that are no longer made."""
    nobody = TrainedOn(record_ids=frozenset())
    if champion is None or champion.version == work.version:
        return None, nobody
    files = registry.read_version(store, recipe.name, champion.version)
    incumbent = Classifier.from_files(files)
    if incumbent.spec.recipe_digest != recipe.digest:
        return None, nobody  # it cannot serve, so the candidate is evaluated as a first one
    return incumbent, TrainedOn.of_version(files, Descriptions.read(store), key=Settings.from_environment().patient_key)


def _scored(classifier: Classifier, decided: RecordDecisions) -> gate_policy.Scored:
    return gate_policy.Scored(probabilities=decided.probability, threshold=classifier.spec.threshold)
