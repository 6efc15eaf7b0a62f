"""The snapshot that tests of the registry freeze from the small motor log, and what they ask of its place."""

import subprocess
import uuid
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from fraud_ml.contract import Contract
from fraud_ml.data.log import land
from fraud_ml.data.simulator import write_rows
from fraud_ml.data.snapshots import Frozen, freeze
from fraud_ml.errors import Tampered
from fraud_ml.settings import Settings

AS_OF = date(2024, 3, 5)
TAG = "claims/motor/2024-03-05"


def frozen_from(pieces: list[pd.DataFrame], s3: Settings, motor: Contract, folder: Path) -> Frozen:
    """Land the pieces in turn into an empty log, and freeze it."""
    own = uuid.uuid4().hex[:8]
    urls = {"FRAUD_ML_CLAIMS_URL": f"s3://claims/{own}", "FRAUD_ML_SNAPSHOT_REMOTE": str(folder / own / "remote")}
    elsewhere = Settings(home=folder / own, values={**s3.values, **urls})
    for piece in pieces:
        write_rows(piece, folder / "piece.parquet")
        land(elsewhere, motor, folder / "piece.parquet")
    return freeze(elsewhere, motor, AS_OF)


def tags(place: Settings) -> list[str]:
    return git(place, "tag", "--list").split()


def git(place: Settings, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(place.snapshot_registry), *arguments], check=True, capture_output=True, text=True
    ).stdout


def cached(place: Settings, *, listing: bool) -> Path:
    """A Parquet partition, or DVC's list of files, in the cache."""
    found = [path for path in sorted((place.home / "snapshot-cache" / "files").rglob("*")) if path.is_file()]
    if listing:
        return next(path for path in found if path.suffix == ".dir")
    return next(path for path in found if path.read_bytes().startswith(b"PAR1"))


def named(act: Callable[[], object]) -> str:
    with pytest.raises(Tampered) as noticed:
        act()
    return str(noticed.value.facts["path"])
