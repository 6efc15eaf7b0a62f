"""Which leaf of each tree a claim reaches, found without walking: one bit a leaf, one look-up a column.

Every condition speaks of one column (or of one screened pair). So each value that a column can take rules out, in each
tree, the leaves on the wrong side of its nodes; what all columns leave over is one bit a tree, the leaf that is
reached. (As QuickScorer does, Lucchese et al. 2015; here trees are complete and both sides are ruled out.)
A number takes as many values as it has thresholds, and one more, and "missing".
"""

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.conditions import Conditions, Questions
from fraud_ml.models.grow_trees import Trees
from fraud_ml.models.tensorflow_runtime import tf

DEEPEST = 6  # 64 leaves are the bits of the widest word
LARGEST_MIB = 32  # of look-ups; a column of many thousand words is walked instead
WORDS = {1: np.uint8, 2: np.uint8, 3: np.uint8, 4: np.uint16, 5: np.uint32, 6: np.uint64}


class LeafMasks(tf.Module):
    """Cells and numbers, see `family.Coded`, to the leaves that they reach, or to the sum of those."""

    def __init__(self, conditions: Conditions, trees: Trees) -> None:
        super().__init__()
        questions, owner = conditions.questions, conditions.owner
        self.leaves = tf.Variable(trees.leaves.ravel(), trainable=False, name="leaves")
        nodes = trees.asked.reshape(-1, trees.asked.shape[2])
        self.begin = np.arange(len(nodes), dtype=np.int32) * 2**trees.depth
        self.pairs, self.owner = questions.pairs, owner
        self.first_cell = np.searchsorted(owner, np.arange(owner.max() + 1 if len(owner) else 0)).astype(np.int32)
        self.cuts = [
            np.sort(questions.thresholds[questions.threshold_of == number]) for number in range(len(conditions.numbers))
        ]
        tables = [_ruled_out(answers, asked, nodes, trees.depth) for answers, asked in self._values(questions)]
        never = _ruled_out(np.zeros((1, 1), bool), np.array([len(questions)]), nodes, trees.depth)
        self.tables = [tf.Variable(table & never, trainable=False, name="left_over") for table in tables]

    def _values(self, questions: Questions) -> list[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
        """Return for each column, then for each pair: (n_values, n_asked) answers, and which questions are asked."""
        found = []
        first_missing = len(questions.cells)
        first_cut = first_missing + len(questions.missing)
        first_pair = first_cut + len(questions.thresholds)
        for category, first in enumerate(self.first_cell.tolist()):
            asked = np.flatnonzero(self.owner[questions.cells] == category)
            values = first + np.arange(int((self.owner == category).sum()))
            found.append((values[:, None] == questions.cells[asked], asked))
        for number, cuts in enumerate(self.cuts):
            above = first_cut + np.flatnonzero(questions.threshold_of == number)
            missing = first_missing + np.flatnonzero(questions.missing == number)
            order = np.argsort(np.argsort(questions.thresholds[above - first_cut], kind="stable"), kind="stable")
            answers = np.zeros((len(cuts) + 2, len(above) + len(missing)), bool)
            answers[:-1, : len(above)] = np.arange(len(cuts) + 1)[:, None] > order
            answers[-1, len(above) :] = True
            found.append((answers, np.concatenate([above, missing])))
        for pair in range(len(questions.pairs)):
            found.append((np.array([[False], [True]]), np.array([first_pair + pair])))
        return found

    @staticmethod
    def serve(conditions: Conditions, trees: Trees) -> bool:
        """Say whether look-ups for these trees are small enough to be kept."""
        if trees.depth > DEEPEST:
            return False
        questions = conditions.questions
        values = (
            len(conditions.owner) + len(questions.thresholds) + 2 * (len(conditions.numbers) + len(questions.pairs))
        )
        n_trees = trees.asked.shape[0] * trees.asked.shape[1]
        return values * n_trees * np.dtype(WORDS[trees.depth]).itemsize <= LARGEST_MIB * 2**20

    @tf.function(jit_compile=True)
    def sums(self, cells: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
        """Return (n,) float32: the leaves that are reached, added up."""
        return tf.reduce_sum(tf.gather(self.leaves, self.reached(cells, numbers)), axis=1)

    def reached(self, cells: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
        """Return (n, members x trees) int32 places in the row of all leaves. It works under a compiler only."""
        places = [cells[:, category] - first for category, first in enumerate(self.first_cell.tolist())]
        for number, cuts in enumerate(self.cuts):
            given = numbers[:, number]
            passed = tf.reduce_sum(tf.cast(given[:, None] > cuts, tf.int32), axis=1)
            places.append(tf.where(tf.math.is_nan(given), len(cuts) + 1, passed))
        for first, second in self.pairs.tolist():
            both = (cells[:, self.owner[first]] == first) & (cells[:, self.owner[second]] == second)
            places.append(tf.cast(both, tf.int32))
        left = tf.gather(self.tables[0], places[0])
        for table, place in zip(self.tables[1:], places[1:], strict=True):
            left = tf.bitwise.bitwise_and(left, tf.gather(table, place))
        below = tf.raw_ops.PopulationCount(x=left - tf.ones_like(left))  # bits under the only one: its number
        return self.begin + tf.cast(below, tf.int32)


def _ruled_out(
    answers: NDArray[np.bool_], asked: NDArray[np.int64], nodes: NDArray[np.int32], depth: int
) -> NDArray[np.unsignedinteger]:
    """Return (n_values, n_trees): the leaves that each value leaves over, as far as these questions are asked.

    answers: (n_values, n_asked); asked: (n_asked,) questions; nodes: (n_trees, 2^depth - 1) questions.
    """
    word = WORDS[depth]
    left = np.full((len(answers), len(nodes)), np.array(2 ** (2**depth) - 1, word))
    position = np.full(int(max(nodes.max(initial=0), asked.max(initial=0))) + 1, -1)
    position[asked] = np.arange(len(asked))
    for level in range(depth):
        half = 2 ** (depth - level - 1)
        for place in range(2**level):
            right_of = ((1 << half) - 1) << (half * (2 * place + 1))
            left_of = ((1 << half) - 1) << (half * 2 * place)
            everything = 2 ** (2**depth) - 1
            if_yes, if_no = np.array(everything ^ left_of, word), np.array(everything ^ right_of, word)
            found = position[nodes[:, 2**level - 1 + place]]
            trees = np.flatnonzero(found >= 0)
            left[:, trees] &= np.where(answers[:, found[trees]], if_yes, if_no)
    return left
