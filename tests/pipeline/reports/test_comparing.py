"""What a report says of the one before: versions with reasons, drift, program, and what it covers."""

from msgspec import structs

from ecg_tasks.archive.documents import Code, DriftStatus, Ingests, LastReport, PinnedVersion, ReportPin
from ecg_tasks.counts import ReportCounts
from ecg_tasks.pipeline.reports.comparing import since_last

COUNTS = ReportCounts(received=3, records=2, duplicates=1, quarantined=0, classified=2, uncertain=0, uninterpretable=0, pending=0)


def light(state):
    """How the version of the pin stands."""
    return DriftStatus(recipe="heartbeat", version="b2", state=state, sentence="A sentence.")


LAST = LastReport(
    date="2026-03-01",
    run="r1",
    counts=COUNTS,
    champions={"heartbeat": "b2"},
    scope="new",
    decisions={"normal": 1, "abnormal": 1},
    code=Code.running(),
    drift=(light("steady"),),
)
PIN = ReportPin(
    run="r2",
    run_id="r2",
    date="2026-03-02",
    created="2026-03-02T02:00:00+00:00",
    details=0,
    champions={"heartbeat": PinnedVersion(version="b2", since="2026-03-01")},
    recipes=("twelve_lead", "heartbeat"),
    scope="new",
    notes=(),
    ingests=Ingests(runs=(), through="", at_through=()),
    last=LAST,
    why={"heartbeat": "it is better."},
)


def after(**champions):
    """Return the pin of a report after one in which these versions decided."""
    return structs.replace(PIN, last=structs.replace(LAST, champions=champions))


def told(pin, state="steady"):
    """Return the sentences of a report with this pin."""
    return list(since_last(pin, [light(state)]).sentences)


def test_the_first_report_compares_with_nothing():
    """Nor does one whose pin an earlier version wrote."""
    assert since_last(structs.replace(PIN, last=None), []) is None


def test_nothing_changed_is_a_sentence():
    """A reader need not compare."""
    assert told(PIN) == ["The same versions decided, by the same program."]


def test_versions_are_told_with_their_reason():
    """Replaced, for the first time, and gone; without a reason where none is stored."""
    assert told(after(heartbeat="b1")) == ["heartbeat: b2 decides in place of b1, because: it is better."]
    assert told(structs.replace(after(), why={})) == ["heartbeat: b2 decides for the first time."]
    assert told(after(heartbeat="b2", twelve_lead="a1")) == ["twelve_lead: no version decides any more; a1 did."]


def test_scope_drift_and_program_are_told_where_they_changed():
    """What else makes two reports unlike."""
    assert told(structs.replace(PIN, scope="all")) == [
        "This report covers every record of the archive; the report before covered what came in since the report before it."
    ]
    assert told(PIN, "drift") == ["Drift of heartbeat: drift, and steady in the report before."]
    older = structs.replace(LAST, code=Code(version="0.1", tree="0" * 40))
    (sentence,) = told(structs.replace(PIN, last=older))
    assert sentence.startswith("The program was changed: ")
    assert sentence.endswith("in place of 0.1 (00000000).")


def test_numbers_stand_side_by_side():
    """Those that the report before does not tell are not known, not zero."""
    since = since_last(structs.replace(PIN, last=structs.replace(LAST, decisions={})), [])
    rows = {one.name: (one.before, one.now) for one in since.compared(COUNTS, {"normal": 2})}
    assert rows["received"] == (3, 3)
    assert rows["normal"] == (None, 2)
    assert "forgotten" not in rows
