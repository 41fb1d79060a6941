"""Here: what is other than in the report before, and why. Not here: how the archive's decisions changed (``changing``)."""

from collections.abc import Iterator, Sequence

from ecg_tasks.archive.documents import ClassifyManifest, Code, DriftStatus, LastReport, ReportPin
from ecg_tasks.reporting.since import Since

_COVERED = {"all": "every record of the archive", "new": "what came in since the report before it"}


def last_of(manifest: ClassifyManifest | None) -> LastReport | None:
    """Return what a pin keeps of the report before."""
    if manifest is None:
        return None
    _, date, run, _ = manifest.report.split("/", 3)
    return LastReport(
        date=date,
        run=run,
        counts=manifest.counts,
        champions={name: one.version for name, one in manifest.champions.items()},
        scope=manifest.scope,
        decisions=manifest.decisions,
        code=manifest.code,
        drift=manifest.drift,
    )


def since_last(pinned: ReportPin, drift: Sequence[DriftStatus]) -> Since | None:
    """Return the report before with what changed since; None for the first report."""
    if pinned.last is None:
        return None
    last = pinned.last
    sentences = [*_scopes(pinned, last), *_versions(pinned, last), *_drift(last, drift), *_code(last)]
    return Since(
        date=last.date,
        run=last.run,
        counts=last.counts,
        decisions=last.decisions,
        sentences=sentences or ["The same versions decided, by the same program."],
    )


def _scopes(pinned: ReportPin, last: LastReport) -> Iterator[str]:
    if last.scope and last.scope != pinned.scope:
        yield f"This report covers {_COVERED[pinned.scope]}; the report before covered {_COVERED[last.scope]}."


def _versions(pinned: ReportPin, last: LastReport) -> Iterator[str]:
    for recipe in sorted(last.champions.keys() | pinned.versions.keys()):
        before, now = last.champions.get(recipe), pinned.versions.get(recipe)
        if before == now:
            continue
        if now is None:
            yield f"{recipe}: no version decides any more; {before} did."
        else:
            why = pinned.why.get(recipe, "").rstrip(".")
            instead = f"in place of {before}" if before else "for the first time"
            yield f"{recipe}: {now} decides {instead}" + (f", because: {why}." if why else ".")


def _drift(last: LastReport, drift: Sequence[DriftStatus]) -> Iterator[str]:
    before = {(one.recipe, one.version): one.state for one in last.drift}
    for one in drift:
        was = before.get((one.recipe, one.version), one.state)
        if was != one.state:
            yield f"Drift of {one.recipe}: {one.state}, and {was} in the report before."


def _code(last: LastReport) -> Iterator[str]:
    now = Code.running()
    if last.code is not None and last.code.tree != now.tree:
        yield f"The program was changed: {now.version} ({now.tree[:8]}) in place of {last.code.version} ({last.code.tree[:8]})."
