"""From outbox to scorer and back to the ledger, with real servers dying on the way."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.ledger import Entry, EntryKind, Ledger
from fraud_ml.messaging import SCORER_BINDINGS, Event, EventType, Publisher, consume, scorer_queue
from fraud_ml.promotion.promote import promote
from fraud_ml.promotion.relay import deliver_pending, record_answer, run_relay
from fraud_ml.settings import Settings
from fraud_ml.stack import Stack

pytestmark = pytest.mark.stack

Approve = Callable[..., Entry]
Register = Callable[..., str]


@pytest.fixture
def dataset() -> str:
    """A dataset of this test's own: other tests' scorers get its events too, but never mistake them for theirs."""
    return f"d{uuid.uuid4().hex[:8]}"


@pytest.fixture
def both(place: Settings, rabbitmq_settings: Settings) -> Settings:
    """This test's ledger and the shared broker."""
    return replace(place, values={**place.values, "RABBITMQ_URL": rabbitmq_settings.need("RABBITMQ_URL")})


@pytest.fixture
def promoted(both: Settings, dataset: str, register: Register, approve_as: Approve) -> Callable[[str], Entry]:
    def act(model: str = "1") -> Entry:
        digest = register(model, dataset=dataset)
        approve_as(digest, "ana", "ben")
        return promote(both, digest)

    return act


def eventually(is_so: Callable[[], object], timeout_s: float = 40) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def answer_to(event: Event, kind: EventType, *, number: str = "1", scorer: str = "scorer-1", **extra: object) -> Event:
    data = {
        "dataset": event.dataset,
        "candidate_digest": event.subject,
        "scorer": scorer,
        "event_id": event.id,
        **extra,
    }
    return Event(f"{kind}-{event.id}-{number}", kind, scorer, event.subject, event.time, data)


class Scorer:
    """What a scorer does with events, without a model: takes its dataset's, and acknowledges each time it gets one."""

    def __init__(self, url: str, dataset: str) -> None:
        self.url, self.dataset, self.got, self.stop = url, dataset, [], threading.Event()
        self.queue = scorer_queue(f"test-{dataset}")
        self.thread = threading.Thread(
            target=consume, args=(url, self.queue, SCORER_BINDINGS, self._take, self.stop), daemon=True
        )

    def _take(self, event: Event) -> None:
        if event.dataset != self.dataset:
            return
        self.got.append(event)
        with Publisher(self.url) as publisher:
            publisher.publish(answer_to(event, EventType.ACKNOWLEDGED, number=str(len(self.got))))

    @property
    def sequences(self) -> list[int]:
        return [event.data["sequence"] for event in self.got]


@contextmanager
def running(thread: threading.Thread, stop: threading.Event) -> Iterator[None]:
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def scorer(both: Settings, dataset: str) -> Iterator[Scorer]:
    found = Scorer(both.need("RABBITMQ_URL"), dataset)
    with running(found.thread, found.stop):
        yield found
    _delete_queue(found.url, found.queue)


def _delete_queue(url: str, queue: str) -> None:
    import pika

    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        connection.channel().queue_delete(queue)


@pytest.fixture
def relay(both: Settings) -> Callable:
    """A relay in a thread, with what it says."""

    @contextmanager
    def act(settings: Settings = both) -> Iterator[list[str]]:
        said: list[str] = []
        stop = threading.Event()
        with running(
            threading.Thread(target=run_relay, args=(settings, stop), kwargs={"say": said.append}, daemon=True), stop
        ):
            yield said

    return act


def deployments(ledger: Ledger) -> list[str]:
    return [entry.subject for entry in ledger.find(kind=EntryKind.DEPLOYED)]


# --- the whole way --------------------------------------------------------------------------------------------------


def test_a_promotion_is_delivered_and_its_answer_recorded(
    ledger: Ledger, promoted: Callable, scorer: Scorer, relay: Callable
) -> None:
    with relay() as said:
        entry = promoted()
        eventually(lambda: deployments(ledger))
    assert scorer.sequences == [entry.seq]
    deployed = ledger.latest(kind=EntryKind.DEPLOYED)
    assert deployed is not None
    assert (deployed.subject, deployed.actor) == (entry.subject, "scorer-1")
    assert deployed.body == {"event_id": entry.event_id, "scorer": "scorer-1", "sequence": entry.seq}
    assert ledger.waiting() == 0
    assert ledger.verify() == ()
    assert sum(line.startswith("delivered ") for line in said) == 1
    assert sum(line.startswith("recorded ") for line in said) == 1


def test_promotions_arrive_in_the_order_in_which_they_were_decided(
    ledger: Ledger, promoted: Callable, scorer: Scorer, relay: Callable
) -> None:
    entries = [promoted(str(number)) for number in range(5)]
    with relay():
        eventually(lambda: len(deployments(ledger)) == 5)
    assert scorer.sequences == [entry.seq for entry in entries]


def test_an_event_that_no_queue_takes_stays_until_a_scorer_comes(
    both: Settings, ledger: Ledger, promoted: Callable, dataset: str, relay: Callable
) -> None:
    promoted("1")
    promoted("2")
    with relay() as said:
        eventually(lambda: any("wait for a scorer's queue" in line for line in said))
        assert ledger.waiting() == 2
        late = Scorer(both.need("RABBITMQ_URL"), dataset)
        with running(late.thread, late.stop):
            eventually(lambda: len(deployments(ledger)) == 2)
    assert late.sequences == sorted(late.sequences)
    _delete_queue(late.url, late.queue)


def test_an_event_that_no_queue_takes_holds_back_its_dataset_only(both: Settings, ledger: Ledger, dataset: str) -> None:
    """The second event could be delivered, but would then arrive before the first."""
    url, queue = both.need("RABBITMQ_URL"), f"test.{dataset}"
    for number, (kind, of) in enumerate(
        (("test.nobody", dataset), ("test.known", dataset), ("test.known", f"{dataset}-b"))
    ):
        event = Event(f"{dataset}-{number}", kind, "test", "ab", "2026-01-31T00:00:00+00:00", {"dataset": of})
        ledger.append(EntryKind.PROMOTED, dataset=of, subject=f"s{number}", actor="ana", body={}, event=event)
    got: list[str] = []
    stop = threading.Event()
    consumer = threading.Thread(
        target=consume, args=(url, queue, ("test.known.#",), lambda event: got.append(event.id), stop), daemon=True
    )
    with running(consumer, stop):
        eventually(lambda: _has_queue(url, queue))
        time.sleep(0.3)
        assert deliver_pending(ledger, url) == 1
        eventually(lambda: got)
    _delete_queue(url, queue)
    assert got == [f"{dataset}-2"]
    assert ledger.waiting() == 2


def test_two_relays_side_by_side_send_each_event_once(
    ledger: Ledger, promoted: Callable, scorer: Scorer, relay: Callable
) -> None:
    with relay(), relay() as second:
        eventually(lambda: second)
        entries = [promoted(str(number)) for number in range(3)]
        eventually(lambda: len(deployments(ledger)) == 3)
    assert scorer.sequences == [entry.seq for entry in entries]


def test_without_a_broker_events_wait_and_the_relay_says_so_once(
    both: Settings, place: Settings, ledger: Ledger, promoted: Callable, scorer: Scorer, relay: Callable
) -> None:
    """The address may come later, with the stack's settings file."""
    promoted()
    with relay(replace(place, values={k: v for k, v in place.values.items() if k != "RABBITMQ_URL"})) as said:
        time.sleep(1.2)
        assert said == ["no broker is configured: events wait in the outbox (set RABBITMQ_URL)"]
        assert ledger.waiting() == 1
        (place.home / "settings.env").write_text(f"RABBITMQ_URL={both.need('RABBITMQ_URL')}\n")
        eventually(lambda: deployments(ledger))


# --- answers --------------------------------------------------------------------------------------------------------


def sent(ledger: Ledger) -> Event:
    return ledger.pending()[0]


def test_an_answer_received_twice_is_recorded_once(ledger: Ledger, promoted: Callable) -> None:
    promoted()
    first = answer_to(sent(ledger), EventType.ACKNOWLEDGED)
    again = answer_to(sent(ledger), EventType.ACKNOWLEDGED, number="2")
    assert [record_answer(ledger, answer) for answer in (first, first, again)] == [True, False, False]
    assert len(deployments(ledger)) == 1


def test_two_scorers_answer_for_themselves(ledger: Ledger, promoted: Callable) -> None:
    promoted()
    for scorer in ("scorer-1", "scorer-2"):
        assert record_answer(ledger, answer_to(sent(ledger), EventType.ACKNOWLEDGED, number=scorer, scorer=scorer))
    assert len(deployments(ledger)) == 2


def test_a_refusal_is_recorded_with_its_reason(ledger: Ledger, promoted: Callable) -> None:
    entry = promoted()
    assert record_answer(ledger, answer_to(sent(ledger), EventType.REFUSED, reason="weights.bin differs"))
    refused = ledger.latest(kind=EntryKind.REFUSED)
    assert refused is not None
    assert (refused.subject, refused.body["reason"]) == (entry.subject, "weights.bin differs")
    assert deployments(ledger) == []


@pytest.mark.parametrize(
    "change",
    [
        {"candidate_digest": "f" * 64},
        {"dataset": "home"},
        {"event_id": "promoted-other"},
        {"event_id": None},
        {"scorer": ""},
    ],
)
def test_nothing_is_deployed_on_a_message_alone(ledger: Ledger, promoted: Callable, change: dict) -> None:
    promoted()
    answer = answer_to(sent(ledger), EventType.ACKNOWLEDGED, **{"scorer": "scorer-1"})
    with pytest.raises(BadInput):
        record_answer(ledger, replace(answer, data={**answer.data, **change}))
    assert deployments(ledger) == []


def test_a_candidate_that_was_only_approved_is_not_deployed_by_a_message(
    ledger: Ledger, register: Register, approve_as: Approve
) -> None:
    digest = register()
    approve_as(digest, "ana", "ben")
    event = Event(
        f"promoted-{digest}", EventType.PROMOTED, "x", digest, "2026-01-31T00:00:00+00:00", {"dataset": "motor"}
    )
    with pytest.raises(BadInput):
        record_answer(ledger, answer_to(event, EventType.ACKNOWLEDGED))


def test_a_promotion_is_no_answer(ledger: Ledger, promoted: Callable) -> None:
    promoted()
    with pytest.raises(BadInput):
        record_answer(ledger, answer_to(sent(ledger), EventType.PROMOTED))


# --- faults ---------------------------------------------------------------------------------------------------------


def test_an_away_broker_costs_no_event(ledger: Ledger, promoted: Callable) -> None:
    promoted()
    with pytest.raises(Unavailable):
        deliver_pending(ledger, "amqp://fraud:x@127.0.0.1:1/%2F")
    assert ledger.waiting() == len(ledger.pending()) == 1


def signal_server(home: Path, name: str, number: signal.Signals) -> None:
    """Send a signal to a server with everything it started."""
    os.killpg(_group_of(home, name), number)


def _group_of(home: Path, name: str) -> int:
    pid = next(status.pid for status in Stack(home).status() if status.name == name)
    assert pid is not None
    return os.getpgid(pid)


@pytest.mark.slow
def test_a_broker_killed_before_the_relay_delivers_once_it_is_back(
    ledger: Ledger, promoted: Callable, scorer: Scorer, relay: Callable, stack_home: Path
) -> None:
    """The scorer's queue was declared before; queue, binding and consumer all come back."""
    with relay() as said:
        promoted("1")
        eventually(lambda: len(deployments(ledger)) == 1)
        signal_server(stack_home, "rabbitmq", signal.SIGKILL)
        entry = promoted("2")
        eventually(lambda: any(line.startswith("waiting: the broker") for line in said))
        Stack(stack_home).up(["rabbitmq"])
        eventually(lambda: len(deployments(ledger)) == 2, 90)
        time.sleep(1)
    assert deployments(ledger).count(entry.subject) == 1
    assert set(scorer.sequences) >= {entry.seq}
    assert ledger.verify() == ()


@pytest.mark.slow
def test_a_broker_killed_with_an_event_in_the_queue_keeps_it(
    both: Settings, ledger: Ledger, promoted: Callable, dataset: str, relay: Callable, stack_home: Path
) -> None:
    url = both.need("RABBITMQ_URL")
    first = Scorer(url, dataset)
    with running(first.thread, first.stop):
        eventually(lambda: _has_queue(url, first.queue))
    with relay():
        promoted()
        eventually(lambda: ledger.waiting() == 0)
    signal_server(stack_home, "rabbitmq", signal.SIGKILL)
    Stack(stack_home).up(["rabbitmq"])
    second = Scorer(url, dataset)
    with relay(), running(second.thread, second.stop):
        eventually(lambda: deployments(ledger), 60)
    assert len(second.got) == 1
    _delete_queue(url, second.queue)


@pytest.mark.slow
def test_a_broker_that_hangs_is_noticed_and_costs_no_event(
    both: Settings, ledger: Ledger, promoted: Callable, scorer: Scorer, relay: Callable, stack_home: Path
) -> None:
    impatient = replace(both, values={**both.values, "RABBITMQ_URL": f"{both.need('RABBITMQ_URL')}?heartbeat=1"})
    with relay(impatient) as said:
        promoted("1")
        eventually(lambda: len(deployments(ledger)) == 1)
        signal_server(stack_home, "rabbitmq", signal.SIGSTOP)
        try:
            promoted("2")
            eventually(lambda: any(line.startswith("waiting: the broker") for line in said))
        finally:
            os.killpg(_group_of(stack_home, "rabbitmq"), signal.SIGCONT)
        eventually(lambda: len(deployments(ledger)) == 2)
    assert ledger.waiting() == 0


@pytest.mark.slow
def test_a_database_killed_under_the_relay_costs_no_event(
    ledger: Ledger, promoted: Callable, scorer: Scorer, relay: Callable, stack_home: Path
) -> None:
    with relay() as said:
        promoted("1")
        eventually(lambda: len(deployments(ledger)) == 1)
        signal_server(stack_home, "postgres", signal.SIGKILL)
        eventually(lambda: any(line.startswith("waiting: the ledger") for line in said))
        Stack(stack_home).up(["postgres"])
        promoted("2")
        eventually(lambda: len(deployments(ledger)) == 2)
    assert ledger.verify() == ()


def _has_queue(url: str, queue: str) -> bool:
    import pika
    from pika.exceptions import ChannelClosedByBroker

    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        try:
            connection.channel().queue_declare(queue, passive=True)
        except ChannelClosedByBroker:
            return False
    return True


@contextmanager
def relay_process(settings: Settings) -> Iterator["subprocess.Popen[str]"]:
    """`fraud-ml relay` as the stack runs it; killed when the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fraud_ml", "relay"],
        env={**os.environ, **settings.values, "FRAUD_ML_HOME": str(settings.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_relay_killed_again_and_again_loses_nothing_and_deploys_once(
    both: Settings, ledger: Ledger, promoted: Callable, scorer: Scorer
) -> None:
    entries = [promoted(str(number)) for number in range(12)]
    for deliveries_before_the_kill in (0, 1, 3, 2):
        with relay_process(both) as process:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            seen = 0
            while seen < deliveries_before_the_kill and ledger.waiting():
                seen += next(lines).startswith("delivered")
            process.kill()
    assert ledger.waiting() > 0
    with relay_process(both):
        eventually(lambda: len(deployments(ledger)) >= 12)
    assert sorted(deployments(ledger)) == sorted(entry.subject for entry in entries)
    assert list(dict.fromkeys(scorer.sequences)) == [entry.seq for entry in entries]
    assert ledger.verify() == ()


def test_the_command_stops_on_sigterm(both: Settings) -> None:
    with relay_process(both) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "relaying\n"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
