"""Which categories arrive, and how often. Categories are counted here, and never told."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist

from fraud_ml.contract import Column, Kind, Role
from fraud_ml.validation.evidence import NEWEST, Compared, Evidence
from fraud_ml.validation.rules.broken import Broken, worst, worst_and_newest
from fraud_ml.validation.shifts import FALSE_ALARM, Z_BESIDE, Z, aligned, rise, share_gap, stability_index

_UNSEEN = 0.01  # share of values never seen before, beyond what was to be expected, that stops
_USUAL = 0.01  # a category of at least that share before is missed
_STOPS, _WARNS = 0.25, 0.1  # stability index beyond chance
_ONE_MOVED = 0.08  # share of rows by which one category's share moved at least, beyond chance
_NEWEST_MOVED, _TIMES = 0.05, 1.5  # share of rows, and times over, by which one moved that had never been so rare
# Of the newest rows a snapshot makes some hundred comparisons, not thousands.
_Z_NEWEST = NormalDist().inv_cdf(1 - 1e-5)
_ALIKE = 0.3  # a renamed category's share is its share of before, within so much


@dataclass(frozen=True)
class _Moved:
    """What came and went in one month: categories with their rows now, or before."""

    pair: Compared
    came: dict[str, int]
    went: dict[str, int]

    def heir_of(self, lost: str) -> str | None:
        """Return what kind of change explains a category that went: another name, or another category that took it."""
        pair = self.pair
        share = self.went[lost] / pair.before.known
        if any(abs(rows / pair.now.known - share) <= _ALIKE * share for rows in self.came.values()):
            return "renamed"
        for value, rows in (pair.now.counts or {}).items():
            was = (pair.before.counts or {}).get(value, 0)
            gain = rows / pair.now.known - was / pair.before.known
            if was and gain >= (1 - _ALIKE) * share and share_gap(rows, pair.now.known, was, pair.before.known) > 0:
                return "merged"
        return None


def unseen(evidence: Evidence) -> Iterator[Broken]:
    """Break on values that neither the months before nor the suite know, where there are more of them than usual.

    As many were to be expected as values of before that stood there once: source Good 1953 (Good-Turing).
    """
    for column in evidence.columns(Kind.CATEGORY):
        yield from worst(_unseen(evidence, column.name))


def _unseen(evidence: Evidence, name: str) -> Iterator[Broken]:
    declared = evidence.declared.get(name, frozenset())
    for moved in _moves(evidence.compared(name, settled=False)):
        pair = moved.pair
        rows = sum(count for value, count in moved.came.items() if value not in declared)
        if not rows or _renames(moved):
            continue
        once = sum(count == 1 for count in (pair.before.counts or {}).values())
        gap = share_gap(rows, pair.now.known, once, pair.before.known)
        told = f"{rows:,} of {pair.now.known:,} rows hold {len(moved.came):,} values of which none was seen before"
        if gap > 0 or once == 0:
            yield Broken(told, name, pair.month, rows, rows / pair.now.known, warns=gap < _UNSEEN, size=gap)


def vanished(evidence: Evidence) -> Iterator[Broken]:
    """Break where a usual category is gone, and chance does not explain it; features stop, others warn."""
    for column in evidence.columns(Kind.CATEGORY):
        yield from worst_and_newest(evidence, column.name, partial(_vanished, column))


def _vanished(column: Column, pairs: Iterable[Compared]) -> Iterator[Broken]:
    for moved in _moves(pairs):
        gone = [value for value in moved.went if moved.heir_of(value) is None]
        if gone:
            share = sum(moved.went[value] for value in gone) / moved.pair.before.known
            told = f"{len(gone)} categories are gone that {share:.2%} of the rows had before"
            warns = column.role is not Role.FEATURE
            yield Broken(told, column.name, moved.pair.month, None, share, warns=warns, size=share)


def renamed(evidence: Evidence) -> Iterator[Broken]:
    """Break where a category went and another took its rows: under a new name, or one that was there before."""
    for column in evidence.columns(Kind.CATEGORY):
        yield from worst_and_newest(evidence, column.name, partial(_renamed, column))


def _renamed(column: Column, pairs: Iterable[Compared]) -> Iterator[Broken]:
    for moved in _moves(pairs):
        kinds = [kind for value in moved.went if (kind := moved.heir_of(value)) is not None]
        if kinds:
            share = sum(moved.went.values()) / moved.pair.before.known
            told = f"{kinds.count('renamed')} categories seem renamed and {kinds.count('merged')} merged into others"
            warns = column.role is not Role.FEATURE
            yield Broken(told, column.name, moved.pair.month, None, share, warns=warns, size=share)


def _renames(moved: _Moved) -> bool:
    return any(moved.heir_of(value) == "renamed" for value in moved.went)


def _moves(pairs: Iterable[Compared]) -> Iterator[_Moved]:
    known: set[str] = set()
    for pair in pairs:
        if not pair.now.counts or not pair.before.counts:
            continue
        season = (pair.season.counts or {}) if pair.season is not None else {}
        if not known:
            known = set(pair.before.counts)
        came = {v: n for v, n in pair.now.counts.items() if v not in pair.before.counts and v not in known}
        went = {
            value: rows
            for value, rows in pair.before.counts.items()
            if value not in pair.now.counts
            and rows / pair.before.known >= _USUAL
            and pair.now.known * math.log1p(-min(rows / pair.before.known, 0.999)) < math.log(FALSE_ALARM)
            and (pair.season is None or value in season)
        }
        known |= set(pair.now.counts)
        yield _Moved(pair, came, went)


def drifted(evidence: Evidence) -> Iterator[Broken]:
    """Break where shares moved beyond chance against the months before, the season, and not because of either alone."""
    for column in evidence.columns(Kind.CATEGORY):
        found = list(worst_and_newest(evidence, column.name, partial(_drifted, column)))
        yield from found
        if column.role is Role.FEATURE and not {one.month for one in found} & set(evidence.complete[-NEWEST:]):
            yield from worst(_never_so(evidence, column.name))


def _drifted(column: Column, pairs: Iterable[Compared]) -> Iterator[Broken]:
    for pair in pairs:
        if not pair.now.counts or not pair.before.counts:
            continue
        shift = stability_index(*aligned(pair.now.counts, pair.before.counts))
        beyond = shift.beyond_chance
        if pair.season is not None and pair.season.counts:
            beyond = min(beyond, stability_index(*aligned(pair.now.counts, pair.season.counts)).beyond_chance)
        one = _moved_share(pair)
        if beyond <= _WARNS and one >= _ONE_MOVED:
            told = f"the share of one category moved by {one:.1%}"
            yield Broken(told, column.name, pair.month, pair.now.known, warns=True, size=0.0)
        if beyond > _WARNS:
            told = f"stability index {shift.index:.2f}, of which chance explains {shift.bound:.2f}"
            warns = column.role is not Role.FEATURE or beyond <= _STOPS
            yield Broken(told, column.name, pair.month, pair.now.known, warns=warns, size=beyond)


def _never_so(evidence: Evidence, name: str) -> Iterator[Broken]:
    """Warn on a category that is rarer, or more frequent, in the newest months than in any as many before.

    Beyond chance against all months before; and against each run of as many, and the season, beyond what one in twenty
    exceeds.
    """
    for count in (1, NEWEST):
        pair = evidence.newest(name, count)
        if pair is None or not pair.now.counts or not pair.before.counts:
            continue
        others = [pair.before, *(one for one, _ in pair.windows), *([pair.season] if pair.season else [])]
        if any(other.counts is None or not other.known for other in others):
            continue
        for value in sorted({*pair.now.counts, *pair.before.counts}):
            rows = pair.now.counts.get(value, 0)
            share, before = rows / pair.now.known, pair.before.counts.get(value, 0) / pair.before.known
            if abs(share - before) < _NEWEST_MOVED or max(share, before) < _TIMES * min(share, before):
                continue
            way = 1 if share > before else -1
            moves = [way * rise(rows, pair.now.known, (o.counts or {}).get(value, 0), o.known) for o in others]
            if moves[0] > _Z_NEWEST and min(moves) > Z_BESIDE:
                never = "many" if way > 0 else "few"
                told = f"a category has {share:.1%} of {pair.now.known:,} rows, before {before:.1%}, never so {never}"
                yield Broken(told, name, pair.month, pair.now.known, warns=True, size=abs(share - before))


def _moved_share(pair: Compared) -> float:
    """Return by how much the share of some category moved, against the months before and the season; 0 by chance."""
    others = [other for other in (pair.before, pair.season) if other is not None and other.counts and other.known]
    most = 0.0
    for value in {*(pair.now.counts or {}), *(pair.before.counts or {})}:
        now = (pair.now.counts or {}).get(value, 0)
        steps = [now / pair.now.known - (other.counts or {}).get(value, 0) / other.known for other in others]
        if all(abs(rise(now, pair.now.known, (o.counts or {}).get(value, 0), o.known)) > Z for o in others):
            same_way = len({step > 0 for step in steps}) == 1
            most = max(most, min(map(abs, steps)) if same_way else 0.0)
    return most
