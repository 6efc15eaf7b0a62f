"""The same claim again, under another key."""

from collections.abc import Iterator
from itertools import combinations

from fraud_ml.contract import Kind
from fraud_ml.validation.evidence import ENOUGH_ROWS, Evidence
from fraud_ml.validation.profile import Profile
from fraud_ml.validation.rules.broken import Broken, worst

_FEW, _FEW_SHARE = 3, 0.001
_EQUAL = 0.01  # share of rows by which two months' counts differ at most, in every feature
_ENOUGH_COUNTS = 40  # that are compared: fewer may be alike by chance


def copied(evidence: Evidence) -> Iterator[Broken]:
    """Break on rows that are equal in all but key and moment of recording; a few only warn."""
    rows = evidence.whole.copies
    if rows:
        share = rows / evidence.whole.rows
        month = max(evidence.months, key=lambda one: (evidence.months[one].copies, one))
        told = f"{rows:,} of {evidence.whole.rows:,} rows tell again what another key tells"
        yield Broken(told, None, month, rows, share, warns=rows < _FEW or share < _FEW_SHARE)


def repeated(evidence: Evidence) -> Iterator[Broken]:
    """Break on a month whose features are, count by count, those of an earlier one."""
    yield from worst(_repeated(evidence))


def _repeated(evidence: Evidence) -> Iterator[Broken]:
    features = [column.name for column in evidence.columns(Kind.CATEGORY, Kind.NUMBER, features_only=True)]
    for earlier, later in combinations(evidence.complete, 2):
        one, other = evidence.months[earlier], evidence.months[later]
        if min(one.rows, other.rows) >= ENOUGH_ROWS and _are_equal(one, other, features):
            yield Broken(f"its {other.rows:,} claims are counted as those of {earlier} were", None, later, other.rows)


def _are_equal(one: Profile, other: Profile, features: list[str]) -> bool:
    if abs(one.rows - other.rows) > _EQUAL * one.rows:
        return False
    compared = 0
    for name in features:
        if name not in one.columns or name not in other.columns:
            continue
        a, b = one.columns[name].counts or {}, other.columns[name].counts or {}
        values = {*a, *b}
        if sum(abs(a.get(value, 0) - b.get(value, 0)) for value in values) > _EQUAL * one.rows:
            return False
        compared += len(values)
    return compared >= _ENOUGH_COUNTS
