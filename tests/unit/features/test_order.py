"""One column alone: what it tells about when a claim was recorded, and about its label."""

import numpy as np
import pandas as pd
import pytest

from fraud_ml.features.order import Probe, probe

CLAIMS = 4_000
DICE = np.random.default_rng(2)
RECORDED = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(DICE.integers(0, 700, CLAIMS)), unit="D"))
LABEL = (DICE.random(CLAIMS) < 0.08).astype(float)


def probed(values: object, label: np.ndarray = LABEL) -> Probe:
    return probe(pd.Series(values, name="column"), "feature", RECORDED, label, seed=1)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(CLAIMS),
        -3.5 * np.arange(CLAIMS),
        [f"M-2024/{number:05d}-x" for number in range(CLAIMS)],
        RECORDED,
        RECORDED.dt.strftime("%b %Y"),
        RECORDED.dt.strftime("week %G of %V"),
        np.where(DICE.random(CLAIMS) < 0.03, np.nan, np.arange(CLAIMS)),
    ],
    ids=["row number", "falling number", "id", "time", "month", "week", "with gaps"],
)
def test_what_follows_the_recorded_order_is_found_however_it_is_written(values: object) -> None:
    assert probed(values).encodes_order


@pytest.mark.parametrize(
    "values",
    [
        DICE.permutation(CLAIMS),
        [f"M-{number:05d}" for number in DICE.permutation(CLAIMS)],
        RECORDED.dt.strftime("%b"),
        RECORDED.dt.strftime("%a"),
        DICE.choice(["a", "b"], CLAIMS),
        np.full(CLAIMS, np.nan),
        ["same"] * CLAIMS,
        [f"name {letter}" for letter in DICE.choice(list("abcdefgh"), CLAIMS)],
    ],
    ids=["shuffled number", "shuffled id", "season", "weekday", "coin", "empty", "constant", "words"],
)
def test_what_does_not_is_not(values: object) -> None:
    assert not probed(values).encodes_order


def test_a_column_that_knows_the_label_gives_it_away_and_a_good_one_does_not() -> None:
    spelled = np.where(LABEL == 1, "refused", DICE.choice(["paid", "paid in part"], CLAIMS))
    strong = LABEL + DICE.normal(0, 0.7, CLAIMS)

    assert probed(spelled).gives_label_away
    assert not probed(strong).gives_label_away
    assert (probed(strong).auc_random or 0) > 0.75


def test_claims_that_nobody_may_learn_from_are_not_learned_from() -> None:
    """The column is right about the unlabelled half only."""
    label = LABEL.copy()
    label[::2] = np.nan
    knows = np.where(np.isnan(label), LABEL, DICE.integers(0, 2, CLAIMS))

    assert not probed(knows, label).gives_label_away


def test_too_few_frauds_leave_the_areas_unsaid() -> None:
    few = np.zeros(CLAIMS)
    few[:19] = 1.0
    found = probed(np.arange(CLAIMS), few)

    assert (found.auc_random, found.auc_forward, found.learns_calendar, found.gives_label_away) == (
        None,
        None,
        False,
        False,
    )


def test_a_lesson_that_later_months_do_not_confirm_is_a_calendars() -> None:
    """Fraud was recorded in some months; their names rank known months well, and a new month not at all."""
    block = (RECORDED - RECORDED.min()).dt.days // 45
    names = block.map(lambda number: "abcdefghijklmnop"[number])
    recorded = block.isin([0, 1, 3, 6, 8, 9, 12, 15]).to_numpy()
    busy = (DICE.random(CLAIMS) < np.where(recorded, 0.25, 0.005)).astype(float)

    assert probed(names, busy).learns_calendar
    assert not probed(recorded.astype(int), busy).learns_calendar
