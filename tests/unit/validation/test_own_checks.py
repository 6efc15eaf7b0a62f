"""Our own checks judge what no suite has to repeat."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from fraud_ml.artifacts import Outcome, Severity
from fraud_ml.validation.checks import check_claims, check_share_set_aside

AS_OF = date(2024, 12, 31)


def by_code(claims, contract, as_of=AS_OF):
    return {one.finding.code: one for one in check_claims(claims, contract, as_of)}


def failed(claims, contract):
    return {code for code, one in by_code(claims, contract).items() if one.finding.outcome is Outcome.FAILED}


def test_good_claims_pass_every_check(make_claims, motor):
    found = by_code(make_claims(), motor)
    assert {one.finding.outcome for one in found.values()} == {Outcome.PASSED}
    assert sorted(found) == [f"DATA00{n}" for n in range(1, 8)]


def test_no_rows_fail_and_nothing_else_is_judged(make_claims, motor):
    found = by_code(make_claims(0), motor)
    assert found["DATA001"].finding.outcome is Outcome.FAILED
    assert all(found[f"DATA00{n}"].finding.outcome is Outcome.UNDECIDED for n in range(3, 8))


def test_an_absent_column_is_named_and_its_check_cannot_judge(make_claims, motor):
    found = by_code(make_claims().drop(columns="outcome"), motor)
    assert found["DATA002"].finding.column == "outcome"
    assert found["DATA002"].finding.outcome is Outcome.FAILED
    assert found["DATA005"].finding.outcome is Outcome.UNDECIDED


def test_a_column_nobody_declared_is_counted_but_not_named(make_claims, motor):
    finding = by_code(make_claims(**{"Mrs Canary": "x"}), motor)["DATA002"].finding
    assert finding.outcome is Outcome.FAILED
    assert finding.arrived == "0 missing, 1 unexpected"


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("claim_amount_eur", "a lot"),  # text where a number is declared
        ("claim_amount_eur", np.inf),
        ("accident_date", "2024-01-01"),
    ],
)
def test_values_of_another_kind_stop(make_claims, motor, column, values):
    finding = by_code(make_claims(**{column: values}), motor)["DATA003"].finding
    assert (finding.outcome, finding.column, finding.count) == (Outcome.FAILED, column, 400)
    assert finding.stops


def test_a_number_among_texts_stops(make_claims, motor):
    regions = pd.Series(["north"] * 399 + [7], dtype=object)
    finding = by_code(make_claims(region=regions), motor)["DATA003"].finding
    assert (finding.column, finding.count) == ("region", 1)


@pytest.mark.parametrize("keys", [["M-000001", "M-000001", "M-000003"], ["M-000001", None, "M-000003"]])
def test_a_key_that_is_shared_or_missing_stops(make_claims, motor, keys):
    assert "DATA004" in failed(make_claims(3, claim_id=keys), motor)


def test_an_unexplained_label_stops_and_a_missing_one_does_not(make_claims, motor):
    assert "DATA005" not in failed(make_claims(2, outcome=["confirmed", None]), motor)
    finding = by_code(make_claims(2, outcome=["suspected", None]), motor)["DATA005"].finding
    assert (finding.count, finding.share, finding.stops) == (1, 0.5, True)
    assert "suspected" not in str(finding)


@pytest.mark.parametrize(
    ("moment", "is_late"), [("2024-12-31 23:59:59.999999", False), ("2025-01-01", True), (None, True)]
)
def test_a_row_recorded_after_the_as_of_date_stops(make_claims, motor, moment, is_late):
    claims = make_claims(2, recorded_at=pd.to_datetime(["2024-12-01", moment], format="ISO8601"))
    assert ("DATA006" in failed(claims, motor)) is is_late


def test_times_with_a_zone_are_compared_too(make_claims, motor):
    claims = make_claims(1, recorded_at=pd.to_datetime(["2025-01-01"], utc=True))
    assert "DATA006" in failed(claims, motor)


def test_a_claim_of_the_future_is_set_aside(make_claims, motor):
    claims = make_claims(3, event_time=pd.to_datetime(["2024-06-01", "2031-01-01", None]))
    checked = by_code(claims, motor)["DATA007"]
    assert checked.rows == (1, 2)
    assert checked.finding.severity is Severity.QUARANTINE
    assert not checked.finding.stops


def test_more_rows_set_aside_than_allowed_stop():
    assert not check_share_set_aside(2, 100, 0.02).stops
    finding = check_share_set_aside(3, 100, 0.02)
    assert finding.stops
    assert (finding.expected, finding.arrived) == ("at most 2 % of the rows", "3 of 100 rows (3.00%)")


def test_a_share_of_no_rows_is_undecided():
    assert check_share_set_aside(0, 0, 0.02).stops
