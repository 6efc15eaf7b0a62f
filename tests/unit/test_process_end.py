"""The command line as a process: it ends at once, but not before what it owes."""

import os
import subprocess
import sys

import pytest

_COMMAND = """
import atexit, sys, threading, time
import click
from fraud_ml import cli
from fraud_ml.errors import BadInput

@click.command()
@click.argument("ending")
def owe(ending):
    atexit.register(print, "exit function")
    threading.Thread(target=lambda: (time.sleep(0.3), print("thread"))).start()
    print("command")
    if ending == "refused":
        raise BadInput("no such thing", next_step="choose another")
    if ending == "fault":
        raise RuntimeError("a fault of ours")

cli.COMMANDS["owe"] = "__main__:owe"
cli.run()
"""


@pytest.mark.parametrize(
    ("ending", "code", "told"),
    [
        ("well", 0, ""),
        ("refused", 2, "fraud-ml: no such thing. Next: choose another."),
        ("fault", 1, "RuntimeError: a fault of ours"),
        ("--nonsense", 2, "No such option"),
    ],
)
def test_process_waits_for_threads_and_exit_functions_and_tells_how_it_ended(ending: str, code: int, told: str) -> None:
    done = subprocess.run([sys.executable, "-c", _COMMAND, "owe", ending], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert told in done.stderr
    if ending != "--nonsense":
        assert done.stdout.split("\n") == ["command", "thread", "exit function", ""]


def test_process_whose_reader_is_gone_says_that_it_failed() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "fraud_ml", "--help"], stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
