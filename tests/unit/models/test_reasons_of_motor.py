"""Reasons on simulated claims, whose true causes are known (fraud_ml/data/simulator/motor/fraud.py plants them)."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from fraud_ml.contract import load_contract
from fraud_ml.data.simulator import simulate_with_truth
from fraud_ml.models import export_model, fit_family, load_model
from fraud_ml.models.family import Calibration, Examples, Explained
from fraud_ml.models.inputs import Inputs, describe_inputs, read_columns
from fraud_ml.models.reasons import GRADES, Reasons
from fraud_ml.params import load_params
from fraud_ml.settings import PROJECT

CLAIMS, LEARNED = 14_000, 11_000
TOP = 3
# What was planted, in which claims: these columns make the fraud likely there.
PLANTED = {
    "moved, and a third party at fault": ("address_change", "fault"),
    "a fresh policy, and a theft or fire": ("policy_age_days", "accident_kind"),
    "a large amount": ("claim_amount_eur",),
}


@dataclass(frozen=True)
class Told:
    """Claims that two models, of other seeds and other halves of the claims, never saw, and both models' reasons."""

    frame: pd.DataFrame
    inputs: Inputs
    by_seed: tuple[Explained, Explained]

    def claims(self, planted: str) -> NDArray[np.bool_]:
        frame = self.frame
        found = {
            "moved, and a third party at fault": (frame["address_change"] == "within_1_year")
            & (frame["fault"] == "third_party"),
            "a fresh policy, and a theft or fire": (frame["policy_age_days"] < 120)
            & frame["accident_kind"].isin(["theft", "fire"]),
            "a large amount": frame["claim_amount_eur"] > frame["claim_amount_eur"].quantile(0.95),
        }[planted]
        return found.to_numpy()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    contract = load_contract("motor", PROJECT / "expectations")
    rows, truth = simulate_with_truth("motor", claims=CLAIMS, seed=3, begin=date(2023, 1, 1), end=date(2025, 12, 31))
    fold = rows.drop_duplicates("claim_id", keep="last").merge(truth[["claim_id", "is_fraud"]], on="claim_id")
    learned, later = fold.iloc[:LEARNED], fold.iloc[LEARNED:]
    params = load_params(PROJECT / "params.yaml").training
    small = params.boosted_trees.model_copy(update={"members": 2, "trees": 60, "learning_rate": 0.12, "bins": 16})
    explained = []
    inputs = describe_inputs(learned, contract.features)
    for seed, part in ((1, learned.iloc[::2]), (2, learned.iloc[1::2])):
        examples = Examples(read_columns(part, inputs), part["is_fraud"].to_numpy(np.int8))
        knobs = params.model_copy(update={"boosted_trees": small, "seed": seed})
        fitted = fit_family("boosted_trees", inputs, examples, examples, knobs, progress=lambda _: None, fitted={})
        folder = tmp_path_factory.mktemp("model")
        export_model(folder, "boosted_trees", fitted, inputs, Calibration())
        explained.append(load_model(folder).opened.explain(read_columns(later, inputs)))
    return Told(later.reset_index(drop=True), inputs, (explained[0], explained[1]))


@pytest.mark.parametrize("planted", list(PLANTED))
def test_planted_cause_is_among_the_first_reasons_far_more_often_than_by_chance(told: Told, planted: str) -> None:
    claims = told.claims(planted)
    by_chance = TOP / len(told.inputs.columns)
    assert claims.sum() >= 15
    for explained in told.by_seed:
        first = np.argsort(-explained.contributions[claims], axis=1)[:, :TOP]
        for column in PLANTED[planted]:
            share = (first == told.inputs.names.index(column)).any(axis=1).mean()
            assert share > 3 * by_chance


def test_reasons_of_risky_claims_are_alike_in_models_of_another_seed_and_of_other_claims(told: Told) -> None:
    """Of the riskiest twentieth, by two models that share neither seed nor training claim.

    Spearman's correlation of a claim's contributions is 0.58 in the median; the heaviest reason of one model is among
    the other's first three for 88 claims in a hundred.
    """
    one, other = (explained.contributions for explained in told.by_seed)
    logits = one.sum(axis=1)
    risky = logits >= np.quantile(logits, 0.95)
    ranks = [pd.DataFrame(part[risky]).rank(axis=1).to_numpy() for part in (one, other)]
    ranks = [part - part.mean(axis=1, keepdims=True) for part in ranks]
    alike = (ranks[0] * ranks[1]).sum(axis=1) / np.sqrt((ranks[0] ** 2).sum(axis=1) * (ranks[1] ** 2).sum(axis=1))
    heaviest = one[risky].argmax(axis=1)
    first = np.argsort(-other[risky], axis=1)[:, :TOP]
    kept = (first == heaviest[:, None]).any(axis=1).mean()
    assert np.median(alike) > 0.5
    assert kept > 0.8


def test_words_tell_a_column_and_a_grade_and_no_value(told: Told) -> None:
    said = Reasons(told.inputs.names).words(told.by_seed[0], TOP)
    assert len(said) == len(told.frame)
    assert max(map(len, said)) == TOP
    for words, shares in zip(said[:200], told.by_seed[0].contributions[:200], strict=True):
        for word in words:
            column, _, rest = word.partition(" speaks ")
            share = shares[told.inputs.names.index(column)]
            grade = next(how for limit, how in GRADES if share >= limit)
            assert rest == f"{grade} for fraud"
