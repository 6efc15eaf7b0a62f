"""GATE002: the candidate is not clearly worse than the model that serves now."""

from fraud_ml.artifacts import Finding, Outcome, Severity
from fraud_ml.evaluation.deciding import at_least
from fraud_ml.evaluation.judging import Evaluation, RivalState
from fraud_ml.params import EvaluationParams

CODE = "GATE002"


def judge(evaluation: Evaluation, params: EvaluationParams) -> Finding:
    """Pass when the paired difference's lower bound stays within `max_loss_to_champion`, or nobody is to be beaten.

    The champion may have learned from claims of this test window, which only makes it harder to beat.
    A champion that could not be scored leaves the gate undecided, as too few claims do, and that stops.
    """
    outcome, arrived = _outcome(evaluation, -params.max_loss_to_champion)
    return Finding(
        code=CODE,
        title="average precision on the test window is not worse than the champion's",
        severity=Severity.STOP,
        outcome=outcome,
        expected=f"lower bound of the paired difference ≥ {-params.max_loss_to_champion:.4f}",
        arrived=arrived,
        next_step=""
        if outcome is Outcome.PASSED
        else "compare both on the report; pin the champion again if it could not be scored",
    )


def _outcome(evaluation: Evaluation, least: float) -> tuple[Outcome, str]:
    if evaluation.rival.state is RivalState.NONE:
        return Outcome.PASSED, "there is no champion"
    if evaluation.rival.state is RivalState.SAME:
        return Outcome.PASSED, "the champion is this very model"
    found = evaluation.difference
    if found is None:
        return Outcome.UNDECIDED, f"the champion could not be scored ({evaluation.rival.reason})"
    return at_least(found, least), f"{found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
