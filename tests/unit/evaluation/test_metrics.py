"""Each figure equals scikit-learn's where it has one, with any ties and weights, and does not exist without fraud."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from fraud_ml.errors import Undefined
from fraud_ml.evaluation import metrics
from fraud_ml.evaluation.metrics import METRICS, Scored

CLAIMS = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3)), min_size=0, max_size=40)


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
        assert METRICS[name](ours, given_weights)[0] == pytest.approx(expected, abs=1e-9)


@given(CLAIMS)
def test_recall_at_fpr_is_the_best_point_of_the_roc_curve_within_the_limit(claims: list[tuple[bool, int, int]]) -> None:
    ours, weights = scored(claims)
    fpr, tpr, _ = sk.roc_curve(ours.labels, ours.probabilities, drop_intermediate=False)
    for limit in (0.05, 0.3):
        found = metrics.recall_at_fpr(ours, np.ones_like(weights), max_fpr=limit)[0]
        assert found == pytest.approx(tpr[fpr <= limit + 1e-12].max())


@given(CLAIMS)
def test_a_weight_of_two_is_the_claim_twice(claims: list[tuple[bool, int, int]]) -> None:
    ours, weights = scored(claims)
    counts = weights[0].astype(int)
    repeated = Scored.of(np.repeat(ours.labels, counts), np.repeat(ours.probabilities, counts))
    ones = np.ones((1, counts.sum()))
    for name, metric in METRICS.items():
        if name != "ece":  # its bins are cut on the window itself
            assert metric(ours, weights)[0] == pytest.approx(metric(repeated, ones)[0]), name


def test_precision_at_the_top_counts_the_riskiest_hundredth() -> None:
    probabilities = np.linspace(1, 0, 400)
    labels = np.zeros(400)
    labels[[0, 2, 50]] = 1
    found = metrics.precision_at_top(Scored.of(labels, probabilities), np.ones((1, 400)))
    assert found[0] == pytest.approx(2 / 4)


def test_a_tie_at_the_top_counts_by_its_mean_so_that_row_order_does_not_matter() -> None:
    labels = np.r_[np.ones(10), np.zeros(90)]
    for order in (np.arange(100), np.arange(100)[::-1]):
        tied = Scored.of(labels[order], np.full(100, 0.5))
        assert metrics.precision_at_top(tied, np.ones((1, 100)))[0] == pytest.approx(0.1)


def test_perfect_probabilities_have_no_calibration_error_and_shifted_ones_their_shift() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.uniform(0.05, 0.5, 200_000)
    labels = (rng.random(200_000) < probabilities).astype(int)
    ones = np.ones((1, 200_000))
    assert metrics.calibration_error(Scored.of(labels, probabilities), ones)[0] < 0.005
    assert metrics.calibration_error(Scored.of(labels, probabilities + 0.2), ones)[0] == pytest.approx(0.2, abs=0.005)


def test_equal_probabilities_share_one_bin() -> None:
    tied = Scored.of([1, 0, 0, 0], [0.25] * 4)
    assert len(set(tied.bins)) == 1
    assert metrics.calibration_error(tied, np.ones((1, 4)))[0] == pytest.approx(0)


@pytest.mark.parametrize("labels", [[0, 0], [1, 1]])
def test_no_figure_exists_where_one_class_is_absent(labels: list[int]) -> None:
    with pytest.raises(Undefined):
        Scored.of(labels, [0.1, 0.2])
