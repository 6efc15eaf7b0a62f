"""The simulated truth is true: both scores are calibrated, rings can be found by whom they share, people recur."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from fraud_ml.data.simulator import simulate_with_truth, stream
from fraud_ml.data.simulator.motor import fraud, handling, policies, rings
from fraud_ml.data.simulator.motor.dice import Dice
from fraud_ml.data.simulator.motor.policies import BOOK, BUSY, BUSY_SHARE

DICE = Dice(5, "abcdef")


@pytest.fixture(scope="module")
def month() -> pd.DataFrame:
    """Many books in one month, so that what chance made of one book's rings does not weigh: form, truth and book."""
    frames = []
    for part in stream("motor", claims=120_000, seed=11, begin=date(2024, 5, 1), end=date(2024, 5, 31)):
        truth = part.truth.to_pandas().assign(book=lambda f, first=part.first: (first + np.arange(len(f))) // BOOK)
        rows = part.rows.to_pandas()
        frames.append(truth.merge(rows[rows["event"] == "opened"], on="claim_id", validate="one_to_one"))
    return pd.concat(frames, ignore_index=True)


def deviations(frame: pd.DataFrame, of: pd.Series, by: pd.Series) -> np.ndarray:
    """Return by how many standard errors (books are the independent units) `of` differs from 0 in each group."""
    found = []
    for _, group in of.groupby(by):
        sums = group.groupby(frame.loc[group.index, "book"]).sum()
        found.append(sums.sum() / np.sqrt((sums**2).sum()))
    return np.array(found)


@pytest.mark.parametrize("score", ["p_all", "p_observable"])
@pytest.mark.parametrize(
    "column",
    ["score", "region", "accident_kind", "fault", "witnesses", "police_report", "sales_channel", "address_change"],
)
def test_both_scores_are_the_chance_of_fraud_in_every_group(month: pd.DataFrame, score: str, column: str) -> None:
    by = pd.qcut(month[score], 10, labels=False) if column == "score" else month[column]
    z = deviations(month, month["is_fraud"] - month[score], by)

    assert np.abs(z).max() < 4
    assert np.sqrt(np.mean(z**2)) < 1.9


@pytest.mark.parametrize("column", ["score", "region", "accident_kind", "fault", "witnesses", "police_report"])
def test_the_observable_score_is_the_mean_of_the_full_one_given_the_form(month: pd.DataFrame, column: str) -> None:
    """Sharper than the labels: what is hidden has to average out."""
    by = pd.qcut(month["p_observable"], 10, labels=False) if column == "score" else month[column]
    z = deviations(month, month["p_all"] - month["p_observable"], by)

    assert np.abs(z).max() < 4
    assert np.sqrt(np.mean(z**2)) < 1.9


@pytest.mark.parametrize("mistake", ["no rings", "no strain", "trusting the police box"])
def test_leaving_a_hidden_value_out_of_the_sum_would_be_noticed(
    month: pd.DataFrame, mistake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if mistake == "no rings":
        monkeypatch.setattr(fraud, "member_share", lambda region, month: 0.0)
    elif mistake == "no strain":
        monkeypatch.setattr(fraud, "STRAIN", fraud.STRAIN * 0)
    else:
        monkeypatch.setattr(fraud, "_police_chance", lambda seen: seen["police_report"] * 1.0)
    parts = stream("motor", claims=120_000, seed=11, begin=date(2024, 5, 1), end=date(2024, 5, 31))
    wrong = pd.concat([part.truth.select(["claim_id", "p_observable"]).to_pandas() for part in parts])
    untold = (month["police_report"] == "no") & (month["sales_channel"] == "online")
    by = untold if mistake == "trusting the police box" else month["fault"]
    merged = month.merge(wrong, on="claim_id", suffixes=("", "_wrong"))

    assert np.abs(deviations(month, merged["p_all"] - merged["p_observable_wrong"], by)).max() > 4


def test_all_information_ranks_better_than_the_form_and_the_form_better_than_chance(month: pd.DataFrame) -> None:
    best, form = (average_precision_score(month["is_fraud"], month[name]) for name in ("p_all", "p_observable"))

    assert best > form + 0.1 > 0.3


def test_the_propensity_is_the_chance_of_being_investigated(month: pd.DataFrame) -> None:
    parts = stream("motor", claims=60_000, seed=11, begin=date(2024, 5, 1), end=date(2024, 7, 31))
    pairs = [(part.rows.to_pandas(), part.truth.to_pandas()) for part in parts]
    rows, truth = (pd.concat(frames) for frames in zip(*pairs, strict=True))
    looked_at = rows[rows["recorded_at"] < "2024-07-31"].groupby("claim_id")["investigation"].last() != "none"
    may = rows[rows["event"] == "opened"].set_index("claim_id")["recorded_at"] < "2024-07-10"
    known = truth.set_index("claim_id").assign(looked_at=looked_at)[may.reindex(truth["claim_id"]).to_numpy()]
    tenth = known.groupby(pd.qcut(known["p_investigated"], 10, labels=False))

    assert tenth["p_investigated"].mean().to_numpy() == pytest.approx(tenth["looked_at"].mean().to_numpy(), abs=0.025)
    assert known["p_investigated"].min() > handling.RANDOM_SHARE


@pytest.mark.parametrize("month_of_quarter", [0, 1, 2])
def test_the_chance_of_membership_is_that_of_many_books(month_of_quarter: int) -> None:
    books = np.arange(3_000)
    number = 12 * 54 + month_of_quarter
    found = rings.rings_in(DICE, number, books)
    row, slot = np.repeat(books, 40), np.tile(np.arange(40) * (BUSY // 40), len(books))
    day = np.full(len(row), np.datetime64(number, "M").astype("datetime64[D]"))
    region = policies.regions(DICE, policies.policies_at(DICE, row, slot, day))
    belongs = rings.membership(DICE, found, row, slot, region).belongs * BUSY_SHARE
    for place in range(5):
        of_book = np.bincount(row, belongs * (region == place)) / np.maximum(np.bincount(row, region == place), 1)
        error = of_book.std() / np.sqrt(len(books))
        assert abs(of_book.mean() - rings.member_share(place, month_of_quarter)) < 4 * error


def test_a_ring_is_founded_grows_moves_and_dissolves() -> None:
    books = np.arange(60)
    lives: dict[tuple[int, int, int], list[tuple[int, int, int]]] = {}
    for number in range(12 * 53, 12 * 56):
        found = rings.rings_in(DICE, number, books)
        ring, _ = rings.members(DICE, found)
        for book, lane, which in np.argwhere(found.works):
            key = int(found.number(*(np.array([n]) for n in (book, lane, which)))[0])
            lives.setdefault(key, []).append((number, int(found.region[book, lane, which]), int((ring == key).sum())))
    whole = [life for life in lives.values() if life[0][0] > 12 * 53 and life[-1][0] < 12 * 56 - 1]
    months = [[number for number, _, _ in life] for life in whole]
    moved = [life for life in whole if len({region for _, region, _ in life}) > 1]

    assert len(whole) > 30
    assert all(span == list(range(span[0], span[-1] + 1)) for span in months)
    assert all(rings.LIFE_MONTHS[0] <= len(span) <= rings.LIFE_MONTHS[1] for span in months)
    assert 0.2 < len(moved) / len(whole) < 0.8
    early, late = (np.mean([life[at][2] for life in whole]) for at in (0, 9))
    assert late > 2 * early


@pytest.fixture(scope="module")
def years() -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, truth = simulate_with_truth("motor", claims=60_000, seed=5, begin=date(2022, 1, 1), end=date(2024, 12, 31))
    return rows[rows["event"] == "opened"].set_index("claim_id"), truth.set_index("claim_id")


def test_only_ring_frauds_have_a_ring_and_its_members_cheat_for_no_other(
    years: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    _, truth = years
    of_ring = truth["fraud_kind"] == "ring"

    assert (truth["ring_id"].notna() == of_ring).all()
    assert (truth.loc[of_ring, "ring_id"] == truth.loc[of_ring, "claimant_ring_id"]).all()
    assert (truth["true_cause"] == "staged").equals(of_ring)
    assert truth["is_fraud"].equals(truth["fraud_kind"] != "none")
    assert truth.loc[truth["claimant_ring_id"].notna(), "is_fraud"].mean() < 0.9  # members have honest claims too


def test_claims_of_a_ring_share_telephones_garages_and_people_and_honest_ones_rarely(
    years: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    claims, truth = years
    ring = truth["ring_id"].dropna()
    large = ring[ring.map(ring.value_counts()) >= 8]
    staged, honest = claims.loc[large.index], claims.drop(ring.index)

    def shared(frame: pd.DataFrame, column: str) -> float:
        return float(frame[column].duplicated(keep=False).mean())

    assert large.nunique() >= 10
    assert shared(staged, "phone_id") > 0.45 > 4 * honest.drop_duplicates("claimant_id")["phone_id"].duplicated().mean()
    garages = staged["garage_id"].groupby(large).agg(lambda names: names.value_counts(normalize=True).iloc[0])
    assert garages.mean() > 0.45
    people = staged["witness_ids"].str.split("+").explode()
    known = people[people != "none"].isin(claims["claimant_id"])
    strangers = honest["witness_ids"].str.split("+").explode()
    assert known.mean() > 0.5 > 5 * strangers[strangers != "none"].isin(claims["claimant_id"]).mean()


def test_who_follows_telephones_and_witnesses_finds_rings_but_not_only_rings(
    years: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    """A link: another policy's claim with the same telephone (unless a garage's), or whose claimant testifies here."""
    claims, truth = years
    policies_of = claims.groupby("phone_id")["policy_id"].nunique()
    by_phone = claims["phone_id"].map(policies_of).between(2, 30)
    people = claims["witness_ids"].str.split("+").explode()
    by_witness = people[people != "none"].isin(claims["claimant_id"]).groupby(level=0).any()
    linked = by_phone.astype(int) + by_witness.reindex(claims.index, fill_value=False).astype(int)
    of_ring = truth["ring_id"].notna().reindex(claims.index)
    share = of_ring.groupby(linked).mean()

    assert share[0] < of_ring.mean() / 2
    assert 20 * of_ring.mean() < share[2] < 0.999
    assert 3 * of_ring.mean() < share[1] < 0.8
    assert of_ring[linked > 0].sum() > 0.7 * of_ring.sum()


def test_nobody_testifies_for_themselves_in_a_ring(years: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    claims, truth = years
    staged = claims.loc[truth["ring_id"].notna()]

    assert not any(one in many for one, many in zip(staged["claimant_id"], staged["witness_ids"], strict=True))


def test_honest_people_come_back_and_stay_who_they_are(years: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    claims, truth = years
    honest = claims[~truth["is_fraud"].reindex(claims.index)]
    again = honest[honest["claimant_id"].duplicated(keep=False)].groupby("claimant_id")

    assert 0.15 < len(again.obj) / len(honest) < 0.75
    assert (again[["sex", "region", "vehicle_make", "policy_id", "cover"]].nunique() == 1).all(axis=None)
    assert (again["phone_id"].nunique() == 1).mean() > 0.85  # but for who left the garage's telephone
    ages = again["driver_age_years"].agg(["min", "max"])
    assert (ages["max"] - ages["min"]).max() <= 2
    assert honest.groupby("policy_id")["claimant_id"].nunique().max() == 2  # the policyholder and a second driver


def test_names_are_opaque_but_a_claims_own_tells_its_month(years: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    claims, truth = years
    recorded = claims["recorded_at"].rank()

    assert (claims.index.str[9:15] == claims["recorded_at"].dt.strftime("%Y%m")).all()
    for column in ("policy_id", "claimant_id", "phone_id", "garage_id", "address_id"):
        order = claims[column].rank()
        assert abs(np.corrcoef(order, truth["is_fraud"].reindex(claims.index))[0, 1]) < 0.02
        assert abs(np.corrcoef(order, recorded)[0, 1]) < 0.02
