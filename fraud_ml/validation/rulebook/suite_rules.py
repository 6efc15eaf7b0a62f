"""The expectations of suite.json one by one: complete, known to Great Expectations, on columns that there are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from fraud_ml.artifacts import Severity
from fraud_ml.contract import Contract, Kind
from fraud_ml.documents import line_of
from fraud_ml.errors import BadInput
from fraud_ml.validation.counting import is_counted
from fraud_ml.validation.rulebook.problem import Problem
from fraud_ml.validation.suite import Rule, Suite, load_suite, refuse_repeated, repeated_codes, rule_of

# Row-level rules over one column, and what its values must be for them to say anything.
_OF_TEXT = (
    "expect_column_values_to_match_regex",
    "expect_column_values_to_not_match_regex",
    "expect_column_values_to_match_regex_list",
    "expect_column_values_to_not_match_regex_list",
    "expect_column_values_to_match_like_pattern",
    "expect_column_values_to_match_strftime_format",
    "expect_column_values_to_be_json_parseable",
    "expect_column_value_lengths_to_be_between",
    "expect_column_value_lengths_to_equal",
)
_OF_NUMBERS = (
    "expect_column_mean_to_be_between",
    "expect_column_median_to_be_between",
    "expect_column_stdev_to_be_between",
    "expect_column_sum_to_be_between",
    "expect_column_quantile_values_to_be_between",
    "expect_column_value_z_scores_to_be_less_than",
)


@dataclass(frozen=True)
class Placed:
    """A suite whose rules can be told apart, and the line at which each of its expectations begins."""

    path: Path
    rules: tuple[Rule, ...] = ()
    lines: Mapping[int, int] = field(default_factory=dict)

    def line(self, rule: Rule) -> int:
        return self.lines.get(rule.index, 1)


def suite_problems(path: Path, contract: Contract, *, ask_great_expectations: bool) -> tuple[list[Problem], Placed]:
    """Return what is wrong with single expectations, and the others, which can be held against each other."""
    try:
        suite = load_suite(path)
    except BadInput as broken:
        return [Problem.of_error("RULE001", broken, path)], Placed(path)
    placed = Placed(path, lines=_lines(path, len(suite.content["expectations"])))
    found, rules = [], []
    for index in range(len(suite.content["expectations"])):
        try:
            rules.append(rule_of(suite, index, contract))
        except BadInput as broken:
            found.append(Problem.of_error(broken.facts["problem"], broken, path, placed.lines.get(index, 1)))
    for first, again in repeated_codes(rules):
        told = refuse_repeated(suite, first, again)
        found.append(Problem.of_error("RULE004", told, path, placed.line(again)))
    placed = replace(placed, rules=tuple(rules))
    found += _unfit(placed, contract)
    found += _not_by_month(placed)
    if ask_great_expectations:
        refused = dict(_refused(placed, suite))
        found += refused.values()
        placed = replace(placed, rules=tuple(rule for rule in rules if rule.index not in refused))
    return found, placed


def _lines(path: Path, count: int) -> dict[int, int]:
    """Return expectation index -> line. JSON is read as YAML, whose parser knows where things stand."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8").replace("\t", " "), Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return {}
    return {index: line_of(root, ("expectations", index)) for index in range(count)}


def _unfit(placed: Placed, contract: Contract) -> Iterator[Problem]:
    kinds = {column.name: column.kind for column in contract.columns}
    for rule in placed.rules:
        kind = kinds.get(rule.columns[0]) if len(rule.columns) == 1 else None
        if kind is None:
            continue
        wanted = (
            Kind.CATEGORY
            if rule.type in _OF_TEXT
            else Kind.NUMBER
            if rule.type in _OF_NUMBERS or (rule.type == "expect_column_values_to_be_between" and _has_number(rule))
            else kind
        )
        if kind is not wanted:
            yield Problem(
                "RULE010",
                str(placed.path),
                placed.line(rule),
                f"{rule.code} asks `{rule.type}` of column `{rule.columns[0]}`, which the contract declares a {kind}",
                expected=f"a column of kind {wanted}",
                next_step="choose another expectation, or correct the column's `kind` in contract.yaml",
                column=rule.columns[0],
            )


def _not_by_month(placed: Placed) -> Iterator[Problem]:
    """Yield rules of each month that only a whole column, or all months together, can tell."""
    for rule in placed.rules:
        adds_up = is_counted(rule) and rule.type != "expect_column_values_to_be_unique"
        if rule.each_month and (not adds_up or rule.severity is Severity.QUARANTINE):
            yield Problem(
                "RULE013",
                str(placed.path),
                placed.line(rule),
                f"{rule.code} is asked of each month, and no month's counts tell it",
                expected="a rule over rows, a mean or a count of rows, without `row_condition`, that sets no row aside",
                next_step='remove `"each"` from its meta, or choose another expectation',
                column=rule.columns[0] if len(rule.columns) == 1 else None,
            )


def _has_number(rule: Rule) -> bool:
    return any(isinstance(rule.kwargs.get(bound), int | float) for bound in ("min_value", "max_value"))


def _refused(placed: Placed, suite: Suite) -> Iterator[tuple[int, Problem]]:
    from fraud_ml.validation.rulebook.signatures import refusal

    for rule in placed.rules:
        problem = refusal(rule, suite.content["expectations"][rule.index])
        if problem is not None:
            code, what, expected, next_step = problem
            column = rule.columns[0] if len(rule.columns) == 1 else None
            where = (str(placed.path), placed.line(rule))
            yield rule.index, Problem(code, *where, f"{rule.code}: {what}", expected, next_step, column)
