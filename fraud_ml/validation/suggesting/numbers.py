"""Between what a column's numbers lie, month by month and in all: quantiles from the profiles' buckets, and means."""

from fraud_ml.validation.describing import add_descriptions
from fraud_ml.validation.evidence import ENOUGH_ROWS
from fraud_ml.validation.profile import merge
from fraud_ml.validation.suggesting.figures import MEAN
from fraud_ml.validation.suggesting.limits import (
    Limits,
    limits_of_months,
    mean_interval,
    quantile_interval,
)
from fraud_ml.validation.suggesting.room import Room
from fraud_ml.validation.suite import Rule


def range_limits(rule: Rule, room: Room) -> tuple[Limits, Limits] | None:
    """Return the limits of the low and of the high quantile that leave `mostly` of the numbers between them."""
    low, high = _shares(rule)
    found = []
    for share in (low, high):
        months = {}
        for one in room.learned:
            column = one.profile.columns.get(rule.columns[0])
            if column is not None and column.counts and sum(column.counts.values()) >= ENOUGH_ROWS:
                months[one.month] = quantile_interval(column.counts, share)
        limits = limits_of_months(months)
        if limits is None:
            return None
        found.append(limits)
    return found[0], found[1]


def mean_limits(rule: Rule, room: Room) -> tuple[Limits, Limits] | None:
    """Return the limits of the mean, twice: for both of its bounds."""
    months = {}
    for one in room.learned:
        figures = one.description.columns.get(rule.columns[0])
        if figures is not None and figures.known >= ENOUGH_ROWS and figures.squares >= 0:
            months[one.month] = mean_interval(figures.mean, figures.squares, figures.known)
    limits = limits_of_months(months)
    return None if limits is None else (limits, limits)


def whole_range(rule: Rule, room: Room) -> tuple[float, float]:
    """Return both quantiles, or twice the mean, of all claims together."""
    name = rule.columns[0]
    if rule.type == MEAN:
        mean = add_descriptions(one.description for one in room.summaries).columns[name].mean
        return mean, mean
    column = merge(one.profile for one in room.summaries).columns[name]
    low, high = (quantile_interval(column.counts or {}, share).value for share in _shares(rule))
    return low, high


# --- inside ---------------------------------------------------------------------------------------------------------


def _shares(rule: Rule) -> tuple[float, float]:
    """Return the shares of the numbers below both quantiles; a rule of one bound leaves all of its tail to that."""
    tail = 1.0 - float(rule.kwargs.get("mostly", 1.0))
    bounds = [rule.kwargs.get(name) is not None for name in ("min_value", "max_value")]
    if bounds in ([True, False], [False, True]):
        return tail, 1.0 - tail
    return tail / 2, 1.0 - tail / 2
