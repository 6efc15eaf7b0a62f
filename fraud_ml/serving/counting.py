"""Count what a model was asked about, column by column, as the model reads it."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models.inputs import MISSING, Input, Inputs, read_numbers
from fraud_ml.validation.profile import BUCKET_OFFSET, BUCKETS_PER_E, FEW_VALUES
from fraud_ml.validation.served import ServedColumn

if TYPE_CHECKING:
    import pandas as pd


def count_claims(frame: "pd.DataFrame", inputs: Inputs) -> dict[str, ServedColumn]:
    """Return the counts of every column of the model, of claims as `serving/requests.py` makes them.

    Words outside the vocabulary are counted, and stand nowhere. A vocabulary of more than FEW_VALUES words is not told
    by its words, as in a snapshot's profile.
    """
    return {
        column.name: (_words if column.is_category else _numbers)(frame[column.name], column)
        for column in inputs.columns
    }


def buckets_of(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return `profile.bucket_of` of each finite number."""
    sizes = np.full(len(numbers), -BUCKET_OFFSET, dtype=np.int64)
    is_zero = numbers == 0
    sizes[~is_zero] = np.ceil(np.log(np.abs(numbers[~is_zero])) * BUCKETS_PER_E)
    return np.where(numbers < 0, -1, 1) * (BUCKET_OFFSET + sizes)


def _words(values: "pd.Series", column: Input) -> ServedColumn:
    import pandas as pd

    places, words = pd.factorize(values.to_numpy(dtype=object))  # each distinct word is looked at once
    rows = np.bincount(places[places >= 0], minlength=len(words)).tolist()
    found = {word: n for word, n in zip(words, rows, strict=True) if word not in (MISSING, *column.missing)}
    known = sum(found.values())
    if len(column.vocabulary) > FEW_VALUES:
        return ServedColumn(column.kind, len(values), known)
    counts = {word: found.get(word, 0) for word in column.vocabulary}
    return ServedColumn(column.kind, len(values), known, counts, known - sum(counts.values()))


def _numbers(values: "pd.Series", column: Input) -> ServedColumn:
    read = read_numbers(values.to_numpy(dtype=np.float64, na_value=np.nan), column.name, column.missing)
    known = read[~np.isnan(read)].astype(np.float64)
    buckets, rows = np.unique(buckets_of(known), return_counts=True)
    counts = dict(zip(map(str, buckets.tolist()), rows.tolist(), strict=True))
    return ServedColumn(column.kind, len(values), len(known), counts)
