"""Every column is disturbed in every way that its kind knows, and what breaks is named."""

import numpy as np
import pytest

from fraud_ml.evaluation.disturbing import EVERYTHING, FARTHEST
from fraud_ml.models.inputs import Columns
from tests.toy_evaluations import disturbed, steady


def told(answer: object) -> dict[tuple[str, str], tuple[int, float]]:
    return {(one.column, one.kind): (one.broken, one.shift) for one in disturbed(answer)}


def test_a_sound_model_answers_everything_and_hardly_moves() -> None:
    found = told(steady)
    assert set(found) == {
        ("garage", "missing"),
        ("garage", "unseen"),
        ("amount", "missing"),
        ("amount", "extremely high"),
        ("amount", "extremely low"),
        (EVERYTHING, "missing"),
    }
    assert all(broken == 0 and shift < 0.1 for broken, shift in found.values())


def test_a_number_taken_as_it_comes_blows_the_scores_up() -> None:
    def naive(columns: Columns) -> np.ndarray:
        return 1 / (1 + np.exp(-np.clip(np.nan_to_num(columns["amount"], nan=1000.0) / 100 - 12, -50, 50)))

    found = told(naive)
    assert found["amount", "extremely high"][1] > 0.3
    assert found["garage", "missing"] == (0, 0.0)


def test_a_model_that_raises_on_an_unseen_value_is_asked_for_each_disturbance_alone() -> None:
    def strict(columns: Columns) -> np.ndarray:
        known = {"north": 0.1, "south": 0.2, "": 0.15}
        return np.array([known[value] for value in columns["garage"]])

    found = told(strict)
    assert found["garage", "unseen"][0] == 60
    assert [broken for kind, (broken, _) in found.items() if kind != ("garage", "unseen")] == [0] * 5


@pytest.mark.parametrize("answer", [np.nan, 1.5, -1.0])
def test_an_answer_that_is_no_probability_is_counted(answer: float) -> None:
    found = told(lambda columns: np.where(columns["amount"] == np.float32(FARTHEST), answer, 0.1))
    assert found["amount", "extremely high"][0] == 60
    assert found["amount", "extremely low"][0] == 0
