"""How values are written: in other letters than before, or cut."""

from collections.abc import Iterator, Mapping

from fraud_ml.contract import Kind, Role
from fraud_ml.validation.evidence import Evidence
from fraud_ml.validation.rules.broken import Broken, worst
from fraud_ml.validation.shifts import share_gap

_STOPS = 0.005  # share of rows in another spelling
_SHORTER = 0.01


def other_case(evidence: Evidence) -> Iterator[Broken]:
    """Break on categories that differ from a more frequent one by case alone, unless the suite declares them."""
    for column in evidence.columns(Kind.CATEGORY):
        counts = evidence.whole.columns[column.name].counts
        if not counts:
            continue
        most: dict[str, str] = {}
        for value in sorted(counts, key=lambda value: (-counts[value], value)):
            most.setdefault(value.casefold(), value)
        declared = evidence.declared.get(column.name, frozenset())
        rows = sum(
            count for value, count in counts.items() if most[value.casefold()] != value and value not in declared
        )
        if rows:
            known = evidence.whole.columns[column.name].known
            told = f"{rows:,} of {known:,} rows hold a category in other letters"
            yield Broken(told, column.name, None, rows, rows / known, warns=rows / known < _STOPS)


def shortened(evidence: Evidence) -> Iterator[Broken]:
    """Break where text is shorter than any before: leading zeros were lost, or text was cut."""
    for column in evidence.contract.columns:
        is_told_by_length = column.kind is Kind.CATEGORY and column.role in (Role.KEY, Role.CONTEXT, Role.FEATURE)
        profile = evidence.whole.columns.get(column.name)
        if is_told_by_length and profile is not None:
            yield from worst(_shortened(evidence, column.name))


def _shortened(evidence: Evidence, name: str) -> Iterator[Broken]:
    for pair in evidence.compared(name, settled=False):
        now, before = pair.now.lengths_of_text, pair.before.lengths_of_text
        if not now or not before:
            continue
        shortest = min(map(int, before))
        rows = _below(now, shortest)
        gap = share_gap(rows, pair.now.known, 0, pair.before.known)
        if gap >= _SHORTER:
            told = f"{rows:,} of {pair.now.known:,} texts are shorter than any before"
            yield Broken(told, name, pair.month, rows, rows / pair.now.known, size=gap)


def _below(lengths: Mapping[str, int], shortest: int) -> int:
    return sum(rows for length, rows in lengths.items() if int(length) < shortest)
