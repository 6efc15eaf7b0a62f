"""What Great Expectations answers becomes findings: counts and shares, rows to set aside, never a value."""

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest

from fraud_ml.artifacts import Outcome, Severity
from fraud_ml.errors import BadInput
from fraud_ml.settings import PROJECT
from fraud_ml.validation.expectations import judge_expectations
from fraud_ml.validation.suite import read_suite

AS_OF = date(2024, 12, 31)


def rule(kind, severity="stop", code="GX101", **kwargs):
    return {
        "type": kind,
        "kwargs": kwargs,
        "meta": {"code": code, "title": "a rule", "severity": severity, "next_step": "look"},
    }


@pytest.fixture
def ask(tmp_path, motor):
    """Judge claims by the given expectations; return what was found."""

    def judge(claims, *expectations, data_docs=None):
        path = tmp_path / "suite.json"
        path.write_text(json.dumps({"name": "motor", "expectations": list(expectations)}))
        return judge_expectations(claims, read_suite(path, motor), as_of=AS_OF, data_docs=data_docs)

    return judge


def test_nulls_are_told_by_column_expectation_counts_and_share(make_claims, ask):
    regions = pd.Series(["north"] * 280 + [None] * 120)
    (finding,) = ask(
        make_claims(region=regions), rule("expect_column_values_to_not_be_null", column="region", mostly=0.99)
    ).findings
    assert finding.outcome is Outcome.FAILED
    assert finding.stops
    assert (finding.column, finding.count, finding.share) == ("region", 120, 0.3)
    assert finding.expected == "expect_column_values_to_not_be_null in at least 99 % of the values"
    assert finding.arrived == "120 of 400 missing (30.00%)"
    assert finding.next_step == "look"


@pytest.mark.parametrize(("strange", "outcome"), [(4, Outcome.PASSED), (5, Outcome.FAILED)])
def test_unknown_categories_fail_above_their_share(make_claims, ask, strange, outcome):
    regions = ["moon"] * strange + ["north"] * (400 - strange)
    (finding,) = ask(
        make_claims(region=regions),
        rule("expect_column_values_to_be_in_set", column="region", value_set=["north"], mostly=0.99),
    ).findings
    assert (finding.outcome, finding.count, finding.share) == (outcome, strange, strange / 400)
    assert finding.expected == "expect_column_values_to_be_in_set (value_set: 1 values) in at least 99 % of the values"


def test_findings_come_in_the_suites_order_one_for_each_rule(make_claims, ask):
    found = ask(
        make_claims(),
        rule("expect_column_values_to_be_between", "quarantine", "GX501", column="driver_age_years", min_value=16),
        rule("expect_table_row_count_to_be_between", code="GX001", min_value=1),
        rule("expect_column_values_to_not_be_null", code="GX101", column="sex"),
    ).findings
    assert [finding.code for finding in found] == ["GX501", "GX001", "GX101"]
    assert {finding.outcome for finding in found} == {Outcome.PASSED}
    assert found[1].arrived == "observed 400"


def test_a_failed_warning_does_not_stop(make_claims, ask):
    (finding,) = ask(
        make_claims(), rule("expect_column_mean_to_be_between", "warn", column="driver_age_years", max_value=3)
    ).findings
    assert (finding.outcome, finding.severity, finding.stops) == (Outcome.FAILED, Severity.WARN, False)


def test_a_quarantine_rule_names_its_rows(make_claims, ask):
    ages = np.full(400, 40.0)
    ages[[7, 300]] = 5, 170
    found = ask(
        make_claims(driver_age_years=ages),
        rule(
            "expect_column_values_to_be_between", "quarantine", column="driver_age_years", min_value=16, max_value=110
        ),
    )
    assert found.rows == {"GX101": (7, 300)}
    assert (found.findings[0].outcome, found.findings[0].count, found.findings[0].stops) == (Outcome.FAILED, 2, False)


def test_a_quarantine_rule_over_two_columns_names_its_rows(make_claims, ask):
    claims = make_claims()
    claims.loc[5, "reported_date"] = pd.Timestamp("2024-12-30")
    found = ask(
        claims,
        rule(
            "expect_column_pair_values_a_to_be_greater_than_b",
            "quarantine",
            column_A="recorded_at",
            column_B="reported_date",
            or_equal=True,
        ),
    )
    assert found.rows == {"GX101": (5,)}
    assert found.findings[0].column == "recorded_at, reported_date"


def test_rows_that_cannot_be_told_apart_are_undecided(make_claims, ask):
    claims = make_claims(driver_age_years=3.0)
    claims.index = [0] * len(claims)
    found = ask(
        claims, rule("expect_column_values_to_be_between", "quarantine", column="driver_age_years", min_value=16)
    )
    assert found.findings[0].outcome is Outcome.UNDECIDED
    assert found.findings[0].arrived == "could not judge: 400 rows, but 1 are named"


def test_a_rule_in_which_great_expectations_raises_is_undecided_and_stops(make_claims, ask):
    found = ask(
        make_claims().drop(columns="sex"),
        rule("expect_column_values_to_not_be_null", "warn", code="GX101", column="sex"),
        rule("expect_column_mean_to_be_between", "warn", code="GX102", column="region", min_value=1),
        rule("expect_column_values_to_not_be_null", code="GX103", column="region"),
    ).findings
    assert [finding.outcome for finding in found] == [Outcome.UNDECIDED, Outcome.UNDECIDED, Outcome.PASSED]
    assert [finding.stops for finding in found] == [True, True, False]
    assert found[0].arrived.startswith("could not judge: Great Expectations raised")


def test_an_expectation_that_great_expectations_does_not_know_is_refused_by_index(make_claims, ask):
    known = rule("expect_column_values_to_not_be_null", column="sex")
    with pytest.raises(BadInput, match=r"expectations\[1\].*expect_miracles"):
        ask(make_claims(), known, rule("expect_miracles", code="GX102", column="sex"))
    with pytest.raises(BadInput, match=r"expectations\[1\].*refuses"):
        ask(make_claims(), known, rule("expect_column_values_to_not_be_null", code="GX102", column="sex", mostly=7))


def test_a_quarantine_rule_that_does_not_look_at_rows_is_refused(make_claims, ask):
    with pytest.raises(BadInput, match="does not look at rows one by one"):
        ask(make_claims(), rule("expect_column_mean_to_be_between", "quarantine", column="witnesses", max_value=3))


def test_an_observed_value_is_told_only_when_many_values_make_it(make_claims, ask):
    amounts = np.full(400, np.nan)
    amounts[0] = 987654321.0
    found = ask(
        make_claims(claim_amount_eur=amounts),
        rule("expect_column_max_to_be_between", code="GX101", column="claim_amount_eur", max_value=1),
        rule("expect_column_mean_to_be_between", code="GX102", column="claim_amount_eur", max_value=1),
        rule("expect_column_mean_to_be_between", code="GX103", column="witnesses", max_value=0.5),
    ).findings
    assert [finding.outcome for finding in found] == [Outcome.FAILED] * 3
    assert [finding.arrived for finding in found[:2]] == ["withheld, for it may be a claim's value"] * 2
    assert found[2].arrived.startswith("observed 0.99")


def test_data_docs_are_equal_for_equal_claims(make_claims, ask, tmp_path):
    folders = [tmp_path / name / "docs" for name in ("a", "b")]
    pages = [
        ask(make_claims(), rule("expect_column_values_to_not_be_null", column="sex"), data_docs=folder).data_docs_page
        for folder in folders
    ]
    assert "must never be null" in pages[0].read_text(encoding="utf-8")
    first, second = ({p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in folders)
    assert {path for path in first if first[path] != second.get(path)} == set()
    assert first.keys() == second.keys()


@pytest.mark.parametrize(
    "dataset", sorted(path.parent.name for path in (PROJECT / "expectations").glob("*/suite.json"))
)
def test_great_expectations_itself_loads_the_suite_file(dataset):
    import great_expectations as gx

    content = json.loads((PROJECT / "expectations" / dataset / "suite.json").read_text(encoding="utf-8"))
    suite = gx.get_context(mode="ephemeral").suites.add(gx.ExpectationSuite(**content))
    assert len(suite.expectations) == len(content["expectations"])
