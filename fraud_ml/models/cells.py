"""Category cells: each known value of each category column, its "missing" and its "unseen", numbered in one row."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.inputs import MISSING, Inputs

SEPARATOR = "\x1f"  # between a column's name and a value, in the one lookup table that serves all columns


@dataclass(frozen=True)
class Cells:
    """keys[i] is looked up to find cell ids[i]; a column's own `unseen` cell answers for everything else."""

    keys: tuple[str, ...]
    ids: NDArray[np.int64]
    unseen: NDArray[np.int64]  # (n_categories,)
    column: NDArray[np.int64]  # (n_cells,) position of the category column that a cell belongs to

    @classmethod
    def of(cls, inputs: Inputs) -> "Cells":
        keys: list[str] = []
        ids: list[int] = []
        unseen: list[int] = []
        column: list[int] = []
        for position, category in enumerate(inputs.categories):
            for value in (*category.vocabulary, MISSING):
                keys.append(category.name + SEPARATOR + value)
                ids.append(len(column))
                column.append(position)
            unseen.append(len(column))
            column.append(position)
        return cls(tuple(keys), np.array(ids, np.int64), np.array(unseen, np.int64), np.array(column, np.int64))

    def __len__(self) -> int:
        return len(self.column)
