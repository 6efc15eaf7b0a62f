"""What each column adds to a random forest's probability: on each tree's way, the nodes' changes (Saabas 2014)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from fraud_ml.models.inputs import Inputs


class ForestPaths:
    """What each node of each tree has gathered on the way from its root, computed once."""

    def __init__(self, pipeline: Pipeline, inputs: Inputs) -> None:
        self._encode = pipeline["encode"]
        self._trees = [estimator.tree_ for estimator in pipeline["forest"].estimators_]
        column_of = _columns_of_encoded(pipeline, inputs)
        chances = [tree.value[:, 0, 1] / tree.value[:, 0, :].sum(axis=1) for tree in self._trees]
        self.base = float(np.mean([chance[0] for chance in chances]))  # the forest's mean probability
        self._shares = []
        for tree, chance in zip(self._trees, chances, strict=True):
            shares = np.zeros((tree.node_count, len(inputs.columns)))
            for node in np.flatnonzero(tree.children_left >= 0).tolist():  # parents stand before their children
                for child in (tree.children_left[node], tree.children_right[node]):
                    shares[child] = shares[node]
                    shares[child, column_of[tree.feature[node]]] += chance[child] - chance[node]
            self._shares.append(shares)

    def contributions(self, table: NDArray[Any]) -> NDArray[np.float64]:
        """Return (n_claims, n_columns) what columns add to the base, as in `Inputs.columns`.

        table: (n_claims, n_columns) as the pipeline takes it.
        """
        encoded = np.asarray(self._encode.transform(table), dtype=np.float32)
        told = [shares[tree.apply(encoded)] for tree, shares in zip(self._trees, self._shares, strict=True)]
        return np.mean(told, axis=0, dtype=np.float64)


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
