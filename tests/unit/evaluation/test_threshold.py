"""The threshold is chosen by expected saving within the limits, and what it did is counted in money and people."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from fraud_ml.evaluation.bootstrap import Resampling, measure
from fraud_ml.evaluation.circumstances import Circumstances
from fraud_ml.evaluation.metrics import Scored
from fraud_ml.evaluation.threshold import (
    Accounts,
    Chosen,
    by_month,
    choose,
    cost_curve,
    metrics_in_practice,
)
from fraud_ml.params import MoneyParams
from tests.toy_evaluations import drawn

MONEY = MoneyParams(
    capacity_per_day=1000,
    investigation_eur=100,
    recovered_share=0.5,
    amount_where_unknown_eur=2000,
    max_honest_bothered=1,
)
DAYS = 100


def circumstances(amounts: NDArray | None, months: NDArray | None = None, claims: int = 0) -> Circumstances:
    count = claims or len(amounts if amounts is not None else [])
    unknown = np.full(count, "2024-02", dtype=object)
    return Circumstances(unknown, unknown if months is None else months, None, amounts, {})


def judged(money: MoneyParams = MONEY, claims: int = 4000, amount: float = 2000.0) -> tuple[Scored, Accounts]:
    labels, probabilities = drawn(claims)
    scored = Scored.of(labels, probabilities)
    return scored, Accounts.of(scored, circumstances(np.full(claims, amount)), money)


def test_with_one_amount_for_all_and_no_limit_it_is_the_chance_at_which_an_investigation_pays() -> None:
    """2,000 EUR x 50 % x 10 % = 100 EUR."""
    chosen = choose(*judged(), DAYS, MONEY)
    assert chosen.threshold == pytest.approx(0.10, abs=0.005)
    assert "no limit binds" in chosen.why


def test_a_dearer_investigation_raises_it() -> None:
    dear = MONEY.model_copy(update={"investigation_eur": 300})
    assert choose(*judged(dear), DAYS, dear).threshold == pytest.approx(0.30, abs=0.02)


def test_investigators_are_not_given_more_than_they_can_look_at() -> None:
    scored, accounts = judged()
    tight = MONEY.model_copy(update={"capacity_per_day": 0.5})
    chosen = choose(scored, accounts, DAYS, tight)
    assert chosen.threshold is not None
    flagged = (scored.probabilities >= chosen.threshold).sum()
    assert 45 <= flagged <= 50
    assert "the limits" in chosen.why


def test_no_more_honest_claimants_are_bothered_than_allowed() -> None:
    scored, accounts = judged()
    kind = MONEY.model_copy(update={"max_honest_bothered": 0.02})
    chosen = choose(scored, accounts, DAYS, kind)
    bothered = (scored.probabilities[scored.labels == 0] >= chosen.at).mean()
    assert 0.018 <= bothered <= 0.02


def test_where_no_investigation_pays_nobody_is_flagged() -> None:
    poor = MONEY.model_copy(update={"recovered_share": 0.0})
    chosen = choose(*judged(poor), DAYS, poor)
    assert (chosen.threshold, chosen.at) == (None, np.inf)


def test_where_the_riskiest_tie_and_are_too_many_nobody_is_flagged() -> None:
    scored = Scored.of([1, 0, 0, 0], [0.5] * 4)
    accounts = Accounts.of(scored, circumstances(np.full(4, 1e5)), MONEY)
    chosen = choose(scored, accounts, 1, MONEY.model_copy(update={"capacity_per_day": 2}))
    assert chosen.threshold is None
    assert "tie" in chosen.why


def test_an_unknown_amount_is_the_declared_one_and_counted() -> None:
    scored = Scored.of([1, 0, 1], [0.5, 0.5, 0.5])
    accounts = Accounts.of(scored, circumstances(np.array([1000.0, np.nan, np.nan])), MONEY)
    assert accounts.amounts.tolist() == [1000, 2000, 2000]
    assert accounts.assumed == 2
    assert accounts.expected.tolist() == [150, 400, 400]
    assert accounts.realised.tolist() == [400, -100, 900]
    assert Accounts.of(scored, circumstances(None, claims=3), MONEY).assumed == 3


def test_saving_and_cost_are_the_money_of_the_claims_that_were_flagged() -> None:
    scored = Scored.of([1, 0, 1, 0], [0.9, 0.8, 0.2, 0.1])
    accounts = Accounts.of(scored, circumstances(np.array([1000.0, 500.0, 4000.0, 100.0])), MONEY)
    metrics = metrics_in_practice(Chosen(0.5, ""), accounts, DAYS, MONEY)
    found = measure(scored, Resampling(200, 0.9), metrics)
    assert found["saving_eur"].value == 1000 * 0.5 - 2 * 100
    assert found["cost_per_claim_eur"].value == (2 * 100 + 4000 * 0.5) / 4
    assert found["saving_eur"].low < found["saving_eur"].value


def test_saving_is_what_doing_nothing_costs_less_what_the_threshold_costs() -> None:
    scored, accounts = judged(claims=600)
    one, nobody = (
        measure(scored, Resampling(10, 0.9), metrics_in_practice(chosen, accounts, DAYS, MONEY))
        for chosen in (Chosen(0.1, ""), Chosen(None, ""))
    )
    saved = 600 * (nobody["cost_per_claim_eur"].value - one["cost_per_claim_eur"].value)
    assert one["saving_eur"].value == pytest.approx(saved)
    assert nobody["saving_eur"].value == 0


def test_the_cost_curve_expects_what_calibrated_claims_really_save() -> None:
    scored, accounts = judged(claims=20_000)
    curve = cost_curve(scored, accounts, DAYS, Resampling(100, 0.95))
    assert [point.threshold for point in curve] == sorted((p.threshold for p in curve), reverse=True)
    assert curve[-1].honest_bothered == 1
    for point in curve[10:]:
        assert point.low <= point.saving_eur <= point.high
    best = max(curve, key=lambda point: point.expected_saving_eur)
    assert best.expected_saving_eur == pytest.approx(best.saving_eur, rel=0.1)


def test_each_past_month_is_counted_once_and_says_where_investigators_could_not_follow() -> None:
    scored = Scored.of([1, 0, 1, 0, 0], [0.9, 0.8, 0.2, 0.1, 0.7])
    months = np.array(["2024-01", "2024-01", "2024-01", "2024-02", "2024-02"], dtype=object)
    where = circumstances(np.full(5, 1000.0), months)
    accounts = Accounts.of(scored, where, MONEY)
    tight = MONEY.model_copy(update={"capacity_per_day": 1 / 30})
    january, february = by_month("test", scored, where, accounts, Chosen(0.5, ""), tight)
    assert (january.claims, january.frauds, january.flagged, january.frauds_found) == (3, 2, 2, 1)
    assert (january.honest_bothered, january.saving_eur, january.over_capacity) == (1, 300, True)
    assert (february.flagged, february.over_capacity, february.saving_eur) == (1, True, -100)
    roomy = replace(february, over_capacity=False)
    assert by_month("test", scored, where, accounts, Chosen(0.5, ""), MONEY)[1] == roomy
