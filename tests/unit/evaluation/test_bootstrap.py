"""Intervals are seeded, cover as often as they say, and pair two models on the same claims."""

import time

import numpy as np
import pytest

from fraud_ml.evaluation.bootstrap import average_precision_difference, measure, resample
from fraud_ml.evaluation.metrics import METRICS, Scored


def drawn(rows: int, seed: int, *, strength: float = 1.0) -> Scored:
    rng = np.random.default_rng(seed)
    labels = np.r_[np.ones(rows // 20), np.zeros(rows - rows // 20)]
    logits = rng.normal(-3 + strength * labels, 1)
    return Scored.of(labels, 1 / (1 + np.exp(-logits)))


def test_each_round_draws_as_many_frauds_and_honest_claims_as_there_are() -> None:
    labels = drawn(200, 0).labels
    weights = np.concatenate(list(resample(labels, 30)))
    assert weights.shape == (30, 200)
    assert (weights[:, labels == 1].sum(axis=1) == 10).all()
    assert (weights[:, labels == 0].sum(axis=1) == 190).all()
    assert len({row.tobytes() for row in weights}) == 30


def test_the_same_claims_give_the_same_intervals() -> None:
    scored = drawn(400, 1)
    first, second = (measure(scored, rounds=50, confidence=0.9) for _ in range(2))
    assert first == second


def test_every_interval_holds_its_order_and_widens_with_confidence() -> None:
    scored = drawn(2000, 2)
    wide, narrow = (measure(scored, rounds=300, confidence=confidence) for confidence in (0.99, 0.6))
    for name in METRICS:
        assert wide[name].low <= narrow[name].low <= narrow[name].high <= wide[name].high
        assert wide[name].value == narrow[name].value


def test_nine_of_ten_intervals_at_ninety_percent_hold_the_truth() -> None:
    truth = measure(drawn(200_000, 0), rounds=1, confidence=0.9)["roc_auc"].value
    found = [measure(drawn(1000, seed), rounds=100, confidence=0.9)["roc_auc"] for seed in range(1, 101)]
    assert 80 <= sum(interval.low <= truth <= interval.high for interval in found) <= 98


def test_a_model_does_not_differ_from_itself_and_beats_noise() -> None:
    scored = drawn(2000, 3, strength=2.0)
    noise = Scored.of(scored.labels, np.random.default_rng(0).random(2000))
    same = average_precision_difference(scored, scored, rounds=50, confidence=0.95)
    assert (same.low, same.value, same.high) == (0, 0, 0)
    assert average_precision_difference(scored, noise, rounds=200, confidence=0.95).low > 0.1


def test_pairing_is_narrower_than_two_intervals() -> None:
    scored = drawn(2000, 4)
    close = Scored.of(
        scored.labels, np.clip(scored.probabilities + np.random.default_rng(0).normal(0, 0.001, 2000), 0, 1)
    )
    paired = average_precision_difference(scored, close, rounds=200, confidence=0.95)
    alone = measure(scored, rounds=200, confidence=0.95)["average_precision"]
    assert paired.high - paired.low < (alone.high - alone.low) / 3


def test_models_scored_on_different_claims_cannot_be_paired() -> None:
    first, second = drawn(100, 0), drawn(100, 0)
    turned = Scored.of(second.labels[::-1], second.probabilities)
    with pytest.raises(ValueError, match="the same claims"):
        average_precision_difference(first, turned, rounds=5, confidence=0.9)


def test_five_hundred_rounds_of_five_thousand_claims_take_two_cpu_seconds_at_most() -> None:
    scored = drawn(5000, 5)
    began = time.process_time()
    measure(scored, rounds=500, confidence=0.95)
    assert time.process_time() - began <= 2.0
