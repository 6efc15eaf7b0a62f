"""Fit every configured family on the same windows, calibrate, export, and choose the best on the validation window."""

import sys
from pathlib import Path

from fraud_ml.artifacts import (
    FamilyResult,
    FeatureReport,
    TrainingReport,
    Verdict,
    Workspace,
    load,
    save,
    whole_folder,
)
from fraud_ml.contract import Column, load_contract
from fraud_ml.errors import BadInput
from fraud_ml.features.windows import REPORT, read_window
from fraud_ml.models.calibrate import fit_platt
from fraud_ml.models.catalogue import export_model, fit_family
from fraud_ml.models.family import Examples, Family, Progress
from fraud_ml.models.inputs import Inputs, describe_inputs, read_columns
from fraud_ml.models.ranking import average_precision
from fraud_ml.params import TrainingParams


def say(line: str) -> None:
    """Show a line of progress to people, on standard error."""
    print(line, file=sys.stderr, flush=True)


def fit_families(workspace: Workspace, params: TrainingParams, progress: Progress = say) -> TrainingReport:
    """Train each of `params.families`; afterwards `workspace.models` holds them and the report names the chosen one.

    The test window is not read here. Ties go to the family that params name first.
    Raises NotAccepted when the snapshot's verdict is not `accepted`, BadInput when the windows cannot be learned from.
    """
    windows = load(FeatureReport, workspace.features / REPORT)
    load(Verdict, workspace.validation_verdict).require_accepted(subject_digest=windows.snapshot_digest)
    contract = load_contract(windows.dataset, workspace.expectations)
    frames = {name: read_window(workspace.features, name) for name in ("train", "validation")}
    inputs = describe_inputs(frames["train"], _features(contract.columns, windows))
    train, validation = (Examples(read_columns(f, inputs), f["label"].to_numpy()) for f in frames.values())
    for name, examples in (("train", train), ("validation", validation)):
        _require_both_classes(name, examples)

    results: list[FamilyResult] = []
    fitted: dict[str, Family] = {}
    workspace.training_report.unlink(missing_ok=True)  # it must not stand beside other models than its own
    with whole_folder(workspace.models) as folder:
        for name in params.families:
            result = _fit_and_export(name, folder / name, inputs, train, validation, params, progress, fitted)
            results.append(result)
    chosen = max(results, key=lambda result: result.validation_average_precision)
    report = TrainingReport(chosen.family, windows.snapshot_digest, params.seed, tuple(results))
    save(report, workspace.training_report)
    return report


def _fit_and_export(
    name: str,
    folder: Path,
    inputs: Inputs,
    train: Examples,
    validation: Examples,
    params: TrainingParams,
    progress: Progress,
    fitted: dict[str, Family],
) -> FamilyResult:
    def tell(line: str) -> None:
        progress(f"{name}: {line}")

    tell(f"learning from {len(train.labels):,} claims")
    model = fit_family(name, inputs, train, validation, params, progress=tell, fitted=fitted)
    logits = model.logits(validation.columns)
    folder.mkdir()
    manifest = export_model(folder, name, model, inputs, fit_platt(logits, validation.labels))
    reached = round(average_precision(validation.labels, logits), 6)
    tell(f"average precision {reached:.3f} on validation, model {manifest.model_digest[:12]}")
    return FamilyResult(name, manifest.model_digest, reached)


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


def _require_both_classes(name: str, examples: Examples) -> None:
    positives = int(examples.labels.sum())
    if positives in (0, len(examples.labels)):
        raise BadInput(
            f"the {name} window holds one class only",
            expected="confirmed and cleared claims",
            arrived=f"{positives} frauds in {len(examples.labels)} claims",
            next_step="choose other windows in params.yaml",
        )
