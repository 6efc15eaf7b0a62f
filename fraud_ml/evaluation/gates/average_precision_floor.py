"""GATE001: the candidate puts frauds first clearly better than chance would."""

from fraud_ml.artifacts import Finding, Severity
from fraud_ml.evaluation.deciding import at_least, told
from fraud_ml.evaluation.judging import Evaluation
from fraud_ml.params import EvaluationParams

CODE = "GATE001"


def judge(evaluation: Evaluation, params: EvaluationParams) -> Finding:
    """Pass when average precision's lower bound reaches `min_lift_over_prevalence` times the window's fraud share.

    Ranking at random has an average precision of about the fraud share, whatever that share is.
    """
    reached = evaluation.figures["average_precision"]
    lift, share = params.min_lift_over_prevalence, evaluation.prevalence
    floor = lift * share
    return Finding(
        code=CODE,
        title="average precision on the test window is clearly above chance",
        severity=Severity.STOP,
        outcome=at_least(reached, floor),
        expected=f"lower bound ≥ {floor:.4f} ({lift:g} × fraud share {share:.4f})",
        arrived=told(reached),
        next_step="read the metrics; the test window may be too short, its labels thin, or the features too weak",
    )
