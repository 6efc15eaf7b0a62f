"""Gradient boosting of small trees over 0/1 conditions, in TensorFlow, with sums that no order of adding can change.

Trees grow level by level; one matrix product a level gives every node's sums of first and second derivatives under
every condition, for all members of the bag at once (gain and leaves: Chen & Guestrin, XGBoost, 2016). Derivatives are
rounded to 16 bits, so that float32 adds up 256 of them exactly, and float64 adds up those sums exactly: other threads,
processors or block sizes add in another order and get the same bits. Exactness also gives the left child for nothing:
it is its parent less the right one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.tensorflow_runtime import tf
from fraud_ml.params import BoostedTreesParams

STEPS = (2.0**16, 2.0**18)  # first derivatives, within ±1, and second, up to 1/4, are whole multiples of the inverse
CHUNK = 256  # claims that float32 adds up exactly: each is at most 2^16 steps, and 2^24 is exact
LEAF = 2.0**18  # so are leaves: float32 sums of a model's leaves are exact while they stay within ±64
AT_ONCE = 32  # chunks taken at once from bits to float32


@dataclass(frozen=True)
class Trees:
    """members × trees complete binary trees of one depth; a node asks one condition, and yes leads to the right.

    asked: (members, trees, 2^depth - 1) int32, nodes level by level; the number of conditions stands for "no".
    leaves: (members, trees, 2^depth) float32, to be added to a member's log-odds.
    """

    asked: NDArray[np.int32]
    leaves: NDArray[np.float32]

    @property
    def depth(self) -> int:
        return int(self.leaves.shape[2]).bit_length() - 1

    @property
    def count(self) -> int:
        """How many trees each member has."""
        return int(self.asked.shape[1])

    def first(self, trees: int) -> "Trees":
        return Trees(self.asked[:, :trees], self.leaves[:, :trees])


class Growth:
    """The bag while it grows: `grow` adds one tree to each member. What was drawn depends on seed and tree alone."""

    def __init__(
        self,
        conditions: NDArray[np.bool_],
        labels: NDArray[np.int8],
        columns: NDArray[np.int32],
        prior: float,
        params: BoostedTreesParams,
        seed: int,
        at_once: int = AT_ONCE,
    ) -> None:
        """conditions: (n_claims, n_conditions); labels: (n_claims,); columns: (n_conditions,) which are drawn apart."""
        rows, self.count = conditions.shape
        self.params, self.seed, self.columns = params, seed, columns
        chunks = -(-rows // CHUNK)
        self.blocks = -(-chunks // at_once)
        self.at_once = -(-chunks // self.blocks)
        padded = np.zeros((self.blocks * self.at_once * CHUNK, self.count + 1), bool)
        padded[:rows, : self.count] = conditions
        self.conditions = tf.constant(padded)
        truth, present = np.zeros(len(padded)), np.zeros(len(padded))
        truth[:rows], present[:rows] = labels, 1.0
        self.truth, self.present = tf.constant(truth), present
        self.margins = tf.Variable(tf.fill((params.members, len(padded)), np.float32(prior)))
        self.asked: list[NDArray[np.int32]] = []
        self.leaves: list[NDArray[np.float32]] = []

    def grow(self) -> None:
        """Add one tree to each member; afterwards `margins` are (members, n_claims) log-odds of what stands."""
        rng = np.random.default_rng([self.seed, len(self.asked)])
        asked, leaves = self._grow(tf.constant(self._drawn_columns(rng)), tf.constant(self._drawn_rows(rng)))
        self.asked.append(asked.numpy())
        self.leaves.append(leaves.numpy())

    def go_on_from(self, trees: Trees) -> None:
        """Stand, nothing having been grown here, as if these first trees had been."""
        for asked, leaves in zip(trees.asked.swapaxes(0, 1), trees.leaves.swapaxes(0, 1), strict=True):
            self._add(tf.constant(asked), tf.constant(leaves))
            self.asked.append(asked)
            self.leaves.append(leaves)

    def trees(self) -> Trees:
        return Trees(np.stack(self.asked, axis=1), np.stack(self.leaves, axis=1))

    def _drawn_columns(self, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Return (members, n_conditions + 1): the conditions of a share of the columns; never the last."""
        names = np.unique(self.columns)
        taken = max(1, round(self.params.column_share * len(names)))
        drawn = np.zeros((self.params.members, self.count + 1), bool)
        for member in range(self.params.members):
            drawn[member, :-1] = np.isin(self.columns, rng.permutation(names)[:taken])
        return drawn

    def _drawn_rows(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return (members, n_claims) of {0, 1}."""
        if self.params.row_share == 1:
            return np.broadcast_to(self.present, (self.params.members, len(self.present))).copy()
        return (rng.random((self.params.members, len(self.present))) < self.params.row_share) * self.present

    @tf.function
    def _grow(self, columns: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        params, members = self.params, self.params.members
        probability = tf.sigmoid(tf.cast(self.margins, tf.float64))
        slope, curve = (probability - self.truth) * rows, probability * (1 - probability) * rows
        # (2, members, n_claims), in whole steps
        pulls = tf.cast(tf.round(tf.stack([slope * STEPS[0], curve * STEPS[1]])), tf.float32)
        place = tf.zeros((members, len(self.present)), tf.int32)  # of each claim's node within its level
        node = _scaled(tf.reduce_sum(tf.cast(pulls, tf.float64), axis=2)[..., None])  # (2, members, nodes)
        yes = self._sums(pulls, place, 1, right_only=False)  # (2, members, nodes, conditions)
        asked = []
        for level in range(params.depth):
            chosen = self._best(node, yes, columns)  # (members, nodes)
            asked.append(chosen)
            answers = tf.gather(self.conditions, tf.transpose(tf.gather(chosen, place, batch_dims=1)), batch_dims=1)
            place = 2 * place + tf.cast(tf.transpose(answers), tf.int32)
            right = tf.gather(yes, tf.broadcast_to(chosen, (2, *chosen.shape)), batch_dims=3)
            node = _interleaved(node - right, right)
            if level + 1 < params.depth:
                on_right = self._sums(pulls, place, 2**level, right_only=True)
                yes = _interleaved(yes - on_right, on_right)
        steps = -params.learning_rate * node[0] / (node[1] + params.l2)
        leaves = tf.cast(tf.round(steps * LEAF) / LEAF, tf.float32)
        self.margins.assign_add(tf.gather(leaves, place, batch_dims=1))
        return tf.concat(asked, axis=1), leaves

    @tf.function
    def _add(self, asked: tf.Tensor, leaves: tf.Tensor) -> None:
        """Add a grown tree's leaves to each member's margins; asked: (members, nodes); leaves: (members, 2^depth)."""
        place = tf.zeros((self.params.members, len(self.present)), tf.int32)
        for level in range(self.params.depth):
            chosen = tf.gather(asked, 2**level - 1 + place, batch_dims=1)
            answers = tf.gather(self.conditions, tf.transpose(chosen), batch_dims=1)
            place = 2 * place + tf.cast(tf.transpose(answers), tf.int32)
        self.margins.assign_add(tf.gather(leaves, place, batch_dims=1))

    def _sums(self, pulls: tf.Tensor, place: tf.Tensor, nodes: int, *, right_only: bool) -> tf.Tensor:
        """Return (2, members, nodes, conditions): both derivatives, summed over the node's claims that say yes.

        With `right_only` nodes are those of the level above, and claims those that said yes there.
        """
        node = place // 2 if right_only else place
        if right_only:
            pulls *= tf.cast(place % 2 == 1, tf.float32)
        members, rows = self.params.members, self.at_once * CHUNK
        total = tf.zeros((2 * members * nodes, self.count + 1), tf.float64)
        for block in tf.range(self.blocks):
            begin = block * rows
            inside = tf.one_hot(node[:, begin : begin + rows], nodes, axis=1, dtype=tf.float32)
            weights = pulls[:, :, None, begin : begin + rows] * inside
            chunks = tf.reshape(weights, (2 * members * nodes, self.at_once, CHUNK))
            answers = tf.cast(self.conditions[begin : begin + rows], tf.float32)
            answers = tf.reshape(answers, (self.at_once, CHUNK, self.count + 1))
            sums = tf.matmul(tf.transpose(chunks, (1, 0, 2)), answers)
            total += tf.reduce_sum(tf.cast(sums, tf.float64), axis=0)
        return _scaled(tf.reshape(total, (2, members, nodes, self.count + 1)))

    def _best(self, node: tf.Tensor, yes: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
        """Return (members, nodes) the condition with the highest gain, the first among equals; the last where none."""
        params = self.params
        no = node[..., None] - yes

        def score(sums: tf.Tensor) -> tf.Tensor:
            return tf.square(sums[0]) / (sums[1] + params.l2)

        gain = score(yes) + score(no) - score(node)[..., None]
        allowed = columns[:, None] & (yes[1] >= params.min_hessian) & (no[1] >= params.min_hessian) & (gain > 0)
        gain = tf.where(allowed, gain, -1.0)
        best = tf.reduce_max(gain, axis=-1, keepdims=True)
        first = tf.where(gain == best, tf.range(self.count + 1), self.count)
        return tf.where(best[..., 0] > 0, tf.reduce_min(first, axis=-1), self.count)


def _scaled(steps: tf.Tensor) -> tf.Tensor:
    """Return (2, …) sums of derivatives from sums of whole steps; the division is exact."""
    return tf.stack([steps[0] / STEPS[0], steps[1] / STEPS[1]])


def _interleaved(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Return (2, members, 2 * nodes, …): each node's left and right child, side by side."""
    both = tf.stack([left, right], axis=3)
    return tf.reshape(both, (*left.shape[:2], 2 * left.shape[2], *left.shape[3:]))
