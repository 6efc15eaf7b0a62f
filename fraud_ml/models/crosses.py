"""Which pairs of category cells hold far more or fewer frauds than both cells alone explain.

A network hardly moves for a pair that is rare (58 claims in two years of carclaims, half of them fraud), so such pairs
are found first and given to it as 0/1 columns.
"""

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.cells import Cells

MIN_ROWS = 15  # a pair seen less often says nothing
RIDGE = 1.0
NEWTON_STEPS = 8
BLOCK = 32_768  # rows turned into 0/1 columns at a time


def screen_crosses(
    cell_ids: NDArray[np.int32], numbers: NDArray[np.float32], labels: NDArray[np.int8], cells: Cells, *, count: int
) -> NDArray[np.int32]:
    """Return (≤ count, 2) pairs of cells, the most surprising first.

    cell_ids: (n_claims, n_categories); numbers: (n_claims, n_numbers), scaled. Surprise is |observed - expected frauds|
    over the expectation's deviation, under a ridge logit model of single cells and numbers. Training rows only.
    """
    if count == 0 or cell_ids.shape[1] < 2:
        return np.zeros((0, 2), np.int32)
    weights = _fit_additive(cell_ids, numbers, labels, len(cells))
    seen, observed, expected, variance = (np.zeros((len(cells), len(cells))) for _ in range(4))
    for rows in _blocks(len(labels)):
        hot = _multi_hot(cell_ids[rows], len(cells))
        probability = _sigmoid(_design(cell_ids[rows], numbers[rows], len(cells)) @ weights)
        seen += hot.T @ hot
        observed += (hot * labels[rows, None]).T @ hot
        expected += (hot * probability[:, None]).T @ hot
        variance += (hot * (probability * (1 - probability))[:, None]).T @ hot
    surprise = np.abs(observed - expected) / np.sqrt(np.maximum(variance, 1e-9))
    surprise[(seen < MIN_ROWS) | (cells.column[:, None] >= cells.column[None, :])] = 0
    # rounded, so that the last bits of another BLAS do not swap two pairs; ties keep the cells' order
    best = np.argsort(-np.round(surprise, 6), axis=None, kind="stable")[:count]
    best = best[surprise.ravel()[best] > 0]
    return np.stack(np.unravel_index(best, surprise.shape), axis=1).astype(np.int32)


def _fit_additive(
    cell_ids: NDArray[np.int32], numbers: NDArray[np.float32], labels: NDArray[np.int8], n_cells: int
) -> NDArray[np.float64]:
    """Return the ridge logit model's weights by Newton's method; the first is the intercept and is not shrunk."""
    width = 1 + n_cells + numbers.shape[1]
    penalty = np.full(width, RIDGE)
    penalty[0] = 1e-6
    weights = np.zeros(width)
    for _ in range(NEWTON_STEPS):
        slope, curvature = -penalty * weights, np.diag(penalty)
        for rows in _blocks(len(labels)):
            design = _design(cell_ids[rows], numbers[rows], n_cells)
            probability = _sigmoid(design @ weights)
            slope += design.T @ (labels[rows] - probability)
            curvature += (design * (probability * (1 - probability))[:, None]).T @ design
        weights += np.linalg.solve(curvature, slope)
    return weights


def _design(cell_ids: NDArray[np.int32], numbers: NDArray[np.float32], n_cells: int) -> NDArray[np.float64]:
    return np.concatenate([np.ones((len(cell_ids), 1)), _multi_hot(cell_ids, n_cells), numbers], axis=1)


def _multi_hot(cell_ids: NDArray[np.int32], n_cells: int) -> NDArray[np.float64]:
    hot = np.zeros((len(cell_ids), n_cells))
    np.put_along_axis(hot, cell_ids.astype(np.intp), 1.0, axis=1)
    return hot


def _blocks(rows: int) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, rows, BLOCK)]


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
