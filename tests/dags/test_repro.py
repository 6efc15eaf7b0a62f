"""A stage run through real dvc: what it answers, and what is left after kills."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from kills import is_alive, pid_in, until

from fraud_airflow.repro import StageFailed, StageRun, run_stage, stage_group
from fraud_ml.errors import Rejected, Unavailable
from fraud_ml.settings import PROJECT, Settings

# The stage that tests kill: it writes its folder slowly, file by file, and so does a child of it, which outlives it.
SLOW = """
import os, sys, time
from pathlib import Path
out = Path("out")
out.mkdir()
if os.fork() == 0:
    Path("child").write_text(str(os.getpid()))
    for number in range(40):
        (out / f"child-{number}").write_text(str(number))
        time.sleep(0.01)
    os._exit(0)
for number in range(40):
    (out / f"parent-{number}").write_text(Path("in.txt").read_text() * number)
    time.sleep(0.01)
os.wait()
Path("child").unlink()
"""
RUNNER = """
import sys
from pathlib import Path
from fraud_airflow.repro import run_stage, stage_group
from fraud_ml.settings import Settings
checkout, stage = sys.argv[1:]
run_stage(stage_group(Path(checkout), "dag/run/task"), stage, Settings(home=Path(checkout) / "home", values={}), print)
"""


Kill = Callable[[Path, "subprocess.Popen[bytes]"], None]


def declare(**stages: object) -> str:
    return yaml.safe_dump({"stages": stages})


def slow_project(project: Callable[..., Path], name: str = "project") -> Path:
    stage = {"cmd": "python slow.py", "deps": ["in.txt", "slow.py"], "outs": ["out"]}
    return project({"dvc.yaml": declare(slow=stage), "slow.py": SLOW, "in.txt": "claims "}, name)


def runs(checkout: Path, stage: str, settings: Settings, *, force: bool = False) -> tuple[StageRun, list[str]]:
    lines: list[str] = []
    return run_stage(stage_group(checkout, "dag/run/task"), stage, settings, lines.append, force=force), lines


def in_background(checkout: Path, stage: str) -> "subprocess.Popen[bytes]":
    path = os.pathsep.join([str(PROJECT / "plugins"), str(PROJECT)])
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(checkout), stage],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def lock_of(checkout: Path) -> object:
    return yaml.safe_load((checkout / "dvc.lock").read_text())


def test_stage_runs_once_then_is_cached_and_its_own_seconds_are_told(
    project: Callable[..., Path], settings: Settings
) -> None:
    stage = {"cmd": "sleep 0.3 && echo said && echo 1 > a.txt", "outs": ["a.txt"]}
    checkout = project({"dvc.yaml": declare(a=stage)})
    first, lines = runs(checkout, "a", settings)
    assert (first.stage, first.cached) == ("a", False)
    assert 0.25 <= first.command_s < first.wall_s
    assert "said" in lines
    again, lines = runs(checkout, "a", settings)
    assert (again.cached, again.command_s) == (True, 0.0)
    assert "said" not in lines


def test_another_checkout_is_answered_from_the_shared_run_cache(
    project: Callable[..., Path], settings: Settings
) -> None:
    files = {"dvc.yaml": declare(a={"cmd": "date +%N > a.txt", "deps": ["in.txt"], "outs": ["a.txt"]}), "in.txt": "1"}
    first, second = project(files, "first"), project(files, "second")
    runs(first, "a", settings)
    assert runs(second, "a", settings)[0].cached
    assert (first / "a.txt").read_bytes() == (second / "a.txt").read_bytes()


def test_force_runs_a_stage_that_the_cache_could_answer(project: Callable[..., Path], settings: Settings) -> None:
    checkout = project({"dvc.yaml": declare(a={"cmd": "echo 1 > a.txt", "outs": ["a.txt"]})})
    runs(checkout, "a", settings)
    assert not runs(checkout, "a", settings, force=True)[0].cached


def test_stage_finds_this_interpreter_and_the_places_of_the_settings(
    project: Callable[..., Path], settings: Settings
) -> None:
    cmd = "python -c \"import sys, os; print(sys.executable); print(os.environ['FRAUD_ML_HOME'])\" > a.txt"
    checkout = project({"dvc.yaml": declare(a={"cmd": cmd, "outs": ["a.txt"]})})
    runs(checkout, "a", settings)
    assert (checkout / "a.txt").read_text().split() == [sys.executable, str(settings.home)]


@pytest.mark.parametrize(
    ("code", "kind"),
    [(2, Rejected), (3, Unavailable), (1, StageFailed), (137, Unavailable)],
)
def test_exit_code_of_the_stage_decides_the_kind_of_failure(
    project: Callable[..., Path], settings: Settings, code: int, kind: type[Exception]
) -> None:
    checkout = project({"dvc.yaml": declare(a={"cmd": f"exit {code}", "outs": ["a.txt"]})})
    with pytest.raises(kind) as failed:
        runs(checkout, "a", settings)
    assert type(failed.value) is kind


def test_sentence_of_the_stage_is_kept(project: Callable[..., Path], settings: Settings) -> None:
    cmd = "echo 'fraud-ml: snapshot.parquet differs. Expected: 12ab. Arrived: 34cd.' >&2; exit 2"
    checkout = project({"dvc.yaml": declare(a={"cmd": cmd, "outs": ["a.txt"]})})
    with pytest.raises(Rejected, match=r"^snapshot\.parquet differs\. Expected: 12ab\. Arrived: 34cd\.$"):
        runs(checkout, "a", settings)


def test_killed_stage_may_be_tried_again(project: Callable[..., Path], settings: Settings) -> None:
    checkout = project({"dvc.yaml": declare(a={"cmd": "kill -9 $$", "outs": ["a.txt"]})})
    with pytest.raises(Unavailable, match="killed by signal 9"):
        runs(checkout, "a", settings)


def test_failure_of_dvc_itself_may_be_tried_again_and_is_told(project: Callable[..., Path], settings: Settings) -> None:
    checkout = project({"dvc.yaml": declare(a={"cmd": "true", "deps": ["absent"], "outs": ["a.txt"]})})
    with pytest.raises(Unavailable, match=r"dvc failed: .*absent"):
        runs(checkout, "a", settings)


def kill_everything(checkout: Path, runner: "subprocess.Popen[bytes]") -> None:
    runner.kill()
    for process in stage_group(checkout, "dag/run/task")._members():
        os.kill(process.pid, signal.SIGKILL)
    runner.wait()


def kill_the_runner(_checkout: Path, runner: "subprocess.Popen[bytes]") -> None:
    runner.kill()
    runner.wait()


def kill_dvc_and_the_runner(checkout: Path, runner: "subprocess.Popen[bytes]") -> None:
    runner.kill()
    os.kill(int((checkout / ".dvc/tmp/fraud-airflow/stage").read_text().split("\n")[1].split()[0]), signal.SIGKILL)
    runner.wait()


def kill_dvc(checkout: Path, runner: "subprocess.Popen[bytes]") -> None:
    os.kill(int((checkout / ".dvc/tmp/fraud-airflow/stage").read_text().split("\n")[1].split()[0]), signal.SIGKILL)
    assert runner.wait(timeout=10) != 0


@pytest.mark.parametrize("kill", [kill_everything, kill_the_runner, kill_dvc_and_the_runner, kill_dvc])
def test_stage_killed_while_it_writes_gives_the_same_outputs_when_tried_again(
    project: Callable[..., Path], settings: Settings, kill: Kill
) -> None:
    """Whoever is killed: what lives on is ended first, so that nobody writes into the second attempt's outputs."""
    undisturbed = slow_project(project, "undisturbed")
    runs(undisturbed, "slow", settings)
    disturbed = slow_project(project, "disturbed")
    (disturbed / ".dvc" / "config.local").write_text(f"[cache]\n    dir = {disturbed.parent}/cache-of-its-own\n")
    runner = in_background(disturbed, "slow")
    child = pid_in(disturbed / "child")
    until((disturbed / "out" / "parent-5").exists)
    kill(disturbed, runner)
    again, _ = runs(disturbed, "slow", settings)
    assert not again.cached
    assert not is_alive(child)
    assert content(disturbed / "out") == content(undisturbed / "out")
    assert lock_of(disturbed) == lock_of(undisturbed)
    time.sleep(0.1)
    assert content(disturbed / "out") == content(undisturbed / "out")


@pytest.mark.slow
def test_stage_killed_at_any_instant_gives_the_same_outputs_when_tried_again(
    project: Callable[..., Path], settings: Settings
) -> None:
    undisturbed = slow_project(project, "undisturbed")
    took = runs(undisturbed, "slow", settings)[0].wall_s
    for step in range(1, 6):
        disturbed = slow_project(project, f"disturbed-{step}")
        (disturbed / ".dvc" / "config.local").write_text(f"[cache]\n    dir = {disturbed.parent}/cache-{step}\n")
        runner = in_background(disturbed, "slow")
        note = disturbed / ".dvc" / "tmp" / "fraud-airflow" / "stage"
        until(note.exists)
        time.sleep(took * step / 5)
        kill_everything(disturbed, runner)
        runs(disturbed, "slow", settings)
        assert content(disturbed / "out") == content(undisturbed / "out"), step
        assert lock_of(disturbed) == lock_of(undisturbed), step


def two_stages(project: Callable[..., Path]) -> Path:
    first = {"cmd": "echo 1 > a.txt", "outs": ["a.txt"]}
    second = {"cmd": "cp a.txt b.txt", "deps": ["a.txt"], "outs": ["b.txt"]}
    return project({"dvc.yaml": declare(first=first, second=second)})


def cut_short(checkout: Path) -> None:
    """Leave what a killed attempt leaves: its note."""
    stat = Path("/proc/self/stat").read_text().replace(str(os.getpid()), "999999", 1)
    (checkout / ".dvc" / "tmp" / "fraud-airflow" / "stage").write_text("dag/run/task\n" + stat)


@pytest.mark.parametrize("half", ["", "schema: '2.0'\nstages:\n  first:\n    cmd: ech", "schema: '2"])
def test_half_written_dvc_lock_is_restored_with_the_stages_before(
    project: Callable[..., Path], settings: Settings, half: str
) -> None:
    checkout = two_stages(project)
    runs(checkout, "first", settings)
    whole = lock_of(checkout)
    runs(checkout, "second", settings)
    (checkout / "dvc.lock").write_text(half)
    cut_short(checkout)
    runs(checkout, "second", settings)
    assert lock_of(checkout)["stages"]["first"] == whole["stages"]["first"]  # type: ignore[index]
    assert set(lock_of(checkout)["stages"]) == {"first", "second"}  # type: ignore[index]


def test_lock_of_dvc_that_names_a_living_process_does_not_block_the_next_attempt(
    project: Callable[..., Path], settings: Settings
) -> None:
    """A killed dvc that nobody has reaped still counts as living for dvc."""
    checkout = two_stages(project)
    runs(checkout, "first", settings)
    (checkout / ".dvc" / "tmp" / "rwlock").write_text(
        json.dumps({str(checkout / "b.txt"): {"write": {"pid": os.getpid(), "cmd": "dvc repro"}}})
    )
    cut_short(checkout)
    runs(checkout, "second", settings)
    assert (checkout / "b.txt").read_text() == "1\n"


def test_stages_of_one_checkout_take_turns(project: Callable[..., Path], settings: Settings) -> None:
    one = {"cmd": "test ! -e busy && touch busy && sleep 0.5 && rm busy && echo 1 > one.txt", "outs": ["one.txt"]}
    two = {"cmd": "test ! -e busy && touch busy && sleep 0.5 && rm busy && echo 2 > two.txt", "outs": ["two.txt"]}
    checkout = project({"dvc.yaml": declare(one=one, two=two)})
    runner = in_background(checkout, "one")
    until((checkout / "busy").exists)
    run_stage(stage_group(checkout, "dag/run/other"), "two", settings, print)
    assert runner.wait(timeout=10) == 0
    assert set(lock_of(checkout)["stages"]) == {"one", "two"}  # type: ignore[index]
