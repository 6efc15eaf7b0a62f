"""The whole way of a claim, through a real scheduler: what an ML engineer, an analyst and compliance would see."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from fraud_ml import artifacts
from fraud_ml.airflow_api import AirflowApi, Run
from fraud_ml.artifacts import Candidate, Workspace
from fraud_ml.demo import DemoResult, finish_retraining
from fraud_ml.ledger import EntryKind, Ledger
from fraud_ml.settings import Settings

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(1_200)]

STAGES = ("validate", "features", "train", "evaluate")


def again(settings: Settings, airflow: AirflowApi, demo: DemoResult, **conf: object) -> Run:
    """Run the retraining DAG once more for the demo's as-of date."""
    started = airflow.trigger(f"fraud_retraining_{demo.dataset}", partition_key=demo.as_of, conf=conf)
    return finish_retraining(settings, airflow, started, say=print)


def mlflow_runs(settings: Settings, demo: DemoResult) -> int:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=settings.mlflow_tracking_uri)
    experiment = client.get_experiment_by_name(f"fraud-{demo.dataset}")
    assert experiment is not None
    return len(client.search_runs([experiment.experiment_id]))


def live_digest(settings: Settings, dataset: str) -> str:
    answer = httpx.get(f"{settings.scorer_url}/v2/models/fraud-{dataset}", timeout=10).raise_for_status()
    digest: str = answer.json()["parameters"]["candidate_digest"]
    return digest


def workspace_of(airflow: AirflowApi, demo: DemoResult) -> Workspace:
    run = airflow.run(f"fraud_retraining_{demo.dataset}", demo.retraining_run_id)
    return Workspace(Path(airflow.result(run, "open_run")["path"]))


def announced_by(airflow: AirflowApi, dag_id: str, run_id: str) -> list[dict[str, Any]]:
    """Return the asset events of a run, as Airflow tells them."""
    source = {"source_dag_id": dag_id, "source_run_id": run_id}
    events: list[dict[str, Any]] = airflow._call("GET", "/assets/events", params=source)["asset_events"]
    return events


def test_real_claims_end_as_ten_scores_of_the_promoted_version(
    carclaims_demo: DemoResult, full_stack: Settings
) -> None:
    assert [scored.position for scored in carclaims_demo.scores] == list(range(1, 11))
    assert all(0.0 <= scored.probability <= 1.0 for scored in carclaims_demo.scores)
    riskiest = max(carclaims_demo.scores, key=lambda scored: scored.probability)
    assert riskiest.rank == 1
    assert live_digest(full_stack, "carclaims") == carclaims_demo.candidate_digest


def test_accepted_claims_are_announced_with_their_verdict_for_their_date(
    carclaims_demo: DemoResult, airflow: AirflowApi
) -> None:
    [event] = announced_by(airflow, "fraud_retraining_carclaims", carclaims_demo.retraining_run_id)
    verdict = artifacts.load(artifacts.Verdict, workspace_of(airflow, carclaims_demo).validation_verdict)
    assert (event["name"], event["partition_key"]) == ("claims_accepted_carclaims", carclaims_demo.as_of)
    assert (event["extra"]["digest"], event["extra"]["rows"]) == (verdict.subject_digest, verdict.rows)
    assert event["extra"]["report"].startswith(airflow.url)


def test_the_ledger_tells_the_whole_story_in_order(carclaims_demo: DemoResult, ledger: Ledger) -> None:
    kinds = [entry.kind for entry in ledger.find(subject=carclaims_demo.candidate_digest)]
    assert kinds == [
        EntryKind.REGISTERED,
        EntryKind.APPROVED,
        EntryKind.APPROVED,
        EntryKind.PROMOTED,
        EntryKind.DEPLOYED,
    ]
    assert ledger.verify() == ()


def test_repeated_run_is_answered_from_the_cache_and_registers_nothing_new(
    carclaims_demo: DemoResult, full_stack: Settings, airflow: AirflowApi, ledger: Ledger
) -> None:
    runs_before = mlflow_runs(full_stack, carclaims_demo)
    entries_before = len(ledger.find(dataset="carclaims"))
    repeated = again(full_stack, airflow, carclaims_demo)
    assert [airflow.result(repeated, f"stages.{name}")["cached"] for name in STAGES] == [True] * 4
    assert airflow.result(repeated, "register")["candidate_digest"] == carclaims_demo.candidate_digest
    assert mlflow_runs(full_stack, carclaims_demo) == runs_before
    assert len(ledger.find(dataset="carclaims")) == entries_before


def laptop_environment(home: Path) -> dict[str, str]:
    """Return an environment that knows of no server."""
    server_names = ("FRAUD_ML_", "AWS_", "MLFLOW_", "RABBITMQ_", "AIRFLOW_")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(server_names)}
    return {
        **plain,
        "PATH": f"{Path(sys.executable).parent}:{plain['PATH']}",
        "FRAUD_ML_HOME": str(home),
        "FRAUD_ML_TFDV_PYTHON": str(Settings.load().tfdv_python),
    }


def test_dvc_repro_without_any_server_yields_the_same_model_verdict_and_metrics(
    carclaims_demo: DemoResult, airflow: AirflowApi, laptop: Path, tmp_path: Path
) -> None:
    """The laptop has a DVC cache of its own, so this trains for real."""
    environment = laptop_environment(tmp_path)
    subprocess.run(["dvc", "repro", "-q"], cwd=laptop, env=environment, check=True)
    in_airflow, on_laptop = workspace_of(airflow, carclaims_demo), Workspace(laptop)
    for name in ("validation_verdict", "evaluation_verdict", "metrics"):
        assert getattr(on_laptop, name).read_bytes() == getattr(in_airflow, name).read_bytes(), name
    assert artifacts.load(Candidate, on_laptop.candidate).model_digest == carclaims_demo.model_digest
    second = subprocess.run(["dvc", "repro"], cwd=laptop, env=environment, check=True, capture_output=True, text=True)
    assert second.stdout.count("didn't change, skipping") == len(STAGES)


def test_simulated_claims_travel_the_same_way_and_both_lines_are_served(
    carclaims_demo: DemoResult, motor_demo: DemoResult, full_stack: Settings, ledger: Ledger
) -> None:
    assert len(motor_demo.scores) == 10
    assert len(ledger.find(kind=EntryKind.DEPLOYED, subject=motor_demo.candidate_digest)) == 1
    for demo in (carclaims_demo, motor_demo):
        newest = ledger.latest(kind=EntryKind.DEPLOYED, dataset=demo.dataset)
        assert newest is not None
        assert live_digest(full_stack, demo.dataset) == newest.subject
