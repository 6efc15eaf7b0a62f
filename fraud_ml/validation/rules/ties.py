"""Do columns that tell of each other go on doing so? What is shuffled or slipped looks right in each column alone."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fraud_ml.contract import Kind, Role
from fraud_ml.validation.evidence import ENOUGH_MONTHS, ENOUGH_ROWS, MATURE_SHARE, MONTHS_BEFORE, Evidence, first_of
from fraud_ml.validation.profile import BETWEEN, pair_name
from fraud_ml.validation.rules.broken import Broken, worst
from fraud_ml.validation.shifts import Z, rise

_LOST = 0.5  # of what one column told of the other
_TELLS = 0.02  # nats: pairs that tell each other less are not compared
_STOPS = 0.02  # share of rows with values that never stood together, or without one that always stood there


@dataclass(frozen=True)
class Tie:
    """Mutual information of two columns in nats, corrected for chance, and its variance.

    entropy: of the column that varies less: the most that they can tell of each other.
    """

    information: float
    variance: float
    entropy: float

    @property
    def share(self) -> float:
        return self.information / self.entropy if self.entropy else 0.0


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
    entropy = min(-sum(n / rows * math.log(n / rows) for n in one.values()) for one in (firsts, seconds))
    return Tie(max(0.0, mean - bias), max(square - mean * mean, 1 / rows) / rows, entropy)


def loosened(evidence: Evidence) -> Iterator[Broken]:
    """Break where a pair of `go_together` tells less of each other than half of before, or stands together anew."""
    for first, second in evidence.contract.checks.go_together:
        yield from worst(_loosened(evidence, first, second))


def _loosened(evidence: Evidence, first: str, second: str) -> Iterator[Broken]:
    pair = pair_name(first, second)
    months = [month for month in _settled(evidence, first, second) if pair in evidence.months[month].pairs]
    known: set[str] = set()  # pairs of values that stood together, and below the values of each column
    parts: set[tuple[int, str]] = set()
    for place, month in enumerate(months):
        now = evidence.months[month].pairs[pair]
        earlier = months[max(0, place - MONTHS_BEFORE) : place]
        if len(earlier) >= ENOUGH_MONTHS and sum(now.values()) >= ENOUGH_ROWS:
            before: Counter[str] = Counter()
            for one in earlier:
                before.update(evidence.months[one].pairs[pair])
            new = {one for one in now if one not in known and parts.issuperset(enumerate(one.split(BETWEEN)))}
            yield from _compared(pair, month, now, before, new)
        known |= set(now)
        parts |= {part for one in now for part in enumerate(one.split(BETWEEN))}


def _settled(evidence: Evidence, first: str, second: str) -> list[str]:
    """Return the months of the two columns that say what is usual, oldest first."""
    changes = [change.since for change in evidence.contract.checks.known_changes if change.column in (first, second)]
    months = [month for month in evidence.complete if first_of(month) >= max(changes, default=first_of(month))]
    if {evidence.contract.column(name).role for name in (first, second)} <= {Role.FEATURE}:
        return months
    # until then they follow the claim's handling
    return [month for month in months if evidence.mature_share(month) >= MATURE_SHARE]


def newly_missing(evidence: Evidence) -> Iterator[Broken]:
    """Break where a column is missing beside values of another with which it always came, beyond chance.

    So few missing values that they do not raise the column's share beyond what it has been are seen by their company.
    """
    ties = evidence.contract.checks.go_together
    yield from worst(
        one
        for first, second in ties
        for beside, name in ((first, second), (second, first))
        for one in _newly_missing(evidence, pair_name(first, second), beside, name)
    )


def _newly_missing(evidence: Evidence, pair: str, beside: str, name: str) -> Iterator[Broken]:
    if evidence.contract.column(beside).kind is not Kind.CATEGORY:
        return
    place_of_value = 0 if pair.startswith(beside + BETWEEN) else 1
    before, missing_before = Counter[str](), Counter[str]()
    for place, month in enumerate(_settled(evidence, beside, name)):
        profile = evidence.months[month]
        if not {beside, name} <= set(profile.columns) or profile.columns[name].counts is None:
            continue
        rows = Counter(profile.columns[beside].counts or {})
        missing = Counter(rows)
        for values, count in profile.pairs.get(pair, {}).items():
            missing[values.split(BETWEEN)[place_of_value]] -= count
        always = [value for value in rows if before[value] and not missing_before[value]]
        strange, of, of_before = (sum(one[value] for value in always) for one in (missing, rows, before))
        if place >= ENOUGH_MONTHS and of >= ENOUGH_ROWS and strange and rise(strange, of, 0, of_before) > Z:
            share = strange / profile.rows
            told = (
                f"{strange:,} of {profile.rows:,} rows are missing ({share:.2%}) beside a {beside} that never lacked it"
            )
            yield Broken(told, name, month, strange, share, warns=share < _STOPS, size=share)
        before.update(rows)
        missing_before.update(missing)


def _compared(
    pair: str, month: str, now: Mapping[str, int], before: Mapping[str, int], new: set[str]
) -> Iterator[Broken]:
    first, _, second = pair.partition(BETWEEN)
    rows, rows_before = sum(now.values()), sum(before.values())
    names = f"{first}, {second}"
    was, is_now = tie_of(before), tie_of(now)
    lost = was.information - is_now.information
    chance = Z * math.sqrt(was.variance + is_now.variance)
    if min(was.information, is_now.entropy) >= _TELLS and is_now.share < _LOST * was.share and lost > chance:
        told = f"they tell {is_now.information:.2f} nats of each other, before {was.information:.2f}"
        yield Broken(told, names, month, rows, size=lost)
    strange = sum(now[one] for one in new)
    once = sum(count == 1 for count in before.values())  # as many new pairs were to be expected: Good 1953
    if strange and rise(strange, rows, once, rows_before) > Z:
        told = f"{strange:,} of {rows:,} rows hold values that never stood together"
        yield Broken(told, names, month, strange, strange / rows, warns=strange / rows < _STOPS, size=strange / rows)
