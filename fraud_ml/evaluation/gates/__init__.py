"""The gates a candidate must pass, one row each. A new gate is a file beside this and a row here.

A gate passes, fails, or is undecided: then it could not tell, mostly because these claims are too few. Undecided stops
as failed does, where the gate stops at all.
"""

from collections.abc import Callable, Sequence

from fraud_ml.artifacts import Finding
from fraud_ml.evaluation.gates import (
    average_precision_floor,
    calibration,
    clean_export,
    footprint,
    leak_probe,
    not_worse_than_champion,
    robustness,
    slices,
    stability,
)
from fraud_ml.evaluation.judging import Evaluation
from fraud_ml.params import EvaluationParams

Gate = Callable[[Evaluation, EvaluationParams], Finding]

GATES: dict[str, Gate] = {
    "GATE001": average_precision_floor.judge,
    "GATE002": not_worse_than_champion.judge,
    "GATE003": calibration.judge,
    "GATE004": slices.judge,
    "GATE005": stability.judge,
    "GATE006": leak_probe.judge,
    "GATE007": robustness.judge,
    "GATE008": footprint.judge,
    "GATE009": clean_export.judge,
}


def judge_gates(evaluation: Evaluation, params: EvaluationParams) -> Sequence[Finding]:
    """Return one finding for each gate, in their order."""
    return [gate(evaluation, params) for gate in GATES.values()]
