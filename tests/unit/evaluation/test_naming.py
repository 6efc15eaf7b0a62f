"""What a claim's name tells about fraud is found, and nothing is found where it tells nothing."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fraud_ml.evaluation.naming import scores_by_name

RNG = np.random.default_rng(0)
LABELS = (RNG.random(4000) < 0.08).astype(float)
NUMBERS = RNG.integers(0, 10**6, 4000)


def reached(names: list[str]) -> float:
    given = np.array(names, dtype=object)
    scores = scores_by_name(given[:2500], LABELS[:2500], given[2500:])
    return float(roc_auc_score(LABELS[2500:], scores))


@pytest.mark.parametrize(
    "spelled",
    [
        lambda number, fraud: f"{'SIU' if fraud else 'CLM'}-{number:06d}",
        lambda number, fraud: f"CLM-{number:06d}{'-X' if fraud else ''}",
        lambda number, fraud: f"{number - number % 10 + (7 if fraud else number % 7)}",
        lambda number, fraud: f"{'9' if fraud else '1'}{number:06d}/24",
    ],
)
def test_a_prefix_a_suffix_a_last_digit_and_a_number_range_tell(spelled: object) -> None:
    names = [spelled(int(number), bool(fraud)) for number, fraud in zip(NUMBERS, LABELS, strict=True)]
    assert reached(names) > 0.9


def test_running_numbers_and_random_ones_tell_nothing() -> None:
    assert 0.42 < reached([f"C{number:06d}" for number in NUMBERS]) < 0.58
    assert 0.42 < reached([str(number) for number in range(4000)]) < 0.58


def test_a_name_of_letters_never_seen_is_as_usual() -> None:
    scores = scores_by_name(np.array(["a1", "a2", "b3"]), np.array([1.0, 0, 0]), np.array(["zz", "ab"], dtype=object))
    assert scores[0] == scores_by_name(np.array(["a1", "a2", "b3"]), np.array([1.0, 0, 0]), np.array(["yy"]))[0]
    assert scores[1] > scores[0]
