"""What scorers were asked about: counts that add up, by day, in place of the claims themselves.

Only what the live model tells anyway stands here: words of its vocabulary, which holds no rare one, and numbers by
their bucket of 4 % width. A column that few claims of a day told is told by how many they were alone, since a lonely
claim's counts would be that claim.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fraud_ml.artifacts import Sealed
from fraud_ml.contract import Kind
from fraud_ml.errors import Tampered, Unavailable

LEAST_TOLD = 20  # claims of a day, of which a column's counts are told


@dataclass(frozen=True)
class ServedColumn:
    """One column of requests. asked: claims; known: those that told it.

    counts: every word of the model's vocabulary -> claims, for numbers bucket (as text) -> claims; None where nothing
    is told. unseen: further claims, whose word is not in the vocabulary.
    """

    kind: Kind
    asked: int
    known: int
    counts: Mapping[str, int] | None = None
    unseen: int = 0

    @property
    def counted(self) -> int:
        """Return how many claims the counts hold."""
        return sum((self.counts or {}).values()) + self.unseen

    @property
    def told(self) -> "ServedColumn":
        """Return what may be written down of a day."""
        return self if self.counted >= LEAST_TOLD else replace(self, counts=None, unseen=0)


@dataclass(frozen=True)
class Served(Sealed):
    """The claims that a data set's scorers were asked about on some days (ISO dates, UTC, rising); none: no request."""

    dataset: str
    days: tuple[str, ...]
    claims: int
    columns: Mapping[str, ServedColumn]


def merge_served(dataset: str, parts: Iterable[Served]) -> Served:
    """Return the record of all parts together, sealed; the newest part comes last."""
    found = list(parts)
    names = sorted({name for part in found for name in part.columns})
    return Served(
        dataset,
        tuple(sorted({day for part in found for day in part.days})),
        sum(part.claims for part in found),
        {name: _merged([part.columns[name] for part in found if name in part.columns]) for name in names},
    ).sealed()


def served_of(content: bytes, name: str) -> Served:
    """Return the record out of its JSON. Raises Tampered, naming it, when it is not what was sealed."""
    try:
        fields = json.loads(content)
        columns = {column: _column(told) for column, told in fields.pop("columns").items()}
        served = Served(**{**fields, "days": tuple(fields["days"])}, columns=columns)
        is_intact = served.is_intact
    except (ValueError, TypeError, KeyError, AttributeError):
        is_intact = False
    if not is_intact:
        raise Tampered(
            f"{name} is not the record of requests that was written there",
            expected="JSON that its digest seals",
            next_step="restore it from a backup, or remove it: then these requests are not judged",
            path=name,
        )
    return served


def read_served(path: Path) -> Served:
    """Return the record that was pinned in a workspace. Raises Unavailable when there is none, Tampered."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise Unavailable(
            f"{path} is not there: the workspace was pinned without the requests that scorers answered",
            next_step="pin it again (`fraud-ml pin DATASET AS_OF`)",
        ) from None
    return served_of(content, str(path))


# --- inside ---------------------------------------------------------------------------------------------------------


def _column(told: Mapping[str, object]) -> ServedColumn:
    return ServedColumn(**{**told, "kind": Kind(told["kind"])})  # type: ignore[arg-type]


def _merged(parts: Sequence[ServedColumn]) -> ServedColumn:
    """Add up; a word that not every part's vocabulary holds is unseen to all, so that each word means the same in all.

    A part of another kind than the last tells how often the column was known, and nothing else.
    """
    kind = parts[-1].kind
    told = [part for part in parts if part.counts is not None and part.kind is kind]
    counts: Counter[str] = Counter()
    for part in told:
        counts.update(part.counts or {})
    if kind is Kind.CATEGORY and told:
        shared = set.intersection(*(set(part.counts or {}) for part in told))
        counts = Counter({word: counts[word] for word in shared})
    kept = dict(sorted(counts.items())) if told else None
    unseen = sum(part.counted for part in told) - sum(counts.values())
    return ServedColumn(kind, sum(part.asked for part in parts), sum(part.known for part in parts), kept, unseen)
