"""What is kept of a partition's claims: counts that add up. Merged profiles are the profile of the merged claims.

A number is counted by its logarithmic bucket of 4 % width, so that a distribution fits into some hundred counts and its
quantiles are known to 2 %. Source: DDSketch (Masson, Rim, Lee 2019), which merges exactly.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from fraud_ml.contract import Kind

FEW_VALUES = 500  # a text column with more values is not told by its values
BUCKETS_PER_E = 25  # buckets in which a number grows e-fold: each is 4 % wide
BETWEEN = "\x1f"  # the ASCII separator of units: what stands in no name, and in no value that was accepted
BUCKET_OFFSET = 100_000  # bucket of ±1: beyond any exponent of a float64, so that the sign stays readable


@dataclass(frozen=True)
class ColumnProfile:
    """One column: how many values are known, and how often each occurs.

    counts: text -> rows for categories, bucket -> rows for numbers, day since 1970 -> rows for timestamps (all as
    text); None for text of many values, which is told by `lengths` (characters -> rows) alone.
    positives: the same, among the claims labelled positive. midnights: timestamps without an hour.
    """

    kind: Kind
    known: int
    counts: Mapping[str, int] | None
    lengths: Mapping[str, int] = field(default_factory=dict)
    positives: Mapping[str, int] = field(default_factory=dict)
    midnights: int = 0

    @property
    def lengths_of_text(self) -> Mapping[str, int]:
        """Return characters -> rows of a text column, whether or not its values are counted."""
        if self.counts is None:
            return self.lengths
        found: Counter[str] = Counter()
        for value, rows in self.counts.items():
            found[str(len(value))] += rows
        return found


@dataclass(frozen=True)
class Profile:
    """A partition, or several of them merged."""

    rows: int
    columns: Mapping[str, ColumnProfile]
    positive: int = 0
    negative: int = 0
    copies: int = 0  # rows that tell under another key what an earlier row of the month tells
    pairs: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # `pair_name` -> `pair_name` of values -> rows
    distinct: Mapping[str, int] = field(default_factory=dict)  # text column -> about how many values, of one month
    positive_ranks: int = 0  # sum over positives of their rank by key (from 1) among the month's labelled

    @property
    def labelled(self) -> int:
        return self.positive + self.negative


def merge(profiles: Iterable[Profile]) -> Profile:
    """Return the profile of all rows together; ranks and distinct values are a partition's own, and stay there."""
    parts = list(profiles)
    names = dict.fromkeys(name for part in parts for name in part.columns)
    return Profile(
        rows=sum(part.rows for part in parts),
        columns={
            name: _merge_columns([part.columns[name] for part in parts if name in part.columns]) for name in names
        },
        positive=sum(part.positive for part in parts),
        negative=sum(part.negative for part in parts),
        copies=sum(part.copies for part in parts),
        pairs={
            pair: _added(part.pairs.get(pair, {}) for part in parts)
            for pair in dict.fromkeys(pair for part in parts for pair in part.pairs)
        },
    )


def _merge_columns(parts: list[ColumnProfile]) -> ColumnProfile:
    counts = None if any(part.counts is None for part in parts) else _added(part.counts or {} for part in parts)
    if counts is not None and parts[0].kind is Kind.CATEGORY and len(counts) > FEW_VALUES:
        counts = None
    lengths = _added(part.lengths_of_text for part in parts) if counts is None else {}
    positives = {} if counts is None else _added(part.positives for part in parts)
    midnights = sum(part.midnights for part in parts)
    return ColumnProfile(parts[0].kind, sum(part.known for part in parts), counts, lengths, positives, midnights)


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items()))


def pair_name(first: str, second: str) -> str:
    """Return one text for two columns, or for a value of each."""
    return f"{first}{BETWEEN}{second}"


def bucket_of(number: float) -> int:
    """Return a finite number's bucket; a greater number is never in a lower bucket.

    >>> [bucket_of(x) for x in (-1.0, 0.0, 1.0, 1.05)]
    [-100000, 0, 100000, 100002]
    """
    if number == 0:
        return 0
    size = BUCKET_OFFSET + math.ceil(math.log(abs(number)) * BUCKETS_PER_E)
    return size if number > 0 else -size


def value_of(bucket: float) -> float:
    """Return the number that stands for a bucket: within 2 % of every number in it."""
    if bucket == 0:
        return 0.0
    size = math.exp((abs(bucket) - BUCKET_OFFSET - 0.5) / BUCKETS_PER_E)
    return size if bucket > 0 else -size


def quantiles(counts: Mapping[str, int], *shares: float) -> list[int]:
    """Return for each share the lowest bucket (or day) at or below which so many of the rows lie. Some row is counted.

    >>> quantiles({"7": 1, "5": 3}, 0.5, 0.75, 0.9)
    [5, 5, 7]
    """
    ordered = sorted((int(bucket), rows) for bucket, rows in counts.items())
    seen = list(accumulate(rows for _, rows in ordered))
    return [ordered[min(bisect_left(seen, share * seen[-1]), len(seen) - 1)][0] for share in shares]


def tenths(counts: Mapping[str, int]) -> list[int]:
    """Return the buckets that end nine tenths of the rows, lowest first; those that are equal once."""
    return sorted(set(quantiles(counts, *(part / 10 for part in range(1, 10)))))


def binned(counts: Mapping[str, int], edges: list[int]) -> list[int]:
    """Return how many rows lie up to each edge and above the one before, and last those above all of them."""
    bins = [0] * (len(edges) + 1)
    for bucket, rows in counts.items():
        bins[bisect_left(edges, int(bucket))] += rows
    return bins
