"""The simulated motor insurer is deterministic, plausible, and learnable within limits."""

import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from fraud_ml.contract import load_contract
from fraud_ml.data.simulator import simulate, write_rows
from fraud_ml.data.simulator.motor import Truth, simulate_with_truth
from fraud_ml.data.sources.files import read_file
from fraud_ml.data.tables import parse_rows
from fraud_ml.errors import BadInput
from fraud_ml.settings import PROJECT

BEGIN, END = date(2023, 1, 1), date(2025, 12, 31)


@pytest.fixture(scope="module")
def simulated() -> tuple[pd.DataFrame, Truth]:
    return simulate_with_truth(20_000, seed=7, begin=BEGIN, end=END)


@pytest.fixture(scope="module")
def rows(simulated: tuple[pd.DataFrame, Truth]) -> pd.DataFrame:
    return simulated[0]


@pytest.fixture(scope="module")
def labelled(simulated: tuple[pd.DataFrame, Truth]) -> pd.DataFrame:
    """One row a labelled claim, with the truth beside it."""
    rows, truth = simulated
    known = pd.DataFrame({"claim_id": truth.claim_id, "probability": truth.fraud_probability})
    decided = rows[rows["outcome"].notna()].merge(known, on="claim_id")
    return decided.assign(is_confirmed=decided["outcome"] == "confirmed")


def test_columns_are_those_of_the_contract(rows: pd.DataFrame) -> None:
    assert tuple(rows.columns) == load_contract("motor", PROJECT / "expectations").names


def test_equal_seeds_give_equal_rows_and_other_seeds_other_claims() -> None:
    first, again, other = (simulate("motor", claims=500, seed=seed, begin=BEGIN, end=END) for seed in (1, 1, 2))

    pd.testing.assert_frame_equal(first, again)
    assert not set(first["claim_id"]) & set(other["claim_id"])


def test_every_claim_is_opened_once_and_nothing_is_recorded_too_early_or_too_late(rows: pd.DataFrame) -> None:
    assert (rows["event"] == "opened").sum() == rows["claim_id"].nunique() == 20_000
    assert (rows["recorded_at"] >= rows["reported_date"]).all()
    assert (rows["reported_date"] > rows["accident_date"]).all()
    assert rows["accident_date"].min() >= pd.Timestamp(BEGIN)
    assert rows["recorded_at"].max() < pd.Timestamp(END) + pd.Timedelta(days=1)
    assert not rows.duplicated(["claim_id", "recorded_at"]).any()
    assert (rows["recorded_at"].dt.dayofweek < 5).all()


def test_steps_of_a_claim_follow_each_other(rows: pd.DataFrame) -> None:
    at = rows.pivot_table(index="claim_id", columns="event", values="recorded_at")

    assert not (at["investigated"] <= at["opened"]).any()
    assert not (at["closed"] <= at[["opened", "investigated"]].max(axis=1)).any()


def test_only_investigated_claims_ever_get_an_outcome(rows: pd.DataFrame) -> None:
    has_outcome = rows["outcome"].notna()

    assert (rows.loc[has_outcome, "event"] == "closed").all()
    assert (rows.loc[has_outcome, "investigation"] != "none").all()
    assert rows.loc[(rows["event"] == "closed") & (rows["investigation"] != "none"), "outcome"].notna().all()


def test_outcomes_take_20_to_170_days(labelled: pd.DataFrame) -> None:
    days = (labelled["recorded_at"] - labelled["accident_date"]).dt.total_seconds() / 86_400

    assert 19 < days.min() < 30
    assert 120 < days.max() <= 171


def test_shares_are_those_of_an_insurer(simulated: tuple[pd.DataFrame, Truth], labelled: pd.DataFrame) -> None:
    assert 0.04 < simulated[1].is_fraud.mean() < 0.065
    assert 0.06 < labelled["is_confirmed"].mean() < 0.10
    assert 0.28 < len(labelled) / 20_000 < 0.40
    assert labelled["investigation"].value_counts(normalize=True)["random"] > 0.1


def test_twelve_mature_months_hold_a_hundred_confirmed_frauds(labelled: pd.DataFrame) -> None:
    mature = labelled["accident_date"].between(pd.Timestamp(2024, 7, 1), pd.Timestamp(2025, 6, 30, 23, 59))

    assert labelled.loc[mature, "is_confirmed"].sum() >= 100


@pytest.mark.parametrize("seed", [7, 8])
def test_the_truth_ranks_several_times_better_than_chance(seed: int) -> None:
    rows, truth = simulate_with_truth(20_000, seed=seed, begin=BEGIN, end=END)
    outcome = rows.dropna(subset="outcome").set_index("claim_id")["outcome"]
    probability = pd.Series(truth.fraud_probability, index=truth.claim_id)[outcome.index]
    lift = average_precision_score(outcome == "confirmed", probability) / (outcome == "confirmed").mean()

    assert 3.5 < lift < 6.5


def test_no_single_column_shows_the_moved_claimants_third_party(simulated: tuple[pd.DataFrame, Truth]) -> None:
    rows, truth = simulated
    claims = rows[rows["event"] == "opened"].set_index("claim_id")
    p = pd.Series(truth.fraud_probability, index=truth.claim_id)
    third_party = claims["fault"] == "third_party"
    moved = claims["address_change"] == "within_1_year"

    def mean(which: pd.Series) -> float:
        return float(p[which[which].index].mean())

    assert mean(third_party) < mean(~third_party)
    assert mean(third_party & moved) > 4 * mean(~third_party)


def test_simulation_is_quick() -> None:
    start = time.process_time()
    simulate("motor", claims=20_000, seed=1, begin=BEGIN, end=END)

    assert time.process_time() - start < 3


def test_written_files_are_byte_equal_and_hold_the_same_claims(tmp_path: Path) -> None:
    contract = load_contract("motor", PROJECT / "expectations")
    rows = simulate("motor", claims=300, seed=3, begin=BEGIN, end=END)
    tables = []
    for name in ("a.csv", "a.csv.gz", "a.parquet"):
        write_rows(rows, tmp_path / name)
        write_rows(rows, tmp_path / f"again_{name}")
        assert (tmp_path / name).read_bytes() == (tmp_path / f"again_{name}").read_bytes()
        tables.append(parse_rows(read_file(tmp_path / name, contract), contract))

    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])
    assert tables[0].num_rows == len(rows)
    assert np.isfinite(rows.select_dtypes("number").to_numpy()).all()


def test_unknown_insurer_and_impossible_numbers_are_refused(tmp_path: Path) -> None:
    for arguments in (
        {"dataset": "boats", "claims": 10, "begin": BEGIN, "end": END},
        {"dataset": "motor", "claims": 0, "begin": BEGIN, "end": END},
        {"dataset": "motor", "claims": 10, "begin": END, "end": BEGIN},
    ):
        with pytest.raises(BadInput):
            simulate(**arguments, seed=1)  # type: ignore[arg-type]
    with pytest.raises(BadInput):
        write_rows(pd.DataFrame(), tmp_path / "claims.xlsx")
