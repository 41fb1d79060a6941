"""Here: the files of a report, one after the other. Not here: figures (``waveform``, ``spectrogram``, ``charts``) or where the files go."""

from collections.abc import Iterable, Iterator

from ecg_tasks.reporting.model import RecordDetail, RunReport


def render_report(report: RunReport, details: Iterable[RecordDetail]) -> Iterator[tuple[str, bytes]]:
    """Make the files of a report, one at a time, so that memory holds one page and never all of them.

    ``details`` is read lazily, page by page, in the order in which the pages link to one another. ``index.html`` comes last:
    when it is there, all is there.

    Yields
    ------
    (path, content) : ``predictions.csv``, ``summary.json``, ``summary.schema.json``, ``records/<record_id>.html``, then ``index.html``
    """
    raise NotImplementedError
