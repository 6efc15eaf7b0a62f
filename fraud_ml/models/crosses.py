"""Which pairs of category cells hold far more or fewer frauds than both cells alone explain.

A network hardly moves for a pair that is rare (58 claims in two years of carclaims, half of them fraud), so such pairs
are found first and given to it as 0/1 columns.
"""

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.additive import additive_logits, blocks, fit_additive, multi_hot
from fraud_ml.models.cells import Cells

MIN_ROWS = 15  # a pair seen less often says nothing
RIDGE = 1.0


def screen_crosses(
    cell_ids: NDArray[np.int32], numbers: NDArray[np.float32], labels: NDArray[np.int8], cells: Cells, *, count: int
) -> NDArray[np.int32]:
    """Return (≤ count, 2) pairs of cells, the most surprising first.

    cell_ids: (n_claims, n_categories); numbers: (n_claims, n_numbers), scaled. Surprise is |observed - expected frauds|
    over the expectation's deviation, under a ridge logit model of single cells and numbers. Training rows only.
    """
    if count == 0 or cell_ids.shape[1] < 2:
        return np.zeros((0, 2), np.int32)
    weights = fit_additive(cell_ids, numbers, labels, len(cells), ridge=RIDGE)
    seen, observed, expected, variance = (np.zeros((len(cells), len(cells))) for _ in range(4))
    for rows in blocks(len(labels)):
        hot = multi_hot(cell_ids[rows], len(cells))
        probability = 1 / (1 + np.exp(-additive_logits(weights, cell_ids[rows], numbers[rows], len(cells))))
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
