"""A dataset's contract: what its columns are, what they are for, when a claim happened, and what its label means.

One folder under expectations/ is one line of business; its contract.yaml is read here. Code never names a column.
"""

from collections import Counter
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from fraud_ml.documents import Document, read_document
from fraud_ml.errors import BadInput

CONTRACT_FILE = "contract.yaml"
RING_SCORE = "ring_score"
_OF_A_PARTY = {
    "claims": "number of earlier claims",
    "confirmed": "number of earlier frauds",
    "fraud_share": "share of fraud in earlier claims",
}
SEALED = "sealed"  # the column of a stored row that holds its personal values under the person's key


class Role(StrEnum):
    """What a column is for. Only features reach a model."""

    FEATURE = "feature"
    KEY = "key"  # names the claim
    TIME = "time"  # the event and recording times are computed from it; a calendar is never a feature
    LABEL = "label"
    CONTEXT = "context"  # kept for people and slices, never a feature


class Kind(StrEnum):
    """How a column is read."""

    CATEGORY = "category"  # text; an integer-coded category is declared so too
    NUMBER = "number"  # float64
    TIMESTAMP = "timestamp"  # ISO 8601 date or date-time; without an offset it is UTC


class Column(Document):
    """One column of the source."""

    name: str
    kind: Kind
    role: Role
    missing: tuple[str, ...] = ()  # source spellings that mean "not known", beside the empty cell
    nothing: tuple[str, ...] = ()  # words that rightly say that there is none: they are values, and no placeholders
    joined_by: str = ""  # what stands between several values in one cell, where a cell may hold several
    personal: bool = False  # a claimant's personal datum
    about: str = ""
    title: str = ""  # what people call it, where its name does not say so


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


class Network(Document):
    """Which columns name the parties of a claim, and how far back their other claims count (features/network)."""

    window_days: Annotated[int, Field(ge=1, le=36_525)]
    # column -> the kind of party that it names; columns of one kind name the same people, garages, …
    parties: Annotated[dict[str, Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]], Field(min_length=1)]

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.parties.values()))


class KnownChange(Document):
    """A column that rightly means something else from a day on: earlier claims say nothing about later ones."""

    column: str
    since: date
    why: str


class Sense(Document):
    """A rule of the trade between columns, judged row by row where all of its columns are known.

    Exactly one of `at_most`, `in_order`, `equal`, `absent`, `holds` and `begins` is the rule; `where` says to which
    rows it applies.
    """

    code: Annotated[str, Field(pattern=r"^SENSE\d{3}$")]
    title: str
    severity: Literal["stop", "quarantine", "warn"]
    next_step: str = "correct these claims at their source"
    where: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # column -> the texts that it must hold
    at_most: tuple[str, str] | None = None  # the first number is not above the second times `factor`
    factor: Annotated[float, Field(gt=0)] = 1.0
    in_order: Annotated[tuple[str, ...], Field(min_length=2)] | None = None  # none is later, or greater, than the next
    equal: tuple[str, str] | None = None  # two numbers, to the hundredth
    absent: str | None = None  # the column holds nothing
    holds: dict[str, tuple[str, ...]] | None = None  # column -> texts of which it holds one
    begins: dict[str, tuple[str, ...]] | None = None  # column -> beginnings of which its text has one
    tolerated_share: Annotated[float, Field(ge=0, lt=1)] = 0.0  # of all rows; only where nothing is set aside

    @model_validator(mode="after")
    def _is_one_rule(self) -> "Sense":
        rules = (self.at_most, self.in_order, self.equal, self.absent, self.holds, self.begins)
        if sum(rule is not None for rule in rules) != 1 or {} in (self.holds, self.begins):
            raise ValueError(
                "exactly one of `at_most`, `in_order`, `equal`, `absent`, `holds` and `begins` is the rule"
            )
        if self.tolerated_share and self.severity == "quarantine":
            raise ValueError("`tolerated_share` does not go with quarantine: each of its rows is set aside")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rule compares or looks at; those of `where` come last."""
        ruled = (
            *(self.at_most or ()),
            *(self.in_order or ()),
            *(self.equal or ()),
            *([self.absent] if self.absent else ()),
            *(self.holds or ()),
            *(self.begins or ()),
        )
        return (*ruled, *self.where)


class Checks(Document):
    """What our own rules (fraud_ml/validation/rules) cannot know of this dataset."""

    off: dict[str, str] = Field(default_factory=dict)  # a rule's code -> why it does not judge here
    severity: dict[str, Literal["stop", "warn"]] = Field(default_factory=dict)  # a rule's code -> what it does here
    earliest: date = date(1980, 1, 1)  # no timestamp of a claim is before
    known_changes: tuple[KnownChange, ...] = ()
    sense: tuple[Sense, ...] = ()
    go_together: tuple[tuple[str, str], ...] = ()  # columns of which one tells much of the other


class Contract(Document):
    """A line of business."""

    dataset: str
    title: str
    owner: str
    source: Source = Source()
    key: str
    times: Times
    label: Label
    schedule: Schedule
    split: Split = Split()
    landing: Landing = Landing()
    erasure: Erasure | None = None  # absent where the source identifies nobody
    group: str | None = None  # the column that names who claims: claims of one claimant are not independent
    amount: str | None = None  # the column that says what a claim costs, in one currency
    slices: tuple[Slice, ...] = ()  # whom the evaluation tells apart
    checks: Checks = Checks()
    network: Network | None = None  # absent where nothing is learned from who is connected with whom
    columns: Annotated[tuple[Column, ...], Field(min_length=1)]

    @property
    def features(self) -> tuple[Column, ...]:
        """The source's columns that reach a model."""
        return tuple(column for column in self.columns if column.role is Role.FEATURE)

    @property
    def network_features(self) -> tuple[Column, ...]:
        """The columns that the features stage adds, by what they are of; none without a `network` section."""
        if self.network is None:
            return ()
        told: list[tuple[str, str, bool]] = []
        for name in self.network.parties:
            of = self.column(name).title or name.removesuffix("_id").removesuffix("_ids").replace("_", " ")
            told += [
                (f"{name}_{what}", f"{words} of the same {of}", self.column(name).personal)
                for what, words in _OF_A_PARTY.items()
            ]
        personal = any(self.column(name).personal for name in self.network.parties)
        for kind in self.network.kinds:
            words = kind.replace("_", " ")
            told.append((f"{kind}_reached", f"number of parties ({words}) met in earlier claims", personal))
        told.append((RING_SCORE, "closeness to confirmed frauds", personal))
        return tuple(
            Column(name=f"network_{name}", kind=Kind.NUMBER, role=Role.FEATURE, personal=is_personal, title=title)
            for name, title, is_personal in told
        )

    @property
    def learned(self) -> tuple[Column, ...]:
        """All columns that may reach a model: the source's, then those of the network."""
        return (*self.features, *self.network_features)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def personal(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.personal)

    def column(self, name: str) -> Column:
        found = (column for column in self.columns if column.name == name)
        return next(found, None) or next(column for column in self.network_features if column.name == name)

    def separator(self, name: str) -> str:
        """Return what stands between several values in a cell of the column; empty where a cell holds one."""
        mentions = self.erasure.mentions.get(name) if self.erasure else None
        return mentions.joined_by if mentions else self.column(name).joined_by

    def nobody(self, name: str) -> tuple[str, ...]:
        """Return the words by which the column says that it names none."""
        mentions = self.erasure.mentions.get(name) if self.erasure else None
        return (*self.column(name).nothing, *(mentions.nobody if mentions else ()))


def load_contract(dataset: str, expectations: Path) -> Contract:
    """Return expectations/<dataset>/contract.yaml, checked against itself. Raises BadInput."""
    path = expectations / dataset / CONTRACT_FILE
    if not path.is_file():
        known = sorted(found.parent.name for found in expectations.glob(f"*/{CONTRACT_FILE}"))
        raise BadInput(
            f"no contract for dataset `{dataset}` ({path})",
            expected=f"one of {', '.join(known) or '(none found)'}",
            next_step=f"choose one, or write {path}",
        )
    contract = read_document(path, Contract)
    twice = [name for name, count in Counter(contract.names).items() if count > 1]
    if twice:
        raise BadInput(f"{path}: column `{twice[0]}` is declared twice", next_step="keep one of the two")
    for name, role in ((contract.key, Role.KEY), (contract.label.column, Role.LABEL)):
        if name not in contract.names:
            raise BadInput(
                f"{path}: the {role} column `{name}` is not among `columns`",
                next_step=f"declare `{name}`, or correct it",
            )
        if contract.column(name).role is not role:
            raise BadInput(
                f"{path}: column `{name}` is the {role}", expected=f"role: {role}", arrived=contract.column(name).role
            )
    _check_investigation(path, contract)
    _check_landing(path, contract)
    _check_erasure(path, contract)
    _check_split(path, contract)
    _check_network(path, contract)
    _check_judging(path, contract)
    _check_checks(path, contract)
    if contract.dataset != dataset:
        raise BadInput(f"{path}: `dataset` differs from its folder", expected=dataset, arrived=contract.dataset)
    return contract


def _check_investigation(path: Path, contract: Contract) -> None:
    seen = contract.label.investigation
    if seen is None:
        return
    if seen.column not in contract.names:
        raise BadInput(
            f"{path}: the investigation column `{seen.column}` is not among `columns`",
            next_step=f"declare `{seen.column}`, or correct `label.investigation.column`",
        )
    if (role := contract.column(seen.column).role) is not Role.CONTEXT:
        raise BadInput(
            f"{path}: column `{seen.column}` says who was looked at, which is known only after the claim",
            expected=f"role: {Role.CONTEXT}",
            arrived=role,
        )
    if both := sorted(set(seen.none) & set(seen.random)):
        raise BadInput(
            f"{path}: `{both[0]}` stands under `label.investigation.none` and under `.random`",
            next_step="keep one of the two",
        )


def _check_landing(path: Path, contract: Contract) -> None:
    for name in contract.landing.columns:
        if name not in contract.names:
            raise BadInput(
                f"{path}: `landing` speaks of column `{name}`, which is not among `columns`",
                next_step=f"declare `{name}`, or correct it",
            )
    for name in contract.landing.bounds:
        if contract.column(name).kind is not Kind.NUMBER:
            raise BadInput(
                f"{path}: `landing.bounds` speaks of column `{name}`",
                expected="kind: number",
                arrived=contract.column(name).kind,
            )


def _check_erasure(path: Path, contract: Contract) -> None:
    if contract.erasure is None:
        return
    for name in (contract.erasure.subject, *contract.erasure.mentions):
        if name not in contract.names:
            raise BadInput(
                f"{path}: `erasure` speaks of column `{name}`, which is not among `columns`",
                next_step=f"declare `{name}`, or correct it",
            )
        column = contract.column(name)
        if not column.personal or column.kind is not Kind.CATEGORY:
            raise BadInput(
                f"{path}: `erasure` speaks of column `{name}`, which does not name people",
                expected="kind: category, personal: true",
                arrived=f"kind: {column.kind}, personal: {str(column.personal).lower()}",
            )
    if contract.erasure.subject in contract.erasure.mentions:
        raise BadInput(
            f"{path}: `{contract.erasure.subject}` is the subject and a mention", next_step="keep one of the two"
        )
    for column in contract.personal:
        if column.role not in {Role.FEATURE, Role.CONTEXT}:
            raise BadInput(
                f"{path}: column `{column.name}` is personal, and the fold needs it in plain ({column.role})",
                expected=f"role: {Role.FEATURE} or {Role.CONTEXT}",
                arrived=column.role,
                next_step="take another key, time or label, or leave `erasure` out",
            )
    if SEALED in contract.names:
        raise BadInput(
            f"{path}: column `{SEALED}` bears the name under which personal values are stored",
            next_step="rename the column at its source",
        )


def _check_split(path: Path, contract: Contract) -> None:
    for name in contract.split.groups:
        if name not in contract.names:
            raise BadInput(
                f"{path}: `split.groups` speaks of column `{name}`, which is not among `columns`",
                next_step=f"declare `{name}`, or correct it",
            )
        if (role := contract.column(name).role) is not Role.CONTEXT:
            raise BadInput(
                f"{path}: column `{name}` cannot keep claims together",
                expected=f"role: {Role.CONTEXT}, as of a policy, a person or a garage",
                arrived=role,
            )


def _check_network(path: Path, contract: Contract) -> None:
    if contract.network is None:
        return
    for name in contract.network.parties:
        if name not in contract.names:
            raise BadInput(
                f"{path}: `network.parties` speaks of column `{name}`, which is not among `columns`",
                next_step=f"declare `{name}`, or correct it",
            )
        column = contract.column(name)
        if column.role is not Role.CONTEXT or column.kind is not Kind.CATEGORY:
            raise BadInput(
                f"{path}: `network.parties` speaks of column `{name}`, which names no parties",
                expected=f"kind: {Kind.CATEGORY}, role: {Role.CONTEXT}",
                arrived=f"kind: {column.kind}, role: {column.role}",
            )
    made = [column.name for column in contract.network_features]
    if taken := [name for name, count in Counter((*made, *contract.names)).items() if count > 1 and name in made]:
        raise BadInput(
            f"{path}: column `{taken[0]}` is also made of `network`",
            next_step="rename the column at its source, or the kind of party under `network.parties`",
        )


def _check_judging(path: Path, contract: Contract) -> None:
    """What candidates are judged by must be columns of a kind that can tell it."""
    spoken = [("group", contract.group, Kind.CATEGORY), ("amount", contract.amount, Kind.NUMBER)]
    spoken += [("slices", one.column, Kind.NUMBER if one.edges else Kind.CATEGORY) for one in contract.slices]
    for section, name, kind in spoken:
        if name is None:
            continue
        if name not in contract.names:
            raise BadInput(
                f"{path}: `{section}` speaks of column `{name}`, which is not among `columns`",
                next_step=f"declare `{name}`, or correct it",
            )
        if (arrived := contract.column(name).kind) is not kind:
            raise BadInput(
                f"{path}: `{section}` speaks of column `{name}`",
                expected=f"kind: {kind}" + ("; a number needs `edges`" if section == "slices" else ""),
                arrived=arrived,
            )


def _check_checks(path: Path, contract: Contract) -> None:
    """Hold `checks` against the declared columns and their kinds; whether a rule's code exists is not known here."""
    known = {*contract.names, "event_time", "recorded_at"}
    kinds = {column.name: column.kind for column in contract.columns}
    spoken = [("known_changes", change.column) for change in contract.checks.known_changes]
    spoken += [(rule.code, name) for rule in contract.checks.sense for name in rule.columns]
    spoken += [("go_together", name) for pair in contract.checks.go_together for name in pair]
    for where, name in spoken:
        if name not in known:
            raise BadInput(
                f"{path}: `checks` ({where}) speaks of column `{name}`, which is not among `columns`",
                next_step=f"declare `{name}`, or correct it",
            )
    for rule in contract.checks.sense:
        for name in (*(rule.at_most or ()), *(rule.equal or ())):
            if kinds.get(name) is not Kind.NUMBER:
                raise BadInput(
                    f"{path}: {rule.code} compares column `{name}`",
                    expected="kind: number",
                    arrived=kinds.get(name, Kind.TIMESTAMP),
                )
        if rule.in_order and len({kinds.get(name, Kind.TIMESTAMP) for name in rule.in_order}) > 1:
            raise BadInput(
                f"{path}: {rule.code} puts columns of different kinds in order",
                expected="all numbers, or all timestamps",
            )
    for name in (name for pair in contract.checks.go_together for name in pair):
        if kinds.get(name, Kind.TIMESTAMP) is Kind.TIMESTAMP:
            raise BadInput(
                f"{path}: `checks` (go_together) speaks of column `{name}`",
                expected=f"kind: {Kind.CATEGORY} or {Kind.NUMBER}",
                arrived=Kind.TIMESTAMP,
            )
    twice = [code for code, count in Counter(rule.code for rule in contract.checks.sense).items() if count > 1]
    if twice:
        raise BadInput(f"{path}: {twice[0]} is declared twice", next_step="give one of them a free code")
