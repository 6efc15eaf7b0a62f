"""Leaves found by look-ups are those that are found by walking, for trees of every depth that look-ups serve."""

import numpy as np
import pandas as pd
import pytest

from fraud_ml.contract import Column, Kind, Role
from fraud_ml.models.boosted_trees import Forest
from fraud_ml.models.cells import Cells
from fraud_ml.models.coding import Coder
from fraud_ml.models.conditions import Conditions, Questions, choose_questions
from fraud_ml.models.grow_trees import LEAF, Trees
from fraud_ml.models.inputs import describe_inputs, read_columns
from fraud_ml.models.leaf_masks import DEEPEST, LeafMasks
from fraud_ml.models.tensorflow_runtime import tf

FEATURES = [
    Column(name="fault", kind=Kind.CATEGORY, role=Role.FEATURE),
    Column(name="change", kind=Kind.CATEGORY, role=Role.FEATURE),
    Column(name="age_years", kind=Kind.NUMBER, role=Role.FEATURE),
    Column(name="amount_eur", kind=Kind.NUMBER, role=Role.FEATURE),
]


@pytest.mark.parametrize("depth", [1, 4, DEEPEST, DEEPEST + 1])
def test_looked_up_leaves_are_those_walked_to(depth: int) -> None:
    rng = np.random.default_rng(depth)
    frame = pd.DataFrame(
        {
            "fault": rng.choice(["own", "third", None], 600),
            "change": rng.choice(["no", "yes", "maybe"], 600),
            "age_years": rng.choice([np.nan, *range(18, 90)], 600),
            "amount_eur": rng.lognormal(7, 1, 600).round(),
        }
    )
    inputs = describe_inputs(frame, FEATURES)
    cells, coded = Cells.of(inputs), Coder(inputs).code(read_columns(frame, inputs))
    pairs = np.array([[1, 5], [0, 4]], np.int32)
    questions = choose_questions(read_columns(frame, inputs), coded.cells, inputs, cells, pairs, bins=9)
    conditions = Conditions(inputs, cells, questions)
    asked = rng.integers(0, len(questions) + 1, (2, 30, 2**depth - 1)).astype(np.int32)  # the last asks nothing
    leaves = (rng.integers(-LEAF, LEAF, (2, 30, 2**depth)) / LEAF).astype(np.float32)
    forest = Forest(conditions, Trees(asked, leaves), prior=-2.0)
    edges = frame.assign(age_years=rng.choice([*questions.thresholds, 17.0, 1e9, np.nan], 600), fault="never seen")
    for claims in (frame, edges):
        coded = Coder(inputs).code(read_columns(claims, inputs))
        given = tf.constant(coded.cells), tf.constant(coded.numbers)
        walked = forest.logits(conditions.coded(*given)).numpy()
        np.testing.assert_array_equal(forest.coded(*given).numpy(), walked)
        assert len(np.unique(walked)) > 1
    assert (forest.masks is None) == (depth > DEEPEST)


def test_columns_of_very_many_words_are_walked() -> None:
    frame = pd.DataFrame(
        {"fault": [f"word {number // 5}" for number in range(100_000)], "change": ["no", "yes"] * 50_000}
    )
    inputs = describe_inputs(frame, FEATURES[:2])
    cells = Cells.of(inputs)
    nothing = np.zeros(0, np.int32)
    asked = np.arange(20_000, dtype=np.int32)
    questions = Questions(asked, nothing, nothing, nothing.astype(np.float32), np.zeros((0, 2), np.int32), asked * 0)
    conditions = Conditions(inputs, cells, questions)
    for trees, serves in ((80, True), (900, False)):
        grown = Trees(np.zeros((1, trees, 15), np.int32), np.zeros((1, trees, 16), np.float32))
        assert LeafMasks.serve(conditions, grown) is serves
