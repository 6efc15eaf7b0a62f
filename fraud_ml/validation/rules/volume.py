"""How many claims a month holds, against the months before and the same season a year ago."""

from collections.abc import Iterator
from statistics import median

from fraud_ml.validation.evidence import Evidence, end_of, next_month
from fraud_ml.validation.rules.broken import Broken, worst
from fraud_ml.validation.shifts import count_gap

_STRAYS = 0.01  # share of rows in the earliest months that are dated wrongly, or before the insurer kept a log
_FEWER, _MORE = 0.7, 1.6  # times what is usual: warns, where half and twice stop
_BEFORE = 2  # months that say what is usual
_MONTHS = 6  # of which the median is what is usual: growth within half a year is not news


def unusual_months(evidence: Evidence) -> Iterator[Broken]:
    """Break on a month below half, or above twice, of what is usual both lately and for the season, beyond chance.

    Less than that warns.

    A month without any claim up to the as-of date counts as zero claims.
    """
    yield from worst(_unusual(evidence))


def _unusual(evidence: Evidence) -> Iterator[Broken]:
    if not evidence.complete:
        return
    counts: dict[str, int] = {}
    month = _first_usual(evidence)
    while end_of(month) <= evidence.as_of:
        counts[month] = evidence.months[month].rows if month in evidence.months else 0
        month = next_month(month)
    months = list(counts)
    for place, month in enumerate(months):
        lately = [counts[one] for one in months[max(0, place - _MONTHS) : place]]
        if len(lately) < (_BEFORE if counts[month] else 1):  # a month without any claim needs no comparison
            continue
        usual = [float(median(lately))]
        if place >= 12:
            usual.append(float(counts[months[place - 12]]))
        rows = counts[month]
        if not all(count_gap(rows, one) for one in usual):
            continue
        if all(rows < one / 2 for one in usual) or all(rows > one * 2 for one in usual):
            yield _broken(month, rows, usual, warns=False)
        elif all(rows < one * _FEWER for one in usual) or all(rows > one * _MORE for one in usual):
            yield _broken(month, rows, usual, warns=True)


def _first_usual(evidence: Evidence) -> str:
    """Return the first month that is not among the stray ones at the beginning."""
    seen = 0
    for month in evidence.complete:
        seen += evidence.months[month].rows
        if seen > _STRAYS * evidence.whole.rows:
            return month
    return evidence.complete[-1]


def _broken(month: str, rows: int, usual: list[float], *, warns: bool) -> Broken:
    ratio = rows / max(usual[0], 1)
    told = f"{rows:,} claims, where {usual[0]:,.0f} are usual ({ratio:.2f} ×)"
    return Broken(told, month=month, count=rows, warns=warns, size=max(ratio, 1 / max(ratio, 0.01)))
