"""Waits, deferred, for what the ledger says: enough approvals of a candidate, and a scorer's answer to its promotion.

The triggerer polls with one short connection at a time, however many runs wait. A trigger only wakes its task; the task
reads the ledger again, so nothing that reaches it on the way from the triggerer can stand for an approval.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException
from airflow.triggers.base import BaseTrigger, TriggerEvent

from fraud_airflow.backfill import was_started_by_backfill, why_no_approval
from fraud_airflow.polling import Polling
from fraud_ml.errors import Rejected
from fraud_ml.settings import Settings

if TYPE_CHECKING:
    from fraud_ml.ledger import Entry, Ledger

_POLLING = Polling(longest_pause_s=30)


class LedgerTrigger(BaseTrigger):
    """Wakes its task when the ledger answers `question` about the candidate."""

    def __init__(self, question: str, candidate_digest: str, required: int, poll_s: float) -> None:
        super().__init__()
        self.question = question
        self.candidate_digest = candidate_digest
        self.required = required
        self.poll_s = poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            "fraud_airflow.waits.LedgerTrigger",
            {
                "question": self.question,
                "candidate_digest": self.candidate_digest,
                "required": self.required,
                "poll_s": self.poll_s,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await _POLLING.until(self._ask, self.poll_s)
        yield TriggerEvent({"question": self.question, "candidate_digest": self.candidate_digest})

    def _ask(self) -> bool:
        ledger = _ledger()
        if self.question == "approvals":
            return len(approvers_of(ledger, self.candidate_digest)) >= self.required
        return answer_to(ledger, self.candidate_digest) is not None


class _LedgerWait(BaseOperator):
    """A wait without a worker. `candidate` is what the registering task returned."""

    template_fields = ("candidate",)
    question: str

    def __init__(self, *, candidate: Any, poll_s: float = 1.0, waits_at_most: timedelta, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.candidate = candidate
        self.poll_s = poll_s
        self.waits_at_most = waits_at_most

    def execute(self, context: Context, event: Mapping[str, Any] | None = None) -> Any:  # noqa: ARG002 - Airflow's names
        answer = self.answer(_ledger())
        if answer is None:
            self._defer()
        return answer

    def answer(self, ledger: "Ledger") -> dict[str, Any] | None:
        """Return what the ledger says, or None as long as it says nothing."""
        raise NotImplementedError

    @property
    def required(self) -> int:
        return 0

    def _defer(self) -> NoReturn:
        self.defer(
            trigger=LedgerTrigger(self.question, self.candidate["candidate_digest"], self.required, self.poll_s),
            method_name="execute",
            timeout=self.waits_at_most,
        )
        raise AssertionError("defer() does not return")


class ApprovalWait(_LedgerWait):
    """Waits until enough distinct people have approved exactly that digest; promotion checks whether they may.

    In a run that a backfill started it is skipped, and so is all that follows: nobody is asked, nothing is promoted.
    """

    question = "approvals"
    ui_color = "#fdeed8"

    def execute(self, context: Context, event: Mapping[str, Any] | None = None) -> Any:
        if was_started_by_backfill(context):
            why = why_no_approval(self.candidate, self.dag_id)
            self.log.info("%s", why)
            raise AirflowSkipException(why)
        return super().execute(context, event)

    @property
    def required(self) -> int:
        return int(self.candidate["required_approvals"])

    def answer(self, ledger: "Ledger") -> dict[str, Any] | None:
        digest = self.candidate["candidate_digest"]
        people = approvers_of(ledger, digest)
        self.log.info(
            "Candidate %s: %d of %d approvals (%s)", digest, len(people), self.required, ", ".join(people) or "-"
        )
        if len(people) >= self.required:
            return {"candidate_digest": digest, "approved_by": list(people)}
        self.log.info("Waiting. Approve it with: fraud-ml approve %s --key <your key file>", digest)
        return None


class AcknowledgementWait(_LedgerWait):
    """Waits until a scorer has answered the promotion. Raises Rejected with its reason when it refused the model."""

    question = "answer"
    ui_color = "#fdeed8"

    def answer(self, ledger: "Ledger") -> dict[str, Any] | None:
        from fraud_ml.ledger import EntryKind

        digest = self.candidate["candidate_digest"]
        entry = answer_to(ledger, digest)
        if entry is None:
            self.log.info("Candidate %s is promoted; no scorer has answered yet", digest)
            return None
        scorer = str(entry.body.get("scorer") or entry.actor)
        if entry.kind == EntryKind.REFUSED:
            raise Rejected(
                f"scorer {scorer} refuses candidate {digest[:12]}: {entry.body.get('reason') or 'no reason given'}",
                next_step="the model served before goes on serving; retrain, or restore the registered files",
            )
        self.log.info("Candidate %s is served by %s", digest, scorer)
        return {"candidate_digest": digest, "scorer": scorer, "sequence": entry.seq}


def approvers_of(ledger: "Ledger", candidate_digest: str) -> tuple[str, ...]:
    """Return the distinct people whose approval of exactly that digest stands in the ledger."""
    from fraud_ml.ledger import EntryKind

    entries = ledger.find(kind=EntryKind.APPROVED, subject=candidate_digest)
    return tuple(sorted({entry.actor for entry in entries}))


def answer_to(ledger: "Ledger", candidate_digest: str) -> "Entry | None":
    """Return the last answer to the latest promotion of the candidate, or None; an answer to an earlier one is none."""
    from fraud_ml.ledger import EntryKind

    entries = ledger.find(subject=candidate_digest)
    promoted = max((entry.seq for entry in entries if entry.kind == EntryKind.PROMOTED), default=None)
    if promoted is None:
        return None
    answers = [
        entry for entry in entries if entry.kind in (EntryKind.DEPLOYED, EntryKind.REFUSED) and entry.seq > promoted
    ]
    return max(answers, key=lambda entry: entry.seq, default=None)


def _ledger() -> "Ledger":
    from fraud_ml.ledger import Ledger

    return Ledger(Settings.load().ledger_url)
