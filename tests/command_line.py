"""`fraud-ml …` as people and the scheduler run it."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from fraud_ml.settings import PROJECT, Settings

Command = Callable[..., subprocess.Popen[str]]  # starts `fraud-ml …` as a process, in a test's own place
Run = Callable[..., tuple[int, str, str]]  # calls it in this process: exit code, standard output, standard error


def run_command(
    *arguments: str, environment: Mapping[str, str], folder: Path = PROJECT, said: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run `fraud-ml …` as a process to its end, whatever that is. environment: all of it; said: what is typed."""
    return subprocess.run(
        [sys.executable, "-m", "fraud_ml", *arguments],
        cwd=folder,
        env=environment,
        input=said,
        capture_output=True,
        text=True,
        check=False,
    )


def succeed(settings: Settings, *arguments: str) -> str:
    """Run a command as a person would, in that stack's place; it must succeed. Return what it printed."""
    done = run_command(*arguments, environment={**os.environ, "FRAUD_ML_HOME": str(settings.home)})
    assert done.returncode == 0, done.stderr
    return done.stdout
