"""What a rule found broken: which column, in which month, and how far; never a claim's value."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from fraud_ml.validation.evidence import NEWEST, Compared, Evidence


@dataclass(frozen=True)
class Broken:
    """warns: too little to stop the snapshot. size: how bad it is, to choose a column's worst month."""

    arrived: str
    column: str | None = None
    month: str | None = None
    count: int | None = None
    share: float | None = None
    warns: bool = False
    size: float = 0.0


def worst(found: Iterable[Broken]) -> Iterator[Broken]:
    """Yield of each column the one that stops, else warns, in its worst month; and say in how many months more."""
    by_column: dict[str | None, list[Broken]] = {}
    for one in found:
        by_column.setdefault(one.column, []).append(one)
    for mine in by_column.values():
        first = min(mine, key=lambda one: (one.warns, -one.size, one.month or ""))
        others = sum(one.warns == first.warns for one in mine) - 1
        more = f"; {others} other months too" if others else ""
        yield Broken(first.arrived + more, first.column, first.month, first.count, first.share, first.warns, first.size)


def worst_and_newest(
    evidence: Evidence, name: str, judge: Callable[[Iterable[Compared]], Iterable[Broken]], *, settled: bool = True
) -> Iterator[Broken]:
    """Yield what `worst` does of the column's months, and warn where only the newest ones together break the rule.

    A fault that came with a quarter's delivery may lie within chance in each of its months.
    """
    found = list(judge(evidence.compared(name, settled=settled)))
    yield from worst(found)
    together = evidence.newest(name, settled=settled)
    if together is None or {one.month for one in found} & set(together.months):
        return
    for one in worst(judge([together])):
        yield replace(one, arrived=f"{NEWEST} months together: {one.arrived}", warns=True)
