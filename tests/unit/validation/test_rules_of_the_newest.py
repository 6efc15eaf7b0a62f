"""Faults that no single month or column shows: in a quarter's months together, or in two columns beside each other."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from fraud_ml.artifacts import Outcome, Severity
from fraud_ml.contract import KnownChange
from fraud_ml.validation.evidence import Evidence
from fraud_ml.validation.profiling import profile_months
from fraud_ml.validation.rules import RULES, judge_rules

AS_OF = date(2024, 12, 31)
ROWS = 4_800  # 400 a month
NEWEST = ("2024-10", "2024-11", "2024-12")


@pytest.fixture
def claims(make_claims):
    """Claims of 2024, the same number in each month; `month` is dropped before they are judged."""
    draw = np.random.default_rng(4)
    months = np.tile([f"2024-{number:02d}" for number in range(1, 13)], ROWS // 12)
    times = pd.to_datetime(months) + pd.to_timedelta(draw.integers(0, 27 * 24 * 60, ROWS), unit="min")
    frame = make_claims(
        ROWS,
        event_time=times,
        accident_date=times,
        reported_date=times,
        recorded_at=pd.to_datetime(months) + pd.Timedelta(days=27, hours=12),
        vehicle_make=np.array(["volta", "corsaro", "ibis"])[draw.integers(0, 3, ROWS)],
        claim_amount_eur=draw.lognormal(7, 0.8, ROWS).round(2),
        police_report=np.where(draw.random(ROWS) < 0.3, "yes", "no"),
    )
    return frame.assign(month=months)


@pytest.fixture
def found(motor):
    """Return (code, column, month, severity) of all that breaks a rule over months."""

    def find(claims, contract=motor):
        claims = claims.drop(columns="month")
        evidence = Evidence(contract, AS_OF, profile_months(claims, contract, ()).months, {})
        broken = [one for one in judge_rules(evidence) if one.outcome is not Outcome.PASSED]
        return {(one.code, one.column, one.partition, one.severity) for one in broken}

    return find


def some_of(claims, count, months=NEWEST):
    """Return the labels of `count` claims of each of these months, spread over the month."""
    return [row for month in months for row in claims.index[claims["month"] == month][:: 400 // count][:count]]


def every_month(claims, column, value, count):
    claims.loc[some_of(claims, count, sorted(set(claims["month"]))), column] = value
    return claims


def test_two_flags_that_are_exchanged_are_told_and_by_nothing_else(found, claims):
    """Both say yes and no, seldom: neither leaves what a flag's share does by itself."""
    claims[["cover", "sales_channel"]] = "no"
    every_month(claims, "cover", "yes", 12)
    every_month(claims, "sales_channel", "yes", 2)
    before = found(claims)
    newest = claims["month"].isin(NEWEST)
    claims.loc[newest, ["cover", "sales_channel"]] = claims.loc[newest, ["sales_channel", "cover"]].to_numpy()
    told = ("DATA127", "cover, sales_channel", "2024-12", Severity.STOP)
    assert found(claims) - before == {told}


def test_one_flag_that_drifts_to_another_ones_share_is_not_exchanged(found, claims):
    claims[["cover", "sales_channel"]] = "no"
    every_month(claims, "cover", "yes", 12)
    every_month(claims, "sales_channel", "yes", 2)
    claims.loc[claims["month"].isin(NEWEST), "cover"] = "no"
    claims.loc[some_of(claims, 2), "cover"] = "yes"
    assert "DATA127" not in {code for code, *_ in found(claims)}
    claims.loc[some_of(claims, 40), "sales_channel"] = "yes"  # far beyond what the other one ever was
    claims.loc[some_of(claims, 12), "cover"] = "yes"
    assert "DATA127" not in {code for code, *_ in found(claims)}


def test_a_flag_that_drifts_beside_one_like_it_is_not_exchanged(found, claims):
    """Of these few rows nobody could tell one flag from the other."""
    claims[["cover", "sales_channel"]] = "no"
    every_month(claims, "cover", "yes", 4)
    every_month(claims, "sales_channel", "yes", 8)
    claims.loc[some_of(claims, 44, NEWEST[2:]), "cover"] = "yes"
    assert "DATA127" not in {code for code, *_ in found(claims)}


def test_columns_that_are_alike_are_not_exchanged_and_a_known_change_begins_anew(found, claims, motor):
    claims["cover"] = claims["police_report"].sample(frac=1, random_state=1).to_numpy()  # the same shares
    assert "DATA127" not in {code for code, *_ in found(claims)}
    claims["cover"] = "no"
    newest = claims["month"].isin(NEWEST)
    claims.loc[newest, ["cover", "police_report"]] = claims.loc[newest, ["police_report", "cover"]].to_numpy()
    assert ("DATA127", "cover, police_report", "2024-12", Severity.STOP) in found(claims)
    change = KnownChange(column="cover", since=date(2024, 10, 1), why="asked otherwise")
    contract = motor.model_copy(update={"checks": motor.checks.model_copy(update={"known_changes": (change,)})})
    assert "DATA127" not in {code for code, *_ in found(claims, contract)}


def test_values_missing_where_they_never_were_are_told_and_by_nothing_else(found, claims):
    """A value is never known of one make; of the others six in four hundred are lost, far fewer."""
    claims.loc[claims["vehicle_make"] == "ibis", "vehicle_value_eur"] = None
    before = found(claims)
    others = claims.index[(claims["month"] == "2024-12") & (claims["vehicle_make"] != "ibis")]
    claims.loc[others[:9], "vehicle_value_eur"] = None
    assert found(claims) - before == {("DATA114", "vehicle_value_eur", "2024-12", Severity.STOP)}


def test_values_missing_where_they_always_were_are_no_news(found, claims):
    claims.loc[claims["vehicle_make"] == "ibis", "vehicle_value_eur"] = None
    claims.loc[some_of(claims, 40, ["2024-12"]), "vehicle_make"] = "ibis"
    claims.loc[claims["vehicle_make"] == "ibis", "vehicle_value_eur"] = None
    assert "DATA114" not in {code for code, *_ in found(claims)}


def test_a_little_more_missing_in_each_of_three_months_warns_and_in_one_does_not(found, claims):
    every_month(claims, "driver_age_years", None, 8)
    before = found(claims)
    assert "DATA111" not in {code for code, *_ in before}
    for months, told in (
        (NEWEST[2:], set()),
        (NEWEST, {("DATA111", "driver_age_years", "2024-12", Severity.WARN)}),
    ):
        spoiled = claims.copy()
        spoiled.loc[some_of(claims, 15, months), "driver_age_years"] = None
        assert found(spoiled) - before == told


def test_a_missing_share_that_varies_by_itself_is_no_news(found, claims):
    """As much was missing in another quarter of the year."""
    every_month(claims, "driver_age_years", None, 4)
    claims.loc[some_of(claims, 22, ["2024-04", "2024-05", "2024-06", *NEWEST]), "driver_age_years"] = None
    assert "DATA111" not in {code for code, _, month, _ in found(claims) if month in NEWEST}


def test_a_share_that_moves_a_little_in_each_of_three_months_warns(found, claims):
    claims["police_report"] = "no"
    every_month(claims, "police_report", "yes", 100)
    before = found(claims)
    for months, told in ((NEWEST[2:], set()), (NEWEST, {("DATA124", "police_report", "2024-12", Severity.WARN)})):
        spoiled = claims.copy()
        rows = [claims.index[(claims["month"] == month) & (claims["police_report"] == "no")][:36] for month in months]
        spoiled.loc[np.concatenate(rows), "police_report"] = "yes"
        assert {one for one in found(spoiled) - before if one[0] != "DATA181"} == told


def test_a_category_that_was_never_so_rare_warns_and_one_that_was_does_not(found, claims):
    """A fifth of the claims, then far fewer, within what all rules of single months let pass."""
    claims["police_report"] = "no"
    every_month(claims, "police_report", "yes", 76)
    quarter = dict.fromkeys(("2024-03", "2024-04", "2024-05"), 24)
    newest = dict.fromkeys(NEWEST, 31)
    for fewer, told in ((newest, True), ({**quarter, **newest}, False)):
        spoiled = claims.copy()
        for month, count in fewer.items():
            some = claims.index[(claims["month"] == month) & (claims["police_report"] == "yes")]
            spoiled.loc[some[:count], "police_report"] = "no"
        broken = {("DATA124", "police_report", "2024-12", Severity.WARN)} if told else set()
        assert {one for one in found(spoiled) - found(claims) if one[0] != "DATA181"} == broken


def test_what_is_new_has_its_code_once():
    codes = [rule.code for rule in RULES]
    assert len(codes) == len(set(codes))
