"""Average precision equals scikit-learn's, ties and weights included, and does not exist without fraud."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from fraud_ml.errors import Undefined
from fraud_ml.models.ranking import Ranking, average_precision

PLACES = st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3)), min_size=2, max_size=40)


@given(PLACES)
def test_average_precision_is_scikit_learns_with_ties_and_weights(claims: list[tuple[bool, int, int]]) -> None:
    labels = np.array([1, 0, *(c[0] for c in claims)])
    scores = np.array([3, 3, *(c[1] for c in claims)]) / 5
    weights = np.array([1, 1, *(c[2] for c in claims)], float)
    assert average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores))
    weighted = Ranking.of(labels, scores).average_precision(weights[None])[0]
    assert weighted == pytest.approx(average_precision_score(labels, scores, sample_weight=weights))


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1]])
def test_one_class_alone_is_undefined(labels: list[int]) -> None:
    with pytest.raises(Undefined):
        average_precision(labels, [0.1, 0.2, 0.3])


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        average_precision([0, 1], [0.1, float("nan")])
