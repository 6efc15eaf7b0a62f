"""Small groups of numbers that are wrong among many that are right: filled in, beyond the usual, or all a little off.

Each comparison needs both an effect that matters and a significance that many comparisons leave standing.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from fraud_ml.contract import Column, Kind, Role
from fraud_ml.validation.evidence import Compared, Evidence
from fraud_ml.validation.profile import ColumnProfile, quantiles
from fraud_ml.validation.rules.broken import Broken, worst_and_newest
from fraud_ml.validation.shifts import Z, rise

_FILLED_STOPS, _FILLED_WARNS = 0.1, 0.04  # by how much one number's share rose
_TAIL = 0.01  # the usual numbers are all but the lowest and the highest hundredth of before
_THICKER = 3.0  # times as many beyond the usual
_TAIL_STOPS = 0.1  # share of rows
_Z_RANKED = 3.5  # a warning on each column and month, of which there are some hundreds
_RANKED = 0.03  # distance from one half of the chance that a number now is greater than one of before


def filled_in(evidence: Evidence) -> Iterator[Broken]:
    """Break where a single number, known to 4 %, takes a share of the rows that it never had."""
    for column in evidence.columns(Kind.NUMBER):
        yield from worst_and_newest(evidence, column.name, partial(_filled_in, column))


def _filled_in(column: Column, pairs: Iterable[Compared]) -> Iterator[Broken]:
    name, context = column.name, column.role is not Role.FEATURE
    for pair in pairs:
        others = [other for other in (pair.before, pair.season) if other is not None and other.known]
        for bucket, rows in (pair.now.counts or {}).items():
            share = rows / pair.now.known
            grew = min(share - (other.counts or {}).get(bucket, 0) / other.known for other in others)
            if grew < _FILLED_WARNS or not _rose(rows, pair, bucket, others):
                continue
            told = f"{rows:,} of {pair.now.known:,} numbers are about the same, {grew:.1%} more than before"
            yield Broken(told, name, pair.month, rows, share, warns=context or grew < _FILLED_STOPS, size=grew)


def _rose(rows: int, pair: Compared, bucket: str, others: list[ColumnProfile]) -> bool:
    return all(rise(rows, pair.now.known, (o.counts or {}).get(bucket, 0), o.known) > Z for o in others)


def thick(evidence: Evidence) -> Iterator[Broken]:
    """Break where three times as many numbers as before lie beyond what was usual, above or below."""
    for column in evidence.columns(Kind.NUMBER):
        yield from worst_and_newest(evidence, column.name, partial(_thick, column))


def _thick(column: Column, pairs: Iterable[Compared]) -> Iterator[Broken]:
    name, context = column.name, column.role is not Role.FEATURE
    for pair in pairs:
        if not pair.now.counts or not pair.before.counts:
            continue
        low, high = quantiles(pair.before.counts, _TAIL, 1 - _TAIL)
        for where, below, edge in (("below", True, low), ("above", False, high)):
            rows = _beyond(pair.now.counts, edge, below=below)
            others = [
                (_beyond(other.counts, edge, below=below), other.known)
                for other in (pair.before, pair.season)
                if other is not None and other.counts
            ]
            share = rows / pair.now.known
            usual = max(count / known for count, known in others)
            if share > _THICKER * usual and all(rise(rows, pair.now.known, *other) > Z for other in others):
                told = f"{rows:,} of {pair.now.known:,} numbers ({share:.2%}) lie {where} the usual, before {usual:.2%}"
                yield Broken(told, name, pair.month, rows, share, warns=context or share < _TAIL_STOPS, size=share)


def _beyond(counts: Mapping[str, int], edge: int, *, below: bool) -> int:
    return sum(rows for bucket, rows in counts.items() if (int(bucket) < edge if below else int(bucket) > edge))


def ranked(evidence: Evidence) -> Iterator[Broken]:
    """Warn where a number now is greater than one of before more or less often than by chance.

    Source: Mann and Whitney 1947, on the buckets' counts, ties counting half.
    """
    for column in evidence.columns(Kind.NUMBER):
        yield from worst_and_newest(evidence, column.name, partial(_ranked, column))


def _ranked(column: Column, pairs: Iterable[Compared]) -> Iterator[Broken]:
    for pair in pairs:
        steps = [
            above(pair.now.counts, other.counts, _Z_RANKED)
            for other in (pair.before, pair.season)
            if other is not None and other.counts and pair.now.counts
        ]
        if steps and min(abs(step) - chance for step, chance in steps) > 0 and len({s > 0 for s, _ in steps}) == 1:
            step = min((step for step, _ in steps), key=abs)
            if abs(step) >= _RANKED:
                told = f"a number now is greater than one of before in {0.5 + step:.1%} of all pairs"
                yield Broken(told, column.name, pair.month, pair.now.known, warns=True, size=abs(step))


def above(now: Mapping[str, int], before: Mapping[str, int], z: float) -> tuple[float, float]:
    """Return the chance that a number now is the greater, less one half, and what sampling alone exceeds rarely.

    z: how many standard deviations are rare.
    """
    n, m = sum(now.values()), sum(before.values())
    won = below = 0.0
    for bucket in sorted({*now, *before}, key=int):
        rows = before.get(bucket, 0)
        won += now.get(bucket, 0) * (below + rows / 2)
        below += rows
    return won / (n * m) - 0.5, z * math.sqrt((n + m + 1) / (12 * n * m))
