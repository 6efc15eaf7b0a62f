"""Each of our rules finds the fault it is there for, in its column and month, and nothing in good claims."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud_ml.artifacts import Outcome, Severity, canonical_json
from fraud_ml.contract import KnownChange
from fraud_ml.data.duck import connect
from fraud_ml.validation.evidence import Evidence
from fraud_ml.validation.profiling import profile_months
from fraud_ml.validation.rules import RULES, judge_rules
from fraud_ml.validation.rules.rows import _PLACEHOLDERS, row_findings, row_rules
from fraud_ml.validation.suite import read_suite

AS_OF = date(2024, 12, 31)
ROWS = 4_400  # some 370 a month
MAKES = np.array(["volta", "volta", "volta", "corsaro", "corsaro", "ibis"])


@pytest.fixture
def claims(make_claims):
    draw = np.random.default_rng(11)
    frame = make_claims(
        ROWS,
        vehicle_make=MAKES[draw.integers(0, 6, ROWS)],
        claim_amount=draw.lognormal(7, 0.8, ROWS),
        driver_age_years=draw.integers(18, 80, ROWS).astype(float),
        currency="CHF",
        paid_eur=0.0,
        police_report=np.where(draw.random(ROWS) < 0.3, "yes", "no"),
    )
    frame["accident_date"] += pd.to_timedelta(draw.integers(0, 3_600, ROWS), unit="s")
    frame["event_time"] = frame["accident_date"]
    frame[["reported_date", "recorded_at"]] += pd.Timedelta(days=1)
    for name, words in (("cover", ["liability", "partial"]), ("sales_channel", ["agent", "online"])):
        frame[name] = np.array(words)[draw.integers(0, 2, ROWS)]
    for name, words in (("accident_kind", ["glass", "fire"]), ("fault", ["own", "none"])):
        frame[name] = np.array(words)[draw.integers(0, 2, ROWS)]
    frame["claim_amount"] *= np.where(frame["accident_kind"] == "fire", 8.0, 1.0)
    frame["claim_amount_eur"] = frame["claim_amount"].round(2)
    frame["address_change"] = np.array(["none", "over_1_year"])[draw.integers(0, 2, ROWS)]
    return (
        frame.sample(frac=1, random_state=5).assign(claim_id=[f"M-{n:06d}" for n in range(ROWS)]).reset_index(drop=True)
    )


@pytest.fixture
def findings(motor, motor_rules):
    declared = read_suite(motor_rules / "suite.json", motor).declared

    def find(claims, contract=motor):
        rules = row_rules(contract, declared)
        found = profile_months(claims, contract, rules)
        evidence = Evidence(contract, AS_OF, found.months, declared)
        return [*judge_rules(evidence), *row_findings(contract, rules, found, len(claims), {})]

    return find


def failed(findings, *, stopping=False):
    return [
        one
        for one in findings
        if one.outcome is not Outcome.PASSED and (not stopping or one.severity is not Severity.WARN)
    ]


@dataclass(frozen=True)
class Fault:
    """What is done to the claims of November (`rows`), which code must tell it, and of which column."""

    code: str
    column: str | None
    spoil: object
    month: str | None = "2024-11"

    def __str__(self):
        return f"{self.code}-{self.column}"


def setting(column, values):
    def spoil(claims, rows):
        claims.loc[rows, column] = values(claims.loc[rows, column]) if callable(values) else values
        return claims

    return spoil


def some(share, value):
    def spoil(values):
        return values.where(np.arange(len(values)) % round(1 / share) > 0, value)

    return spoil


def again_as_another(claims, rows):
    """October's claims in November's place, under November's dates and other keys."""
    october = claims[claims["event_time"].dt.strftime("%Y-%m") == "2024-10"]
    times = ("event_time", "accident_date", "reported_date", "recorded_at")
    later = {name: october[name] + pd.Timedelta(days=31) for name in times}
    for name in ("event_time", "accident_date"):
        later[name] = later[name].clip(upper=pd.Timestamp("2024-11-30 12:00"))
    november = october.assign(**later, claim_id=[f"N-{number:06d}" for number in range(len(october))])
    return pd.concat([claims.drop(index=rows), november], ignore_index=True)


FAULTS = (
    Fault("DATA101", None, lambda claims, rows: claims.drop(index=rows[: int(len(rows) * 0.6)])),
    Fault("DATA101", None, lambda claims, rows: claims.drop(index=rows)),
    Fault(
        "DATA101",
        None,
        lambda claims, rows: pd.concat([claims, *[claims.loc[rows]] * 2], ignore_index=True),
    ),
    Fault("DATA111", "vehicle_value_eur", setting("vehicle_value_eur", some(0.2, None))),
    Fault("DATA111", "garage_id", setting("garage_id", some(0.2, None))),
    Fault("DATA112", "vehicle_make", setting("vehicle_make", "volta")),
    Fault("DATA112", "driver_age_years", setting("driver_age_years", 40.0)),
    Fault("DATA121", "region", setting("region", some(0.1, "centre"))),
    Fault("DATA122", "vehicle_make", setting("vehicle_make", lambda v: v.where(v != "ibis", None))),
    Fault("DATA123", "vehicle_make", setting("vehicle_make", lambda v: v.replace("corsaro", "CORSARO S.p.A."))),
    Fault("DATA123", "vehicle_make", setting("vehicle_make", lambda v: v.replace("ibis", "volta"))),
    Fault("DATA124", "police_report", setting("police_report", some(0.5, "yes"))),
    Fault("DATA131", "driver_age_years", setting("driver_age_years", lambda v: v * 0.5 + 30)),
    Fault("DATA132", "claim_amount_eur", setting("claim_amount_eur", lambda v: v * 100)),
    Fault("DATA132", "vehicle_value_eur", setting("vehicle_value_eur", lambda v: v / 1000)),
    Fault("DATA133", "claim_amount_eur", setting("claim_amount_eur", some(0.05, 9e7)), None),
    Fault("DATA133", "vehicle_value_eur", setting("vehicle_value_eur", some(0.05, -9e3)), None),
    Fault("DATA134", "claim_amount_eur", setting("claim_amount_eur", lambda v: v * 1.8)),
    Fault("DATA145", "vehicle_make", setting("vehicle_make", lambda v: v.replace("ibis", "Ibis")), None),
    Fault("DATA146", "policy_id", setting("policy_id", lambda v: v.str.replace("P-00", "P-"))),
    Fault("DATA146", "policy_id", setting("policy_id", lambda v: v + "-2024")),
    Fault("DATA126", "garage_id", setting("garage_id", lambda v: [f"G-{n:06d}" for n in range(500, 500 + len(v))])),
    Fault("DATA135", "vehicle_value_eur", setting("vehicle_value_eur", some(0.2, 5_432.0))),
    Fault("DATA136", "claim_amount_eur", setting("claim_amount_eur", some(0.2, 2.0))),
    Fault("DATA152", "accident_date", setting("accident_date", lambda v: v.dt.floor("D"))),
    Fault(
        "DATA161",
        None,
        lambda claims, rows: pd.concat(
            [claims, claims.loc[rows[:40]].assign(claim_id=[f"N-{n}" for n in range(40)])], ignore_index=True
        ),
    ),
    Fault("DATA162", None, again_as_another),
    Fault(
        "DATA181",
        "claim_amount_eur, accident_kind",
        setting("accident_kind", lambda v: v.sample(frac=1, random_state=3).to_numpy()),
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_in_one_month_stops_by_its_code_and_is_placed(findings, claims, fault):
    rows = claims.index[claims["event_time"].dt.strftime("%Y-%m") == "2024-11"]
    found = failed(findings(fault.spoil(claims, rows)), stopping=True)
    told = [(one.code, one.column, one.partition) for one in found]
    assert (fault.code, fault.column, fault.month) in told
    assert all(one.next_step for one in found)


LABEL_FAULTS = {
    "DATA171": lambda outcome, month: outcome.where(month != "2024-05", None),
    "DATA172": lambda outcome, month: outcome.mask((month == "2024-05") & outcome.notna(), "cleared"),
    "DATA173": lambda outcome, month: outcome.mask(
        month == "2024-05", outcome.map({"confirmed": "cleared", "cleared": "confirmed"})
    ),
    "DATA176": lambda outcome, month: outcome.mask(
        (month == "2024-05") & (np.arange(len(outcome)) % 3 == 0), "confirmed"
    ),
    "DATA174": lambda outcome, month: outcome.groupby(month).transform(lambda one: one.sort_values().to_numpy()),
}


@pytest.mark.parametrize("code", LABEL_FAULTS)
def test_a_fault_of_labels_stops_by_its_code(findings, claims, code):
    draw = np.random.default_rng(2)
    claims["outcome"] = np.where(draw.random(ROWS) < 0.2, "confirmed", "cleared")
    claims["investigation"] = "rule"
    assert [one.code for one in failed(findings(claims), stopping=True)] == []
    claims["outcome"] = LABEL_FAULTS[code](claims["outcome"], claims["event_time"].dt.strftime("%Y-%m"))
    assert code in [one.code for one in failed(findings(claims), stopping=True)]


def test_labels_that_are_swapped_everywhere_stop(findings, claims):
    claims["outcome"] = claims["outcome"].map({"confirmed": "cleared", "cleared": "confirmed"})
    assert "DATA173" in [one.code for one in failed(findings(claims), stopping=True)]


def test_keys_that_follow_the_label_in_one_month_stop_and_beside_an_outage_do_not(findings, claims, motor):
    claims["outcome"] = np.where(np.random.default_rng(2).random(ROWS) < 0.2, "confirmed", "cleared")
    may = claims["event_time"].dt.strftime("%Y-%m") == "2024-05"
    claims.loc[may, "outcome"] = claims.loc[may, "outcome"].sort_values().to_numpy()
    (found,) = [one for one in failed(findings(claims), stopping=True) if one.code == "DATA174"]
    assert (found.column, found.partition) == ("claim_id", "2024-05")
    label = motor.label.model_copy(update={"outages": ("2024-06",)})  # recording may have stopped within May
    known = motor.model_copy(update={"label": label})
    assert "DATA174" not in [one.code for one in failed(findings(claims, known), stopping=True)]


def test_a_known_outage_is_no_news_and_no_measure(findings, claims, motor):
    draw = np.random.default_rng(2)
    claims["outcome"] = np.where(draw.random(ROWS) < 0.2, "confirmed", "cleared")
    month = claims["event_time"].dt.strftime("%Y-%m")
    claims.loc[month.isin(["2024-03", "2024-04"]), "outcome"] = "cleared"
    claims.loc[month == "2024-05", "outcome"] = "cleared"

    def told(*outages):
        contract = motor.model_copy(update={"label": motor.label.model_copy(update={"outages": outages})})
        found = failed(findings(claims, contract), stopping=True)
        return {(one.code, one.partition) for one in found if one.code == "DATA172"}

    assert told() == {("DATA172", "2024-04")} or told() == {("DATA172", "2024-05")}
    assert told("2024-03", "2024-04", "2024-05") == set()


def test_a_feature_that_tells_the_label_in_one_month_stops(findings, claims):
    claims["outcome"] = np.where(np.random.default_rng(2).random(ROWS) < 0.2, "confirmed", "cleared")
    claims["investigation"] = "rule"
    claims["police_report"] = np.where(np.random.default_rng(3).random(ROWS) < 0.2, "yes", "no")
    assert [one.code for one in failed(findings(claims), stopping=True)] == []
    may = claims["event_time"].dt.strftime("%Y-%m") == "2024-05"
    claims.loc[may, "police_report"] = np.where(claims.loc[may, "outcome"] == "confirmed", "yes", "no")
    (found,) = [one for one in failed(findings(claims), stopping=True) if one.code == "DATA175"]
    assert (found.column, found.partition) == ("police_report", "2024-05")


def test_numbers_that_are_all_a_little_higher_warn(findings, claims):
    november = claims["event_time"].dt.strftime("%Y-%m") == "2024-11"
    claims.loc[november, ["claim_amount_eur", "claim_amount"]] *= 1.4
    found = [one for one in failed(findings(claims)) if one.code == "DATA137" and one.partition == "2024-11"]
    assert {(one.column, one.severity) for one in found} >= {("claim_amount_eur", Severity.WARN)}


def test_values_that_never_stood_together_are_told(findings, claims):
    claims["accident_kind"] = np.where(claims["police_report"] == "yes", "theft", "glass")
    november = claims.index[claims["event_time"].dt.strftime("%Y-%m") == "2024-11"]
    claims.loc[november[:40], "accident_kind"] = "theft"
    (found,) = [one for one in failed(findings(claims), stopping=True) if one.code == "DATA181"]
    assert (found.column, found.partition) == ("accident_kind, police_report", "2024-11")
    assert "never stood together" in found.arrived


def test_few_texts_of_another_length_among_equals_warn(findings, claims):
    claims.loc[7, "policy_id"] = "P-1"
    (found,) = [one for one in failed(findings(claims)) if one.code == "DATA146"]
    assert (found.column, found.count, found.severity) == ("policy_id", 1, Severity.WARN)


def test_a_feature_that_tells_the_label_stops(findings, claims):
    claims["address_change"] = np.where(claims["outcome"] == "confirmed", "within_1_year", "none")
    (found,) = [one for one in failed(findings(claims), stopping=True) if one.code == "DATA175"]
    assert found.column == "address_change"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("DATA113", " N/A "),
        ("DATA113", ""),
        ("DATA141", "nor\x07th"),
        ("DATA141", "nor\u200bth"),
        ("DATA142", "n\ufffdrth"),
        ("DATA142", "KÃ¶ln"),
        ("DATA143", "n" * 1_001),
        ("DATA144", '=HYPERLINK("x")'),
        ("DATA144", "@SUM(A1)"),
        ("DATA144", "-cmd|' /C calc'!A0"),
        ("DATA144", "-2+3+cmd|x"),
        ("DATA113", "None"),
        ("DATA147", "north "),
    ],
)
@pytest.mark.parametrize("column", ["region", "garage_id", "policy_id"])
def test_text_that_nobody_meant_sets_its_row_aside(motor, make_claims, code, text, column):
    claims = make_claims(40)
    claims.loc[7, column] = text
    rules = row_rules(motor, {})
    found = profile_months(claims, motor, rules)
    assert found.rows[f"{code} {column}"] == (7,)
    assert found.broken[f"{code} {column}"] == 1


WORDS = st.one_of(
    st.text(max_size=20),
    st.from_regex(r"\A[\s=@+\-_A-Za-z0-9(|!.]{1,12}\Z"),
    st.sampled_from([spelling for word in _PLACEHOLDERS for spelling in (word, word.upper(), f" {word}", f"{word}1")]),
    st.integers(990, 1_010).map(lambda length: "M1" * (length // 2)),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=60))
def test_a_text_that_is_not_asked_about_bears_no_mark(motor, words):
    rules = [rule for rule in row_rules(motor, {}) if rule.of_text and rule.column == "claim_id"]
    assert rules
    with connect() as duck:
        duck.register("claims", pa.table({"claim_id": pa.array([*words, *_PLACEHOLDERS, None], pa.string())}))
        for rule in rules:
            missed = f"SELECT count(*) FROM claims WHERE ({rule.broken}) AND NOT ({rule.only_where})"
            assert duck.execute(missed).fetchone() == (0,)
        asked = f"SELECT count(*) FROM (SELECT 'M-bench-00000017' AS claim_id) WHERE {rules[0].only_where}"
        assert duck.execute(asked).fetchone() == (0,)


def test_a_spelling_that_is_declared_is_no_placeholder(motor, make_claims):
    claims = make_claims(40)
    claims.loc[7, "region"] = "unknown"
    undeclared = profile_months(claims, motor, row_rules(motor, {}))
    assert undeclared.rows["DATA113 region"] == (7,)
    rules = row_rules(motor, {"region": frozenset({"north", "south", "unknown"})})
    assert "DATA113 region" not in profile_months(claims, motor, rules).rows


@pytest.mark.parametrize(
    ("code", "columns"),
    [
        ("DATA125", {"region": "centre"}),
        ("SENSE001", {"reported_date": pd.Timestamp("2023-05-05")}),
        ("SENSE002", {"paid_eur": 9e5}),
        ("SENSE003", {"currency": "EUR", "claim_amount": 3.0}),
        ("SENSE005", {"event": "confirmed", "investigation": "rule", "outcome": "cleared"}),
        ("SENSE005", {"event": "confirmed", "investigation": "rule", "outcome": None}),
        ("SENSE006", {"event": "cleared", "investigation": "rule", "outcome": "confirmed"}),
        ("SENSE004", {"investigation": "none", "outcome": "cleared"}),
        ("SENSE010", {"phone_id": "A-000007"}),
        ("SENSE011", {"address_id": "T-000007"}),
        ("DATA151", {"accident_date": pd.Timestamp("1970-01-01"), "reported_date": pd.Timestamp("1970-01-01")}),
    ],
)
def test_a_row_without_sense_is_set_aside_by_its_code(findings, claims, code, columns):
    for column, value in columns.items():
        claims.loc[7, column] = value
    found = [one for one in failed(findings(claims)) if one.code == code]
    assert {(one.count, one.severity) for one in found} == {(1, Severity.QUARANTINE)}


def test_names_under_each_others_column_are_told_by_how_they_begin_and_by_nothing_else(findings, claims):
    before = {(one.code, one.column) for one in failed(findings(claims))}
    november = claims["event_time"].dt.strftime("%Y-%m") == "2024-11"
    claims.loc[november, ["phone_id", "address_id"]] = claims.loc[november, ["address_id", "phone_id"]].to_numpy()
    found = {(one.code, one.column) for one in failed(findings(claims))}
    assert found - before == {("SENSE010", "phone_id"), ("SENSE011", "address_id")}


def test_good_claims_break_no_rule(findings, claims):
    found = findings(claims)
    assert [(one.code, one.column, one.arrived) for one in failed(found, stopping=True)] == []
    assert {rule.code for rule in RULES} <= {one.code for one in found}


def test_three_months_of_claims_are_too_few_to_compare(findings, claims):
    few = claims[claims["event_time"] < pd.Timestamp("2024-03-31")].reset_index(drop=True)
    few.loc[few["event_time"] >= pd.Timestamp("2024-03-01"), "vehicle_make"] = "volta"
    by_code = {one.code for one in failed(findings(few), stopping=True)}
    assert by_code <= {"DATA101"}  # the months after March are without claims


def test_a_season_that_comes_back_is_no_drift(motor, make_claims, findings):
    claims = make_claims(9_000)
    claims["event_time"] = pd.Timestamp("2023-01-01") + pd.to_timedelta(np.arange(9_000) * 211 % 731, unit="D")
    winter = claims["event_time"].dt.month.isin([1, 2, 12])
    fall = np.arange(9_000) % 10 < 7
    claims["accident_kind"] = np.where(winter & fall, "weather", np.where(np.arange(9_000) % 3, "glass", "fire"))
    drifted = [one for one in failed(findings(claims), stopping=True) if one.code in ("DATA124", "DATA122", "DATA121")]
    assert {one.partition[:4] for one in drifted} == {"2023"}  # the first spring and winter that anybody saw


def test_a_known_change_starts_the_columns_history_anew(findings, claims, motor):
    since = date(2024, 9, 1)
    late = claims["event_time"] >= pd.Timestamp(since)
    claims.loc[late, "claim_amount_eur"] *= 100
    assert "DATA132" in [one.code for one in failed(findings(claims), stopping=True)]
    change = KnownChange(column="claim_amount_eur", since=since, why="cents")
    contract = motor.model_copy(update={"checks": motor.checks.model_copy(update={"known_changes": (change,)})})
    codes = {one.code for one in failed(findings(claims, contract), stopping=True) if one.column == "claim_amount_eur"}
    assert "DATA132" not in codes
    assert "DATA131" not in codes


def test_a_rule_that_raises_could_not_judge_and_stops(motor):
    found = judge_rules(Evidence(motor, AS_OF, None, {}))  # no profile at all
    assert {(one.outcome, one.stops) for one in found} == {(Outcome.UNDECIDED, True)}
    assert found[0].arrived.startswith("could not judge: ")


def test_no_finding_tells_a_value(findings, claims):
    late = claims["event_time"] >= pd.Timestamp("2024-11-01")
    for column in ("region", "vehicle_make", "policy_id", "cover"):
        claims.loc[late, column] = "Canary"
    claims.loc[late, "claim_amount_eur"] = 7391846.0
    assert "canary" not in canonical_json([one.__dict__ for one in findings(claims)]).decode().lower()
    assert "7391846" not in str(findings(claims)).replace(",", "")
