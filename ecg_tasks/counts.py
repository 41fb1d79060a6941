"""Here: what a report counts, as it is stored and as it is shown. Not here: counting (``pipeline.reports``)."""

import msgspec


class ReportCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Every input that a report covers and its fate, in numbers that must add up.

    ``received == records + duplicates + quarantined + forgotten`` and
    ``records == classified + uncertain + uninterpretable + pending``; ``classified`` is normal and abnormal together, and ``forgotten``
    counts records that are not there any more (absent in older reports).
    """

    received: int
    records: int
    duplicates: int
    quarantined: int
    classified: int
    uncertain: int
    uninterpretable: int
    pending: int
    forgotten: int = 0

    def check(self) -> None:
        """Raise `ValueError` if a number is negative or a sum does not hold; the message has both sides."""
        for name in self.__struct_fields__:
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}; a count cannot be negative")
        if self.received != self.records + self.duplicates + self.quarantined + self.forgotten:
            raise ValueError(
                f"received {self.received} != records {self.records} + duplicates {self.duplicates} + quarantined {self.quarantined}"
                f" + forgotten {self.forgotten}"
            )
        if self.records != self.classified + self.uncertain + self.uninterpretable + self.pending:
            raise ValueError(
                f"records {self.records} != classified {self.classified} + uncertain {self.uncertain}"
                f" + uninterpretable {self.uninterpretable} + pending {self.pending}"
            )

    @property
    def why_no_rows(self) -> str:
        """Why no record is listed, in one sentence; empty where records were decided on."""
        if self.records > self.pending:
            return ""
        if self.pending:
            return f"No record has a decision yet: {number_of(self.pending, 'record waits', 'records wait')} for pictures or for a model."
        if not self.received:
            return "No record is listed: nothing was received since the report before."
        fates = [
            (self.duplicates, "a duplicate of a known record", "duplicates of known records"),
            (self.quarantined, "in quarantine", "in quarantine"),
            (self.forgotten, "forgotten since", "forgotten since"),
        ]
        parts = [(count, one if count == 1 else many) for count, one, many in fates if count]
        inputs = number_of(self.received, "input", "inputs")
        if len(parts) == 1:
            return f"No record is new: {inputs}{', all' if self.received > 1 else ','} {parts[0][1]}."
        return f"No record is new: {inputs}, {' and '.join(f'{count:,} {fate}' for count, fate in parts)}."


def number_of(count: int, one: str, many: str) -> str:
    """Return a number with its word.

    >>> number_of(1, "record", "records"), number_of(1204, "record", "records")
    ('1 record', '1,204 records')
    """
    return f"{count:,} {one if count == 1 else many}"
