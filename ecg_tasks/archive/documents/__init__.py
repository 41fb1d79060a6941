"""Here: every JSON object in the bucket, as a frozen type: what a run plans, hands on and writes down. Not here: keys, tables, bytes.

Champions (``registry``), entries of the log (``audit``), model versions (``learning.version``) and a report's ``summary.json``
(``reporting``) have their types beside what makes them.
"""

from ecg_tasks.archive.documents.base import Document, Part, find, load, plain, prepared, read, read_many, read_shown, write
from ecg_tasks.archive.documents.catalog import CatalogHead, Publishing, Segment
from ecg_tasks.archive.documents.classifying import (
    BackfillCounts,
    BackfillManifest,
    BackfillPin,
    ClassifiedShard,
    ClassifyJob,
    ClassifyManifest,
    ClassifyResult,
    DriftStatus,
    InboxWait,
    Ingests,
    LastReport,
    Pending,
    PinnedVersion,
    ReportPin,
    Undecided,
    Waiting,
)
from ecg_tasks.archive.documents.deidentification import CopyCounts, Deidentification, KindCounts, Replaced, ReplacedList, Withheld
from ecg_tasks.archive.documents.forgetting import (
    Forgetting,
    ForgettingCounts,
    ForgettingManifest,
    ForgottenRecord,
    LearntBy,
    Refused,
    RefusedName,
    RefusedNames,
)
from ecg_tasks.archive.documents.intake import (
    ArchiveBefore,
    ArchiveCounts,
    CopiedDrop,
    CopiedDrops,
    Drop,
    DropList,
    InboxFile,
    Input,
    InputCounts,
    IntakeCounts,
    IntakeJob,
    IntakeManifest,
    IntakePlan,
    IntakeResult,
    LabelCounts,
    LabelTableFile,
    ListedFile,
    PackedArchive,
    Place,
    QuarantinedInput,
    Refusal,
    RefusedRow,
    StagedLabels,
    StagedShard,
    TakenArchive,
)
from ecg_tasks.archive.documents.maintenance import (
    ContentCheck,
    Damage,
    Deletable,
    DeletionList,
    Deletions,
    MaintenanceCounts,
    MaintenanceManifest,
    MaintenancePlan,
    Orphan,
    OrphanList,
    PrefixTally,
)
from ecg_tasks.archive.documents.manifests import (
    Code,
    Manifest,
    end_run,
    find_manifest,
    read_counts,
    read_manifest,
    read_manifests,
    write_manifest,
)
from ecg_tasks.archive.documents.monitoring import Measured, MonitoringRun, SiteNight, SpreadAtSite, Stakes
from ecg_tasks.archive.documents.quarantine import Closing, PutBack, QuarantineReason, Retry, RetryDetail
from ecg_tasks.archive.documents.rendering import RenderCounts, RenderedShard, RenderJob, RenderManifest, RenderResult, Undrawn
from ecg_tasks.archive.documents.reports import (
    ComparedVersion,
    ComparisonSummary,
    ReportSummary,
    SummaryChanges,
    SummaryModel,
    SummaryQuarantine,
    SummaryRun,
    SummarySynthetic,
)
from ecg_tasks.archive.documents.training import (
    Approval,
    DatasetManifest,
    DecisionManifest,
    RetrainManifest,
    SplitCounts,
    StoredFigure,
    StoredNewData,
    StoredVerdict,
    Training,
    TrainingJob,
)
