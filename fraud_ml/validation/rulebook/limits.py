"""What a rule allows, in forms that can be compared: shares of values, figures of a column, orders of two columns.

Rules come from suite.json, schema.pbtxt and contract.yaml; each limit remembers who said it, and where.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fraud_ml.validation.suite import Rule

Bound = float | str | None


@dataclass(frozen=True)
class Said:
    """Who set a limit, and where it stands."""

    by: str
    path: str
    line: int

    def beside(self, path: str) -> str:
        """Return the name with its place, as seen from a sentence about `path`."""
        return f"{self.by} ({f'line {self.line}' if path == self.path else f'{self.path}:{self.line}'})"


@dataclass(frozen=True)
class Range:
    """An interval of numbers, or of texts in their order; None is no bound."""

    low: Bound = None
    high: Bound = None
    low_open: bool = False
    high_open: bool = False

    @property
    def is_empty(self) -> bool:
        if self.low is None or self.high is None or isinstance(self.low, str) is not isinstance(self.high, str):
            return False
        return self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))  # type: ignore[operator]

    def meets(self, other: "Range") -> bool:
        """Say whether some value may be in both."""
        lows = [(one.low, one.low_open) for one in (self, other) if one.low is not None]
        highs = [(one.high, one.high_open) for one in (self, other) if one.high is not None]
        if len({isinstance(bound, str) for bound, _ in (*lows, *highs)}) > 1:
            return True  # a text and a number: nothing is said about the same values
        low, low_open = max(lows, default=(None, False))
        high, high_open = min(highs, key=lambda one: (one[0], not one[1]), default=(None, False))
        return not Range(low, high, low_open, high_open).is_empty

    def holds(self, value: Any) -> bool | None:
        """Say whether a value is in it; None where the two cannot be compared."""
        for bound in (self.low, self.high):
            if bound is not None and isinstance(bound, str) is not isinstance(value, str):
                return None
        return self.meets(Range(value, value))


@dataclass(frozen=True)
class ValueLimit:
    """At least `share` of a column's known values are in a set or a range, match a pattern, or have a length.

    needs: values that must occur. where: the condition of the rows it speaks of.
    """

    said: Said
    column: str
    share: float = 1.0
    where: str = ""
    members: frozenset[Any] | None = None
    excluded: frozenset[Any] = frozenset()
    range: Range | None = None
    length: Range | None = None
    pattern: str | None = None
    matches: bool = True
    needs: frozenset[Any] = frozenset()

    def allows(self, value: Any) -> bool:
        """Say whether the value may be among those of the share; what cannot be compared may."""
        checks = (
            value in self.members if self.members is not None else None,
            value not in self.excluded,
            self.range.holds(value) if self.range else None,
            self.length.holds(len(value)) if self.length and isinstance(value, str) else None,
            self._matches(value),
        )
        return False not in checks

    def _matches(self, value: Any) -> bool | None:
        if self.pattern is None or not isinstance(value, str):
            return None
        try:
            return bool(re.match(self.pattern, value)) is self.matches
        except re.error:
            return None

    def meets(self, other: "ValueLimit") -> bool:
        """Say whether one value may satisfy both."""
        for one, another in ((self, other), (other, self)):
            if one.members is not None:
                return any(another.allows(value) for value in one.members)
        if self.pattern is not None and self.pattern == other.pattern and self.matches is not other.matches:
            return False
        if self.range and other.range and not self.range.meets(other.range):
            return False
        return not (self.length and other.length and not self.length.meets(other.length))


@dataclass(frozen=True)
class FigureLimit:
    """A figure of a column, or of the table, lies in a range; or a limit of all values implies that it does."""

    said: Said
    figure: str
    column: str | None
    range: Range
    where: str = ""
    is_implied: bool = False


@dataclass(frozen=True)
class OrderLimit:
    """In at least `share` of the rows the first column is greater than the second, at least it, or equal to it."""

    said: Said
    first: str
    second: str
    relation: str  # ">", ">=" or "="
    share: float = 1.0
    where: str = ""


_FIGURES = {
    "expect_column_max_to_be_between": "max",
    "expect_column_mean_to_be_between": "mean",
    "expect_column_median_to_be_between": "median",
    "expect_column_min_to_be_between": "min",
    "expect_column_stdev_to_be_between": "standard deviation",
    "expect_column_sum_to_be_between": "sum",
    "expect_column_unique_value_count_to_be_between": "count of distinct values",
    "expect_column_proportion_of_unique_values_to_be_between": "share of distinct values",
    "expect_column_proportion_of_non_null_values_to_be_between": "known share",
    "expect_table_row_count_to_be_between": "count of rows",
    "expect_table_row_count_to_equal": "count of rows",
    "expect_table_column_count_to_be_between": "count of columns",
    "expect_table_column_count_to_equal": "count of columns",
}


def limits_of(rule: Rule, said: Said) -> Iterator[ValueLimit | FigureLimit | OrderLimit]:
    """Yield what an expectation of the suite limits; nothing where it cannot be compared with others."""
    kwargs, kind = rule.kwargs, rule.type
    where = str(kwargs.get("row_condition") or "")
    if rule.each_month:  # what is usual of a month says nothing about all months together
        where = f"{where} in each month {list(rule.of)}"
    share = kwargs.get("mostly", 1.0)
    share = float(share) if isinstance(share, int | float) else 1.0
    column = rule.columns[0] if rule.columns else None
    if kind in _FIGURES:
        equal = kwargs.get("value")
        limited = Range(equal, equal) if equal is not None else _range(kwargs)
        yield FigureLimit(said, _FIGURES[kind], None if "table" in kind else column, limited, where)
    elif kind == "expect_column_pair_values_a_to_be_greater_than_b" and len(rule.columns) == 2:
        relation = ">=" if kwargs.get("or_equal") else ">"
        yield OrderLimit(said, rule.columns[0], rule.columns[1], relation, share, where)
    elif kind == "expect_column_pair_values_to_be_equal" and len(rule.columns) == 2:
        yield OrderLimit(said, rule.columns[0], rule.columns[1], "=", share, where)
    elif kind == "expect_column_values_to_be_unique" and column is not None and share == 1:
        yield FigureLimit(said, "share of distinct values", column, Range(1.0, 1.0), where)
    elif kind in ("expect_column_values_to_not_be_null", "expect_column_values_to_be_null") and column is not None:
        known = Range(share, 1.0) if "not" in kind else Range(0.0, round(1 - share, 12))
        yield FigureLimit(said, "known share", column, known, where)
    elif column is not None and len(rule.columns) == 1:
        limit = ValueLimit(said, column, share, where)
        yield from _of_values(rule, limit)


def _of_values(rule: Rule, limit: ValueLimit) -> Iterator[ValueLimit]:
    kwargs = rule.kwargs
    listed = kwargs.get("value_set")
    values = frozenset(value for value in listed if _is_plain(value)) if isinstance(listed, list) else None
    kind = rule.type.removeprefix("expect_column_")
    if values is not None and kind in _SETS:
        yield _SETS[kind](limit, values)
    elif kind == "values_to_be_between":
        yield replace(limit, range=_range(kwargs))
    elif kind in ("value_lengths_to_be_between", "value_lengths_to_equal"):
        equal = kwargs.get("value")
        yield replace(limit, length=_range(kwargs) if equal is None else Range(equal, equal))
    elif kind in ("values_to_match_regex", "values_to_not_match_regex"):
        yield replace(limit, pattern=_text(kwargs.get("regex")), matches="not" not in kind)
    elif kind == "values_to_match_regex_list" and isinstance(kwargs.get("regex_list"), list):
        joined = [f"(?:{one})" for one in kwargs["regex_list"]]
        patterns = ["|".join(joined)] if kwargs.get("match_on", "any") == "any" else joined
        yield from (replace(limit, pattern=one) for one in patterns)


_SETS: Mapping[str, Callable[[ValueLimit, frozenset[Any]], ValueLimit]] = {
    "values_to_be_in_set": lambda limit, values: replace(limit, members=values),
    "distinct_values_to_be_in_set": lambda limit, values: replace(limit, members=values),
    "distinct_values_to_equal_set": lambda limit, values: replace(limit, members=values, needs=values),
    "distinct_values_to_contain_set": lambda limit, values: replace(limit, share=0.0, needs=values),
    "values_to_not_be_in_set": lambda limit, values: replace(limit, excluded=values),
}


def _range(kwargs: Mapping[str, Any]) -> Range:
    bounds = [kwargs.get(name) for name in ("min_value", "max_value")]
    low, high = (one if isinstance(one, int | float | str) and not isinstance(one, bool) else None for one in bounds)
    return Range(low, high, bool(kwargs.get("strict_min")), bool(kwargs.get("strict_max")))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _is_plain(value: Any) -> bool:
    return isinstance(value, int | float | str)


@dataclass
class Gathered:
    """Limits while they are gathered."""

    values: list[ValueLimit] = field(default_factory=list)
    figures: list[FigureLimit] = field(default_factory=list)
    orders: list[OrderLimit] = field(default_factory=list)

    def add(self, limit: ValueLimit | FigureLimit | OrderLimit) -> None:
        if isinstance(limit, ValueLimit):
            self.values.append(limit)
        elif isinstance(limit, FigureLimit):
            self.figures.append(limit)
        else:
            self.orders.append(limit)
