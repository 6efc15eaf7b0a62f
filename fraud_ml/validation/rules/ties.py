"""Do columns that tell of each other go on doing so? What is shuffled or slipped looks right in each column alone."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fraud_ml.validation.evidence import ENOUGH_MONTHS, ENOUGH_ROWS, MONTHS_BEFORE, Evidence, first_of
from fraud_ml.validation.profile import BETWEEN, merge, pair_name
from fraud_ml.validation.rules.broken import Broken, worst
from fraud_ml.validation.shifts import Z, rise

_LOST = 0.5  # of what one column told of the other
_TELLS = 0.02  # nats: pairs that tell each other less are not compared
_STOPS = 0.02  # share of rows with values that never stood together


@dataclass(frozen=True)
class Tie:
    """Mutual information of two columns in nats, corrected for chance, and its variance."""

    information: float
    variance: float


def tie_of(pairs: Mapping[str, int]) -> Tie:
    """Return how much the columns of these joint counts tell of each other.

    The bias is (r - 1)(c - 1) / 2n. Sources: Miller 1955 (bias), Roulston 1999 (variance).
    """
    rows = sum(pairs.values())
    firsts, seconds = Counter[str](), Counter[str]()
    for pair, count in pairs.items():
        first, _, second = pair.partition(BETWEEN)
        firsts[first] += count
        seconds[second] += count
    mean = square = 0.0
    for pair, count in pairs.items():
        first, _, second = pair.partition(BETWEEN)
        told = math.log(count * rows / (firsts[first] * seconds[second]))
        mean += count / rows * told
        square += count / rows * told * told
    bias = (len(firsts) - 1) * (len(seconds) - 1) / (2 * rows)
    return Tie(max(0.0, mean - bias), max(square - mean * mean, 1 / rows) / rows)


def loosened(evidence: Evidence) -> Iterator[Broken]:
    """Break where a pair of `go_together` tells less of each other than half of before, or stands together anew."""
    for first, second in evidence.contract.checks.go_together:
        yield from worst(_loosened(evidence, first, second))


def _loosened(evidence: Evidence, first: str, second: str) -> Iterator[Broken]:
    pair = pair_name(first, second)
    changes = [change.since for change in evidence.contract.checks.known_changes if change.column in (first, second)]
    months = [
        month
        for month in evidence.complete
        if pair in evidence.months[month].pairs and first_of(month) >= max(changes, default=first_of(month))
    ]
    known: set[str] = set()
    for place, month in enumerate(months):
        now = evidence.months[month].pairs[pair]
        earlier = months[max(0, place - MONTHS_BEFORE) : place]
        if len(earlier) >= ENOUGH_MONTHS and sum(now.values()) >= ENOUGH_ROWS:
            before = merge(evidence.months[one] for one in earlier).pairs[pair]
            yield from _compared(pair, month, now, before, known)
        known |= set(now)


def _compared(
    pair: str, month: str, now: Mapping[str, int], before: Mapping[str, int], known: set[str]
) -> Iterator[Broken]:
    first, _, second = pair.partition(BETWEEN)
    rows, rows_before = sum(now.values()), sum(before.values())
    names = f"{first}, {second}"
    was, is_now = tie_of(before), tie_of(now)
    lost = was.information - is_now.information
    chance = Z * math.sqrt(was.variance + is_now.variance)
    if was.information >= _TELLS and lost > max(_LOST * was.information, chance):
        told = f"they tell {is_now.information:.2f} nats of each other, before {was.information:.2f}"
        yield Broken(told, names, month, rows, size=lost)
    parts = {part for one in known for part in enumerate(one.split(BETWEEN))}
    strange = sum(n for one, n in now.items() if one not in known and set(enumerate(one.split(BETWEEN))) <= parts)
    once = sum(count == 1 for count in before.values())  # as many new pairs were to be expected: Good 1953
    if strange and rise(strange, rows, once, rows_before) > Z:
        told = f"{strange:,} of {rows:,} rows hold values that never stood together"
        yield Broken(told, names, month, strange, strange / rows, warns=strange / rows < _STOPS, size=strange / rows)
