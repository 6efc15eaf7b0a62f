"""Golden claims: made-up inputs whose predictions travel with a model, to prove that a loaded copy answers alike.

They are nobody's claims: each column is drawn on its own, from the model's vocabulary and the training quantiles.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fraud_ml.artifacts import save
from fraud_ml.errors import Tampered
from fraud_ml.models.inputs import MISSING, Columns, Input, Inputs

GOLDEN_FILE = "golden.json"
GOLDEN_ROWS = 100
UNSEEN = "a category no training row held"
TOLERANCE = 1e-6  # other thread counts and processors differ in float32's last bits


def sample_golden(inputs: Inputs) -> Columns:
    """Return the same GOLDEN_ROWS synthetic claims for the same inputs; about 1 in 16 values is missing or unseen."""
    rng = np.random.default_rng(0)
    return {column.name: _sample(column, rng) for column in inputs.columns}


def _sample(column: Input, rng: np.random.Generator) -> NDArray:
    if column.is_category:
        values = np.array([*column.vocabulary, MISSING, UNSEEN], dtype=object)
    else:
        values = np.array([*column.quantiles, np.nan, 10 * max(column.quantiles, key=abs)], dtype=np.float32)
    usual = len(values) - 2
    share = np.array([15 / 16 / usual] * usual + [1 / 32, 1 / 32]) if usual else np.array([0.5, 0.5])
    return values[rng.choice(len(values), size=GOLDEN_ROWS, p=share)]


def save_golden(folder: Path, claims: Columns, predictions: NDArray[np.float64]) -> None:
    plain = {
        name: [None if isinstance(value, float) and np.isnan(value) else value for value in values.tolist()]
        for name, values in claims.items()
    }
    save({"claims": plain, "predictions": predictions.tolist()}, folder / GOLDEN_FILE)


def read_predictions(folder: Path) -> NDArray[np.float64]:
    """Return what the exported model in `folder` answered to its golden claims."""
    content = json.loads((folder / GOLDEN_FILE).read_text(encoding="utf-8"))
    return np.array(content["predictions"], np.float64)


def load_golden(folder: Path, inputs: Inputs) -> tuple[Columns, NDArray[np.float64]]:
    content = json.loads((folder / GOLDEN_FILE).read_text(encoding="utf-8"))
    claims = {
        column.name: np.array(content["claims"][column.name], dtype=object if column.is_category else np.float32)
        for column in inputs.columns
    }
    return claims, np.array(content["predictions"])


def require_golden(folder: Path, arrived: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    """Raise Tampered unless a loaded model answers the golden claims as it did when it was exported."""
    farthest = float(np.max(np.abs(arrived - expected))) if arrived.shape == expected.shape else float("inf")
    if not farthest <= TOLERANCE:
        raise Tampered(
            f"{folder}: the loaded model does not answer its golden claims as it did when it was exported",
            expected=f"probabilities within {TOLERANCE:g}",
            arrived=f"{farthest:.3g} apart",
            next_step="use the library versions it was trained with, or train again",
            path=str(folder / GOLDEN_FILE),
        )
