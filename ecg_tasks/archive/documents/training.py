"""Here: what ``retrain_model`` and ``decide_champion`` pass on and store. Not here: versions themselves (``learning.version``)."""

from typing import Any, ClassVar, Literal

import msgspec

from ecg_tasks.archive.documents.base import Document, Part
from ecg_tasks.archive.documents.manifests import Code, Manifest
from ecg_tasks.names import DagId


class TrainingJob(Document, frozen=True, kw_only=True):
    """What is trained: the name of a version, and everything that the name is made of.

    ``ensemble_size`` is None in older jobs; ``credits`` are the collections trained on, as the model card names them. ``added`` is the
    digest of a network that somebody else trained, and ``who`` handed it in; nothing is trained then. ``leave_one_site_out`` is whether
    a network is trained again without each site, to be told how it does there.
    """

    run: str
    recipe: str
    dataset_id: str
    epochs: int
    seed: int
    version: str
    credits: tuple[str, ...] = ()
    policy: str = "better"
    approval: bool = False
    ensemble_size: int | None = msgspec.field(name="n_members", default=None)
    added: str = ""
    who: str = ""
    leave_one_site_out: bool = False


class Training(Document, frozen=True, kw_only=True):
    """The result of a training; ``params`` and ``epochs`` are as the trainer returns them, for the version's ``model.json``."""

    params: dict[str, Any]
    ensemble_size: int = msgspec.field(name="n_members")
    kept_epochs: tuple[int, ...]
    epochs: tuple[dict[str, Any], ...]
    n_weights: int
    code: Code | None = None


class StoredFigure(Part, frozen=True, kw_only=True):
    """A figure with its 95 % interval and the method of the interval; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None
    method: str = "bootstrap"


class StoredNewData(Part, frozen=True, kw_only=True):
    """Numbers of training records of a candidate, and of those that the champion has not seen."""

    n_training: int
    n_new: int


class StoredVerdict(Document, frozen=True, kw_only=True):
    """The gate's verdict on a version.

    Parameters
    ----------
    kind : ``first``, ``better``, ``refresh`` or ``rejected``
    limits : the gate's policy as it was asked for
    candidates_evaluated : versions that were evaluated on the same test patients, this one included
    champion : the champion that it was compared with, or None; ``champion_since`` when that began to serve, None in older verdicts
    evaluated : time (ISO 8601)
    """

    recipe: str
    version: str
    promote: bool
    kind: str
    reason: str
    figures: dict[str, StoredFigure] = msgspec.field(default_factory=dict)
    sensitivity: float | None = None
    ece: float | None = None
    new_data: StoredNewData | None = None
    policy: str = ""
    limits: dict[str, Any] = msgspec.field(default_factory=dict)
    candidates_evaluated: int | None = msgspec.field(name="candidates_judged", default=None)
    note: str = ""
    champion: str | None = None
    champion_since: str | None = None
    dataset_id: str = ""
    evaluated: str = msgspec.field(name="judged", default="")


class Approval(Document, frozen=True, kw_only=True):
    """The answer of a person who was asked to approve a version.

    Parameters
    ----------
    chosen : ``Approve`` or ``Reject``
    who : the person as Airflow knows them; None after the deadline
    why : as given; may be empty
    when : of the answer, ISO 8601
    version, champion, evaluated : of the verdict that it is about
    """

    chosen: str
    who: str | None
    why: str = ""
    when: str = ""
    version: str = ""
    champion: str | None = None
    evaluated: str = msgspec.field(name="judged", default="")


class SplitCounts(Part, frozen=True, kw_only=True, omit_defaults=True):
    """Records of one split, their groups, how many are normal and abnormal, and how many have each of the classes that are taught.

    A record of which classes alone are known is neither normal nor abnormal.
    """

    records: int
    groups: int
    normal: int
    abnormal: int
    classes: dict[str, int] = msgspec.field(default_factory=dict)


class DatasetManifest(Document, frozen=True, kw_only=True):
    """What a dataset was made of.

    Parameters
    ----------
    recipe : ``<recipe>@<digest>``
    split_unit : what was kept in one split
    labelled_by : records by the source of their label
    counts : of each split
    inputs : records of each kind; ``left_out`` those that have a label and are not in it
    forgotten : every forgetting that took rows out of it; all numbers are those of before
    """

    dataset_id: str
    recipe: str
    split_unit: Literal["patient", "record"]
    shards: tuple[str, ...]
    synthetic_records: int
    labelled_by: dict[str, int]
    counts: dict[str, SplitCounts]
    inputs: dict[str, int] = msgspec.field(default_factory=dict)
    left_out: int = 0
    forgotten: tuple[str, ...] = ()


class RetrainManifest(Manifest, frozen=True, kw_only=True):
    """The result of a training: the verdict, the version that serves, the answer of a person, and the outcome."""

    DAG: ClassVar[DagId] = DagId.RETRAIN_MODEL

    counts: dict[str, SplitCounts] = msgspec.field(name="account")
    recipe: str
    version: str
    dataset_id: str
    verdict: StoredVerdict
    rejected: bool
    serving: str | None
    approval: Approval | None = None
    outcome: str = ""


class DecisionManifest(Manifest, frozen=True, kw_only=True):
    """A person's decision on a version; ``outcome`` says in a sentence what was done."""

    DAG: ClassVar[DagId] = DagId.DECIDE_CHAMPION

    recipe: str
    action: str
    version: str
    who: str
    why: str
    override: str = ""
    served_before: str | None
    outcome: str
    serving: str | None
