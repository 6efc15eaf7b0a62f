"""A topic gives each claim to the log once; what is no claim becomes a dead letter; offsets follow the manifest."""

import base64
import json
import logging
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from fraud_ml.data.landing import Landed, Refused, land_source
from fraud_ml.data.log import ClaimLog
from fraud_ml.data.set_aside import hashed
from fraud_ml.data.sources import open_source
from fraud_ml.data.sources.kafka import KafkaSource
from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings
from tests.integration.data.sources.conftest import Send
from tests.integration.data.sources.deliveries import Place, claim, messages

pytestmark = pytest.mark.stack


@pytest.fixture
def address(kafka: str, topic: str) -> str:
    return f"kafka://{kafka}/{topic}?group={topic}"


def committed(kafka: str, topic: str) -> int:
    """Return how many messages the group has confirmed."""
    from confluent_kafka import Consumer, TopicPartition

    asking = Consumer({"bootstrap.servers": kafka, "group.id": topic})
    parts = asking.committed([TopicPartition(topic, partition) for partition in (0, 1)], timeout=10)
    asking.close()
    return sum(max(part.offset, 0) for part in parts)


def test_offsets_are_committed_only_when_the_manifest_stands(
    kafka: str, topic: str, address: str, send: Send, log: Place, motor_rows: pd.DataFrame
) -> None:
    send(*messages(motor_rows))
    with closing(open_source(address, log.contract, log.settings)) as source:
        delivery = next(iter(source.deliveries()))
        assert committed(kafka, topic) == 0
    assert committed(kafka, topic) == 0  # leaving the group confirms nothing
    dead = Settings(home=log.settings.home, values={**log.settings.values, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    with pytest.raises(Unavailable):
        list(land_source(dead, log.contract, open_source(address, log.contract, log.settings)))
    assert committed(kafka, topic) == 0

    log.land(address)
    assert committed(kafka, topic) == len(motor_rows)
    assert delivery.name.startswith(f"kafka:{topic}[0:0-")
    assert log.land(address) == []


@pytest.mark.parametrize(
    "poison",
    [
        b'{"claim_id": "secret',
        b"\xff\xfe secret",
        b'["secret"]',
        b'{"claim_id": "C1", "secret": 1}',
        b'{"claim_id": {"secret": 1}}',
        b'{"claim_id": "secret", "claim_id": "2"}',
        b"[" * 50_000 + b"secret",
        b"",
        None,
    ],
)
def test_poison_message_becomes_a_dead_letter_and_stops_nothing(
    topic: str,
    address: str,
    send: Send,
    log: Place,
    store: ObjectStore,
    motor_rows: pd.DataFrame,
    poison: bytes | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    claims = messages(motor_rows)
    send(*claims[:5], poison, *claims[5:])
    with caplog.at_level(logging.DEBUG):
        [landed] = log.land(address)

    assert isinstance(landed, Landed)
    assert landed.dead_letters == 1
    assert log.written == len(motor_rows)
    [url] = store.below(f"{log.settings.claims_url}/motor/dead-letters/{topic}/")
    letter = json.loads(store.read(url))
    assert base64.b64decode(letter["content_base64"]) == (poison or b"")
    assert letter["code"] == "LAND013"
    assert url.rsplit("/", 1)[1].removesuffix(".json") in letter["reason"]
    assert "secret" not in letter["reason"] + caplog.text + str(landed)


def test_topic_of_nothing_but_poison_is_passed(kafka: str, topic: str, address: str, send: Send, log: Place) -> None:
    send(b"x", b"y")
    [landed] = log.land(address)

    assert isinstance(landed, Landed)
    assert (landed.batch, landed.dead_letters) == (None, 2)
    assert committed(kafka, topic) == 2


def test_bad_row_of_a_stream_is_set_aside_whatever_the_contract_says(
    address: str, send: Send, log: Place, store: ObjectStore, motor_rows: pd.DataFrame
) -> None:
    good = json.loads(messages(motor_rows)[0])
    send(
        claim(good),
        claim(good, claim_id="late", recorded_at="2001-01-01T00:00:00"),
        claim(good, claim_id="odd", witnesses="several"),
    )
    [landed] = log.land(address)

    assert isinstance(landed, Landed)
    assert landed.batch is not None
    assert (landed.batch.rows, landed.batch.set_aside) == (1, {"LAND001": 1, "LAND005": 1})
    [manifest] = ClaimLog(log.settings, log.contract).batches()
    assert manifest.set_aside == {"LAND001": 1, "LAND005": 1}
    kept = [json.loads(line) for line in store.read(manifest.quarantine).splitlines()]
    assert {(row["code"], row["key_sha256"]) for row in kept} == {
        ("LAND001", hashed("odd")),
        ("LAND005", hashed("late")),
    }


def test_moment_told_differently_is_set_aside_and_the_first_truth_stays(
    address: str, send: Send, log: Place, motor_rows: pd.DataFrame, tmp_path: Path
) -> None:
    send(*messages(motor_rows))
    log.land(address)
    good = json.loads(messages(motor_rows)[0])
    later = f"{motor_rows['recorded_at'].max() + pd.Timedelta('1h'):%Y-%m-%dT%H:%M:%S}"
    known = messages(motor_rows)[1]
    send(claim(good, witnesses=9), claim(good, witnesses=9, recorded_at=later), known)
    [landed] = log.land(address)

    assert isinstance(landed, Landed)
    assert landed.batch is not None
    assert (landed.batch.rows, landed.batch.known, landed.batch.set_aside) == (1, 1, {"LAND009": 1})
    assert log.written == log.rows(tmp_path / "rows").num_rows == len(motor_rows) + 1


def test_later_delivery_is_not_confirmed_past_one_that_was_not(
    kafka: str, topic: str, address: str, send: Send, log: Place, motor_rows: pd.DataFrame
) -> None:
    send(*messages(motor_rows))
    with closing(open_source(f"{address}&batch=10", log.contract, log.settings)) as source:
        given = [delivery.name for delivery in source.deliveries()]  # the first is never confirmed

    assert len(given) == 1
    assert committed(kafka, topic) == 0


def test_partition_that_goes_to_another_consumer_takes_its_messages_along(
    kafka: str, topic: str, address: str, send: Send, log: Place, motor_rows: pd.DataFrame, tmp_path: Path
) -> None:
    """The first consumer has a delivery in hand when a second one joins; both land all that they are given."""
    send(*messages(motor_rows))
    first = open_source(f"{address}&batch=10", log.contract, log.settings)
    second = open_source(f"{address}&batch=10", log.contract, log.settings)
    assert isinstance(first, KafkaSource)
    assert isinstance(second, KafkaSource)
    one = land_source(log.settings, log.contract, first)
    next(one)
    two = land_source(log.settings, log.contract, second)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        rest = [pool.submit(list, outcomes) for outcomes in (one, two)]
        landed = [what for future in rest for what in future.result(timeout=120)]

    assert not any(isinstance(what, Refused) for what in landed)
    assert log.rows(tmp_path / "rows").num_rows == len(motor_rows)
    log.land(address)
    assert committed(kafka, topic) >= len(motor_rows)


def test_absent_topic_is_refused(kafka: str, log: Place) -> None:
    with pytest.raises(BadInput, match="has no topic `none-such`") as refused:
        log.land(f"kafka://{kafka}/none-such?group=g")
    assert refused.value.facts["code"] == "LAND014"


def test_consumer_started_under_a_name_takes_over_from_the_one_that_hangs(
    address: str, send: Send, log: Place, motor_rows: pd.DataFrame
) -> None:
    """It need not wait for the other's session to end, and what the other still confirms loses nothing."""
    send(*messages(motor_rows))
    named = f"{address}&instance=lander&patience=8"
    with closing(open_source(named, log.contract, log.settings)) as hanging:
        given = next(iter(hanging.deliveries()))
        [landed] = log.land(named)
        hanging.confirm(given)

    assert isinstance(landed, Landed)
    assert log.written == len(motor_rows)
    assert log.land(named) == []
