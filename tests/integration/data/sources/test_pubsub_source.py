"""A Pub/Sub subscription gives each claim to the log once: acknowledged only when the manifest stands.

The server is Google's own emulator. It knows no accounts, so a server that refuses every call stands in for those.
"""

import base64
import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import grpc
import pandas as pd
import pytest

from fraud_ml.contract import Contract
from fraud_ml.data.landing import Landed
from fraud_ml.data.sources import open_source
from fraud_ml.errors import BadInput, FraudMLError, Unavailable
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import PROJECT, Settings
from tests.integration.data.sources.deliveries import Place, messages
from tests.integration.data.sources.subscriptions import Subscription
from tests.sealed_motor import expectations_of_sealed_motor

pytestmark = pytest.mark.stack

# Lands one delivery and is killed between its manifest and the word to Pub/Sub.
_DIES_BEFORE_IT_CONFIRMS = """
import os, signal, sys
from pathlib import Path
from fraud_ml.contract import load_contract
from fraud_ml.data.landing import land_source
from fraud_ml.data.sources import open_source
from fraud_ml.settings import Settings
settings, contract = Settings.load(), load_contract("motor", Path(sys.argv[2]))
source = open_source(sys.argv[1], contract, settings)
source.confirm = lambda delivery: os.kill(os.getpid(), signal.SIGKILL)
list(land_source(settings, contract, source))
"""


def test_messages_are_acknowledged_only_when_the_manifest_stands(
    subscription: Subscription, log: Place, motor_rows: pd.DataFrame
) -> None:
    subscription.publish(*messages(motor_rows))
    with closing(open_source(subscription.address, log.contract, log.settings)) as source:
        next(iter(source.deliveries()))
        assert subscription.waiting() == 0  # in hand
    assert subscription.waiting() > 0  # given back, nothing acknowledged
    landed = log.land(subscription.address)
    assert [what.source.split("[")[0] for what in landed] == [f"pubsub:insurer/{subscription.name}"]
    assert subscription.waiting(4) == 0  # twice the lease
    assert log.written == len(motor_rows)


def test_lease_is_renewed_while_a_delivery_is_being_landed(
    subscription: Subscription, log: Place, motor_rows: pd.DataFrame
) -> None:
    """The lease is two seconds and the landing takes five."""
    subscription.publish(*messages(motor_rows))
    with closing(open_source(subscription.address, log.contract, log.settings)) as source:
        delivery = next(iter(source.deliveries()))
        assert subscription.waiting(5) == 0
        source.confirm(delivery)
    assert subscription.waiting() == 0


@pytest.mark.slow
def test_consumer_that_is_killed_before_it_acknowledges_loses_and_doubles_nothing(
    subscription: Subscription,
    pubsub: str,
    log: Place,
    motor_rows: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subscription.publish(*messages(motor_rows))
    for name, value in log.settings.values.items():
        if name.startswith(("AWS_", "FRAUD_ML_", "PUBSUB_")):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("FRAUD_ML_HOME", str(log.settings.home))
    rules, written = expectations_of_sealed_motor(tmp_path / "expectations", sealed=False), []
    for batch in (20, 40, 1000):  # each finds what the killed ones held, when their leases have ended
        address = f"pubsub://insurer/{subscription.name}?patience=3&lease=2&batch={batch}"
        consumer = subprocess.run(
            [sys.executable, "-c", _DIES_BEFORE_IT_CONFIRMS, address, str(rules)], cwd=PROJECT, timeout=120, check=False
        )
        assert consumer.returncode == -9
        written.append(log.written)
    time.sleep(2)
    landed = log.land(subscription.address)

    assert written[0] == 20
    assert sum(what.batch.known for what in landed if isinstance(what, Landed) and what.batch) >= written[-1] > 20
    assert log.written == log.rows(tmp_path / "rows").num_rows == len(motor_rows)
    assert log.land(subscription.address) == []


@pytest.mark.parametrize(
    "poison", [b'{"claim_id": "secret', b"\xff\xfe secret", b'{"claim_id": "C1", "secret": 1}', b""]
)
def test_poison_message_becomes_a_dead_letter_and_is_acknowledged(
    subscription: Subscription,
    log: Place,
    store: ObjectStore,
    motor_rows: pd.DataFrame,
    poison: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    claims = messages(motor_rows)
    ids = subscription.publish(*claims[:5], poison, *claims[5:])
    with caplog.at_level(logging.DEBUG):
        landed = log.land(subscription.address)

    assert sum(what.dead_letters for what in landed if isinstance(what, Landed)) == 1
    assert log.written == len(motor_rows)
    [url] = store.below(f"{log.settings.claims_url}/motor/dead-letters/insurer/{subscription.name}/")
    assert url.endswith(f"/{ids[5]}.json")
    letter = json.loads(store.read(url))
    assert base64.b64decode(letter["content_base64"]) == poison
    assert letter["code"] == "LAND013"
    assert ids[5] in letter["reason"]
    assert "secret" not in letter["reason"] + caplog.text + str(landed)
    assert subscription.waiting() == 0


def test_answer_larger_than_grpcs_own_limit_is_taken(subscription: Subscription, log: Place) -> None:
    for _ in range(3):
        subscription.publish(b"x" * 2_000_000)
    [landed] = log.land(subscription.address)

    assert isinstance(landed, Landed)
    assert landed.dead_letters == 3


def test_message_that_was_published_twice_is_in_the_log_once(
    subscription: Subscription, log: Place, motor_rows: pd.DataFrame
) -> None:
    """A producer that lost the answer sends again, under a new id."""
    subscription.publish(*messages(motor_rows))
    log.land(subscription.address)
    subscription.publish(*messages(motor_rows))
    again = log.land(subscription.address)

    assert again
    assert log.written == len(motor_rows)


def test_landing_ends_though_producers_never_do(
    subscription: Subscription, log: Place, motor_rows: pd.DataFrame
) -> None:
    """What is published behind the opening is landed too, but does not keep the landing going."""
    claims = messages(motor_rows)
    subscription.publish(*claims[:5])
    deadline = time.monotonic() + 30

    with ThreadPoolExecutor(1) as pool:
        landing = pool.submit(log.land, subscription.address)
        while not landing.done() and time.monotonic() < deadline:
            subscription.publish(claims[5])
            time.sleep(0.2)
        assert time.monotonic() < deadline
        landing.result()
    assert 5 <= log.written <= 6


def test_empty_subscription_gives_nothing(subscription: Subscription, log: Place) -> None:
    assert log.land(subscription.address) == []


def test_absent_subscription_is_refused(pubsub: str, log: Place) -> None:
    with pytest.raises(BadInput, match="has no subscription `none-such` of project `insurer`") as refused:
        log.land("pubsub://insurer/none-such")
    assert refused.value.facts["code"] == "LAND014"


@pytest.fixture
def refusing() -> Iterator[Callable[[grpc.StatusCode], str]]:
    """Start a server that answers every call so, and says something that nobody is to repeat."""
    started = []

    def start(code: grpc.StatusCode) -> str:
        class _Refuses(grpc.GenericRpcHandler):
            def service(self, call: object) -> grpc.RpcMethodHandler:
                return grpc.unary_unary_rpc_method_handler(lambda _, context: context.abort(code, "secret"))

        started.append(grpc.server(ThreadPoolExecutor(2), handlers=[_Refuses()]))
        port = started[0].add_insecure_port("127.0.0.1:0")
        started[0].start()
        return f"127.0.0.1:{port}"

    yield start
    started[0].stop(None).wait()


@pytest.mark.parametrize(
    ("code", "kind", "told"),
    [
        ("PERMISSION_DENIED", Unavailable, "does not let this account read subscription `claims`.*roles/pubsub.subsc"),
        ("UNAUTHENTICATED", Unavailable, "does not let this account read subscription `claims`.*the credentials"),
        ("UNAVAILABLE", Unavailable, "does not answer for subscription `claims` of project `insurer`"),
        ("FAILED_PRECONDITION", BadInput, "gives nothing out of subscription `claims`.*of the kind that is pulled"),
    ],
)
def test_refusal_is_one_sentence_of_its_kind(
    refusing: Callable[[grpc.StatusCode], str],
    place: Settings,
    motor: Contract,
    code: str,
    kind: type[FraudMLError],
    told: str,
) -> None:
    emulator = {"PUBSUB_EMULATOR_HOST": refusing(grpc.StatusCode[code])}
    settings = Settings(home=place.home, values={**place.values, **emulator})
    with pytest.raises(kind) as refused:
        Place(settings, motor).land("pubsub://insurer/claims?patience=1")
    assert re.search(told, str(refused.value))
    assert "secret" not in str(refused.value)
