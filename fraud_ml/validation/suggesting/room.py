"""What suggestions are made from: contract, suite, and the months that were judged, of which some are learned from."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from fraud_ml.contract import Column, Contract, Kind, Role
from fraud_ml.validation.counting import Count
from fraud_ml.validation.evidence import ENOUGH_ROWS
from fraud_ml.validation.partial import Summary
from fraud_ml.validation.settled import settled_months
from fraud_ml.validation.suggesting.figures import count_of, count_of_all
from fraud_ml.validation.suggesting.limits import ENOUGH_TO_LEARN, Interval, Limits, limits_of_months
from fraud_ml.validation.suite import Rule, Suite

ENOUGH_CLAIMS = 20  # a word that fewer claims bear may point at a person, and is in no suggestion
MOST_WORDS = 30  # a column of more words is no category


@dataclass(frozen=True)
class Room:
    """summaries: all months of the accepted snapshot; begin, end: learn from the months in between, or all."""

    contract: Contract
    suite: Suite
    summaries: Sequence[Summary]
    as_of: date
    begin: date | None = None
    end: date | None = None

    @cached_property
    def learned(self) -> tuple[Summary, ...]:
        """The settled months from `begin` to `end`, oldest first, of enough claims."""
        settled = settled_months({one.month: one.rows for one in self.summaries}, self.as_of)
        first = f"{self.begin:%Y-%m}" if self.begin else ""
        last = f"{self.end:%Y-%m}" if self.end else "9999-99"
        return tuple(one for one in self.summaries if one.month in settled and first <= one.month <= last)

    def column(self, name: str) -> Column | None:
        """Return a column of which something may be learned, or None.

        Left out are key, times, label and investigation, which change while a claim is handled, and columns that
        changed their meaning.
        """
        investigation = self.contract.label.investigation
        left_out = {change.column for change in self.contract.checks.known_changes}
        left_out |= {investigation.column} if investigation else set()
        found = next((column for column in self.contract.columns if column.name == name), None)
        if found is None or name in left_out or found.role not in (Role.FEATURE, Role.CONTEXT):
            return None
        return found

    def may_tell_values(self, name: str, kind: Kind) -> bool:
        """Say whether words or numbers of the column may stand in a rule: it is of that kind, and not personal."""
        column = self.column(name)
        return column is not None and column.kind is kind and not column.personal

    def is_feature(self, name: str) -> bool:
        """Say whether the column tells what is known from the beginning, and so does not change while it is handled."""
        column = self.column(name)
        return column is not None and column.role is Role.FEATURE

    def described(self, kind: Kind) -> list[Column]:
        """Return the features of that kind whose values may stand in a rule."""
        return [
            column
            for column in self.contract.columns
            if self.is_feature(column.name) and self.may_tell_values(column.name, kind)
        ]

    def limits(self, rule: Rule, interval: Callable[[Count], Interval]) -> Limits | None:
        """Return the limits of what a rule counts in each learned month, or None where too few months tell it."""
        counts = {one.month: count_of(rule, one) for one in self.learned}
        return limits_of_months(
            {month: interval(count) for month, count in counts.items() if count and count.considered >= ENOUGH_ROWS}
        )

    def whole(self, rule: Rule) -> Count | None:
        """Return what all months together hold of the rule: by this the verdict judges a rule that names no month."""
        return count_of_all(rule, self.summaries)

    def words(self, name: str) -> Mapping[str, int]:
        """Return word -> claims, the most frequent first, of words in ENOUGH_CLAIMS and in ENOUGH_TO_LEARN months.

        None are told of a column of more than MOST_WORDS words, or of many values in some month.
        """
        total: Counter[str] = Counter()
        months: Counter[str] = Counter()
        for one in self.learned:
            column = one.profile.columns.get(name)
            if column is None or column.counts is None:
                return {}
            total.update(column.counts)
            months.update(word for word, rows in column.counts.items() if rows)
        if len(total) > MOST_WORDS:
            total = Counter({word: rows for word, rows in total.items() if rows >= ENOUGH_CLAIMS})
        found = [
            (word, rows)
            for word, rows in sorted(total.items(), key=lambda item: (-item[1], item[0]))
            if rows >= ENOUGH_CLAIMS and months[word] >= ENOUGH_TO_LEARN and word.isprintable() and word.strip()
        ]
        return dict(found) if len(found) <= MOST_WORDS else {}
