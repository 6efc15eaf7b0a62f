"""How many values a column has: one of few that suddenly has many holds something else."""

from collections.abc import Iterator

from fraud_ml.contract import Kind
from fraud_ml.validation.evidence import Evidence
from fraud_ml.validation.profile import FEW_VALUES
from fraud_ml.validation.rules.broken import Broken, worst

_TIMES, _BESIDE = 2, 20  # times the values of any month before, and so many more


def exploded(evidence: Evidence) -> Iterator[Broken]:
    """Break where a column has far more values than in any month before, or too many to count and had few before."""
    for column in evidence.columns(Kind.CATEGORY):
        yield from worst(_exploded(evidence, column.name))


def _exploded(evidence: Evidence, name: str) -> Iterator[Broken]:
    most = 0
    for month in evidence.complete:
        profile = evidence.months[month].columns.get(name)
        if profile is None or profile.counts is None:
            break
        values = len(profile.counts)
        if most and values > _TIMES * most + _BESIDE:
            yield Broken(f"{values:,} values, before at most {most:,} in a month", name, month, size=values / most)
            continue
        most = max(most, values)
    for pair in evidence.compared(name, settled=False):
        if pair.now.counts is None and pair.before.counts is not None and len(pair.before.counts) <= FEW_VALUES / 2:
            told = f"more than {FEW_VALUES} values, before {len(pair.before.counts)}"
            yield Broken(told, name, pair.month, pair.now.known, size=1.0)
