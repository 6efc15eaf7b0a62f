"""From what single months showed to a limit that later months should keep: robust, and never tighter than observed.

Each month tells an interval in which its true figure lies, for it is a sample: ERRORS standard errors to each side.
What is usual is the median m of the months, and their spread s = 1.4826 × median |x − m|. A month whose whole interval
lies beyond m ± SPREADS × s is unusual: nothing is learned from it. The limit is the hull of m ± SPREADS × s and of the
intervals of all other months, rounded outwards.

Sources: Rousseeuw and Croux 1993 (spread); Iglewicz and Hoaglin 1993 (3.5 spreads make an outlier); Wilson 1927
(interval of a share); Hahn and Meeker 1991 (interval of a quantile).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from fraud_ml.validation.profile import BUCKET_OFFSET, BUCKETS_PER_E

SPREADS = 3.5
ERRORS = 3.0
ENOUGH_TO_LEARN = 3  # months; fewer say nothing about what is usual
_NORMAL = 1.4826  # makes the median distance the standard deviation of a normal distribution


@dataclass(frozen=True)
class Interval:
    """A month's figure, and between what its true figure lies."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Limits:
    """Between what later months should lie; `learned` from these months, and not from the `unusual` ones.

    least, most: what those months showed, which lies between low and high.
    """

    low: float
    high: float
    least: float
    most: float
    learned: tuple[str, ...]
    unusual: tuple[str, ...]


def limits_of_months(
    months: Mapping[str, Interval], *, spread: float | None = None, enough: int = ENOUGH_TO_LEARN
) -> Limits | None:
    """Return the limits that the months (YYYY-MM -> interval) give, or None where fewer than `enough` are usual.

    spread: s, where more than these months tell it.
    """
    if len(months) < enough:
        return None
    middle = median(one.value for one in months.values())
    if spread is None:
        spread = spread_of([one.value - middle for one in months.values()])
    low, high = middle - SPREADS * spread, middle + SPREADS * spread
    usual = {month: one for month, one in months.items() if one.low <= high and one.high >= low}
    if len(usual) < enough:
        return None
    return Limits(
        min(low, *(one.low for one in usual.values())),
        max(high, *(one.high for one in usual.values())),
        min(one.value for one in usual.values()),
        max(one.value for one in usual.values()),
        tuple(sorted(usual)),
        tuple(sorted(months.keys() - usual.keys())),
    )


def spread_of(residuals: Sequence[float]) -> float:
    """Return the robust standard deviation of distances from a median."""
    return _NORMAL * median(abs(one) for one in residuals)


def share_interval(count: int, rows: int) -> Interval:
    """Return the share of `count` in `rows` (at least 1) with Wilson's interval."""
    share, extra = count / rows, ERRORS**2 / rows
    middle = (share + extra / 2) / (1 + extra)
    width = ERRORS / (1 + extra) * math.sqrt(share * (1 - share) / rows + extra / (4 * rows))
    return Interval(share, min(share, max(0.0, middle - width)), max(share, min(1.0, middle + width)))


def count_interval(count: int) -> Interval:
    """Return the natural logarithm of a count (at least 1) of independent events, with its interval."""
    middle, width = math.log(count), ERRORS / math.sqrt(count)
    return Interval(middle, middle - width, middle + width)


def mean_interval(mean: float, squares: float, known: int) -> Interval:
    """Return a mean of `known` numbers (at least 1) whose squared distances from it add up to `squares`."""
    width = ERRORS * math.sqrt(max(squares, 0.0)) / known
    return Interval(mean, mean - width, mean + width)


def quantile_interval(counts: Mapping[str, int], share: float) -> Interval:
    """Return a quantile of numbers that are counted by bucket (some is), from the buckets' outer edges."""
    ordered = sorted((int(bucket), rows) for bucket, rows in counts.items())
    rows = sum(count for _, count in ordered)
    width = ERRORS * math.sqrt(share * (1 - share) / rows)
    places = [_at(ordered, rows * one) for one in (share, share - width, share + width)]
    value = edges_of(places[0])[0 if share < 0.5 else 1]
    return Interval(value, edges_of(places[1])[0], edges_of(places[2])[1])


def edges_of(bucket: int) -> tuple[float, float]:
    """Return the least and the greatest number of a bucket of `profile.py`.

    >>> edges_of(0)
    (0.0, 0.0)
    """
    if bucket == 0:
        return 0.0, 0.0
    size = abs(bucket) - BUCKET_OFFSET
    inner, outer = math.exp((size - 1) / BUCKETS_PER_E), math.exp(size / BUCKETS_PER_E)
    return (inner, outer) if bucket > 0 else (-outer, -inner)


def rounded_down(number: float, digits: int = 2) -> float:
    """Return the number, or a lower one, in so many significant digits.

    >>> [rounded_down(one) for one in (0.0, 1234.0, -0.0567)]
    [0.0, 1200.0, -0.057]
    """
    if number == 0 or not math.isfinite(number):
        return number
    places = digits - 1 - math.floor(math.log10(abs(number)))
    step = 10.0**places
    found = math.floor(round(number * step, 6)) / step
    return round(found, max(places, 0)) + 0.0


def rounded_up(number: float, digits: int = 2) -> float:
    """Return the number, or a greater one, in so many significant digits."""
    return -rounded_down(-number, digits) + 0.0


def share_down(share: float) -> float:
    """Return the share in thousandths, rounded down."""
    return math.floor(round(share * 1000, 6)) / 1000


# --- inside ---------------------------------------------------------------------------------------------------------


def _at(ordered: Sequence[tuple[int, int]], wanted: float) -> int:
    """Return the first bucket up to which `wanted` rows lie, or the last."""
    seen = 0
    for bucket, rows in ordered:
        seen += rows
        if seen >= wanted and seen:
            return bucket
    return ordered[-1][0]
