"""Snapshots frozen on this disk: of the public car claims, of the simulated motor insurer, and of doctored rows."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from fraud_ml.contract import Contract, load_contract
from fraud_ml.data.simulator import simulate, write_rows
from fraud_ml.data.snapshots import Snapshot, open_snapshot
from fraud_ml.data.sources.files import read_file
from fraud_ml.data.tables import parse_rows
from fraud_ml.features.log_copy import freeze_copy
from fraud_ml.settings import PROJECT

Frozen = Callable[..., Snapshot]


@pytest.fixture(scope="session")
def motor() -> Contract:
    """In plain; looking for leaks in sealed claims has a test of its own."""
    return load_contract("motor", PROJECT / "expectations").model_copy(update={"erasure": None})


@pytest.fixture(scope="session")
def cars() -> Contract:
    return load_contract("carclaims", PROJECT / "expectations")


@pytest.fixture(scope="session")
def motor_rows(motor: Contract, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The log of 3,000 simulated claims, accidents of 2024 and 2025."""
    path = tmp_path_factory.mktemp("motor") / "motor.parquet"
    write_rows(simulate("motor", claims=3_000, seed=11, begin=date(2024, 1, 1), end=date(2025, 12, 31)), path)
    return parse_rows(read_file(path, motor), motor).to_pandas()


@pytest.fixture(scope="session")
def car_rows(cars: Contract, carclaims: Path) -> pd.DataFrame:
    return parse_rows(read_file(carclaims, cars), cars).to_pandas()


@pytest.fixture
def frozen(tmp_path: Path) -> Frozen:
    """Freeze rows as of a date; by default as `fraud-ml snapshot freeze` cuts them."""

    def make(rows: pd.DataFrame, contract: Contract, as_of: date, freeze: Callable = freeze_copy) -> Snapshot:
        folder = tmp_path / f"snapshot-{len(list(tmp_path.iterdir()))}"
        freeze(rows, contract, as_of, folder)
        return open_snapshot(folder, contract)

    return make
