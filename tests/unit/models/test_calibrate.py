"""Platt's scaling finds the line that drew the labels, keeps the ranking, and survives what cannot be calibrated."""

import numpy as np
import pytest

from fraud_ml.models.calibrate import SLOPES, fit_platt, move_level
from fraud_ml.models.family import Calibration


def drawn(slope: float, intercept: float, rows: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    logits = rng.normal(-2, 1.5, rows)
    probability = 1 / (1 + np.exp(-(slope * logits + intercept)))
    return logits, (rng.random(rows) < probability).astype(np.int8)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, -1.0), (2.0, 1.0)])
def test_it_recovers_the_line_that_drew_the_labels(slope: float, intercept: float) -> None:
    found = fit_platt(*drawn(slope, intercept))
    assert found.slope == pytest.approx(slope, rel=0.1)
    assert found.intercept == pytest.approx(intercept, abs=0.2)


def test_calibrated_probabilities_have_the_windows_mean() -> None:
    logits, labels = drawn(0.7, -0.5)
    found = fit_platt(logits, labels)
    said = 1 / (1 + np.exp(-(found.slope * logits + found.intercept)))
    assert said.mean() == pytest.approx(labels.mean(), abs=1e-3)


def test_a_model_that_ranks_backwards_is_flattened_but_never_turned_round() -> None:
    logits, labels = drawn(-1.0, 0.0)
    found = fit_platt(logits, labels)
    assert found.slope == SLOPES[0]
    assert 1 / (1 + np.exp(-(found.slope * logits + found.intercept))).mean() > 0


@pytest.mark.parametrize("logits", [np.full(100, -3.0), np.r_[np.full(50, -9.0), np.full(50, 9.0)]])
def test_equal_scores_and_a_perfect_separation_stay_finite(logits: np.ndarray) -> None:
    found = fit_platt(logits, np.r_[np.zeros(50), np.ones(50)].astype(np.int8))
    assert np.isfinite([found.slope, found.intercept]).all()
    assert SLOPES[0] <= found.slope <= SLOPES[1]


def test_the_moved_level_is_the_share_of_frauds_and_the_slope_stays() -> None:
    logits, labels = drawn(0.7, -0.5)
    moved = move_level(Calibration(slope=1.3, intercept=2.0), logits, labels)
    assert moved.slope == 1.3
    assert (1 / (1 + np.exp(-(1.3 * logits + moved.intercept)))).mean() == pytest.approx(labels.mean(), abs=1e-6)
