"""Each figure equals scikit-learn's where it has one, with any ties and weights, and does not exist without fraud."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from fraud_ml.errors import BadInput, Undefined
from fraud_ml.evaluation import metrics
from fraud_ml.evaluation.metrics import METRICS, Draws, Scored, figures, metrics_at

CLAIMS = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3)), min_size=0, max_size=40)
THRESHOLDS = st.integers(0, 8).map(lambda sevenths: sevenths / 7)


def scored(claims: list[tuple[bool, int, int]]) -> tuple[Scored, np.ndarray]:
    """One fraud and one honest claim are always there; probabilities are sevenths, so most of them tie."""
    labels, sevenths, weights = zip((True, 3, 1), (False, 4, 1), *claims, strict=True)
    return Scored.of(labels, np.array(sevenths) / 7), np.array([weights], float)


THEIRS = {
    "average_precision": sk.average_precision_score,
    "roc_auc": sk.roc_auc_score,
    "brier": sk.brier_score_loss,
    "log_loss": sk.log_loss,
}


@pytest.mark.parametrize("name", list(THEIRS))
@given(claims=CLAIMS)
def test_a_figure_is_scikit_learns(name: str, claims: list[tuple[bool, int, int]]) -> None:
    ours, weights = scored(claims)
    for given_weights in (np.ones_like(weights), weights):
        expected = THEIRS[name](ours.labels, ours.probabilities, sample_weight=given_weights[0])
        assert METRICS[name](Draws(ours, given_weights))[0] == pytest.approx(expected, abs=1e-9)


@given(CLAIMS, THRESHOLDS)
def test_figures_at_a_threshold_are_scikit_learns(claims: list[tuple[bool, int, int]], threshold: float) -> None:
    ours, weights = scored(claims)
    flagged = ours.probabilities >= threshold
    found = {name: metric(Draws(ours, weights))[0] for name, metric in metrics_at(threshold).items()}
    told = {"sample_weight": weights[0], "zero_division": np.nan}
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(ours.labels, flagged, sample_weight=weights[0]))
    assert found["precision"] == pytest.approx(sk.precision_score(ours.labels, flagged, **told), nan_ok=True)
    assert found["recall"] == pytest.approx(sk.recall_score(ours.labels, flagged, **told), nan_ok=True)
    others = sk.recall_score(1 - ours.labels, ~flagged, **told)
    assert found["false_positive_rate"] == pytest.approx(1 - others, nan_ok=True)


@given(CLAIMS)
def test_recall_at_fpr_is_the_best_point_of_the_roc_curve_within_the_limit(claims: list[tuple[bool, int, int]]) -> None:
    ours, _ = scored(claims)
    fpr, tpr, _ = sk.roc_curve(ours.labels, ours.probabilities, drop_intermediate=False)
    for limit in (0.05, 0.3):
        found = metrics.recall_at_fpr(Draws.once(ours), max_fpr=limit)[0]
        assert found == pytest.approx(tpr[fpr <= limit + 1e-12].max())


@given(CLAIMS)
def test_a_weight_of_two_is_the_claim_twice(claims: list[tuple[bool, int, int]]) -> None:
    ours, weights = scored(claims)
    counts = weights[0].astype(int)
    repeated = Scored.of(np.repeat(ours.labels, counts), np.repeat(ours.probabilities, counts))
    for name, metric in {**METRICS, **metrics_at(0.5)}.items():
        if name != "ece":  # its bins are cut on the window itself
            twice = metric(Draws.once(repeated))[0]
            assert metric(Draws(ours, weights))[0] == pytest.approx(twice, nan_ok=True), name


def test_precision_at_the_top_counts_the_riskiest_hundredth() -> None:
    probabilities = np.linspace(1, 0, 400)
    labels = np.zeros(400)
    labels[[0, 2, 50]] = 1
    draws = Draws.once(Scored.of(labels, probabilities))
    assert metrics.precision_at_top(draws)[0] == pytest.approx(2 / 4)
    assert metrics.precision_at(draws, claims=51)[0] == pytest.approx(3 / 51)


def test_precision_at_more_claims_than_there_are_is_the_share_of_fraud() -> None:
    draws = Draws.once(Scored.of([1, 0, 0, 0], [0.4, 0.3, 0.2, 0.1]))
    assert metrics.precision_at(draws, claims=9)[0] == pytest.approx(0.25)


def test_a_tie_at_the_top_counts_by_its_mean_so_that_row_order_does_not_matter() -> None:
    labels = np.r_[np.ones(10), np.zeros(90)]
    for order in (np.arange(100), np.arange(100)[::-1]):
        tied = Scored.of(labels[order], np.full(100, 0.5))
        assert metrics.precision_at_top(Draws.once(tied))[0] == pytest.approx(0.1)


def test_perfect_probabilities_have_no_calibration_error_and_shifted_ones_their_shift() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.uniform(0.05, 0.5, 200_000)
    labels = (rng.random(200_000) < probabilities).astype(int)
    right, shifted = (figures(Scored.of(labels, probabilities + by)) for by in (0, 0.2))
    assert right["ece"] < 0.005
    assert right["expected_over_confirmed"] == pytest.approx(1, abs=0.01)
    assert shifted["ece"] == pytest.approx(0.2, abs=0.005)
    assert shifted["expected_over_confirmed"] == pytest.approx(0.475 / 0.275, abs=0.02)


def test_equal_probabilities_share_one_bin() -> None:
    tied = Scored.of([1, 0, 0, 0], [0.25] * 4)
    assert len(set(tied.bins)) == 1
    assert figures(tied)["ece"] == pytest.approx(0)


@pytest.mark.parametrize("labels", [[0, 0], [1, 1]])
def test_no_figure_exists_where_one_class_is_absent(labels: list[int]) -> None:
    with pytest.raises(Undefined):
        Scored.of(labels, [0.1, 0.2])


def test_a_round_that_drew_no_fraud_has_no_figure_of_frauds_and_it_is_not_zero() -> None:
    ours = Scored.of([1, 0, 0], [0.9, 0.5, 0.1])
    draws = Draws(ours, np.array([[0.0, 2, 1], [1, 1, 1]]))
    for name in ("average_precision", "roc_auc", "recall_at_5pct_fpr", "expected_over_confirmed"):
        found = METRICS[name](draws)
        assert np.isnan(found[0]), name
        assert found[1] > 0, name


def test_precision_is_undefined_where_nothing_is_flagged() -> None:
    found = figures(Scored.of([1, 0], [0.4, 0.3]), metrics_at(0.5))
    assert found["precision"] is None
    assert found["recall"] == 0


@pytest.mark.parametrize("answer", [np.nan, np.inf, -0.1, 1.1])
def test_an_answer_that_is_no_probability_is_refused_with_its_count(answer: float) -> None:
    with pytest.raises(BadInput, match="no probability for 1 of 3 claims"):
        Scored.of([1, 0, 0], [0.1, answer, 0.3])
