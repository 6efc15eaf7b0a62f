"""A label counts only once its claim had its time; silence is never a "no"."""

import re
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import yaml

from fraud_ml.contract import load_contract
from fraud_ml.errors import BadInput
from fraud_ml.features.labels import LabelState, label_states
from fraud_ml.features.split import split_claims
from fraud_ml.params import FeatureParams
from tests.toy_claims import investigated_contract, toy_claims, toy_contract

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


# --- where the source says who was looked at ---


def looked_at(outcome: str | None, looked: str | None, happened: str = "2024-01-01") -> str:
    contract = investigated_contract(maturity_days=180)
    claims = pd.DataFrame(
        {
            "outcome": pd.Series([outcome], dtype="str"),
            "looked": pd.Series([looked], dtype="str"),
            "event_time": pd.to_datetime([happened]),
        }
    )
    return label_states(claims, contract, AS_OF).iloc[0]


@pytest.mark.parametrize(("looked", "state"), [("no", "never_looked_at"), (None, "never_looked_at")])
def test_silence_about_a_claim_that_nobody_looked_at_says_so(looked: str | None, state: str) -> None:
    assert looked_at(None, looked) == state


@pytest.mark.parametrize("looked", ["rule", "dice", "a word of next year"])
def test_silence_about_a_claim_that_somebody_looks_at_is_an_open_investigation(looked: str) -> None:
    assert looked_at(None, looked) == LabelState.UNDER_INVESTIGATION
    assert looked_at("pending", looked) == LabelState.UNDER_INVESTIGATION


@pytest.mark.parametrize("looked", ["no", "rule", "dice", None])
def test_what_was_decided_stands_whoever_looked(looked: str | None) -> None:
    assert looked_at("fraud", looked) == LabelState.CONFIRMED
    assert looked_at("clear", looked) == LabelState.CLEARED
    assert looked_at("clear", looked, "2024-12-01") == LabelState.IMMATURE


def test_open_and_unseen_claims_are_in_no_window_and_counted_apart() -> None:
    claims = toy_claims().assign(looked="rule")
    claims.loc[claims.index[::3], ["outcome", "looked"]] = [None, "no"]
    claims.loc[claims.index[1::3], "outcome"] = None
    params = FeatureParams(test_months=6, validation_months=4, min_positives=2)
    split = split_claims(claims, investigated_contract(), AS_OF, set(), params)

    assert split.left_out == {"never_looked_at": len(claims.index[::3]), "under_investigation": len(claims.index[1::3])}
    assert sum(len(frame) for frame in split.frames.values()) == len(claims.index[2::3])


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"column": "nobody"}, "investigation column `nobody` is not among `columns`"),
        ({"column": "garage"}, "known only after the claim"),
        ({"random": ["no"]}, "`no` stands under"),
        ({"none": []}, "label.investigation.none"),
        ({"words": ["x"]}, "unknown key `label.investigation.words`"),
    ],
)
def test_a_contract_that_misnames_investigations_is_refused(
    tmp_path: Path, changed: dict[str, object], told: str
) -> None:
    content = investigated_contract().model_dump(mode="json")
    content["label"]["investigation"].update(changed)
    path = tmp_path / "toy" / "contract.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(content), encoding="utf-8")

    with pytest.raises(BadInput, match=re.escape(told)):
        load_contract("toy", tmp_path)
