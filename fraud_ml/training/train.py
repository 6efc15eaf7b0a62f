"""The train stage: every configured family learns from the windows, and is exported beside the report."""

import shutil
import sys
from pathlib import Path

from fraud_ml.artifacts import (
    FamilyResult,
    FeatureReport,
    TrainingReport,
    Verdict,
    Workspace,
    digest_of,
    file_digest,
    load,
    save,
    whole_folder,
)
from fraud_ml.contract import Column, load_contract
from fraud_ml.errors import BadInput
from fraud_ml.features.windows import REPORT, read_window, window_path
from fraud_ml.models.catalogue import export_model
from fraud_ml.models.checkpoints import Checkpoint
from fraud_ml.models.environment import running_environment
from fraud_ml.models.family import Progress
from fraud_ml.params import TrainingParams
from fraud_ml.training.learn import Trained, learn


def say(line: str) -> None:
    """Show a line of progress to people, on standard error."""
    print(line, file=sys.stderr, flush=True)


def fit_families(workspace: Workspace, params: TrainingParams, progress: Progress = say) -> TrainingReport:
    """Train each of `params.families`; afterwards `workspace.models` holds them and the report names the chosen one.

    The test window is not read here. Killed and run again, it goes on from `workspace.checkpoints` to the same models.
    Raises NotAccepted when the snapshot's verdict is not `accepted`, BadInput when the windows cannot be learned from,
    or when a checkpoint was written by another version of code or libraries.
    """
    windows, features = accepted_windows(workspace)
    frames = {name: read_window(workspace.features, name) for name in ("train", "validation")}
    workspace.training_report.unlink(missing_ok=True)  # it must not stand beside other models than its own
    checkpoint = _checkpoint(workspace, features, params)
    chosen, trained = learn(frames["train"], frames["validation"], features, params, progress, checkpoint=checkpoint)
    with whole_folder(workspace.models) as folder:
        results = tuple(_export(name, folder / name, model, progress) for name, model in trained.items())
    report = TrainingReport(chosen, windows.snapshot_digest, params.seed, results, running_environment())
    save(report, workspace.training_report)
    shutil.rmtree(workspace.checkpoints, ignore_errors=True)
    return report


def accepted_windows(workspace: Workspace) -> tuple[FeatureReport, list[Column]]:
    """Return what the features stage reported, and the columns to learn from, in the windows' order.

    Raises NotAccepted when the snapshot's verdict is not `accepted`, BadInput when the contract lost a column.
    """
    windows = load(FeatureReport, workspace.features / REPORT)
    load(Verdict, workspace.validation_verdict).require_accepted(subject_digest=windows.snapshot_digest)
    contract = load_contract(windows.dataset, workspace.expectations)
    return windows, _features((*contract.columns, *contract.network_features), windows)


def _checkpoint(workspace: Workspace, features: list[Column], params: TrainingParams) -> Checkpoint:
    """Return the place that belongs to these windows and params alone; those of other trainings are passed over."""
    learned_from = [file_digest(window_path(workspace.features, name)) for name in ("train", "validation")]
    declared = [column.model_dump(mode="json") for column in features]
    return Checkpoint(workspace.checkpoints / digest_of([learned_from, declared, params.model_dump(mode="json")])[:16])


def _export(name: str, folder: Path, trained: Trained, progress: Progress) -> FamilyResult:
    folder.mkdir()
    manifest = export_model(folder, name, trained.model, trained.inputs, trained.calibration)
    progress(f"{name}: exported as model {manifest.model_digest[:12]}")
    return FamilyResult(name, manifest.model_digest, trained.validation_average_precision)


def _features(columns: tuple[Column, ...], windows: FeatureReport) -> list[Column]:
    declared = {column.name: column for column in columns}
    gone = [name for name in windows.features if name not in declared]
    if gone:
        raise BadInput(
            f"the windows hold column `{gone[0]}`, which the contract no longer declares",
            next_step="run the features stage again",
            column=gone[0],
        )
    return [declared[name] for name in windows.features]
