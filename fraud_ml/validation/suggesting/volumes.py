"""How many claims a month brings: beside the same month of other years where two are known, else beside all."""

import math
from statistics import median

from fraud_ml.validation.settled import settled_months
from fraud_ml.validation.suggesting.limits import Interval, Limits, count_interval, limits_of_months, spread_of
from fraud_ml.validation.suggesting.room import Room

_YEARS = 2  # of a month of the year, which make a season


def volume_limits(room: Room) -> dict[tuple[int, ...], Limits]:
    """Return months of the year (1 to 12) -> limits of their rows: each alone, and together those of a single year.

    Figures are compared as logarithms, since a season multiplies. The spread of a season is that of all months about
    the median of their own month of the year: two years alone hardly tell one.
    """
    rows = {one.month: one.rows for one in room.summaries}
    settled = settled_months(rows, room.as_of, with_few=True)
    learned = {one.month for one in room.learned}
    months = {
        month: count_interval(rows[month])
        for month in settled
        if rows[month] and (month in learned or _is_between(month, sorted(learned)))
    }
    seasons: dict[int, dict[str, Interval]] = {}
    for month, interval in months.items():
        seasons.setdefault(int(month[5:]), {})[month] = interval
    known = {number: mine for number, mine in sorted(seasons.items()) if len(mine) >= _YEARS}
    residuals = [one.value - _middle(mine) for mine in known.values() for one in mine.values()]
    found: dict[tuple[int, ...], Limits] = {}
    for number, mine in known.items():
        limits = limits_of_months(mine, spread=spread_of(residuals), enough=_YEARS)
        if limits is not None:
            found[(number,)] = _as_rows(limits)
    others = tuple(number for number in range(1, 13) if (number,) not in found)
    limits = limits_of_months(months)
    if limits is not None and others:
        found[others if found else ()] = _as_rows(limits)
    return found


# --- inside ---------------------------------------------------------------------------------------------------------


def _middle(months: dict[str, Interval]) -> float:
    return float(median(one.value for one in months.values()))


def _is_between(month: str, learned: list[str]) -> bool:
    """Say whether a month of few claims lies among those that are learned from."""
    return bool(learned) and learned[0] <= month <= learned[-1]


def _as_rows(limits: Limits) -> Limits:
    low, high, least, most = (math.exp(one) for one in (limits.low, limits.high, limits.least, limits.most))
    return Limits(low, high, round(least), round(most), limits.learned, limits.unusual)
