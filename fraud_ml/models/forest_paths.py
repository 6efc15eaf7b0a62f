"""What each column adds to a random forest's probability: on each tree's way, the nodes' changes (Saabas 2014)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from fraud_ml.models.inputs import Inputs


def told_by_paths(pipeline: Pipeline, table: NDArray[Any], inputs: Inputs) -> tuple[float, NDArray[np.float64]]:
    """Return the forest's mean probability, and (n_claims, n_columns) what columns add to it, as in `Inputs.columns`.

    table: (n_claims, n_columns) as the pipeline takes it.
    """
    encoded = np.asarray(pipeline["encode"].transform(table), dtype=np.float32)
    column_of = _columns_of_encoded(pipeline, inputs)
    forest = pipeline["forest"].estimators_
    base, contributions = 0.0, np.zeros((len(table), len(inputs.columns)))
    for estimator in forest:
        tree = estimator.tree_
        chance = tree.value[:, 0, 1] / tree.value[:, 0, :].sum(axis=1)
        shares = np.zeros((tree.node_count, len(inputs.columns)))
        for node in np.flatnonzero(tree.children_left >= 0).tolist():  # parents stand before their children
            for child in (tree.children_left[node], tree.children_right[node]):
                shares[child] = shares[node]
                shares[child, column_of[tree.feature[node]]] += chance[child] - chance[node]
        base += float(chance[0])
        contributions += shares[tree.apply(encoded)]
    return base / len(forest), contributions / len(forest)


def _columns_of_encoded(pipeline: Pipeline, inputs: Inputs) -> NDArray[np.int64]:
    """Return which of the inputs' columns each encoded feature comes from: words, then numbers, then missing flags."""
    names = list(inputs.names)
    found: list[str] = []
    for column in inputs.categories:
        found += [column.name] * (len(column.vocabulary) + 1)
    numbers = [column.name for column in inputs.numbers]
    imputer = pipeline["encode"].named_transformers_["numbers"]
    missing = imputer.indicator_.features_ if numbers and imputer.indicator_ is not None else []
    found += [*numbers, *(numbers[place] for place in missing)]
    return np.array([names.index(name) for name in found], np.int64)
