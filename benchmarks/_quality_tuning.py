"""Choose the peers' settings on training periods only, among twelve each.

`python -m benchmarks._quality_tuning carclaims [PEER …]` prints each peer's settings, best first, by average precision:
for car claims the mean of the forward quarters of 1995, for motor the validation window of an insurer (seed 11) that
the comparison never sees. What it found stands in `_quality_settings.py`.
"""

import sys
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from benchmarks import _quality_peers as peers
from benchmarks import _quality_rounds as rounds
from fraud_ml.models.family import Examples
from fraud_ml.models.inputs import describe_inputs, read_columns
from fraud_ml.models.ranking import average_precision

SEED = 11
GRIDS: dict[str, dict[str, tuple[Any, ...]]] = {  # twelve settings each
    "lightgbm": {
        "num_leaves": (6, 15, 31),
        "n_estimators": (100, 300),
        "learning_rate": (0.03, 0.05),
        "colsample_bytree": (0.7,),
    },
    "xgboost": {
        "max_depth": (3, 4, 6),
        "n_estimators": (200, 400),
        "learning_rate": (0.03, 0.05),
        "colsample_bytree": (0.7,),
    },
    "random_forest": {
        "n_estimators": (100, 200),
        "min_samples_leaf": (1, 3, 10),
        "max_features": ("sqrt", 0.3),
    },
    "logistic": {"C": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0), "class_weight": (None, "balanced")},
}


def settings_of(peer: str) -> Iterator[dict[str, Any]]:
    """Yield each setting of the peer's grid."""
    grid = GRIDS[peer]
    yield from (dict(zip(grid, values, strict=True)) for values in product(*grid.values()))


def pairs(dataset: str) -> list[tuple[Examples, Examples, Any]]:
    """Return (learn from, answer for, inputs) of training periods."""
    task = rounds.carclaims_forward() if dataset == "carclaims" else rounds.motor(SEED)
    frames = [(one.whole, one.test) if dataset == "carclaims" else (one.first, one.validation) for one in task.rounds]
    found = []
    for learn, answer in frames:
        inputs = describe_inputs(learn, task.features)
        early, late = (Examples(read_columns(frame, inputs), frame["label"].to_numpy()) for frame in (learn, answer))
        found.append((early, late, inputs))
    return found


def tune(dataset: str, peer: str) -> list[tuple[float, dict[str, Any]]]:
    """Return (mean average precision, setting) of every setting, the best first."""
    tried = []
    on = pairs(dataset)
    for setting in settings_of(peer):
        fit = getattr(peers, peer)(setting)
        reached = [average_precision(late.labels, fit(inputs, early, SEED)(late.columns)) for early, late, inputs in on]
        tried.append((round(float(np.mean(reached)), 4), setting))
    return sorted(tried, key=lambda one: -one[0])


if __name__ == "__main__":
    for name in sys.argv[2:] or GRIDS:
        for reached, setting in tune(sys.argv[1], name):
            print(name, reached, setting, flush=True)
