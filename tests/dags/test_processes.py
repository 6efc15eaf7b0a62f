"""A program started by the bridge leaves nothing behind, whoever is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kills import is_alive, pid_in, until

from fraud_airflow.processes import ProcessGroup
from fraud_ml.settings import PROJECT

# Runs argv[3:] as the bridge would, in a process of its own that a test can kill.
RUNNER = """
import os, sys
from pathlib import Path
from fraud_airflow.processes import ProcessGroup
group = ProcessGroup(Path(sys.argv[1]) / "notes" / "task", Path(sys.argv[1]), sys.argv[2])
with group.held(print):
    print("code", group.run(sys.argv[3:], env=os.environ, say=print).returncode, flush=True)
"""
LEADER = """
import os, pathlib, subprocess, time
pathlib.Path("child").write_text(str(subprocess.Popen(["sleep", "300"]).pid))
pathlib.Path("leader").write_text(str(os.getpid()))
time.sleep(300)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a runner of `command` for `owner`; whatever is left of them dies with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*command: str, owner: str = "dag/run/task") -> "subprocess.Popen[str]":
        path = os.pathsep.join([str(PROJECT / "plugins"), str(PROJECT)])
        process = subprocess.Popen(
            [sys.executable, "-c", RUNNER, str(tmp_path), owner, *command],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
    group(tmp_path).end()


def group(folder: Path, owner: str = "dag/run/task") -> ProcessGroup:
    return ProcessGroup(folder / "notes" / "task", folder, owner)


def run(folder: Path, script: str) -> tuple[int, list[str]]:
    lines: list[str] = []
    here = group(folder)
    with here.held(lines.append):
        ended = here.run(["/bin/sh", "-c", script], env=os.environ, say=lines.append)
    return ended.returncode, lines


def test_lines_are_said_and_the_code_returned(tmp_path: Path) -> None:
    assert run(tmp_path, "echo one; echo two >&2; printf three; exit 5") == (5, ["one", "two", "three"])


def test_standard_output_stands_apart_when_it_is_asked_for(tmp_path: Path) -> None:
    here = group(tmp_path)
    with here.held(print):
        ended = here.run(["/bin/sh", "-c", "echo out; echo err >&2"], env=os.environ, say=print, one_stream=False)
    assert (ended.output, set(ended.lines)) == ("out\n", {"err"})


def test_program_reads_nothing_and_leads_a_session_of_its_own(tmp_path: Path) -> None:
    code, lines = run(tmp_path, "cat; test $$ = $(ps -o sid= -p $$ | tr -d ' ') && echo leads")
    assert (code, lines) == (0, ["leads"])


def test_what_a_program_leaves_running_is_ended_with_it(tmp_path: Path) -> None:
    run(tmp_path, "sleep 300 & echo $! > pid")
    assert not is_alive(pid_in(tmp_path / "pid"))


def test_a_child_with_a_session_of_its_own_is_ended_too(tmp_path: Path) -> None:
    run(tmp_path, "setsid sh -c 'echo $$ > pid; cd /; exec sleep 300' & sleep 0.3")
    assert not is_alive(pid_in(tmp_path / "pid"))


def test_note_goes_when_the_program_ended_by_itself_and_stays_when_it_was_killed(tmp_path: Path) -> None:
    run(tmp_path, "exit 1")
    assert not (tmp_path / "notes" / "task").exists()
    code, _ = run(tmp_path, "kill -9 $$")
    assert code == -signal.SIGKILL
    assert (tmp_path / "notes" / "task").exists()


def test_killed_runner_leaves_children_which_the_next_attempt_ends_first(tmp_path: Path, start: Start) -> None:
    runner = start("/bin/sh", "-c", "sleep 300 & echo $! > child; echo $$ > leader; sleep 300")
    child, leader = pid_in(tmp_path / "child"), pid_in(tmp_path / "leader")
    runner.kill()
    runner.wait()
    assert is_alive(child)
    assert is_alive(leader)
    said: list[str] = []
    with group(tmp_path).held(said.append) as was_cut_short:
        assert was_cut_short
        assert not is_alive(child)
        assert not is_alive(leader)


def test_orphans_of_a_killed_leader_are_ended_by_the_next_attempt(tmp_path: Path, start: Start) -> None:
    """The leader starts its child as dvc does, without the lock: only the note still knows of it."""
    runner = start(sys.executable, "-c", LEADER)
    child, leader = pid_in(tmp_path / "child"), pid_in(tmp_path / "leader")
    runner.kill()
    runner.wait()
    os.kill(leader, signal.SIGKILL)
    until(lambda: not is_alive(leader))
    assert is_alive(child)
    with group(tmp_path).held(print):
        assert not is_alive(child)


def test_runner_notices_that_its_program_was_killed_and_ends_the_rest(tmp_path: Path, start: Start) -> None:
    runner = start("/bin/sh", "-c", "sleep 300 & echo $! > child; echo $$ > leader; sleep 300")
    child = pid_in(tmp_path / "child")
    os.kill(pid_in(tmp_path / "leader"), signal.SIGKILL)
    shown, _ = runner.communicate(timeout=10)
    assert f"code {-signal.SIGKILL}" in shown
    assert not is_alive(child)


def test_living_program_of_an_earlier_attempt_is_ended_by_the_next(tmp_path: Path, start: Start) -> None:
    """The earlier attempt's runner lives too: Airflow has given it up, but nobody killed it."""
    runner = start("/bin/sh", "-c", "echo $$ > leader; sleep 300")
    leader = pid_in(tmp_path / "leader")
    with group(tmp_path).held(print):
        assert not is_alive(leader)
    runner.communicate(timeout=10)


def test_program_of_another_task_is_waited_for_not_ended(tmp_path: Path, start: Start) -> None:
    start("/bin/sh", "-c", "echo $$ > leader; sleep 1; echo done > result", owner="dag/another-run/task")
    pid_in(tmp_path / "leader")
    said: list[str] = []
    with group(tmp_path).held(said.append) as was_cut_short:
        assert (tmp_path / "result").read_text() == "done\n"
        assert not was_cut_short
    assert "another-run" in said[0]


def test_lock_outlives_a_killed_runner_as_long_as_its_program_works(tmp_path: Path, start: Start) -> None:
    runner = start("/bin/sh", "-c", "echo $$ > leader; sleep 1; echo done > result", owner="dag/another-run/task")
    pid_in(tmp_path / "leader")
    runner.kill()
    runner.wait()
    with group(tmp_path).held(print):
        assert (tmp_path / "result").exists()


def test_stranger_that_works_in_the_same_folder_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "300"], cwd=tmp_path, start_new_session=True)
    try:
        run(tmp_path, "exit 0")
        assert is_alive(stranger.pid)
    finally:
        stranger.kill()
        stranger.wait()


def test_stranger_that_got_the_noted_number_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "300"], cwd=tmp_path, start_new_session=True)
    try:
        fields = Path(f"/proc/{stranger.pid}/stat").read_text().split()
        fields[21] = str(int(fields[21]) - 1000)  # the noted leader was started before this one
        note = tmp_path / "notes" / "task"
        note.parent.mkdir()
        note.write_text("dag/run/task\n" + " ".join(fields))
        with group(tmp_path).held(print):
            assert is_alive(stranger.pid)
    finally:
        stranger.kill()
        stranger.wait()


def test_noted_group_that_works_elsewhere_is_left_alone(tmp_path: Path) -> None:
    """A note that was copied with its folder must not end the original's program."""
    original, copy = tmp_path / "original", tmp_path / "copy"
    original.mkdir()
    stranger = subprocess.Popen(["sleep", "300"], cwd=original, start_new_session=True)
    try:
        (copy / "notes").mkdir(parents=True)
        stat = Path(f"/proc/{stranger.pid}/stat").read_text()
        (copy / "notes" / "task").write_text("dag/run/task\n" + stat)
        with group(copy).held(print):
            assert is_alive(stranger.pid)
    finally:
        stranger.kill()
        stranger.wait()
