"""Judge the chosen family on the frozen test window, and seal what people may approve."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fraud_ml.artifacts import (
    Candidate,
    EvaluationReport,
    FeatureReport,
    ModelManifest,
    TrainingReport,
    Verdict,
    Workspace,
    digest_of,
    evaluation_digest,
    file_digest,
    load,
    save,
    whole_folder,
)
from fraud_ml.contract import load_contract
from fraud_ml.errors import BadInput, Tampered, Undefined
from fraud_ml.evaluation import threshold as thresholds
from fraud_ml.evaluation.bootstrap import Interval, Resampling, measure
from fraud_ml.evaluation.circumstances import Circumstances, JudgedClaims
from fraud_ml.evaluation.clean_process import CleanProcess
from fraud_ml.evaluation.disturbing import disturb
from fraud_ml.evaluation.gates import judge_gates
from fraud_ml.evaluation.gates.slices import table_of
from fraud_ml.evaluation.judging import Evaluation, auc_by_name, meet, score_champion, weigh
from fraud_ml.evaluation.metrics import METRICS, Scored
from fraud_ml.evaluation.naming import scores_by_name
from fraud_ml.evaluation.page import write_page
from fraud_ml.evaluation.plots import write_plots
from fraud_ml.features.windows import REPORT, read_window, window_path
from fraud_ml.models.catalogue import Predictor, verify_model
from fraud_ml.models.manifest import MANIFEST_FILE, require_same_files
from fraud_ml.params import EvaluationParams, load_params

if TYPE_CHECKING:
    import pandas as pd

PREDICTIONS_FILE, THRESHOLD_FILE, SLICES_FILE = "predictions.parquet", "threshold.json", "slices.json"
DIGITS = 6  # of metrics, for people and diffs; predictions.parquet has them exactly


@dataclass(frozen=True)
class _Window:
    """A window with the model's answers on it."""

    frame: "pd.DataFrame"
    circumstances: Circumstances
    scored: Scored
    accounts: thresholds.Accounts
    days: int


def judge_candidate(workspace: Workspace, params: EvaluationParams) -> Candidate:
    """Score the test window; afterwards predictions, plots, report, metrics, verdict and candidate stand.

    Raises Tampered when the model is not the trained one or a claim of a window was never judged, BadInput when windows
    and training belong to other snapshots or the model's answers are no probabilities, Undefined when the test window
    holds fewer confirmed frauds than `min_positives`, or nothing else. A missed gate is a verdict.
    """
    windows = load(FeatureReport, workspace.features / REPORT)
    training = load(TrainingReport, workspace.training_report)
    manifest = _chosen_model(workspace, windows, training)
    folder = workspace.models / training.chosen
    contract = load_contract(windows.dataset, workspace.expectations)
    frame = read_window(workspace.features, "test")
    _require_both_classes(frame, params.min_positives)
    claims = JudgedClaims(workspace.claims, contract, snapshot_digest=windows.snapshot_digest)
    require_same_files(folder, manifest)
    elsewhere = CleanProcess(folder, manifest)
    try:
        predictor = verify_model(folder, manifest)
        test = _answered(frame, windows.test, claims, predictor, params)
        rival = score_champion(workspace, frame, manifest)
        resampling = Resampling(params.bootstrap_rounds, params.confidence, test.circumstances.groups)
        validation = _answered(
            read_window(workspace.features, "validation"), windows.validation, claims, predictor, params
        )
        chosen = thresholds.choose(validation.scored, validation.accounts, validation.days, params.money)
        practice = thresholds.metrics_in_practice(chosen, test.accounts, test.days, params.money)
        reached, difference = meet(test.scored, rival, resampling)
        evaluation = Evaluation(
            scored=test.scored,
            resampling=resampling,
            circumstances=test.circumstances,
            figures=measure(test.scored, resampling, {**METRICS, **practice}),
            rival=rival,
            champion_average_precision=reached,
            difference=difference,
            by_name=_auc_by_name(workspace, claims, test, resampling, params),
            disturbances=disturb(predictor, frame, test.scored.probabilities, params.robustness.claims),
            footprint=weigh(folder, manifest, predictor, frame),
            clean=elsewhere.finish(),
        )
    finally:
        elsewhere.stop()
    _say(evaluation)
    metrics = flat_metrics(evaluation, chosen)
    report = EvaluationReport(
        family=training.chosen,
        model_digest=manifest.model_digest,
        test_window=windows.test,
        test_window_digest=file_digest(window_path(workspace.features, "test")),
        threshold=chosen.threshold,
        undefined=tuple(sorted(name for name, found in evaluation.figures.items() if found is None)),
    )
    about = f"candidate {training.chosen} on test window {report.test_window_digest[:12]}"
    verdict = Verdict.of(about, manifest.model_digest, judge_gates(evaluation, params), rows=len(frame))
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
    curve = thresholds.cost_curve(test.scored, test.accounts, test.days, resampling)
    months = [
        month
        for name, window in (("validation", validation), ("test", test))
        for month in thresholds.by_month(
            name, window.scored, window.circumstances, window.accounts, chosen, params.money
        )
    ]
    told: dict[str, Any] = {
        THRESHOLD_FILE: thresholds.report(chosen, curve, months, test.accounts, params.money),
        SLICES_FILE: table_of(evaluation, params),
    }
    with whole_folder(workspace.evaluation) as outputs:
        _write_predictions(outputs / PREDICTIONS_FILE, frame, test.scored.probabilities)
        for name, content in told.items():
            save(content, outputs / name)
        pictures = write_plots(evaluation, chosen, curve, outputs)
        write_page(outputs / "report", verdict, report, evaluation, told, pictures, candidate)
        save(report, outputs / workspace.evaluation_report.name)
        save(verdict, outputs / workspace.evaluation_verdict.name)
        save(metrics, workspace.metrics)
        save(candidate, outputs / workspace.candidate.name)
    return candidate


def flat_metrics(evaluation: Evaluation, chosen: thresholds.Chosen) -> dict[str, float | int]:
    """Return what `dvc metrics` compares: each figure with `_low` and `_high`, and the window's counts.

    A figure that is undefined is absent: a number in its place would be read.
    """
    figures: dict[str, Interval | None] = dict(evaluation.figures)
    figures["average_precision_over_champion"] = evaluation.difference
    labels = evaluation.scored.labels
    flat: dict[str, float | int] = {"rows": len(labels), "positives": int(labels.sum())}
    flat["prevalence"] = round(evaluation.prevalence, DIGITS)
    if chosen.threshold is not None:
        flat["threshold"] = chosen.threshold
    for name, found in figures.items():
        if found is not None:
            for suffix, value in (("", found.value), ("_low", found.low), ("_high", found.high)):
                flat[name + suffix] = round(value, DIGITS)
    if evaluation.champion_average_precision is not None:
        flat["champion_average_precision"] = round(evaluation.champion_average_precision, DIGITS)
    return flat


def _answered(
    frame: "pd.DataFrame", window: Any, claims: JudgedClaims, predictor: Predictor, params: EvaluationParams
) -> _Window:
    circumstances = claims.of(frame)
    scored = Scored.of(frame["label"].to_numpy(), predictor.predict(frame))
    accounts = thresholds.Accounts.of(scored, circumstances, params.money)
    return _Window(frame, circumstances, scored, accounts, thresholds.days_of(window))


def _auc_by_name(
    workspace: Workspace, claims: JudgedClaims, test: _Window, resampling: Resampling, params: EvaluationParams
) -> Interval | None:
    """Let the names of the last training claims teach what they can, and ask about the test window's."""
    train = read_window(workspace.features, "train", ["key_sha256", "event_time", "label"])
    train = train.iloc[-params.leak.learn_from :]
    labels = train["label"].to_numpy(dtype=np.float64)
    scores = scores_by_name(claims.of(train).keys, labels, test.circumstances.keys)
    return auc_by_name(test.scored.labels, scores, resampling)


def _say(evaluation: Evaluation) -> None:
    """Show people what no digested report may hold, because it differs from run to run."""
    weighed, clean = evaluation.footprint, evaluation.clean
    print(
        f"{weighed.size_bytes / 2**20:.2f} MiB, {weighed.latency_ms:.1f} ms a claim; in a clean process "
        f"{clean.memory_mib:.0f} MiB, {clean.cpu_s:.1f} s of processor",
        file=sys.stderr,
        flush=True,
    )


def _require_both_classes(frame: "pd.DataFrame", min_positives: int) -> None:
    positives = int(frame["label"].sum())
    if positives < max(1, min_positives):
        raise Undefined(
            "the test window holds too few confirmed frauds to judge a model"
            if positives
            else "the test window holds no confirmed fraud",
            expected=f"at least {min_positives}",
            arrived=f"{positives} in {len(frame):,} claims",
            next_step="take a later as-of date, a longer test window, or lower evaluation.min_positives in params.yaml",
        )
    if positives == len(frame):
        raise Undefined(
            "the test window holds confirmed frauds only",
            expected="claims of both classes",
            arrived=f"{positives} frauds in {len(frame):,} claims",
            next_step="see whether cleared claims are recorded (contract: label.negative)",
        )


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

    columns: Mapping[str, Any] = {
        "key_sha256": pa.array(test["key_sha256"], pa.string()),
        "event_time": pa.array(test["event_time"], pa.timestamp("us")),
        "label": pa.array(test["label"], pa.int8()),
        "probability": pa.array(probabilities, pa.float64()),
    }
    pq.write_table(pa.table(columns), path, compression="zstd")
