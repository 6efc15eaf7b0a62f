"""A Kafka topic as a source: each message is one claim row as a JSON object; the one owner of confluent-kafka.

At least once from Kafka, once in the log: offsets are committed only when `confirm` says that the messages' batch and
dead letters stand, and rows that come again are known there. What is not confirmed is given again, to this consumer or,
after a rebalance, to another of its group. A message that holds no claim becomes a dead letter.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from fraud_ml.contract import Contract
from fraud_ml.data.set_aside import Code
from fraud_ml.data.sources.messages import sort_messages
from fraud_ml.data.sources.port import Delivery
from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import Consumer, TopicPartition

log = logging.getLogger(__name__)

_DEFAULTS = {"group": "fraud-ml", "instance": "", "batch": "10000", "patience": "30"}
_SPELLED = "kafka://host:port/topic?group=NAME"


class KafkaSource:
    """`kafka://host:port[,host:port]/topic?group=NAME&instance=NAME&batch=10000&patience=30`.

    A consumer with an `instance` name that is killed gets its partitions back at once when it is started again; without
    one its group waits for the session to end (ten seconds). Two at a time under one name fence each other.
    `batch` is the most messages a delivery holds; `patience` are the seconds to wait for brokers, for partitions and
    for the next message. Credentials come from KAFKA_… variables, never from the address.
    """

    is_stream = True

    def __init__(self, address: str, contract: Contract, settings: Settings) -> None:
        self._brokers, self._topic, chosen = _parts(address)
        self._contract = contract
        self._group, self._instance = chosen["group"], chosen["instance"]
        try:
            self._most, self._patience_s = int(chosen["batch"]), float(chosen["patience"])
        except ValueError:
            raise BadInput(f"{_SPELLED}: `batch` and `patience` are numbers", next_step="correct the address") from None
        self._options = settings.kafka_options
        self._consumer: Consumer | None = None
        self._gathered: list[Any] = []
        self._assigned: set[int] = set()
        self._finished: set[int] = set()  # partitions read up to their end
        self._unconfirmed: dict[str, list[TopicPartition]] = {}

    def deliveries(self) -> Iterator[Delivery]:
        """Yield what the group has not confirmed, up to the end of each partition that this consumer was given.

        Ends early behind a delivery that was not confirmed, since confirming a later one would pass it over.
        Raises Unavailable when the brokers do not answer, BadInput when they have no such topic.
        """
        consumer = self._subscribed()
        while not self._unconfirmed:
            is_end = self._gather(consumer)
            messages, self._gathered = self._gathered, []
            if messages:
                yield self._delivery(messages)
            if is_end:
                return

    def confirm(self, delivery: Delivery) -> None:
        """Commit the delivery's offsets. A partition that went to another consumer meanwhile is left to it."""
        from confluent_kafka import KafkaException

        offsets = self._unconfirmed.pop(delivery.name)
        if self._consumer is None:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            log.warning(
                "%s: offsets were not committed (%s); these messages come again and add nothing",
                delivery.name,
                error.args[0].name(),
            )

    def close(self) -> None:
        """Leave the group; nothing is committed by it."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    # --- inside ---

    def _subscribed(self) -> "Consumer":
        from confluent_kafka import Consumer, KafkaException

        options = {
            "session.timeout.ms": 10_000,  # a killed consumer's partitions are free after ten seconds
            **self._options,
            "bootstrap.servers": self._brokers,
            "group.id": self._group,
            **({"group.instance.id": self._instance} if self._instance else {}),
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
        self.close()
        try:
            self._consumer = consumer = Consumer(options, logger=log)
            topic = consumer.list_topics(self._topic, timeout=self._patience_s).topics[self._topic]
        except KafkaException as error:
            raise Unavailable(
                f"Kafka at {self._brokers} does not answer ({error.args[0].name()})",
                next_step="check the address and the KAFKA_… variables",
            ) from None
        if topic.error is not None:
            raise BadInput(
                f"Kafka at {self._brokers} has no topic `{self._topic}` ({topic.error.name()})",
                next_step="create it, or correct the address",
                code=str(Code.ABSENT),
            )
        self._gathered, self._assigned, self._finished, self._unconfirmed = [], set(), set(), {}
        consumer.subscribe([self._topic], on_assign=self._take, on_revoke=self._leave, on_lost=self._leave)
        return consumer

    def _take(self, _: "Consumer", partitions: "Sequence[TopicPartition]") -> None:
        given = {item.partition for item in partitions}
        self._assigned |= given
        self._finished -= given

    def _leave(self, _: "Consumer", partitions: "Sequence[TopicPartition]") -> None:
        """Forget what was gathered from these partitions: whoever gets them begins behind the last commit."""
        gone = {item.partition for item in partitions}
        self._assigned -= gone
        self._finished -= gone
        self._gathered = [message for message in self._gathered if message.partition() not in gone]

    def _gather(self, consumer: "Consumer") -> bool:
        """Gather messages until a batch is full or nothing is left; say whether nothing is left."""
        from confluent_kafka import KafkaError

        last = time.monotonic()
        while len(self._gathered) < self._most:
            message: Any = consumer.poll(0.2)  # the stubs make every part of a message optional
            problem = message.error() if message is not None else None
            if problem is not None and problem.code() == KafkaError._PARTITION_EOF:
                self._finished.add(message.partition())
            elif problem is not None and problem.fatal():
                raise Unavailable(
                    f"Kafka shut this consumer of group `{self._group}` out ({problem.name()})",
                    next_step="run one consumer at a time under an instance name",
                )
            elif problem is not None:
                log.warning("Kafka: %s", problem.name())
            elif message is not None:
                self._gathered.append(message)
                self._finished.discard(message.partition())
                last = time.monotonic()
            if self._assigned and self._assigned <= self._finished:
                return True
            if time.monotonic() - last > self._patience_s:
                if self._gathered or self._assigned:
                    return True
                raise Unavailable(
                    f"Kafka gave this consumer of group `{self._group}` no partition within {self._patience_s:.0f} s",
                    next_step="run no more consumers than the topic has partitions, or wait longer (patience=…)",
                )
        return False

    def _delivery(self, messages: list[Any]) -> Delivery:
        spans: dict[int, list[int]] = defaultdict(list)
        for message in messages:
            spans[message.partition()].append(message.offset())
        listed = ",".join(f"{partition}:{min(at)}-{max(at)}" for partition, at in sorted(spans.items()))
        name = f"kafka:{self._topic}[{listed}]"
        ordered = sorted(messages, key=lambda message: (message.partition(), message.offset()))
        contents = [
            (f"{self._topic}/{message.partition()}-{message.offset()}", message.value() or b"") for message in ordered
        ]
        table, letters = sort_messages(name, contents, self._contract)
        self._unconfirmed[name] = _next_offsets(self._topic, spans)
        return Delivery(name, lambda: table, letters)


def _parts(address: str) -> tuple[str, str, dict[str, str]]:
    parts = urlsplit(address)
    given: dict[str, Any] = dict(parse_qsl(parts.query))
    topic = parts.path.strip("/")
    unknown = sorted(set(given) - set(_DEFAULTS))
    if not parts.netloc or not topic or "/" in topic or "@" in parts.netloc or unknown:
        raise BadInput(
            "not the address of a topic" + (f": unknown setting `{unknown[0][:40]}`" if unknown else ""),
            expected=f"{_SPELLED}, and {', '.join(_DEFAULTS)} as settings",
            next_step="correct the address; credentials belong into KAFKA_… variables",
        )
    return parts.netloc, topic, _DEFAULTS | given


def _next_offsets(topic: str, spans: dict[int, list[int]]) -> "list[TopicPartition]":
    from confluent_kafka import TopicPartition

    return [TopicPartition(topic, partition, max(at) + 1) for partition, at in sorted(spans.items())]
