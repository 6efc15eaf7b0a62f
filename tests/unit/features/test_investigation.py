"""Who is looked at is estimated from what was known of the claim, and the share of fraud is corrected for it."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from fraud_ml.contract import Contract
from fraud_ml.features.investigation import fit_logistic, investigation_bias, propensities, wilson
from tests.toy_claims import CONTRACT, investigated_contract, toy_claims

AS_OF = date(2024, 12, 31)


def chosen_claims(rows: int = 12_000) -> tuple[pd.DataFrame, np.ndarray]:
    """Return claims of which the garage in the east, where fraud is frequent, is looked at most, and the true fraud."""
    dice = np.random.default_rng(8)
    claims = toy_claims(rows)
    east = claims["garage"] == "east"
    fraud = dice.random(rows) < np.where(east, 0.25, 0.04)
    looked = dice.random(rows) < np.where(east, 0.7, 0.1)
    by_chance = dice.random(rows) < 0.06
    claims["looked"] = np.select([by_chance, looked], ["dice", "rule"], "no")
    claims["outcome"] = np.where(by_chance | looked, np.where(fraud, "fraud", "clear"), None)
    return claims, fraud


def test_newtons_method_finds_the_coefficients_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    dice = np.random.default_rng(0)
    design = np.column_stack([np.ones(2_000), dice.normal(size=(2_000, 4))])
    target = (dice.random(2_000) < 1 / (1 + np.exp(-(design @ [-1.0, 2.0, 0.0, -0.5, 4.0])))).astype(float)
    peer = LogisticRegression(C=1.0, tol=1e-10, max_iter=1_000).fit(design[:, 1:], target)

    found = fit_logistic(design, target)
    assert found[1:] == pytest.approx(peer.coef_[0], abs=1e-5)
    assert found[0] == pytest.approx(peer.intercept_[0], abs=1e-5)


def test_separable_claims_leave_finite_coefficients() -> None:
    design = np.column_stack([np.ones(200), np.repeat([0.0, 1.0], 100)])

    assert np.abs(fit_logistic(design, design[:, 1])).max() < 20


def test_the_propensity_is_the_share_that_is_really_looked_at() -> None:
    claims, _ = chosen_claims()
    p = propensities(claims, investigated_contract(), AS_OF)

    assert p[claims["garage"] == "east"].mean() == pytest.approx(0.7, abs=0.03)
    assert p[claims["garage"] != "east"].mean() == pytest.approx(0.1, abs=0.02)


def test_the_weighted_share_finds_the_fraud_of_all_claims_where_the_seen_one_does_not() -> None:
    claims, fraud = chosen_claims()
    contract = investigated_contract()
    found = investigation_bias(claims, propensities(claims, contract, AS_OF), contract, AS_OF)

    assert found is not None
    assert found.fraud_share_weighted is not None
    assert found.fraud_share_random is not None
    assert found.fraud_share_weighted.low < fraud.mean() < found.fraud_share_weighted.high
    assert found.fraud_share_random.low < fraud.mean() < found.fraud_share_random.high
    assert found.fraud_share_seen.low > fraud.mean()
    assert found.columns[0][0] == "garage"
    assert found.auc > 0.7
    assert found.random == int((claims["looked"] == "dice").sum())


def test_claims_that_chance_chose_do_not_teach_whom_a_rule_chooses() -> None:
    """Half of the western claims are drawn; nobody else there is looked at."""
    claims, _ = chosen_claims()
    west = claims["garage"] == "west"
    claims.loc[west, "looked"] = np.where(np.arange(west.sum()) % 2 == 0, "dice", "no")
    p = propensities(claims, investigated_contract(), AS_OF)

    assert p[west].mean() < 0.05


def test_young_claims_have_no_propensity_and_do_not_count_as_passed_over() -> None:
    claims, _ = chosen_claims()
    young = claims["event_time"] >= "2024-10-01"
    claims.loc[young, "looked"] = "no"
    p = propensities(claims, investigated_contract(maturity_days=92), AS_OF)

    assert p[young].isna().all()
    assert p[~young & (claims["garage"] == "east")].mean() == pytest.approx(0.7, abs=0.03)


def test_of_very_many_claims_so_many_are_drawn() -> None:
    claims, _ = chosen_claims()
    p = propensities(claims, investigated_contract(), AS_OF, most=5_000)

    assert p.notna().sum() == 5_000
    assert p[claims["garage"] == "east"].mean() == pytest.approx(0.7, abs=0.04)


def test_a_source_that_does_not_say_who_was_looked_at_has_no_propensity() -> None:
    claims = toy_claims()
    contract = Contract.model_validate(CONTRACT, strict=False)
    p = propensities(claims, contract, AS_OF)

    assert p.isna().all()
    assert investigation_bias(claims, p, contract, AS_OF) is None


def test_wilsons_limits_are_his() -> None:
    """Newcombe (1998), table I: 81 of 263, and 0 of 20."""
    found = wilson(81, 263)
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert (wilson(0, 20).low, wilson(0, 20).high) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_no_claim_speaks_for_itself() -> None:
    """Where chance alone chooses, features fitted to the same few claims would seem to tell who is looked at."""
    dice, areas = np.random.default_rng(9), []
    contract = investigated_contract()
    for seed in range(5):
        claims = toy_claims(300, seed=seed)
        claims["looked"] = dice.choice(["no", "rule"], 300)
        found = investigation_bias(claims, propensities(claims, contract, AS_OF), contract, AS_OF)
        areas.append(found.auc if found else 1.0)

    assert np.mean(areas) < 0.54
