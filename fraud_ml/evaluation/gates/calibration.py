"""GATE003: a probability of 10 % means about ten frauds in a hundred claims, and all of them together add up."""

from fraud_ml.artifacts import Finding, Severity
from fraud_ml.evaluation.deciding import at_least, at_most, told, worst
from fraud_ml.evaluation.judging import Evaluation
from fraud_ml.params import EvaluationParams

CODE = "GATE003"


def judge(evaluation: Evaluation, params: EvaluationParams) -> Finding:
    """Pass when the calibration error's upper bound keeps `max_error` and expected over confirmed frauds `max_ratio`.

    The error alone cannot judge where fraud is rare: a model that always says 0 errs by the fraud share, and no more.
    """
    error, ratio = evaluation.figures["ece"], evaluation.figures["expected_over_confirmed"]
    limits = params.calibration
    return Finding(
        code=CODE,
        title="probabilities mean what they say",
        severity=Severity.STOP,
        outcome=worst(
            at_most(error, limits.max_error), at_most(ratio, limits.max_ratio), at_least(ratio, 1 / limits.max_ratio)
        ),
        expected=f"calibration error ≤ {limits.max_error:g}; expected over confirmed frauds "
        f"from {1 / limits.max_ratio:.3g} to {limits.max_ratio:.3g}",
        arrived=f"{told(error)}; {told(ratio)}",
        next_step="look at the calibration plot; labels may be recorded otherwise than in the validation window",
    )
