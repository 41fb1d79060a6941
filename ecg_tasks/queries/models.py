"""Here: model versions with their figures, cards and verdicts, and which serve. Not here: changing what serves (``decide_champion``)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ecg_tasks.archive import forgotten, keys, registry
from ecg_tasks.archive.cache import keep
from ecg_tasks.archive.documents import StoredVerdict, read
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.errors import ConfigurationError, MissingObjectError, ModelRefusedError, offer
from ecg_tasks.evaluation.intervals import Interval
from ecg_tasks.learning.decisions import SiteRule
from ecg_tasks.learning.version import METRICS, SPEC, Metrics, ModelSpec, without_buckets
from ecg_tasks.pipeline.champions.seed import SHIPPED_MODELS
from ecg_tasks.pipeline.reports.report_builder import band_of, reported_classes
from ecg_tasks.reporting.model import ReportedClass
from ecg_tasks.signals.recipes import RECIPES, get_recipe

PLOTS = ("roc.svg", "precision_recall.svg", "reliability.svg", "confusion.svg", "coverage.svg")
"""What the card of a version shows."""
_FILES = (METRICS, registry.VERDICT, registry.SUMS)


@dataclass(frozen=True, kw_only=True)
class Version:
    """What a version says of itself, as far as pages need it; None and empty texts where it says nothing.

    ``added`` is the name of a network that somebody else trained.
    """

    recipe: str
    version: str
    digest: str
    threshold: float | None
    abstain: tuple[float, float] | None
    dataset_id: str
    synthetic: bool
    added: str = ""
    classes: tuple[ReportedClass, ...] = ()
    sites: tuple[SiteRule, ...] = ()
    recipe_digest: str = ""

    def at(self, site: str | None) -> "Version":
        """Return it with the threshold and the band that hold for records of a site."""
        rule = next((one for one in self.sites if one.site == site), None)
        return self if rule is None else replace(self, threshold=rule.threshold, abstain=band_of(rule.abstain))

    @property
    def key(self) -> str:
        """Recipe and version as one word."""
        return f"{self.recipe}/{self.version}"

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes that it reports."""
        return tuple(one.name for one in self.classes)


@dataclass(frozen=True, kw_only=True)
class EvaluatedVersion:
    """A version with the figures of its test, the gate's verdict on it, whether it serves, and what became of it, as a phrase.

    ``classes`` are the figures of each class that it reports, and ``macro_auroc`` the mean of their AUROCs.
    """

    version: Version
    written: str
    figures: Mapping[str, Interval]
    classes: Mapping[str, Mapping[str, Interval]]
    macro_auroc: Interval | None
    n_records: int
    n_patients: int
    verdict: StoredVerdict | None
    serves: bool
    standing: str


@dataclass(frozen=True, kw_only=True)
class RecipeModels:
    """Every version of a recipe, newest first, and all that was decided on them: what serves, what served, what was rejected."""

    recipe: str
    decided: registry.Champion | None
    versions: tuple[EvaluatedVersion, ...]


def models(store: ObjectStore) -> tuple[RecipeModels, ...]:
    """Return every recipe that has a version: the known ones in their order, by one listing and what is new in it."""
    by_version: dict[tuple[str, str], dict[str, ObjectInfo]] = {}
    for item in store.list_objects(keys.MODELS):
        parts = item.key.removeprefix(keys.MODELS).split("/")
        if len(parts) == len(("recipe", "version", "file")) and parts[2] in _FILES:
            by_version.setdefault((parts[0], parts[1]), {})[parts[2]] = item
    found = []
    for recipe in RECIPES:
        decided = registry.read_decisions(store, recipe)
        versions = [_evaluated(store, name, files, decided=decided) for name, files in by_version.items() if name[0] == recipe]
        whole = sorted(filter(None, versions), key=lambda one: one.written, reverse=True)
        if whole or decided:
            found.append(RecipeModels(recipe=recipe, decided=decided, versions=tuple(whole)))
    return tuple(found)


def check(store: ObjectStore, recipe: str, version: str = "") -> None:
    """Refuse a recipe, or a version of it, that is not there.

    Raises
    ------
    ConfigurationError
        It says which there are.
    """
    get_recipe(recipe)
    if version and not registry.has_version(store, recipe, version):
        raise ConfigurationError(f"there is no {recipe} version {version!r}{offer(version, registry.versions(store, recipe))}")


def export_champion(store: ObjectStore, recipe: str, folder: Path | None = None) -> Path:
    """Write the bucket's champion of a recipe into a folder laid out as ``models/``, in place of what was there; returns its folder.

    Buckets of patients, which versions of before 2026-11-30 list, stay here.

    Parameters
    ----------
    folder : default: ``models/`` of this checkout

    Raises
    ------
    ConfigurationError
        If nothing serves this recipe.
    """
    champion = registry.read_champion(store, recipe)
    if champion is None:
        raise ConfigurationError(f"no {recipe} model serves in this bucket")
    files = without_buckets(registry.read_version(store, recipe, champion.version))
    return registry.write_shipped(folder or SHIPPED_MODELS, champion, files)


def serving(store: ObjectStore, recipe: str) -> str | None:
    """Return the version of a recipe that serves now."""
    champion = registry.read_champion(store, recipe)
    return champion.version if champion else None


def version(store: ObjectStore, recipe: str, name: str) -> Version:
    """Return what a version says of itself; one that is gone, or is refused, is known by its name alone."""
    try:
        return _version(store, recipe, name)
    except (MissingObjectError, ModelRefusedError):
        return Version(recipe=recipe, version=name, digest="", threshold=None, abstain=None, dataset_id="", synthetic=False)


def synthetic(store: ObjectStore, versions: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Return the keys of those of these versions (recipe and name each) that were trained on synthetic recordings."""
    found = (version(store, *one) for one in set(versions))
    return frozenset(one.key for one in found if one.synthetic)


def card(store: ObjectStore, recipe: str, name: str) -> str | None:
    """Return the version's card, Markdown, or None if there is none."""
    try:
        return store.get(keys.model_file(recipe, name, "card.md")).decode()
    except MissingObjectError:
        return None


def plots(store: ObjectStore, recipe: str, name: str) -> frozenset[str]:
    """Return the names of the plots that are stored with a version."""
    listed = store.list_keys(keys.model_file(recipe, name, ""))
    return frozenset(key.rsplit("/", 1)[-1] for key in listed) & frozenset(PLOTS)


def plot(store: ObjectStore, recipe: str, name: str, plot_name: str) -> bytes | None:
    """Return one of ``PLOTS``, SVG, or None if the version has none of this name."""
    try:
        return store.get(keys.model_file(recipe, name, plot_name)) if plot_name in PLOTS else None
    except MissingObjectError:
        return None


@keep(256)
def _version(store: ObjectStore, recipe: str, name: str) -> Version:
    digest = store.sha256([keys.model_file(recipe, name, registry.SUMS)])
    spec = ModelSpec.from_json(store.get(keys.model_file(recipe, name, SPEC)))
    return Version(
        recipe=recipe,
        version=name,
        digest=digest,
        recipe_digest=spec.recipe_digest,
        threshold=spec.threshold,
        abstain=band_of(spec.abstain),
        dataset_id=spec.dataset_id,
        synthetic=spec.synthetic,
        added=spec.added.description.name if spec.added else "",
        classes=reported_classes(spec),
        sites=spec.sites,
    )


def _evaluated(
    store: ObjectStore, name: tuple[str, str], files: Mapping[str, ObjectInfo], *, decided: registry.Champion | None
) -> EvaluatedVersion | None:
    if registry.SUMS not in files or METRICS not in files:
        return None  # it is being written
    metrics = _metrics(store, files[METRICS].key, etag=files[METRICS].etag)
    test, classes = metrics.test, metrics.classes
    verdict = files.get(registry.VERDICT)
    return EvaluatedVersion(
        version=version(store, *name),
        written=forgotten.first_written(store)(files[registry.SUMS]).isoformat(timespec="seconds"),
        figures=test.figures if test else {},
        classes={name: one.figures for name, one in classes.evaluations.items()} if classes else {},
        macro_auroc=classes.macro_auroc if classes else None,
        n_records=test.n_records if test else 0,
        n_patients=test.n_patients if test else 0,
        verdict=None if verdict is None else _verdict(store, verdict.key, etag=verdict.etag),
        serves=decided is not None and decided.version == name[1],
        standing=_standing(decided, name[1]),
    )


@keep(256)
def _metrics(store: ObjectStore, key: str, *, etag: str) -> Metrics:  # noqa: ARG001 - a generation
    return Metrics.from_json(store.get(key))


@keep(256)
def _verdict(store: ObjectStore, key: str, *, etag: str) -> StoredVerdict:  # noqa: ARG001 - a generation
    return read(store, StoredVerdict, key)


def _standing(decided: registry.Champion | None, version: str) -> str:
    """Return what became of a version, as a phrase; empty where no decision on it was made."""
    if decided is None:
        return ""
    if decided.version == version:
        return f"serves since {decided.since}, {decided.action} by {decided.who}"
    if rejection := decided.rejection(version):
        return f"rejected {rejection.when} by {rejection.who}: {rejection.why}"
    return "served before" if any(one.version == version for one in decided.history) else ""
