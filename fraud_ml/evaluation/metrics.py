"""The figures a model is judged by. Each takes bootstrap weights, so that a figure and its interval are one formula."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fraud_ml.models.ranking import Ranking

Weights = NDArray[np.float64]  # (rounds, n_claims); a row of ones is the window itself
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Scored:
    """Claims with labels (n_claims,) of {0, 1} and probabilities (n_claims,) in [0, 1]."""

    labels: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    ranking: Ranking

    @classmethod
    def of(cls, labels: ArrayLike, probabilities: ArrayLike) -> "Scored":
        """Raises Undefined when one of the classes is absent: no figure below would mean anything."""
        ranking = Ranking.of(labels, probabilities)
        return cls(ranking.labels, np.asarray(probabilities, dtype=np.float64), ranking)

    @cached_property
    def bins(self) -> NDArray[np.intp]:
        """(n_claims,) of CALIBRATION_BINS groups by rising probability, of equal size unless ties stay together."""
        edges = np.quantile(self.probabilities, np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1])
        return np.searchsorted(edges, self.probabilities, side="right")


def average_precision(scored: Scored, weights: Weights) -> NDArray[np.float64]:
    """As scikit-learn's average_precision_score."""
    return scored.ranking.average_precision(weights)


def roc_auc(scored: Scored, weights: Weights) -> NDArray[np.float64]:
    """As scikit-learn's roc_auc_score: a fraud outranks an honest claim; ties count half."""
    frauds, honest = scored.ranking.counts(weights)
    gained = np.diff(honest, axis=1, prepend=0.0)
    middle = frauds - np.diff(frauds, axis=1, prepend=0.0) / 2
    area: NDArray[np.float64] = (gained * middle).sum(axis=1) / (frauds[:, -1] * honest[:, -1])
    return area


def recall_at_fpr(scored: Scored, weights: Weights, *, max_fpr: float = 0.05) -> NDArray[np.float64]:
    """Return the recall of the best threshold whose false-positive rate stays within `max_fpr`; ties share a threshold.

    Source: predictive-equality protocol of the Bank Account Fraud benchmark (2022).
    """
    frauds, honest = scored.ranking.counts(weights)
    allowed = honest <= max_fpr * honest[:, -1:] + 1e-9
    best: NDArray[np.float64] = np.where(allowed, frauds, 0.0).max(axis=1) / frauds[:, -1]
    return best


def precision_at_top(scored: Scored, weights: Weights, *, share: float = 0.01) -> NDArray[np.float64]:
    """Return the share of frauds in the riskiest `share` of claims, at least one; ties at the edge are averaged."""
    frauds, honest = (np.pad(part, ((0, 0), (1, 0))) for part in scored.ranking.counts(weights))
    flagged = frauds + honest
    wanted = np.maximum(np.ceil(share * flagged[:, -1] - 1e-9), 1.0)
    place = (flagged < wanted[:, None]).sum(axis=1)
    rows = np.arange(len(flagged))
    below, above = (rows, place - 1), (rows, place)
    within = (wanted - flagged[below]) / (flagged[above] - flagged[below])
    found: NDArray[np.float64] = (frauds[below] + within * (frauds[above] - frauds[below])) / wanted
    return found


def brier(scored: Scored, weights: Weights) -> NDArray[np.float64]:
    """Return the mean squared distance of probability and label (scikit-learn's brier_score_loss)."""
    return _mean((scored.probabilities - scored.labels) ** 2, weights)


def log_loss(scored: Scored, weights: Weights) -> NDArray[np.float64]:
    """As scikit-learn's log_loss, in nats; probabilities are kept a machine epsilon from 0 and 1."""
    epsilon = np.finfo(np.float64).eps
    probability = np.clip(scored.probabilities, epsilon, 1 - epsilon)
    return _mean(-np.log(np.where(scored.labels == 1, probability, 1 - probability)), weights)


def calibration_error(scored: Scored, weights: Weights) -> NDArray[np.float64]:
    """Return the expected calibration error: |share of frauds - mean probability|, averaged over the bins' claims."""
    gap = np.zeros(len(weights))
    for group in range(CALIBRATION_BINS):
        inside = scored.bins == group
        gap += np.abs(weights[:, inside] @ (scored.labels - scored.probabilities)[inside])
    error: NDArray[np.float64] = gap / weights.sum(axis=1)
    return error


def _mean(values: NDArray[np.float64], weights: Weights) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = weights @ values / weights.sum(axis=1)
    return mean


METRICS: Mapping[str, Callable[[Scored, Weights], NDArray[np.float64]]] = {
    "average_precision": average_precision,
    "roc_auc": roc_auc,
    "recall_at_5pct_fpr": recall_at_fpr,
    "precision_at_1pct": precision_at_top,
    "brier": brier,
    "log_loss": log_loss,
    "ece": calibration_error,
}
