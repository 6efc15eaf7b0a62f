"""Gradient-boosted trees, a small bag of them, grown and answered by TensorFlow."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.cells import Cells
from fraud_ml.models.checkpoints import NOWHERE, Checkpoint
from fraud_ml.models.conditions import Conditions, Questions, choose_questions
from fraud_ml.models.crosses import screen_crosses
from fraud_ml.models.encoder import Encoder
from fraud_ml.models.family import Calibration, Examples, Opened, Progress
from fraud_ml.models.grow_trees import LEAF, Growth, Trees
from fraud_ml.models.inputs import Columns, Inputs
from fraud_ml.models.leaf_masks import LeafMasks
from fraud_ml.models.path_shares import columns_asked, path_shares
from fraud_ml.models.saved_model import answer_graph, export_graph, open_graph
from fraud_ml.models.tensorflow_runtime import make_deterministic, tf
from fraud_ml.params import BoostedTreesParams

BATCH = 8192
SEEN = 20_000  # about so many training claims say what a node expects, for reasons
KEEP_EVERY = 10  # trees


class Forest(tf.Module):
    """Conditions and the trees that ask them. Implements `saved_model.Graph`."""

    def __init__(self, conditions: Conditions, trees: Trees, prior: float) -> None:
        super().__init__()
        self.conditions = conditions
        self.depth, self.members = trees.depth, len(trees.asked)
        flat = trees.asked.reshape(-1, trees.asked.shape[2])
        self.asked = tf.Variable(flat.ravel(), trainable=False, name="asked")
        self.leaves = tf.Variable(trees.leaves.ravel(), trainable=False, name="leaves")
        self.nodes = np.arange(len(flat), dtype=np.int32) * flat.shape[1]  # where each tree's nodes begin
        self.prior = np.float32(prior)
        self.masks = LeafMasks(conditions, trees) if LeafMasks.serve(conditions, trees) else None

    def coded(self, cells: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
        if self.masks is None:
            return self.logits(self.conditions.coded(cells, numbers))
        return self.prior + self.masks.sums(cells, numbers) / self.members

    def __call__(self, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return self.logits(self.conditions(columns))

    def logits(self, conditions: tf.Tensor) -> tf.Tensor:
        """Return (n,) log-odds of (n, n_conditions): the prior and the members' mean sum of leaves."""
        return self.prior + tf.reduce_sum(tf.gather(self.leaves, self.reached(conditions)), axis=1) / self.members

    def reached(self, conditions: tf.Tensor) -> tf.Tensor:
        """Return (n, members x trees) int32 places in the row of all leaves."""
        answers = tf.pad(conditions, [[0, 0], [0, 1]])  # the last condition is never true
        place = tf.zeros((tf.shape(answers)[0], len(self.nodes)), tf.int32)
        for level in range(self.depth):
            node = self.nodes + (2**level - 1) + place
            yes = tf.gather(answers, tf.gather(self.asked, node), batch_dims=1)
            place = 2 * place + tf.cast(yes, tf.int32)
        return np.arange(len(self.nodes), dtype=np.int32) * 2**self.depth + place

    def tell_reasons_from(self, reached: NDArray[np.int64], trees: Trees, cells: Cells) -> None:
        """reached: training claims in each leaf. Afterwards `reasons` may be asked."""
        columns_of = columns_asked(self.conditions.questions, cells, len(self.conditions.numbers))
        expected, shares = path_shares(trees, reached, columns_of)
        self.base = np.float32(self.prior + expected)
        self.shares = tf.Variable(shares, trainable=False, name="shares")

    def reasons(self, cells: tf.Tensor, numbers: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        leaves = self.reached(self.conditions.coded(cells, numbers))
        claim = tf.repeat(tf.range(tf.shape(leaves)[0]), len(self.nodes))
        return tf.constant(self.base), tf.sparse.segment_sum(self.shares, tf.reshape(leaves, (-1,)), claim)


class BoostedTrees:
    """A fitted bag of boosted trees. Implements `family.Family`."""

    is_drawn = True

    def __init__(
        self,
        inputs: Inputs,
        train: Examples,
        params: BoostedTreesParams,
        seed: int,
        progress: Progress,
        checkpoint: Checkpoint,
    ) -> None:
        make_deterministic(seed)
        self.inputs, self.params, self.seed = inputs, params, seed
        cells = Cells.of(inputs)
        self.questions = ask(inputs, cells, train, params)
        conditions = Conditions(inputs, cells, self.questions)
        share = float(train.labels.mean())
        self.prior = round(np.log(share / (1 - share)) * LEAF) / LEAF
        self.trees = self._grow(conditions, train, progress, checkpoint)
        self.graph = Forest(conditions, self.trees, self.prior)
        step = max(1, len(train.labels) // SEEN)
        seen = _answers(conditions, {name: values[::step] for name, values in train.columns.items()})
        self.reached = np.zeros(self.trees.leaves.size, np.int64)
        for start in range(0, len(seen), BATCH):
            leaves = self.graph.reached(tf.constant(seen[start : start + BATCH])).numpy()
            self.reached += np.bincount(leaves.ravel(), minlength=len(self.reached))
        self.graph.tell_reasons_from(self.reached, self.trees, cells)

    @classmethod
    def fit(
        cls,
        inputs: Inputs,
        train: Examples,
        validation: Examples,  # noqa: ARG003 - as many trees as params say
        params: BoostedTreesParams,
        *,
        seed: int,
        progress: Progress,
        checkpoint: Checkpoint = NOWHERE,
    ) -> Self:
        return cls(inputs, train, params, seed, progress, checkpoint)

    def refit(self, inputs: Inputs, train: Examples, *, progress: Progress, checkpoint: Checkpoint = NOWHERE) -> Self:
        return type(self)(inputs, train, self.params, self.seed, progress, checkpoint)

    def _grow(self, conditions: Conditions, train: Examples, progress: Progress, checkpoint: Checkpoint) -> Trees:
        params, kept = self.params, checkpoint.load()
        grown = Trees(**kept) if kept else None
        if grown and grown.count == params.trees:
            progress(f"all {params.trees} trees stand in a checkpoint")
            return grown
        answers = _answers(conditions, train.columns)
        growth = Growth(answers, train.labels, self.questions.column, self.prior, params, self.seed)
        if grown:
            growth.go_on_from(grown)
            progress(f"going on from {grown.count} trees of a checkpoint")
        for number in range(1 + (grown.count if grown else 0), params.trees + 1):
            growth.grow()
            if number % KEEP_EVERY == 0 or number == params.trees:
                checkpoint.save(vars(growth.trees()))
            if number % 50 == 0 or number == params.trees:
                progress(f"{number}/{params.trees} trees in each of {params.members} members")
        return growth.trees()

    def logits(self, columns: Columns) -> NDArray[np.float64]:
        return answer_graph(self.graph, columns)

    def weights(self) -> Iterator[tuple[str, NDArray]]:
        yield from vars(self.questions).items()
        yield "prior", np.array(self.prior, np.float32)
        yield "asked", self.trees.asked
        yield "leaves", self.trees.leaves
        yield "reached", self.reached

    def export(self, folder: Path, calibration: Calibration) -> None:
        export_graph(self.graph, folder, self.inputs, calibration)

    @classmethod
    def open(cls, folder: Path, inputs: Inputs) -> Opened:
        return open_graph(folder, inputs)


def ask(inputs: Inputs, cells: Cells, train: Examples, params: BoostedTreesParams) -> Questions:
    """Return the questions for these training claims, screened pairs among them."""
    encoded = Encoder(inputs, cells)({name: tf.constant(values) for name, values in train.columns.items()})
    ids = encoded.cells.numpy()
    pairs = screen_crosses(ids, encoded.numbers.numpy(), train.labels, cells, count=params.crosses)
    return choose_questions(train.columns, ids, inputs, cells, pairs, bins=params.bins)


def _answers(conditions: Conditions, columns: Columns) -> NDArray[np.bool_]:
    rows = len(next(iter(columns.values())))
    parts = [
        conditions({name: tf.constant(values[start : start + BATCH]) for name, values in columns.items()}).numpy()
        for start in range(0, rows, BATCH)
    ]
    return np.concatenate(parts)
