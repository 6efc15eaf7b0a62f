"""The simulated motor insurer keeps its promises: it repeats itself, is plausible, and is learnable within limits."""

import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from fraud_ml.contract import load_contract
from fraud_ml.data.set_aside import SetAside
from fraud_ml.data.simulator import simulate, simulate_with_truth, write_rows
from fraud_ml.data.sources.files import read_file
from fraud_ml.data.tables import parse_rows
from fraud_ml.errors import BadInput
from fraud_ml.settings import PROJECT

BEGIN, END = date(2023, 1, 1), date(2025, 12, 31)
DECISIONS = ["confirmed", "cleared"]


@pytest.fixture(scope="module")
def simulated() -> tuple[pd.DataFrame, pd.DataFrame]:
    return simulate_with_truth("motor", claims=20_000, seed=7, begin=BEGIN, end=END)


@pytest.fixture(scope="module")
def rows(simulated: tuple[pd.DataFrame, pd.DataFrame]) -> pd.DataFrame:
    return simulated[0]


@pytest.fixture(scope="module")
def truth(simulated: tuple[pd.DataFrame, pd.DataFrame]) -> pd.DataFrame:
    return simulated[1]


@pytest.fixture(scope="module")
def decided(rows: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """One row an investigated claim that came to an end: its first outcome, with the truth beside it."""
    first = rows[rows["event"].isin(DECISIONS)].groupby("claim_id", as_index=False).first()
    return first.merge(truth, on="claim_id").assign(is_confirmed=lambda frame: frame["outcome"] == "confirmed")


def test_columns_are_those_of_the_contract(rows: pd.DataFrame) -> None:
    assert tuple(rows.columns) == load_contract("motor", PROJECT / "expectations").names


def test_every_row_may_be_landed_and_one_of_each_broken_kind_may_not(rows: pd.DataFrame, tmp_path: Path) -> None:
    contract = load_contract("motor", PROJECT / "expectations")
    assert set(rows["event"]) == set(contract.landing.event_kinds.known if contract.landing.event_kinds else ())
    assert set(contract.landing.bounds) == set(rows.select_dtypes("number"))
    write_rows(rows, tmp_path / "rows.parquet")
    aside = SetAside()
    assert parse_rows(read_file(tmp_path / "rows.parquet", contract), contract, aside=aside).num_rows == len(rows)
    assert aside.counts == {}

    broken = rows.head(2 * len(contract.landing.bounds) + 1).copy()
    for number, (name, bounds) in enumerate(contract.landing.bounds.items()):
        assert bounds.at_least is not None
        assert bounds.at_most is not None
        broken[name] = broken[name].astype(float)
        broken.loc[2 * number, name] = bounds.at_least - 1
        broken.loc[2 * number + 1, name] = bounds.at_most + 1
    broken.loc[broken.index[-1], "event"] = "reopened"
    write_rows(broken, tmp_path / "broken.parquet")
    assert parse_rows(read_file(tmp_path / "broken.parquet", contract), contract, aside=aside).num_rows == 0
    assert aside.counts == {"LAND010": 1, "LAND012": len(broken) - 1}


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
    assert rows["recorded_at"].is_monotonic_increasing
    assert not rows.duplicated(["claim_id", "recorded_at"]).any()
    assert (rows["recorded_at"].dt.dayofweek < 5).all()


def test_steps_of_a_claim_follow_each_other(rows: pd.DataFrame) -> None:
    at = rows.pivot_table(index="claim_id", columns="event", values="recorded_at", aggfunc="first")
    ended = at[[*DECISIONS, "closed"]].min(axis=1)

    assert (rows.groupby("claim_id")["event"].first() == "opened").all()
    assert not (at["investigated"] <= at["opened"]).any()
    assert not (ended <= at[["opened", "changed", "investigated"]].max(axis=1)).any()
    assert not (at["paid"] <= ended).any()
    assert not (at["reversed"] <= at["confirmed"]).any()


def test_what_the_form_says_never_changes_while_a_claim_is_handled(rows: pd.DataFrame) -> None:
    contract = load_contract("motor", PROJECT / "expectations")
    handled = {"recorded_at", "event", "investigation", "outcome", "reserve_eur", "paid_eur"}
    form = [name for name in contract.names if name not in handled]

    assert {column.name for column in contract.features} <= set(form)
    assert (rows.groupby("claim_id")[form].nunique(dropna=False) == 1).all(axis=None)


def test_only_investigated_claims_ever_get_an_outcome(rows: pd.DataFrame) -> None:
    has_outcome = rows["outcome"].notna()

    assert (rows.loc[has_outcome, "investigation"] != "none").all()
    assert rows.loc[rows["event"].isin([*DECISIONS, "reversed"]), "outcome"].notna().all()
    assert rows.loc[rows["event"].isin(["opened", "investigated", "closed"]), "outcome"].isna().all()
    assert (
        rows.loc[rows["event"].isin(DECISIONS), "event"] == rows.loc[rows["event"].isin(DECISIONS), "outcome"]
    ).all()
    assert (rows.loc[rows["event"] == "reversed", "outcome"] == "cleared").all()


def test_outcomes_take_20_days_to_half_a_year_and_some_twice_as_long(decided: pd.DataFrame) -> None:
    days = (decided["recorded_at"] - decided["accident_date"]).dt.total_seconds() / 86_400

    assert 19 < days.min() < 30
    assert 0.02 < (days > 172).mean() < 0.07
    assert 300 < days.max() <= 425


def test_labels_are_corrected_both_ways_long_after_they_were_given(rows: pd.DataFrame, truth: pd.DataFrame) -> None:
    known = rows.dropna(subset="outcome").drop_duplicates(["claim_id", "outcome"])
    at = known.pivot_table(index="claim_id", columns="outcome", values="recorded_at", aggfunc="first").dropna()
    days = (at["cleared"] - at["confirmed"]).dt.days
    is_fraud = truth.set_index("claim_id")["is_fraud"][at.index]

    assert (days > 0).sum() >= 5  # confirmed, then reversed
    assert (days < 0).sum() >= 5  # cleared, then confirmed
    assert is_fraud[days < 0].all()
    assert days.abs().min() >= 60
    assert days.abs().max() <= 303


def test_money_is_paid_once_and_never_for_what_stays_confirmed(rows: pd.DataFrame) -> None:
    last = rows.groupby("claim_id").last()
    paid = rows[rows["event"] == "paid"]

    assert paid["claim_id"].is_unique
    assert (paid["paid_eur"].between(0.01, paid["claim_amount_eur"])).all()
    assert (rows.loc[(rows["event"] == "confirmed") & (rows["paid_eur"] == 0), "reserve_eur"] == 0).all()
    assert (last["paid_eur"] > 0).mean() > 0.7


def test_amounts_abroad_are_the_same_amounts_in_euro(rows: pd.DataFrame) -> None:
    abroad = rows["currency"] != "EUR"
    rate = rows["claim_amount"] / rows["claim_amount_eur"]

    assert 0.03 < abroad.mean() < 0.07
    assert (rate[~abroad] == 1).all()
    assert rate[rows["currency"] == "PLN"].between(4.1, 4.7).all()
    assert rate[rows["currency"] == "GBP"].between(0.83, 0.89).all()


def test_prices_rise_by_inflation_and_accidents_have_seasons(rows: pd.DataFrame) -> None:
    claims = rows[rows["event"] == "opened"]
    amount = claims.groupby(claims["accident_date"].dt.year)["claim_amount_eur"].median()
    month = claims["accident_date"].dt.month
    weather = claims["accident_kind"] == "weather"

    assert 1.02 < amount[2025] / amount[2023] < 1.18
    assert weather[month.isin([12, 1, 2])].mean() > 1.5 * weather[month.isin([6, 7, 8])].mean()
    assert month.isin([12, 1, 2]).sum() > 1.15 * month.isin([6, 7, 8]).sum()


def test_forms_change_what_is_written_down(rows: pd.DataFrame) -> None:
    claims = rows[rows["event"] == "opened"]
    first, online = claims["form_version"] == "v1", claims["sales_channel"] == "online"
    told = claims["police_report"] == "yes"
    third = claims["form_version"] == "v3"

    assert (
        claims.loc[first, "reported_date"].max() < pd.Timestamp(2023, 7, 1) <= claims.loc[~first, "reported_date"].min()
    )
    assert claims.loc[first, "witnesses"].max() == 2
    assert claims.loc[~first, "witnesses"].max() >= 4
    assert told[online & ~third].mean() < 0.85 * told[~online & ~third].mean()
    assert told[online & third].mean() > 0.9 * told[~online & third].mean()


def test_witnesses_are_as_many_as_the_form_says(rows: pd.DataFrame) -> None:
    named = rows["witness_ids"].where(rows["witness_ids"] != "none", "")

    assert (named.str.count("D-") == rows["witnesses"]).all()


def test_shares_are_those_of_an_insurer(rows: pd.DataFrame, truth: pd.DataFrame, decided: pd.DataFrame) -> None:
    assert 0.045 < truth["is_fraud"].mean() < 0.07
    assert 0.06 < decided["is_confirmed"].mean() < 0.11
    assert 0.28 < len(decided) / 20_000 < 0.40
    assert decided["investigation"].value_counts(normalize=True)["random"] > 0.1
    assert 0.02 < (truth["fraud_kind"] == "ring").sum() / truth["is_fraud"].sum() < 0.30


def test_twelve_mature_months_hold_a_hundred_confirmed_frauds(decided: pd.DataFrame) -> None:
    mature = decided["accident_date"].between(pd.Timestamp(2024, 7, 1), pd.Timestamp(2025, 6, 30, 23, 59))

    assert decided.loc[mature, "is_confirmed"].sum() >= 100


@pytest.mark.parametrize("seed", [7, 8])
def test_the_form_ranks_several_times_better_than_chance_and_the_whole_truth_better_still(seed: int) -> None:
    rows, truth = simulate_with_truth("motor", claims=20_000, seed=seed, begin=BEGIN, end=END)
    outcome = rows.dropna(subset="outcome").groupby("claim_id")["outcome"].last()
    known = truth.set_index("claim_id").loc[outcome.index]
    share = (outcome == "confirmed").mean()
    lift = average_precision_score(outcome == "confirmed", known["p_observable"]) / share
    best = average_precision_score(outcome == "confirmed", known["p_all"]) / share

    assert 3.5 < lift < 6.0
    assert lift + 0.5 < best < 8


def test_no_single_column_shows_the_moved_claimants_third_party(rows: pd.DataFrame, truth: pd.DataFrame) -> None:
    claims = rows[rows["event"] == "opened"].set_index("claim_id")
    p = truth.set_index("claim_id")["p_observable"]
    third_party = claims["fault"] == "third_party"
    moved = claims["address_change"] == "within_1_year"

    def mean(which: pd.Series) -> float:
        return float(p[which[which].index].mean())

    assert mean(third_party) < mean(~third_party)
    assert mean(third_party & moved) > 3 * mean(~third_party)


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
    possible = {"dataset": "motor", "claims": 10, "seed": 1, "begin": BEGIN, "end": END}
    for impossible in (
        {"dataset": "boats"},
        {"claims": 0},
        {"begin": END, "end": BEGIN},
        {"begin": date(1969, 1, 1)},
        {"end": date(2100, 1, 1)},
        {"seed": -1},
    ):
        with pytest.raises(BadInput):
            simulate(**{**possible, **impossible})  # type: ignore[arg-type]
    with pytest.raises(BadInput):
        write_rows(pd.DataFrame(), tmp_path / "claims.xlsx")
