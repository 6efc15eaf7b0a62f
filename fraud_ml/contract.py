"""A dataset's contract: what its columns are, what they are for, when a claim happened, and what its label means.

One folder under expectations/ is one line of business; its contract.yaml is read here. Code never names a column.
"""

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field

from fraud_ml.documents import Document, read_document
from fraud_ml.errors import BadInput

CONTRACT_FILE = "contract.yaml"


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
    personal: bool = False  # a claimant's personal datum
    about: str = ""


class Source(Document):
    """How the source's files are written."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    encoding: str = "utf-8"


class Times(Document):
    """DuckDB SQL expressions over the source's columns (all text or numbers as declared), giving timestamps in UTC."""

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


class Schedule(Document):
    """When snapshots are frozen: a cron expression in UTC whose ticks are the as-of dates."""

    cron: str


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
    columns: Annotated[tuple[Column, ...], Field(min_length=1)]

    @property
    def features(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.role is Role.FEATURE)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


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
