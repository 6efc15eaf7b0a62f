"""Text and numbers to what networks compute with: one TensorFlow graph, the same at training and at serving."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.cell_lookup import CellLookup, stack_numbers
from fraud_ml.models.cells import Cells
from fraud_ml.models.inputs import Inputs
from fraud_ml.models.tensorflow_runtime import tf

FARTHEST = 5.0  # a number is cut off at so many spreads from its mean


class Encoded(NamedTuple):
    """Claims as tensors of one length n."""

    cells: tf.Tensor  # (n, n_categories) int32, see cells.Cells
    numbers: tf.Tensor  # (n, 2 * n_numbers) float32: scaled, 0 where missing; then 1 where missing
    crosses: tf.Tensor  # (n, n_crosses) float32 of {0, 1}


class Encoder(tf.Module):
    """Call it with {column: (n,) string or float32}. `crosses` (n_crosses, 2) may be set once they are known."""

    def __init__(self, inputs: Inputs, cells: Cells) -> None:
        super().__init__()
        self.numbers = [column.name for column in inputs.numbers]
        self.means = np.array([column.mean for column in inputs.numbers], np.float32)
        self.spreads = np.array([column.spread for column in inputs.numbers], np.float32)
        self.cells = cells
        self.crosses: NDArray[np.int32] = np.zeros((0, 2), np.int32)
        self.lookup = CellLookup(inputs, cells)

    def __call__(self, columns: Mapping[str, tf.Tensor]) -> Encoded:
        return self.coded(self.lookup(columns), stack_numbers(columns, self.numbers))

    def coded(self, cells: tf.Tensor, given: tf.Tensor) -> Encoded:
        """The same of (n, n_categories) cells and (n, n_numbers) numbers, NaN where missing."""
        crosses = self._crossed(cells) if len(self.crosses) else tf.zeros((tf.shape(cells)[0], 0))
        return Encoded(cells, self._scaled(given), crosses)

    def _scaled(self, given: tf.Tensor) -> tf.Tensor:
        known = tf.math.is_finite(given)
        scaled = tf.clip_by_value((given - self.means) / self.spreads, -FARTHEST, FARTHEST)
        return tf.concat([tf.where(known, scaled, 0.0), tf.cast(~known, tf.float32)], axis=1)

    def _crossed(self, cells: tf.Tensor) -> tf.Tensor:
        first, second = (
            tf.gather(cells, self.cells.column[self.crosses[:, side]], axis=1) == self.crosses[:, side]
            for side in (0, 1)
        )
        return tf.cast(first & second, tf.float32)
