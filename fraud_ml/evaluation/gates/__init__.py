"""The gates a candidate must pass, one row each. A new gate is a file beside this and a row here."""

from collections.abc import Callable, Sequence

from fraud_ml.artifacts import Finding
from fraud_ml.evaluation.gates import average_precision_floor, not_worse_than_champion
from fraud_ml.evaluation.judging import Evaluation
from fraud_ml.params import EvaluationParams

Gate = Callable[[Evaluation, EvaluationParams], Finding]

GATES: dict[str, Gate] = {
    "GATE001": average_precision_floor.judge,
    "GATE002": not_worse_than_champion.judge,
}


def judge_gates(evaluation: Evaluation, params: EvaluationParams) -> Sequence[Finding]:
    """Return one finding for each gate, in their order."""
    return [gate(evaluation, params) for gate in GATES.values()]
