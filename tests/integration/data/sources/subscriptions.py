"""A Pub/Sub topic with one subscription, as its producer and as another consumer see it."""

import time
import uuid
from dataclasses import dataclass
from typing import Any

import grpc
from google.api_core.exceptions import DeadlineExceeded
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport


@dataclass(frozen=True)
class Subscription:
    """Plays its producer, and another of its consumers."""

    name: str
    publisher: Any
    subscriber: Any

    @classmethod
    def new(cls, server: str) -> "Subscription":
        channel = grpc.insecure_channel(server)
        name = f"claims-{uuid.uuid4().hex[:8]}"
        made = cls(
            name,
            PublisherClient(transport=PublisherGrpcTransport(channel=channel)),
            SubscriberClient(transport=SubscriberGrpcTransport(channel=channel)),
        )
        made.publisher.create_topic(name=made.topic)
        made.subscriber.create_subscription(name=made.path, topic=made.topic, ack_deadline_seconds=10)
        return made

    @property
    def topic(self) -> str:
        return f"projects/insurer/topics/{self.name}"

    @property
    def path(self) -> str:
        return f"projects/insurer/subscriptions/{self.name}"

    @property
    def address(self) -> str:
        return f"pubsub://insurer/{self.name}?patience=2&lease=2"

    def publish(self, *values: bytes) -> list[str]:
        """Publish messages, each with an attribute beside it, and return their ids."""
        batch = [{"data": value, "attributes": {"producer": "test"}} for value in values]
        return list(self.publisher.publish(topic=self.topic, messages=batch).message_ids)

    def waiting(self, seconds: float = 1.0) -> int:
        """Return how many messages another consumer is given within that time; they are given back at once."""
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0:
            try:
                given = self.subscriber.pull(subscription=self.path, max_messages=1000, timeout=left_s, retry=None)
            except DeadlineExceeded:
                return 0
            tickets = [item.ack_id for item in given.received_messages]
            if tickets:
                self.subscriber.modify_ack_deadline(subscription=self.path, ack_ids=tickets, ack_deadline_seconds=0)
                return len(tickets)
        return 0

    def close(self) -> None:
        self.publisher.transport.close()
