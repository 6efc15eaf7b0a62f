"""What a contract tells validation: rules of the trade, known changes, and which of our own rules do not judge here."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from fraud_ml.documents import Document


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
