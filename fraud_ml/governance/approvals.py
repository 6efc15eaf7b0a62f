"""Approvals: a person signs exactly one candidate's digest with a key of their own (Ed25519).

The approvers file says who may approve, as {person: base64 public key}. An approval counts when the person stands in
that file and the signature over the statement is theirs; one person, or one key under two names, counts once.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fraud_ml.artifacts import canonical_json
from fraud_ml.errors import NotApproved
from fraud_ml.governance.candidates import registered_candidate
from fraud_ml.governance.keys import key_bytes, make_key, public_half, read_approvers, read_key
from fraud_ml.ledger import Entry, EntryKind, Ledger

__all__ = ["Approval", "approve", "make_key", "read_approvers", "recorded_approvals", "verify_approvals"]

STATEMENT_TYPE = "fraud_ml/approval/v1"  # domain separation: this signature means nothing anywhere else


@dataclass(frozen=True)
class Approval:
    """A person's signature under one candidate's digest. `signature` is base64, `at` ISO 8601."""

    person: str
    candidate_digest: str
    signature: str
    at: str

    def statement(self) -> bytes:
        """Return the bytes that are signed."""
        return canonical_json(
            {"type": STATEMENT_TYPE, "candidate_digest": self.candidate_digest, "person": self.person, "at": self.at}
        )


# --- approving ------------------------------------------------------------------------------------------------------


def approve(ledger: Ledger, candidate_digest: str, key_file: Path, *, approvers: Path) -> Entry:
    """Sign the candidate's digest and record it; approving again returns the first approval.

    Raises BadInput for an unknown candidate or an unusable key, NotApproved when the key's owner may not approve,
    NotAccepted when the candidate's own verdict says no.
    """
    registered, candidate = registered_candidate(ledger, candidate_digest)
    key = read_key(key_file)
    enrolled = read_approvers(approvers)
    public = public_half(key)
    owners = sorted(person for person, known in enrolled.items() if key_bytes(known) == key_bytes(public))
    if not owners:
        raise NotApproved(
            "this key belongs to nobody who may approve",
            expected=f"a key of one of the {len(enrolled)} people in {approvers.name}",
            next_step="`fraud-ml keys list` names them",
        )
    person = key_file.stem if key_file.stem in owners else owners[0]
    unsigned = Approval(person, candidate_digest, "", datetime.now(UTC).isoformat(timespec="seconds"))
    signature = base64.b64encode(key.sign(unsigned.statement())).decode()
    approval = Approval(person, candidate_digest, signature, unsigned.at)
    for earlier in recorded_approvals(ledger, candidate_digest):
        if earlier.person == person and not _flaw(earlier, candidate_digest, enrolled):
            return _entry_of(ledger, earlier)
    return ledger.append(
        EntryKind.APPROVED,
        dataset=candidate.dataset,
        subject=candidate_digest,
        actor=person,
        body={"approval": asdict(approval), "registered": registered.seq},
    )


# --- counting -------------------------------------------------------------------------------------------------------


def recorded_approvals(ledger: Ledger, candidate_digest: str) -> tuple[Approval, ...]:
    """Return what the ledger holds as approvals of the candidate, good or not."""
    entries = ledger.find(kind=EntryKind.APPROVED, subject=candidate_digest)
    return tuple(found for entry in entries if (found := _revived(entry.body)) is not None)


def verify_approvals(
    candidate_digest: str, approvals: Iterable[Approval], approvers: Mapping[str, str], required: int
) -> tuple[Approval, ...]:
    """Return the approvals that count, one for each person and key; an approval with a flaw does not count.

    Raises NotApproved, saying which were set aside and why, when fewer than `required` count, or `required` is below 1.
    """
    counted: list[Approval] = []
    set_aside: list[str] = []
    people: set[str] = set()
    keys: set[bytes] = set()
    for approval in approvals:
        flaw = _flaw(approval, candidate_digest, approvers)
        if flaw:
            set_aside.append(f"{approval.person}: {flaw}")
            continue
        key = key_bytes(approvers[approval.person])
        assert key is not None, "a signature was checked with it"
        if approval.person in people:
            set_aside.append(f"{approval.person}: approved already")
        elif key in keys:
            set_aside.append(f"{approval.person}: the same key counted under another name")
        else:
            counted.append(approval)
            people.add(approval.person)
            keys.add(key)
    if required < 1 or len(counted) < required:
        raise NotApproved(
            f"candidate {candidate_digest[:12]} is not approved",
            expected=f"{max(required, 1)} distinct people approving this digest",
            arrived=f"{len(counted)}" + (f" (set aside: {'; '.join(set_aside)})" if set_aside else ""),
            next_step=f"fraud-ml approve {candidate_digest} --key FILE",
            counted=len(counted),
            required=required,
        )
    return tuple(counted)


def _flaw(approval: Approval, candidate_digest: str, approvers: Mapping[str, str]) -> str | None:
    """Return why the approval does not count, if it does not."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if approval.candidate_digest != candidate_digest:
        return f"approved another digest ({approval.candidate_digest[:12]})"
    key = key_bytes(approvers.get(approval.person, ""))
    if key is None:
        return "is not among those who may approve"
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(
            base64.b64decode(approval.signature, validate=True), approval.statement()
        )
    except (InvalidSignature, binascii.Error, ValueError):
        return "the signature is not theirs"
    return None


# --- inside ---------------------------------------------------------------------------------------------------------


def _revived(body: Mapping[str, Any]) -> Approval | None:
    found = body.get("approval")
    try:
        approval = Approval(**found) if isinstance(found, dict) else None
    except TypeError:
        return None
    return approval if approval and all(isinstance(value, str) for value in vars(approval).values()) else None


def _entry_of(ledger: Ledger, approval: Approval) -> Entry:
    entries = ledger.find(kind=EntryKind.APPROVED, subject=approval.candidate_digest)
    return next(entry for entry in entries if _revived(entry.body) == approval)
