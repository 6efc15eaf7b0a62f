"""Producers and consumers are killed, twenty times: no claim is lost, none is doubled."""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.command_line import Command
from tests.integration.data.sources.deliveries import Place, messages

pytestmark = [pytest.mark.stack, pytest.mark.slow]

KILLS = 20  # every other one a producer's

# Sends lines from where the last producer's note ended; the note is written after the acknowledgement, so a kill
# between the two sends messages twice.
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
    if number % 2:
        assert producer.flush(20) == 0
        if not note.with_name("hurry").exists():
            time.sleep(0.2)
        note.with_suffix(".new").write_text(str(number + 1))
        note.with_suffix(".new").replace(note)
assert producer.flush(20) == 0
note.write_text("1000000")
"""


def test_no_claim_is_lost_and_none_doubled_by_twenty_kills(
    kafka: str,
    topic: str,
    log: Place,
    motor_rows: pd.DataFrame,
    tmp_path: Path,
    command: Command,
) -> None:
    dice = random.Random(11)
    lines, note = tmp_path / "lines.jsonl", tmp_path / "note"
    copies = pd.concat(
        [motor_rows.assign(claim_id=motor_rows["claim_id"] + f"-{copy}") for copy in range(40)], ignore_index=True
    )
    lines.write_bytes(b"\n".join(messages(copies)))
    note.write_text("0")
    address = f"kafka://{kafka}/{topic}?group={topic}&instance=lander&batch=100"

    def produce() -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", _PRODUCE, kafka, topic, str(lines), str(note)], text=True)

    producer = produce()
    kills = {"producer": 0, "consumer": 0}
    while sum(kills.values()) < KILLS:
        if kills["producer"] <= kills["consumer"]:
            _until_it_grows(lambda: int(note.read_text()), producer)
            time.sleep(dice.uniform(0.0, 0.2))
            kills["producer"] += _kill(producer)
            producer = produce()
        else:
            consumer = command("land", "motor", address)
            assert consumer.stderr is not None
            assert "landing" in consumer.stderr.readline()
            time.sleep(dice.uniform(0.5, 3.5))  # before, among and behind objects, at the manifest, at the commit
            kills["consumer"] += _kill(consumer)
    note.with_name("hurry").touch()
    assert producer.wait(timeout=120) == 0
    consumer = command("land", "motor", address)
    _, told = consumer.communicate(timeout=180)

    assert consumer.returncode == 0, told
    assert log.rows(tmp_path / "rows").num_rows == len(copies)
    assert log.written == len(copies)


def _until_it_grows(measure: Callable[[], int], process: subprocess.Popen[str]) -> None:
    before, deadline = measure(), time.monotonic() + 60
    while measure() == before and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _kill(process: subprocess.Popen[str]) -> int:
    """Kill a process at once; say whether it was still at work."""
    was_at_work = process.poll() is None
    process.kill()
    process.communicate()
    return int(was_at_work)
