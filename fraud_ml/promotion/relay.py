"""Carry decided events from the outbox to the broker, and scorers' answers from the broker into the ledger.

At least once, never lost: an event counts as sent after the broker confirmed it, a message leaves its queue after the
ledger recorded it. Killed in between, the relay does it again; scorers and the ledger know what they have seen.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.ledger import EntryKind, Ledger
from fraud_ml.messaging import (
    LEDGER_BINDINGS,
    LEDGER_QUEUE,
    Event,
    EventType,
    Publisher,
    Unroutable,
    consume,
)
from fraud_ml.settings import SETTINGS_FILE, Settings, read_env_file

Say = Callable[[str], None]
_ANSWERS = {EventType.ACKNOWLEDGED: EntryKind.DEPLOYED, EventType.REFUSED: EntryKind.REFUSED}
_POLL_S = 0.5
_LONGEST_PAUSE_S = 8.0
_LONGEST_REASON = 500


def run_relay(settings: Settings, stop: threading.Event, *, say: Say = print) -> None:
    """Relay until `stop` is set. Away servers are waited for; only ids, digests and states are said.

    Several relays may run: one sends, the others stand by.
    """
    status = _Status(say)
    ledger = Ledger(settings.ledger_url)
    url = _await_broker(settings, stop, status)
    if url is None:
        return
    with ThreadPoolExecutor(1, thread_name_prefix="answers") as pool:
        answers = pool.submit(
            consume, url, LEDGER_QUEUE, LEDGER_BINDINGS, lambda event: _record(ledger, event, say), stop
        )
        try:
            _send_until(ledger, url, stop, answers, status)
        finally:
            stop.set()
        answers.result()


def record_answer(ledger: Ledger, answer: Event) -> bool:
    """Record a scorer's answer to a promotion; False when it is recorded already.

    Raises BadInput when it answers no promotion that the ledger holds: nothing is deployed on a message's word alone.
    """
    kind = _ANSWERS.get(EventType(answer.type)) if answer.type in set(EventType) else None
    if kind is None:
        raise BadInput("an event of this type answers nothing", expected=" or ".join(_ANSWERS))
    names = ("dataset", "candidate_digest", "scorer", "event_id")
    dataset, candidate_digest, scorer, event_id = (str(answer.data.get(name) or "") for name in names)
    promoted = next(
        (
            entry
            for entry in ledger.find(kind=EntryKind.PROMOTED, dataset=dataset, subject=candidate_digest)
            if entry.event_id == event_id
        ),
        None,
    )
    if promoted is None:
        raise BadInput(
            "an answer names no promotion that the ledger holds", expected="its event, dataset and candidate"
        )
    body = {"event_id": event_id, "scorer": scorer, "sequence": promoted.seq}
    if kind is EntryKind.REFUSED:
        body["reason"] = str(answer.data.get("reason") or "no reason given")[:_LONGEST_REASON]
    return ledger.receive(answer, kind=kind, dataset=dataset, subject=candidate_digest, actor=scorer, body=body)


def deliver_pending(ledger: Ledger, url: str, *, say: Say = print) -> int:
    """Send what is due, per dataset in the order of its decisions; return how many events the broker confirmed.

    Raises Unavailable when the broker is away; the events stay where they are.
    """
    events = ledger.pending()
    if not events:
        return 0
    delivered = 0
    held_back: set[str] = set()
    with Publisher(url) as publisher:
        for event in events:
            if event.dataset in held_back:
                continue
            try:
                publisher.publish(event)
            except Unroutable as nobody:
                ledger.mark_failed(event.id, nobody.what)
                held_back.add(event.dataset)
                continue
            ledger.mark_sent(event.id)
            delivered += 1
            say(f"delivered {event.type} {event.subject[:12]} of {event.dataset}, event {event.id}")
    return delivered


class _Status:
    """Says a state when it changes, not each time it is looked at."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self._last = ""

    def now(self, state: str) -> None:
        if state != self._last:
            self._last = state
            self.say(state)


def _await_broker(settings: Settings, stop: threading.Event, status: _Status) -> str | None:
    """Return the broker's URL, looking into the stack's settings until there is one; None when stopped first."""
    while not stop.is_set():
        url = settings.rabbitmq_url or read_env_file(settings.home / SETTINGS_FILE).get("RABBITMQ_URL")
        if url:
            return url
        status.now("no broker is configured: events wait in the outbox (set RABBITMQ_URL)")
        stop.wait(_POLL_S)
    return None


def _send_until(ledger: Ledger, url: str, stop: threading.Event, answers: "Future[None]", status: _Status) -> None:
    """Send as events come, until stopped or until the answers' loop broke."""
    pause_s = _POLL_S
    while not stop.is_set() and not answers.done():
        try:
            with ledger.watch_outbox() as watch:
                while not stop.is_set() and not answers.done():
                    delivered = deliver_pending(ledger, url, say=status.say)
                    waiting = ledger.waiting()
                    status.now(f"relaying; {waiting} events wait for a scorer's queue" if waiting else "relaying")
                    pause_s = _POLL_S
                    if not delivered:
                        watch.wait(_POLL_S)
        except Unavailable as away:
            status.now(f"waiting: {away.what}")
            stop.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _record(ledger: Ledger, answer: Event, say: Say) -> None:
    if record_answer(ledger, answer):
        say(f"recorded {answer.type} {answer.subject[:12]} of {answer.dataset}, event {answer.id}")
