"""Each gate stops a candidate that no other gate stops, passes a sound one, and is undecided where it cannot tell."""

import re
from pathlib import Path

import numpy as np
import pytest

from fraud_ml.artifacts import Finding, Outcome, Severity, Verdict
from fraud_ml.evaluation import gates
from fraud_ml.evaluation.bootstrap import Interval
from fraud_ml.evaluation.clean_process import CleanAnswer
from fraud_ml.evaluation.deciding import at_least, at_most
from fraud_ml.evaluation.gates import GATES, judge_gates
from fraud_ml.evaluation.gates.slices import lowest_over_highest, table_of
from fraud_ml.evaluation.judging import Evaluation, Footprint, Rival, RivalState
from fraud_ml.evaluation.metrics import Draws, Scored, recall_at_fpr
from tests.toy_evaluations import (
    beaten,
    blind_in_december,
    bothering_the_north,
    by_chance,
    disturbed,
    drawn,
    evaluation_of,
    gate_params,
    steady,
)

PARAMS = gate_params()
LABELS, PROBABILITIES = drawn()


def stopping(evaluation: Evaluation) -> list[str]:
    return [finding.code for finding in judge_gates(evaluation, PARAMS) if finding.stops]


def found(code: str, evaluation: Evaluation, **changed: object) -> Finding:
    return GATES[code](evaluation, gate_params(**changed))


SPOILT = {
    "GATE001": lambda: by_chance(LABELS),
    "GATE002": lambda: beaten(LABELS, PROBABILITIES),
    "GATE003": lambda: evaluation_of(LABELS, PROBABILITIES**0.5),  # the same ranking, saying far too much
    "GATE004": lambda: bothering_the_north(LABELS, PROBABILITIES),
    "GATE005": lambda: blind_in_december(LABELS, PROBABILITIES),
    "GATE006": lambda: evaluation_of(
        LABELS, PROBABILITIES, by_name=LABELS + np.random.default_rng(0).normal(size=len(LABELS))
    ),
    "GATE007": lambda: evaluation_of(
        LABELS,
        PROBABILITIES,
        disturbances=disturbed(lambda columns: np.where(np.isnan(columns["amount"]), np.nan, 0.1)),
    ),
    "GATE008": lambda: evaluation_of(LABELS, PROBABILITIES, footprint=Footprint(2**30, 3.0)),
    "GATE009": lambda: evaluation_of(LABELS, PROBABILITIES, clean=CleanAnswer("", 100, 0.01, 700.0, 4.0)),
}


def test_a_sound_candidate_passes_every_gate() -> None:
    found = judge_gates(evaluation_of(LABELS, PROBABILITIES, disturbances=disturbed(steady)), PARAMS)
    assert [finding.outcome for finding in found] == [Outcome.PASSED] * len(GATES)
    assert Verdict.of("candidate", "0" * 64, found, rows=len(LABELS)).is_accepted


@pytest.mark.parametrize("code", list(SPOILT))
def test_this_gate_and_only_this_one_stops(code: str) -> None:
    spoilt = SPOILT[code]()
    assert stopping(spoilt) == [code]
    assert found(code, spoilt).outcome is Outcome.FAILED


def few(code: str) -> Evaluation:
    """The same as a sound candidate on a window of 120 claims, of which the figure's interval holds the limit."""
    labels, probabilities = drawn(120, seed=3)
    rng = np.random.default_rng(0)
    match code:
        case "GATE001":
            return evaluation_of(labels, np.clip(probabilities + rng.normal(0, 0.2, 120), 0, 1))
        case "GATE002":
            close = np.clip(probabilities + rng.normal(0, 0.05, 120), 0, 1)
            return evaluation_of(labels, close, rival=Rival(RivalState.SCORED, probabilities))
        case "GATE006":
            return evaluation_of(labels, probabilities, by_name=0.8 * labels + rng.normal(size=120))
        case "GATE007":
            return evaluation_of(labels, probabilities, disturbances=[])
    return evaluation_of(labels, probabilities)


@pytest.mark.parametrize("code", ["GATE001", "GATE002", "GATE003", "GATE004", "GATE005", "GATE006", "GATE007"])
def test_where_claims_are_few_the_gate_is_undecided_which_stops(code: str) -> None:
    finding = found(code, few(code))
    assert finding.outcome is Outcome.UNDECIDED
    assert finding.stops


def test_every_gate_stands_in_its_own_file_and_has_its_row() -> None:
    files = {path.stem for path in Path(gates.__file__).parent.glob("*.py")} - {"__init__"}
    assert {gate.__module__.rsplit(".", 1)[1] for gate in GATES.values()} == files
    assert set(SPOILT) == set(GATES)
    for code, finding in zip(GATES, judge_gates(evaluation_of(LABELS, PROBABILITIES), PARAMS), strict=True):
        assert re.fullmatch(r"GATE\d{3}", code)
        assert finding.code == code
        assert finding.severity is Severity.STOP


# --- intervals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "reaches", "keeps"),
    [
        (0.5, 0.6, Outcome.PASSED, Outcome.UNDECIDED),
        (0.6, 0.7, Outcome.PASSED, Outcome.FAILED),
        (0.3, 0.49, Outcome.FAILED, Outcome.PASSED),
        (0.3, 0.5, Outcome.UNDECIDED, Outcome.PASSED),
    ],
)
def test_an_interval_passes_whole_fails_whole_or_cannot_tell(
    low: float, high: float, reaches: Outcome, keeps: Outcome
) -> None:
    interval = Interval((low + high) / 2, low, high)
    assert at_least(interval, 0.5) is reaches
    assert at_most(interval, 0.5) is keeps


def test_a_figure_that_does_not_exist_decides_nothing() -> None:
    assert at_least(None, 0.0) is at_most(None, 1.0) is Outcome.UNDECIDED


# --- single gates ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "said"), [(RivalState.NONE, "there is no champion"), (RivalState.SAME, "the champion is this very model")]
)
def test_where_nobody_is_to_be_beaten_the_gate_passes_and_says_so(state: RivalState, said: str) -> None:
    finding = found("GATE002", evaluation_of(LABELS, PROBABILITIES, rival=Rival(state), rounds=20))
    assert finding.outcome is Outcome.PASSED
    assert said in finding.arrived


def test_a_champion_that_could_not_be_scored_leaves_the_gate_undecided_which_stops() -> None:
    unknown = Rival(RivalState.UNKNOWN, reason="Tampered: its bytes differ")
    finding = found("GATE002", evaluation_of(LABELS, PROBABILITIES, rival=unknown, rounds=20))
    assert finding.outcome is Outcome.UNDECIDED
    assert finding.stops
    assert "its bytes differ" in finding.arrived


def test_a_model_that_always_says_nothing_is_not_calibrated_where_fraud_is_rare() -> None:
    silent = evaluation_of(LABELS, PROBABILITIES / 100, rounds=50)
    assert found("GATE003", silent, calibration=PARAMS.calibration.model_copy(update={"max_error": 0.2})).stops


def test_a_slice_with_a_group_too_small_to_compare_is_undecided_although_the_others_are_alike() -> None:
    garages = np.random.default_rng(5).choice(np.array(["north", "south"], dtype=object), len(LABELS))
    garages[:30] = "east"
    finding = found("GATE004", evaluation_of(LABELS, PROBABILITIES, slices={"garage": garages}))
    assert finding.outcome is Outcome.UNDECIDED
    assert "1 of 3 groups" in finding.arrived


def test_as_advice_the_slices_stop_nobody_whatever_they_found() -> None:
    advice = PARAMS.slices.model_copy(update={"severity": "advice"})
    for evaluation in (bothering_the_north(LABELS, PROBABILITIES), evaluation_of(*drawn(120, seed=3), rounds=20)):
        finding = found("GATE004", evaluation, slices=advice)
        assert finding.outcome is not Outcome.PASSED
        assert not finding.stops


def test_many_alike_groups_are_not_taken_for_unequal_ones() -> None:
    """The lowest of eight equal rates is far below the highest, by chance alone."""
    rng = np.random.default_rng(6)
    failed = 0
    for seed in range(20):
        labels, probabilities = drawn(4000, seed=seed)
        groups = rng.choice(np.array(list("abcdefgh"), dtype=object), 4000)
        evaluation = evaluation_of(labels, probabilities, rounds=100, slices={"g": groups})
        interval = lowest_over_highest(evaluation, groups, np.array(list("abcdefgh")))
        assert interval is not None
        assert interval.value < 0.8
        failed += interval.high < 0.8
    assert failed <= 2


def test_slices_are_compared_where_five_percent_of_the_honest_are_flagged() -> None:
    evaluation = evaluation_of(LABELS, PROBABILITIES, rounds=20)
    threshold = gates.slices.threshold_bothering(evaluation)
    honest = LABELS == 0
    assert (PROBABILITIES[honest] >= threshold).mean() == pytest.approx(0.05, abs=0.001)
    recall = (PROBABILITIES[~honest] >= threshold).mean()
    assert recall == pytest.approx(recall_at_fpr(Draws.once(Scored.of(LABELS, PROBABILITIES)))[0])


def test_the_table_of_slices_names_no_group_that_is_small() -> None:
    garages = np.full(len(LABELS), "north", dtype=object)
    garages[:3] = "the only one of his kind"
    [north, rest] = table_of(evaluation_of(LABELS, PROBABILITIES, slices={"garage": garages}, rounds=20), PARAMS)[
        "garage"
    ]
    assert (north["group"], rest) == ("north", {"group": "1 smaller groups"})
    assert north["false_positive_rate"] == pytest.approx(0.05, abs=0.001)


def test_one_noisy_month_among_twelve_is_no_instability() -> None:
    failed = [
        found("GATE005", evaluation_of(*drawn(3000, seed=seed), rounds=100)).outcome is Outcome.FAILED
        for seed in range(20)
    ]
    assert sum(failed) <= 1


@pytest.mark.parametrize(
    ("clean", "outcome"),
    [
        (CleanAnswer("it ended without an answer"), Outcome.UNDECIDED),
        (CleanAnswer("", 100, 1e-8, 1e6, 4.0), Outcome.FAILED),
        (CleanAnswer("", 100, 1e-8, 700.0, 1e6), Outcome.FAILED),
        (CleanAnswer("", 100, 1e-3, 700.0, 4.0), Outcome.FAILED),
    ],
)
def test_a_clean_process_must_answer_alike_within_memory_and_time(clean: CleanAnswer, outcome: Outcome) -> None:
    assert found("GATE009", evaluation_of(LABELS, PROBABILITIES, clean=clean, rounds=20)).outcome is outcome


@pytest.mark.parametrize("footprint", [Footprint(1, 1e6), Footprint(2**40, 1.0)])
def test_a_model_must_be_both_small_and_quick_and_no_measured_time_is_told(footprint: Footprint) -> None:
    slow, slower = (
        found("GATE008", evaluation_of(LABELS, PROBABILITIES, footprint=one, rounds=20))
        for one in (footprint, Footprint(2 * footprint.size_bytes, 2 * footprint.latency_ms))
    )
    assert slow.outcome is Outcome.FAILED
    assert (footprint.latency_ms < 2) == ("latency within" in slow.arrived)
    assert slower.outcome is Outcome.FAILED
