"""Platt's scaling: turn a model's log-odds into probabilities that the later validation window agrees with."""

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.family import Calibration

NEWTON_STEPS = 50
SLOPES = (
    0.05,
    20.0,
)  # outside, validation says nothing about this model's probabilities; a slope < 0 would turn it round


def fit_platt(logits: NDArray[np.float64], labels: NDArray[np.int8]) -> Calibration:
    """Return the calibration with the highest likelihood on (n_claims,) logits and labels of {0, 1}, both present.

    Labels are drawn in by Platt's prior, (n₊ + 1)/(n₊ + 2) and 1/(n₋ + 2), so that a perfect separation stays finite.
    Source: Platt 1999, in the form of Lin, Lin & Weng 2007.
    """
    positives = float(labels.sum())
    truth = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2))
    share = float(truth.mean())
    slope, intercept = _fit(logits, truth, np.array([0.0, np.log(share / (1 - share))]), free=(True, True))
    if not SLOPES[0] <= slope <= SLOPES[1]:
        slope = float(np.clip(slope, *SLOPES))
        slope, intercept = _fit(logits, truth, np.array([slope, 0.0]), free=(False, True))
    return Calibration(slope=float(slope), intercept=float(intercept))


def move_level(calibration: Calibration, logits: NDArray[np.float64], labels: NDArray[np.int8]) -> Calibration:
    """Return the calibration whose mean probability over (n_claims,) logits is the share of frauds in `labels`.

    The slope stays: claims that a model learned from say how high its log-odds are, not how sure it may be.
    """
    slope, intercept = _fit(
        logits, labels.astype(np.float64), np.array([calibration.slope, calibration.intercept]), free=(False, True)
    )
    return Calibration(slope=float(slope), intercept=float(intercept))


def log_loss(logits: NDArray[np.float64], labels: NDArray[np.int8] | NDArray[np.float64]) -> float:
    """Return the mean log loss, in nats, of (n_claims,) log-odds."""
    return float(np.mean(np.logaddexp(0, logits) - labels * logits))


def calibrated_losses(logits: NDArray[np.float64], labels: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return (n_claims,) log losses, in nats, of log-odds under the calibration that fits them best."""
    found = fit_platt(logits, labels)
    calibrated = found.slope * logits + found.intercept
    losses: NDArray[np.float64] = np.logaddexp(0, calibrated) - labels * calibrated
    return losses


def _fit(
    logits: NDArray[np.float64], truth: NDArray[np.float64], start: NDArray[np.float64], free: tuple[bool, bool]
) -> NDArray[np.float64]:
    design = np.stack([logits, np.ones_like(logits)], axis=1)[:, list(free)]
    fixed = np.where(free, 0.0, start)
    offset = fixed[0] * logits + fixed[1]
    weights = start[list(free)]

    def loss(weights: NDArray[np.float64]) -> float:
        return log_loss(design @ weights + offset, truth)

    for _ in range(NEWTON_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(design @ weights + offset, -500, 500)))
        slope = design.T @ (truth - probability) / len(truth)
        curvature = (design * (probability * (1 - probability))[:, None]).T @ design / len(truth)
        step = np.linalg.solve(curvature + 1e-12 * np.eye(len(weights)), slope)
        while loss(weights + step) > loss(weights) and np.abs(step).max() > 1e-12:
            step /= 2
        weights = weights + step
        if np.abs(step).max() <= 1e-10:
            break
    found = fixed.copy()
    found[list(free)] = weights
    return found
