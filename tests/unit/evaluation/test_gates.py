"""Gates judge by interval bounds; a gate that cannot judge stops like one that failed."""

import re
from pathlib import Path

import pytest

from fraud_ml.artifacts import Outcome, Severity
from fraud_ml.evaluation import gates
from fraud_ml.evaluation.bootstrap import Interval
from fraud_ml.evaluation.gates import GATES, average_precision_floor, judge_gates, not_worse_than_champion
from fraud_ml.evaluation.judging import Evaluation, Rival, RivalState
from fraud_ml.params import EvaluationParams

PARAMS = EvaluationParams(bootstrap_rounds=50, confidence=0.95, min_lift_over_prevalence=1.5, max_loss_to_champion=0.02)


def evaluation(
    *, low: float = 0.12, prevalence: float = 0.05, rival: Rival | None = None, difference: Interval | None = None
) -> Evaluation:
    figures = {"average_precision": Interval(0.16, low, 0.2)}
    return Evaluation(figures, prevalence, rival or Rival(RivalState.NONE), None, difference)


@pytest.mark.parametrize(
    ("low", "outcome"), [(0.0751, Outcome.PASSED), (0.0750000001, Outcome.PASSED), (0.0749, Outcome.FAILED)]
)
def test_the_floor_is_met_by_the_lower_bound_not_by_the_figure_itself(low: float, outcome: Outcome) -> None:
    assert average_precision_floor.judge(evaluation(low=low), PARAMS).outcome is outcome


def test_the_floor_rises_with_the_share_of_fraud() -> None:
    assert average_precision_floor.judge(evaluation(low=0.12, prevalence=0.09), PARAMS).outcome is Outcome.FAILED


@pytest.mark.parametrize("low", [-0.02, 0.0, 0.1])
def test_a_loss_within_the_limit_passes(low: float) -> None:
    scored = evaluation(rival=Rival(RivalState.SCORED), difference=Interval(0.01, low, 0.2))
    assert not_worse_than_champion.judge(scored, PARAMS).outcome is Outcome.PASSED


def test_a_lower_bound_beyond_the_limit_fails_even_where_the_figure_is_better() -> None:
    scored = evaluation(rival=Rival(RivalState.SCORED), difference=Interval(0.01, -0.021, 0.2))
    found = not_worse_than_champion.judge(scored, PARAMS)
    assert found.outcome is Outcome.FAILED
    assert found.stops
    assert "+0.0100 [-0.0210" in found.arrived


@pytest.mark.parametrize(
    ("state", "said"), [(RivalState.NONE, "there is no champion"), (RivalState.SAME, "the champion is this very model")]
)
def test_where_nobody_is_to_be_beaten_the_gate_passes_and_says_so(state: RivalState, said: str) -> None:
    found = not_worse_than_champion.judge(evaluation(rival=Rival(state)), PARAMS)
    assert found.outcome is Outcome.PASSED
    assert said in found.arrived


def test_a_champion_that_could_not_be_scored_leaves_the_gate_undecided_which_stops() -> None:
    unknown = evaluation(rival=Rival(RivalState.UNKNOWN, reason="Tampered: its bytes differ"))
    found = not_worse_than_champion.judge(unknown, PARAMS)
    assert found.outcome is Outcome.UNDECIDED
    assert found.stops
    assert "its bytes differ" in found.arrived


def test_every_gate_stands_in_its_own_file_and_has_its_row() -> None:
    files = {path.stem for path in Path(gates.__file__).parent.glob("*.py")} - {"__init__"}
    assert {gate.__module__.rsplit(".", 1)[1] for gate in GATES.values()} == files
    for code, finding in zip(GATES, judge_gates(evaluation(), PARAMS), strict=True):
        assert re.fullmatch(r"GATE\d{3}", code)
        assert finding.code == code
        assert finding.severity is Severity.STOP
