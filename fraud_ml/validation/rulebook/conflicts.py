"""Two rules of which at most one can hold, whatever the claims are; and rules that cannot hold at all.

What is compared is what the rules say, never data: shares of values that exclude each other may not add up to more
than one, and a figure cannot lie in two ranges that do not meet.
"""

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import yaml

from fraud_ml.contract import CONTRACT_FILE, Contract
from fraud_ml.documents import line_of
from fraud_ml.validation.rulebook.limits import (
    FigureLimit,
    Gathered,
    OrderLimit,
    Range,
    Said,
    ValueLimit,
    limits_of,
)
from fraud_ml.validation.rulebook.problem import Problem
from fraud_ml.validation.rulebook.schema_rules import Schema
from fraud_ml.validation.rulebook.suite_rules import Placed
from fraud_ml.validation.statistics import SCHEMA_FILE
from fraud_ml.validation.suite import SNAPSHOT_TIMES, SUITE_FILE

_ORDER = {"min": 0, "median": 1, "mean": 1, "max": 2}  # figures of a column, none above those behind it
_CLOSE = 1e-9
_FILES = (CONTRACT_FILE, SCHEMA_FILE, SUITE_FILE)


def conflicts(suite: Placed, schema: Schema, contract: Contract, folder: Path) -> list[Problem]:
    """Return each pair of rules that cannot both hold, and each rule that cannot hold alone."""
    limits = _gathered(suite, schema, contract, folder)
    return [
        *_impossible(limits),
        *_values(limits.values),
        *_too_many_shares(limits.values),
        *_figures([*limits.figures, *_implied(limits.values)]),
        *_orders(limits.orders),
    ]


def _gathered(suite: Placed, schema: Schema, contract: Contract, folder: Path) -> Gathered:
    found = Gathered()
    for limit in _of_contract(contract, folder / CONTRACT_FILE):
        found.add(limit)
    for feature in schema.features:
        said = Said(f"feature `{feature.name}`", str(schema.path), feature.line)
        if feature.domain is not None:
            found.add(ValueLimit(said, feature.name, feature.domain_share, members=frozenset(feature.domain)))
        if feature.range is not None and not feature.range.is_empty:
            found.add(ValueLimit(said, feature.name, range=feature.range))
        found.add(FigureLimit(said, "known share", feature.name, Range(feature.known_share, 1.0)))
    for rule in suite.rules:
        for limit in limits_of(rule, Said(rule.code, str(suite.path), suite.line(rule))):
            found.add(limit)
    return found


def _of_contract(contract: Contract, path: Path) -> Iterator[ValueLimit | FigureLimit | OrderLimit]:
    root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)

    def said(name: str, *place: str | int) -> Said:
        return Said(name, str(path), line_of(root, place))

    label = contract.label
    yield ValueLimit(said("`label`", "label"), label.column, members=frozenset((*label.positive, *label.negative)))
    for name, bounds in contract.landing.bounds.items():
        where = said(f"`landing.bounds.{name}`", "landing", "bounds", name)
        yield ValueLimit(where, name, range=Range(bounds.at_least, bounds.at_most))
    for place, rule in enumerate(contract.checks.sense):
        for first, second in zip(rule.in_order or (), (rule.in_order or ())[1:], strict=False):
            share = 1.0 - rule.tolerated_share
            where = said(rule.code, "checks", "sense", place)
            yield OrderLimit(where, second, first, ">=", share, where=str(sorted(rule.where.items()) or ""))
    columns = len(dict.fromkeys((*contract.names, *SNAPSHOT_TIMES)))
    yield FigureLimit(said("`columns`", "columns"), "count of columns", None, Range(columns, columns))


def _problem(first: Said, second: Said, why: str, column: str | None) -> Problem:
    """Tell the pair where the later of the two stands; the suite comes after the schema, which follows the contract."""
    first, second = sorted((first, second), key=lambda said: (_FILES.index(Path(said.path).name), said.line))
    told = f"{second.by} and {first.beside(second.path)} cannot both hold: {why}"
    return Problem(
        "RULE012", second.path, second.line, told, next_step="change or remove one of the two", column=column
    )


def _impossible(limits: Gathered) -> Iterator[Problem]:
    ranges: list[tuple[Said, str | None, Range | None]] = []
    ranges += [(one.said, one.column, part) for one in limits.values for part in (one.range, one.length)]
    ranges += [(one.said, one.column, one.range) for one in limits.figures]
    for said, column, limited in ranges:
        if limited is not None and limited.is_empty:
            told = f"{said.by} can never hold: its lowest value lies above its highest"
            yield Problem("RULE011", said.path, said.line, told, "min up to max", "correct the bounds", column)
    for one in limits.values:
        if one.members is not None and not one.members and one.share > 0:
            told = f"{one.said.by} can never hold: its set is empty"
            yield Problem("RULE011", one.said.path, one.said.line, told, "some values", "list them", one.column)
        if one.pattern is not None and not _compiles(one.pattern):
            told = f"{one.said.by} can never be judged: its pattern is no regular expression"
            yield Problem("RULE008", one.said.path, one.said.line, told, "", "correct the pattern", one.column)


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


def _values(limits: list[ValueLimit]) -> Iterator[Problem]:
    for first, second in combinations(limits, 2):
        if first.column != second.column or first.where != second.where:
            continue
        if first.said.path == second.said.path and first.said.by == second.said.by:
            continue
        if first.share + second.share > 1 + _CLOSE and not first.meets(second) and not _is_impossible(first, second):
            shares = (
                ""
                if first.share == second.share == 1
                else f", and their shares add up to more than 1 ({_sum(first, second):g})"
            )
            yield _problem(
                first.said, second.said, f"no value of `{first.column}` satisfies both{shares}", first.column
            )
        for one, other in ((first, second), (second, first)):
            forbidden = sum(not other.allows(value) for value in one.needs)
            if other.share == 1 and forbidden:
                why = f"{one.said.by} needs {forbidden} value(s) of `{one.column}` that the other forbids"
                yield _problem(first.said, second.said, why, one.column)
                break


def _sum(*limits: ValueLimit) -> float:
    return round(sum(limit.share for limit in limits), 6)


def _is_impossible(*limits: ValueLimit) -> bool:
    """Say whether one of them is told already as a rule that cannot hold alone."""
    return any(
        limit.members == frozenset() or any(part is not None and part.is_empty for part in (limit.range, limit.length))
        for limit in limits
    )


def _too_many_shares(limits: list[ValueLimit]) -> Iterator[Problem]:
    """Yield three and more sets of one column that exclude each other and together ask for more than all values."""
    groups: dict[tuple[str, str], list[ValueLimit]] = {}
    for limit in limits:
        if limit.members:
            groups.setdefault((limit.column, limit.where), []).append(limit)
    for (column, _), mine in groups.items():
        apart: list[ValueLimit] = []
        for limit in sorted(mine, key=lambda one: (len(one.members or ()), -one.share)):
            if all(not limit.meets(other) and limit.share + other.share <= 1 + _CLOSE for other in apart):
                apart.append(limit)
        if len(apart) > 2 and _sum(*apart) > 1 + _CLOSE:
            last = max(apart, key=lambda one: (one.said.path, one.said.line))
            others = ", ".join(one.said.beside(last.said.path) for one in apart if one is not last)
            told = f"{last.said.by} cannot hold beside {others}: their shares of `{column}` add up to {_sum(*apart):g}"
            step = "lower one share, or let the sets overlap"
            yield Problem("RULE012", last.said.path, last.said.line, told, "at most 1", step, column)


def _implied(limits: list[ValueLimit]) -> Iterator[FigureLimit]:
    """Yield what limits of all values say of figures: none is below the lowest, and a set bounds how many differ."""
    for limit in limits:
        if limit.share < 1 or limit.where:
            continue
        if limit.range is not None and not limit.range.is_empty:
            yield FigureLimit(
                limit.said, "min", limit.column, Range(limit.range.low, None, limit.range.low_open), is_implied=True
            )
            yield FigureLimit(
                limit.said,
                "max",
                limit.column,
                Range(None, limit.range.high, False, limit.range.high_open),
                is_implied=True,
            )
        if limit.members:
            yield FigureLimit(
                limit.said, "count of distinct values", limit.column, Range(0, len(limit.members)), is_implied=True
            )


def _figures(limits: list[FigureLimit]) -> Iterator[Problem]:
    told: set[tuple[Said, Said]] = set()
    for first, second in combinations(limits, 2):
        same = first.column == second.column and first.where == second.where and first.said != second.said
        if not same or first.range.is_empty or second.range.is_empty or {(first.said, second.said)} <= told:
            continue
        if first.figure == second.figure:
            clash = not first.range.meets(second.range)
        else:
            clash = _above(first, second) or _above(second, first)
        if clash and not (first.is_implied and second.is_implied):
            told.add((first.said, second.said))
            of = f" of `{first.column}`" if first.column else ""
            names = first.figure if first.figure == second.figure else f"{first.figure} and {second.figure}"
            yield _problem(first.said, second.said, f"they leave no room for the {names}{of}", first.column)


def _above(first: FigureLimit, second: FigureLimit) -> bool:
    """Say whether `first`, which is never above `second`, must lie above it."""
    places = _ORDER.get(first.figure), _ORDER.get(second.figure)
    if None in places or not places[0] < places[1]:  # type: ignore[operator]
        return False
    return not Range(first.range.low, second.range.high, first.range.low_open, second.range.high_open).meets(Range())


def _orders(limits: list[OrderLimit]) -> Iterator[Problem]:
    for first, second in combinations(limits, 2):
        if first.where != second.where or first.share + second.share <= 1 + _CLOSE:
            continue
        if (first.first, first.second) == (second.second, second.first):
            clash = ">" in (first.relation, second.relation)  # a > b beside b > a, b ≥ a or b = a
        elif (first.first, first.second) == (second.first, second.second):
            clash = {first.relation, second.relation} == {">", "="}
        else:
            continue
        if clash:
            why = f"`{second.first}` and `{second.second}` cannot stand in both orders"
            yield _problem(first.said, second.said, why, second.first)
