"""The suite's expectations asked of one pandas frame by pandera, each as one check of a column or of the table.

Pandera has no `mostly`, so a check asks for a share of the values that are there, as Great Expectations does.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

Asked = Mapping[str, Any]


def schema_of(expectations: Sequence[Asked]) -> "pa.DataFrameSchema":
    """Return a schema with one check for each expectation. Raises KeyError on a type that it does not know."""
    import pandera.pandas as pa

    columns: dict[str, list[pa.Check]] = {}
    table: list[pa.Check] = []
    for one in expectations:
        check = pa.Check(_CHECKS[one["type"]](one["kwargs"]), name=one["meta"]["code"], ignore_na=False)
        if "column" in one["kwargs"]:
            columns.setdefault(one["kwargs"]["column"], []).append(check)
        else:
            table.append(check)
    checked = {name: pa.Column(nullable=True, checks=checks) for name, checks in columns.items()}
    return pa.DataFrameSchema(checked, checks=table)


def broken(claims: "pd.DataFrame", expectations: Sequence[Asked]) -> list[str]:
    """Return the codes of the expectations that the claims do not meet, sorted."""
    import pandera.errors

    try:
        schema_of(expectations).validate(claims, lazy=True)
    except pandera.errors.SchemaErrors as found:
        return sorted(set(found.failure_cases["check"]))
    return []


# --- inside ---------------------------------------------------------------------------------------------------------


def _mostly(kwargs: Asked, holds: "pd.Series[bool]", known: "pd.Series[bool] | None" = None) -> bool:
    """Say whether a share of the known values holds; of no value everything does, as in Great Expectations."""
    asked = holds if known is None else holds[known]
    return bool(not len(asked) or asked.mean() >= kwargs.get("mostly", 1.0))


def _known(kwargs: Asked) -> "Callable[[pd.Series[Any]], bool]":
    return lambda values: _mostly(kwargs, values.notna())


def _in_set(kwargs: Asked) -> "Callable[[pd.Series[Any]], bool]":
    return lambda values: _mostly(kwargs, values.isin(kwargs["value_set"]), values.notna())


def _between(kwargs: Asked) -> "Callable[[pd.Series[Any]], bool]":
    low, high = kwargs.get("min_value", float("-inf")), kwargs.get("max_value", float("inf"))

    def holds(values: "pd.Series[Any]") -> bool:
        above = values > low if kwargs.get("strict_min") else values >= low
        return _mostly(kwargs, above & (values <= high), values.notna())

    return holds


def _unique(_: Asked) -> "Callable[[pd.Series[Any]], bool]":
    return lambda values: values.is_unique


def _mean_between(kwargs: Asked) -> "Callable[[pd.Series[Any]], bool]":
    return lambda values: bool(kwargs["min_value"] <= values.mean() <= kwargs["max_value"])


def _at_least_rows(kwargs: Asked) -> "Callable[[pd.DataFrame], bool]":
    return lambda claims: len(claims) >= kwargs["min_value"]


def _not_before(kwargs: Asked) -> "Callable[[pd.DataFrame], bool]":
    def holds(claims: "pd.DataFrame") -> bool:
        later, earlier = claims[str(kwargs["column_A"])], claims[str(kwargs["column_B"])]
        return _mostly(kwargs, later >= earlier, later.notna() & earlier.notna())

    return holds


_CHECKS: dict[str, Callable[[Asked], Callable[[Any], bool]]] = {
    "expect_column_values_to_not_be_null": _known,
    "expect_column_values_to_be_in_set": _in_set,
    "expect_column_values_to_be_between": _between,
    "expect_column_values_to_be_unique": _unique,
    "expect_column_mean_to_be_between": _mean_between,
    "expect_table_row_count_to_be_between": _at_least_rows,
    "expect_column_pair_values_a_to_be_greater_than_b": _not_before,
}
