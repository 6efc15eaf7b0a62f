"""Versions for people and programs: what differs between two, git and DVC by themselves, the commands."""

import json
import shutil
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from pyarrow import parquet

from fraud_ml.contract import Contract
from fraud_ml.data.snapshots import Frozen, diff_versions, freeze
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings
from tests.command_line import Command
from tests.frozen_motor import TAG, git

pytestmark = pytest.mark.stack


def test_diff_counts_what_appeared_by_recorded_day_and_nothing_between_a_version_and_itself(
    place: Settings, frozen: Frozen, motor: Contract, motor_rows: pd.DataFrame
) -> None:
    freeze(place, motor, date(2024, 3, 12))
    later = motor_rows[motor_rows["recorded_at"] >= "2024-03-06"]
    found = diff_versions(place, motor, "2024-03-05", "2024-03-12")

    per_day = later["recorded_at"].dt.strftime("%Y-%m-%d").value_counts().to_dict()
    assert {day: changes.rows_appeared for day, changes in found.days.items()} == per_day
    assert found.total.labels_appeared == later["outcome"].notna().sum()
    back = diff_versions(place, motor, "2024-03-12", "2024-03-05")
    assert (back.total.rows_vanished, back.total.labels_vanished) == (len(later), found.total.labels_appeared)
    assert diff_versions(place, motor, "2024-03-05", "2024-03-05").days == {}


# --- the registry for people ----------------------------------------------------------------------------------------


def test_credentials_stay_out_of_git(place: Settings, frozen: Frozen) -> None:
    local = place.snapshot_registry / ".dvc" / "config.local"
    secret = place.values["AWS_SECRET_ACCESS_KEY"]

    assert secret in local.read_text()
    assert local.stat().st_mode & 0o077 == 0
    for line in git(place, "ls-files").splitlines():
        text = (place.snapshot_registry / line).read_text()
        assert secret not in text
        assert place.values["AWS_ENDPOINT_URL"] not in text


def test_plain_dvc_gets_the_same_bytes(place: Settings, frozen: Frozen, tmp_path: Path) -> None:
    from dvc.repo import Repo

    shutil.rmtree(place.home / "snapshot-cache")
    git(place, "checkout", "--quiet", TAG)
    with Repo(str(place.snapshot_registry)) as repo:
        repo.pull()
    names = sorted(frozen.manifest.files)
    data = place.snapshot_registry / "claims" / "motor" / "snapshot"

    assert sorted(path.relative_to(data).as_posix() for path in data.rglob("*.parquet")) == names
    assert sum(parquet.read_metadata(data / name).num_rows for name in names) == frozen.manifest.rows


def test_commands_tell_programs_json_and_nothing_else(
    place: Settings, motor_file: Path, motor_rows: pd.DataFrame, command: Command, tmp_path: Path
) -> None:
    landed_days = {f"{moment:%Y-%m-%d}" for moment in motor_rows["recorded_at"] if moment < pd.Timestamp("2024-03-06")}
    answers = []
    for arguments in (
        ("land", "motor", motor_file),
        ("snapshot", "freeze", "motor", "2024-03-05"),
        ("snapshot", "list", "motor"),
        ("snapshot", "show", "motor", "2024-03-05"),
        ("snapshot", "verify", "motor", "2024-03-05"),
        ("snapshot", "freeze", "motor", "2024-02-29"),
        ("snapshot", "diff", "motor", "2024-02-29", "2024-03-05"),
        ("snapshot", "pull", "motor", "2024-03-05", "--into", tmp_path / "pulled"),
    ):
        process = command(*arguments, "--json")
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        answers.append(json.loads(out))

    landed, version, versions, shown, verified, earlier, difference, pulled = answers
    assert landed["created"]
    assert (version["created"], version["tag"], version["as_of"]) == (True, TAG, "2024-03-05")
    assert [item["tag"] for item in versions] == [TAG]
    assert version["restated"] is None
    assert shown["manifest"] == version["manifest"]
    files, days = len(version["manifest"]["files"]), len(landed_days)
    assert {name: verified[name] for name in ("cached", "remote", "log", "folded")} == {
        "cached": files + 1,
        "remote": files + 2,
        "log": days + 1,
        "folded": 0,
    }
    assert difference["total"]["rows_appeared"] == version["manifest"]["rows"] - earlier["manifest"]["rows"]
    assert set(difference["days"]) == {day for day in landed_days if day > "2024-02-29"}
    assert pulled == version["manifest"]
    assert sorted(path.name for path in (tmp_path / "pulled").iterdir()) == ["log", "manifest.json"]


def test_commands_exit_2_when_rejected_and_3_when_unavailable(
    place: Settings, store: ObjectStore, motor_file: Path, command: Command
) -> None:
    process = command("snapshot", "freeze", "motor", "2024-03-05")
    assert "the log of `motor` is empty" in process.communicate()[1]
    assert process.returncode == 2
    process = command("snapshot", "freeze", "motor", "soon")
    assert "not a date. Expected: YYYY-MM-DD" in process.communicate()[1]
    assert process.returncode == 2
