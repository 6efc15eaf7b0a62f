"""What each column adds to a tree's answer: on the way to a leaf, each node's change of what is expected (Saabas 2014).

It is exact: the changes add up to the leaf. And since a leaf fixes its way, they are one row a leaf, known beforehand.
A pair of words counts half for each of its columns.
"""

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.cells import Cells
from fraud_ml.models.conditions import Questions
from fraud_ml.models.grow_trees import Trees


def path_shares(
    trees: Trees, reached: NDArray[np.int64], columns_of: NDArray[np.float64]
) -> tuple[float, NDArray[np.float32]]:
    """Return what the bag expects of any claim, and (n_trees * n_leaves, n_columns) what columns add, before the prior.

    reached: (n_trees * n_leaves,) training claims in each leaf; columns_of: (n_questions + 1, n_columns), see
    `columns_asked`.
    """
    members, leaves = len(trees.asked), trees.leaves.shape[2]
    asked = trees.asked.reshape(-1, leaves - 1)
    count = reached.reshape(-1, leaves).astype(np.float64)
    expected = trees.leaves.reshape(-1, leaves).astype(np.float64)
    levels = [expected]  # from leaves to root: (n_trees, nodes of the level)
    for _ in range(trees.depth):
        pairs, weights = expected.reshape(len(asked), -1, 2), count.reshape(len(asked), -1, 2)
        total = weights.sum(axis=2)
        # where no claim came, both sides count alike
        share = np.where(total[..., None] > 0, weights / np.maximum(total, 1)[..., None], 0.5)
        expected, count = (pairs * share).sum(axis=2), total
        levels.append(expected)
    shares = np.zeros((len(asked), leaves, columns_of.shape[1]))
    leaf = np.arange(leaves)
    for level in range(trees.depth):
        above, below = levels[trees.depth - level], levels[trees.depth - level - 1]
        node, child = leaf >> (trees.depth - level), leaf >> (trees.depth - level - 1)
        change = below[:, child] - above[:, node]
        shares += change[:, :, None] * columns_of[asked[:, 2**level - 1 + node]]
    return float(levels[-1].sum() / members), (shares.reshape(-1, shares.shape[2]) / members).astype(np.float32)


def columns_asked(questions: Questions, cells: Cells, n_numbers: int) -> NDArray[np.float64]:
    """Return (n_questions + 1, n_columns), categories first: whom each question is about; the last is no one's."""
    n_categories = int(cells.column.max(initial=-1)) + 1
    shares = np.zeros((len(questions) + 1, n_categories + n_numbers))
    single = len(questions) - len(questions.pairs)
    shares[np.arange(single), questions.column[:single]] = 1
    for place, pair in enumerate(questions.pairs):
        for cell in pair:
            shares[single + place, cells.column[cell]] += 0.5
    return shares
