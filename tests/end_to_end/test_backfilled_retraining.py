"""A backfill that wakes retraining, on the whole platform: it trains and registers, and changes nothing that serves."""

import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from fraud_ml.airflow_api import AirflowApi, Run
from fraud_ml.artifacts import Champion, Workspace, load
from fraud_ml.demo import DemoResult
from fraud_ml.ledger import EntryKind, Ledger
from fraud_ml.settings import Settings
from tests.command_line import succeed

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(1_200)]

DAY = "1997-01-01"  # a tick of the quarterly schedule; by then everything was recorded
WORLD = (EntryKind.APPROVED, EntryKind.PROMOTED, EntryKind.DEPLOYED)


def start_backfill(settings: Settings) -> dict[str, Any]:
    told = succeed(settings, "backfill", "start", "carclaims", "--from", DAY, "--to", DAY, "--json")
    answer: dict[str, Any] = json.loads(told)
    return answer


def live(settings: Settings) -> Any:
    return httpx.get(f"{settings.scorer_url}/v2/models/fraud-carclaims", timeout=10).raise_for_status().json()


def woken_by(airflow: AirflowApi, snapshot: Run) -> Run:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := airflow.started_by("fraud_retraining_carclaims", snapshot):
            return found
        time.sleep(0.3)
    raise AssertionError("the snapshot woke no retraining")


def world(ledger: Ledger) -> list[int]:
    """Return the numbers of all decisions about carclaims that change what is served."""
    return [entry.seq for kind in WORLD for entry in ledger.find(kind=kind, dataset="carclaims")]


def test_backfilled_date_is_retrained_and_registered_and_never_asks_for_approval(
    carclaims_demo: DemoResult, full_stack: Settings, airflow: AirflowApi, ledger: Ledger
) -> None:
    decided, served = world(ledger), live(full_stack)
    registered = len(ledger.find(kind=EntryKind.REGISTERED, dataset="carclaims"))

    answer = start_backfill(full_stack)
    assert answer["states"] == {DAY: "success"}
    day = date.fromisoformat(DAY)
    snapshot = airflow.runs_of_dates("claims_snapshot_carclaims", day, day)[DAY]
    run = woken_by(airflow, snapshot)
    *_, (run, tasks) = airflow.follow(run, limit_s=400)

    assert run.has_succeeded
    states = {task.task_id: task.state for task in tasks}
    assert states["register"] == "success"
    assert [states[name] for name in ("approval", "promote", "acknowledgement", "crown")] == ["skipped"] * 4
    assert "no approval is asked for, nothing is promoted" in airflow.log(run, "approval")
    assert len(ledger.find(kind=EntryKind.REGISTERED, dataset="carclaims")) == registered + 1
    assert world(ledger) == decided
    assert live(full_stack) == served
    opened = Workspace(Path(airflow.result(run, "open_run")["path"]))
    assert load(Champion, opened.champion_record) == Champion()  # today's champion has seen what came after
