"""Text to category cells, in a TensorFlow graph: the same at training and at serving."""

from collections.abc import Mapping, Sequence

import numpy as np

from fraud_ml.models.cells import SEPARATOR, Cells
from fraud_ml.models.inputs import Inputs
from fraud_ml.models.tensorflow_runtime import number_alike, tf


def rows_of(columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Return how many claims there are."""
    return tf.shape(next(iter(columns.values())))[0]


def stack_numbers(columns: Mapping[str, tf.Tensor], names: Sequence[str]) -> tf.Tensor:
    """Return (n, n_numbers) float32 as given: NaN where missing."""
    return tf.stack([columns[name] for name in names], axis=1) if names else tf.zeros((rows_of(columns), 0))


class CellLookup(tf.Module):
    """Call it with {column: (n,) string}: (n, n_categories) int32, see `cells.Cells`."""

    def __init__(self, inputs: Inputs, cells: Cells) -> None:
        super().__init__()
        self.categories = [column.name for column in inputs.categories]
        self.unseen = cells.unseen
        # a table must hold something: without any category it holds one key that nobody asks for
        keys, ids = (cells.keys, cells.ids) if cells.keys else (("",), np.zeros(1, np.int64))
        number_alike()
        content = tf.lookup.KeyValueTensorInitializer(tf.constant(keys), tf.constant(ids, tf.int64))
        self.table = tf.lookup.StaticHashTable(content, default_value=-1)

    def __call__(self, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        if not self.categories:
            return tf.zeros((rows_of(columns), 0), tf.int32)
        keys = [tf.strings.join([name + SEPARATOR, columns[name]]) for name in self.categories]
        found = self.table.lookup(tf.stack(keys, axis=1))
        return tf.cast(tf.where(found < 0, self.unseen, found), tf.int32)
