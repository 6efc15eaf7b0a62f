"""How entries are chained: what an entry's digest is over, and what a broken chain looks like. Plain arithmetic."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from fraud_ml.artifacts import canonical_json, digest_of

GENESIS = "0" * 64


class EntryKind(StrEnum):
    """What was decided. The subject is a candidate's digest, for RUN_OPENED the run's key.

    For ERASED and READMITTED it is the SHA-256 of a person's pseudonym.
    """

    RUN_OPENED = "run_opened"
    REGISTERED = "registered"
    APPROVED = "approved"
    PROMOTED = "promoted"
    DEPLOYED = "deployed"
    REFUSED = "refused"
    ERASED = "erased"
    READMITTED = "readmitted"


@dataclass(frozen=True)
class Entry:
    """One decision. `seq` counts from 1 without gaps; `digest` is over all other fields, `previous` among them."""

    seq: int
    at: str  # ISO 8601, UTC
    kind: str
    dataset: str
    subject: str
    actor: str
    body: Mapping[str, Any]
    previous: str
    digest: str = ""

    def sealed(self) -> "Entry":
        """Return the same entry with its digest filled in."""
        return replace(
            self, digest=digest_of({f.name: getattr(self, f.name) for f in fields(self) if f.name != "digest"})
        )

    @property
    def event_id(self) -> str | None:
        """Identity of the event that was written to the outbox with this entry."""
        event = self.body.get("event")
        return event["id"] if isinstance(event, dict) and isinstance(event.get("id"), str) else None

    @property
    def event_digest(self) -> str | None:
        event = self.body.get("event")
        return event["digest"] if isinstance(event, dict) and isinstance(event.get("digest"), str) else None


@dataclass(frozen=True)
class Row:
    """An entry as it is stored, the body as text, before anybody believes it."""

    seq: int
    at: str
    kind: str
    dataset: str
    subject: str
    actor: str
    body: str
    previous: str
    digest: str

    @classmethod
    def of(cls, entry: Entry) -> "Row":
        stored = {f.name: getattr(entry, f.name) for f in fields(cls)}
        return cls(**{**stored, "kind": str(entry.kind), "body": canonical_json(dict(entry.body)).decode()})

    def entry(self) -> Entry | None:
        """Return the entry if its digest vouches for every byte of the row, else None."""
        try:
            body = json.loads(self.body)
            kind = EntryKind(self.kind) if self.kind in set(EntryKind) else self.kind
            found = Entry(
                self.seq, self.at, kind, self.dataset, self.subject, self.actor, body, self.previous, self.digest
            )
            is_whole = isinstance(body, dict) and Row.of(found) == self and found.sealed().digest == self.digest
        except (ValueError, RecursionError):
            return None
        return found if is_whole else None


def broken_links(rows: Iterable[Row], *, head_seq: int, head_digest: str) -> Iterator[str]:
    """Yield one sentence for each place, named by seq, at which the rows (by seq, rising) are not one whole chain."""
    expected_seq, previous = 1, GENESIS
    for row in rows:
        if row.seq > expected_seq:
            yield _missing(expected_seq, row.seq - 1)
        elif row.seq < expected_seq:
            yield f"entry {row.seq}: its number stands out of order"
        if row.seq <= expected_seq and row.previous != previous:
            yield f"entry {row.seq}: it does not follow entry {row.seq - 1}, whose digest differs from the one it names"
        if row.entry() is None:
            yield f"entry {row.seq}: its content is not what its digest was taken over"
        expected_seq, previous = row.seq + 1, row.digest
    if head_seq >= expected_seq:
        yield _missing(expected_seq, head_seq)
    elif (head_seq, head_digest) != (expected_seq - 1, previous):
        yield f"entry {expected_seq - 1}: it is not the last entry that was appended (the head names entry {head_seq})"


def _missing(first: int, last: int) -> str:
    return f"entry {first}: missing" if first == last else f"entries {first} to {last}: missing"
