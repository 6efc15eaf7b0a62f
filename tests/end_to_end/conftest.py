"""What end-to-end tests start from: a demo on the real claims and one on simulated ones, on the shared stack."""

import subprocess
from pathlib import Path

import pytest

from fraud_ml.airflow_api import AirflowApi
from fraud_ml.demo import DemoResult, run_demo
from fraud_ml.ledger import Ledger
from fraud_ml.settings import PROJECT, Settings


def clone(folder: Path) -> Path:
    """Return a laptop's clone of the project's HEAD."""
    path = folder / "project"
    subprocess.run(["git", "clone", "-q", str(PROJECT), str(path)], check=True)
    return path


@pytest.fixture(scope="session")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout in which the demo on real claims leaves its inputs pinned."""
    return clone(tmp_path_factory.mktemp("laptop"))


@pytest.fixture(scope="session")
def carclaims_demo(full_stack: Settings, laptop: Path, carclaims: Path) -> DemoResult:
    return run_demo(dataset="carclaims", claims=carclaims, home=full_stack.home, checkout=laptop)


@pytest.fixture(scope="session")
def motor_demo(full_stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    checkout = clone(tmp_path_factory.mktemp("motor"))
    return run_demo(dataset="motor", claims=None, home=full_stack.home, checkout=checkout)


@pytest.fixture(scope="session")
def airflow(full_stack: Settings) -> AirflowApi:
    return AirflowApi(full_stack)


@pytest.fixture
def ledger(full_stack: Settings) -> Ledger:
    return Ledger(full_stack.ledger_url)
