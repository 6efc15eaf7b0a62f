"""How triggers ask: until there is an answer, slower while nobody answers, and no longer where asking cannot help."""

import asyncio

import pytest

from fraud_airflow.polling import Polling
from fraud_ml.errors import BadInput, FraudMLError, Unavailable

AWAY = Unavailable("the ledger does not answer")


def let_ask(*answers: bool | FraudMLError, longest_pause_s: float = 1.0) -> None:
    """Let a trigger ask every 10 ms, and give it these answers in turn; it asks for all of them and no more."""
    left = list(answers)

    def ask() -> bool:
        answer = left.pop(0)
        if isinstance(answer, FraudMLError):
            raise answer
        return answer

    asyncio.run(Polling(longest_pause_s=longest_pause_s).until(ask, 0.01))
    assert not left


def test_asks_until_there_is_an_answer() -> None:
    let_ask(False, False, True)


def test_error_that_asking_again_will_not_mend_wakes_the_task_which_says_it() -> None:
    let_ask(False, BadInput("the candidate is no digest"))


@pytest.mark.parametrize(("longest", "pauses"), [(1.0, [0.02, 0.04, 0.02]), (0.03, [0.02, 0.03, 0.02])])
def test_pauses_double_up_to_the_longest_while_nobody_answers(
    longest: float, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    let_ask(AWAY, AWAY, False, AWAY, True, longest_pause_s=longest)
    assert [record.args[0] for record in caplog.records if record.args] == pauses  # type: ignore[index]
