"""The share of the final fraud known after k days: right when all is known, and not fooled when it is not."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud_ml.features.maturity import Curve, confirmations, count_reversed, curve_of, last_mature_month
from tests.toy_claims import toy_contract

AS_OF = date(2024, 12, 31)


def log(*rows: tuple[str, str, str, str | None]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=["claim", "event_time", "recorded_at", "outcome"])
    return frame.assign(
        event_time=pd.to_datetime(frame["event_time"]),
        recorded_at=pd.to_datetime(frame["recorded_at"]),
        outcome=frame["outcome"].astype("str"),
    )


def test_where_every_claim_is_old_the_curve_is_the_empirical_share() -> None:
    delays = [10, 20, 20, 30, 90]
    curve = curve_of(delays, [1000] * 5)

    assert curve.days == (10, 20, 30, 90)
    assert curve.share == pytest.approx((0.2, 0.6, 0.8, 1.0))
    assert curve.at(25)[0] == pytest.approx(0.6)
    assert curve.at(9)[0] == 0.0


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), min_size=1, max_size=60))
def test_the_share_never_falls_ends_at_one_and_lies_within_its_limits(pairs: list[tuple[int, int]]) -> None:
    curve = curve_of([delay for delay, _ in pairs], [delay + more for delay, more in pairs])

    assert list(curve.share) == sorted(curve.share)
    assert curve.share[-1] == 1.0
    for share, low, high in zip(curve.share, curve.low, curve.high, strict=True):
        assert 0.0 <= share <= 1.0
        if low is not None and high is not None:
            assert low <= share <= high


def test_young_claims_do_not_make_maturing_look_faster_than_it_is() -> None:
    """Claims of two years, watched until its end: counting what is confirmed by then would flatter the delays."""
    dice = np.random.default_rng(1)
    delay, watched = dice.gamma(4.0, 40.0, 40_000).astype(int), dice.integers(0, 730, 40_000)
    seen = delay <= watched
    curve = curve_of(delay[seen], watched[seen])
    truth = float((delay <= 160).mean())

    _, low, high = curve.at(160)
    assert low is not None
    assert high is not None
    assert low < truth < high
    assert float((delay[seen] <= 160).mean()) > high


def test_limits_hold_the_truth_about_as_often_as_they_say() -> None:
    dice, held = np.random.default_rng(3), 0
    for _ in range(300):
        delay, watched = dice.exponential(60, 400).astype(int), dice.integers(0, 500, 400)
        seen = delay <= watched
        within = float(1 - np.exp(-61 / 60)) / float(1 - np.exp(-501 / 60))
        _, low, high = curve_of(delay[seen], watched[seen]).at(60)
        held += low is not None and high is not None and low <= within <= high
    assert 0.91 < held / 300 < 0.985


def test_a_confirmation_counts_from_when_it_stands() -> None:
    found = confirmations(
        log(
            ("plain", "2024-01-01", "2024-01-03", None),
            ("plain", "2024-01-01", "2024-02-10", "fraud"),
            ("plain", "2024-01-01", "2024-03-10", "fraud"),
            ("twice", "2024-01-01", "2024-02-01", "fraud"),
            ("twice", "2024-01-01", "2024-03-01", "clear"),
            ("twice", "2024-01-01", "2024-04-10", "fraud"),
            ("reversed", "2024-01-01", "2024-02-01", "fraud"),
            ("reversed", "2024-01-01", "2024-03-01", "clear"),
            ("at once", "2024-01-01", "2024-01-05", "fraud"),
        ),
        toy_contract(),
        AS_OF,
    )

    assert found["delay_days"].to_dict() == {"plain": 40, "twice": 100, "at once": 4}
    assert found["is_first_row"].to_dict() == {"plain": False, "twice": False, "at once": True}
    assert set(found["watched_days"]) == {365}


def test_reversed_confirmations_are_counted() -> None:
    rows = log(
        ("a", "2024-01-01", "2024-02-01", "fraud"),
        ("a", "2024-01-01", "2024-03-01", "clear"),
        ("b", "2024-01-01", "2024-02-01", "clear"),
        ("b", "2024-01-01", "2024-03-01", "fraud"),
    )
    assert count_reversed(rows, toy_contract()) == 1


def test_no_fraud_is_an_empty_curve_and_an_impossible_delay_is_refused() -> None:
    assert curve_of([], []) == Curve(0, 0, (), (), (), ())
    with pytest.raises(ValueError, match="between 0 and the days"):
        curve_of([5], [4])


@pytest.mark.parametrize(
    ("as_of", "maturity_days", "month"),
    [(date(2025, 12, 31), 180, "2025-06"), (date(2025, 12, 30), 0, "2025-11"), (date(2025, 12, 31), 0, "2025-12")],
)
def test_a_month_is_whole_when_its_last_claim_is_mature(as_of: date, maturity_days: int, month: str) -> None:
    assert last_mature_month(as_of, maturity_days) == month
