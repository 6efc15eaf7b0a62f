"""GATE005: the candidate is good in every month, not only on the whole.

ROC AUC is compared, because it does not move with a month's fraud share, which the recording of labels changes.
"""

import numpy as np

from fraud_ml.artifacts import Finding, Outcome, Severity
from fraud_ml.evaluation.bootstrap import Interval, Resampling, measure
from fraud_ml.evaluation.judging import Evaluation
from fraud_ml.evaluation.metrics import METRICS, Scored
from fraud_ml.params import EvaluationParams

CODE = "GATE005"


def judge(evaluation: Evaluation, params: EvaluationParams) -> Finding:
    """Fail when a month's ROC AUC lies clearly below the window's by more than `max_loss`.

    Months with fewer than `min_frauds` confirmed frauds are not compared; where the others hold less than
    `min_share_of_frauds` of all frauds, or are fewer than two, nothing can be said about months. The confidence is
    shared among the months (Bonferroni), so that the noise of twelve is not taken for one bad month.
    """
    limits = params.stability
    months = compared_months(evaluation, params)
    frauds = float(evaluation.scored.labels.sum())
    covered = sum(count for _, count, _ in months) / frauds
    whole = evaluation.figures["roc_auc"]
    outcome, arrived = Outcome.UNDECIDED, f"{len(months)} months with enough frauds, {covered:.0%} of all frauds"
    if whole is not None and len(months) >= 2 and covered >= limits.min_share_of_frauds:
        floor = whole.value - limits.max_loss
        fallen = [month for month, _, found in months if found.high < floor]
        outcome = Outcome.FAILED if fallen else Outcome.PASSED
        lowest = min(months, key=lambda month: month[2].value)
        arrived += f"; lowest {lowest[2]} in {lowest[0]}"
        arrived += f"; clearly below: {', '.join(fallen)}" if fallen else ""
        expected = f"no month clearly below {floor:.4f} (the window's {whole.value:.4f} less {limits.max_loss:g})"
    else:
        expected = f"at least two months with {limits.min_frauds} frauds, {limits.min_share_of_frauds:.0%} of all"
    return Finding(
        code=CODE,
        title="the ranking is as good in each month as on the whole",
        severity=Severity.STOP,
        outcome=outcome,
        expected=expected,
        arrived=arrived,
        next_step="look at the score by month; a feed or the recording of labels may have changed",
    )


def compared_months(evaluation: Evaluation, params: EvaluationParams) -> list[tuple[str, int, Interval]]:
    """Return (month, confirmed frauds, ROC AUC) of each month that has enough of both kinds of claims."""
    scored, months = evaluation.scored, evaluation.circumstances.months
    least = params.stability.min_frauds
    inside = {month: months == month for month in sorted(set(months))}
    large = {
        month: rows
        for month, rows in inside.items()
        if scored.labels[rows].sum() >= least and (1 - scored.labels[rows]).sum() >= least
    }
    confidence = 1 - (1 - evaluation.resampling.confidence) / max(1, len(large))
    found = []
    for month, rows in large.items():
        groups = evaluation.resampling.groups
        drawn = Resampling(
            evaluation.resampling.rounds, confidence, None if groups is None else np.asarray(groups)[rows]
        )
        one = Scored.of(scored.labels[rows], scored.probabilities[rows])
        interval = measure(one, drawn, {"roc_auc": METRICS["roc_auc"]})["roc_auc"]
        if interval is not None:
            found.append((month, int(one.labels.sum()), interval))
    return found
