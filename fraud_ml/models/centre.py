"""The average training claim, from which reasons are told: a claim's column matters by how it differs from it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.cells import Cells

FINEST = 2.0**20  # averages are whole multiples of its inverse: another way of adding gives the same


@dataclass(frozen=True)
class Centre:
    """words: (n_categories, n_cells) share of training claims in each of a column's own cells; numbers: (2 n_numbers,)
    mean of the encoded numbers; crosses: (n_crosses,) share of claims in both cells, and halves: (n_crosses,
    n_categories) how a cross is divided between the columns of its cells.
    """

    words: NDArray[np.float32]
    numbers: NDArray[np.float32]
    crosses: NDArray[np.float32]
    halves: NDArray[np.float32]

    @classmethod
    def of(
        cls, ids: NDArray[np.int32], numbers: NDArray[np.float32], crosses: NDArray[np.int32], cells: Cells
    ) -> "Centre":
        """ids: (n_claims, n_categories) cells; numbers: (n_claims, 2 n_numbers) encoded; crosses: (n_crosses, 2)."""
        rows = len(ids)
        words = np.zeros((ids.shape[1], len(cells)))
        for column in range(ids.shape[1]):
            words[column] = np.bincount(ids[:, column], minlength=len(cells)) / rows
        owners = cells.column[crosses]
        both = [
            ((ids[:, a] == first) & (ids[:, b] == second)).mean()
            for (first, second), (a, b) in zip(crosses, owners, strict=True)
        ]
        halves = np.zeros((len(crosses), ids.shape[1]))
        np.add.at(halves, (np.arange(len(crosses))[:, None], owners), 0.5)
        return cls(
            *(_rounded(part) for part in (words, numbers.mean(axis=0, dtype=np.float64), np.array(both), halves))
        )

    def weights(self) -> Iterator[tuple[str, NDArray]]:
        yield from (("centre/words", self.words), ("centre/numbers", self.numbers), ("centre/crosses", self.crosses))


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float32]:
    rounded: NDArray[np.float32] = (np.round(values * FINEST) / FINEST).astype(np.float32)
    return rounded
