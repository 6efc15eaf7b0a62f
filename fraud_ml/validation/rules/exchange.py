"""Do two columns hold what the other one held? Each looks right where both have the same words."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from fraud_ml.contract import Kind, Role
from fraud_ml.validation.evidence import NEWEST, Evidence, Together
from fraud_ml.validation.rules.broken import Broken, worst
from fraud_ml.validation.shifts import FALSE_ALARM, aligned

_APART = 0.02  # stability index between two columns before: those that are more alike are not told apart


@dataclass(frozen=True)
class _Past:
    """Shares of the same values in two columns before, each value counting half a row more."""

    first: list[float]
    second: list[float]

    @property
    def logs(self) -> list[float]:
        return [math.log(b / a) for a, b in zip(self.first, self.second, strict=True)]

    @property
    def apart(self) -> float:
        """Return the stability index of one column held against the other."""
        return sum((b - a) * log for a, b, log in zip(self.first, self.second, self.logs, strict=True))


def exchanged(evidence: Evidence) -> Iterator[Broken]:
    """Break where each of two columns is likelier as the other one's continuation than as its own.

    Looked at are the newest month, and the newest three together. Under the shares of before the ratio of the two
    likelihoods exceeds 1 / FALSE_ALARM with a chance of FALSE_ALARM at most, whatever the columns: its mean is 1
    (Markov's inequality; source: Royall 1997, Statistical Evidence). Besides, each of the two columns alone must look
    more like the other, so that no drift of one is taken for an exchange.
    """
    for kind in (Kind.CATEGORY, Kind.NUMBER):
        for role in (Role.FEATURE, Role.CONTEXT):
            names = [column.name for column in evidence.columns(kind) if column.role is role]
            for first, second in combinations(names, 2):
                yield from worst(_exchanged(evidence, first, second))


def _exchanged(evidence: Evidence, first: str, second: str) -> Iterator[Broken]:
    for months in (1, NEWEST):
        one, other = evidence.newest(first, months), evidence.newest(second, months)
        if one is None or other is None or one.month != other.month:
            continue
        likelier = _likelier(one, other)
        if likelier > -math.log(FALSE_ALARM):
            told = f"each is likelier to continue the other than itself, by a factor of 10^{likelier / math.log(10):.0f}"
            yield Broken(told, f"{first}, {second}", one.month, max(one.now.known, other.now.known), size=likelier)


def _likelier(one: Together, other: Together) -> float:
    """Return the logarithm of how much likelier the exchanged columns are; 0 where either is likelier as itself."""
    if not (one.before.counts and other.before.counts and one.now.counts and other.now.counts):
        return 0.0
    past = _past(one.before.counts, other.before.counts)
    if past.apart < _APART:
        return 0.0
    logs = dict(zip(sorted({*one.before.counts, *other.before.counts}), past.logs, strict=True))
    first = sum(rows * logs.get(value, 0.0) for value, rows in one.now.counts.items())
    second = -sum(rows * logs.get(value, 0.0) for value, rows in other.now.counts.items())
    return first + second if min(first, second) > 0 else 0.0


def _past(first: Mapping[str, int], second: Mapping[str, int]) -> _Past:
    shares = []
    for counts in aligned(first, second):
        rows = sum(counts) + len(counts) / 2
        shares.append([(count + 0.5) / rows for count in counts])
    return _Past(*shares)
