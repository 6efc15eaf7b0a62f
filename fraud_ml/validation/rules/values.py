"""How many values a column has: one of few that suddenly has many holds something else."""

from collections.abc import Iterator

from fraud_ml.contract import Kind
from fraud_ml.validation.evidence import ENOUGH_MONTHS, ENOUGH_ROWS, Evidence
from fraud_ml.validation.profile import FEW_VALUES
from fraud_ml.validation.rules.broken import Broken, worst

_TIMES, _BESIDE = 2, 20  # times the values of any month before, and so many more
_REPEATED = 0.5  # values for each row: a column of more names each claim anew


def exploded(evidence: Evidence) -> Iterator[Broken]:
    """Break where a column has far more different values than in any month before, and had few."""
    for column in evidence.columns(Kind.CATEGORY):
        yield from worst(_exploded(evidence, column.name))


def _exploded(evidence: Evidence, name: str) -> Iterator[Broken]:
    most = 0
    months = [month for month in evidence.complete if evidence.months[month].distinct.get(name)]
    for place, month in enumerate(months):
        profile = evidence.months[month]
        values = profile.distinct[name]
        if place >= ENOUGH_MONTHS and values > _TIMES * most + _BESIDE:
            told = f"about {values:,} values, before at most {most:,} in a month"
            yield Broken(told, name, month, size=values / most)
            continue
        if profile.rows >= ENOUGH_ROWS and values > min(FEW_VALUES, _REPEATED * profile.rows):
            return
        most = max(most, values)
