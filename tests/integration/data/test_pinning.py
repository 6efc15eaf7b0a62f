"""A version is brought where it is needed, from cache or store, and into no folder that holds something else."""

import shutil
from datetime import date
from pathlib import Path

import pytest

from fraud_ml.artifacts import Workspace
from fraud_ml.contract import Column, Contract, Kind, Role
from fraud_ml.data.log import land
from fraud_ml.data.snapshots import Frozen, freeze, open_snapshot, pin_snapshot, pull_snapshot, verify_version
from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.settings import Settings
from tests.frozen_motor import AS_OF
from tests.tampering import flip_a_byte

pytestmark = pytest.mark.stack


def test_pin_needs_no_store_where_the_cache_holds_the_bytes(
    place: Settings, frozen: Frozen, workspace: Workspace
) -> None:
    dead = Settings(home=place.home, values={**place.values, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})

    assert pin_snapshot(dead, "motor", AS_OF, workspace) == frozen.manifest


def test_pin_pulls_what_the_cache_lacks(place: Settings, frozen: Frozen, workspace: Workspace) -> None:
    shutil.rmtree(place.home / "snapshot-cache")

    assert pin_snapshot(place, "motor", "2024-03-05", workspace) == frozen.manifest


def test_pin_is_unavailable_where_neither_cache_nor_store_answers(
    place: Settings, frozen: Frozen, workspace: Workspace
) -> None:
    shutil.rmtree(place.home / "snapshot-cache")
    dead = Settings(home=place.home, values={**place.values, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})

    with pytest.raises(Unavailable):
        pin_snapshot(dead, "motor", AS_OF, workspace)
    assert not workspace.snapshot.exists()


def test_remote_folder_that_is_gone_is_unavailable(
    place: Settings, motor: Contract, motor_file: Path, workspace: Workspace, tmp_path: Path
) -> None:
    here = Settings(
        home=place.home, values={**place.values, "FRAUD_ML_SNAPSHOT_REMOTE": str(tmp_path / "mounted" / "remote")}
    )
    land(here, motor, motor_file)
    freeze(here, motor, AS_OF)
    shutil.rmtree(tmp_path / "mounted")
    with pytest.raises(Unavailable, match=r"mounted/remote does not give .*No such file.* FRAUD_ML_SNAPSHOT_REMOTE"):
        verify_version(here, motor, "2024-03-05", remote=True)
    shutil.rmtree(place.home / "snapshot-cache")
    with pytest.raises(Unavailable, match=r"mount or restore it"):
        pin_snapshot(here, "motor", AS_OF, workspace)


def test_pinning_again_touches_nothing_and_mends_a_damaged_copy(
    place: Settings, frozen: Frozen, workspace: Workspace
) -> None:
    pin_snapshot(place, "motor", AS_OF, workspace)
    before = workspace.snapshot.stat().st_ino
    pin_snapshot(place, "motor", AS_OF, workspace)
    assert workspace.snapshot.stat().st_ino == before

    flip_a_byte(workspace.snapshot / "log" / "2024-01.parquet")
    pin_snapshot(place, "motor", AS_OF, workspace)
    assert list(workspace.snapshot.parent.iterdir()) == [workspace.snapshot]


def test_pin_replaces_another_version(place: Settings, frozen: Frozen, motor: Contract, workspace: Workspace) -> None:
    other = freeze(place, motor, date(2024, 2, 10))
    for version in (frozen, other, frozen):
        pin_snapshot(place, "motor", version.manifest.as_of, workspace)
        assert open_snapshot(workspace.snapshot, motor).manifest == version.manifest


def test_pin_of_an_unknown_version_names_those_that_exist(
    place: Settings, frozen: Frozen, workspace: Workspace
) -> None:
    with pytest.raises(BadInput, match=r"no snapshot of `motor` as of 2024-03-06\. Expected: one of 2024-03-05"):
        pin_snapshot(place, "motor", date(2024, 3, 6), workspace)


def test_contract_that_grew_a_column_is_told_apart_from_damage(
    place: Settings, frozen: Frozen, motor: Contract, workspace: Workspace
) -> None:
    pin_snapshot(place, "motor", AS_OF, workspace)
    added = Column(name="trailer", kind=Kind.CATEGORY, role=Role.FEATURE)
    grown = motor.model_copy(update={"columns": (*motor.columns, added)})

    with pytest.raises(BadInput, match="has no column `trailer`"):
        open_snapshot(workspace.snapshot, grown).claims()
    with pytest.raises(BadInput, match="does not have the columns of its contract"):
        freeze(place, grown, date(2024, 3, 6))


def test_pull_takes_an_empty_or_a_snapshots_folder_and_no_other(
    place: Settings, frozen: Frozen, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("absent", "empty", "empty"):
        assert pull_snapshot(place, "motor", "2024-03-05", tmp_path / name) == frozen.manifest
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("precious")

    with pytest.raises(BadInput, match="holds something else than a snapshot"):
        pull_snapshot(place, "motor", "2024-03-05", tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "precious"
