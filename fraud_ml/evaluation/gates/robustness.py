"""GATE007: what is missing, unseen or extreme in one column neither breaks the candidate nor blows its scores up."""

from collections.abc import Sequence

from fraud_ml.artifacts import Finding, Outcome, Severity
from fraud_ml.evaluation.disturbing import EVERYTHING, Disturbance
from fraud_ml.evaluation.judging import Evaluation
from fraud_ml.params import EvaluationParams

CODE = "GATE007"


def judge(evaluation: Evaluation, params: EvaluationParams) -> Finding:
    """Pass when each disturbed claim gets a probability, and no column shifts them by more than `max_shift` on average.

    Where all columns are missing at once, only a probability is asked for. Nothing tried is undecided.
    """
    outcome, arrived = _outcome(evaluation.disturbances, params.robustness.max_shift)
    return Finding(
        code=CODE,
        title="missing, unseen and extreme values leave the scores whole",
        severity=Severity.STOP,
        outcome=outcome,
        expected=f"a probability for each claim, and a mean change ≤ {params.robustness.max_shift:g} by one column",
        arrived=arrived,
        next_step="see how the family reads such values (fraud_ml/models/inputs.py), and train again",
    )


def _outcome(tried: Sequence[Disturbance], most: float) -> tuple[Outcome, str]:
    if not tried:
        return Outcome.UNDECIDED, "nothing was tried"
    broken = [one for one in tried if one.broken]
    if broken:
        named = ", ".join(f"{one.column} {one.kind}" for one in broken[:3])
        return Outcome.FAILED, f"{len(broken)} of {len(tried)} disturbances give no probability: {named}"
    far = max((one for one in tried if one.column != EVERYTHING), key=lambda one: one.shift, default=tried[0])
    text = f"{len(tried)} disturbances; farthest {far.shift:.3f} ({far.column} {far.kind})"
    return (Outcome.PASSED if far.shift <= most else Outcome.FAILED), text
