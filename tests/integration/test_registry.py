"""A candidate is registered once in a real MLflow server, however it is asked, raced or killed."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fraud_ml import registry
from fraud_ml.artifacts import (
    Candidate,
    Finding,
    ModelManifest,
    Outcome,
    Severity,
    SnapshotManifest,
    Verdict,
    Workspace,
    digest_of,
    evaluation_digest,
    file_digest,
    load,
    save,
)
from fraud_ml.errors import NotAccepted, Rejected, Tampered, Unavailable
from fraud_ml.governance.candidates import registered_candidate
from fraud_ml.ledger import EntryKind, Ledger
from fraud_ml.objects import ObjectStore
from fraud_ml.params import load_params
from fraud_ml.settings import PROJECT, Settings
from tests.command_line import run_command

CANARY = "KANARIENVOGEL"
METRICS = {"average_precision": 0.31, "prevalence": 0.06, "rows": 4}


def finding(outcome: Outcome) -> Finding:
    return Finding("GATE001", "a rule", Severity.STOP, outcome, "≥ 0.1", "0.2")


def make_workspace(root: Path, *, as_of: str, passed: bool = True) -> Workspace:
    """Lay out what the stages leave for a motor candidate; the model's bytes need not be a model here."""
    workspace = Workspace(root)
    shutil.copytree(PROJECT / "expectations" / "motor", workspace.expectations / "motor")
    shutil.copyfile(PROJECT / "params.yaml", workspace.params)
    family, outcome = "random_forest", Outcome.PASSED if passed else Outcome.FAILED
    snapshot = SnapshotManifest("motor", as_of, "", 12, {"part.parquet": "0" * 64}, ("batch-1",))
    snapshot = replace(snapshot, digest=snapshot.content_digest())
    save(snapshot, workspace.snapshot_manifest)
    folder = workspace.models / family
    folder.mkdir(parents=True)
    (folder / "forest.bin").write_bytes(b"weights of " + as_of.encode())
    files = {"forest.bin": file_digest(folder / "forest.bin")}
    manifest = ModelManifest(family, "a" * 64, ModelManifest.digest_files(files), files, ("region", "claim_amount_eur"))
    save(manifest, folder / "model.json")
    verdict = Verdict.of("the candidate", manifest.model_digest, [finding(outcome)], rows=4)
    candidate = Candidate(
        dataset="motor",
        as_of=as_of,
        family=family,
        snapshot_digest=snapshot.digest,
        params_digest=digest_of(load_params(workspace.params).model_dump(mode="json")),
        model_digest=manifest.model_digest,
        artifact_digest=manifest.artifact_digest,
        evaluation_digest=evaluation_digest(METRICS, verdict),
    ).sealed()
    save(Verdict.of("the snapshot", snapshot.digest, [finding(Outcome.PASSED)], rows=12), workspace.validation_verdict)
    save(verdict, workspace.evaluation_verdict)
    save(candidate, workspace.candidate)
    save(METRICS, workspace.metrics)
    save({"rows": 12}, workspace.features / "report.json")
    save({"chosen": family}, workspace.training_report)
    workspace.validation_report.mkdir(parents=True)
    (workspace.validation_report / "index.html").write_text("<p>all good</p>")
    for rows in (
        workspace.quarantine,
        workspace.features / "test.parquet",
        workspace.evaluation / "predictions.parquet",
    ):
        rows.write_bytes(CANARY.encode())
    (workspace.evaluation / "calibration.png").write_bytes(b"png")
    return workspace


def register(settings: Settings, workspace: Workspace) -> registry.Registered:
    return registry.register(settings, workspace, code_rev="f" * 40, run_key="0123456789ab")


def client_of(settings: Settings) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=settings.mlflow_tracking_uri)


def runs_of(settings: Settings, workspace: Workspace) -> list[Any]:
    client, candidate = client_of(settings), load(Candidate, workspace.candidate)
    experiment = client.get_experiment_by_name("fraud-motor")
    return list(client.search_runs([experiment.experiment_id], f"tags.candidate_digest = '{candidate.digest}'"))


def versions_of(settings: Settings, workspace: Workspace) -> list[Any]:
    digest = load(Candidate, workspace.candidate).digest
    return list(
        client_of(settings).search_model_versions(f"name = 'fraud-motor' and tags.candidate_digest = '{digest}'")
    )


@pytest.mark.stack
@pytest.mark.slow
def test_run_carries_the_whole_chain(mlflow_settings: Settings, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, as_of="2021-01-01")
    candidate = load(Candidate, workspace.candidate)
    made = register(mlflow_settings, workspace)
    (run,) = runs_of(mlflow_settings, workspace)
    assert made.created
    assert made.name == "fraud-motor"
    assert made.run_url.endswith(f"/runs/{made.run_id}")
    assert run.info.run_id == made.run_id
    assert run.info.status == "FINISHED"
    assert run.data.tags["snapshot_digest"] == candidate.snapshot_digest
    assert run.data.tags["snapshot_tag"] == "claims/motor/2021-01-01"
    assert run.data.tags["verdict.evaluation"] == "accepted"
    assert run.data.tags["code_rev"] == "f" * 40
    assert run.data.params["training.seed"] == "7"
    assert run.data.metrics == METRICS
    source = json.loads(run.inputs.dataset_inputs[0].dataset.source)
    assert source == {"tag": "claims/motor/2021-01-01", "digest": candidate.snapshot_digest}


@pytest.mark.stack
@pytest.mark.slow
def test_model_address_holds_exactly_the_exported_files(mlflow_settings: Settings, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, as_of="2021-02-01")
    made = register(mlflow_settings, workspace)
    store = ObjectStore(mlflow_settings)
    held = {url.removeprefix(made.model_uri + "/"): store.read(url) for url in store.below(made.model_uri + "/")}
    folder = workspace.models / "random_forest"
    assert held == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert b"claim_amount_eur" in store.read(made.model_uri.removesuffix("/model") + "/MLmodel")


@pytest.mark.stack
@pytest.mark.slow
def test_no_row_of_claims_reaches_mlflow(mlflow_settings: Settings, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, as_of="2021-03-01")
    made = register(mlflow_settings, workspace)
    store = ObjectStore(mlflow_settings)
    run = client_of(mlflow_settings).get_run(made.run_id)
    held = store.below(run.info.artifact_uri + "/")
    assert {Path(url).name for url in held} >= {"candidate.json", "verdict.json", "index.html", "calibration.png"}
    assert not [url for url in held if url.endswith(".parquet")]
    assert not [url for url in held if CANARY.encode() in store.read(url)]


@pytest.mark.stack
@pytest.mark.slow
def test_second_registration_makes_nothing(mlflow_settings: Settings, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, as_of="2021-04-01")
    first = register(mlflow_settings, workspace)
    again = register(mlflow_settings, workspace)
    assert again == replace(first, created=False)
    assert len(runs_of(mlflow_settings, workspace)) == 1
    assert len(versions_of(mlflow_settings, workspace)) == 1


@pytest.mark.stack
@pytest.mark.slow
def test_registration_leaves_the_environment_to_others(mlflow_settings: Settings, tmp_path: Path) -> None:
    """A stack started later by this process must not take this one's object store for a server from outside."""
    before = dict(os.environ)
    register(mlflow_settings, make_workspace(tmp_path, as_of="2021-04-02"))
    assert {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "MLFLOW_"))} == {
        name: value for name, value in before.items() if name.startswith(("AWS_", "MLFLOW_"))
    }


def _race(settings: Settings, root: Path, start: Any, answers: Any) -> None:
    start.wait()
    answers.put(register(settings, Workspace(root)))


@pytest.mark.stack
@pytest.mark.slow
def test_racing_registrations_agree_on_one_version(mlflow_settings: Settings, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, as_of="2021-05-01")
    context = multiprocessing.get_context("fork")
    start, answers = context.Barrier(3), context.Queue()
    racers = [context.Process(target=_race, args=(mlflow_settings, tmp_path, start, answers)) for _ in range(3)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(120)
    final = register(mlflow_settings, workspace)  # what a racer was refused meanwhile, its retry gets
    came = [answers.get(timeout=1) for racer in racers if racer.exitcode == 0]
    assert came
    assert {(answer.version, answer.run_id) for answer in came} == {(final.version, final.run_id)}
    assert len(runs_of(mlflow_settings, workspace)) == 1
    assert len(versions_of(mlflow_settings, workspace)) == 1


@pytest.mark.stack
@pytest.mark.slow
def test_killed_registration_is_finished_by_the_next(mlflow_settings: Settings, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, as_of="2021-06-01")
    register(mlflow_settings, make_workspace(tmp_path / "warm", as_of="2021-06-02"))  # the experiment stands
    context = multiprocessing.get_context("fork")
    start, answers = context.Barrier(2), context.Queue()
    victim = context.Process(target=_race, args=(mlflow_settings, tmp_path, start, answers))
    victim.start()
    start.wait()
    deadline = time.monotonic() + 30
    while not (left := runs_of(mlflow_settings, workspace)) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(victim.pid or 0, signal.SIGKILL)
    victim.join()
    finished = register(mlflow_settings, workspace)
    (run,) = runs_of(mlflow_settings, workspace)
    assert run.info.run_id == left[0].info.run_id == finished.run_id
    assert run.info.status == "FINISHED"
    assert len(versions_of(mlflow_settings, workspace)) == 1


@pytest.mark.stack
@pytest.mark.slow
def test_champion_alias_follows(mlflow_settings: Settings, tmp_path: Path) -> None:
    made = register(mlflow_settings, make_workspace(tmp_path, as_of="2021-07-01"))
    registry.set_champion(mlflow_settings, "motor", made.version)
    assert client_of(mlflow_settings).get_model_version_by_alias("fraud-motor", "champion").run_id == made.run_id
    with pytest.raises(Rejected, match="version 999"):
        registry.set_champion(mlflow_settings, "motor", "999")


def test_no_champion_is_set_while_the_tracking_server_is_away(tmp_path: Path) -> None:
    away = Settings(home=tmp_path, values={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})
    with pytest.raises(Unavailable, match="does not answer"):
        registry.set_champion(away, "motor", "1")


def fraud_ml(settings: Settings, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    own = {"PYTHONPATH": str(PROJECT), "FRAUD_ML_HOME": str(settings.home)}
    return run_command(*arguments, environment={**os.environ, **settings.values, **own}, folder=folder)


@pytest.mark.stack
@pytest.mark.slow
def test_commands_register_once_and_crown_what_was_deployed(ledger_settings: Settings, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "checkout", as_of="2021-09-01")
    candidate = load(Candidate, workspace.candidate)
    unversioned = fraud_ml(ledger_settings, workspace.root, "register")
    assert (unversioned.returncode, "no git checkout" in unversioned.stderr) == (2, True)

    (workspace.root / ".gitignore").write_text("/workspace\n")
    for command in ("init -q", "add -A", "-c user.name=t -c user.email=t@t commit -q -m x"):
        subprocess.run(["git", *command.split()], cwd=workspace.root, check=True)
    answers = [json.loads(fraud_ml(ledger_settings, workspace.root, "register", "--json").stdout) for _ in range(2)]
    assert [answer.pop("created") for answer in answers] == [True, False]
    assert answers[0] == answers[1]
    assert answers[0]["candidate_digest"] == candidate.digest
    assert answers[0]["required_approvals"] == 2
    away = replace(ledger_settings, values={**ledger_settings.values, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})
    from_ledger = json.loads(fraud_ml(away, workspace.root, "register", "--json").stdout)
    assert from_ledger == {**answers[0], "created": False}
    (workspace.models / "random_forest" / "forest.bin").write_bytes(b"other weights")
    tampered = fraud_ml(away, workspace.root, "register")
    assert (tampered.returncode, "forest.bin" in tampered.stderr) == (2, True)

    ledger = Ledger(ledger_settings.ledger_url)
    (entry,) = ledger.find(kind=EntryKind.REGISTERED)
    assert registered_candidate(ledger, candidate.digest) == (entry, candidate)
    assert len(entry.body["run_key"]) == 12

    refused = fraud_ml(ledger_settings, workspace.root, "crown", candidate.digest)
    assert (refused.returncode, "knows no deployment" in refused.stderr) == (2, True)
    ledger.append(EntryKind.DEPLOYED, dataset="motor", subject=candidate.digest, actor="scorer-1", body={})
    crowned = json.loads(fraud_ml(ledger_settings, workspace.root, "crown", candidate.digest, "--json").stdout)
    champion = client_of(ledger_settings).get_model_version_by_alias("fraud-motor", "champion")
    assert crowned["version"] == str(champion.version) == answers[0]["version"]


def test_rejected_candidate_is_not_registered(tmp_path: Path) -> None:
    nowhere = Settings(home=tmp_path, values={})
    with pytest.raises(NotAccepted, match="GATE001"):
        register(nowhere, make_workspace(tmp_path, as_of="2021-08-01", passed=False))


def test_verdict_of_another_model_does_not_count(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, as_of="2021-08-01")
    verdict = load(Verdict, workspace.evaluation_verdict)
    save(replace(verdict, subject_digest="e" * 64), workspace.evaluation_verdict)
    with pytest.raises(NotAccepted, match="judged something else"):
        register(Settings(home=tmp_path, values={}), workspace)


def test_verdict_of_another_snapshot_does_not_count(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, as_of="2021-08-01")
    verdict = load(Verdict, workspace.validation_verdict)
    save(replace(verdict, subject_digest="e" * 64), workspace.validation_verdict)
    with pytest.raises(NotAccepted, match="judged something else"):
        register(Settings(home=tmp_path, values={}), workspace)


@pytest.mark.parametrize("name", ["forest.bin", "added.bin"])
def test_model_that_changed_after_evaluation_is_not_registered(tmp_path: Path, name: str) -> None:
    workspace = make_workspace(tmp_path, as_of="2021-08-01")
    (workspace.models / "random_forest" / name).write_bytes(b"other weights")
    with pytest.raises(Tampered, match=name):
        register(Settings(home=tmp_path, values={}), workspace)


def test_candidate_whose_digest_does_not_fit_is_not_registered(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, as_of="2021-08-01")
    save(replace(load(Candidate, workspace.candidate), params_digest="d" * 64), workspace.candidate)
    with pytest.raises(Tampered, match="the candidate"):
        register(Settings(home=tmp_path, values={}), workspace)


def test_figures_that_changed_after_evaluation_are_not_registered(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, as_of="2021-08-01")
    save({**METRICS, "average_precision": 0.99}, workspace.metrics)
    with pytest.raises(Tampered, match="metrics"):
        register(Settings(home=tmp_path, values={}), workspace)


def test_params_that_changed_after_training_are_not_registered(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, as_of="2021-08-01")
    workspace.params.write_text(workspace.params.read_text().replace("seed: 7", "seed: 8"))
    with pytest.raises(Tampered, match=r"params\.yaml"):
        register(Settings(home=tmp_path, values={}), workspace)


def test_absent_tracking_server_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings = Settings(home=tmp_path, values={"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})
    with pytest.raises(Unavailable, match="does not answer"):
        register(settings, make_workspace(tmp_path, as_of="2021-08-01"))


def test_registry_loads_mlflow_only_when_it_is_asked() -> None:
    code = (
        "import sys, fraud_ml.commands.registry as commands, fraud_ml.registry as registry, pathlib\n"
        "from fraud_ml.errors import Unavailable\n"
        "from fraud_ml.settings import Settings\n"
        "away = Settings(pathlib.Path(), {'MLFLOW_TRACKING_URI': 'http://127.0.0.1:9'})\n"
        "try: registry.set_champion(away, 'motor', '1')\n"
        "except Unavailable: sys.exit('mlflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0
