"""What happened, as a message: the CloudEvents 1.0 envelope that the outbox keeps and the broker carries."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from fraud_ml.artifacts import canonical_json
from fraud_ml.errors import BadInput

_NEEDED = {"specversion", "id", "source", "type", "subject", "time", "data"}
MEDIA_TYPE = "application/cloudevents+json"


class EventType(StrEnum):
    """A promotion, and the two answers that a scorer can give to it."""

    PROMOTED = "fraud.deployment.promoted"
    ACKNOWLEDGED = "fraud.deployment.acknowledged"
    REFUSED = "fraud.deployment.refused"


@dataclass(frozen=True)
class Event:
    """One thing that happened. `id` is unique, `time` is ISO 8601 with an offset, `data` is JSON and names its dataset.

    >>> event = Event("e1", EventType.PROMOTED, "fraud-ml", "ab12", "2026-01-31T00:00:00+00:00", {"dataset": "motor"})
    >>> event.routing_key
    'fraud.deployment.promoted.motor'
    >>> Event.from_json(event.to_json()) == event
    True
    """

    id: str
    type: str
    source: str
    subject: str
    time: str
    data: Mapping[str, Any]

    @property
    def dataset(self) -> str:
        return str(self.data["dataset"])

    @property
    def routing_key(self) -> str:
        return f"{self.type}.{self.dataset}"

    def to_json(self) -> bytes:
        """Return the envelope in CloudEvents' structured JSON; equal events give equal bytes."""
        from cloudevents.core.formats.json import JSONFormat
        from cloudevents.core.v1.event import CloudEvent

        attributes = {
            "specversion": "1.0",
            "id": self.id,
            "type": str(self.type),
            "source": self.source,
            "subject": self.subject,
            "time": datetime.fromisoformat(self.time),
            "datacontenttype": "application/json",
        }
        return JSONFormat().write(CloudEvent(attributes, json.loads(canonical_json(dict(self.data)))))

    @classmethod
    def from_json(cls, envelope: bytes) -> "Event":
        """Return the event of an envelope. Raises BadInput when it is not CloudEvents JSON, or names no dataset."""
        from cloudevents.core.exceptions import BaseCloudEventException
        from cloudevents.core.formats.json import JSONFormat
        from cloudevents.core.v1.event import CloudEvent

        try:
            if missing := _NEEDED - json.loads(envelope).keys():  # the SDK would make up an identity
                raise KeyError(*missing)
            found = JSONFormat().read(CloudEvent, envelope)
        except (BaseCloudEventException, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise BadInput(
                "a message is not an event", expected="CloudEvents 1.0, structured JSON", arrived=type(error).__name__
            ) from None
        data, time, subject = found.get_data(), found.get_time(), found.get_subject()
        if not (isinstance(data, dict) and isinstance(data.get("dataset"), str) and time and subject):
            raise BadInput(
                "an event lacks subject, time or dataset", expected="all three", next_step="correct its sender"
            )
        return cls(found.get_id(), found.get_type(), found.get_source(), subject, time.isoformat(), data)


def envelope_digest(envelope: bytes) -> str:
    """Return the SHA-256 (64 hex digits) by which a ledger entry vouches for an envelope's bytes."""
    return hashlib.sha256(envelope).hexdigest()
