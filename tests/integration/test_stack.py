"""The embedded stack: real servers that come back by themselves, keep their data and leave nothing running."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from fraud_ml.errors import BadInput
from fraud_ml.ledger import EntryKind, Ledger
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import PROJECT, Settings
from fraud_ml.stack import Stack
from fraud_ml.stack.processes import MARK

pytestmark = [pytest.mark.stack, pytest.mark.slow]

SERVERS = ["postgres", "s3", "rabbitmq"]


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of this module's own, so that killing it disturbs nobody."""
    stack = Stack(tmp_path_factory.mktemp("own") / "home")
    stack.up(SERVERS)
    yield stack
    stack.down()


def processes_below(home: Path) -> list[psutil.Process]:
    """Return the living processes that name the stack's folder in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue
        if environment.get("FRAUD_ML_HOME") == str(home) and MARK in environment:
            found.append(process)
    return found


def pid_of(stack: Stack, name: str) -> int:
    pid = next(component.pid for component in stack.status() if component.name == name)
    assert pid is not None
    return pid


def wait_until_ready(stack: Stack, name: str, *, limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if any(component.name == name and component.state == "ready" for component in stack.status()):
            return
        time.sleep(0.3)
    raise AssertionError(f"{name} is not ready again within {limit_s} s")


@pytest.mark.parametrize("name", SERVERS)
def test_a_killed_server_comes_back_without_a_hand(own_stack: Stack, name: str) -> None:
    before = pid_of(own_stack, name)
    os.kill(before, signal.SIGKILL)
    time.sleep(0.5)
    wait_until_ready(own_stack, name)
    assert pid_of(own_stack, name) != before


def test_a_killed_supervisor_is_mended_by_up_and_nothing_runs_twice(own_stack: Stack) -> None:
    supervisor = int((own_stack.home / "stack" / "supervisord.pid").read_text())
    os.kill(supervisor, signal.SIGKILL)
    own_stack.up(SERVERS)
    for name in SERVERS:
        wait_until_ready(own_stack, name)
    marks = [process.environ()[MARK] for process in processes_below(own_stack.home) if process.ppid() != 1]
    assert len([mark for mark in marks if mark.endswith("/s3")]) == 1


def test_down_then_up_loses_nothing_and_down_leaves_nothing_running(own_stack: Stack) -> None:
    settings = own_stack.settings()
    Ledger(settings.ledger_url).append(
        EntryKind.RUN_OPENED, dataset="motor", subject="kept", actor="test", body={"champion": {}}
    )
    ObjectStore(settings).write("s3://claims/kept", b"kept")
    own_stack.down()
    assert processes_below(own_stack.home) == []
    again = own_stack.up(SERVERS)
    assert [entry.subject for entry in Ledger(again.ledger_url).find()] == ["kept"]
    assert ObjectStore(again).read("s3://claims/kept") == b"kept"


def test_two_stacks_run_side_by_side(own_stack: Stack, s3_settings: Settings) -> None:
    mine, theirs = own_stack.settings(), s3_settings
    assert mine.values["AWS_ENDPOINT_URL"] != theirs.values["AWS_ENDPOINT_URL"]
    ObjectStore(mine).write("s3://claims/mine", b"mine")
    assert not ObjectStore(theirs).exists("s3://claims/mine")


def test_secrets_are_readable_by_their_owner_only_and_stand_in_no_process_arguments(own_stack: Stack) -> None:
    home = own_stack.home
    for path in (home / "settings.env", home / "stack" / "secrets.json", home / "s3" / "s3.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    settings = own_stack.settings().values
    secrets = [settings["AWS_SECRET_ACCESS_KEY"], settings["FRAUD_ML_LEDGER_URL"].split(":")[2].split("@")[0]]
    arguments = " ".join(" ".join(process.cmdline()) for process in processes_below(home))
    assert arguments
    assert not any(secret in arguments for secret in secrets)


def test_a_server_named_by_the_environment_is_used_and_not_started(own_stack: Stack, tmp_path: Path) -> None:
    outside = own_stack.settings().values["AWS_ENDPOINT_URL"]
    environment = {**os.environ, "FRAUD_ML_HOME": str(tmp_path / "home"), "AWS_ENDPOINT_URL": outside}
    shown = subprocess.run(
        [sys.executable, "-m", "fraud_ml", "stack", "up", "s3", "--json"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    Stack(tmp_path / "home").down()
    assert '"outside"' in shown
    assert processes_below(tmp_path / "home") == []


def test_an_unknown_component_is_refused_with_the_known_ones(own_stack: Stack) -> None:
    with pytest.raises(BadInput, match="postgres, s3, rabbitmq"):
        own_stack.up(["oracle"])
