"""The additive logit model: each category cell and each number adds its own share to the log-odds, and nothing else."""

import numpy as np
from numpy.typing import NDArray

NEWTON_STEPS = 30
BLOCK = 32_768  # rows turned into 0/1 columns at a time
FINEST = 2.0**20  # weights are whole multiples of its inverse: another BLAS adds in another order, and gets the same
FARTHEST = 30.0  # log-odds are cut off here while learning


def fit_additive(
    cell_ids: NDArray[np.int32], numbers: NDArray[np.float32], labels: NDArray[np.int8], n_cells: int, *, ridge: float
) -> NDArray[np.float64]:
    """Return (1 + n_cells + n_numbers,) ridge-penalised weights by Newton's method; the intercept is not shrunk.

    cell_ids: (n_claims, n_categories), see `cells.Cells`; numbers: (n_claims, n_numbers), scaled.
    """
    width = 1 + n_cells + numbers.shape[1]
    penalty = np.full(width, ridge)
    penalty[0] = 1e-6
    weights = np.zeros(width)
    for _ in range(NEWTON_STEPS):
        slope, curvature = -penalty * weights, np.diag(penalty)
        for rows in blocks(len(labels)):
            design = _design(cell_ids[rows], numbers[rows], n_cells)
            probability = 1 / (1 + np.exp(-np.clip(design @ weights, -FARTHEST, FARTHEST)))
            slope += design.T @ (labels[rows] - probability)
            curvature += (design * (probability * (1 - probability))[:, None]).T @ design
        step = np.linalg.solve(curvature, slope)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return np.round(weights * FINEST) / FINEST


def additive_logits(
    weights: NDArray[np.float64], cell_ids: NDArray[np.int32], numbers: NDArray[np.float32], n_cells: int
) -> NDArray[np.float64]:
    """Return (n_claims,) log-odds of the model."""
    logits: NDArray[np.float64] = np.clip(_design(cell_ids, numbers, n_cells) @ weights, -FARTHEST, FARTHEST)
    return logits


def multi_hot(cell_ids: NDArray[np.int32], n_cells: int) -> NDArray[np.float64]:
    """Return (n_claims, n_cells): 1 where a claim is in the cell."""
    hot = np.zeros((len(cell_ids), n_cells))
    np.put_along_axis(hot, cell_ids.astype(np.intp), 1.0, axis=1)
    return hot


def blocks(rows: int) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, rows, BLOCK)]


def _design(cell_ids: NDArray[np.int32], numbers: NDArray[np.float32], n_cells: int) -> NDArray[np.float64]:
    return np.concatenate([np.ones((len(cell_ids), 1)), multi_hot(cell_ids, n_cells), numbers], axis=1)
