"""A claim log and a snapshot registry of one's own in the shared S3, and a small motor log to put there."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from pyarrow import parquet

from fraud_ml.artifacts import Workspace, file_digest, save
from fraud_ml.contract import Contract, load_contract
from fraud_ml.data.layout import MANIFEST, lay_out
from fraud_ml.data.log import ClaimLog, land
from fraud_ml.data.simulator import simulate, write_rows
from fraud_ml.data.snapshots import Frozen, freeze
from fraud_ml.data.versions import SnapshotRegistry, Version
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import PROJECT, Settings
from tests.command_line import Command
from tests.frozen_motor import AS_OF, frozen_from
from tests.sealed_motor import expectations_of_sealed_motor


@pytest.fixture
def place(s3_settings: Settings, tmp_path: Path) -> Settings:
    """Settings whose log, registry, cache and remote nobody else uses."""
    own = uuid.uuid4().hex[:8]
    urls = {"FRAUD_ML_CLAIMS_URL": f"s3://claims/{own}", "FRAUD_ML_SNAPSHOT_REMOTE": f"s3://snapshots/{own}"}
    return Settings(home=tmp_path / "home", values={**s3_settings.values, **urls})


@pytest.fixture
def store(place: Settings) -> ObjectStore:
    return ObjectStore(place)


@pytest.fixture(scope="session")
def motor() -> Contract:
    """In plain, so that what was landed can be compared; sealed logs have tests of their own."""
    return load_contract("motor", PROJECT / "expectations").model_copy(update={"erasure": None})


@pytest.fixture(scope="session")
def motor_rows() -> pd.DataFrame:
    """A log of 30 claims, recorded on some forty days from January into March 2024."""
    return simulate("motor", claims=30, seed=5, begin=date(2024, 1, 1), end=date(2024, 3, 12))


@pytest.fixture
def motor_file(motor_rows: pd.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "motor.parquet"
    write_rows(motor_rows, path)
    return path


@pytest.fixture
def frozen(place: Settings, motor: Contract, motor_file: Path) -> Frozen:
    land(place, motor, motor_file)
    return freeze(place, motor, AS_OF)


@pytest.fixture(scope="session")
def undisturbed(
    s3_settings: Settings, motor: Contract, motor_rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Frozen:
    """The version as it is when everything is landed at once and nothing is killed."""
    return frozen_from([motor_rows], s3_settings, motor, tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "run")


@pytest.fixture
def freeze_by_earlier_code(place: Settings, motor: Contract, tmp_path: Path) -> Callable[..., Version]:
    """Freeze a date of the landed log as code of layout 0 did: the same rows and, if so said, as other bytes."""

    def frozen(as_of: date, *, other_bytes: bool) -> Version:
        log, registry, folder = ClaimLog(place, motor), SnapshotRegistry(place), tmp_path / f"earlier-{as_of}"
        manifest = lay_out(log, motor, as_of, log.batches(), folder)
        for name in manifest.files if other_bytes else ():
            parquet.write_table(parquet.read_table(folder / name), folder / name, compression="gzip")
        files = {name: file_digest(folder / name) for name in manifest.files}
        manifest = replace(manifest, files=files, code_version="0.0.9", layout=0)
        manifest = replace(manifest, digest=manifest.content_digest())
        save(manifest, folder / MANIFEST)
        with registry.locked():
            return registry.record(folder, manifest, revision=1)

    return frozen


@pytest.fixture
def command(place: Settings, tmp_path: Path) -> Command:
    """Start `fraud-ml …` as a process of its own, in that place, by the contract that `motor` is."""
    here = tmp_path / "here"
    expectations_of_sealed_motor(here / "expectations", sealed=False)

    def start(*arguments: object) -> subprocess.Popen[str]:
        names = ("AWS_", "FRAUD_ML_")
        values = {name: value for name, value in place.values.items() if name.startswith(names)}
        return subprocess.Popen(
            [sys.executable, "-m", "fraud_ml", *map(str, arguments)],
            cwd=here,
            env={**os.environ, **values, "FRAUD_ML_HOME": str(place.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
