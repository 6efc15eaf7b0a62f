"""How events reach other processes: a confirmed publisher and a consumer loop on RabbitMQ; the one owner of pika.

Events go to the topic exchange `fraud.events` under `<type>.<dataset>`. A message leaves a queue only after it was
handled; one that can never be handled moves to the queue `fraud.dead`, where a person can look at it.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Self

from fraud_ml.errors import BadInput, Rejected, Unavailable
from fraud_ml.events import MEDIA_TYPE, Event, EventType

__all__ = ["LEDGER_BINDINGS", "LEDGER_QUEUE", "SCORER_BINDINGS", "Event", "EventType", "Publisher", "Unroutable"]
__all__ += ["consume", "scorer_queue"]

EXCHANGE = "fraud.events"
DEAD_LETTERS = "fraud.dead"
LEDGER_QUEUE = "fraud.ledger"
LEDGER_BINDINGS = (f"{EventType.ACKNOWLEDGED}.#", f"{EventType.REFUSED}.#")
SCORER_BINDINGS = (f"{EventType.PROMOTED}.#",)

_HEARTBEAT_S = 10  # a broker that hangs is noticed after two of these
_TIMEOUT_S = 10.0
_POLL_S = 0.2
_LONGEST_PAUSE_S = 10.0
_log = logging.getLogger(__name__)


class Unroutable(Unavailable):
    """No queue takes this event yet: nobody listens."""


def scorer_queue(scorer: str) -> str:
    """Return the name of a scorer's own queue."""
    return f"fraud.scorer.{scorer}"


class Publisher:
    """Publishes events and waits for the broker's confirmation of each. Open it when there is something to send.

    Confirmed means: the broker keeps it on disk in at least one queue. Raises Unavailable otherwise.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Any = None
        self._channel: Any = None

    def __enter__(self) -> Self:
        with _translated():
            self._connection = _connect(self._url)
            self._channel = self._connection.channel()
            _declare_exchange(self._channel)
            self._channel.confirm_delivery()
        return self

    def __exit__(self, *_: object) -> None:
        _close(self._connection)

    def publish(self, event: Event) -> None:
        """Return once the broker has the event. Raises Unroutable when no queue is bound for it."""
        import pika
        from pika.exceptions import NackError, UnroutableError

        properties = pika.BasicProperties(
            content_type=MEDIA_TYPE, delivery_mode=2, message_id=event.id, type=str(event.type), app_id="fraud-ml"
        )
        with _translated():
            try:
                self._channel.basic_publish(EXCHANGE, event.routing_key, event.to_json(), properties, mandatory=True)
            except UnroutableError:
                raise Unroutable(
                    f"no queue takes {event.routing_key}", next_step="start a scorer; the event waits in the outbox"
                ) from None
            except NackError:
                raise Unavailable(
                    "the broker refused to keep an event", next_step="look at the broker's alarms"
                ) from None


def consume(
    url: str,
    queue: str,
    bindings: Sequence[str],
    handle: Callable[[Event], None],
    stop: threading.Event,
) -> None:
    """Hand each event of the queue to `handle`, one at a time, until `stop` is set.

    A message is acknowledged after `handle` returned. When it raises Unavailable the message goes back and is tried
    again after a pause; when it raises Rejected, or the message is no event, it moves to `fraud.dead`. A lost broker
    is tried again for ever. `handle` runs in another thread, so that it may take long without losing the connection;
    it must bear to get the same event twice.
    """
    pauses = _Pauses()
    while not stop.is_set():
        try:
            with _translated(), _channel(url) as (connection, channel):
                _declare_queue(channel, queue, bindings)
                pauses.reset()
                with ThreadPoolExecutor(1, thread_name_prefix=queue) as worker:
                    for method, _, body in channel.consume(queue, inactivity_timeout=_POLL_S):
                        if stop.is_set():
                            break
                        if method is not None:
                            _attend(connection, channel, method.delivery_tag, body, handle, stop, pauses, worker)
        except Unavailable as away:
            _log.info("queue %s: %s", queue, away.what)
            stop.wait(pauses.next())


def _attend(
    connection: Any,
    channel: Any,
    tag: int,
    body: bytes,
    handle: Callable[[Event], None],
    stop: threading.Event,
    pauses: "_Pauses",
    worker: ThreadPoolExecutor,
) -> None:
    """Have one message handled while heartbeats go on; afterwards it is acknowledged, back in the queue, or dead."""
    try:
        event = Event.from_json(body)
        handled = worker.submit(handle, event)
        handled.add_done_callback(lambda _: _wake(connection))
        while not handled.done():
            connection.process_data_events(time_limit=_POLL_S)
        handled.result()
    except Rejected as refused:
        _log.warning("a message moved to %s: %s", DEAD_LETTERS, refused.what)
        channel.basic_reject(tag, requeue=False)
    except Unavailable as away:
        _log.info("a message is tried again later: %s", away.what)
        rest_s = pauses.next()
        while rest_s > 0 and not stop.is_set():
            connection.sleep(min(rest_s, _POLL_S))
            rest_s -= _POLL_S
        channel.basic_reject(tag, requeue=True)
    else:
        channel.basic_ack(tag)
        pauses.reset()


def _wake(connection: Any) -> None:
    from pika.exceptions import ConnectionWrongStateError

    try:
        connection.add_callback_threadsafe(lambda: None)
    except ConnectionWrongStateError:
        _log.debug("the connection went while a message was handled")


class _Pauses:
    """Pauses that double, from a quarter of a second."""

    def __init__(self) -> None:
        self._next_s = 0.25

    def next(self) -> float:
        pause_s, self._next_s = self._next_s, min(self._next_s * 2, _LONGEST_PAUSE_S)
        return pause_s

    def reset(self) -> None:
        self._next_s = 0.25


# --- connection -----------------------------------------------------------------------------------------------------


def _connect(url: str) -> Any:
    import pika
    from pika.adapters.utils.connection_workflow import AMQPConnectorException

    logging.getLogger("pika").setLevel(logging.CRITICAL)  # every failure reaches the caller as an error of ours
    try:
        if not url.startswith(("amqp://", "amqps://")):
            raise ValueError
        parameters = pika.URLParameters(url)
    except (ValueError, TypeError, IndexError):  # its message may carry the password
        raise BadInput(
            "the broker's address is not a URL",
            expected="amqp://user:password@host:port/vhost",
            next_step="set RABBITMQ_URL",
        ) from None
    if "heartbeat=" not in url:
        parameters.heartbeat = _HEARTBEAT_S
    parameters.blocked_connection_timeout = _TIMEOUT_S
    parameters.socket_timeout = parameters.stack_timeout = _TIMEOUT_S
    parameters.client_properties = {"connection_name": "fraud-ml"}
    try:
        return pika.BlockingConnection(parameters)
    except (OSError, AMQPConnectorException) as error:  # names, TLS, a broker that hangs; the rest are AMQP errors
        raise Unavailable(
            f"the broker cannot be reached ({type(error).__name__})", next_step="check RABBITMQ_URL, then try again"
        ) from None


@contextmanager
def _channel(url: str) -> Iterator[tuple[Any, Any]]:
    connection = _connect(url)
    try:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=1)
        yield connection, channel
    finally:
        _close(connection)


def _close(connection: Any) -> None:
    from pika.exceptions import AMQPError

    try:
        if connection is not None and connection.is_open:
            connection.close()
    except (AMQPError, OSError) as error:
        _log.debug("closing a lost connection: %s", type(error).__name__)


def _declare_exchange(channel: Any) -> None:
    channel.exchange_declare(EXCHANGE, exchange_type="topic", durable=True)


def _declare_queue(channel: Any, queue: str, bindings: Sequence[str]) -> None:
    """Declare what the queue needs; all of it is durable and stays when nobody listens."""
    _declare_exchange(channel)
    channel.exchange_declare(DEAD_LETTERS, exchange_type="fanout", durable=True)
    channel.queue_declare(DEAD_LETTERS, durable=True)
    channel.queue_bind(DEAD_LETTERS, DEAD_LETTERS)
    channel.queue_declare(queue, durable=True, arguments={"x-dead-letter-exchange": DEAD_LETTERS})
    for binding in bindings:
        channel.queue_bind(queue, EXCHANGE, binding)


@contextmanager
def _translated() -> Iterator[None]:
    from pika.exceptions import AMQPError

    try:
        yield
    except AMQPError as error:
        raise Unavailable(
            f"the broker does not answer ({type(error).__name__})",
            next_step="start it (`fraud-ml stack up`) or check RABBITMQ_URL, then try again",
        ) from None
