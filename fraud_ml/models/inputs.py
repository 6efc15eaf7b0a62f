"""What a model takes: its columns, the vocabulary and the spread that training saw, and how a frame is read by them.

Every family reads its claims through here: a wrong type, an unseen category and a missing value mean the same to all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fraud_ml.contract import Column, Kind
from fraud_ml.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

# Category columns as object arrays of str ("" = missing), number columns as float32 (NaN = missing); all of one length.
Columns = Mapping[str, NDArray]

MISSING = ""
# Values in fewer training rows are not named in a model: they teach it what "unseen" means, and point at people.
RARE = 5
MOST_VALUES = 50_000  # more than any country has towns, fewer than an insurer has policies
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Input:
    """One feature as training saw it. A category has a vocabulary; a number has mean, spread and quantiles.

    `missing` are the source's spellings of "not known". The log has them as empty already; a caller who scores a claim
    sends what the source says, and means the same.
    """

    name: str
    kind: Kind
    vocabulary: tuple[str, ...] = ()
    mean: float = 0.0
    spread: float = 1.0
    quantiles: tuple[float, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def is_category(self) -> bool:
        return self.kind is Kind.CATEGORY


@dataclass(frozen=True)
class Inputs:
    """All features of a model, in the contract's order."""

    columns: tuple[Input, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def categories(self) -> tuple[Input, ...]:
        return tuple(column for column in self.columns if column.is_category)

    @property
    def numbers(self) -> tuple[Input, ...]:
        return tuple(column for column in self.columns if not column.is_category)


def describe_inputs(frame: "pd.DataFrame", features: Sequence[Column]) -> Inputs:
    """Return what the training window says about `features`.

    Raises BadInput for a column that is absent, has the wrong type, or holds one value only: it can teach nothing, and
    mostly means that its feed broke. So it does for a category of more than MOST_VALUES values, which names claims.
    """
    for column in features:
        if column.kind is Kind.TIMESTAMP:
            raise BadInput(
                f"column `{column.name}` is a timestamp and cannot be a feature",
                expected="role: time or context",
                next_step="correct its role in contract.yaml",
            )
    bare = Inputs(tuple(Input(column.name, column.kind, missing=column.missing) for column in features))
    read = read_columns(frame, bare)
    return Inputs(tuple(_describe(column, read[column.name]) for column in features))


def _describe(column: Column, values: NDArray) -> Input:
    if column.kind is Kind.CATEGORY:
        found, counts = np.unique(values.astype(str), return_counts=True)
        vocabulary = tuple(
            str(v) for v, n in zip(found.tolist(), counts.tolist(), strict=True) if v != MISSING and n >= RARE
        )
        distinct = len(found)
        if distinct > MOST_VALUES:
            raise BadInput(
                f"column `{column.name}` holds {distinct:,} different values in {len(values):,} training claims",
                expected=f"a category of at most {MOST_VALUES:,}",
                next_step="group its values at the source, or give it `role: context` in contract.yaml",
                column=column.name,
            )
        described = Input(column.name, column.kind, vocabulary, missing=column.missing)
    else:
        known = values[~np.isnan(values)].astype(np.float64)
        distinct = len(np.unique(known)) + int(len(known) < len(values))
        if len(known):
            spread = float(known.std()) or 1.0
            quantiles = tuple(float(np.float32(q)) for q in np.quantile(known, QUANTILES, method="lower"))
            described = Input(
                column.name, column.kind, (), float(known.mean()), spread, quantiles, missing=column.missing
            )
    if distinct < 2:
        raise BadInput(
            f"column `{column.name}` holds one and the same value in all {len(values)} training claims",
            expected="at least two different values",
            next_step="mend its feed, or give it `role: context` in contract.yaml",
            column=column.name,
        )
    return described


def read_columns(frame: "pd.DataFrame", inputs: Inputs) -> Columns:
    """Return the model's columns out of `frame`, in float32 and str; other columns are ignored.

    Raises BadInput naming the column that is absent, or whose values are not of its kind.
    """
    absent = [name for name in inputs.names if name not in frame.columns]
    if absent:
        raise BadInput(
            f"column `{absent[0]}` is not there",
            expected=f"the model's {len(inputs.names)} columns",
            arrived=f"{len(absent)} of them missing",
            next_step="send every column; a value that is not known may be empty",
            column=absent[0],
        )
    return {c.name: (_texts if c.is_category else _numbers)(frame[c.name], c.missing) for c in inputs.columns}


def _texts(values: "pd.Series", missing: Sequence[str]) -> NDArray:
    known = values.notna().to_numpy()
    texts = np.full(len(values), MISSING, dtype=object)
    texts[known] = values.to_numpy(dtype=object)[known]
    wrong = next((type(value).__name__ for value in texts if not isinstance(value, str)), None)
    if wrong:
        raise BadInput(
            f"column `{values.name}` is not text", expected="text or empty", arrived=wrong, column=str(values.name)
        )
    for spelling in missing:
        texts[texts == spelling] = MISSING
    return texts


def _numbers(values: "pd.Series", missing: Sequence[str]) -> NDArray[np.float32]:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if values.isna().all():
        return np.full(len(values), np.nan, dtype=np.float32)
    if values.dtype == object:
        values = values.infer_objects()
    if not is_numeric_dtype(values.dtype) or is_bool_dtype(values.dtype):
        raise BadInput(
            f"column `{values.name}` is not a number",
            expected="numbers or empty",
            arrived=str(values.dtype),
            column=str(values.name),
        )
    return read_numbers(values.to_numpy(dtype=np.float64, na_value=np.nan), str(values.name), missing)


def read_numbers(exact: NDArray[np.float64], name: str, missing: Sequence[str]) -> NDArray[np.float32]:
    """Return a column's numbers in float32, NaN where missing. Raises BadInput for one without bound."""
    for spelling in filter(_is_number, missing):
        exact = np.where(exact == float(spelling), np.nan, exact)
    with np.errstate(over="ignore"):
        read = exact.astype(np.float32)
    if np.isinf(read).any():
        raise BadInput(
            f"column `{name}` holds a number without bound",
            expected="finite numbers or empty",
            arrived=f"{int(np.isinf(read).sum())} infinite values",
            column=name,
        )
    return read


def _is_number(spelling: str) -> bool:
    try:
        float(spelling)
    except ValueError:
        return False
    return True
