"""Ask Great Expectations about one month of claims after another, and let it decide on the sums.

A rule of single rows adds up: Great Expectations' own condition is computed on each month's claims, and the counts of
all months are the metrics from which its expectation draws its result. Means and uniqueness add up in other ways. A
rule of any other kind has to see its whole columns at once (`is_counted` says which one does not).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fraud_ml.artifacts import Severity
from fraud_ml.validation.profiling import Chunk
from fraud_ml.validation.suite import Rule, Suite

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_OF_ROWS = frozenset(  # each row breaks these or not, whatever the other rows hold
    {
        "expect_column_pair_values_a_to_be_greater_than_b",
        "expect_column_pair_values_to_be_equal",
        "expect_column_pair_values_to_be_in_set",
        "expect_column_value_lengths_to_be_between",
        "expect_column_value_lengths_to_equal",
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_be_null",
        "expect_column_values_to_match_regex",
        "expect_column_values_to_match_regex_list",
        "expect_column_values_to_not_be_in_set",
        "expect_column_values_to_not_be_null",
        "expect_column_values_to_not_match_regex",
        "expect_column_values_to_not_match_regex_list",
        "expect_multicolumn_sum_to_equal",
        "expect_select_column_values_to_be_unique_within_record",
    }
)
_UNIQUE = "expect_column_values_to_be_unique"
_MEAN = "expect_column_mean_to_be_between"
_ROWS = frozenset({"expect_table_row_count_to_be_between", "expect_table_row_count_to_equal"})
_MISSING = "column_values.nonnull"


@dataclass(frozen=True)
class Count:
    """What a month, or several, hold of a rule: rows, of them missing, those it looks at, those that break it.

    mean: of the column's known values, where the rule is about it. raised: the kind of error, where there was one.
    """

    rows: int
    missing: int = 0
    considered: int = 0
    unexpected: int = 0
    mean: float | None = None
    raised: str = ""


def is_counted(rule: Rule) -> bool:
    """Say whether the rule is judged from counts that add up."""
    conditional = rule.kwargs.get("row_condition") is not None
    of_all = rule.type == _MEAN or rule.type in _ROWS or (rule.type == _UNIQUE and not sets_aside(rule))
    return not conditional and (rule.type in _OF_ROWS or of_all)


def is_of_rows(rule: Rule) -> bool:
    """Say whether the rule is about how many rows there are."""
    return rule.type in _ROWS


def is_of_mean(rule: Rule) -> bool:
    """Say whether the rule is about the mean of its column."""
    return rule.type == _MEAN


def sets_aside(rule: Rule) -> bool:
    return rule.severity is Severity.QUARANTINE


def unique_columns(suite: Suite) -> tuple[str, ...]:
    """Return the columns whose values the suite wants to be unique."""
    return tuple(dict.fromkeys(rule.columns[0] for rule in suite.rules if rule.type == _UNIQUE and is_counted(rule)))


def count_rules(
    chunk: Chunk, rules: Sequence[Rule], expectations: Mapping[str, Any]
) -> tuple[dict[str, dict[str, Count]], dict[str, "NDArray[np.bool_]"]]:
    """Return month -> code -> count of these rules, and for each rule that sets rows aside where it is broken.

    expectations: code -> Great Expectations' object. Each mask is over all claims of the chunk.
    """
    import numpy as np

    rows = chunk.counted(np.ones(len(chunk.claims), bool))
    found: dict[str, dict[str, Count]] = {month: {} for month in chunk.months}
    masks: dict[str, NDArray[np.bool_]] = {}
    conditions = _Conditions(chunk)
    for rule in rules:
        try:
            counts, mask = _count(chunk, rule, expectations[rule.code], conditions, rows)
        except _RaisedError as error:
            counts, mask = {month: Count(rows[month], raised=error.kind) for month in chunk.months}, None
        for month, count in counts.items():
            found[month][rule.code] = count
        if sets_aside(rule) and mask is not None:
            masks[rule.code] = mask
    return found, masks


def add_counts(counts: Iterable[Count]) -> Count:
    """Return the count of all rows together; `counts` come in the order of their months, so that means are the same."""
    parts = list(counts)
    known = [(part.considered, part.mean) for part in parts if part.mean is not None and part.considered]
    considered = sum(part.considered for part in parts)
    total = sum(rows * mean for rows, mean in known)
    return Count(
        rows=sum(part.rows for part in parts),
        missing=sum(part.missing for part in parts),
        considered=considered,
        unexpected=sum(part.unexpected for part in parts),
        mean=total / considered if known else None,
        raised=next((part.raised for part in parts if part.raised), ""),
    )


def decide(rule: Rule, expectation: Any, count: Count) -> Any:
    """Return what Great Expectations makes of the sums: its own result, in the form it gives for a table."""
    from great_expectations.core import ExpectationValidationResult

    raised = None
    found: Any = {"success": False, "result": {}}
    if count.raised:
        raised = count.raised
    else:
        try:
            found = expectation._validate(
                metrics=_metrics(rule, expectation, count), runtime_configuration=_FORMAT, execution_engine=None
            )
        except Exception as error:  # its message may quote values
            raised = type(error).__name__
    return ExpectationValidationResult(
        success=bool(found["success"]),
        expectation_config=expectation.configuration,
        result=found["result"],
        exception_info={
            "raised_exception": raised is not None,
            "exception_message": None,
            "exception_traceback": raised,
        },
    )


# --- inside ---------------------------------------------------------------------------------------------------------

_FORMAT = {"result_format": {"result_format": "BASIC", "exclude_unexpected_values": True}}


class _RaisedError(Exception):
    """Great Expectations raised; `kind` is the error's class."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class _Conditions:
    """Great Expectations' engine on a chunk's claims. What several rules ask is computed once."""

    def __init__(self, chunk: Chunk) -> None:
        from great_expectations.execution_engine import PandasExecutionEngine
        from great_expectations.validator.metrics_calculator import MetricsCalculator

        engine = PandasExecutionEngine()
        engine.load_batch_data("claims", chunk.claims)
        self._calculator = MetricsCalculator(execution_engine=engine, show_progress_bars=False)
        self._missing: dict[str, NDArray[np.bool_]] = {}
        self._columns = chunk.claims

    def broken(self, expectation: Any) -> Any:
        """Return a boolean Series over the rows that the expectation looks at, true where one breaks it."""
        from great_expectations.expectations.registry import get_metric_kwargs
        from great_expectations.validator.metric_configuration import MetricConfiguration

        metric = expectation.map_metric
        asked = get_metric_kwargs(metric_name=f"{metric}.unexpected_count", configuration=expectation.configuration)
        condition = MetricConfiguration(
            f"{metric}.condition", asked["metric_domain_kwargs"], asked["metric_value_kwargs"]
        )
        found, aborted = self._calculator.compute_metrics([condition])
        if condition.id not in found:
            raise _RaisedError(_kind_of(aborted))
        return found[condition.id][0]

    def missing(self, column: str) -> "NDArray[np.bool_]":
        if column not in self._missing:
            self._missing[column] = self._columns[column].isna().to_numpy(bool)
        return self._missing[column]


def _kind_of(aborted: Mapping[Any, Any]) -> str:
    for told in aborted.values():
        lines = str(told.get("exception_info", {}).get("exception_traceback") or "").strip().splitlines()
        kind = lines[-1].split(":")[0].rsplit(".", 1)[-1].strip() if lines else ""
        if kind.isidentifier() and kind.endswith(("Error", "Exception")):  # else a line of its message
            return kind
    return "MetricError"


def _count(
    chunk: Chunk, rule: Rule, expectation: Any, conditions: _Conditions, rows: Mapping[str, int]
) -> "tuple[dict[str, Count], NDArray[np.bool_] | None]":
    import numpy as np
    import pandas as pd

    if rule.type in _ROWS:
        return {month: Count(rows[month]) for month in chunk.months}, None
    absent = [name for name in rule.columns if name not in chunk.claims.columns]
    if absent:
        raise _RaisedError("MetricResolutionError")
    if rule.type == _MEAN:
        values = chunk.claims[rule.columns[0]]
        if not pd.api.types.is_numeric_dtype(values.dtype):
            raise _RaisedError("MetricResolutionError")
        return _means(chunk, values.to_numpy(dtype=float, na_value=np.nan), rows), None
    missing = conditions.missing(rule.columns[0]) if rule.kwargs.get("column") else np.zeros(len(chunk.claims), bool)
    if rule.type == _UNIQUE:  # which values repeat is told over all months
        mask, considered = np.zeros(len(chunk.claims), bool), ~missing
    else:
        broken = conditions.broken(expectation)
        positions = broken.index.to_numpy()
        considered = np.zeros(len(chunk.claims), bool)
        considered[positions] = True
        mask = np.zeros(len(chunk.claims), bool)
        mask[positions] = broken.to_numpy(bool)
    absent_by, considered_by, broken_by = (chunk.counted(of) for of in (missing, considered, mask))
    counts = {
        month: Count(rows[month], absent_by[month], considered_by[month], broken_by[month]) for month in chunk.months
    }
    return counts, mask


def _means(chunk: Chunk, values: "NDArray[np.float64]", rows: Mapping[str, int]) -> dict[str, Count]:
    import numpy as np

    known = ~np.isnan(values)
    found = {}
    for place, month in enumerate(chunk.months):
        mine = values[known & (chunk.places == place)]
        mean = float(np.mean(mine)) if len(mine) else None
        found[month] = Count(rows[month], missing=rows[month] - len(mine), considered=len(mine), mean=mean)
    return found


def _metrics(rule: Rule, expectation: Any, count: Count) -> dict[str, Any]:
    """Return the metrics that the expectation draws its result from, by the names it asks for."""
    metrics: dict[str, Any] = {"table.row_count": count.rows}
    if rule.type == _MEAN:
        metrics["column.mean"] = math.nan if count.mean is None else count.mean
    elif rule.type not in _ROWS:
        metric = expectation.map_metric
        metrics |= {
            f"{_MISSING}.unexpected_count": count.missing,
            f"{metric}.unexpected_count": count.unexpected,
            f"{metric}.filtered_row_count": count.considered,
        }
    return metrics
