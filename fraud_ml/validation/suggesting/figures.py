"""What the months' partials tell of a rule: the counts it is judged by, under limits that nobody has asked yet.

Nothing is counted anew: rows and known values come from the descriptions, words and numbers from the profiles.
"""

from collections.abc import Iterable

from fraud_ml.validation.counting import Count, add_counts
from fraud_ml.validation.partial import Summary
from fraud_ml.validation.profile import ColumnProfile
from fraud_ml.validation.suggesting.limits import edges_of
from fraud_ml.validation.suite import Rule

ROW_COUNT = "expect_table_row_count_to_be_between"
KNOWN = "expect_column_values_to_not_be_null"
IN_SET = "expect_column_values_to_be_in_set"
NOT_IN_SET = "expect_column_values_to_not_be_in_set"
BETWEEN = "expect_column_values_to_be_between"
MEAN = "expect_column_mean_to_be_between"


def count_of(rule: Rule, month: Summary) -> Count | None:
    """Return what a month holds of the rule, as `counting.py` would count it; None where its partial cannot tell.

    A number in the bucket of a bound counts as within it: where numbers break a range, at least so many do.
    """
    if rule.type == ROW_COUNT:
        return Count(month.rows)
    figures = month.description.columns.get(rule.columns[0])
    if figures is None or not month.description.rows:
        return None
    rows, missing = month.description.rows, month.description.rows - figures.known
    if rule.type == KNOWN:
        return Count(rows, missing, rows, missing)
    if rule.type == MEAN:
        return Count(rows, missing, figures.known, mean=figures.mean) if figures.known else None
    column = month.profile.columns.get(rule.columns[0])
    broken = _broken(rule, column) if column is not None else None
    return None if column is None or broken is None else Count(rows, missing, column.known, broken)


def count_of_all(rule: Rule, months: Iterable[Summary]) -> Count | None:
    """Return what all months together hold of the rule; None where one of them cannot tell."""
    parts = []
    for month in months:
        part = count_of(rule, month)
        if part is None and month.description.rows:
            return None
        parts += [part] if part is not None else []
    return add_counts(parts) if parts else None


# --- inside ---------------------------------------------------------------------------------------------------------


def _broken(rule: Rule, column: ColumnProfile) -> int | None:
    if column.counts is None or rule.type not in (IN_SET, NOT_IN_SET, BETWEEN):
        return None
    if rule.type == BETWEEN:
        return _beyond(rule, column)
    listed = sum(column.counts.get(str(word), 0) for word in rule.kwargs["value_set"])
    return column.known - listed if rule.type == IN_SET else listed


def _beyond(rule: Rule, column: ColumnProfile) -> int:
    low, high = rule.kwargs.get("min_value"), rule.kwargs.get("max_value")
    found = 0
    for bucket, rows in (column.counts or {}).items():
        least, most = edges_of(int(bucket))
        found += rows * ((low is not None and most < low) or (high is not None and least > high))
    return found
