"""What the waits make of a real ledger."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred

from fraud_airflow.waits import AcknowledgementWait, ApprovalWait, LedgerTrigger, answer_to, approvers_of
from fraud_ml.errors import Rejected, Unavailable
from fraud_ml.ledger import EntryKind, Ledger

pytestmark = pytest.mark.stack
CANDIDATE, ANOTHER = "ab" * 32, "cd" * 32
Note = Callable[..., Any]


@pytest.fixture
def note(ledger: Ledger) -> Note:
    def append(kind: EntryKind, actor: str = "somebody", subject: str = CANDIDATE, **body: object) -> None:
        ledger.append(kind, dataset="motor", subject=subject, actor=actor, body=body)

    return append


def approval(required: int = 2) -> ApprovalWait:
    candidate = {"candidate_digest": CANDIDATE, "required_approvals": required}
    with DAG("waiting", schedule=None):
        return ApprovalWait(task_id="approval", candidate=candidate, waits_at_most=timedelta(days=1))


def acknowledgement() -> AcknowledgementWait:
    with DAG("waiting", schedule=None):
        return AcknowledgementWait(
            task_id="acknowledgement", candidate={"candidate_digest": CANDIDATE}, waits_at_most=timedelta(days=1)
        )


async def wakes(trigger: LedgerTrigger, *, after: Callable[[], None], limit_s: float = 10.0) -> dict[str, Any]:
    """Run a trigger, do `after` once it has polled, and return the event that it then gives."""
    events = trigger.run()
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    await asyncio.to_thread(after)
    payload: dict[str, Any] = (await asyncio.wait_for(waiting, limit_s)).payload
    return payload


# --- approvals ---


def test_enough_approvals_let_the_run_go_on_without_deferring(note: Note) -> None:
    note(EntryKind.APPROVED, "ana")
    note(EntryKind.APPROVED, "ben")
    assert approval().execute({}) == {"candidate_digest": CANDIDATE, "approved_by": ["ana", "ben"]}  # type: ignore[typeddict-item]


def test_too_few_approvals_defer_the_task_with_what_it_waits_for(note: Note) -> None:
    note(EntryKind.APPROVED, "ana")
    with pytest.raises(TaskDeferred) as deferred:
        approval().execute({})  # type: ignore[typeddict-item]
    assert deferred.value.timeout == timedelta(days=1)
    path, facts = deferred.value.trigger.serialize()
    assert path == "fraud_airflow.waits.LedgerTrigger"
    assert (facts["candidate_digest"], facts["required"]) == (CANDIDATE, 2)


def test_two_approvals_by_one_person_count_once(note: Note, ledger: Ledger) -> None:
    note(EntryKind.APPROVED, "ana")
    note(EntryKind.APPROVED, "ana")
    assert approvers_of(ledger, CANDIDATE) == ("ana",)
    with pytest.raises(TaskDeferred):
        approval().execute({})  # type: ignore[typeddict-item]


def test_approval_of_another_digest_counts_nothing(note: Note, ledger: Ledger) -> None:
    note(EntryKind.APPROVED, "ana", ANOTHER)
    note(EntryKind.REGISTERED, "registry")
    assert approvers_of(ledger, CANDIDATE) == ()


def test_an_event_alone_does_not_stand_for_an_approval(note: Note) -> None:
    """The task asks the ledger again when it is woken."""
    note(EntryKind.APPROVED, "ana")
    with pytest.raises(TaskDeferred):
        approval().execute({}, event={"question": "approvals", "candidate_digest": CANDIDATE})  # type: ignore[typeddict-item]


def test_trigger_wakes_the_task_after_the_last_needed_approval(note: Note) -> None:
    note(EntryKind.APPROVED, "ana")
    trigger = LedgerTrigger("approvals", CANDIDATE, 2, 0.1)
    woken = asyncio.run(wakes(trigger, after=lambda: note(EntryKind.APPROVED, "ben")))
    assert woken["candidate_digest"] == CANDIDATE


def test_trigger_made_again_from_its_serialized_form_asks_the_same() -> None:
    trigger = LedgerTrigger("answer", CANDIDATE, 0, 0.5)
    _, facts = trigger.serialize()
    assert LedgerTrigger(**facts).serialize() == trigger.serialize()
    assert "postgresql" not in str(facts)


# --- the scorer's answer ---


def test_deployment_after_the_promotion_lets_the_run_go_on(note: Note) -> None:
    note(EntryKind.PROMOTED)
    note(EntryKind.DEPLOYED, scorer="scorer-1")
    assert acknowledgement().execute({})["scorer"] == "scorer-1"  # type: ignore[typeddict-item]


def test_refusal_ends_the_run_with_the_reason(note: Note) -> None:
    note(EntryKind.PROMOTED)
    note(EntryKind.REFUSED, scorer="scorer-1", reason="model.onnx differs from its digest")
    with pytest.raises(Rejected, match=r"scorer-1 refuses .* model\.onnx differs from its digest"):
        acknowledgement().execute({})  # type: ignore[typeddict-item]


def test_answer_to_an_earlier_promotion_is_none(note: Note, ledger: Ledger) -> None:
    note(EntryKind.PROMOTED)
    note(EntryKind.REFUSED, reason="damaged")
    note(EntryKind.PROMOTED)
    assert answer_to(ledger, CANDIDATE) is None
    with pytest.raises(TaskDeferred):
        acknowledgement().execute({})  # type: ignore[typeddict-item]


def test_last_answer_counts_when_a_scorer_recovered(note: Note, ledger: Ledger) -> None:
    note(EntryKind.PROMOTED)
    note(EntryKind.REFUSED, reason="damaged")
    note(EntryKind.DEPLOYED, scorer="scorer-1")
    found = answer_to(ledger, CANDIDATE)
    assert found is not None
    assert found.kind == EntryKind.DEPLOYED


def test_answer_about_another_candidate_is_none(note: Note, ledger: Ledger) -> None:
    note(EntryKind.PROMOTED)
    note(EntryKind.PROMOTED, subject=ANOTHER)
    note(EntryKind.DEPLOYED, subject=ANOTHER)
    assert answer_to(ledger, CANDIDATE) is None


def test_nothing_is_waited_for_before_the_promotion(note: Note, ledger: Ledger) -> None:
    note(EntryKind.DEPLOYED)
    assert answer_to(ledger, CANDIDATE) is None


def test_trigger_wakes_the_task_after_a_refusal_too(note: Note) -> None:
    note(EntryKind.PROMOTED)
    trigger = LedgerTrigger("answer", CANDIDATE, 0, 0.1)
    asyncio.run(wakes(trigger, after=lambda: note(EntryKind.REFUSED, reason="damaged")))


# --- a ledger that is away, many waits ---


def test_task_whose_ledger_does_not_answer_is_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("FRAUD_ML_LEDGER_URL", "postgresql+psycopg://nobody@127.0.0.1:9/ledger")
    monkeypatch.setenv("FRAUD_ML_HOME", str(tmp_path))
    with pytest.raises(Unavailable):
        approval().execute({})  # type: ignore[typeddict-item]


def test_trigger_outlives_a_ledger_that_is_away(note: Note, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    here = os.environ["FRAUD_ML_LEDGER_URL"]
    note(EntryKind.PROMOTED)
    note(EntryKind.DEPLOYED)
    monkeypatch.setenv("FRAUD_ML_LEDGER_URL", "postgresql+psycopg://nobody@127.0.0.1:9/ledger")
    trigger = LedgerTrigger("answer", CANDIDATE, 0, 0.1)
    asyncio.run(wakes(trigger, after=lambda: monkeypatch.setenv("FRAUD_ML_LEDGER_URL", here)))


def test_hundred_waits_hold_one_connection_at_a_time(note: Note, ledger: Ledger) -> None:
    import os

    import psycopg

    note(EntryKind.PROMOTED)
    most = 0
    with psycopg.connect(os.environ["FRAUD_ML_LEDGER_URL"].replace("+psycopg", ""), autocommit=True) as watcher:

        async def watch() -> None:
            nonlocal most
            for _ in range(20):
                row = watcher.execute(
                    "select count(*) from pg_stat_activity where application_name = 'fraud-ml ledger'"
                ).fetchone()
                assert row is not None
                most = max(most, row[0])
                await asyncio.sleep(0.05)

        async def all_wait() -> None:
            waiting = [
                asyncio.ensure_future(anext(LedgerTrigger("answer", CANDIDATE, 0, 0.05).run())) for _ in range(100)
            ]
            await watch()
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

        asyncio.run(all_wait())
    assert most <= 2  # one that asks, and perhaps one that PostgreSQL has not cleared away yet
