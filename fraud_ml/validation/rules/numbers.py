"""Where a column's numbers lie: drift, a change of unit, and numbers far beyond the rest."""

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from fraud_ml.contract import Column, Kind, Role
from fraud_ml.validation.evidence import Compared, Evidence
from fraud_ml.validation.profile import BUCKETS_PER_E, ColumnProfile, binned, quantiles, tenths
from fraud_ml.validation.rules.broken import Broken, worst, worst_and_newest
from fraud_ml.validation.shifts import Shift, Z, stability_index

_STOPS, _WARNS = 0.25, 0.1  # stability index beyond chance
_QUARTILES = (0.25, 0.5, 0.75)
_FACTOR = math.log(1.8)  # a smaller factor between units is drift
_TOGETHER = 0.25  # the quartiles' logarithms of the factor differ by no more
_ENOUGH_ROWS = 100  # below, a quartile may tell one claim's value, and tails are not known
_FAR = 4.0  # the fence: so many times as far from the median as the nine-tenths quantile, on the scale of logarithms
_MOVED = 0.1  # logarithm by which a median moved at least; half of it warns
_FEW, _FEW_SHARE = 5, 0.001  # fewer rows beyond the fence only warn


def drifted(evidence: Evidence) -> Iterator[Broken]:
    """Break where the shares of ten bins moved beyond chance, against the months before and the season."""
    for column in evidence.columns(Kind.NUMBER):
        yield from worst_and_newest(evidence, column.name, partial(_drifted, column))


def _drifted(column: Column, pairs: Iterable[Compared]) -> Iterator[Broken]:
    for pair, shift, beyond in _shifts(pairs):
        if beyond > _WARNS:
            told = f"stability index {shift.index:.2f}, of which chance explains {shift.bound:.2f}"
            warns = column.role is not Role.FEATURE or beyond <= _STOPS
            yield Broken(told, column.name, pair.month, pair.now.known, warns=warns, size=beyond)


def unit_changed(evidence: Evidence) -> Iterator[Broken]:
    """Break where a drift is one factor between all quartiles of before and now."""
    for column in evidence.columns(Kind.NUMBER):
        yield from worst(_unit_changed(evidence, column.name, warns=column.role is not Role.FEATURE))


def _unit_changed(evidence: Evidence, name: str, *, warns: bool) -> Iterator[Broken]:
    for pair, _, beyond in _shifts(evidence.compared(name)):
        factor = factor_between(pair)
        if factor is not None and beyond > _STOPS:
            told = f"all quartiles are about {math.exp(factor):.3g} times those of before"
            yield Broken(told, name, pair.month, pair.now.known, warns=warns, size=abs(factor))


def factor_between(pair: Compared) -> float | None:
    """Return the logarithm of the factor between the quartiles, if it is one and great."""
    now, before = pair.now.counts or {}, pair.before.counts or {}
    if min(pair.now.known, pair.before.known) < _ENOUGH_ROWS:
        return None
    moved = []
    for a, b in zip(quantiles(now, *_QUARTILES), quantiles(before, *_QUARTILES), strict=True):
        if a * b <= 0:
            return None
        moved.append((abs(a) - abs(b)) / BUCKETS_PER_E)
    same_way = all(step > _FACTOR for step in moved) or all(step < -_FACTOR for step in moved)
    return moved[1] if same_way and max(moved) - min(moved) <= _TOGETHER else None


def middle_moved(evidence: Evidence) -> Iterator[Broken]:
    """Break where the median moved by a tenth at least, beyond chance, against the months before and the season.

    The logarithm of a sample's median has a standard error of 1.2533 s/√n for a normal sample, with s taken as the
    quartiles' distance / 1.349. Source: Kendall and Stuart, The Advanced Theory of Statistics, volume 1.
    """
    for column in evidence.columns(Kind.NUMBER):
        yield from worst_and_newest(evidence, column.name, partial(_middle_moved, column))


def _middle_moved(column: Column, pairs: Iterable[Compared]) -> Iterator[Broken]:
    for pair in pairs:
        found = [_move(pair.now, pair.before)]
        if pair.season is not None:
            found.append(_move(pair.now, pair.season))
        least = min(abs(step) - width for step, width in found)
        if least > _MOVED / 2 and len({step > 0 for step, _ in found}) == 1:
            told = f"the median is {math.exp(found[0][0]):.2f} times that of before"
            warns = column.role is not Role.FEATURE or least <= _MOVED
            yield Broken(told, column.name, pair.month, pair.now.known, warns=warns, size=least)


def _move(now: ColumnProfile, before: ColumnProfile) -> tuple[float, float]:
    """Return the medians' difference as a logarithm, and how far chance moves it; (0, 0) where it does not exist."""
    if not now.counts or not before.counts or min(now.known, before.known) < _ENOUGH_ROWS:
        return 0.0, 0.0
    quartiles = [quantiles(one.counts or {}, *_QUARTILES) for one in (now, before)]
    if min(low for low, _, _ in quartiles) <= 0:
        return 0.0, 0.0
    width = 0.0
    for one, (low, _, high) in zip((now, before), quartiles, strict=True):
        width += (1.2533 * max(high - low, 1) / 1.349) ** 2 / one.known
    return (quartiles[0][1] - quartiles[1][1]) / BUCKETS_PER_E, (Z * math.sqrt(width) + 1) / BUCKETS_PER_E


def outliers(evidence: Evidence) -> Iterator[Broken]:
    """Break on numbers beyond a fence drawn from the median and the nine-tenths quantile of all months.

    On the scale of logarithms, so that a skewed amount has its tail; for a log-normal column one row in ten million
    lies beyond. A column whose median is zero has no such scale. Negative numbers among positive ones count too.
    """
    for column in evidence.columns(Kind.NUMBER):
        profile = evidence.whole.columns[column.name]
        counts = profile.counts or {}
        if profile.known < _ENOUGH_ROWS:
            continue
        beyond = _beyond(counts)
        if beyond:
            share = beyond / profile.known
            few = beyond < _FEW or share < _FEW_SHARE
            told = f"{beyond:,} of {profile.known:,} numbers lie far beyond the others"
            yield Broken(
                told, column.name, None, beyond, share, warns=few or column.role is not Role.FEATURE, size=share
            )


def _beyond(counts: Mapping[str, int]) -> int:
    middle, high = quantiles(counts, 0.5, 0.9)
    if middle <= 0:
        return 0
    fence = middle + max(_FAR * (high - middle), BUCKETS_PER_E * math.log(10))
    rows = sum(counts.values())
    negative = sum(count for bucket, count in counts.items() if int(bucket) < 0)
    unlikely = negative if negative < 0.02 * rows else 0
    return sum(count for bucket, count in counts.items() if int(bucket) > fence) + unlikely


def _shifts(pairs: Iterable[Compared]) -> Iterator[tuple[Compared, Shift, float]]:
    for pair in pairs:
        if not pair.now.counts or not pair.before.counts:
            continue
        shift = shift_by_tenths(pair.now.counts, pair.before.counts)
        beyond = shift.beyond_chance
        if pair.season is not None and pair.season.counts:
            beyond = min(beyond, shift_by_tenths(pair.now.counts, pair.season.counts).beyond_chance)
        yield pair, shift, beyond


def shift_by_tenths(now: Mapping[str, int], before: Mapping[str, int]) -> Shift:
    """Return how far numbers moved between the tenths of before; some row is counted then."""
    edges = tenths(before)
    return stability_index(binned(now, edges), binned(before, edges))
