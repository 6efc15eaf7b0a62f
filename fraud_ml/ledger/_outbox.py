"""Events that were decided but not yet confirmed by the broker: what to send next, and whether each is vouched for."""

from collections.abc import Iterator, Mapping
from typing import Any

from fraud_ml.events import Event, envelope_digest

_PENDING = """
select envelope from outbox as waiting
where sent_at is null and next_attempt_at <= now() and not exists (
  select 1 from outbox as earlier
  where earlier.dataset = waiting.dataset and earlier.seq < waiting.seq
    and earlier.sent_at is null and earlier.next_attempt_at > now())
order by seq limit :limit
"""
_FAILED = """
update outbox set attempts = attempts + 1, last_failure = :reason,
  next_attempt_at = now() + least(5.0, 0.25 * power(2, least(attempts, 10))) * interval '1 second'
where event_id = :id and sent_at is null
"""


def add(connection: Any, seq: int, event: Event, envelope: bytes) -> None:
    from sqlalchemy import text

    connection.execute(
        text("insert into outbox (event_id, seq, dataset, envelope) values (:id, :seq, :dataset, :envelope)"),
        {"id": event.id, "seq": seq, "dataset": event.dataset, "envelope": envelope.decode()},
    )


def pending(connection: Any, limit: int) -> tuple[Event, ...]:
    from sqlalchemy import text

    rows = connection.execute(text(_PENDING), {"limit": limit})
    return tuple(Event.from_json(envelope.encode()) for (envelope,) in rows)


def waiting(connection: Any) -> int:
    from sqlalchemy import text

    count: int = connection.execute(text("select count(*) from outbox where sent_at is null")).scalar_one()
    return count


def mark_sent(connection: Any, event_id: str) -> None:
    from sqlalchemy import text

    connection.execute(
        text("update outbox set sent_at = now(), attempts = attempts + 1 where event_id = :id and sent_at is null"),
        {"id": event_id},
    )


def mark_failed(connection: Any, event_id: str, reason: str) -> None:
    from sqlalchemy import text

    connection.execute(text(_FAILED), {"id": event_id, "reason": reason})


def problems(connection: Any, vouched: Mapping[int, tuple[str | None, str | None]]) -> Iterator[str]:
    """Yield what in outbox and inbox no entry vouches for.

    `vouched` holds (event id, envelope digest) of every entry that carries an event, (None, None) for a broken entry.
    """
    from sqlalchemy import text

    present = set()
    for event_id, seq, envelope in connection.execute(text("select event_id, seq, envelope from outbox order by seq")):
        present.add(seq)
        if seq not in vouched:
            yield f"event {event_id}: no entry vouches for it (it names entry {seq})"
        elif vouched[seq][0] is None:
            yield f"event {event_id}: entry {seq}, which should vouch for it, is broken"
        elif vouched[seq] != (event_id, envelope_digest(envelope.encode())):
            yield f"event {event_id}: its bytes are not those that entry {seq} vouches for"
    for seq, (expected_id, _) in vouched.items():
        if expected_id is not None and seq not in present:
            yield f"entry {seq}: its event {expected_id} is missing from the outbox"
    orphans = "select event_id, seq from inbox where seq not in (select seq from entries) order by seq"
    for event_id, seq in connection.execute(text(orphans)):
        yield f"received event {event_id}: its entry {seq} is missing"
