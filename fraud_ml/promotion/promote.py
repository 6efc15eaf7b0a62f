"""Promote a candidate: check again all that was approved, then decide it and tell the world in one transaction."""

from dataclasses import asdict
from datetime import UTC, datetime

from fraud_ml.errors import Tampered
from fraud_ml.events import Event, EventType
from fraud_ml.governance.approvals import read_approvers, recorded_approvals, verify_approvals
from fraud_ml.governance.candidates import registered_candidate
from fraud_ml.ledger import Entry, EntryKind, Ledger
from fraud_ml.settings import Settings

ACTOR = "fraud-ml promote"


def promote(settings: Settings, candidate_digest: str) -> Entry:
    """Record the promotion of an approved candidate, its event in the outbox; a second call returns the first entry.

    Raises BadInput for an unknown candidate, Tampered when anything registered does not recompute, NotAccepted when its
    evaluation said no, NotApproved when too few distinct people approved exactly this digest.
    """
    ledger = Ledger(settings.ledger_url)
    registered, candidate = registered_candidate(ledger, candidate_digest)
    required = registered.body.get("required_approvals")
    if not isinstance(required, int) or isinstance(required, bool):
        raise Tampered(f"ledger entry {registered.seq}: it does not say how many approvals are required", path="ledger")
    approvals = verify_approvals(
        candidate_digest,
        recorded_approvals(ledger, candidate_digest),
        read_approvers(settings.approvers),
        required,
    )
    promoted = {
        "dataset": candidate.dataset,
        "candidate_digest": candidate_digest,
        "approvals": [asdict(approval) for approval in approvals],
    }
    event = Event(
        id=f"promoted-{candidate_digest}",
        type=EventType.PROMOTED,
        source="fraud-ml/ledger",
        subject=candidate_digest,
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        data={**registered.body, **promoted},
    )
    return ledger.append(
        EntryKind.PROMOTED,
        dataset=candidate.dataset,
        subject=candidate_digest,
        actor=ACTOR,
        body={**promoted, "registered": registered.seq, "version": registered.body.get("version")},
        event=event,
        once=True,
    )
