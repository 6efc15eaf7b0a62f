"""Errors say what, expected, arrived and next, and keep their facts across processes."""

import pickle

import pytest

from fraud_ml.errors import BadInput, FraudMLError, NotAccepted, Rejected, Tampered, Unavailable


def test_message_reads_as_a_sentence() -> None:
    error = BadInput("a.csv:1: column missing", expected="Age", arrived="nothing", next_step="add it.")
    assert str(error) == "a.csv:1: column missing. Expected: Age. Arrived: nothing. Next: add it."


def test_error_survives_pickling_with_its_facts() -> None:
    error = pickle.loads(pickle.dumps(Tampered("x differs", expected="a", path="x", line=3)))
    assert isinstance(error, Tampered)
    assert error.facts == {"path": "x", "line": 3}
    assert str(error) == "x differs. Expected: a."


@pytest.mark.parametrize(
    ("kind", "code"), [(Rejected, 2), (BadInput, 2), (NotAccepted, 2), (Unavailable, 3), (FraudMLError, 1)]
)
def test_exit_code_says_whether_trying_again_may_help(kind: type[FraudMLError], code: int) -> None:
    assert kind.exit_code == code
