"""Publisher and consumer on a real RabbitMQ."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.messaging import DEAD_LETTERS, Event, EventType, Publisher, Unroutable, consume
from fraud_ml.settings import Settings

pytestmark = pytest.mark.stack


@pytest.fixture
def url(rabbitmq_settings: Settings) -> str:
    assert rabbitmq_settings.rabbitmq_url
    return rabbitmq_settings.rabbitmq_url


@pytest.fixture
def dataset() -> str:
    """A dataset of this test's own, so that its routing keys reach nobody else."""
    return f"d{uuid.uuid4().hex[:8]}"


def an_event(dataset: str, number: int = 1) -> Event:
    return Event(
        f"{dataset}-{number}",
        EventType.PROMOTED,
        "test",
        "ab",
        "2026-01-31T00:00:00+00:00",
        {"dataset": dataset, "n": number},
    )


class Listener:
    """A consumer in a thread, as a scorer runs one."""

    def __init__(self, url: str, dataset: str) -> None:
        self.url, self.queue, self.bindings = url, f"test.{dataset}", (f"{EventType.PROMOTED}.{dataset}",)
        self.seen: list[Event] = []
        self.stop = threading.Event()
        self.answer: Callable[[Event], None] = lambda event: None
        self.failure: BaseException | None = None
        self.thread = threading.Thread(target=self._consume, daemon=True)  # a failed test must not keep pytest alive

    def _consume(self) -> None:
        try:
            consume(self.url, self.queue, self.bindings, self._handle, self.stop)
        except ZeroDivisionError as unforeseen:
            self.failure = unforeseen

    def _handle(self, event: Event) -> None:
        self.seen.append(event)
        self.answer(event)

    def await_seen(self, count: int, timeout_s: float = 20) -> None:
        deadline = time.monotonic() + timeout_s
        while len(self.seen) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(self.seen) >= count, self.seen

    def end(self) -> None:
        self.stop.set()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def listener(url: str, dataset: str) -> Iterator[Listener]:
    found = Listener(url, dataset)
    found.thread.start()
    _publish_until_routed(url, an_event(dataset, 0))
    found.await_seen(1)
    found.seen.clear()
    yield found
    found.end()
    _delete_queue(url, found.queue)


def _publish_until_routed(url: str, event: Event, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    with Publisher(url) as publisher:
        while True:
            try:
                return publisher.publish(event)
            except Unroutable:
                assert time.monotonic() < deadline
                time.sleep(0.05)


def _channel(url: str):
    import pika

    return pika.BlockingConnection(pika.URLParameters(url)).channel()


def _delete_queue(url: str, queue: str) -> None:
    channel = _channel(url)
    channel.queue_delete(queue)
    channel.connection.close()


def _depth(url: str, queue: str) -> int:
    channel = _channel(url)
    count = channel.queue_declare(queue, passive=True).method.message_count
    channel.connection.close()
    return count


def test_events_arrive_as_they_were_sent_and_in_order(url: str, dataset: str, listener: Listener) -> None:
    events = [an_event(dataset, number) for number in range(1, 21)]
    with Publisher(url) as publisher:
        for event in events:
            publisher.publish(event)
    listener.await_seen(20)
    assert listener.seen == events


def test_an_event_that_no_queue_takes_is_not_confirmed(url: str, dataset: str) -> None:
    with Publisher(url) as publisher, pytest.raises(Unroutable):
        publisher.publish(an_event(dataset))


def test_a_broker_that_is_away_is_unavailable_and_names_no_password() -> None:
    with pytest.raises(Unavailable) as away, Publisher("amqp://someone:s3cret@127.0.0.1:1/%2F"):
        pass
    assert "s3cret" not in str(away.value)


def test_a_wrong_password_is_unavailable(url: str) -> None:
    with pytest.raises(Unavailable), Publisher(url.replace("fraud:", "fraud:wrong")):
        pass


@pytest.mark.parametrize("wrong", ["", "nonsense", "amqp://host:port/"])
def test_an_address_that_is_no_url_is_bad_input(wrong: str) -> None:
    with pytest.raises(BadInput), Publisher(wrong):
        pass


def test_an_event_is_tried_again_while_its_handler_is_unavailable(url: str, dataset: str, listener: Listener) -> None:
    def twice_away(_: Event) -> None:
        if len(listener.seen) < 3:
            raise Unavailable("the object store is away")

    listener.answer = twice_away
    with Publisher(url) as publisher:
        publisher.publish(an_event(dataset, 1))
        publisher.publish(an_event(dataset, 2))
    listener.await_seen(4)
    assert [event.data["n"] for event in listener.seen] == [1, 1, 1, 2]


def test_an_event_that_its_handler_rejects_is_set_aside_and_the_next_is_handled(
    url: str, dataset: str, listener: Listener
) -> None:
    def reject_the_first(event: Event) -> None:
        if event.data["n"] == 1:
            raise BadInput("not for us")

    listener.answer = reject_the_first
    with Publisher(url) as publisher:
        publisher.publish(an_event(dataset, 1))
        publisher.publish(an_event(dataset, 2))
    listener.await_seen(2)
    channel = _channel(url)
    bodies = [body for _, _, body in iter(lambda: channel.basic_get(DEAD_LETTERS, auto_ack=True), (None, None, None))]
    channel.connection.close()
    assert [Event.from_json(body).id for body in bodies].count(f"{dataset}-1") == 1
    assert [event.data["n"] for event in listener.seen] == [1, 2]


def test_a_message_that_is_no_event_is_set_aside(url: str, dataset: str, listener: Listener) -> None:
    from fraud_ml.messaging import EXCHANGE

    channel = _channel(url)
    channel.basic_publish(EXCHANGE, listener.bindings[0], b"not an event")
    channel.connection.close()
    with Publisher(url) as publisher:
        publisher.publish(an_event(dataset, 1))
    listener.await_seen(1)
    assert [event.data["n"] for event in listener.seen] == [1]


def test_an_event_whose_handler_was_cut_off_comes_again(url: str, dataset: str) -> None:
    """A handler that fails in an unforeseen way ends the loop; the message stays in the queue for the next one."""

    def broken(_: Event) -> None:
        raise ZeroDivisionError

    first = Listener(url, dataset)
    first.answer = broken
    first.thread.start()
    _publish_until_routed(url, an_event(dataset, 1))
    first.thread.join(20)
    assert first.failure is not None
    second = Listener(url, dataset)
    second.thread.start()
    second.await_seen(1)
    second.end()
    assert second.seen == first.seen
    assert _depth(url, first.queue) == 0
    _delete_queue(url, first.queue)


def test_a_handler_that_takes_longer_than_heartbeats_allow_keeps_its_connection(url: str, dataset: str) -> None:
    patient = Listener(f"{url}?heartbeat=1", dataset)
    patient.answer = lambda _: time.sleep(5)
    patient.thread.start()
    _publish_until_routed(url, an_event(dataset, 1))
    patient.await_seen(1)
    patient.end()
    assert len(patient.seen) == 1
    assert _depth(url, patient.queue) == 0
    _delete_queue(url, patient.queue)


def test_stopping_takes_less_than_two_seconds(listener: Listener) -> None:
    began = time.monotonic()
    listener.end()
    assert time.monotonic() - began < 2
