"""Is each column still filled, with values that vary?"""

import math
from collections.abc import Iterator

from fraud_ml.contract import Kind, Role
from fraud_ml.validation.evidence import NEWEST, Compared, Evidence
from fraud_ml.validation.rules.broken import Broken, worst
from fraud_ml.validation.shifts import FALSE_ALARM, Z_BESIDE, Z, rise, share_gap

_STOPS, _WARNS = 0.05, 0.02  # by how much the missing share rose at least
_NOTED = 0.01  # a rise of so much warns where chance explains none of it, as where nothing was missing before
_ENOUGH_ROWS = 1_000  # of which a declared category column holds more than one value


def missing_more(evidence: Evidence) -> Iterator[Broken]:
    """Break where the missing share rose beyond chance, against the months before and the season.

    Where no month of the newest stands out, all of them together may: that warns.
    """
    for column in evidence.contract.columns:
        if column.role is not Role.LABEL and column.name in evidence.whole.columns:
            found = list(_missing(evidence, column.name))
            yield from worst(found)
            yield from _missing_together(evidence, column.name, told={one.month for one in found})


def _missing(evidence: Evidence, name: str) -> Iterator[Broken]:
    for pair in evidence.compared(name, settled=False):
        missing = pair.rows - pair.now.known
        gap = share_gap(missing, pair.rows, pair.rows_before - pair.before.known, pair.rows_before)
        if pair.season is not None:
            gap = min(gap, share_gap(missing, pair.rows, pair.rows_season - pair.season.known, pair.rows_season))
        share, before = missing / pair.rows, 1 - pair.before.known / pair.rows_before
        if gap >= _WARNS or (share - before >= _NOTED and _rose(pair)):
            told = f"{missing:,} of {pair.rows:,} rows are missing ({share:.2%}), before {before:.2%}"
            yield Broken(told, name, pair.month, missing, share, warns=gap < _STOPS, size=gap)


def _missing_together(evidence: Evidence, name: str, *, told: set[str | None]) -> Iterator[Broken]:
    """Warn on a rise beyond chance, to more than in the season and in any as many months in a row before.

    told: months that were told alone; where one of the newest is, nothing remains to be said.

    A share that varies by itself from month to month, as the one of car claims whose age is not known, has been as high
    before. The chance of a false alarm is FALSE_ALARM a column where it does not vary.
    """
    pair = evidence.newest(name, settled=False)
    if pair is None or told & set(pair.months):
        return
    missing, missing_before = pair.rows - pair.now.known, pair.rows_before - pair.before.known
    share, before = missing / pair.rows, missing_before / pair.rows_before
    if share - before < _NOTED or rise(missing, pair.rows, missing_before, pair.rows_before) <= Z:
        return
    beside = [*pair.windows, *([(pair.season, pair.rows_season)] if pair.season else [])]
    if all(rise(missing, pair.rows, rows - known.known, rows) > Z_BESIDE for known, rows in beside):
        arrived = f"{missing:,} of {pair.rows:,} rows are missing ({share:.2%}), before {before:.2%}"
        yield Broken(
            f"{NEWEST} months together: {arrived}", name, pair.month, missing, share, warns=True, size=share - before
        )


def _rose(pair: Compared) -> bool:
    others = [(pair.before, pair.rows_before)] + ([(pair.season, pair.rows_season)] if pair.season else [])
    missing = pair.rows - pair.now.known
    return all(rise(missing, pair.rows, rows - known.known, rows) > Z for known, rows in others)


def hours_lost(evidence: Evidence) -> Iterator[Broken]:
    """Break where timestamps that had an hour have none, beyond chance."""
    for column in evidence.contract.columns:
        if column.kind is Kind.TIMESTAMP and column.name in evidence.whole.columns:
            yield from worst(_hours_lost(evidence, column.name))


def _hours_lost(evidence: Evidence, name: str) -> Iterator[Broken]:
    for pair in evidence.compared(name, settled=False):
        rows = pair.now.midnights
        gap = share_gap(rows, pair.now.known, pair.before.midnights, pair.before.known)
        if gap >= _WARNS:
            share, before = rows / pair.now.known, pair.before.midnights / pair.before.known
            told = f"{rows:,} of {pair.now.known:,} times are midnight ({share:.2%}), before {before:.2%}"
            yield Broken(told, name, pair.month, rows, share, warns=gap < _STOPS, size=gap)


def constant(evidence: Evidence) -> Iterator[Broken]:
    """Break where a column that varied has one value; features stop, columns kept for people warn."""
    for column in evidence.columns(Kind.CATEGORY, Kind.NUMBER):
        warns = column.role is not Role.FEATURE
        found = list(worst(_constant(evidence, column.name, warns=warns)))
        whole = evidence.whole
        counts = whole.columns[column.name].counts
        if not found and counts is not None and len(counts) == 1 and whole.rows >= _ENOUGH_ROWS:
            told = f"one value in all {whole.rows:,} rows"
            declared = len(evidence.declared.get(column.name, ())) > 1
            found.append(Broken(told, column.name, None, whole.rows, 1.0, warns=warns or not declared))
        yield from found


def _constant(evidence: Evidence, name: str, *, warns: bool) -> Iterator[Broken]:
    for pair in evidence.compared(name):
        if pair.now.counts is None or len(pair.now.counts) != 1 or not pair.before.counts:
            continue
        if _chance(pair) < FALSE_ALARM and (pair.season is None or len(pair.season.counts or ()) != 1):
            told = f"one value in all {pair.now.known:,} rows, before {len(pair.before.counts):,}"
            yield Broken(told, name, pair.month, pair.now.known, 1.0, warns=warns, size=float(pair.now.known))


def _chance(pair: Compared) -> float:
    """Return the chance that as many rows hold nothing but the most frequent value of before."""
    most = max((pair.before.counts or {}).values())
    return math.exp(pair.now.known * math.log(most / pair.before.known))
