"""How far a figure could lie elsewhere had other claimants of the same window made claims: seeded bootstrap intervals.

Claims of one claimant are not independent, so claimants are drawn, each with all of its claims (the cluster bootstrap
of Cameron, Gelbach and Miller, 2008). Where nobody says who claims, each claim is a claimant of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fraud_ml.evaluation.metrics import METRICS, Draws, Figure, Metric, Scored, Weights

SEED = 0
CHUNK = 1_000_000  # weights held at a time
DEFINED = 0.9  # an interval is given where the figure exists in at least this share of the rounds


@dataclass(frozen=True)
class Interval:
    """A figure and its percentile interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True)
class Resampling:
    """How claims are drawn again. groups: (n_claims,) who made each claim; None where each stands alone."""

    rounds: int
    confidence: float
    groups: ArrayLike | None = None

    @cached_property
    def clusters(self) -> NDArray[np.intp] | None:
        """(n_claims,) the number of each claim's claimant, from 0; None where each claim stands alone."""
        if self.groups is None:
            return None
        _, numbers = np.unique(np.asarray(self.groups), return_inverse=True)
        return None if len(numbers) == numbers.max(initial=-1) + 1 else numbers

    def at(self, confidence: float) -> "Resampling":
        """Return the same draws, read at another confidence."""
        return Resampling(self.rounds, confidence, self.groups)

    def interval(self, value: float, drawn: Figure) -> Interval | None:
        """Return the percentile interval of `drawn` (rounds,) around `value`; None where the figure is undefined."""
        known = drawn[~np.isnan(drawn)]
        if np.isnan(value) or len(known) < DEFINED * len(drawn):
            return None
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(known, [tail, 1 - tail])
        return Interval(float(value), float(low), float(high))


def resample(labels: NDArray[np.float64], resampling: Resampling) -> Iterator[Weights]:
    """Yield rows of weights (some rounds, n_claims): how often each claim was drawn, with replacement.

    Claimants with a confirmed fraud and those without are drawn apart: every round holds frauds, and where each claim
    stands alone the window's fraud share, which average precision moves with, stays exactly what it is.
    """
    rng = np.random.default_rng(SEED)
    clusters = resampling.clusters
    told = labels if clusters is None else (np.bincount(clusters, weights=labels) > 0).astype(np.float64)
    strata = [np.flatnonzero(told == 1), np.flatnonzero(told == 0)]
    at_once = max(1, CHUNK // len(labels))
    for start in range(0, resampling.rounds, at_once):
        drawn = min(at_once, resampling.rounds - start)
        weights = np.zeros((drawn, len(told)))
        for members in strata:
            picks = rng.integers(0, len(members), (drawn, len(members))) if len(members) else np.zeros((drawn, 0), int)
            picks += np.arange(drawn)[:, None] * len(members)
            counts = np.bincount(picks.ravel(), minlength=drawn * len(members))
            weights[:, members] = counts.reshape(drawn, len(members))
        yield weights if clusters is None else weights[:, clusters]


def measure(
    scored: Scored, resampling: Resampling, metrics: Mapping[str, Metric] = METRICS
) -> dict[str, Interval | None]:
    """Return every metric with its interval, all from the same rounds; None where it is undefined."""
    once = Draws.once(scored)
    drawn: dict[str, list[Figure]] = {name: [] for name in metrics}
    for weights in resample(scored.labels, resampling):
        draws = Draws(scored, weights)
        for name, metric in metrics.items():
            drawn[name].append(metric(draws))
    return {
        name: resampling.interval(float(metric(once)[0]), np.concatenate(drawn[name]))
        for name, metric in metrics.items()
    }


def paired_difference(name: str, candidate: Scored, rival: Scored, resampling: Resampling) -> Interval | None:
    """Return candidate minus rival in the metric of that name; both meet the same claims, in one order, in every round.

    None where the metric is undefined.
    """
    if not np.array_equal(candidate.labels, rival.labels):
        raise ValueError("candidate and rival must be scored on the same claims")
    metric = METRICS[name]

    def difference(weights: Weights) -> Figure:
        return metric(Draws(candidate, weights)) - metric(Draws(rival, weights))

    drawn = np.concatenate([difference(weights) for weights in resample(candidate.labels, resampling)])
    return resampling.interval(float(difference(np.ones((1, len(candidate.labels))))[0]), drawn)
