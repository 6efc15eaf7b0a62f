"""One column of a line of business: how it is read, and what it is for."""

from enum import StrEnum

from fraud_ml.documents import Document

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
