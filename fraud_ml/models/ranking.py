"""How well scores put frauds before honest claims, when claims with equal scores share one place."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fraud_ml.errors import Undefined


@dataclass(frozen=True)
class Ranking:
    """Claims by falling score. Figures take weights (rounds, n_claims), in the claims' own order, and give (rounds,).

    Bootstrap rounds are rows of weights, so a thousand of them cost one sort. Weights of one give the figure itself.
    """

    order: NDArray[np.intp]  # (n_claims,) positions of the claims, highest score first
    last: NDArray[np.intp]  # (n_places,) position within `order` of each place's last claim
    labels: NDArray[np.float64]  # (n_claims,) in the claims' own order

    @classmethod
    def of(cls, labels: ArrayLike, scores: ArrayLike) -> "Ranking":
        """labels: (n_claims,) of {0, 1}; scores: (n_claims,). Raises Undefined when one of the classes is absent."""
        truth, given = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
        if truth.ndim != 1 or truth.shape != given.shape:
            raise ValueError(f"labels {truth.shape} and scores {given.shape} must be of one length")
        if not np.isfinite(given).all():
            raise ValueError("scores must be finite")
        if not truth.any():
            raise Undefined("no confirmed fraud among these claims", arrived=f"{len(truth)} claims", next_step=_LONGER)
        if truth.all():
            raise Undefined("no honest claim among these claims", arrived=f"{len(truth)} frauds", next_step=_LONGER)
        order = np.argsort(-given, kind="stable")
        falls = np.diff(given[order]) != 0
        return cls(order, np.append(np.flatnonzero(falls), len(order) - 1), truth)

    def counts(self, weights: NDArray[np.float64] | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return frauds and honest claims down to each place: two arrays (rounds, n_places)."""
        weights = np.ones((1, len(self.order))) if weights is None else weights
        sorted_weights = weights[:, self.order]
        frauds = np.cumsum(sorted_weights * self.labels[self.order], axis=1)[:, self.last]
        return frauds, np.cumsum(sorted_weights, axis=1)[:, self.last] - frauds

    def average_precision(self, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return (rounds,) sum over places of precision times the recall gained there (as scikit-learn defines it)."""
        frauds, honest = self.counts(weights)
        gained = np.diff(frauds, axis=1, prepend=0.0)
        flagged = np.maximum(frauds + honest, 1e-300)
        total: NDArray[np.float64] = (gained * frauds / flagged).sum(axis=1) / frauds[:, -1]
        return total


_LONGER = "use a longer window, or one in which labels were recorded"


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the average precision of `scores`; ties share a place. Raises Undefined when one class is absent.

    >>> average_precision([0, 1, 1, 0], [0.1, 0.9, 0.4, 0.4])
    0.8333333333333333
    """
    return float(Ranking.of(labels, scores).average_precision()[0])
