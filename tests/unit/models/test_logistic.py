"""The floor is plain ridge logistic regression: scikit-learn's finds the same."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from fraud_ml.models.additive import additive_logits, fit_additive


def claims(rows: int = 3000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    cells = np.stack([rng.integers(0, 3, rows), rng.integers(3, 8, rows)], axis=1).astype(np.int32)
    numbers = rng.normal(size=(rows, 2)).astype(np.float32)
    logits = np.array([0, 1, -1, 0, 0.5, 1, 2, -2])[cells].sum(axis=1) + numbers @ [0.7, -0.3] - 2
    return cells, numbers, (rng.random(rows) < 1 / (1 + np.exp(-logits))).astype(np.int8)


def test_scikit_learn_finds_the_same_model() -> None:
    cells, numbers, labels = claims()
    ours = additive_logits(fit_additive(cells, numbers, labels, 8, ridge=2.0), cells, numbers, 8)
    design = np.concatenate([np.eye(8)[cells].sum(axis=1), numbers], axis=1)
    theirs = LogisticRegression(C=1 / 2.0, tol=1e-10, max_iter=10_000).fit(design, labels).decision_function(design)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_claims_in_another_order_give_the_same_bits() -> None:
    cells, numbers, labels = claims()
    turned = np.random.default_rng(1).permutation(len(labels))
    np.testing.assert_array_equal(
        fit_additive(cells, numbers, labels, 8, ridge=1.0),
        fit_additive(cells[turned], numbers[turned], labels[turned], 8, ridge=1.0),
    )


def test_separable_claims_stay_finite() -> None:
    cells, numbers, _ = claims()
    assert np.abs(fit_additive(cells, numbers, (cells[:, 0] == 1).astype(np.int8), 8, ridge=1.0)).max() < 50
