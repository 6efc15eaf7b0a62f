"""What Great Expectations says about the claims, without their values. The owner of great_expectations.

Its results may carry a claim's values (observed maxima, unexpected values, messages of exceptions). So only what
`_kept` names leaves this module: counts, and figures that no single claim determines. Everything else is withheld,
from findings and Data Docs (`data_docs.py`) alike.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud_ml.artifacts import Finding, Outcome
from fraud_ml.validation.counting import Count, decide, sets_aside
from fraud_ml.validation.data_docs import data_docs_site, write_data_docs
from fraud_ml.validation.loading import great_expectations
from fraud_ml.validation.suite import Rule, Suite

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

_COUNTS = (
    "element_count",
    "unexpected_count",
    "unexpected_percent",
    "unexpected_percent_total",
    "unexpected_percent_nonmissing",
    "missing_count",
    "missing_percent",
)
_SHARES = frozenset(  # types whose observed value is a count or a share of rows
    {
        "expect_column_proportion_of_non_null_values_to_be_between",
        "expect_column_proportion_of_unique_values_to_be_between",
        "expect_column_unique_value_count_to_be_between",
        "expect_table_column_count_to_be_between",
        "expect_table_column_count_to_equal",
        "expect_table_row_count_to_be_between",
        "expect_table_row_count_to_equal",
    }
)
_MOMENTS = frozenset({"expect_column_mean_to_be_between", "expect_column_stdev_to_be_between"})
ENOUGH_VALUES_FOR_A_MOMENT = 100  # below, a mean may tell one claim's value
_UNDECIDED = "could not judge"


@dataclass(frozen=True)
class Expected:
    """What the suite found, one finding a rule, and the positions of the rows that quarantine rules set aside."""

    findings: tuple[Finding, ...]
    rows: Mapping[str, tuple[int, ...]]  # code -> positions
    kept: Mapping[str, Mapping[str, Any]]  # code -> what of Great Expectations' result may be told
    data_docs_page: Path | None = None


@dataclass(frozen=True)
class UnknownPeople:
    """The claims of people who were erased, and the columns that are empty there for that reason alone."""

    columns: frozenset[str]
    rows: "NDArray[np.bool_]"  # (n_claims,)

    def concerns(self, rule: Rule) -> bool:
        return not self.columns.isdisjoint(rule.columns)

    def others(self, claims: "pd.DataFrame") -> "pd.DataFrame":
        """Return the claims of everybody else, on a RangeIndex."""
        return claims[~self.rows].reset_index(drop=True)

    def positions_in_all(self, positions: tuple[int, ...]) -> tuple[int, ...]:
        """Return where rows of `others` stand among all claims."""
        places = (~self.rows).nonzero()[0]
        return tuple(int(places[position]) for position in positions)


def judge_expectations(
    claims: "pd.DataFrame",
    suite: Suite,
    *,
    as_of: date,
    data_docs: Path | None = None,
    unknown_people: UnknownPeople | None = None,
) -> Expected:
    """Judge `claims` (a RangeIndex, at least one row) by every rule of the suite; write Data Docs when asked to.

    Rules about people's columns are judged on the claims of those who are not `unknown_people`: erased is no finding.
    A rule in which Great Expectations raised is undecided. Raises BadInput when it refuses an expectation.
    """
    gx = great_expectations()
    context = _context(None)
    parts = _suites(gx, suite, unknown_people)
    asset = context.data_sources.add_pandas("snapshot").add_dataframe_asset("claims")
    whole = asset.add_batch_definition_whole_dataframe("all")
    results: dict[str, Any] = {}
    for part, result_format, about_people in parts:
        judged = unknown_people.others(claims) if about_people and unknown_people else claims
        if judged.empty:  # every person was erased: nobody is left to judge these rules by, and so they are undecided
            continue
        batch = whole.get_batch({"dataframe": judged})
        for result in _validate(context.suites.add(part), batch, result_format):
            results[result.expectation_config.meta["code"]] = result
    kept = {
        rule.code: _kept(rule, results[rule.code], _known(rule, claims)) for rule in suite.rules if rule.code in results
    }
    told = {rule.code: _tell(rule, results.get(rule.code), kept.get(rule.code, {})) for rule in suite.rules}
    rows = {code: positions for code, (_, positions) in told.items() if positions}
    for rule in suite.rules:
        if rule.code in rows and unknown_people and unknown_people.concerns(rule):
            rows[rule.code] = unknown_people.positions_in_all(rows[rule.code])
    findings = tuple(finding for finding, _ in told.values())
    return Expected(findings, rows, kept, publish(suite, findings, kept, as_of, data_docs) if data_docs else None)


def tell_counted(rules: Sequence[Rule], expectations: Mapping[str, Any], counts: Mapping[str, Count]) -> Expected:
    """Return the findings on rules whose counts were added up; which rows they set aside is told elsewhere.

    A rule without rows that it might be judged by is undecided: every person was erased, and nobody is left.
    """
    findings, kept = [], {}
    for rule in rules:
        count = counts.get(rule.code)
        result = decide(rule, expectations[rule.code], count) if count is not None and count.rows else None
        if result is not None and count is not None:
            kept[rule.code] = _kept(rule, result, count.considered)
        findings.append(_tell(rule, result, kept.get(rule.code, {}), named=False)[0])
    return Expected(tuple(findings), {}, kept)


def publish(
    suite: Suite, findings: Sequence[Finding], kept: Mapping[str, Mapping[str, Any]], as_of: date, folder: Path
) -> Path | None:
    """Write Data Docs of the suite's findings, in its order, and return the page of this validation."""
    great_expectations()
    told = [(finding, kept.get(finding.code, {})) for finding in findings]
    return write_data_docs(_context(folder), suite, told, as_of, folder)


def _context(data_docs: Path | None) -> Any:
    """Return a context that lives in memory; only the Data Docs site, if any, is on disk."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    sites = {} if data_docs is None else {"claims": data_docs_site(data_docs)}
    config = DataContextConfig(
        data_docs_sites=sites,
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def load_expectations(suite: Suite) -> dict[str, Any]:
    """Return Great Expectations' object for each rule, by code. Raises BadInput when it refuses an expectation."""
    gx = great_expectations()
    from great_expectations.expectations.expectation import (
        ColumnMapExpectation,
        ColumnPairMapExpectation,
        MulticolumnMapExpectation,
    )

    row_level = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)
    loaded: dict[str, Any] = {}
    for rule, content in zip(suite.rules, suite.content["expectations"], strict=True):
        try:
            (expectation,) = gx.ExpectationSuite(name=rule.code, expectations=[content]).expectations
        except Exception as refused:
            raise suite.refuse(
                rule.index,
                f"{rule.code}: Great Expectations refuses `{rule.type}`",
                arrived=" ".join(str(refused).split())[:300],
                next_step="correct its type or kwargs",
            ) from None
        if sets_aside(rule) and not isinstance(expectation, row_level):
            raise suite.refuse(
                rule.index,
                f"{rule.code} sets rows aside, but `{rule.type}` does not look at rows one by one",
                next_step="choose a row-level expectation, or severity stop",
            )
        loaded[rule.code] = expectation
    return loaded


def _suites(gx: Any, suite: Suite, unknown: UnknownPeople | None) -> list[tuple[Any, dict[str, Any], bool]]:
    """Return the suite in parts: rules that set rows aside need positions, the others only counts.

    Where there are unknown people, rules about people's columns stand apart; the last of each three says so.
    """
    loaded = load_expectations(suite)
    parts: dict[tuple[bool, bool], list[Any]] = {}
    for rule in suite.rules:
        about_people = unknown is not None and unknown.concerns(rule)
        parts.setdefault((sets_aside(rule), about_people), []).append(loaded[rule.code])
    formats = {True: "COMPLETE", False: "BASIC"}
    return [
        (
            gx.ExpectationSuite(
                name=f"{suite.content['name']}-{'rows' if aside else 'counts'}{'-people' if about_people else ''}",
                expectations=members,
            ),
            {"result_format": formats[aside], "exclude_unexpected_values": True},
            about_people,
        )
        for (aside, about_people), members in parts.items()
    ]


def _validate(part: Any, batch: Any, result_format: dict[str, Any]) -> list[Any]:
    try:
        return list(batch.validate(part, result_format=result_format).results)
    except Exception:  # every rule of this part stays without a result, and so undecided; the message may quote values
        return []


def _tell(rule: Rule, result: Any, kept: Mapping[str, Any], *, named: bool = True) -> tuple[Finding, tuple[int, ...]]:
    """Return the finding on one rule, and the positions of the rows it sets aside, if they are `named`."""
    if result is None or not isinstance(result.success, bool):
        return rule.found(Outcome.UNDECIDED, f"{_UNDECIDED}: Great Expectations gave no result"), ()
    if raised := _raised(result.exception_info):
        return rule.found(Outcome.UNDECIDED, f"{_UNDECIDED}: {raised}"), ()
    passed = Outcome.PASSED if result.success else Outcome.FAILED
    if "unexpected_count" not in kept or "element_count" not in kept:
        observed = kept.get("observed_value")
        told = "withheld, for it may be a claim's value" if observed is None else f"observed {observed:,}"
        return rule.found(passed, told if observed is not None or not result.success else "as expected"), ()
    rows, count = int(kept["element_count"]), int(kept["unexpected_count"])
    judged = rows - int(kept.get("missing_count", 0))
    what = "missing" if rule.type == "expect_column_values_to_not_be_null" else "otherwise"
    arrived = f"{count:,} of {judged:,} {what}" + (f" ({count / judged:.2%})" if judged else "")
    share = round(count / rows, 6) if rows else None
    outcome = passed if not sets_aside(rule) else Outcome.FAILED if count else Outcome.PASSED
    if not sets_aside(rule) or not named:
        return rule.found(outcome, arrived, count=count, share=share), ()
    positions = tuple(sorted({int(position) for position in result.result.get("unexpected_index_list") or ()}))
    if len(positions) != count:
        return rule.found(Outcome.UNDECIDED, f"{_UNDECIDED}: {count:,} rows, but {len(positions):,} are named"), ()
    return rule.found(outcome, arrived, count=count, share=share), positions


def _raised(info: Mapping[str, Any] | None) -> str | None:
    """Return what was raised, by its kind alone. A failed metric is told one level deeper than a failed expectation."""
    for part in (info or {}, *(info or {}).values()):
        if isinstance(part, Mapping) and part.get("raised_exception"):
            lines = str(part.get("exception_traceback") or "").strip().splitlines()
            kind = lines[-1].split(":")[0].rsplit(".", 1)[-1].strip() if lines else ""
            is_kind = kind.isidentifier() and kind.endswith(("Error", "Exception"))  # else a line of its message
            return f"Great Expectations raised {kind if is_kind else 'an exception'}"
    return None


def _kept(rule: Rule, result: Any, known: int) -> dict[str, Any]:
    """Return what of a result may leave: counts, and a figure when many of `known` values make it."""
    found: Mapping[str, Any] = result.result or {}
    kept: dict[str, Any] = {name: _number(found[name]) for name in _COUNTS if found.get(name) is not None}
    observed = _number(found.get("observed_value"))
    of_many = rule.type in _MOMENTS and known >= ENOUGH_VALUES_FOR_A_MOMENT
    if observed is not None and (rule.type in _SHARES or of_many):
        kept["observed_value"] = observed
    return kept


def _known(rule: Rule, claims: "pd.DataFrame") -> int:
    known = [int(claims[name].notna().sum()) for name in rule.columns if name in claims.columns]
    return min(known, default=0)


def _number(value: Any) -> int | float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number == int(number) else round(number, 6)
