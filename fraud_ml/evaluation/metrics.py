"""The figures a model is judged by, each over many bootstrap rounds at once: a figure and its interval are one formula.

A figure that does not exist for these claims (precision where nothing is flagged) is NaN here and `None` for people:
never 0, which would be a figure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fraud_ml.errors import BadInput
from fraud_ml.models.ranking import Ranking

Weights = NDArray[np.float64]  # (rounds, n_claims); a row of ones is the window itself
Figure = NDArray[np.float64]  # (rounds,), NaN where it is undefined
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Scored:
    """Claims with labels (n_claims,) of {0, 1} and probabilities (n_claims,) in [0, 1]."""

    labels: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    ranking: Ranking

    @classmethod
    def of(cls, labels: ArrayLike, probabilities: ArrayLike) -> "Scored":
        """Raises Undefined when one of the classes is absent, BadInput when a score is no probability."""
        given = np.asarray(probabilities, dtype=np.float64)
        wrong = int(np.count_nonzero(~((given >= 0) & (given <= 1))))
        if wrong:
            raise BadInput(
                f"the model's answer is no probability for {wrong:,} of {given.size:,} claims",
                expected="numbers from 0 to 1",
                arrived=f"{int(np.isnan(given).sum()):,} not a number, the others outside",
                next_step="look at the features with extreme or missing values, and train again",
            )
        ranking = Ranking.of(labels, given)
        return cls(ranking.labels, given, ranking)

    @cached_property
    def bins(self) -> NDArray[np.intp]:
        """(n_claims,) of CALIBRATION_BINS groups by rising probability, of equal size unless ties stay together."""
        edges = np.quantile(self.probabilities, np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1])
        return np.searchsorted(edges, self.probabilities, side="right")


@dataclass(frozen=True)
class Draws:
    """Rounds of a bootstrap of these claims: how often each of them was drawn."""

    scored: Scored
    weights: Weights

    @classmethod
    def once(cls, scored: Scored) -> "Draws":
        """The window itself: one round, each claim once."""
        return cls(scored, np.ones((1, len(scored.labels))))

    @cached_property
    def counts(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Frauds and honest claims down to each place of the ranking: two arrays (rounds, n_places)."""
        return self.scored.ranking.counts(self.weights)

    def total(self, values: ArrayLike) -> Figure:
        """Return the sum of `values` (n_claims,) over the drawn claims."""
        summed: Figure = self.weights @ np.asarray(values, dtype=np.float64)
        return summed


def share(part: Figure, whole: Figure) -> Figure:
    """Return part / whole, undefined where the whole is nothing."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


# --- how well frauds are put first ----------------------------------------------------------------------------------


def average_precision(draws: Draws) -> Figure:
    """As scikit-learn's average_precision_score: precision at each place times the recall gained there; ties share."""
    frauds, honest = draws.counts
    gained = np.diff(frauds, axis=1, prepend=0.0)
    precision = frauds / np.maximum(frauds + honest, 1e-300)
    return share((gained * precision).sum(axis=1), frauds[:, -1])


def roc_auc(draws: Draws) -> Figure:
    """As scikit-learn's roc_auc_score: a fraud outranks an honest claim; ties count half."""
    frauds, honest = draws.counts
    gained = np.diff(honest, axis=1, prepend=0.0)
    middle = frauds - np.diff(frauds, axis=1, prepend=0.0) / 2
    return share((gained * middle).sum(axis=1), frauds[:, -1] * honest[:, -1])


def recall_at_fpr(draws: Draws, *, max_fpr: float = 0.05) -> Figure:
    """Return the recall of the best threshold whose false-positive rate stays within `max_fpr`; ties share a threshold.

    Where even the first place holds more honest claims than that, nobody may be flagged, and recall is 0.
    Source: predictive-equality protocol of the Bank Account Fraud benchmark (2022).
    """
    frauds, honest = draws.counts
    allowed = honest <= max_fpr * honest[:, -1:] + 1e-9
    best = share(np.where(allowed, frauds, 0.0).max(axis=1), frauds[:, -1])
    return np.where(honest[:, -1] > 0, best, np.nan)


def precision_at(draws: Draws, *, claims: float | Figure) -> Figure:
    """Return the share of frauds in the riskiest `claims` (all, where there are fewer); a tie counts by its mean.

    claims: a number above 0, or (rounds,) of them.
    """
    frauds, honest = (np.pad(part, ((0, 0), (1, 0))) for part in draws.counts)
    flagged = frauds + honest
    wanted = np.minimum(np.broadcast_to(claims, len(flagged)), flagged[:, -1])
    place = np.clip((flagged < wanted[:, None]).sum(axis=1), 1, flagged.shape[1] - 1)
    rows = np.arange(len(flagged))
    below, above = (rows, place - 1), (rows, place)
    within = (wanted - flagged[below]) / np.maximum(flagged[above] - flagged[below], 1e-300)
    return share(frauds[below] + within * (frauds[above] - frauds[below]), wanted)


def precision_at_top(draws: Draws, *, share_of_claims: float = 0.01) -> Figure:
    """Return the share of frauds in the riskiest `share_of_claims`, at least one claim; a tie counts by its mean."""
    return precision_at(draws, claims=np.maximum(np.ceil(share_of_claims * draws.weights.sum(axis=1) - 1e-9), 1.0))


# --- how well probabilities mean what they say ----------------------------------------------------------------------


def brier(draws: Draws) -> Figure:
    """Return the mean squared distance of probability and label (scikit-learn's brier_score_loss)."""
    return _mean(draws, (draws.scored.probabilities - draws.scored.labels) ** 2)


def log_loss(draws: Draws) -> Figure:
    """As scikit-learn's log_loss, in nats; probabilities are kept a machine epsilon from 0 and 1."""
    epsilon = np.finfo(np.float64).eps
    probability = np.clip(draws.scored.probabilities, epsilon, 1 - epsilon)
    return _mean(draws, -np.log(np.where(draws.scored.labels == 1, probability, 1 - probability)))


def calibration_error(draws: Draws) -> Figure:
    """Return the expected calibration error: |share of frauds - mean probability|, averaged over the bins' claims.

    Bins hold equal numbers of claims. Source: Naeini, Cooper and Hauskrecht (2015); such bins: Nixon et al. (2019).
    """
    inside = draws.scored.bins[:, None] == np.arange(CALIBRATION_BINS)
    gaps = draws.weights @ (inside * (draws.scored.labels - draws.scored.probabilities)[:, None])
    return share(np.abs(gaps).sum(axis=1), draws.weights.sum(axis=1))


def calibration_in_the_large(draws: Draws) -> Figure:
    """Return expected frauds over confirmed frauds: 1 when the probabilities add up, above 1 when they say too much."""
    return share(draws.total(draws.scored.probabilities), draws.total(draws.scored.labels))


# --- what a threshold does ------------------------------------------------------------------------------------------


def accuracy_at(draws: Draws, *, threshold: float) -> Figure:
    """Return the share of claims that are flagged and fraud, or not flagged and honest (accuracy_score)."""
    return _mean(draws, _flagged(draws, threshold) == (draws.scored.labels == 1))


def precision_at_threshold(draws: Draws, *, threshold: float) -> Figure:
    """Return the share of frauds among the claims at or above `threshold` (precision_score); undefined without any."""
    flagged = _flagged(draws, threshold)
    return share(draws.total(flagged * draws.scored.labels), draws.total(flagged))


def recall_at_threshold(draws: Draws, *, threshold: float) -> Figure:
    """Return the share of the frauds that stand at or above `threshold` (recall_score)."""
    return share(draws.total(_flagged(draws, threshold) * draws.scored.labels), draws.total(draws.scored.labels))


def fpr_at_threshold(draws: Draws, *, threshold: float) -> Figure:
    """Return the share of the honest claims that stand at or above `threshold`: the people bothered without cause."""
    honest = 1 - draws.scored.labels
    return share(draws.total(_flagged(draws, threshold) * honest), draws.total(honest))


def _flagged(draws: Draws, threshold: float) -> NDArray[np.bool_]:
    return draws.scored.probabilities >= threshold


def _mean(draws: Draws, values: ArrayLike) -> Figure:
    return share(draws.total(values), draws.weights.sum(axis=1))


Metric = Callable[[Draws], Figure]

METRICS: Mapping[str, Metric] = {
    "average_precision": average_precision,
    "roc_auc": roc_auc,
    "recall_at_5pct_fpr": recall_at_fpr,
    "precision_at_1pct": precision_at_top,
    "brier": brier,
    "log_loss": log_loss,
    "ece": calibration_error,
    "expected_over_confirmed": calibration_in_the_large,
}


def metrics_at(threshold: float) -> Mapping[str, Metric]:
    """Return the figures of flagging every claim at or above `threshold`."""
    return {
        "accuracy": partial(accuracy_at, threshold=threshold),
        "precision": partial(precision_at_threshold, threshold=threshold),
        "recall": partial(recall_at_threshold, threshold=threshold),
        "false_positive_rate": partial(fpr_at_threshold, threshold=threshold),
    }


def figures(scored: Scored, metrics: Mapping[str, Metric] = METRICS) -> dict[str, float | None]:
    """Return every figure of these claims, without intervals; None where it is undefined."""
    once = Draws.once(scored)
    found = {name: float(metric(once)[0]) for name, metric in metrics.items()}
    return {name: None if np.isnan(value) else value for name, value in found.items()}
