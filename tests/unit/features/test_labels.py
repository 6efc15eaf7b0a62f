"""A label counts only once its claim had its time; silence is never a "no"."""

from datetime import date

import pandas as pd
import pytest

from fraud_ml.features.labels import LabelState, label_states
from tests.toy_claims import toy_contract

AS_OF = date(2024, 12, 31)


def state_of(outcome: str | None, happened: str | None, *, maturity_days: int = 180) -> str:
    claims = pd.DataFrame({"outcome": pd.Series([outcome], dtype="str"), "event_time": pd.to_datetime([happened])})
    return label_states(claims, toy_contract(maturity_days=maturity_days), AS_OF).iloc[0]


def test_a_mature_claim_is_confirmed_or_cleared_by_the_contracts_words() -> None:
    assert state_of("fraud", "2024-01-01") == LabelState.CONFIRMED
    assert state_of("clear", "2024-01-01") == LabelState.CLEARED


@pytest.mark.parametrize("silence", [None, "pending", "FRAUD", "", "0", "no"])
def test_whatever_the_contract_does_not_call_cleared_is_unlabelled(silence: str | None) -> None:
    assert state_of(silence, "2024-01-01") == LabelState.UNLABELLED


@pytest.mark.parametrize("outcome", ["fraud", "clear", None])
def test_a_claim_younger_than_its_maturity_is_immature_whatever_its_label(outcome: str | None) -> None:
    assert state_of(outcome, "2024-12-01") == LabelState.IMMATURE


def test_a_claim_matures_on_the_day_that_is_maturity_days_before_the_as_of_date() -> None:
    assert state_of("clear", "2024-07-04 23:59") == LabelState.CLEARED
    assert state_of("clear", "2024-07-05 00:00") == LabelState.IMMATURE


@pytest.mark.parametrize("happened", [None, "2025-01-01"])
def test_a_claim_without_a_date_or_from_the_future_is_immature_even_where_maturity_is_nought(happened: str) -> None:
    assert state_of("clear", happened, maturity_days=0) == LabelState.IMMATURE
