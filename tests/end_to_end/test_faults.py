"""What goes wrong on the way: killed work, killed servers and bad claims, and that no hand is needed afterwards."""

import os
import signal
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import httpx
import psutil
import pytest

from fraud_ml.airflow_api import AirflowApi, Run
from fraud_ml.contract import load_contract
from fraud_ml.data.log import land
from fraud_ml.demo import DemoResult, finish_retraining
from fraud_ml.ledger import EntryKind, Ledger
from fraud_ml.settings import PROJECT, Settings
from fraud_ml.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(1_200)]

END_STATES = {"success", "failed", "upstream_failed", "skipped"}  # so that a refused candidate is told at once


def wait_for(what: Callable[[], object], *, limit_s: float) -> object:
    """Return the first truthy answer."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {limit_s} s")


def stage_process(stage: str, below: Path) -> psutil.Process | None:
    """Return the living process of a stage's own command in a run's checkout."""
    for process in psutil.process_iter(["cmdline", "cwd"]):
        command, cwd = process.info["cmdline"] or [], process.info["cwd"] or ""
        if command[-3:] == ["-m", "fraud_ml", stage] and cwd.startswith(str(below)):
            return process
    return None


def task_state(airflow: AirflowApi, run: Run, task_id: str) -> str:
    return next(task.state for task in airflow.tasks(run) if task.task_id == task_id)


def test_training_killed_in_mid_fit_is_tried_again_with_the_same_outcome_and_no_second_deployment(
    carclaims_demo: DemoResult, full_stack: Settings, airflow: AirflowApi, ledger: Ledger
) -> None:
    deployed_before = len(ledger.find(kind=EntryKind.DEPLOYED, dataset="carclaims"))
    run = airflow.trigger("fraud_retraining_carclaims", partition_key=carclaims_demo.as_of, conf={"force": True})
    victim = wait_for(lambda: stage_process("train", full_stack.runs), limit_s=180)
    assert isinstance(victim, psutil.Process)
    time.sleep(6)  # TensorFlow is imported and fits by now
    victim.kill()
    done = finish_retraining(full_stack, airflow, run, say=print)
    training = next(task for task in airflow.tasks(done) if task.task_id == "stages.train")
    assert training.try_number == 2
    assert airflow.result(done, "register")["model_digest"] == carclaims_demo.model_digest
    assert len(ledger.find(kind=EntryKind.DEPLOYED, dataset="carclaims")) == deployed_before


def test_broker_and_scorer_killed_around_a_promotion_still_end_in_one_deployment(
    motor_demo: DemoResult, full_stack: Settings, airflow: AirflowApi, ledger: Ledger
) -> None:
    """RabbitMQ dies before the relay can hand over, the scorer as soon as the promotion is in the ledger."""
    run = airflow.trigger(
        "fraud_retraining_motor",
        partition_key=motor_demo.as_of,
        conf={"families": ["boosted_trees"]},  # half of the champion: another model, and not a worse one
    )
    ended = wait_for(lambda: (state := task_state(airflow, run, "register")) in END_STATES and state, limit_s=240)
    assert ended == "success"
    pids = {component.name: component.pid for component in Stack(full_stack.home).status()}
    for name in ("rabbitmq", "scorer"):
        pid = pids[name]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    done = finish_retraining(full_stack, airflow, run, say=print)
    digest = airflow.result(done, "register")["candidate_digest"]
    assert digest != motor_demo.candidate_digest
    assert len(ledger.find(kind=EntryKind.DEPLOYED, subject=digest)) == 1
    live = httpx.get(f"{full_stack.scorer_url}/v2/models/fraud-motor", timeout=10).raise_for_status().json()
    assert live["parameters"]["candidate_digest"] == digest


def test_nulls_in_a_third_of_a_column_stop_the_run_before_training_and_nothing_is_deployed(
    motor_demo: DemoResult, full_stack: Settings, airflow: AirflowApi, ledger: Ledger, tmp_path: Path
) -> None:
    """A later batch records 30 % of the claims again without their region."""
    import pandas as pd

    simulated = pd.read_parquet(full_stack.home / "simulated" / "motor.parquet")
    latest = simulated.sort_values("recorded_at").groupby("claim_id", as_index=False).last()
    damaged = latest.sample(frac=0.30, random_state=0).assign(region=None, recorded_at=pd.Timestamp("2026-01-15"))
    path = tmp_path / "corrections.parquet"
    damaged.to_parquet(path, index=False)
    land(full_stack, load_contract("motor", PROJECT / "expectations"), path)
    champion = httpx.get(f"{full_stack.scorer_url}/v2/models/fraud-motor", timeout=10).json()
    promoted_before = len(ledger.find(kind=EntryKind.PROMOTED))

    frozen = airflow.trigger("claims_snapshot_motor", partition_key=date(2026, 1, 15).isoformat())
    *_, (frozen, _) = airflow.follow(frozen, limit_s=300)
    assert frozen.has_succeeded
    run = wait_for(lambda: airflow.started_by("fraud_retraining_motor", frozen), limit_s=60)
    assert isinstance(run, Run)
    *_, (run, tasks) = airflow.follow(run, limit_s=300)

    assert not run.has_succeeded
    states = {task.task_id: (task.state, task.try_number) for task in tasks}
    assert states["stages.validate"] == ("failed", 1)  # at once: rejected data is not tried again
    assert states["stages.train"][0] == "upstream_failed"
    log = airflow.log(run, "stages.validate")
    assert "expect_column_values_to_not_be_null" in log or "region" in log
    assert "region" in log
    assert f"{len(damaged):,}" in log
    assert len(ledger.find(kind=EntryKind.PROMOTED)) == promoted_before
    assert ledger.waiting() == 0
    live = httpx.get(f"{full_stack.scorer_url}/v2/models/fraud-motor", timeout=10).json()
    assert live["parameters"]["candidate_digest"] == champion["parameters"]["candidate_digest"]
