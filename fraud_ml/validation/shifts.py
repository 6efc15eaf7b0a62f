"""How far two samples differ, and how far chance alone would have them differ: effect and significance, both."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

FALSE_ALARM = 1e-6  # chance of one comparison to exceed its bound where nothing changed; a snapshot makes thousands
Z = NormalDist().inv_cdf(1 - FALSE_ALARM)
Z_BESIDE = 1.645  # one in twenty: beside a test against all months before, it rules out what a column does by itself


@dataclass(frozen=True)
class Shift:
    """A population stability index, and what sampling alone exceeds once in a million times."""

    index: float
    bound: float

    @property
    def beyond_chance(self) -> float:
        return max(0.0, self.index - self.bound)


def stability_index(now: Sequence[int], before: Sequence[int]) -> Shift:
    """Return the population stability index of counts over the same bins; 0 is equal, 0.25 is commonly acted upon.

    Every bin counts half a row more, so that an empty one does not make the index infinite. Where nothing changed the
    index follows (1/n + 1/m) times chi squared with bins - 1 degrees of freedom.
    Source: Yurdakul 2018, Statistical Properties of Population Stability Index.
    """
    bins = [(a, b) for a, b in zip(now, before, strict=True) if a or b]
    n, m = sum(a for a, _ in bins), sum(b for _, b in bins)
    if not n or not m or len(bins) < 2:
        return Shift(0.0, 0.0)
    half = len(bins) / 2
    index = 0.0
    for a, b in bins:
        p, q = (a + 0.5) / (n + half), (b + 0.5) / (m + half)
        index += (p - q) * math.log(p / q)
    return Shift(index, (1 / n + 1 / m) * chi_squared_quantile(len(bins) - 1))


def chi_squared_quantile(degrees: int) -> float:
    """Return what chi squared exceeds with the chance FALSE_ALARM, to 1 %. Source: Wilson and Hilferty 1931."""
    if degrees == 1:
        return NormalDist().inv_cdf(1 - FALSE_ALARM / 2) ** 2
    if degrees == 2:
        return -2 * math.log(FALSE_ALARM)
    part = 2 / (9 * degrees)
    return float(degrees * (1 - part + Z * math.sqrt(part)) ** 3)


def share_gap(count: int, rows: int, count_before: int, rows_before: int) -> float:
    """Return by how much a share rose at least: the lower end of the difference's interval, 0 where chance explains it.

    Both shares are drawn to 1/2 by z²/2 rows each, so that small samples say little. Source: Agresti and Caffo 2000,
    with z for FALSE_ALARM. A fall is the rise of the complement.
    """
    if not rows or not rows_before:
        return 0.0
    extra = Z**2 / 4
    p = (count + extra) / (rows + 2 * extra)
    q = (count_before + extra) / (rows_before + 2 * extra)
    width = Z * math.sqrt(p * (1 - p) / (rows + 2 * extra) + q * (1 - q) / (rows_before + 2 * extra))
    return max(0.0, p - q - width)


def rise(count: int, rows: int, count_before: int, rows_before: int) -> float:
    """Return how many standard deviations a share rose: the signed root of the likelihood ratio, below 0 for a fall.

    It keeps its meaning where one of the counts is small or zero, where `share_gap` sees nothing.
    Source: Barndorff-Nielsen and Cox 1994, Inference and Asymptotics.
    """
    if not rows or not rows_before:
        return 0.0
    both = (count + count_before) / (rows + rows_before)
    gain = sum(
        part * math.log(part / (of * share))
        for k, of in ((count, rows), (count_before, rows_before))
        for part, share in ((k, both), (of - k, 1 - both))
        if part
    )
    return math.copysign(math.sqrt(2 * max(gain, 0.0)), count / rows - count_before / rows_before)


def count_gap(count: int, expected: float) -> bool:
    """Say whether a count of independent events lies beyond chance of the expected one (Poisson, normal limit)."""
    return abs(count - expected) > Z * math.sqrt(max(count, expected, 1.0))


def aligned(now: Mapping[str, int], before: Mapping[str, int]) -> tuple[list[int], list[int]]:
    """Return both counts over the values of either, in one order."""
    values = sorted({*now, *before})
    return [now.get(value, 0) for value in values], [before.get(value, 0) for value in values]
