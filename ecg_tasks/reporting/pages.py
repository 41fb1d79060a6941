"""Here: the files of a report, one after the other. Not here: figures (``waveform``, ``spectrogram``, ``charts``) or where the files go."""

import base64
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from ecg_tasks.labels import RESEARCH_USE
from ecg_tasks.report_columns import Query, differs, shown
from ecg_tasks.reporting.attribution import draw_attribution
from ecg_tasks.reporting.beats import draw_beats
from ecg_tasks.reporting.changes import changes_csv, in_order
from ecg_tasks.reporting.charts import count_scores, draw_decisions, draw_probability
from ecg_tasks.reporting.class_lines import class_lines
from ecg_tasks.reporting.escaping import environment
from ecg_tasks.reporting.facts import facts_of
from ecg_tasks.reporting.lead_spectrograms import draw_lead_spectrograms
from ecg_tasks.reporting.measured import measured_lines
from ecg_tasks.reporting.model import ModelSummary, RecordDetail, RunReport
from ecg_tasks.reporting.plainly import plainly
from ecg_tasks.reporting.sections import MEANINGS, OfModel, decision_lines, histograms, model_lines, unseen_lines
from ecg_tasks.reporting.spectrogram import draw_spectrograms, has_masked_frames
from ecg_tasks.reporting.summary import schema_json, summary_json
from ecg_tasks.reporting.svg import number
from ecg_tasks.reporting.tables import csv_file, csv_schema
from ecg_tasks.reporting.waveform import draw_waveform
from ecg_tasks.signals.flags import sentences, words
from ecg_tasks.signals.measurements import MeasuredBeat, measured_beat

RECORD_PAGES = "records/"
"""The folder of the records' pages within a report."""
ROWS_LISTED = 10_000
"""Rows in ``index.html`` (3 MB, opens in a second, also without script); the files have all."""
QUARANTINED_LISTED = 1000
"""Inputs in quarantine that ``index.html`` lists; ``summary.json`` has all."""


class Banner(NamedTuple):
    """A warning across the page."""

    headline: str
    text: str


def render_report(report: RunReport, details: Iterable[RecordDetail]) -> Iterator[tuple[str, bytes | BinaryIO]]:
    """Make the files of a report, one at a time, so that memory holds one page and never all of them.

    ``details`` is read lazily, page by page, in the order in which the pages link to one another. ``index.html`` comes last:
    when it is there, all is there.

    Yields
    ------
    (path, content) : ``predictions.parquet``, which all others are made of, ``predictions.csv``, ``records/<record_id>.html``,
        ``changes.csv`` if a champion changed, the schemas, ``summary.json``, then ``index.html``;
        the content of the first two is an open file, of all others bytes; that of ``predictions.csv`` is closed when the next is asked for
    """
    yield from _tables(report)
    pages: list[str] = []
    following = chain(details, [None])
    current = next(following)
    for coming in following:
        if current is None:
            break
        next_id = coming.row["record_id"] if coming else None
        yield (
            f"{RECORD_PAGES}{current.record.record_id}.html",
            record_page(report, current, previous=pages[-1] if pages else None, following=next_id),
        )
        pages.append(current.record.record_id)
        current = coming
    yield from _heads(report, pages)


def render_report_files(report: RunReport, *, pages: Sequence[str]) -> Iterator[tuple[str, bytes | BinaryIO]]:
    """Make the files of a report but for the pages of records, which are there; ``pages`` are their ids."""
    yield from _tables(report)
    yield from _heads(report, pages)


def _tables(report: RunReport) -> Iterator[tuple[str, BinaryIO]]:
    report.predictions.file.seek(0)
    yield "predictions.parquet", report.predictions.file
    with csv_file(report.predictions.parts(), report.predictions.classes) as written:
        yield "predictions.csv", written


def _heads(report: RunReport, pages: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    if report.changes is not None:
        yield "changes.csv", changes_csv(in_order(report.changes.records))
    yield "predictions.schema.json", csv_schema(report.predictions.classes)
    yield "summary.schema.json", schema_json()
    yield "summary.json", summary_json(report, n_pages=len(pages))
    yield "index.html", index_page(report, pages=frozenset(pages))


def index_page(report: RunReport, *, pages: frozenset[str]) -> bytes:
    """Render the report's first page; ``pages`` holds the ids of the records that have their own page."""
    decided, n_by_class = report.predictions.decisions, report.predictions.n_by_class
    of_models = [
        OfModel(
            model=model,
            n=report.predictions.n_by_model.get(model.key, 0),
            scores=count_scores(report.predictions, model=model),
            n_by_class={one.name: n_by_class.get((*model.key, one.name), {}) for one in model.classes},
        )
        for model in report.models
    ]
    n_records = len(report.predictions)
    return render_page(
        "index.html",
        report=report,
        counts=report.counts,
        banners=_banners(report),
        shares=draw_decisions(decided),
        decisions=decision_lines(decided),
        histograms=histograms(of_models),
        models=model_lines(of_models),
        drift=report.drift,
        since=report.since,
        compared=report.since.compared(report.counts, {kind.value: n for kind, n in decided.items()}) if report.since else [],
        unseen=unseen_lines(report.unseen),
        reasons=Counter(item.reason for item in report.quarantined).most_common(),
        quarantined=report.quarantined[:QUARANTINED_LISTED],
        recipes=sorted({model.recipe for model in report.models}),
        columns=shown(),
        differs=differs,
        rows=report.predictions.first(Query(), ROWS_LISTED),
        n_records=n_records,
        mixed=report.predictions.n_synthetic < n_records,
        n_pages=len(pages),
        pages=pages,
        changes=None if report.changes is None else report.changes.as_dict(),
    )


def record_page(report: RunReport, detail: RecordDetail, *, previous: str | None = None, following: str | None = None) -> bytes:
    """Render the page of one record; ``previous`` and ``following`` are the ids of its neighbours, where there are any."""
    record, row = detail.record, detail.row
    model, flags = report.model_of(row), row["flags"] or ""
    return render_page(
        "record.html",
        report=report,
        banners=_record_banners(detail, model),
        row=row,
        model=model,
        previous=previous,
        next=following,
        meaning=MEANINGS[row["decision"]],
        differs=differs(row["decision"], row["label"]),
        classes=class_lines(model.classes, row),
        probability=draw_probability(row["probability"], model=model) if row["probability"] is not None else "",
        waveform=draw_waveform(record, from_s=detail.shown_from_s, beats_s=detail.beats_s, attribution=detail.attribution),
        by_lead=draw_lead_spectrograms(record, from_s=detail.shown_from_s),
        spectrograms=draw_spectrograms(detail.spectrograms, attribution=detail.attribution) if detail.spectrograms else "",
        attribution=detail.attribution,
        plain=plainly(detail.attribution) if detail.attribution else "",
        attribution_drawing=draw_attribution(detail.attribution) if detail.attribution else "",
        own_range=any(view.db_range is None for view in detail.spectrograms),
        padded=has_masked_frames(detail.spectrograms),
        duration=number(record.duration_s),
        fs=number(record.fs),
        leads=f"{len(record.leads)}: {', '.join(record.leads)}",
        facts=facts_of(record),
        measured=measured_lines(row),
        beats=draw_beats(beat) if isinstance(beat := measured_beat(record), MeasuredBeat) else None,
        quality=f"{row['quality']:.2f} (0 useless, 1 clean)",
        flags=words(flags),
        remarks=sentences(flags),
    )


def _banners(report: RunReport) -> list[Banner]:
    banners = [Banner("This is a backfill, not a nightly report.", report.backfill)] if report.backfill else []
    n_synthetic, n_records = report.predictions.n_synthetic, len(report.predictions)
    if n_synthetic:
        share = "All" if n_synthetic == n_records else f"{n_synthetic:,} of"
        banners.append(
            Banner(
                "Made from synthetic recordings.",
                f"{share} {n_records:,} records come from a program, not from a person. They say nothing about people.",
            )
        )
    trained = [f"{model.recipe} {model.version}" for model in report.models if model.synthetic]
    if trained:
        banners.append(
            Banner(
                "Trained on synthetic recordings.",
                f"{' and '.join(trained)}: decisions and figures of this model show that the system works, and nothing else.",
            )
        )
    return banners


def _record_banners(detail: RecordDetail, model: ModelSummary) -> list[Banner]:
    banners = []
    if detail.row["synthetic"] or detail.record.synthetic:
        banners.append(Banner("Made from a synthetic recording.", "A program made this signal; it was not measured on a person."))
    if model.synthetic:
        banners.append(
            Banner("Trained on synthetic recordings.", "The decision of this model shows that the system works, and nothing else.")
        )
    return banners


def render_page(template: str, **values: Any) -> bytes:
    """Render a whole page, which needs nothing beside it; ``report`` among the values says who wrote it."""
    style, early, script, trace_script = _asset("report.css"), _asset("early.js"), _asset("table.js"), _asset("trace.js")
    scripts = " ".join(map(_hash, (early, script, trace_script)))
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {scripts}; img-src data:; base-uri 'none'; form-action 'none'"
    assets = {"style": style, "early": early, "script": script, "trace_script": trace_script}
    page = _environment().get_template(template).stream(**assets, policy=policy, **values)
    written = io.BytesIO()
    page.dump(written, encoding="utf-8")  # piece by piece: the pieces of a long table take ten times the memory of the page
    return written.getvalue()


@cache
def _environment() -> Environment:
    return environment(FileSystemLoader(Path(__file__).with_name("templates")), research_use=RESEARCH_USE)


@cache
def _asset(name: str) -> Markup:
    return Markup((Path(__file__).with_name("templates") / name).read_text(encoding="utf-8"))  # noqa: S704  our own file


@cache
def _hash(content: str) -> str:
    """Return how a content security policy names an inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
