"""Train a registered candidate again, from its own snapshot, params and commit: does the same model come out?

Everything happens in a checkout of its own, which is removed afterwards: it holds claims. Where code, libraries or the
processor's kind are others than those that trained it, equal bits cannot be asked for; golden predictions within
TOLERANCE can, and the answer says which of the two was judged.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fraud_ml.artifacts import Candidate, ModelManifest, Workspace, digest_of, load
from fraud_ml.errors import BadInput, Rejected, Tampered, Unavailable
from fraud_ml.settings import Settings

Say = Callable[[str], None]

STAGES = ("validate", "features", "train")  # up to the model; what it was judged by is not judged again
TOLERANCE = 0.01  # probability: what other kernels' rounding, carried through every epoch, may do to a golden answer
DECIDES_BITS = ("code", "python", "keras", "numpy", "scikit-learn", "tensorflow", "lock", "cpu", "gpu")


@dataclass(frozen=True)
class Difference:
    """One thing about the environment that is not what trained the candidate."""

    name: str
    recorded: str
    here: str


@dataclass(frozen=True)
class Reproduction:
    """What came out. `is_same` by bits where nothing in the environment differs, else within `tolerance`."""

    candidate_digest: str
    recorded_model_digest: str
    model_digest: str
    golden_claims: int
    golden_equal: int  # answers with the very same bits
    farthest: float  # probability
    differences: tuple[Difference, ...]
    judged_by: str  # "bits" or "tolerance"
    tolerance: float
    is_same: bool


def judge(
    candidate: Candidate,
    arrived: ModelManifest,
    recorded_golden: NDArray[np.float64],
    golden: NDArray[np.float64],
    *,
    recorded_environment: Mapping[str, str],
    environment: Mapping[str, str],
) -> Reproduction:
    """Compare a model trained again with the recorded one. A candidate that recorded no environment is asked for bits.

    Golden predictions: (n_claims,) probabilities. Model digests are over weights, preprocessing and golden predictions.
    """
    differences = tuple(
        Difference(name, recorded_environment[name], environment.get(name, "none"))
        for name in DECIDES_BITS
        if name in recorded_environment and recorded_environment[name] != environment.get(name, "none")
    )
    is_alike = recorded_golden.shape == golden.shape
    farthest = float(np.max(np.abs(recorded_golden - golden))) if is_alike else 1.0
    has_same_bits = arrived.model_digest == candidate.model_digest
    return Reproduction(
        candidate_digest=candidate.digest,
        recorded_model_digest=candidate.model_digest,
        model_digest=arrived.model_digest,
        golden_claims=len(recorded_golden),
        golden_equal=int((recorded_golden == golden).sum()) if is_alike else 0,
        farthest=farthest,
        differences=differences,
        judged_by="tolerance" if differences else "bits",
        tolerance=TOLERANCE if differences else 0.0,
        is_same=has_same_bits or (bool(differences) and farthest <= TOLERANCE),
    )


def reproduce(settings: Settings, run: str, say: Say) -> Reproduction:
    """Retrain `run`, a candidate's digest or its MLflow run's id; afterwards nothing but the answer is left.

    Raises BadInput where it is not registered or its commit is not to be had, Tampered where ledger, MLflow or a stored
    file do not fit its digest, Rejected where a stage refuses.
    """
    from fraud_ml.governance.candidates import registered_candidate
    from fraud_ml.governance.registered_model import fetch_model
    from fraud_ml.ledger import Ledger
    from fraud_ml.models.environment import running_environment
    from fraud_ml.models.golden import read_predictions
    from fraud_ml.objects import ObjectStore
    from fraud_ml.registry.recorded import recorded_run

    ledger, home = Ledger(settings.ledger_url), settings.home / "reproductions"
    home.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=home))
    try:
        run_id = run
        if re.fullmatch(r"[0-9a-f]{64}", run):
            run_id = str(registered_candidate(ledger, run)[0].body["run_id"])
        (folder / "recorded").mkdir()
        recorded = recorded_run(settings, run_id, folder / "recorded")
        entry, candidate = registered_candidate(ledger, recorded.candidate_digest)
        if run not in (candidate.digest, entry.body["run_id"]):
            raise Tampered(f"MLflow run {run_id} names another candidate than the ledger", path=f"MLflow run {run_id}")
        _require_params(recorded.params, candidate)
        fetch_model(ObjectStore(settings), entry, folder / "recorded" / "model")
        say(f"candidate {candidate.digest[:12]}: {candidate.family}, {candidate.dataset} as of {candidate.as_of}")
        workspace = _checkout(settings, recorded.code_rev, folder / "checkout")
        shutil.copyfile(recorded.params, workspace.params)
        _pin(settings, workspace, candidate, recorded.code_rev)
        for stage in STAGES:
            say(f"{stage}, again")
            _run(settings, workspace.root, stage)
        model = workspace.models / candidate.family
        return judge(
            candidate,
            load(ModelManifest, model / "model.json"),
            read_predictions(folder / "recorded" / "model"),
            read_predictions(model),
            recorded_environment=recorded.training.environment,
            environment={**running_environment(), **_environment_of(workspace)},
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _require_params(path: Path, candidate: Candidate) -> None:
    from fraud_ml.params import load_params

    arrived = digest_of(load_params(path).model_dump(mode="json"))
    if arrived != candidate.params_digest:
        raise Tampered(
            "the params.yaml that MLflow keeps is not the candidate's",
            expected=candidate.params_digest[:12],
            arrived=arrived[:12],
            path="params.yaml",
        )


def _environment_of(workspace: Workspace) -> Mapping[str, str]:
    """Return what the commit's own code said of the environment; older code said nothing."""
    from fraud_ml.artifacts import TrainingReport

    return load(TrainingReport, workspace.training_report).environment


def _checkout(settings: Settings, code_rev: str, folder: Path) -> Workspace:
    """Return a checkout of the commit that trained the candidate."""
    if not re.fullmatch(r"[0-9a-f]{40}", code_rev):
        raise Rejected(
            "the candidate was trained by code that stands in no commit",
            arrived=code_rev[:60],
            next_step="nobody can train it again; retrain from a clean commit",
        )
    for arguments in (
        ("clone", "--quiet", "--shared", "--no-checkout", settings.code_repo, str(folder)),
        ("-C", str(folder), "checkout", "--quiet", "--detach", code_rev),
    ):
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BadInput(
                f"{settings.code_repo} does not hold the commit {code_rev[:12]} that trained the candidate",
                next_step="fetch it there, or set FRAUD_ML_CODE_REPO",
            )
    return Workspace(folder)


def _pin(settings: Settings, workspace: Workspace, candidate: Candidate, code_rev: str) -> None:
    """Pin the very snapshot, whichever revision of its date it is."""
    from fraud_ml.data.snapshots import list_versions
    from fraud_ml.promotion.pinning import pin_inputs

    found = [v for v in list_versions(settings, candidate.dataset) if v.digest == candidate.snapshot_digest]
    if not found:
        raise BadInput(
            f"no frozen snapshot of `{candidate.dataset}` has the digest {candidate.snapshot_digest[:12]}",
            next_step="point FRAUD_ML_SNAPSHOT_REGISTRY at the registry that holds it",
        )
    pin_inputs(
        settings,
        workspace,
        dataset=candidate.dataset,
        as_of=found[0].name,
        code_rev=code_rev,
        with_champion=False,
    )


def _run(settings: Settings, checkout: Path, stage: str) -> None:
    """Run one stage by the checkout's own code."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"FRAUD_ML_TFDV_PYTHON": str(settings.tfdv_python)}
    done = subprocess.run(
        [sys.executable, "-m", "fraud_ml", stage],
        cwd=checkout,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        told = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        kind = Unavailable if done.returncode == Unavailable.exit_code else Rejected
        raise kind(f"the {stage} stage did not run again", arrived=told[0].removeprefix("fraud-ml: ")[:400])
