"""Judge the chosen family on the frozen test window, and seal what people may approve."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fraud_ml.artifacts import (
    Candidate,
    FeatureReport,
    ModelManifest,
    TrainingReport,
    Verdict,
    Workspace,
    digest_of,
    evaluation_digest,
    load,
    save,
    whole_folder,
)
from fraud_ml.errors import BadInput, Tampered
from fraud_ml.evaluation.gates import judge_gates
from fraud_ml.evaluation.judging import Evaluation, evaluate, score_champion
from fraud_ml.evaluation.metrics import Scored
from fraud_ml.evaluation.plots import draw
from fraud_ml.features.windows import REPORT, read_window
from fraud_ml.models.catalogue import verify_model
from fraud_ml.models.manifest import MANIFEST_FILE
from fraud_ml.params import EvaluationParams, load_params

if TYPE_CHECKING:
    import pandas as pd

PREDICTIONS_FILE = "predictions.parquet"
DIGITS = 6  # of metrics, for people and diffs; predictions.parquet has them exactly


def judge_candidate(workspace: Workspace, params: EvaluationParams) -> Candidate:
    """Score the test window; afterwards predictions, pictures, metrics, the gates' verdict and the candidate stand.

    Raises Tampered when the model is not the trained one, BadInput when windows and training belong to other snapshots,
    Undefined when the test window holds one class only. A missed gate is a verdict.
    """
    windows = load(FeatureReport, workspace.features / REPORT)
    training = load(TrainingReport, workspace.training_report)
    manifest = _chosen_model(workspace, windows, training)
    folder = workspace.models / training.chosen
    test = read_window(workspace.features, "test")
    probabilities = verify_model(folder, manifest).predict(test)

    scored = Scored.of(test["label"].to_numpy(), probabilities)
    evaluation = evaluate(scored, score_champion(workspace, test, manifest), params)
    metrics = flat_metrics(evaluation, scored)
    findings = judge_gates(evaluation, params)
    verdict = Verdict.of(f"candidate {training.chosen}", manifest.model_digest, findings, rows=len(test))
    candidate = Candidate(
        dataset=windows.dataset,
        as_of=windows.as_of,
        family=training.chosen,
        snapshot_digest=windows.snapshot_digest,
        params_digest=digest_of(load_params(workspace.params).model_dump(mode="json")),
        model_digest=manifest.model_digest,
        artifact_digest=manifest.artifact_digest,
        evaluation_digest=evaluation_digest(metrics, verdict),
    ).sealed()
    with whole_folder(workspace.evaluation) as outputs:
        _write_predictions(outputs / PREDICTIONS_FILE, test, probabilities)
        draw(scored, outputs)
        save(verdict, outputs / workspace.evaluation_verdict.name)
        save(metrics, workspace.metrics)
        save(candidate, outputs / workspace.candidate.name)
    return candidate


def flat_metrics(evaluation: Evaluation, scored: Scored) -> dict[str, float | int]:
    """Return what `dvc metrics` compares: each figure with `_low` and `_high`, and the window's counts."""
    figures = dict(evaluation.figures)
    if evaluation.difference is not None:
        figures["average_precision_over_champion"] = evaluation.difference
    flat: dict[str, float | int] = {"rows": len(scored.labels), "positives": int(scored.labels.sum())}
    flat["prevalence"] = round(evaluation.prevalence, DIGITS)
    for name, found in figures.items():
        for suffix, value in (("", found.value), ("_low", found.low), ("_high", found.high)):
            flat[name + suffix] = round(value, DIGITS)
    if evaluation.champion_average_precision is not None:
        flat["champion_average_precision"] = round(evaluation.champion_average_precision, DIGITS)
    return flat


def _chosen_model(workspace: Workspace, windows: FeatureReport, training: TrainingReport) -> ModelManifest:
    if training.snapshot_digest != windows.snapshot_digest:
        raise BadInput(
            "the models were trained on another snapshot than these windows come from",
            expected=windows.snapshot_digest[:12],
            arrived=training.snapshot_digest[:12],
            next_step="run the train stage again",
        )
    trained = next((result for result in training.results if result.family == training.chosen), None)
    path = workspace.models / training.chosen / MANIFEST_FILE
    manifest = load(ModelManifest, path)
    if trained is None or manifest.model_digest != trained.model_digest:
        raise Tampered(
            f"{path}: not the model that training reported", next_step="run the train stage again", path=str(path)
        )
    return manifest


def _write_predictions(path: Path, test: "pd.DataFrame", probabilities: NDArray[np.float64]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "key_sha256": pa.array(test["key_sha256"], pa.string()),
        "event_time": pa.array(test["event_time"], pa.timestamp("us")),
        "label": pa.array(test["label"], pa.int8()),
        "probability": pa.array(probabilities, pa.float64()),
    }
    pq.write_table(pa.table(columns), path, compression="zstd")
