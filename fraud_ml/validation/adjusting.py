"""The partial of a month that changed in a few rows: the former one, less what left, and with what came.

Counts of rows subtract and add up. What does not (ranks, estimates of distinct values, means and extremes) is counted
anew on all rows, and told as `Anew`. The outcome is the partial that judging the whole month gives, or none.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fraud_ml.contract import Kind
from fraud_ml.validation.checks import Counts, Times
from fraud_ml.validation.counting import Count, is_of_mean
from fraud_ml.validation.describing import Description, Figures
from fraud_ml.validation.partial import Aside, Partial, Summary
from fraud_ml.validation.profile import BETWEEN, FEW_VALUES, ColumnProfile, Profile
from fraud_ml.validation.profiling import EXAMPLES, distinct_of
from fraud_ml.validation.suite import Rule
from fraud_ml.validation.uniqueness import less, together

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


CLEARLY_FEW = FEW_VALUES // 5  # so many values that no estimate takes for more than FEW_VALUES


@dataclass(frozen=True)
class Anew:
    """What was counted on all rows of the month as it is now.

    estimated: text column -> about how many values, of each that had more than a few. numbers: the figures of each
    column of numbers or timestamps.
    """

    rows: int
    copies: int
    positive_ranks: int
    estimated: Mapping[str, int]
    numbers: Mapping[str, Figures]


@dataclass(frozen=True)
class Change:
    """A month's partial of before, and those of the rows that left and that came since; None where no row did."""

    former: Partial
    left: Partial | None
    came: Partial | None


def adjusted(change: Change, anew: Anew, counted: Sequence[Rule]) -> Partial | None:
    """Return the month's partial as it is now, or None where only judging the whole month can tell it.

    counted: the suite's rules that are judged from counts.
    """
    former = change.former
    try:
        summary = _summary(change, anew, {rule.code: rule.columns[0] for rule in counted if is_of_mean(rule)})
        hashes = {name: _hashes(change, name) for name in former.hashes}
    except (_CannotTellError, ValueError):  # the latter: rows left that were never there
        return None
    return Partial(summary, hashes)


# --- inside ---------------------------------------------------------------------------------------------------------


class _CannotTellError(Exception):
    """Only the whole month tells it."""


def _require(is_told: bool) -> None:
    if not is_told:
        raise _CannotTellError


def _summary(change: Change, anew: Anew, means: Mapping[str, str]) -> Summary:
    former = change.former.summary
    parts = [part.summary for part in (change.left, change.came) if part is not None]
    _require(all(part.month == former.month and part.may_be_kept for part in parts))
    left = change.left.summary if change.left else _nothing(former)
    came = change.came.summary if change.came else _nothing(former)
    rows = _moved(former.rows, left.rows, came.rows)
    _require(rows == anew.rows)
    profile = _profile(former.profile, left.profile, came.profile, anew)
    broken = {
        name: _moved(count, left.broken.get(name, 0), came.broken.get(name, 0)) for name, count in former.broken.items()
    }
    return replace(
        former,
        rows=rows,
        unknown_people=_moved(former.unknown_people, left.unknown_people, came.unknown_people),
        checks=_checks(former.checks, left.checks, came.checks),
        profile=profile,
        broken=broken,
        examples=_examples(former, left, came, broken),
        expected={
            code: _count(count, left.expected.get(code), came.expected.get(code), anew.numbers.get(means.get(code, "")))
            for code, count in former.expected.items()
        },
        aside=_aside(former.aside, left.aside, came.aside),
        description=_description(former.description, left.description, came.description, profile, anew),
    )


def _nothing(former: Summary) -> Summary:
    """Return the summary of no rows: nothing is counted in it."""
    checks = replace(former.checks, rows=0, misfits={}, times={name: Times(0, {}) for name in former.checks.times})
    checks = replace(
        checks,
        unknown_keys=None if checks.unknown_keys is None else 0,
        strange_labels=None if checks.strange_labels is None else 0,
    )
    return replace(
        former,
        rows=0,
        unknown_people=0,
        checks=checks,
        profile=Profile(0, {}),
        broken={},
        examples={},
        expected={},
        aside=(),
        description=Description(0, {}),
    )


def _moved(former: int, left: int, came: int) -> int:
    now = former - left + came
    _require(now >= 0)
    return now


def _counts(former: Mapping[str, int], left: Mapping[str, int], came: Mapping[str, int]) -> dict[str, int]:
    total = Counter(former)
    total.update(came)
    total.subtract(left)
    _require(min(total.values(), default=0) >= 0)
    return {value: rows for value, rows in sorted(total.items()) if rows}


def _checks(former: Counts, left: Counts, came: Counts) -> Counts:
    def some(of: int | None, gone: int | None, new: int | None) -> int | None:
        _require((of is None) == (gone is None) == (new is None))
        return None if of is None else _moved(of, gone or 0, new or 0)

    def columns(counts: Counts) -> tuple[tuple[str, ...], int, list[str]]:
        return counts.missing_columns, counts.unexpected_columns, list(counts.times)

    _require(columns(former) == columns(left) == columns(came))
    misfits = _counts(former.misfits, left.misfits, came.misfits)
    times = {}
    for name, of in former.times.items():
        gone, new = left.times[name], came.times[name]
        days = _counts(of.days, gone.days, new.days)
        times[name] = Times(
            _moved(of.unknown, gone.unknown, new.unknown), dict(sorted(days.items(), key=lambda day: int(day[0])))
        )
    return replace(
        former,
        rows=_moved(former.rows, left.rows, came.rows),
        misfits=misfits,
        unknown_keys=some(former.unknown_keys, left.unknown_keys, came.unknown_keys),
        strange_labels=some(former.strange_labels, left.strange_labels, came.strange_labels),
        times=times,
    )


def _profile(former: Profile, left: Profile, came: Profile, anew: Anew) -> Profile:
    columns = {
        name: _column(of, left.columns.get(name), came.columns.get(name), anew.estimated.get(name))
        for name, of in former.columns.items()
    }
    many = {name for name, column in columns.items() if column.counts is None}
    pairs = {}
    for pair in dict.fromkeys((*former.pairs, *came.pairs)):
        counts = _counts(former.pairs.get(pair, {}), left.pairs.get(pair, {}), came.pairs.get(pair, {}))
        if counts and many.isdisjoint(pair.split(BETWEEN)):
            pairs[pair] = dict(sorted(counts.items(), key=lambda value: value[0].split(BETWEEN, 1)))
    return replace(
        former,
        rows=anew.rows,
        columns=columns,
        positive=_moved(former.positive, left.positive, came.positive),
        negative=_moved(former.negative, left.negative, came.negative),
        copies=anew.copies,
        pairs=pairs,
        distinct=distinct_of(columns, anew.estimated),
        positive_ranks=anew.positive_ranks,
    )


def _column(
    former: ColumnProfile, left: ColumnProfile | None, came: ColumnProfile | None, estimated: int | None
) -> ColumnProfile:
    nothing = ColumnProfile(former.kind, 0, {})
    left, came = left or nothing, came or nothing
    known = _moved(former.known, left.known, came.known)
    midnights = _moved(former.midnights, left.midnights, came.midnights)
    if former.counts is None:
        _require(estimated is not None and estimated > FEW_VALUES)
        lengths = _counts(former.lengths, left.lengths_of_text, came.lengths_of_text)
        return ColumnProfile(former.kind, known, None, lengths)
    _require(left.counts is not None and came.counts is not None)
    counts = _counts(former.counts, left.counts or {}, came.counts or {})
    if former.kind is Kind.CATEGORY:
        few = len(counts) <= CLEARLY_FEW if estimated is None else estimated <= FEW_VALUES
        _require(few)
    positives = _counts(former.positives, left.positives, came.positives)
    return ColumnProfile(former.kind, known, counts, {}, positives, midnights)


def _count(former: Count, left: Count | None, came: Count | None, of_mean: Figures | None) -> Count:
    left, came = left or Count(0), came or Count(0)
    return Count(
        rows=_moved(former.rows, left.rows, came.rows),
        missing=_moved(former.missing, left.missing, came.missing),
        considered=_moved(former.considered, left.considered, came.considered),
        unexpected=_moved(former.unexpected, left.unexpected, came.unexpected),
        mean=of_mean.mean if of_mean is not None and of_mean.known else None,
    )


def _examples(former: Summary, left: Summary, came: Summary, broken: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Return for each rule the smallest digests of keys of rows that break it.

    Of the former rows that break a rule all are known whose digest is not above the greatest example; that is enough
    while the smallest of now are among them.
    """
    found = {}
    for name in (name for name, count in broken.items() if count):
        known = former.examples.get(name, ())
        stayed = Counter(known)
        stayed.subtract(digest for digest in left.examples.get(name, ()) if digest in stayed)
        all_known = former.broken.get(name, 0) <= len(known)
        candidates = sorted((*(stayed + Counter()).elements(), *came.examples.get(name, ())))[:EXAMPLES]
        enough = min(EXAMPLES, broken[name])
        _require(len(candidates) == enough and (all_known or candidates[-1] <= known[-1]))
        found[name] = tuple(candidates)
    return found


def _aside(former: Iterable[Aside], left: Iterable[Aside], came: Iterable[Aside]) -> tuple[Aside, ...]:
    total = Counter(former)
    total.update(came)
    total.subtract(left)
    _require(min(total.values(), default=0) >= 0)
    return tuple(sorted(total.elements()))


def _description(
    former: Description, left: Description, came: Description, profile: Profile, anew: Anew
) -> Description:
    columns = {}
    for name, of in former.columns.items():
        if not of.is_text:
            _require(name in anew.numbers)
            columns[name] = anew.numbers[name]
            continue
        gone, new = left.columns.get(name, Figures(True, 0)), came.columns.get(name, Figures(True, 0))
        counts = profile.columns[name].counts if name in profile.columns else None
        _require(counts is not None or not of.counts)  # the most frequent of many values
        told = counts or {}
        known = _moved(of.known, gone.known, new.known)
        columns[name] = Figures(
            True,
            known,
            _moved(of.characters, gone.characters, new.characters),
            dict(sorted(told.items())),
            counts_all=sum(told.values()) == known,
        )
    return Description(profile.rows, columns)


def _hashes(change: Change, name: str) -> "NDArray[np.uint64]":
    hashes = change.former.hashes[name]
    if change.left is not None:
        hashes = less(hashes, change.left.hashes[name])
    if change.came is not None:
        hashes = together(hashes, change.came.hashes[name])
    return hashes
