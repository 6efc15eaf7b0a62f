"""Pairs of cells that hold far more fraud than both alone explain are found; others are not invented."""

import numpy as np

from fraud_ml.contract import Kind
from fraud_ml.models.cells import Cells
from fraud_ml.models.crosses import MIN_ROWS, screen_crosses
from fraud_ml.models.inputs import Input, Inputs

CELLS = Cells.of(
    Inputs((Input("fault", Kind.CATEGORY, ("own", "third")), Input("change", Kind.CATEGORY, ("no", "yes"))))
)  # 0 own, 1 third, 2 missing, 3 unseen; 4 no, 5 yes, 6 missing, 7 unseen
NO_NUMBERS = np.zeros((2000, 0), np.float32)


def claims(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.choice([0, 1], 2000, p=[0.7, 0.3]), rng.choice([4, 5], 2000, p=[0.9, 0.1])], 1).astype(
        np.int32
    )


def test_cells_number_every_value_then_missing_then_unseen() -> None:
    assert len(CELLS) == 8
    assert CELLS.keys == ("fault\x1fown", "fault\x1fthird", "fault\x1f", "change\x1fno", "change\x1fyes", "change\x1f")
    assert CELLS.unseen.tolist() == [3, 7]


def test_a_planted_pair_comes_first() -> None:
    ids = claims()
    pair = (ids[:, 0] == 1) & (ids[:, 1] == 5)
    labels = (np.random.default_rng(1).random(2000) < np.where(pair, 0.6, 0.05)).astype(np.int8)
    found = screen_crosses(ids, NO_NUMBERS, labels, CELLS, count=1)
    # in a 2 × 2 table all four cells tell the same story; the planted one is the most surprising
    assert found.tolist() == [[1, 5]]


def test_a_pair_seen_too_rarely_is_never_taken() -> None:
    ids = claims()
    ids[: MIN_ROWS - 1] = [3, 7]
    labels = np.zeros(2000, np.int8)
    labels[: MIN_ROWS - 1] = 1
    labels[-50:] = 1
    found = screen_crosses(ids, NO_NUMBERS, labels, CELLS, count=20)
    assert [3, 7] not in found.tolist()


def test_pairs_are_of_two_columns_and_asked_for_at_most() -> None:
    labels = (np.random.default_rng(1).random(2000) < 0.1).astype(np.int8)
    found = screen_crosses(claims(), NO_NUMBERS, labels, CELLS, count=3)
    assert len(found) <= 3
    assert (CELLS.column[found[:, 0]] < CELLS.column[found[:, 1]]).all()


def test_no_pairs_are_sought_when_none_are_wanted_or_there_is_one_column() -> None:
    labels = np.resize([0, 1], 2000).astype(np.int8)
    assert screen_crosses(claims(), NO_NUMBERS, labels, CELLS, count=0).shape == (0, 2)
    assert screen_crosses(claims()[:, :1], NO_NUMBERS, labels, CELLS, count=5).shape == (0, 2)
