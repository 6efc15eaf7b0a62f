"""Months in which recording stopped are found where they are, and not where seasons or few claims look alike."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from fraud_ml.contract import Contract
from fraud_ml.features.labels import LabelState
from fraud_ml.features.recording import find_stopped, stopped_months
from fraud_ml.features.split import split_claims
from fraud_ml.params import FeatureParams
from tests.toy_claims import toy_claims, toy_contract

PARAMS = FeatureParams(test_months=6, validation_months=4, min_positives=5)
# what people read off the public file (its data sheet), month by month
STOPPED = {
    *(f"1994-{month:02d}" for month in (9, 10, 11, 12)),
    *(f"1995-{month:02d}" for month in (4, 5, 6, 7, 8)),
    *(f"1996-{month:02d}" for month in (1, 2, 3, 12)),
}


def test_the_car_claims_calendar_is_found_but_for_the_month_that_stopped_half_way(
    cars: Contract, car_rows: pd.DataFrame
) -> None:
    """Precision 12 of 12, recall 12 of 13: December 1994 lies between the two components (3.6 %)."""
    found = find_stopped(car_rows, cars, date(1996, 12, 31))

    assert set(found.stopped) == STOPPED - {"1994-12"}
    assert found.stopped_share == pytest.approx(0.0075, abs=0.001)
    assert found.usual_share == pytest.approx(0.0816, abs=0.001)


@pytest.mark.parametrize("as_of", [date(1994, 12, 31), date(1995, 6, 30), date(1996, 3, 31)])
def test_an_earlier_date_names_no_month_that_did_not_stop(cars: Contract, car_rows: pd.DataFrame, as_of: date) -> None:
    known = car_rows[car_rows["recorded_at"] < pd.Timestamp(as_of) + pd.Timedelta(days=1)]
    found = set(find_stopped(known, cars, as_of).stopped)

    assert found <= STOPPED
    assert len(found) >= len({month for month in STOPPED if month <= f"{as_of:%Y-%m}"}) - 1


def test_an_insurer_that_never_stopped_names_no_month(motor: Contract, motor_rows: pd.DataFrame) -> None:
    claims = motor_rows.drop_duplicates("claim_id", keep="last")

    assert find_stopped(claims, motor, date(2025, 12, 31)).stopped == ()


def test_chance_and_seasons_name_a_month_in_hardly_any_insurer() -> None:
    dice, false_alarms = np.random.default_rng(4), 0
    for _ in range(500):
        claims = dice.integers(80, 600, 36).astype(float)
        season = 1 + 0.4 * np.sin(2 * np.pi * np.arange(36) / 12 + dice.random())
        false_alarms += stopped_months(dice.binomial(claims.astype(int), 0.06 * season).astype(float), claims).any()
    assert false_alarms <= 5


@pytest.mark.parametrize(("claims", "share"), [(125, 0.02), (60, 0.03)])
def test_a_small_insurer_with_two_frauds_a_month_is_not_accused_by_chance(claims: int, share: float) -> None:
    dice = np.random.default_rng(1)
    months = np.full(24, float(claims))
    alarms = [stopped_months(dice.binomial(claims, share, 24).astype(float), months).any() for _ in range(500)]

    assert sum(alarms) == 0


def test_a_stop_of_three_months_is_found_nearly_always() -> None:
    dice, whole = np.random.default_rng(6), 0
    for _ in range(200):
        claims = dice.integers(200, 600, 24).astype(float)
        share = np.full(24, 0.07)
        share[10:13] = 0.004
        found = stopped_months(dice.binomial(claims.astype(int), share).astype(float), claims)
        whole += found.tolist() == [10 <= month < 13 for month in range(24)]
    assert whole >= 190


@pytest.mark.parametrize("frauds", [[0.0] * 12, [3.0] * 5, []])
def test_no_fraud_or_too_few_months_name_nothing(frauds: list[float]) -> None:
    assert not stopped_months(np.array(frauds), np.full(len(frauds), 100.0)).any()


def stopped_claims() -> pd.DataFrame:
    """Toy claims whose frauds of three months were not written down."""
    claims = toy_claims(rows=6_000)
    claims.loc[claims["event_time"].dt.strftime("%Y-%m").isin(["2023-05", "2023-06", "2024-09"]), "outcome"] = "clear"
    return claims


def test_by_default_a_stopped_months_claims_stay() -> None:
    split = split_claims(stopped_claims(), toy_contract(), date(2024, 12, 31), set(), PARAMS)

    assert split.left_out == {}


def test_a_contract_may_leave_them_out_of_every_window_counted_by_their_own_reason() -> None:
    claims = stopped_claims()
    frauds = claims[claims["event_time"].dt.strftime("%Y-%m") == "2023-05"].index[:1]
    claims.loc[frauds, "outcome"] = "fraud"
    claims.loc[claims[claims["event_time"].dt.strftime("%Y-%m") == "2023-06"].index[:7], "outcome"] = None
    contract = toy_contract(recording_stopped="leave_out")
    split = split_claims(claims, contract, date(2024, 12, 31), set(), PARAMS)

    months = pd.concat(split.frames.values())["event_time"].dt.strftime("%Y-%m")
    inside = claims["event_time"].dt.strftime("%Y-%m").isin(["2023-05", "2023-06", "2024-09"])
    assert not months.isin(["2023-05", "2023-06", "2024-09"]).any()
    assert split.left_out == {"recording_stopped": int(inside.sum()) - 7, LabelState.UNLABELLED: 7}
    assert len(months) + sum(split.left_out.values()) == len(claims)
