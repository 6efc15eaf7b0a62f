"""The running stacks that tests share: real servers in temporary folders, each started when a test asks for it.

Tests of single rooms share servers that nobody else uses; end-to-end tests share a whole stack beside them, since its
relay and scorer take every event they hear of.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fraud_ml.settings import PROJECT, Settings
from fraud_ml.stack import Stack

# Waits until the test run is over, however it ended (kill -9 too), then stops the stack and removes its folder.
_GUARD = """
import pathlib, shutil, sys
from fraud_ml.stack import Stack
sys.stdin.read()
home = pathlib.Path(sys.argv[1])
Stack(home).down()
shutil.rmtree(home, ignore_errors=True)
"""


@contextmanager
def _folder_for_a_stack() -> Iterator[Path]:
    """Yield an empty folder; afterwards nothing runs there."""
    home = Path(tempfile.mkdtemp(prefix="fraud-ml-tests-"))
    environment = {name: value for name, value in os.environ.items() if name != "FRAUD_ML_HOME"}
    guard = subprocess.Popen(
        [sys.executable, "-c", _GUARD, str(home)],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.PIPE,
        start_new_session=True,  # an interrupt from the keyboard must not reach it
    )
    try:
        yield home
    finally:
        Stack(home).down()
        assert guard.stdin is not None
        guard.stdin.close()
        guard.wait(timeout=60)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def stack_home() -> Iterator[Path]:
    """The folder of the servers that tests of single rooms share; nothing of ours listens to them."""
    with _folder_for_a_stack() as home:
        yield home


@pytest.fixture(scope="session")
def postgres_settings(stack_home: Path) -> Settings:
    """PostgreSQL with its three databases."""
    return Stack(stack_home).up(["postgres"])


@pytest.fixture(scope="session")
def s3_settings(stack_home: Path) -> Settings:
    """S3 with its four buckets."""
    return Stack(stack_home).up(["s3"])


@pytest.fixture(scope="session")
def rabbitmq_settings(stack_home: Path) -> Settings:
    """A RabbitMQ node; the test is skipped, visibly, where none can be had."""
    settings = Stack(stack_home).up(["rabbitmq"])
    if settings.rabbitmq_url is None:
        pytest.skip("no RabbitMQ is to be had on this machine")
    return settings


@pytest.fixture(scope="session")
def mlflow_settings(stack_home: Path) -> Settings:
    """An MLflow server, its PostgreSQL and S3."""
    return Stack(stack_home).up(["mlflow", "s3"])


@pytest.fixture(scope="session")
def full_stack() -> Iterator[Settings]:
    """Everything, Airflow, relay and scorer too, in a folder of its own."""
    with _folder_for_a_stack() as home:
        yield Stack(home).up()


@pytest.fixture(scope="module")
def airflow_stack() -> Iterator[Settings]:
    """Airflow, PostgreSQL and S3 alone, in a folder of its own: a scheduler that a test may kill."""
    with _folder_for_a_stack() as home:
        yield Stack(home).up(["airflow-api", "airflow-scheduler", "airflow-dag-processor", "s3"])


@pytest.fixture(scope="session")
def carclaims() -> Path:
    """The public car-claims file; the test is skipped, visibly, where it is absent."""
    path = Path(os.environ.get("FRAUD_ML_SHARED", PROJECT.parent / "shared")) / "data" / "carclaims.csv"
    if not path.is_file():
        pytest.skip(f"the public data is not there (FRAUD_ML_SHARED): {path.name}")
    return path
