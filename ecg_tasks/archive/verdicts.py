"""Here: what reviewers said: saving, taking back, the history of a record, agreement. Not here: which record comes next (``queries``)."""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations

from ecg_tasks.archive import audit, keys
from ecg_tasks.archive.cache import keep
from ecg_tasks.archive.class_lists import ClassEntry, load_classes, write_classes
from ecg_tasks.archive.labelling import REVIEW, SOURCE, LabelEntry, in_force, load_labels, standing, write_labels
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.evaluation.agreement import cohens_kappa
from ecg_tasks.evaluation.intervals import Interval
from ecg_tasks.labels import ASKED, WITHDRAWN, ClassList, Verdict

COMMENT_MAX = 1000
"""Characters of a comment."""
USER_MAX = 200
"""Characters of a user's name."""
_saving = threading.Lock()
"""A verdict that is sent twice at once must find itself saved the second time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """Everything that was ever said, as far as the tables ``tables`` go; they never change, so each is read once by each process.

    ``entries`` are of labels, ``classes`` of classes. ``sources`` has the latest label of each record that came from outside, ``reviews``
    everything that reviewers said. An object is never changed: while ``sources`` is the same object, nothing has come from outside.
    """

    tables: frozenset[str]
    entries: Sequence[LabelEntry]
    sources: Mapping[str, LabelEntry]
    reviews: Sequence[LabelEntry]
    classes: Sequence[ClassEntry]

    def in_force(self) -> dict[str, LabelEntry]:
        """Return the labels that count now, of those records that a reviewer gave a verdict on."""
        spoken = {entry.record_id for entry in self.reviews}
        return in_force([*self.reviews, *(self.sources[record_id] for record_id in spoken if record_id in self.sources)])


@dataclass(frozen=True, kw_only=True)
class Saved:
    """What became of a verdict, or of taking one back.

    Parameters
    ----------
    changed : False where it stood so already
    when : of the verdict; ``withdraw`` takes it
    in_force : the record's label now, if it has one
    """

    record_id: str
    changed: bool
    when: str
    in_force: str | None


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One thing that was said of a record; ``kind`` is ``review`` or ``source``, ``user`` is ``who`` without that.

    ``label`` is empty where a source named classes alone; ``classes`` is a `ClassList` as text, or empty.
    """

    label: str
    who: str
    kind: str
    user: str
    when: str
    comment: str
    classes: str
    withdrawn: bool
    in_force: bool


@dataclass(frozen=True, kw_only=True)
class PairAgreement:
    """How two reviewers agree on the ``n`` records that both reviewed; ``observed`` is the share on which they said the same."""

    first: str
    second: str
    n: int
    observed: float
    kappa: Interval


def save_verdict(
    store: ObjectStore, record_id: str, *, verdict: str, user: str, comment: str = "", classes: ClassList | None = None
) -> Saved:
    """Append a reviewer's verdict; one that stands already, with the same comment and classes, changes nothing.

    A reviewer may say the same again after another one differed: then it is the latest again, and so in force.

    Raises
    ------
    ConfigurationError
        If there is no such verdict, the classes contradict it, or the user's name or the comment is empty, too long or not printable.
    """
    if verdict not in set(Verdict):
        raise ConfigurationError(f"{verdict=}; it must be one of {', '.join(Verdict)}")
    comment = comment.strip()
    if len(comment) > COMMENT_MAX:
        raise ConfigurationError(f"the comment has {len(comment)} characters; {COMMENT_MAX} are allowed")
    if classes is not None and (why := "a skip says nothing of classes" if verdict == Verdict.SKIP else classes.contradicts(verdict)):
        raise ConfigurationError(f"{why}; nothing was saved")
    named = "" if classes is None else str(classes)
    who = _who(user)
    with _saving:
        known = read_labels(store)
        entries = [entry for entry in known.entries if entry.record_id == record_id]
        own = max((entry for entry in standing(entries) if entry.who == who), key=lambda entry: entry.when, default=None)
        now = in_force(entries).get(record_id)
        if own is not None and (own.label, own.comment) == (verdict, comment):
            settled = verdict == Verdict.SKIP or (now is not None and now.label == verdict)
            settled &= _classes_settled(own, named, [one for one in known.classes if one.record_id == record_id], entries)
            if settled:
                _log(store, own, user=user, classes=named)
                return Saved(record_id=record_id, changed=False, when=own.when, in_force=now.label if now else None)
        new = LabelEntry(record_id=record_id, label=str(verdict), who=who, when=_moment(entries), comment=comment)
        if named:  # before the verdict, without which it does not count
            write_classes(store, [ClassEntry(record_id=record_id, classes=named, who=who, when=new.when)])
        write_labels(store, [new])
        _log(store, new, user=user, classes=named)
        now = in_force([*entries, new]).get(record_id)
        return Saved(record_id=record_id, changed=True, when=new.when, in_force=now.label if now else None)


def withdraw(store: ObjectStore, record_id: str, *, user: str, when: str) -> Saved:
    """Take back the user's own verdict of that moment by appending that it no longer counts; what was in force before is again.

    Raises
    ------
    ConfigurationError
        If this user gave no verdict on the record at that moment.
    """
    who = _who(user)
    with _saving:
        entries = [entry for entry in all_entries(store) if entry.record_id == record_id]
        if not any((entry.who, entry.when) == (who, when) and entry.is_statement for entry in entries):
            raise ConfigurationError(f"{user} gave no verdict on {record_id} at {when!r}")
        changed = any((entry.who, entry.when) == (who, when) for entry in standing(entries))
        if changed:
            new = LabelEntry(record_id=record_id, label=WITHDRAWN, who=who, when=_moment(entries), withdraws=when)
            write_labels(store, [new])
            entries.append(new)
        audit.append(store, who=user, action=audit.Action.WITHDRAW, subject=record_id, detail={"when": when})
        now = in_force(entries).get(record_id)
        return Saved(record_id=record_id, changed=changed, when=when, in_force=now.label if now else None)


def ask(store: ObjectStore, record_id: str, *, reader: str, who: str) -> None:
    """Append whose the next reading of a record is; without a ``reader`` it is whose it is by rule again.

    Raises
    ------
    ConfigurationError
        If a name is empty where it must not be, too long or not printable.
    """
    _who(who)
    asked = _who(reader) if reader else REVIEW
    with _saving:
        entries = [entry for entry in all_entries(store) if entry.record_id == record_id]
        if asked_of(entries).get(record_id, "") == reader:
            return
        new = LabelEntry(record_id=record_id, label=ASKED, who=asked, when=_moment(entries))
        write_labels(store, [new])
        audit.append(store, who=who, action=audit.Action.ASK, subject=record_id, detail={"reader": reader, "when": new.when})


def asked_of(entries: Iterable[LabelEntry]) -> dict[str, str]:
    """Return whom somebody gave the next reading of a record to, by record; only what was said last of each counts."""
    asked = sorted((entry for entry in entries if entry.label == ASKED), key=lambda entry: entry.when)
    latest = {entry.record_id: entry.who.removeprefix(REVIEW) for entry in asked}
    return {record_id: reader for record_id, reader in latest.items() if reader}


def history(store: ObjectStore, record_id: str) -> tuple[Statement, ...]:
    """Return everything that was ever said of a record, newest first."""
    known = read_labels(store)
    entries = [entry for entry in known.entries if entry.record_id == record_id]
    counts = set(standing(entries))
    now = in_force(entries).get(record_id)
    named = {(one.who, one.when): one.classes for one in known.classes if one.record_id == record_id}
    found = [
        Statement(
            label=entry.label,
            who=entry.who,
            kind="review" if entry.is_review else "source",
            user=entry.who.partition(":")[2],
            when=entry.when,
            comment=entry.comment,
            classes=named.pop((entry.who, entry.when), ""),
            withdrawn=entry not in counts,
            in_force=entry == now,
        )
        for entry in entries
        if entry.is_statement
    ]
    alone = [(who, when) for who, when in named if who.startswith(SOURCE)]  # a reviewer's belong to a verdict
    found += [
        Statement(
            label="",
            who=who,
            kind="source",
            user=who.partition(":")[2],
            when=when,
            comment="",
            classes=named[who, when],
            withdrawn=False,
            in_force=False,
        )
        for who, when in alone
    ]
    return tuple(sorted(found, key=lambda one: (one.when, one.who), reverse=True))


def agreement(store: ObjectStore) -> tuple[PairAgreement, ...]:
    """Return each pair of reviewers with records in common, those with most first; the latest standing verdict of each counts, no skips."""
    verdicts: dict[str, dict[str, str]] = defaultdict(dict)
    for record_id, said in opinions(read_labels(store).reviews).items():
        for user, opinion in said.items():
            if opinion.label is not None:
                verdicts[user][record_id] = opinion.label
    pairs = []
    for first, second in combinations(sorted(verdicts), 2):
        common = sorted(verdicts[first].keys() & verdicts[second].keys())
        if common:
            found = cohens_kappa([verdicts[first][one] for one in common], [verdicts[second][one] for one in common])
            pairs.append(PairAgreement(first=first, second=second, n=found.n, observed=found.observed, kappa=found.kappa))
    return tuple(sorted(pairs, key=lambda pair: (-pair.n, pair.first, pair.second)))


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """Where one reviewer stands on one record.

    ``label`` is the latest verdict that was not withdrawn, None after nothing but skips; ``when`` is when anything was last said, a skip
    too.
    """

    label: str | None
    when: str


def opinions(entries: Iterable[LabelEntry]) -> dict[str, dict[str, Opinion]]:
    """Return where each reviewer stands, by record and user."""
    found: dict[str, dict[str, Opinion]] = defaultdict(dict)
    for entry in sorted(standing(entry for entry in entries if entry.is_review), key=lambda entry: entry.when):
        said, user = found[entry.record_id], entry.who.removeprefix(REVIEW)
        before = said[user].label if user in said else None
        said[user] = Opinion(label=before if entry.label == Verdict.SKIP else entry.label, when=entry.when)
    return dict(found)


def is_disputed(said: Mapping[str, Opinion]) -> bool:
    """Return whether reviewers differ on a record and no label has more votes than every other."""
    most = sorted(Counter(opinion.label for opinion in said.values() if opinion.label is not None).values(), reverse=True)
    return len(most) > 1 and most[0] == most[1]


def read_labels(store: ObjectStore) -> Known:
    """Read everything that was ever said; only tables that are new to this process are read."""
    return _known(store, tables=frozenset([*store.list_keys(keys.LABELS), *store.list_keys(keys.CLASSES)]))


@keep(4)
def _known(store: ObjectStore, *, tables: frozenset[str]) -> Known:
    known = _known.before(store)
    if known is None or not known.tables <= tables:  # a table is gone: it is another bucket of the same name
        known = Known(tables=frozenset(), entries=(), sources={}, reviews=(), classes=())
    new = sorted(tables - known.tables)
    fresh = [entry for data in store.get_many([key for key in new if key.startswith(keys.LABELS)]) for entry in load_labels(data)]
    named = [entry for data in store.get_many([key for key in new if key.startswith(keys.CLASSES)]) for entry in load_classes(data)]
    outside = [entry for entry in fresh if not entry.is_review]
    return Known(
        tables=tables,
        entries=[*known.entries, *fresh],
        sources=in_force([*known.sources.values(), *outside]) if outside else known.sources,
        reviews=[*known.reviews, *(entry for entry in fresh if entry.is_review)],
        classes=[*known.classes, *named],
    )


def all_entries(store: ObjectStore) -> Sequence[LabelEntry]:
    """Return every row of every label table."""
    return read_labels(store).entries


def _classes_settled(own: LabelEntry, named: str, lists: Sequence[ClassEntry], entries: Sequence[LabelEntry]) -> bool:
    """Return whether a reviewer's own verdict has these classes already, and nobody has named any since."""
    verdicts = {(entry.who, entry.when) for entry in standing(entries) if entry.is_review}
    counting = [one for one in lists if one.who.startswith(SOURCE) or (one.who, one.when) in verdicts]
    mine = next((one.classes for one in counting if (one.who, one.when) == (own.who, own.when)), "")
    return mine == named and (not named or own.when == max(one.when for one in counting))


def _log(store: ObjectStore, said: LabelEntry, *, user: str, classes: str) -> None:
    """Log a verdict without its comment, which may show whose recording it is."""
    detail = {"verdict": said.label, "when": said.when} | ({"classes": classes} if classes else {})
    audit.append(store, who=user, action=audit.Action.VERDICT, subject=said.record_id, detail=detail)


def _who(user: str) -> str:
    if not user.strip() or len(user) > USER_MAX or not user.isprintable():
        raise ConfigurationError(f"the user's name is {user[:USER_MAX]!r}; it must be printable, of 1 to {USER_MAX} characters")
    return f"{REVIEW}{user}"


def _moment(entries: Iterable[LabelEntry]) -> str:
    """Return now, but after everything that was said of the record before: one server's clock may run behind another's."""
    moment = datetime.now(UTC)
    last = max((entry.when for entry in entries if entry.is_review), default=None)
    if last is not None:
        moment = max(moment, datetime.fromisoformat(last) + timedelta(microseconds=1))
    return moment.isoformat(timespec="microseconds")
