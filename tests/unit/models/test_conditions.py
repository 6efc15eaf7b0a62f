"""What trees ask about claims: words, what is not known, numbers above a training value, pairs of words."""

import numpy as np
import pandas as pd

from fraud_ml.contract import Column, Kind, Role
from fraud_ml.models.cells import Cells
from fraud_ml.models.conditions import Conditions, Questions, choose_questions
from fraud_ml.models.inputs import Columns, Inputs, describe_inputs, read_columns
from fraud_ml.models.tensorflow_runtime import tf

FEATURES = [
    Column(name="fault", kind=Kind.CATEGORY, role=Role.FEATURE),
    Column(name="change", kind=Kind.CATEGORY, role=Role.FEATURE),
    Column(name="age_years", kind=Kind.NUMBER, role=Role.FEATURE),
]
FRAME = pd.DataFrame(
    {
        "fault": ["own", "third"] * 20,
        "change": ["no"] * 20 + ["yes"] * 10 + [None] * 10,
        "age_years": [20.0, 30.0, 40.0, np.nan] * 10,
    }
)


def asked(frame: pd.DataFrame, *, bins: int = 8) -> tuple[Inputs, Cells, Questions, Columns]:
    inputs = describe_inputs(FRAME, FEATURES)
    cells, columns = Cells.of(inputs), read_columns(frame, inputs)
    plain = Conditions(
        inputs, cells, choose_questions(columns, np.zeros((1, 2), np.int32), inputs, cells, PAIR, bins=1)
    )
    ids = plain.lookup({name: tf.constant(values) for name, values in columns.items()}).numpy()
    return inputs, cells, choose_questions(columns, ids, inputs, cells, PAIR, bins=bins), columns


PAIR = np.array([[1, 5]], np.int32)  # fault = third and change = yes


def test_what_no_claim_or_every_claim_says_is_not_asked() -> None:
    _, cells, questions, _ = asked(FRAME)
    assert len(cells) == 8
    assert questions.cells.tolist() == [0, 1, 4, 5, 6]  # nobody's fault is missing, nothing is unseen
    assert questions.missing.tolist() == [0]
    assert questions.thresholds.tolist() == [20.0, 30.0]


def test_each_question_knows_its_column_and_each_pair_is_a_column_of_its_own() -> None:
    assert asked(FRAME)[2].column.tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 3]


def test_answers_are_the_claims_own() -> None:
    inputs, cells, questions, columns = asked(FRAME)
    answers = Conditions(inputs, cells, questions)({name: tf.constant(v) for name, v in columns.items()}).numpy()
    fault, change, age = FRAME["fault"], FRAME["change"], FRAME["age_years"]
    expected = [
        *(fault == "own", fault == "third", change == "no", change == "yes", change.isna()),
        *(age.isna(), age > 20, age > 30, (fault == "third") & (change == "yes")),
    ]
    np.testing.assert_array_equal(answers, np.stack(expected, axis=1))


def test_thresholds_part_a_number_evenly_and_far_out_and_are_training_values() -> None:
    frame = pd.concat([FRAME] * 25, ignore_index=True).assign(age_years=np.arange(1000.0))
    thresholds = asked(frame, bins=7)[2].thresholds
    even = [124.0, 249.0, 374.0, 499.0, 624.0, 749.0, 874.0]
    assert sorted(set(thresholds.tolist()) - set(even)) == [0.0, 2.0, 9.0, 989.0, 996.0, 998.0]
    assert set(even) <= set(thresholds.tolist())


def test_a_number_of_few_values_is_parted_between_all_of_them() -> None:
    frame = pd.concat([FRAME] * 25, ignore_index=True).assign(age_years=np.r_[np.zeros(996), 1.0, 2.0, 3.0, 4.0])
    assert asked(frame, bins=4)[2].thresholds.tolist() == [0.0, 1.0, 2.0, 3.0]
