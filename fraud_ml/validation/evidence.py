"""What our own rules look at: each month's profile beside those that came before it, and what is declared."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property

from fraud_ml.contract import Column, Contract, Kind, Role
from fraud_ml.validation.profile import ColumnProfile, Profile, merge
from fraud_ml.validation.profiling import NO_MONTH
from fraud_ml.validation.served import Served, ServedColumn

MONTHS_BEFORE = 12
ENOUGH_MONTHS = 3  # fewer say nothing about what is usual
MATURE_SHARE = 2 / 3  # of a month's days, after which its labels are compared
ENOUGH_ROWS = 30  # a month with fewer is not compared
ENOUGH_ASKED = 200  # claims that callers asked about; fewer, or fewer claims beside them, are not compared
REQUESTS = "requests"  # in place of a month: what callers asked about
OTHER_WORDS = "\x1f"  # in place of every word that the live model does not know; no value that was accepted holds it
NEWEST = 3  # months that are looked at together too: what is little in each of a quarter's may be much in all


@dataclass(frozen=True)
class Compared:
    """A column in one month, in the months before it, and a year ago (the same month and its neighbours), if known."""

    month: str
    now: ColumnProfile
    rows: int
    before: ColumnProfile
    rows_before: int
    season: ColumnProfile | None
    rows_season: int


@dataclass(frozen=True)
class Together(Compared):
    """A column in the newest `months` taken together; `month` is the last of them.

    windows: of the months before, each run of as many months, with its rows: how far the column varies by itself.
    """

    months: tuple[str, ...]
    windows: tuple[tuple[ColumnProfile, int], ...]


@dataclass(frozen=True)
class Evidence:
    """The profiles of a snapshot's claims by event month, and what contract and suite declare.

    declared: column -> the texts that its suite allows. served: what callers asked about, if anybody counted it.
    """

    contract: Contract
    as_of: date
    months: Mapping[str, Profile]
    declared: Mapping[str, frozenset[str]]
    served: Served | None = None

    @cached_property
    def whole(self) -> Profile:
        return merge(self.months.values())

    @cached_property
    def complete(self) -> tuple[str, ...]:
        """Return the months that were over on the as-of date, oldest first."""
        return tuple(month for month in sorted(self.months) if month != NO_MONTH and end_of(month) <= self.as_of)

    def columns(self, *kinds: Kind, features_only: bool = False) -> Iterator[Column]:
        """Yield the declared columns of these kinds that are there and describe a claim: no key, label or time."""
        for column in self.contract.columns:
            described = column.role is Role.FEATURE or (column.role is Role.CONTEXT and not features_only)
            if described and column.kind in kinds and column.name in self.whole.columns:
                yield column

    def compared(self, name: str, *, settled: bool = True) -> tuple[Compared, ...]:
        """Return the column's months that can be compared. A known change starts the column's history anew.

        settled: of a column kept for people, only the mature months: until then it follows the claim's handling.
        """
        asked = (name, settled)
        if asked not in self._compared:  # several rules look at the same months
            self._compared[asked] = tuple(self._compare(name, settled=settled))
        return self._compared[asked]

    @cached_property
    def _compared(self) -> dict[tuple[str, bool], tuple[Compared, ...]]:
        return {}

    def newest(self, name: str, count: int = NEWEST, *, settled: bool = True) -> Together | None:
        """Return the column's `count` newest months together, or None where they cannot be compared; see `compared`.

        Their season is that of a year ago, if as many months of it are known.
        """
        months = self._since_known_change(name)
        if settled and self.contract.column(name).role is Role.CONTEXT:
            months = [month for month in months if self.is_mature(month)]
        start = len(months) - count
        if start < max(ENOUGH_MONTHS, count):
            return None
        earlier = months[max(0, start - MONTHS_BEFORE) : start]
        now, rows = self._pooled(name, tuple(months[start:]))
        if rows < ENOUGH_ROWS:
            return None
        before, rows_before = self._pooled(name, tuple(earlier))
        around = {one for month in months[start:] for one in _a_year_before(month)}
        year_ago = tuple(month for month in months[:start] if month in around)
        season, rows_season = self._pooled(name, year_ago) if len(year_ago) >= count else (None, 0)
        runs = [tuple(earlier[place : place + count]) for place in range(len(earlier) - count + 1)]
        windows = tuple(self._pooled(name, run) for run in runs)
        newest = tuple(months[start:])
        return Together(newest[-1], now, rows, before, rows_before, season, rows_season, newest, windows)

    def asked(self, name: str) -> Compared | None:
        """Return what callers sent in a feature, beside the claims of the same months, else of the newest year.

        None where there is too little to compare, and while requests reach back behind a known change of the column.
        Words that the live model does not know are OTHER_WORDS in both.
        """
        told = self.served.columns.get(name) if self.served else None
        if self.served is None or told is None or told.asked < ENOUGH_ASKED:
            return None
        since = max((c.since for c in self.contract.checks.known_changes if c.column == name), default=date.min)
        if told.kind is not self.contract.column(name).kind or date.fromisoformat(self.served.days[0]) < since:
            return None
        asked_in = {day[:7] for day in self.served.days}
        same = [m for m in sorted(self.months) if m in asked_in and name in self.months[m].columns]
        for months in (same, self._since_known_change(name)[-MONTHS_BEFORE:]):
            before, rows = self._pooled(name, tuple(months)) if months else (None, 0)
            if before is not None and rows >= ENOUGH_ASKED:
                return Compared(REQUESTS, *_as_asked(told), *_by_words(before, rows, told), None, 0)
        return None

    def _since_known_change(self, name: str) -> list[str]:
        """Return the whole months that hold the column as it is now, oldest first."""
        since = max((c.since for c in self.contract.checks.known_changes if c.column == name), default=date.min)
        return [month for month in self.complete if first_of(month) >= since and name in self.months[month].columns]

    def _compare(self, name: str, *, settled: bool) -> Iterator[Compared]:
        unsettled = settled and self.contract.column(name).role is Role.CONTEXT
        months = self._since_known_change(name)
        for place, month in enumerate(months):
            profile = self.months[month]
            earlier = months[max(0, place - MONTHS_BEFORE) : place]
            if len(earlier) < ENOUGH_MONTHS or profile.rows < ENOUGH_ROWS or (unsettled and not self.is_mature(month)):
                continue
            before, rows_before = self._pooled(name, tuple(earlier))
            year_ago = tuple(one for one in _a_year_before(month) if one in months)
            season, rows_season = self._pooled(name, year_ago) if year_ago else (None, 0)
            yield Compared(month, profile.columns[name], profile.rows, before, rows_before, season, rows_season)

    def is_mature(self, month: str) -> bool:
        """Say whether the labels of all claims of the month count."""
        return end_of(month) + timedelta(days=self.contract.label.maturity_days) <= self.as_of

    def mature_share(self, month: str) -> float:
        """Return which share of the month's days has claims whose labels count, in [0, 1]."""
        counts_until = self.as_of - timedelta(days=self.contract.label.maturity_days)
        days = (end_of(month) - first_of(month)).days + 1
        return min(max((counts_until - first_of(month)).days + 1, 0), days) / days

    def _pooled(self, name: str, months: tuple[str, ...]) -> tuple[ColumnProfile, int]:
        asked = (name, months)
        if asked not in self._pools:  # settled or not, a column is held against the same months
            pooled = merge(Profile(self.months[m].rows, {name: self.months[m].columns[name]}) for m in months)
            self._pools[asked] = pooled.columns[name], pooled.rows
        return self._pools[asked]

    @cached_property
    def _pools(self) -> dict[tuple[str, tuple[str, ...]], tuple[ColumnProfile, int]]:
        return {}


def first_of(month: str) -> date:
    return date.fromisoformat(f"{month}-01")


def end_of(month: str) -> date:
    """Return the month's last day."""
    return (first_of(month) + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def next_month(month: str) -> str:
    """Return the month after; NO_MONTH has none, and is its own."""
    if month == NO_MONTH:
        return month
    return f"{end_of(month) + timedelta(days=1):%Y-%m}"


def _as_asked(told: ServedColumn) -> tuple[ColumnProfile, int]:
    """Return requests as a profile of those whose values were told, and of those that lack the column."""
    counts = told.counts
    if counts is not None and told.kind is Kind.CATEGORY:
        counts = {**counts, OTHER_WORDS: told.unseen}
    return ColumnProfile(told.kind, told.counted, counts), told.counted + told.asked - told.known


def _by_words(before: ColumnProfile, rows: int, told: ServedColumn) -> tuple[ColumnProfile, int]:
    """Return the claims' profile by the words of requests."""
    counts = before.counts
    if counts is not None and told.counts is not None and told.kind is Kind.CATEGORY:
        named = {word: counts.get(word, 0) for word in told.counts}
        counts = {**named, OTHER_WORDS: before.known - sum(named.values())}
    return replace(before, counts=counts), rows


def _a_year_before(month: str) -> tuple[str, str, str]:
    """Return the same month of the year before, between its neighbours.

    >>> _a_year_before("2024-01")
    ('2022-12', '2023-01', '2023-02')
    """
    year, number = int(month[:4]), int(month[5:])
    found = [divmod(12 * (year - 1) + number - 1 + step, 12) for step in (-1, 0, 1)]
    first, same, last = (f"{y:04d}-{m + 1:02d}" for y, m in found)
    return first, same, last
