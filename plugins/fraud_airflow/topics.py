"""Wakes an asset when a Kafka topic holds messages that a consumer group has not confirmed.

The watcher consumes nothing and commits nothing: it compares the topic's end with the group's offsets. It tells each
new end once, so a burst is one event and a slow landing is not started again and again. An event is a wake-up, never
the work list: the run it starts lands the topic up to its end, and a timer beside it catches what a lost event missed.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from fraud_ml.settings import Settings

_LOG = logging.getLogger(__name__)
_LONGEST_PAUSE_S = 300.0


class TopicTrigger(BaseEventTrigger):
    """`AssetWatcher(name=…, trigger=TopicTrigger(brokers="host:9092", topic="claims", group="fraud-ml"))`."""

    def __init__(self, brokers: str, topic: str, group: str, poll_s: float = 5.0) -> None:
        super().__init__()
        self.brokers = brokers
        self.topic = topic
        self.group = group
        self.poll_s = poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            "fraud_airflow.topics.TopicTrigger",
            {"brokers": self.brokers, "topic": self.topic, "group": self.group, "poll_s": self.poll_s},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        from confluent_kafka import KafkaException

        told: dict[int, int] = {}
        pause_s = self.poll_s
        while True:
            try:
                ends = await asyncio.to_thread(self._ends_ahead)
                pause_s = self.poll_s
            except KafkaException as error:
                ends = {}
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                _LOG.warning("Kafka at %s: %s; asking again in %.0f s", self.brokers, error.args[0].name(), pause_s)
            if any(end > told.get(partition, 0) for partition, end in ends.items()):
                told |= ends
                yield TriggerEvent({"topic": self.topic, "ends": {str(key): end for key, end in ends.items()}})
            await asyncio.sleep(pause_s)

    def _ends_ahead(self) -> dict[int, int]:
        """Return the end offset of each partition in which the group has something to land."""
        from confluent_kafka import Consumer, KafkaException, TopicPartition

        options = {**Settings.load().kafka_options, "bootstrap.servers": self.brokers, "group.id": self.group}
        asking = Consumer(options, logger=_LOG)
        try:
            topic = asking.list_topics(self.topic, timeout=10).topics[self.topic]
            if topic.error is not None:
                raise KafkaException(topic.error)
            parts = [TopicPartition(self.topic, partition) for partition in topic.partitions]
            ends = {part.partition: asking.get_watermark_offsets(part, timeout=10) for part in parts}
            confirmed = {part.partition: part.offset for part in asking.committed(parts, timeout=10)}
        finally:
            asking.close()
        return {
            partition: high
            for partition, (low, high) in ends.items()
            if high > max(low, confirmed[partition])  # nothing committed is a negative offset
        }
