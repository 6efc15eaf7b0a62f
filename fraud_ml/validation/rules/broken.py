"""What a rule found broken: which column, in which month, and how far; never a claim's value."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


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
