"""Run one stage of a run's checkout with `dvc repro`, so that it can be killed at any instant and run again."""

import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from fraud_airflow.processes import Ended, ProcessGroup, Say
from fraud_ml.errors import FraudMLError, Rejected, Unavailable
from fraud_ml.settings import Settings

# dvc starts a stage's command through $SHELL. This one writes down when it began, when it ended and with which code, so
# that the command's own seconds are known, that its code is not lost in dvc's, and that no line at all means: cached.
_SHELL = """#!/bin/sh
read -r now _ </proc/uptime; echo "began $now" >>"$FRAUD_AIRFLOW_TIMES"
SHELL=/bin/sh /bin/sh "$@"; code=$?
read -r now _ </proc/uptime; echo "ended $now $code" >>"$FRAUD_AIRFLOW_TIMES"
exit $code
"""
_SENTENCE = re.compile(r"^fraud-ml: (?P<sentence>.+)$")
_DVC_ERROR = re.compile(r"^ERROR: (?P<sentence>.+)$")
_KILLED = 128  # a shell's exit code for a command killed by signal n is 128 + n


@dataclass(frozen=True)
class StageRun:
    """What one stage took: `command_s` is its own command's wall clock (0 when cached), `wall_s` dvc's with it."""

    stage: str
    cached: bool
    command_s: float
    wall_s: float

    def as_dict(self) -> dict[str, str | bool | float]:
        return asdict(self)


class StageFailed(FraudMLError):
    """A stage's command failed with an exit code that says neither rejected nor unavailable: a fault in the code."""


def stage_group(checkout: Path, owner: str) -> ProcessGroup:
    """Return the one place for a dvc process in `checkout`: dvc knows one lock a checkout, so its stages take turns."""
    return ProcessGroup(_state(checkout) / "stage", checkout, owner)


def run_stage(group: ProcessGroup, stage: str, settings: Settings, say: Say, *, force: bool = False) -> StageRun:
    """Bring the outputs of `stage` up to date in the group's checkout; DVC's run cache answers where it can.

    Raises Rejected or Unavailable as the stage's own exit code says, Unavailable when it or dvc was killed or dvc
    itself failed, StageFailed otherwise.
    """
    checkout, state = group.folder, _state(group.folder)
    with group.held(say) as was_cut_short:
        if was_cut_short:
            _restore(checkout)
        _keep(checkout)
        shell, times = state / "shell", state / "times"
        times.unlink(missing_ok=True)
        shell.write_text(_SHELL, encoding="utf-8")
        shell.chmod(0o700)
        ended = group.run(
            [sys.executable, "-m", "dvc", "repro", "--single-item", *(["--force"] if force else []), stage],
            env={**program_environment(settings), "SHELL": str(shell), "FRAUD_AIRFLOW_TIMES": str(times)},
            say=say,
        )
        began, command_s, code = _read_times(times)
    if ended.returncode != 0:
        raise _failure(stage, ended, began=began, code=code)
    return StageRun(stage, cached=not began, command_s=round(command_s, 2), wall_s=round(ended.wall_s, 2))


def program_environment(settings: Settings, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return a program's environment in a checkout: this interpreter first, and places that no checkout may guess."""
    return {
        **environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', os.defpath)}",
        "FRAUD_ML_HOME": str(settings.home),
        "FRAUD_ML_CODE_REPO": settings.code_repo,
        "FRAUD_ML_TFDV_PYTHON": str(settings.tfdv_python),
        "DVC_NO_ANALYTICS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def exit_error(code: int, sentence: str) -> FraudMLError:
    """Return the error that an exit code of ours stands for (see fraud_ml.errors), with the sentence it came with."""
    if code == Rejected.exit_code:
        return Rejected(sentence)
    if code == Unavailable.exit_code or code < 0 or code > _KILLED:
        return Unavailable(sentence)
    return StageFailed(sentence, next_step="read the log above; trying again will not help", exit_code=code)


def sentence_of(lines: tuple[str, ...]) -> str | None:
    """Return the last sentence that the command line said about its failure, if it said one."""
    return next((found["sentence"] for line in reversed(lines) if (found := _SENTENCE.match(line))), None)


def _failure(stage: str, ended: Ended, *, began: bool, code: int | None) -> FraudMLError:
    if ended.returncode < 0:
        return Unavailable(f"stage {stage}: dvc was killed by signal {-ended.returncode}")
    if began and code is None:
        return Unavailable(f"stage {stage}: its command was killed")
    if code:
        killed = f"was killed by signal {code - _KILLED}" if code > _KILLED else f"failed with exit code {code}"
        return exit_error(code, sentence_of(ended.lines) or f"stage {stage} {killed}")
    said = next(
        (found["sentence"] for line in reversed(ended.lines) if (found := _DVC_ERROR.match(line))), "no reason given"
    )
    return Unavailable(f"stage {stage}: dvc failed: {said}")


def _read_times(times: Path) -> tuple[bool, float, int | None]:
    """Return whether a command began, the seconds of those that ended, and the last one's code (None: not ended)."""
    lines = [line.split() for line in times.read_text(encoding="utf-8").splitlines()] if times.exists() else []
    seconds, began, code = 0.0, 0.0, None
    for what, moment, *rest in lines:
        if what == "began":
            began, code = float(moment), None
        else:
            seconds, code = seconds + float(moment) - began, int(rest[0])
    return bool(lines), seconds, code


def _state(checkout: Path) -> Path:
    """Return the folder for our own notes: outside workspace/, ignored by git, gone with the checkout."""
    return checkout / ".dvc" / "tmp" / "fraud-airflow"


# dvc writes dvc.lock in place: killed in that instant it leaves half a file, which no later dvc reads. And a lock of
# dvc's own that names an unreaped process blocks the next dvc. Nothing of the earlier attempt runs by now.


def _keep(checkout: Path) -> None:
    lock, kept = checkout / "dvc.lock", _state(checkout) / "dvc.lock"
    if not lock.exists():
        kept.unlink(missing_ok=True)
        return
    partial = kept.with_suffix(".new")
    shutil.copyfile(lock, partial)
    partial.replace(kept)


def _restore(checkout: Path) -> None:
    lock, kept = checkout / "dvc.lock", _state(checkout) / "dvc.lock"
    if kept.exists():
        partial = lock.with_name(".dvc.lock.new")
        shutil.copyfile(kept, partial)
        partial.replace(lock)
    else:
        lock.unlink(missing_ok=True)
    (checkout / ".dvc" / "tmp" / "rwlock").unlink(missing_ok=True)
