"""Which event months a rule of each month is asked of: those whose claims have arrived, and are enough to tell."""

from collections.abc import Mapping
from datetime import date, timedelta

from fraud_ml.validation.evidence import ENOUGH_ROWS, end_of
from fraud_ml.validation.profiling import NO_MONTH

SETTLED_DAYS = 28  # after a month's end, in which accidents are still reported
_STRAYS = 0.01  # share of rows in the earliest months that are dated wrongly, or before the insurer kept a log


def settled_months(rows: Mapping[str, int], as_of: date, *, with_few: bool = False) -> tuple[str, ...]:
    """Return the months (YYYY-MM), oldest first, that were over for SETTLED_DAYS and hold ENOUGH_ROWS claims.

    rows: month -> claims. The earliest months, up to one claim in a hundred of all, are strays. with_few: also months
    of fewer claims, for a rule about how many there are.
    """
    found, seen = [], 0
    for month in sorted(month for month in rows if month != NO_MONTH):
        seen += rows[month]
        is_over = end_of(month) + timedelta(days=SETTLED_DAYS) <= as_of
        if is_over and seen > _STRAYS * sum(rows.values()) and (with_few or rows[month] >= ENOUGH_ROWS):
            found.append(month)
    return tuple(found)
