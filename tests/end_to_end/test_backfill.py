"""Two backfills through a real scheduler that is killed, and a task of which is killed: the past stays what it was.

Only what freezes runs here, on a stack of its own whose scheduler may be killed.
"""

import json
import os
import shlex
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from fraud_ml.airflow_api import AirflowApi, Run
from fraud_ml.contract import Contract, load_contract
from fraud_ml.data.log import land
from fraud_ml.data.simulator import simulate, write_rows
from fraud_ml.data.snapshots import freeze
from fraud_ml.data.versions import SnapshotRegistry, Version
from fraud_ml.settings import PROJECT, Settings
from fraud_ml.stack import Stack
from tests.command_line import succeed

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(1_200)]

RANGES = {"motor": ("2023-01-01", "2025-12-31"), "carclaims": ("1994-01-01", "1997-01-31")}
DATES = {"motor": 36, "carclaims": 12}
LIMIT_S = 420.0


@dataclass
class Story:
    """What was planned, what was killed, and how each date's run ended."""

    settings: Settings
    airflow: AirflowApi
    plans: dict[str, dict[str, Any]]
    dry_runs: dict[str, list[str]] = field(default_factory=dict)
    runs: dict[str, dict[str, Run]] = field(default_factory=dict)
    killed_dates: list[tuple[str, str]] = field(default_factory=list)
    scheduler_pids: list[int] = field(default_factory=list)

    def dates(self, dataset: str) -> list[str]:
        return [one["as_of"] for one in self.plans[dataset]["dates"] if one["state"] != "empty"]

    def bounds(self, dataset: str) -> tuple[datetime, datetime]:
        """Return the first moment of the first date and the last of the range."""
        first, last = self.dates(dataset)[0], RANGES[dataset][1]
        return datetime.fromisoformat(f"{first}T00:00:00Z"), datetime.fromisoformat(f"{last}T23:59:59Z")

    def look(self) -> dict[str, dict[str, Run]]:
        """Ask Airflow for the newest run of every planned date."""
        for dataset, (begin, end) in RANGES.items():
            dag_id = self.plans[dataset]["dag_id"]
            found = self.airflow.runs_of_dates(dag_id, date.fromisoformat(begin), date.fromisoformat(end))
            self.runs[dataset] = {key: found[key] for key in self.dates(dataset) if key in found}
        return self.runs

    def succeeded(self) -> int:
        return sum(run.has_succeeded for runs in self.look().values() for run in runs.values())


def wait_for(what: Callable[[], Any], *, limit_s: float, pause_s: float = 0.1) -> Any:
    """Return the first truthy answer."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(pause_s)
    raise AssertionError(f"not within {limit_s} s")


def freezing(home: Path) -> psutil.Process | None:
    """Return a living freeze command of a task of that stack."""
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        try:
            if command[2:5] == ["fraud_ml", "snapshot", "freeze"] and (
                process.environ().get("FRAUD_ML_HOME") == str(home)
            ):
                return process
        except psutil.Error:
            continue
    return None


def kill_task(home: Path) -> tuple[str, str] | None:
    """Kill Airflow's process for a task that freezes, and return the task's dataset and date.

    The command that it had started lives on, as after an out-of-memory kill.
    """
    try:
        command = freezing(home)
        if command is None:
            return None
        dataset, as_of = command.cmdline()[5:7]
        task = command.parent()
        if task is None or task.environ().get("FRAUD_ML_HOME") != str(home):
            return None  # an orphan: its task is dead already
        task.kill()
    except (psutil.Error, ValueError):  # it ended by itself meanwhile
        return None
    return dataset, as_of


def scheduler_pid(settings: Settings) -> int | None:
    return next(one.pid for one in Stack(settings.home).status() if one.name == "airflow-scheduler")


def contract(dataset: str) -> Contract:
    return load_contract(dataset, PROJECT / "expectations")


@pytest.fixture(scope="module")
def landed(airflow_stack: Settings, carclaims: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Both lines' claims in the log: a simulated insurer's of three years and a month, and the real ones."""
    motor = tmp_path_factory.mktemp("simulated") / "motor.parquet"
    write_rows(simulate("motor", claims=2_000, seed=11, begin=date(2022, 12, 1), end=date(2025, 12, 31)), motor)
    land(airflow_stack, contract("motor"), motor)
    land(airflow_stack, contract("carclaims"), carclaims)
    return airflow_stack


@pytest.fixture(scope="module")
def story(landed: Settings) -> Story:
    """Plan and start both backfills, kill the scheduler and a task on the way, and wait for the end."""
    plans = {
        dataset: json.loads(succeed(landed, "backfill", "plan", dataset, "--from", begin, "--to", end, "--json"))
        for dataset, (begin, end) in RANGES.items()
    }
    airflow = AirflowApi(landed)
    told = Story(landed, airflow, plans)
    for dataset, planned in plans.items():
        airflow.unpause(planned["dag_id"])
        told.dry_runs[dataset] = airflow.backfill_keys(
            planned["dag_id"], *told.bounds(dataset), newest_first=False, reprocess="none"
        )
        succeed(landed, "stack", *shlex.split(planned["command"]))

    wait_for(lambda: told.succeeded() >= 4, limit_s=LIMIT_S, pause_s=0.5)
    wait_for(lambda: freezing(landed.home), limit_s=60)
    pid = scheduler_pid(landed)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    told.scheduler_pids.append(pid)
    done = told.succeeded()
    wait_for(lambda: told.succeeded() >= done + 4, limit_s=LIMIT_S, pause_s=0.5)
    told.killed_dates.append(wait_for(lambda: kill_task(landed.home), limit_s=60))
    wait_for(lambda: told.succeeded() == sum(DATES.values()), limit_s=LIMIT_S, pause_s=0.5)
    successor = scheduler_pid(landed)
    assert successor is not None
    told.scheduler_pids.append(successor)
    return told


@dataclass(frozen=True)
class Undisturbed:
    settings: Settings

    def version(self, dataset: str, as_of: str) -> Version:
        return SnapshotRegistry(self.settings).version(dataset, as_of)


@pytest.fixture(scope="module")
def undisturbed(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """The same dates of the same log, frozen one after the other into a registry and a remote of their own."""
    values = {**story.settings.values, "FRAUD_ML_SNAPSHOT_REMOTE": "s3://snapshots/undisturbed"}
    values.pop("FRAUD_ML_SNAPSHOT_REGISTRY", None)
    settings = Settings(home=tmp_path_factory.mktemp("undisturbed"), values=values)
    for dataset in RANGES:
        for as_of in story.dates(dataset):
            freeze(settings, contract(dataset), date.fromisoformat(as_of))
    return Undisturbed(settings)


def content(settings: Settings, version: Version, folder: Path) -> dict[str, bytes]:
    """Return every file of a version by its name, the manifest among them."""
    folder.mkdir()
    SnapshotRegistry(settings).materialise(version, folder)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("dataset", RANGES)
def test_plan_told_exactly_the_dates_that_airflow_ran(story: Story, dataset: str) -> None:
    assert len(story.dates(dataset)) == DATES[dataset]
    assert story.dry_runs[dataset] == story.dates(dataset)
    backfilled = {run.partition_key for run in story.runs[dataset].values()}
    assert backfilled == set(story.dates(dataset))
    assert all(run.run_id.startswith("backfill__") for run in story.runs[dataset].values())


def test_scheduler_and_a_task_were_really_killed_and_the_task_was_tried_again(story: Story) -> None:
    killed, successor = story.scheduler_pids
    assert killed != successor
    ((dataset, as_of),) = story.killed_dates
    run = story.runs[dataset][as_of]
    assert [task.try_number for task in story.airflow.tasks(run)] >= [2]


@pytest.mark.parametrize("dataset", RANGES)
def test_every_snapshot_of_the_killed_backfill_is_byte_for_byte_the_undisturbed_one(
    story: Story, undisturbed: Undisturbed, dataset: str, tmp_path: Path
) -> None:
    versions = {version.name: version for version in SnapshotRegistry(story.settings).versions(dataset)}
    assert [name for name in versions if "r" in name] == []  # no date got a second version
    for as_of in story.dates(dataset):
        twin = undisturbed.version(dataset, as_of)
        assert versions[as_of].digest == twin.digest
        assert versions[as_of].manifest_sha256 == twin.manifest_sha256
        ours = content(story.settings, versions[as_of], tmp_path / as_of)
        assert ours == content(undisturbed.settings, twin, tmp_path / f"{as_of}-undisturbed")
        assert len(ours) > 1


def test_backfilled_bytes_stand_in_the_remote_too(story: Story) -> None:
    for dataset in RANGES:
        last = story.dates(dataset)[-1]
        assert "are what was frozen" in succeed(story.settings, "snapshot", "verify", dataset, last)


def test_finished_date_is_found_again_unchanged_and_says_so(story: Story) -> None:
    dag_id, as_of = story.plans["motor"]["dag_id"], story.dates("motor")[5]
    before = SnapshotRegistry(story.settings).versions("motor")
    *_, (again, _) = story.airflow.follow(story.airflow.trigger(dag_id, partition_key=as_of), limit_s=120)
    assert again.has_succeeded
    assert story.airflow.result(again, "freeze")["created"] is False
    assert f"claims/motor/{as_of}: was frozen before, nothing changed" in story.airflow.log(again, "freeze")
    assert SnapshotRegistry(story.settings).versions("motor") == before


def test_backfill_started_again_finds_nothing_to_do(story: Story) -> None:
    begin, end = RANGES["carclaims"]
    planned = json.loads(
        succeed(story.settings, "backfill", "plan", "carclaims", "--from", begin, "--to", end, "--json")
    )
    assert [one["state"] for one in planned["dates"]] == ["empty"] + ["frozen"] * 12
    assert planned["minutes"] == 0
    runs_before = len(story.airflow.runs(planned["dag_id"], limit=100))
    succeed(story.settings, "backfill", "start", "carclaims", "--from", begin, "--to", end)
    assert len(story.airflow.runs(planned["dag_id"], limit=100)) == runs_before


def test_paused_retraining_waits_for_whoever_wakes_it(story: Story) -> None:
    assert story.airflow.runs("fraud_retraining_motor") == []
    assert story.airflow.runs("fraud_retraining_carclaims") == []
