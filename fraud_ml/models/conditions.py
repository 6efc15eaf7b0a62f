"""Claims as 0/1 conditions that trees ask about: is it this word, is it not known, is it above this number."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.cell_lookup import CellLookup, stack_numbers
from fraud_ml.models.cells import Cells
from fraud_ml.models.inputs import Columns, Inputs
from fraud_ml.models.tensorflow_runtime import tf

# Beside evenly dealt thresholds: a hundredth or a thousandth of the claims, far out, may be where the fraud is.
TAILS = (0.001, 0.003, 0.01, 0.99, 0.997, 0.999)


@dataclass(frozen=True)
class Questions:
    """What is asked, in this order: `cells`, `missing`, thresholds, `pairs`. A threshold is passed by a value above it.

    `column[i]` tells which column question i is about: categories first, then numbers, then each pair for itself.
    """

    cells: NDArray[np.int32]  # (n,) cells.Cells
    missing: NDArray[np.int32]  # (n,) positions of number columns
    threshold_of: NDArray[np.int32]  # (n,) positions of number columns
    thresholds: NDArray[np.float32]  # (n,)
    pairs: NDArray[np.int32]  # (n, 2) of cells
    column: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.column)


def choose_questions(
    columns: Columns, cell_ids: NDArray[np.int32], inputs: Inputs, cells: Cells, pairs: NDArray[np.int32], *, bins: int
) -> Questions:
    """Return the questions that training claims answer differently: `bins` thresholds a number at most, and tails.

    cell_ids: (n_claims, n_categories). Thresholds are values of training claims, so that a whole number is not cut.
    """
    rows = len(next(iter(columns.values())))
    seen = np.bincount(cell_ids.ravel(), minlength=len(cells))
    asked = np.flatnonzero((seen > 0) & (seen < rows)).astype(np.int32)
    missing, threshold_of, thresholds = [], [], []
    for position, number in enumerate(inputs.numbers):
        values = columns[number.name]
        known = values[~np.isnan(values)]
        if 0 < len(known) < rows:
            missing.append(position)
        cuts = _cuts(known, bins)
        threshold_of += [position] * len(cuts)
        thresholds.append(cuts)
    first_number = len(inputs.categories)
    first_pair = first_number + len(inputs.numbers)
    about = [
        cells.column[asked],
        first_number + np.array(missing, np.int64),
        first_number + np.array(threshold_of, np.int64),
        first_pair + np.arange(len(pairs)),
    ]
    return Questions(
        cells=asked,
        missing=np.array(missing, np.int32),
        threshold_of=np.array(threshold_of, np.int32),
        thresholds=np.concatenate([np.zeros(0, np.float32), *thresholds]),
        pairs=pairs,
        column=np.concatenate(about).astype(np.int32),
    )


def _cuts(known: NDArray[np.float32], bins: int) -> NDArray[np.float32]:
    """Return values that part `known` into `bins` + 1 groups of about one size and its tails; none is the largest.

    Where there are no more different values than that, each but the largest.
    """
    if not len(known):
        return np.zeros(0, np.float32)
    distinct = np.unique(known)
    if len(distinct) > bins + 1:
        even = np.linspace(0, 1, bins + 2)[1:-1]
        distinct = np.unique(np.quantile(known, [*even, *TAILS], method="lower"))
    return distinct[distinct < known.max()].astype(np.float32)


class Conditions(tf.Module):
    """Call it with {column: (n,) string or float32}: (n, n_questions) of bool. Not known is above nothing."""

    def __init__(self, inputs: Inputs, cells: Cells, questions: Questions) -> None:
        super().__init__()
        self.lookup = CellLookup(inputs, cells)
        self.numbers = [column.name for column in inputs.numbers]
        self.owner = cells.column
        self.questions = questions

    def __call__(self, columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return self.coded(self.lookup(columns), stack_numbers(columns, self.numbers))

    def coded(self, cells: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
        """The same of (n, n_categories) cells and (n, n_numbers) numbers, NaN where missing."""
        asked = self.questions
        answers = [
            self._is(cells, asked.cells),
            self._is(cells, asked.pairs[:, 0]) & self._is(cells, asked.pairs[:, 1]),
        ]
        if self.numbers:
            missing = tf.math.is_nan(tf.gather(given, asked.missing, axis=1))
            above = tf.gather(given, asked.threshold_of, axis=1) > asked.thresholds
            answers[1:1] = [missing, above]
        return tf.concat(answers, axis=1)

    def _is(self, cells: tf.Tensor, wanted: NDArray[np.int32]) -> tf.Tensor:
        if not len(wanted):
            return tf.zeros((tf.shape(cells)[0], 0), tf.bool)
        return tf.gather(cells, self.owner[wanted], axis=1) == wanted
