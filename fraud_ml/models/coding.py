"""Claims as cells and numbers, without TensorFlow: each distinct word is looked up once, however many claims say it.

It says the same as `cell_lookup` does in the graph; golden claims prove it for every model that is loaded.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fraud_ml.errors import BadInput
from fraud_ml.models.cells import SEPARATOR, Cells
from fraud_ml.models.family import Coded
from fraud_ml.models.golden import UNSEEN
from fraud_ml.models.inputs import MISSING, Columns, Inputs, read_numbers

if TYPE_CHECKING:
    import pyarrow as pa


class Coder:
    """Looks up what one model's training knew."""

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        cells = Cells.of(inputs)
        self._ids = dict(zip(cells.keys, cells.ids.tolist(), strict=True))
        self._unseen = {column.name: int(cells.unseen[place]) for place, column in enumerate(inputs.categories)}

    def code(self, columns: Columns) -> Coded:
        """Return columns, read already, as cells and numbers."""
        rows = len(next(iter(columns.values())))
        words = []
        for column in self.inputs.categories:
            distinct, places = np.unique(columns[column.name].astype(str), return_inverse=True)
            words.append(self._cells(column.name, distinct.tolist(), ())[places])
        return _coded(rows, words, [columns[column.name] for column in self.inputs.numbers])

    def code_batch(self, batch: "pa.RecordBatch") -> Coded:
        """Return the model's columns of Arrow rows. Raises BadInput naming the column that is not of its kind."""
        import pyarrow as pa

        words = [self._words(batch.column(one.name), one.name, one.missing) for one in self.inputs.categories]
        numbers = []
        for column in self.inputs.numbers:
            values = batch.column(column.name)
            if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
                raise _not_its_kind(column.name, "a number", "numbers or empty", values)
            exact = values.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
            numbers.append(read_numbers(exact, column.name, column.missing))
        return _coded(batch.num_rows, words, numbers)

    def _words(self, values: "pa.Array", name: str, missing: Sequence[str]) -> NDArray[np.int32]:
        import pyarrow as pa

        if not pa.types.is_dictionary(values.type):
            values = values.dictionary_encode()
        if not (pa.types.is_string(values.type.value_type) or pa.types.is_large_string(values.type.value_type)):
            raise _not_its_kind(name, "text", "text or empty", values.dictionary)
        # the last place is that of claims that say nothing
        told = [MISSING if word is None else word for word in values.dictionary.to_pylist()]
        places = values.indices.cast(pa.int64()).fill_null(len(told)).to_numpy(zero_copy_only=False)
        return self._cells(name, [*told, MISSING], missing)[places]

    def _cells(self, name: str, words: list[str], missing: Sequence[str]) -> NDArray[np.int32]:
        known = (MISSING if word in missing else word for word in words)
        return np.array([self._ids.get(name + SEPARATOR + word, self._unseen[name]) for word in known], np.int32)


def decode(claims: Coded, inputs: Inputs) -> Columns:
    """Return columns that mean the same to a model; whatever it never saw becomes one word that it never saw."""
    cells = Cells.of(inputs)
    words = np.full(len(cells), UNSEEN, dtype=object)
    for key, cell in zip(cells.keys, cells.ids.tolist(), strict=True):
        words[cell] = key.split(SEPARATOR, 1)[1]
    texts = {column.name: words[claims.cells[:, place]] for place, column in enumerate(inputs.categories)}
    numbers = {column.name: claims.numbers[:, place] for place, column in enumerate(inputs.numbers)}
    return {name: texts[name] if name in texts else numbers[name] for name in inputs.names}


def _coded(rows: int, words: list[NDArray[np.int32]], numbers: list[NDArray[np.float32]]) -> Coded:
    return Coded(
        np.stack(words, axis=1) if words else np.zeros((rows, 0), np.int32),
        np.stack(numbers, axis=1).astype(np.float32, copy=False) if numbers else np.zeros((rows, 0), np.float32),
    )


def _not_its_kind(name: str, what: str, expected: str, values: "pa.Array") -> BadInput:
    return BadInput(f"column `{name}` is not {what}", expected=expected, arrived=str(values.type), column=name)
