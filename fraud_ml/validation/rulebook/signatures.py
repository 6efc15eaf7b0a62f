"""What Great Expectations says of an expectation before it sees data: is it known, are these its arguments?"""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from fraud_ml.artifacts import Severity
from fraud_ml.validation.loading import great_expectations
from fraud_ml.validation.suite import Rule

Refusal = tuple[str, str, str, str]  # a code of problem.py, what, expected, next step
_OURS = frozenset(  # arguments that every expectation has, beside those that make it
    {
        *("id", "meta", "notes", "result_format", "description", "catch_exceptions", "rendered_content"),
        *("severity", "windows", "batch_id"),
    }
)


def refusal(rule: Rule, content: Mapping[str, Any]) -> Refusal | None:
    """Return why Great Expectations cannot judge this expectation, or None."""
    known = _known()
    if rule.type not in known:
        close = get_close_matches(rule.type, known, n=1)
        hint = f"did you mean `{close[0]}`?" if close else "take one of Great Expectations' own"
        return "RULE007", f"Great Expectations knows no `{rule.type}`", "a core expectation", hint
    wanted = sorted(known[rule.type] - _OURS)
    unknown = sorted(set(rule.kwargs) - known[rule.type])
    if unknown:
        close = get_close_matches(unknown[0], wanted, n=1)
        hint = f"did you mean `{close[0]}`?" if close else "remove it"
        return "RULE008", f"`{rule.type}` takes no `{unknown[0]}`", f"some of {', '.join(wanted)}", hint
    made = _made(content)
    if isinstance(made, str):
        return "RULE008", f"`{rule.type}` refuses its arguments: {made}", "", "correct its kwargs"
    if rule.severity is Severity.QUARANTINE and not isinstance(made, _row_level()):
        return (
            "RULE006",
            f"sets rows aside, but `{rule.type}` does not look at rows one by one",
            "a row-level expectation",
            "choose a row-level expectation, or severity stop",
        )
    return None


def _made(content: Mapping[str, Any]) -> Any:
    """Return the expectation as Great Expectations makes it, or its complaint in one line."""
    try:
        (made,) = great_expectations().ExpectationSuite(name="checked", expectations=[dict(content)]).expectations
    except Exception as refused:  # whatever its validators raise
        lines = [line.strip() for line in str(refused).splitlines()[1:] if line.startswith(" ")]
        return (lines[0] if lines else str(refused)).split(" (type=")[0][:200]
    return made


@cache
def _known() -> dict[str, frozenset[str]]:
    """Return each expectation's type with the names of its arguments."""
    great_expectations()
    from great_expectations.expectations import core  # noqa: F401 - fills the registry
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    return {
        name: frozenset(get_expectation_impl(name).__fields__) for name in list_registered_expectation_implementations()
    }


def _row_level() -> tuple[type, ...]:
    from great_expectations.expectations.expectation import (
        ColumnMapExpectation,
        ColumnPairMapExpectation,
        MulticolumnMapExpectation,
    )

    return ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation
