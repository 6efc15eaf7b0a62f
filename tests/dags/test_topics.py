"""What the topic watcher makes of a real topic and a real consumer group."""

import asyncio
import uuid
from typing import Any

import pytest
from airflow.sdk import Asset, AssetWatcher

from fraud_airflow.topics import TopicTrigger

pytestmark = pytest.mark.stack


def send(kafka: str, topic: str, count: int) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": kafka})
    for number in range(count):
        producer.produce(topic, b"{}", partition=number % 2)
    assert producer.flush(20) == 0


def confirm(kafka: str, topic: str, offset: int) -> None:
    """Commit an offset in both partitions, as landing would."""
    from confluent_kafka import Consumer, TopicPartition

    landing = Consumer({"bootstrap.servers": kafka, "group.id": "g", "enable.auto.commit": False})
    landing.commit(offsets=[TopicPartition(topic, partition, offset) for partition in (0, 1)], asynchronous=False)
    landing.close()


class Watch:
    """A running trigger, asked for its events one by one."""

    def __init__(self, kafka: str, topic: str) -> None:
        self._events = TopicTrigger(kafka, topic, "g", poll_s=0.1).run()
        self._next: asyncio.Future[Any] | None = None

    async def event(self, within_s: float) -> Any:
        """Return the next event's payload, or None when there is none within that time."""
        self._next = self._next or asyncio.ensure_future(anext(self._events))  # type: ignore[arg-type]
        done, _ = await asyncio.wait([self._next], timeout=within_s)
        if not done:
            return None
        payload, self._next = self._next.result().payload, None
        return payload


def test_messages_nobody_confirmed_are_told_once(kafka: str, topic: str) -> None:
    async def watch() -> None:
        watching = Watch(kafka, topic)
        assert await watching.event(1.5) is None
        await asyncio.to_thread(send, kafka, topic, 5)
        first = await watching.event(15)
        assert first["topic"] == topic
        while (later := await watching.event(1.5)) is not None:  # the burst may have been seen in two steps
            first = later
        assert first["ends"] == {"0": 3, "1": 2}

    asyncio.run(watch())


def test_later_messages_are_told_again_and_confirmed_ones_are_not(kafka: str, topic: str) -> None:
    async def watch() -> None:
        send(kafka, topic, 4)
        await asyncio.to_thread(confirm, kafka, topic, 2)
        watching = Watch(kafka, topic)
        assert await watching.event(1.5) is None
        await asyncio.to_thread(send, kafka, topic, 2)
        assert await watching.event(15) is not None

    asyncio.run(watch())


def test_brokers_that_are_away_or_lack_the_topic_wake_nobody(kafka: str) -> None:
    async def watch() -> None:
        assert await Watch(kafka, f"no-such-{uuid.uuid4().hex}").event(2) is None

    asyncio.run(watch())


def test_watcher_of_an_asset_is_made_again_from_its_serialized_form() -> None:
    trigger = TopicTrigger("host:9092", "claims", "g")
    asset = Asset("claims_topic", watchers=[AssetWatcher(name="claims", trigger=trigger)])
    path, facts = asset.watchers[0].trigger.serialize()

    assert path == "fraud_airflow.topics.TopicTrigger"
    assert TopicTrigger(**facts).serialize() == (path, facts)
