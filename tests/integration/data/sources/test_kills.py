"""Producers and consumers are killed, twenty times: no claim is lost, none is doubled."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.integration.data.sources.deliveries import Place, messages

pytestmark = [pytest.mark.stack, pytest.mark.slow]

Command = Callable[..., subprocess.Popen[str]]
KILLS = 20

# Sends lines from where the last producer's note ended; the note is written after the acknowledgement, so a kill between
# the two sends a message twice.
_PRODUCE = """
import pathlib, sys, time
from confluent_kafka import Producer
brokers, topic, lines, note = sys.argv[1:]
note = pathlib.Path(note)
producer = Producer({"bootstrap.servers": brokers})
for number, line in enumerate(pathlib.Path(lines).read_bytes().splitlines()):
    if number < int(note.read_text() or 0):
        continue
    producer.produce(topic, line, key=str(number))
    if number % 5 == 4:
        assert producer.flush(20) == 0
        time.sleep(0.02)
        note.with_suffix(".new").write_text(str(number + 1))
        note.with_suffix(".new").replace(note)
assert producer.flush(20) == 0
note.write_text("1000000")
"""


def test_no_claim_is_lost_and_none_doubled_by_twenty_kills(
    kafka: str, topic: str, log: Place, motor_rows: pd.DataFrame, tmp_path: Path, command: Command
) -> None:
    dice = random.Random(11)
    lines, note = tmp_path / "lines.jsonl", tmp_path / "note"
    copies = pd.concat(
        [motor_rows.assign(claim_id=motor_rows["claim_id"] + f"-{copy}") for copy in range(6)], ignore_index=True
    )
    lines.write_bytes(b"\n".join(messages(copies)))
    note.write_text("")
    address = f"kafka://{kafka}/{topic}?group=g&batch=25"

    def produce() -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", _PRODUCE, kafka, topic, str(lines), str(note)]
        return subprocess.Popen(arguments, text=True, env={**os.environ})

    killed = {"producer": 0, "consumer": 0}
    producer, consumer = produce(), command("land", "motor", address)
    while sum(killed.values()) < KILLS:
        who = dice.choice(("producer", "consumer"))
        time.sleep(dice.uniform(0.3, 1.0) if who == "producer" else dice.uniform(2.0, 5.0))
        if who == "producer":
            killed[who] += _kill(producer)
            producer = produce()
        else:
            killed[who] += _kill(consumer)
            consumer = command("land", "motor", address)
    assert producer.wait(timeout=120) == 0
    _, told = consumer.communicate(timeout=180)
    assert consumer.returncode == 0, told
    log.land(address)

    assert min(killed.values()) >= 5
    assert log.rows(tmp_path / "rows").num_rows == len(copies)
    assert log.written == len(copies)
    assert json.loads(note.read_text()) == 1_000_000


def _kill(process: subprocess.Popen[str]) -> int:
    """Kill a process at once; say whether it was still at work."""
    was_alive = process.poll() is None
    process.kill()
    process.communicate()
    return int(was_alive)
