"""GATE009: whoever has only the exported folder and public libraries gets the same answers."""

from fraud_ml.artifacts import Finding, Outcome, Severity
from fraud_ml.evaluation.clean_process import CleanAnswer
from fraud_ml.evaluation.judging import Evaluation
from fraud_ml.params import EvaluationParams, FootprintParams

CODE = "GATE009"


def judge(evaluation: Evaluation, params: EvaluationParams) -> Finding:
    """Pass when a process without this package answers the golden claims alike, within memory and processor time.

    No answer at all is undecided. Memory and time differ from run to run: only which limit was kept is told.
    """
    outcome, arrived = _outcome(evaluation.clean, params.footprint)
    limits = params.footprint
    return Finding(
        code=CODE,
        title="the exported model answers alike where this package is not",
        severity=Severity.STOP,
        outcome=outcome,
        expected=f"the same golden answers, ≤ {limits.max_memory_mib:g} MiB, ≤ {limits.max_start_cpu_s:g} CPU s",
        arrived=arrived,
        next_step=""
        if outcome is Outcome.PASSED
        else "see fraud_ml/evaluation/clean_process for how it is opened there",
    )


def _outcome(clean: CleanAnswer, limits: FootprintParams) -> tuple[Outcome, str]:
    if not clean.is_known:
        return Outcome.UNDECIDED, clean.problem
    if not clean.answers_alike:
        return Outcome.FAILED, f"{clean.claims} golden claims, answers {clean.farthest:.2g} apart"
    is_small, is_quick = clean.memory_mib <= limits.max_memory_mib, clean.cpu_s <= limits.max_start_cpu_s
    text = f"{clean.claims} golden claims alike"
    text += f"; memory {'within' if is_small else 'beyond'}, time {'within' if is_quick else 'beyond'} its limit"
    return (Outcome.PASSED if is_small and is_quick else Outcome.FAILED), text
