"""A forest's file holds forest parts only, and nothing of the process that wrote it."""

from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from fraud_ml.errors import Tampered
from fraud_ml.models.inputs import Inputs
from fraud_ml.models.random_forest import FOREST_FILE, RandomForest, without_process


def grown(seed: int) -> RandomForestClassifier:
    rng = np.random.default_rng(0)
    return RandomForestClassifier(5, random_state=seed).fit(rng.random((60, 3)), rng.integers(0, 2, 60))


def test_equal_forests_give_equal_bytes_and_other_forests_others() -> None:
    first, second, other = (without_process(skops.io.dumps(grown(seed))) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_the_rewritten_file_loads_as_the_same_forest() -> None:
    forest = grown(1)
    loaded = skops.io.loads(without_process(skops.io.dumps(forest)), trusted=["sklearn.tree._tree.Tree", "numpy.dtype"])
    claims = np.random.default_rng(1).random((20, 3))
    np.testing.assert_array_equal(loaded.predict_proba(claims), forest.predict_proba(claims))


def test_a_file_with_foreign_types_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    import os

    skops.io.dump(make_pipeline(FunctionTransformer(os.system), grown(1)), tmp_path / FOREST_FILE)
    with pytest.raises(Tampered, match="types that no forest is made of"):
        RandomForest.open(tmp_path, Inputs(()))
