"""GATE004: honest claimants are bothered alike, whoever they are.

The figure is predictive equality: where the threshold flags 5 % of all honest claims, the false-positive rate of the
group with the lowest over that of the group with the highest (Bank Account Fraud benchmark, 2022).

The default severity is `advice`, and the statistic is as strict as it is: on the public car claims of 1996 a tuned
XGBoost reaches .19 by age band, .49 by sex and .65 by marital status, a sound model by every other gate. Loosening the
limit until it passed would hide that; a business that decides what is fair sets `severity: stop` in params.yaml.
"""

from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraud_ml.artifacts import Finding, Outcome, Severity
from fraud_ml.evaluation.bootstrap import Interval, resample
from fraud_ml.evaluation.deciding import at_least, told, worst
from fraud_ml.evaluation.judging import Evaluation
from fraud_ml.params import EvaluationParams

CODE = "GATE004"
BOTHERED = 0.05  # of all honest claims


def judge(evaluation: Evaluation, params: EvaluationParams) -> Finding:
    """Pass when in every declared slice the ratio's lower bound reaches `min_fpr_ratio`.

    A slice with a group of fewer than `min_honest` honest claims is undecided, unless its larger groups already fail.
    """
    limit = params.slices.min_fpr_ratio
    outcomes, texts = [], []
    for column, groups in evaluation.circumstances.slices.items():
        outcome, text = _judge_slice(evaluation, groups, params)
        outcomes.append(outcome)
        texts.append(f"{column}: {text}")
    return Finding(
        code=CODE,
        title="honest claimants are bothered alike, whoever they are",
        severity=Severity(params.slices.severity),
        outcome=worst(*outcomes) if outcomes else Outcome.PASSED,
        expected=f"lowest over highest false-positive rate ≥ {limit:g} in each slice",
        arrived="; ".join(texts) or "the contract declares no slice",
        next_step="look at slices.json: who is bothered more, and by which features",
    )


def _judge_slice(evaluation: Evaluation, groups: NDArray, params: EvaluationParams) -> tuple[Outcome, str]:
    honest = evaluation.scored.labels == 0
    names, counts = np.unique(groups[honest].astype(str), return_counts=True)
    large = names[counts >= params.slices.min_honest]
    small = len(set(groups.astype(str))) - len(large)
    aside = f" ({small} of {small + len(large)} groups hold fewer than {params.slices.min_honest} honest claims)"
    if len(large) < 2:
        return Outcome.UNDECIDED, f"too few honest claims to compare{aside if small else ''}"
    ratio = lowest_over_highest(evaluation, groups, large)
    outcome = at_least(ratio, params.slices.min_fpr_ratio)
    if small and outcome is Outcome.PASSED:
        outcome = Outcome.UNDECIDED
    return outcome, f"{told(ratio)}, {outcome}{aside if small else ''}"


def threshold_bothering(evaluation: Evaluation, share: float = BOTHERED) -> float:
    """Return the lowest threshold at which at most `share` of the honest claims are flagged; ties share a place."""
    _, honest = (part[0] for part in evaluation.scored.ranking.counts())
    ranking = evaluation.scored.ranking
    allowed = np.flatnonzero(honest <= share * honest[-1] + 1e-9)
    if not len(allowed):
        return float("inf")
    return float(evaluation.scored.probabilities[ranking.order[ranking.last[allowed[-1]]]])


def lowest_over_highest(evaluation: Evaluation, groups: NDArray, names: NDArray) -> Interval | None:
    """Return the lowest over the highest false-positive rate of these groups; None where nobody is bothered.

    Of each pair of groups the ratio has an interval, at a confidence shared among the pairs (Bonferroni), so that the
    noise of many groups is not taken for a difference; the bounds are those of the pair that is farthest apart.
    """
    scored, resampling = evaluation.scored, evaluation.resampling
    honest = (scored.labels == 0).astype(np.float64)
    flagged = honest * (scored.probabilities >= threshold_bothering(evaluation))
    inside = groups.astype(str)[:, None] == names
    parts = [
        ((weights @ (inside * flagged[:, None])) / np.maximum(weights @ (inside * honest[:, None]), 1e-300))
        for weights in [np.ones((1, len(honest))), *resample(scored.labels, resampling)]
    ]
    value, drawn = parts[0][0], np.concatenate(parts[1:])
    if not value.any():
        return None
    pairs = len(names) * (len(names) - 1) / 2
    shared = resampling.at(1 - (1 - resampling.confidence) / pairs)
    intervals = []
    for one, other in permutations(range(len(names)), 2):
        ratios = _over(drawn[:, one], drawn[:, other])
        intervals.append(shared.interval(float(_over(value[[one]], value[[other]])[0]), ratios))
    known = [interval for interval in intervals if interval is not None]
    if not known:
        return None
    return Interval(
        min(interval.value for interval in known),
        min(interval.low for interval in known),
        min(1.0, *(interval.high for interval in known)),
    )


def _over(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return part / whole; nobody bothered on either side is alike, and nobody on the other only is beyond measure."""
    beyond = np.where(part > 0, 1e9, 1.0)
    return np.divide(part, whole, out=beyond, where=whole > 0)


def table_of(evaluation: Evaluation, params: EvaluationParams) -> dict[str, list[dict[str, Any]]]:
    """Return the figures of each group of each slice, where it is large enough to be no person's.

    A figure that does not exist is null. Smaller groups are named by their number alone.
    """
    scored, threshold = evaluation.scored, threshold_bothering(evaluation)
    flagged, honest, frauds = scored.probabilities >= threshold, scored.labels == 0, scored.labels == 1
    table: dict[str, list[dict[str, Any]]] = {}
    for column, groups in evaluation.circumstances.slices.items():
        table[column], small = [], 0
        for name in sorted(set(groups.astype(str))):
            inside = groups.astype(str) == name
            if (inside & honest).sum() < params.slices.min_honest:
                small += 1
                continue
            table[column].append(
                {
                    "group": name,
                    "claims": int(inside.sum()),
                    "frauds": int((inside & frauds).sum()),
                    "false_positive_rate": _rate(flagged, inside & honest),
                    "recall": _rate(flagged, inside & frauds),
                }
            )
        if small:
            table[column].append({"group": f"{small} smaller groups"})
    return table


def _rate(flagged: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
    return round(float(flagged[among].mean()), 6) if among.any() else None
