"""What a model answers when the world sends what training never held: missing, unseen and extreme values."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fraud_ml.models import Predictor
from fraud_ml.models.golden import UNSEEN
from fraud_ml.models.inputs import Input

if TYPE_CHECKING:
    import pandas as pd

FARTHEST = 1e30  # as float32 it is still a number
EVERYTHING = "every column"


@dataclass(frozen=True)
class Disturbance:
    """What one kind of value in one column does. broken: answers that were no probability; shift: mean |change|."""

    column: str
    kind: str
    broken: int
    shift: float


def disturb(
    predictor: Predictor, window: "pd.DataFrame", answers: NDArray[np.float64], claims: int
) -> list[Disturbance]:
    """Return what each disturbance does to `claims` of the window, taken evenly; `answers` (n_claims,) are without it.

    A model that breaks on one of them is asked for each alone, and the guilty are those that break again.
    """
    import pandas as pd

    rows = np.unique(np.linspace(0, len(window) - 1, min(claims, len(window))).round().astype(int))
    sample, before = window.iloc[rows][list(predictor.inputs.names)], answers[rows]
    changed = list(_changed(predictor, sample))
    try:
        together = predictor.predict(pd.concat([frame for _, _, frame in changed], ignore_index=True))
        after = np.split(together, len(changed))
    except Exception:  # whatever a model raises here, it would raise while scoring
        after = [_alone(predictor, frame) for _, _, frame in changed]
    return [_compared(column, kind, before, given) for (column, kind, _), given in zip(changed, after, strict=True)]


def _changed(predictor: Predictor, sample: "pd.DataFrame") -> Iterator[tuple[str, str, "pd.DataFrame"]]:
    nothing = sample.copy()
    for column in predictor.inputs.columns:
        for kind, value in _values(column):
            yield column.name, kind, sample.assign(**{column.name: _filled(column, value, len(sample))})
        nothing[column.name] = _filled(column, _values(column)[0][1], len(sample))
    yield EVERYTHING, "missing", nothing


def _values(column: Input) -> list[tuple[str, str | float | None]]:
    if column.is_category:
        return [("missing", None), ("unseen", UNSEEN)]
    return [("missing", np.nan), ("extremely high", FARTHEST), ("extremely low", -FARTHEST)]


def _filled(column: Input, value: str | float | None, rows: int) -> NDArray:
    return np.full(rows, value, dtype=object if column.is_category else np.float64)


def _alone(predictor: Predictor, frame: "pd.DataFrame") -> NDArray[np.float64]:
    try:
        return predictor.predict(frame)
    except Exception:  # as above
        return np.full(len(frame), np.nan)


def _compared(column: str, kind: str, before: NDArray[np.float64], after: NDArray[np.float64]) -> Disturbance:
    whole = (after >= 0) & (after <= 1)
    shift = float(np.abs(after[whole] - before[whole]).mean()) if whole.any() else float("nan")
    return Disturbance(column, kind, int((~whole).sum()), shift)
