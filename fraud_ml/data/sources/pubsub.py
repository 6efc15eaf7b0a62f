"""A Google Pub/Sub subscription as a source: each message is one claim as JSON; the one owner of google-cloud-pubsub.

At least once from Pub/Sub, once in the log: messages are acknowledged only when `confirm` says that their batch and
dead letters stand, and rows that come again are known there. Until then a lease keeps them from other consumers; it is
renewed while they are being landed, and ends by itself when this consumer is killed. A message that holds no claim
becomes a dead letter.

Tested against Google's own emulator, never yet against the service itself. Credentials are the environment's
(Application Default Credentials); with PUBSUB_EMULATOR_HOST set there are none.
"""

import hashlib
import logging
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fraud_ml.contract import Contract
from fraud_ml.data.set_aside import Code
from fraud_ml.data.sources.messages import sort_messages
from fraud_ml.data.sources.port import Delivery
from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.settings import Settings

log = logging.getLogger(__name__)

_DEFAULTS = {"batch": "10000", "patience": "10", "lease": "60"}
_SPELLED = "pubsub://project/subscription"
_PROJECT = re.compile(r"[a-z][a-z0-9.:-]{1,100}")
_SUBSCRIPTION = re.compile(r"[A-Za-z][A-Za-z0-9._~+%-]{2,254}")  # Google's rule for resource names
_IN_ONE_REQUEST = 1000  # messages in one answer, and acknowledgements in one request (at most 512 KiB)


class PubSubSource:
    """`pubsub://project/subscription?batch=10000&patience=10&lease=60`.

    `batch` is the most messages a delivery holds; `patience` are the seconds to wait for the service, and for one more
    message that was published before the source was opened; `lease` are the seconds after which the messages of a
    consumer that was killed go to another.
    """

    is_stream = True

    def __init__(self, address: str, contract: Contract, settings: Settings) -> None:
        self._project, self._name, chosen = _parts(address)
        self._subscription = f"projects/{self._project}/subscriptions/{self._name}"
        self._contract = contract
        try:
            self._most, self._patience_s = int(chosen["batch"]), float(chosen["patience"])
            self._lease_s = int(chosen["lease"])
        except ValueError:
            raise BadInput(
                f"{_SPELLED}: `batch`, `patience` and `lease` are numbers", next_step="correct the address"
            ) from None
        if not 1 <= self._lease_s <= 600:
            raise BadInput(f"{_SPELLED}: no such lease", expected="1 to 600 seconds", next_step="correct the address")
        self._emulator = settings.values.get("PUBSUB_EMULATOR_HOST")
        self._client: Any = None
        self._lease: _Lease | None = None
        self._unconfirmed: dict[str, list[str]] = {}  # name of the delivery -> what acknowledges its messages

    def deliveries(self) -> Iterator[Delivery]:
        """Yield what the subscription holds, until nothing more comes of what was published before this call.

        Ends early behind a delivery that was not confirmed: there is a reason, and the next one would have it too.
        Raises Unavailable when Pub/Sub does not answer or lets nobody in, BadInput when it has no such subscription.
        """
        self.close()
        self._connect()
        opened = datetime.now(UTC)
        while not self._unconfirmed:
            gathered, is_end = self._gather(opened)
            if gathered:
                yield self._delivery(gathered)
            if is_end:
                return

    def confirm(self, delivery: Delivery) -> None:
        """Acknowledge the delivery's messages."""
        from google.api_core.exceptions import GoogleAPIError

        tickets = self._unconfirmed.pop(delivery.name)
        if self._client is None or self._lease is None:
            return
        try:
            for part in _portions(tickets):
                self._client.acknowledge(subscription=self._subscription, ack_ids=part)
        except GoogleAPIError as error:
            log.warning(
                "%s: not acknowledged (%s); these messages come again and add nothing",
                delivery.name,
                type(error).__name__,
            )
        self._lease.leave(tickets)

    def close(self) -> None:
        """Give back at once what was not confirmed."""
        if self._lease is not None:
            self._lease.give_back()
            self._lease = None
        if self._client is not None:
            self._client.close()
            self._client = None
        self._unconfirmed = {}

    # --- inside ---

    def _connect(self) -> None:
        import grpc
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.pubsub_v1 import SubscriberClient
        from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

        try:
            if self._emulator:
                anything = [
                    ("grpc.max_receive_message_length", -1)
                ]  # as Google's client has it: a full answer is large
                channel = grpc.insecure_channel(self._emulator, options=anything)
                self._client = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
            else:
                self._client = SubscriberClient()
            # a pull ends at its deadline whether the subscription is empty or the network is away
            grpc.channel_ready_future(self._client.transport.grpc_channel).result(self._patience_s)
        except grpc.FutureTimeoutError:
            raise Unavailable(
                f"Google Pub/Sub does not answer within {self._patience_s:g} s",
                next_step="check the network"
                + (f" and PUBSUB_EMULATOR_HOST ({self._emulator})" if self._emulator else ""),
            ) from None
        except GoogleAuthError as error:
            raise Unavailable(
                f"there are no credentials for Google Pub/Sub ({type(error).__name__})",
                next_step="set GOOGLE_APPLICATION_CREDENTIALS, or run where an account is given",
            ) from None
        self._lease = _Lease(self._client, self._subscription, self._lease_s)

    def _gather(self, opened: datetime) -> tuple[list[Any], bool]:
        """Return messages until a batch is full or nothing is left, and whether nothing is left."""
        assert self._lease is not None
        gathered: list[Any] = []
        last = time.monotonic()
        while len(gathered) < self._most:
            left_s = last + self._patience_s - time.monotonic()
            if left_s <= 0:
                return gathered, True
            given = self._pull(min(_IN_ONE_REQUEST, self._most - len(gathered)), left_s)
            self._lease.take([item.ack_id for item in given])
            gathered.extend(given)
            if any(item.message.publish_time <= opened for item in given):
                last = time.monotonic()
            elif not given:
                time.sleep(0.05)
        return gathered, False

    def _pull(self, most: int, seconds: float) -> list[Any]:
        from google.api_core.exceptions import DeadlineExceeded
        from google.api_core.retry import Retry

        with self._translated():
            try:
                answer = self._client.pull(
                    subscription=self._subscription,
                    max_messages=most,
                    retry=Retry(timeout=self._patience_s),
                    timeout=max(seconds, 0.2),
                )
            except DeadlineExceeded:  # no message came
                return []
        return list(answer.received_messages)

    def _delivery(self, gathered: list[Any]) -> Delivery:
        found = {item.message.message_id: item.message for item in gathered}  # one may come twice
        ordered = sorted(found.values(), key=lambda one: (one.publish_time, len(one.message_id), one.message_id))
        ids = hashlib.sha256(" ".join(one.message_id for one in ordered).encode()).hexdigest()
        name = f"pubsub:{self._project}/{self._name}[{len(ordered)}:{ids[:12]}]"
        contents = [(f"{self._project}/{self._name}/{one.message_id}", one.data) for one in ordered]
        table, letters = sort_messages(name, contents, self._contract)
        self._unconfirmed[name] = [item.ack_id for item in gathered]
        return Delivery(name, lambda: table, letters)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError

        named = f"subscription `{self._name}` of project `{self._project}`"
        try:
            yield
        except exceptions.NotFound:
            raise BadInput(
                f"Google Pub/Sub has no {named}",
                next_step="create it, or correct the address",
                code=str(Code.ABSENT),
            ) from None
        except (exceptions.InvalidArgument, exceptions.FailedPrecondition) as error:
            raise BadInput(
                f"Google Pub/Sub gives nothing out of {named} ({type(error).__name__})",
                expected="a subscription of the kind that is pulled",
                next_step="correct the address or the subscription",
            ) from None
        except (exceptions.PermissionDenied, exceptions.Unauthenticated) as error:
            raise Unavailable(
                f"Google Pub/Sub does not let this account read {named} ({type(error).__name__})",
                next_step="grant it roles/pubsub.subscriber there, or check the credentials",
            ) from None
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise Unavailable(
                f"Google Pub/Sub does not answer for {named} ({type(error).__name__})",
                next_step="check the network, and try again",
            ) from None


class _Lease:
    """Keeps messages from other consumers by renewing their acknowledgement deadline, three times in its span."""

    def __init__(self, client: Any, subscription: str, seconds: int) -> None:
        self._client, self._subscription, self._seconds = client, subscription, seconds
        self._held: set[str] = set()
        self._lock, self._is_over = Lock(), Event()
        self._thread = Thread(target=self._renew, name="pubsub-lease", daemon=True)
        self._thread.start()

    def take(self, tickets: Sequence[str]) -> None:
        with self._lock:
            self._held.update(tickets)
        self._set(tickets, self._seconds)

    def leave(self, tickets: Sequence[str]) -> None:
        with self._lock:
            self._held.difference_update(tickets)

    def give_back(self) -> None:
        """End the lease; what is still held may be given to anyone at once."""
        self._is_over.set()
        self._thread.join()
        self._set(sorted(self._held), 0)

    def _renew(self) -> None:
        while not self._is_over.wait(self._seconds / 3):
            with self._lock:
                held = sorted(self._held)
            self._set(held, self._seconds)

    def _set(self, tickets: Sequence[str], seconds: int) -> None:
        from google.api_core.exceptions import GoogleAPIError

        try:
            for part in _portions(tickets):
                self._client.modify_ack_deadline(
                    subscription=self._subscription,
                    ack_ids=part,
                    ack_deadline_seconds=seconds,
                    retry=None,  # the next renewal comes soon
                    timeout=10,
                )
        except GoogleAPIError as error:
            log.warning(
                "Pub/Sub: a lease of %d messages was not renewed (%s); they may come again and add nothing",
                len(tickets),
                type(error).__name__,
            )


def _portions(tickets: Sequence[str]) -> Iterator[list[str]]:
    for begin in range(0, len(tickets), _IN_ONE_REQUEST):
        yield list(tickets[begin : begin + _IN_ONE_REQUEST])


def _parts(address: str) -> tuple[str, str, dict[str, str]]:
    parts = urlsplit(address)
    given: dict[str, str] = dict(parse_qsl(parts.query))
    project, name = parts.netloc, parts.path.removeprefix("/")
    unknown = sorted(set(given) - set(_DEFAULTS))
    if not _PROJECT.fullmatch(project) or not _SUBSCRIPTION.fullmatch(name) or unknown:
        raise BadInput(
            "not the address of a subscription" + (f": unknown setting `{unknown[0][:40]}`" if unknown else ""),
            expected=f"{_SPELLED}, and {', '.join(_DEFAULTS)} as settings",
            next_step="correct the address; credentials come from the environment",
        )
    return project, name, _DEFAULTS | given
