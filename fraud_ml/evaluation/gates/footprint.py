"""GATE008: the candidate is small and quick enough to be served."""

from fraud_ml.artifacts import Finding, Outcome, Severity
from fraud_ml.evaluation.judging import Evaluation
from fraud_ml.params import EvaluationParams

CODE = "GATE008"


def judge(evaluation: Evaluation, params: EvaluationParams) -> Finding:
    """Pass when the exported files keep `max_size_mib` and a single claim `max_latency_ms`.

    Times differ from run to run, and equal runs must give equal verdicts: the text says only which limit was kept.
    """
    limits, found = params.footprint, evaluation.footprint
    is_small = found.size_bytes <= limits.max_size_mib * 2**20
    is_quick = found.latency_ms <= limits.max_latency_ms
    return Finding(
        code=CODE,
        title="the model is small and quick enough",
        severity=Severity.STOP,
        outcome=Outcome.PASSED if is_small and is_quick else Outcome.FAILED,
        expected=f"≤ {limits.max_size_mib:g} MiB, ≤ {limits.max_latency_ms:g} ms for one claim",
        arrived=f"size {'within' if is_small else 'beyond'}, latency {'within' if is_quick else 'beyond'} its limit",
        next_step="" if is_small and is_quick else "use fewer trees or members, or raise the limit in params.yaml",
    )
