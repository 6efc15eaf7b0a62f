"""How far a figure could lie elsewhere had other claims of the same window happened: seeded bootstrap intervals."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud_ml.evaluation.metrics import METRICS, Scored, Weights, average_precision

SEED = 0
CHUNK = 2_000_000  # weights held at a time


@dataclass(frozen=True)
class Interval:
    """A figure and its percentile interval."""

    value: float
    low: float
    high: float


def resample(labels: NDArray[np.float64], rounds: int) -> Iterator[Weights]:
    """Yield `rounds` rows of weights (some rounds, n_claims): how often each claim was drawn, with replacement.

    Frauds and honest claims are drawn apart: every round holds both, and the window's fraud share, which average
    precision moves with and the floor is a multiple of, stays what it is.
    """
    rng = np.random.default_rng(SEED)
    at_once = max(1, CHUNK // len(labels))
    classes = [np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)]
    for start in range(0, rounds, at_once):
        drawn = min(at_once, rounds - start)
        weights = np.zeros((drawn, len(labels)))
        for members in classes:
            picks = rng.integers(0, len(members), (drawn, len(members)))
            picks += np.arange(drawn)[:, None] * len(members)
            counts = np.bincount(picks.ravel(), minlength=drawn * len(members))
            weights[:, members] = counts.reshape(drawn, len(members))
        yield weights


def measure(scored: Scored, *, rounds: int, confidence: float) -> dict[str, Interval]:
    """Return every metric with its interval, all from the same rounds."""
    ones = np.ones((1, len(scored.labels)))
    drawn: dict[str, list[NDArray[np.float64]]] = {name: [] for name in METRICS}
    for weights in resample(scored.labels, rounds):
        for name, metric in METRICS.items():
            drawn[name].append(metric(scored, weights))
    return {
        name: _interval(float(metric(scored, ones)[0]), np.concatenate(drawn[name]), confidence)
        for name, metric in METRICS.items()
    }


def average_precision_difference(candidate: Scored, rival: Scored, *, rounds: int, confidence: float) -> Interval:
    """Return candidate minus rival, paired: both meet the same claims in every round. Claims must be in one order."""
    if not np.array_equal(candidate.labels, rival.labels):
        raise ValueError("candidate and rival must be scored on the same claims")

    def difference(weights: Weights) -> NDArray[np.float64]:
        return average_precision(candidate, weights) - average_precision(rival, weights)

    return _bootstrapped(difference, candidate.labels, rounds, confidence)


def _bootstrapped(
    figure: Callable[[Weights], NDArray[np.float64]], labels: NDArray[np.float64], rounds: int, confidence: float
) -> Interval:
    drawn = np.concatenate([figure(weights) for weights in resample(labels, rounds)])
    return _interval(float(figure(np.ones((1, len(labels))))[0]), drawn, confidence)


def _interval(value: float, drawn: NDArray[np.float64], confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(value, float(low), float(high))
