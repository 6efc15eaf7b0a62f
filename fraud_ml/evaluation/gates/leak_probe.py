"""GATE006: a model that sees nothing but the claims' names is useless. What names tell, somebody knew already."""

from fraud_ml.artifacts import Finding, Severity
from fraud_ml.evaluation.deciding import at_most, told
from fraud_ml.evaluation.judging import Evaluation
from fraud_ml.params import EvaluationParams

CODE = "GATE006"


def judge(evaluation: Evaluation, params: EvaluationParams) -> Finding:
    """Pass when the upper bound of that model's ROC AUC keeps `max_roc_auc`; 0.5 is chance."""
    return Finding(
        code=CODE,
        title="a model that sees only the claims' names is useless",
        severity=Severity.STOP,
        outcome=at_most(evaluation.by_name, params.leak.max_roc_auc),
        expected=f"upper bound of its ROC AUC on the test window ≤ {params.leak.max_roc_auc:g}",
        arrived=told(evaluation.by_name),
        next_step="see how the source numbers its claims: frauds seem to get names of their own, or labels follow them",
    )
