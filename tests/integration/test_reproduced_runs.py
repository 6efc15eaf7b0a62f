"""A registered candidate is trained again from its snapshot, params and commit, and the same model comes out."""

import json
import os
import subprocess
import uuid
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml

from fraud_ml.artifacts import (
    Candidate,
    Finding,
    ModelManifest,
    Outcome,
    Severity,
    Verdict,
    Workspace,
    digest_of,
    evaluation_digest,
    load,
    save,
)
from fraud_ml.contract import load_contract
from fraud_ml.data.log import land
from fraud_ml.data.simulator import simulate, write_rows
from fraud_ml.data.snapshots import freeze
from fraud_ml.ledger import EntryKind, Ledger
from fraud_ml.params import load_params
from fraud_ml.promotion.pinning import pin_inputs
from fraud_ml.settings import PROJECT, Settings
from tests.command_line import run_command

pytestmark = [pytest.mark.stack, pytest.mark.slow]

AS_OF = date(2025, 12, 31)
METRICS = {"average_precision": 0.3}


def git(*arguments: object) -> str:
    done = subprocess.run(["git", *map(str, arguments)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def fraud_ml(settings: Settings, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command by the code that lies in `folder`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {**settings.values, "FRAUD_ML_HOME": str(settings.home)}
    return run_command(*arguments, environment=environment, folder=folder)


@pytest.fixture
def place(ledger_settings: Settings, tmp_path: Path) -> Settings:
    """A place of one's own in the shared servers, whose code is this folder's as it stands now, committed."""
    code, own = tmp_path / "code", uuid.uuid4().hex[:8]
    git("clone", "--quiet", "--shared", "--no-checkout", PROJECT, code)
    git("--git-dir", code / ".git", "--work-tree", PROJECT, "add", "--all")
    git("-C", code, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "--allow-empty", "-m", "as it is")
    git("-C", code, "checkout", "--quiet", "--force", "HEAD")
    values = {
        **ledger_settings.values,
        "FRAUD_ML_CLAIMS_URL": f"s3://claims/{own}",
        "FRAUD_ML_SNAPSHOT_REMOTE": f"s3://snapshots/{own}",
        "FRAUD_ML_CODE_REPO": str(code),
        "FRAUD_ML_TFDV_PYTHON": str(ledger_settings.tfdv_python),
    }
    return replace(ledger_settings, values=values)


def train_and_register(place: Settings, tmp_path: Path) -> tuple[Workspace, str]:
    """Land, freeze, pin and train; afterwards the candidate is registered as if evaluation had accepted it."""
    contract = load_contract("motor", PROJECT / "expectations")
    file = tmp_path / "motor.parquet"
    write_rows(simulate("motor", claims=6000, seed=7, begin=date(2023, 1, 1), end=AS_OF), file)
    land(place, contract, file)
    freeze(place, contract, AS_OF)
    workspace = Workspace(tmp_path / "checkout")
    git("clone", "--quiet", "--shared", place.code_repo, workspace.root)
    params = yaml.safe_load(workspace.params.read_text())
    params["training"]["families"] = ["logistic"]  # the run's own params are not those of its commit
    params["features"]["min_positives"] = 10
    workspace.params.write_text(yaml.safe_dump(params))
    code_rev = git("-C", workspace.root, "rev-parse", "HEAD")
    pinned = pin_inputs(
        place, workspace, dataset="motor", as_of=AS_OF.isoformat(), code_rev=code_rev, with_champion=False
    )
    for stage in ("validate", "features", "train"):
        done = fraud_ml(place, workspace.root, stage)
        assert done.returncode == 0, done.stderr[-2000:]
    manifest = load(ModelManifest, workspace.models / "logistic" / "model.json")
    passed = Finding("GATE001", "a rule", Severity.STOP, Outcome.PASSED, "≥ 0.1", "0.2")
    verdict = Verdict.of("the candidate", manifest.model_digest, [passed], rows=4)
    candidate = Candidate(
        dataset="motor",
        as_of=AS_OF.isoformat(),
        family="logistic",
        snapshot_digest=pinned.snapshot_digest,
        params_digest=digest_of(load_params(workspace.params).model_dump(mode="json")),
        model_digest=manifest.model_digest,
        artifact_digest=manifest.artifact_digest,
        evaluation_digest=evaluation_digest(METRICS, verdict),
    ).sealed()
    save(verdict, workspace.evaluation_verdict)
    save(candidate, workspace.candidate)
    save(METRICS, workspace.metrics)
    registered = fraud_ml(place, workspace.root, "register", "--json")
    assert registered.returncode == 0, registered.stderr
    return workspace, candidate.digest


def test_a_registered_candidate_is_trained_again_to_the_bit_and_another_one_is_told_apart(
    place: Settings, tmp_path: Path
) -> None:
    workspace, digest = train_and_register(place, tmp_path)
    done = fraud_ml(place, workspace.root, "reproduce", digest, "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["is_same"]
    assert (told["judged_by"], told["differences"]) == ("bits", [])
    assert told["model_digest"] == told["recorded_model_digest"]
    assert (told["golden_equal"], told["farthest"]) == (100, 0.0)
    assert list((place.home / "reproductions").iterdir()) == []  # it held claims

    (entry,) = Ledger(place.ledger_url).find(kind=EntryKind.REGISTERED)
    nowhere = replace(place, values={**place.values, "FRAUD_ML_CODE_REPO": str(tmp_path)})
    refused = fraud_ml(nowhere, workspace.root, "reproduce", entry.body["run_id"])
    assert (refused.returncode, "does not hold the commit" in refused.stderr) == (2, True), refused.stderr
    unknown = fraud_ml(place, workspace.root, "reproduce", "0" * 32)
    assert (unknown.returncode, "MLflow knows no registered run" in unknown.stderr) == (2, True), unknown.stderr
