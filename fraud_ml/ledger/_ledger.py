"""Append, find and verify entries; hand events out and take messages in, each in one transaction with its entry."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from fraud_ml.artifacts import canonical_json
from fraud_ml.errors import BadInput, Tampered, Unavailable
from fraud_ml.events import Event, envelope_digest
from fraud_ml.ledger import _outbox
from fraud_ml.ledger._chain import Entry, EntryKind, Row, broken_links
from fraud_ml.ledger._database import APPENDING, RELAYING, Database

_COLUMNS = "seq, at, kind, dataset, subject, actor, body, previous, digest"


@dataclass(frozen=True)
class Head:
    """The last entry's number and digest. Noted elsewhere, it shows later that nothing up to it was exchanged."""

    seq: int
    digest: str


class Ledger:
    """The record of decisions in one PostgreSQL database.

    Every method opens its own short connection and raises Unavailable when the database does not answer. Appending is
    safe from any number of processes: the chain has no gap and no fork. Every entry that is read is checked against its
    digest first; Tampered names the one that does not fit.
    """

    def __init__(self, url: str, *, lock_timeout_s: int = 15) -> None:
        self._database = Database(url, lock_timeout_s=lock_timeout_s)

    def migrate(self) -> None:
        """Bring the tables to this code's version; doing it twice, or twice at once, changes nothing."""
        self._database.migrate()

    # --- entries ----------------------------------------------------------------------------------------------------

    def append(
        self,
        kind: EntryKind,
        *,
        dataset: str,
        subject: str,
        actor: str,
        body: Mapping[str, Any],
        event: Event | None = None,
        once: bool = False,
    ) -> Entry:
        """Append an entry, and with it its event to the outbox: both or neither.

        The event's data gets `sequence`, the entry's number; the entry's body gets `event`, the id and digest of the
        envelope. With `once` the first entry of the same kind, subject and actor is returned if there is one, and
        nothing is written.
        """
        with self._appending() as connection:
            if once:
                earlier = self._select(connection, kind=kind, subject=subject, actor=actor)
                if earlier:
                    return earlier[0]
            return self._insert(connection, kind, dataset, subject, actor, body, event)

    def find(
        self, *, kind: EntryKind | None = None, dataset: str | None = None, subject: str | None = None
    ) -> tuple[Entry, ...]:
        """Return the entries that match all that is given, in the order in which they were appended."""
        with self._database.transaction() as connection:
            return self._select(connection, kind=kind, dataset=dataset, subject=subject)

    def latest(
        self, *, kind: EntryKind | None = None, dataset: str | None = None, subject: str | None = None
    ) -> Entry | None:
        """Return the last of the entries that match all that is given."""
        with self._database.transaction() as connection:
            found = self._select(connection, kind=kind, dataset=dataset, subject=subject, newest_only=True)
        return found[0] if found else None

    def head(self) -> Head:
        with self._database.transaction() as connection:
            return _head(connection)

    def digest_of_entry(self, seq: int) -> str | None:
        """Return the digest that entry `seq` has now, believed or not."""
        from sqlalchemy import text

        with self._database.transaction() as connection:
            found: str | None = connection.execute(
                text("select digest from entries where seq = :seq"), {"seq": seq}
            ).scalar_one_or_none()
        return found

    def verify(self) -> tuple[str, ...]:
        """Recompute the whole chain and what hangs on it; return one sentence for each thing that is not as recorded.

        Found and named by number: a changed entry, a broken link, missing entries (at the end too), an event in the
        outbox that no entry vouches for, an event that is gone, a received message without its entry.
        """
        from sqlalchemy import text

        vouched: dict[int, tuple[str | None, str | None]] = {}

        def rows(connection: Any) -> Iterator[Row]:
            for row in connection.execute(text(f"select {_COLUMNS} from entries order by seq")):  # noqa: S608
                stored = Row(*row)
                entry = stored.entry()
                if entry is None or entry.event_id is not None:
                    vouched[stored.seq] = (entry.event_id, entry.event_digest) if entry else (None, None)
                yield stored

        with self._database.transaction() as connection:
            connection.execute(text("set transaction isolation level repeatable read, read only"))
            head = _head(connection)
            links = tuple(broken_links(rows(connection), head_seq=head.seq, head_digest=head.digest))
            return (*links, *_outbox.problems(connection, vouched))

    # --- outbox -----------------------------------------------------------------------------------------------------

    def pending(self, limit: int = 100) -> tuple[Event, ...]:
        """Return events to send now, oldest first; one that waits holds back its dataset's later ones."""
        with self._database.transaction() as connection:
            return _outbox.pending(connection, limit)

    def waiting(self) -> int:
        """Return how many events are not sent yet, those that wait to be tried again included."""
        with self._database.transaction() as connection:
            return _outbox.waiting(connection)

    def mark_sent(self, event_id: str) -> None:
        """Note that the broker confirmed the event."""
        with self._database.transaction() as connection:
            _outbox.mark_sent(connection, event_id)

    def mark_failed(self, event_id: str, reason: str) -> None:
        """Note why the event could not be delivered; it is tried again after a pause that grows to five seconds."""
        with self._database.transaction() as connection:
            _outbox.mark_failed(connection, event_id, reason)

    @contextmanager
    def watch_outbox(self) -> Iterator["OutboxWatch"]:
        """Yield a watch that wakes when an event is written. One process at a time: a second gets Unavailable."""
        from sqlalchemy import text

        with self._database.session() as connection:
            if not connection.execute(text("select pg_try_advisory_lock(:key)"), {"key": RELAYING}).scalar_one():
                raise Unavailable("another relay is at work", next_step="nothing: this one takes over when it ends")
            connection.execute(text("listen outbox"))
            yield OutboxWatch(connection)

    # --- inbox ------------------------------------------------------------------------------------------------------

    def receive(
        self, event: Event, *, kind: EntryKind, dataset: str, subject: str, actor: str, body: Mapping[str, Any]
    ) -> bool:
        """Record a received event and append its entry: both or neither.

        Return False, and append nothing, when that event was received before, or when an equal entry (all but number
        and time) stands already: a sender that repeats itself under a new id says nothing new.
        """
        from sqlalchemy import text

        known = text("select 1 from inbox where event_id = :id")
        with self._appending() as connection:
            if connection.execute(known, {"id": event.id}).first():
                return False
            said = canonical_json(dict(body))
            equal = [
                entry
                for entry in self._select(connection, kind=kind, dataset=dataset, subject=subject, actor=actor)
                if canonical_json(dict(entry.body)) == said
            ]
            entry = equal[0] if equal else self._insert(connection, kind, dataset, subject, actor, body, None)
            connection.execute(
                text("insert into inbox (event_id, seq) values (:id, :seq)"), {"id": event.id, "seq": entry.seq}
            )
            return not equal

    # --- inside -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _appending(self) -> Iterator[Any]:
        """Yield a connection on which nobody else appends until its transaction ends."""
        from sqlalchemy import text

        with self._database.transaction() as connection:
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": APPENDING})
            yield connection

    @staticmethod
    def _insert(
        connection: Any,
        kind: EntryKind,
        dataset: str,
        subject: str,
        actor: str,
        body: Mapping[str, Any],
        event: Event | None,
    ) -> Entry:
        from sqlalchemy import text

        for name, value in (("dataset", dataset), ("subject", subject), ("actor", actor)):
            if not (value and value.isprintable()):
                raise BadInput(f"an entry's {name} must be printable text", arrived="empty or unprintable text")
        head = _head(connection)
        seq, envelope = head.seq + 1, None
        if event is not None:
            event = replace(event, data={**event.data, "sequence": seq})
            envelope = event.to_json()
            body = {**body, "event": {"id": event.id, "type": str(event.type), "digest": envelope_digest(envelope)}}
        at = datetime.now(UTC).isoformat(timespec="microseconds")
        entry = Entry(seq, at, EntryKind(kind), dataset, subject, actor, dict(body), head.digest).sealed()
        connection.execute(
            text(
                f"insert into entries ({_COLUMNS}) "  # noqa: S608
                "values (:seq, :at, :kind, :dataset, :subject, :actor, :body, :previous, :digest)"
            ),
            vars(Row.of(entry)),
        )
        if event is not None and envelope is not None:
            _outbox.add(connection, seq, event, envelope)
        stored = Row.of(entry).entry()
        assert stored is not None, "an entry fits its own digest"
        return stored

    @staticmethod
    def _select(connection: Any, *, newest_only: bool = False, **wanted: str | None) -> tuple[Entry, ...]:
        from sqlalchemy import text

        given = {name: str(value) for name, value in wanted.items() if value is not None}
        where = " and ".join(f"{name} = :{name}" for name in given) or "true"
        order = "seq desc limit 1" if newest_only else "seq"
        query = text(f"select {_COLUMNS} from entries where {where} order by {order}")  # noqa: S608
        return tuple(_believed(Row(*row)) for row in connection.execute(query, given))


class OutboxWatch:
    """Tells when something was written to the outbox."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def wait(self, timeout_s: float) -> bool:
        """Return True as soon as an event is written, False after `timeout_s`; Unavailable when the database went."""
        import psycopg

        try:
            driver: psycopg.Connection[Any] = self._connection.connection.driver_connection
            return any(True for _ in driver.notifies(timeout=timeout_s, stop_after=1))
        except psycopg.Error as error:
            raise Unavailable(f"the ledger's database does not answer ({type(error).__name__})") from None


def _head(connection: Any) -> Head:
    from sqlalchemy import text

    found = connection.execute(text("select seq, digest from chain_head")).first()
    if found is None:
        raise Tampered("the ledger's chain has no head", path="ledger", next_step="run `fraud-ml ledger verify`")
    return Head(*found)


def _believed(row: Row) -> Entry:
    entry = row.entry()
    if entry is None:
        raise Tampered(
            f"ledger entry {row.seq} is not what its digest was taken over",
            expected="the bytes that were appended",
            next_step="run `fraud-ml ledger verify`, and restore the database from a backup",
            path=f"ledger entry {row.seq}",
        )
    return entry
