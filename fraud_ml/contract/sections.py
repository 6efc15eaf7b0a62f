"""What a contract says of its source, its times, its label, its landing, and the people whom its claims name."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from fraud_ml.documents import Document


class Source(Document):
    """How the source's files are written."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    encoding: str = "utf-8"


class Times(Document):
    """DuckDB SQL expressions over the source's columns (all text or numbers as declared), giving timestamps in UTC.

    They may also name `source_name`: the path, the address or the topic that the row came from, so that a date in a
    key can be read: `CAST(regexp_extract(source_name, 'day=([0-9-]+)', 1) AS TIMESTAMP)`.
    """

    event: str  # when it happened
    recorded: str  # when we knew


class Investigation(Document):
    """How the source says that somebody looked: any word of `column` but those of `none`; an empty cell is nobody."""

    column: str
    none: Annotated[tuple[str, ...], Field(min_length=1)]  # nobody has looked
    random: tuple[str, ...] = ()  # chosen by chance, whatever a rule said


class RecordingStopped(StrEnum):
    """What becomes of labelled claims from months in which fraud was hardly recorded (features/recording.py)."""

    KEEP = "keep"
    LEAVE_OUT = "leave_out"  # of every window, frauds and others alike, and counted


class Label(Document):
    """What the source says about fraud, and when its silence may be believed."""

    column: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    maturity_days: Annotated[int, Field(ge=0)]  # days after the event before a label counts
    meaning_of_no: str
    investigation: Investigation | None = None  # absent where the source does not say who was looked at
    recording_stopped: RecordingStopped = RecordingStopped.KEEP
    outages: tuple[Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")], ...] = ()  # event months, YYYY-MM, of
    # which it is known that fraud was hardly recorded: no news to validation, and no measure of what is usual


class Split(Document):
    """What may not stand on both sides of a split: claims that share a value of one of these columns."""

    groups: tuple[str, ...] = ()


class Slice(Document):
    """Claims told apart to see whom a model bothers: by the words of a category, or by bands of a number."""

    column: str
    edges: tuple[
        float, ...
    ] = ()  # of a number's bands, rising: below the first, from each up to the next, from the last

    @model_validator(mode="after")
    def _rises(self) -> "Slice":
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError("`edges` must rise")
        return self


class Schedule(Document):
    """When snapshots are frozen: a cron expression in UTC whose ticks are the as-of dates."""

    cron: str


class BadRows(StrEnum):
    """What becomes of a row that breaks the contract when it is landed."""

    REJECT = "reject"  # its whole file is refused
    QUARANTINE = "quarantine"  # the row is set aside with its code, and the others are landed


class Offsets(StrEnum):
    """Which UTC offsets the source's date-times may carry."""

    ANY = "any"  # none means UTC
    REQUIRED = "required"  # a time of day without an offset is a bad row
    UTC = "utc"  # any other offset than Z or 00:00 is a bad row


class EventKinds(Document):
    """The kinds of events that the source records, and the column that names them."""

    column: str
    known: Annotated[tuple[str, ...], Field(min_length=1)]


class Bounds(Document):
    """What a number column is measured in, and between which values. A claim in another currency is a bad row."""

    at_least: float | None = None
    at_most: float | None = None
    unit: str | None = None  # for example EUR
    stated_in: str | None = None  # the column that states each row's unit

    @model_validator(mode="after")
    def _is_whole(self) -> "Bounds":
        if (self.unit is None) != (self.stated_in is None):
            raise ValueError("`unit` and `stated_in` go together: which unit is right, and which column states it")
        return self


class Landing(Document):
    """What is demanded of each row before it enters the log. Messages of a stream are always set aside one by one."""

    bad_rows: BadRows = BadRows.REJECT
    clock_skew_minutes: Annotated[int, Field(ge=0)] = 5  # a row recorded later than now by more is bad
    offsets: Offsets = Offsets.ANY
    event_kinds: EventKinds | None = None
    bounds: dict[str, Bounds] = Field(default_factory=dict)  # by column

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the section speaks of."""
        stated = [bounds.stated_in for bounds in self.bounds.values() if bounds.stated_in]
        return (*([self.event_kinds.column] if self.event_kinds else ()), *self.bounds, *stated)


class Mentions(Document):
    """How a column names further people, who may be subjects elsewhere."""

    joined_by: Annotated[str, Field(min_length=1, max_length=1)]  # what stands between two of them
    nobody: tuple[str, ...] = ()  # words that name no person


class Erasure(Document):
    """Whose rows can be made unreadable: at rest the personal columns are sealed under a key of that person."""

    subject: str  # the column that names the person; at rest it holds a pseudonym
    mentions: dict[str, Mentions] = Field(default_factory=dict)  # columns that name others; pseudonyms too
