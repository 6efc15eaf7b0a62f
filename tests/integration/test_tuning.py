"""`fraud-ml tune` shows each trial in a real MLflow server, and goes on where there is none."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fraud_ml.params import load_params
from fraud_ml.settings import PROJECT, Settings
from tests.command_line import run_command
from tests.toy_claims import toy_workspace

FOREST = ("--family", "random_forest", "--trials", "5")
FEW = {"families": ["random_forest"], "random_forest": {"trees": 5, "min_samples_leaf": 300}}


def checkout(root: Path) -> Path:
    """Return a folder with toy windows and a params.yaml that has comments, as the project's."""
    _, params = toy_workspace(root, **FEW)
    text = (PROJECT / "params.yaml").read_text(encoding="utf-8")
    for old, new in (
        ("families: [blend]", "families: [random_forest]"),
        ("trees: 200\n    min_samples_leaf: 5", "trees: 5\n    min_samples_leaf: 300  # of each leaf"),
        ("test_months: 12 ", "test_months: 6 "),
        ("validation_months: 3 ", "validation_months: 4 "),
        ("gap_days: 14", "gap_days: 0"),
        (
            "min_positives: 20                # confirmed frauds that each",
            "min_positives: 5  # confirmed frauds that each",
        ),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    (root / "params.yaml").write_text(text, encoding="utf-8")
    assert load_params(root / "params.yaml").features == params.features
    return root


def fraud_ml(folder: Path, values: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "AWS_"))}
    environment = {**bare, "FRAUD_ML_HOME": str(folder / "home"), **values, "PYTHONPATH": str(PROJECT)}
    return run_command(*arguments, environment=environment, folder=folder)


def runs(settings: Settings) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=settings.mlflow_tracking_uri)
    experiment = client.get_experiment_by_name("fraud-toy-tuning")
    return list(client.search_runs([experiment.experiment_id])) if experiment else []


@pytest.mark.stack
@pytest.mark.slow
def test_every_trial_is_a_child_run_of_one_tuning(mlflow_settings: Settings, tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    before = {run.info.run_id for run in runs(mlflow_settings)}
    done = fraud_ml(folder, dict(mlflow_settings.values), "tune", *FOREST, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    trials = told["families"]["random_forest"]["trials"]
    everything = [run for run in runs(mlflow_settings) if run.info.run_id not in before]
    (parent,) = [run for run in everything if "mlflow.parentRunId" not in run.data.tags]
    children = sorted((run for run in everything if run is not parent), key=lambda run: run.info.run_name)
    assert told["run_url"].endswith(f"/runs/{parent.info.run_id}")
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {run.info.status for run in everything} == {"FINISHED"}
    assert [run.data.tags["state"] for run in children] == [trial["state"] for trial in trials]
    for run, trial in zip(children, trials, strict=True):
        expected = {"family": "random_forest"} | {name: str(value) for name, value in trial["settings"].items()}
        assert run.data.params == expected
        assert run.data.metrics["cpu_s"] == pytest.approx(trial["cpu_s"])
        assert run.data.metrics["fold_log_loss"] == pytest.approx(trial["log_losses"][-1])
    assert parent.data.tags["snapshot_digest"] == "5" * 64
    assert parent.data.metrics["random_forest.gain"] > 0
    assert told["diff"] in parent.data.tags["mlflow.note.content"]


@pytest.mark.stack
@pytest.mark.slow
def test_an_interrupted_tuning_is_shown_as_killed(mlflow_settings: Settings, tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    before = {run.info.run_id for run in runs(mlflow_settings)}
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # a background job ignores it
    command = [sys.executable, "-c", f"{heard}; from fraud_ml.cli import main; main()"]
    command += ["tune", *FOREST[:2], "--trials", "1000000"]
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **mlflow_settings.values, "PYTHONPATH": str(PROJECT)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "trial 1:" in line)
        process.send_signal(signal.SIGINT)
        process.stderr.read()
    assert process.returncode == 1
    made = [run for run in runs(mlflow_settings) if run.info.run_id not in before]
    (parent,) = [run for run in made if "mlflow.parentRunId" not in run.data.tags]
    assert parent.info.status == "KILLED"


def test_without_a_tracking_server_it_says_so_and_writes_what_it_found(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    before = (folder / "params.yaml").read_text()
    only_shown = fraud_ml(folder, {}, "tune", *FOREST)
    assert only_shown.returncode == 0, only_shown.stderr
    assert "MLFLOW_TRACKING_URI is not set" in only_shown.stderr
    assert "random_forest trial 0: log loss" in only_shown.stderr
    assert (folder / "params.yaml").read_text() == before
    away = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    written = fraud_ml(folder, away, "tune", *FOREST, "--write")
    assert written.returncode == 0, written.stderr
    assert written.stderr.count("kept nowhere: MLflow") == 1
    assert written.stdout == only_shown.stdout
    after = (folder / "params.yaml").read_text()
    changed = [pair for pair in zip(before.splitlines(), after.splitlines(), strict=True) if pair[0] != pair[1]]
    assert len(changed) == 1
    assert changed[0][1].endswith("  # of each leaf")
    assert yaml.safe_load(after)["training"]["random_forest"]["min_samples_leaf"] < 300


def test_what_cannot_be_tuned_is_one_sentence_and_exit_code_two(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    refused = fraud_ml(folder, {}, "tune", *FOREST, "--folds", "9")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].startswith("fraud-ml: fold 1 of 9, before 2")
    assert refused.stdout == ""
    shutil.rmtree(folder / "workspace" / "features")
    absent = fraud_ml(folder, {}, "tune", *FOREST)
    assert (absent.returncode, "run the stage that writes it" in absent.stderr) == (3, True)
