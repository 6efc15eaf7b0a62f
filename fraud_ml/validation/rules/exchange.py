"""Do two columns hold what the other one held? Each looks right where both have the same words."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from fraud_ml.contract import Kind, Role
from fraud_ml.validation.evidence import NEWEST, Evidence, Together
from fraud_ml.validation.rules.broken import Broken, worst
from fraud_ml.validation.shifts import FALSE_ALARM, aligned

_STOPS, _WARNS = 0.02, 0.002  # stability index between the two columns before: how far they were apart
_ENOUGH = -math.log(FALSE_ALARM) / 2  # nats that an exchange of the newest rows would tell: half of what is asked for
_AS_ITSELF = math.log(10)  # a column that is ten times likelier as itself was not exchanged


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
    """Break where two columns are likelier each as the other one's continuation than as their own.

    Looked at are the newest month, and the newest ones together. Where both columns go on as before, the ratio of the
    two likelihoods exceeds 1 / FALSE_ALARM with a chance of FALSE_ALARM at most, whatever the columns: its mean is 1
    (Markov's inequality; source: Royall 1997, Statistical Evidence). Real columns drift too; so neither may be likelier
    as itself, lest one that drifts is taken for exchanged. If it is a little so, or both were much alike, that warns.
    """
    yield from worst(_all_exchanged(evidence))


def _all_exchanged(evidence: Evidence) -> Iterator[Broken]:
    for kind in (Kind.CATEGORY, Kind.NUMBER):
        for role in (Role.FEATURE, Role.CONTEXT):
            names = [column.name for column in evidence.columns(kind) if column.role is role]
            for months in (1, NEWEST):
                newest = [(name, evidence.newest(name, months)) for name in names]
                known = [(name, one) for name, one in newest if one is not None and one.now.counts]
                for (first, one), (second, other) in combinations(known, 2):
                    yield from _exchanged(f"{first}, {second}", one, other)


def _exchanged(names: str, one: Together, other: Together) -> Iterator[Broken]:
    if not (one.before.counts and other.before.counts) or one.months != other.months:
        return
    past = _past(one.before.counts, other.before.counts)
    rows = min(one.now.known, other.now.known)
    if past.apart < _WARNS or rows * past.apart < _ENOUGH:
        return
    logs = dict(zip(sorted({*one.before.counts, *other.before.counts}), past.logs, strict=True))
    first = sum(count * logs.get(value, 0.0) for value, count in (one.now.counts or {}).items())
    second = -sum(count * logs.get(value, 0.0) for value, count in (other.now.counts or {}).items())
    if first + second > -math.log(FALSE_ALARM) and min(first, second) > -_AS_ITSELF:
        factor = (first + second) / math.log(10)
        told = f"each is likelier to go on as the other did, by a factor of 10^{factor:.0f}"
        warns = past.apart < _STOPS or min(first, second) <= 0
        yield Broken(told, names, one.month, rows, warns=warns, size=factor)


def _past(first: Mapping[str, int], second: Mapping[str, int]) -> _Past:
    shares = []
    for counts in aligned(first, second):
        rows = sum(counts) + len(counts) / 2
        shares.append([(count + 0.5) / rows for count in counts])
    return _Past(*shares)
