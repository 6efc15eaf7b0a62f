"""Intervals are seeded, cover as often as they say, and pair two models on the same claims."""

import time

import numpy as np
import pytest

from fraud_ml.evaluation.bootstrap import Interval, Resampling, measure, paired_difference, resample
from fraud_ml.evaluation.metrics import METRICS, Scored, metrics_at, roc_auc


def drawn(rows: int, seed: int, *, strength: float = 1.0) -> Scored:
    rng = np.random.default_rng(seed)
    labels = np.r_[np.ones(rows // 20), np.zeros(rows - rows // 20)]
    logits = rng.normal(-3 + strength * labels, 1)
    return Scored.of(labels, 1 / (1 + np.exp(-logits)))


def test_each_round_draws_as_many_frauds_and_honest_claims_as_there_are() -> None:
    labels = drawn(200, 0).labels
    weights = np.concatenate(list(resample(labels, Resampling(30, 0.9))))
    assert weights.shape == (30, 200)
    assert (weights[:, labels == 1].sum(axis=1) == 10).all()
    assert (weights[:, labels == 0].sum(axis=1) == 190).all()
    assert len({row.tobytes() for row in weights}) == 30


def test_the_same_claims_give_the_same_intervals() -> None:
    scored = drawn(400, 1)
    first, second = (measure(scored, Resampling(50, 0.9)) for _ in range(2))
    assert first == second


def test_every_interval_holds_its_order_and_widens_with_confidence() -> None:
    scored = drawn(2000, 2)
    wide, narrow = (measure(scored, Resampling(300, confidence)) for confidence in (0.99, 0.6))
    for name in METRICS:
        assert wide[name].low <= narrow[name].low <= narrow[name].high <= wide[name].high
        assert wide[name].value == narrow[name].value


def test_nine_of_ten_intervals_at_ninety_percent_hold_the_truth() -> None:
    truth = figures_of(drawn(200_000, 0))
    found = [
        measure(drawn(1000, seed), Resampling(100, 0.9), {"roc_auc": roc_auc})["roc_auc"] for seed in range(1, 101)
    ]
    assert 80 <= sum(interval.low <= truth <= interval.high for interval in found) <= 98


def test_a_model_does_not_differ_from_itself_and_beats_noise() -> None:
    scored = drawn(2000, 3, strength=2.0)
    noise = Scored.of(scored.labels, np.random.default_rng(0).random(2000))
    same = paired_difference("average_precision", scored, scored, Resampling(50, 0.95))
    assert (same.low, same.value, same.high) == (0, 0, 0)
    assert paired_difference("average_precision", scored, noise, Resampling(200, 0.95)).low > 0.1


def test_pairing_is_narrower_than_two_intervals() -> None:
    scored = drawn(2000, 4)
    close = Scored.of(
        scored.labels, np.clip(scored.probabilities + np.random.default_rng(0).normal(0, 0.001, 2000), 0, 1)
    )
    paired = paired_difference("average_precision", scored, close, Resampling(200, 0.95))
    alone = measure(scored, Resampling(200, 0.95))["average_precision"]
    assert paired.high - paired.low < (alone.high - alone.low) / 3


def test_models_scored_on_different_claims_cannot_be_paired() -> None:
    first, second = drawn(100, 0), drawn(100, 0)
    turned = Scored.of(second.labels[::-1], second.probabilities)
    with pytest.raises(ValueError, match="the same claims"):
        paired_difference("average_precision", first, turned, Resampling(5, 0.9))


def test_a_thousand_rounds_of_four_thousand_claims_take_two_cpu_seconds_at_most() -> None:
    scored = drawn(4083, 5)
    claimants = np.random.default_rng(0).integers(0, 3000, 4083)
    began = time.process_time()
    measure(scored, Resampling(1000, 0.95, claimants))
    assert time.process_time() - began <= 2.0


def test_a_claimant_is_drawn_with_all_of_his_claims() -> None:
    scored = drawn(300, 6)
    claimants = np.random.default_rng(1).integers(0, 90, 300)
    weights = np.concatenate(list(resample(scored.labels, Resampling(20, 0.9, claimants))))
    for claimant in range(90):
        own = weights[:, claimants == claimant]
        assert (own == own[:, :1]).all()
    frauds = np.array([scored.labels[claimants == c].any() for c in claimants])
    heads = weights / np.bincount(claimants)[claimants]
    assert np.allclose(heads[:, frauds].sum(axis=1), len(set(claimants[frauds])))
    assert np.allclose(heads[:, ~frauds].sum(axis=1), len(set(claimants[~frauds])))


def test_claimants_of_one_claim_each_are_drawn_as_claims_are() -> None:
    scored = drawn(400, 7)
    names = [f"person {number}" for number in np.random.default_rng(0).permutation(400)]
    assert measure(scored, Resampling(50, 0.9, names)) == measure(scored, Resampling(50, 0.9))


def test_an_interval_that_ignores_claimants_is_too_narrow() -> None:
    """Two hundred claimants repeat themselves twenty times: that is no more evidence than two hundred claims."""
    one = drawn(200, 8)
    many = Scored.of(np.repeat(one.labels, 20), np.repeat(one.probabilities, 20))
    alone, clustered = (
        width(measure(many, Resampling(300, 0.95, groups))["roc_auc"])
        for groups in (None, np.repeat(np.arange(200), 20))
    )
    fewer = width(measure(one, Resampling(300, 0.95))["roc_auc"])
    assert clustered > 3 * alone
    assert clustered == pytest.approx(fewer, rel=0.3)


def test_what_is_undefined_has_no_interval() -> None:
    scored = Scored.of([1, 0, 0, 0], [0.4, 0.3, 0.2, 0.1])
    assert measure(scored, Resampling(20, 0.9), metrics_at(0.9))["precision"] is None
    rarely = measure(scored, Resampling(200, 0.9, [1, 1, 2, 2]), metrics_at(0.35))["precision"]
    assert rarely is not None  # every round holds a fraud
    hardly = measure(Scored.of([1, 0, 0, 0], [0.1, 0.4, 0.2, 0.1]), Resampling(200, 0.9), metrics_at(0.35))["precision"]
    assert hardly is None  # the claim that is flagged is absent from a third of the rounds


def width(interval: Interval | None) -> float:
    assert interval is not None
    return interval.high - interval.low


def figures_of(scored: Scored) -> float:
    from fraud_ml.evaluation.metrics import figures

    value = figures(scored)["roc_auc"]
    assert value is not None
    return value
