"""A candidate is judged on the test window alone, sealed with all that is behind it, and the same on every run."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from fraud_ml.artifacts import (
    Candidate,
    Champion,
    Decision,
    Outcome,
    TrainingReport,
    Verdict,
    Workspace,
    digest_of,
    file_digest,
    load,
    save,
)
from fraud_ml.errors import BadInput, Tampered, Unavailable, Undefined
from fraud_ml.evaluation import judge_candidate
from fraud_ml.models import load_model
from fraud_ml.params import EvaluationParams, load_params
from fraud_ml.training import fit_families
from tests.toy_claims import toy_claims, toy_workspace

PARAMS = EvaluationParams(
    bootstrap_rounds=100, confidence=0.95, min_lift_over_prevalence=1.2, max_loss_to_champion=0.02
)


def quiet(_: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace as the train stage leaves it."""
    workspace, params = toy_workspace(tmp_path_factory.mktemp("trained"), families=["random_forest"])
    fit_families(workspace, params.training, quiet)
    return workspace.root


@pytest.fixture
def workspace(trained: Path, tmp_path: Path) -> Workspace:
    return Workspace(Path(shutil.copytree(trained, tmp_path / "run")))


def crown(workspace: Workspace, seed: int = 1) -> Champion:
    """Pin another forest, of the same windows, as the champion."""
    root = workspace.root.parent / "champions"
    other, params = toy_workspace(root, families=["random_forest"], seed=seed)
    fit_families(other, params.training, quiet)
    shutil.copytree(other.models / "random_forest", workspace.champion_model)
    digest = load_model(workspace.champion_model).manifest.model_digest
    champion = Champion("3", "c" * 64, digest)
    save(champion, workspace.champion_record)
    return champion


def finding(workspace: Workspace, code: str) -> object:
    verdict = load(Verdict, workspace.evaluation_verdict)
    return next(f for f in verdict.findings if f.code == code)


def outputs(workspace: Workspace) -> dict[str, str]:
    files = [*workspace.evaluation.rglob("*"), workspace.metrics]
    return {path.name: file_digest(path) for path in files}


def test_the_sealed_candidate_names_everything_behind_it(workspace: Workspace) -> None:
    candidate = judge_candidate(workspace, PARAMS)
    assert load(Candidate, workspace.candidate) == candidate == candidate.sealed()
    training = load(TrainingReport, workspace.training_report)
    assert candidate.family == training.chosen
    assert candidate.model_digest == training.results[0].model_digest
    assert candidate.as_of == "2024-12-31"
    assert candidate.params_digest == digest_of(load_params(workspace.params).model_dump(mode="json"))
    metrics, verdict = json.loads(workspace.metrics.read_text()), load(Verdict, workspace.evaluation_verdict)
    assert candidate.evaluation_digest == digest_of({"metrics": metrics, "verdict": digest_of(verdict)})


def test_predictions_are_of_the_test_window_without_keys(workspace: Workspace) -> None:
    judge_candidate(workspace, PARAMS)
    predictions = pd.read_parquet(workspace.evaluation / "predictions.parquet")
    test = pd.read_parquet(workspace.features / "test.parquet")
    assert list(predictions.columns) == ["key_sha256", "event_time", "label", "probability"]
    assert predictions["key_sha256"].tolist() == test["key_sha256"].tolist()
    expected = load_model(workspace.models / "random_forest").predict(test)
    np.testing.assert_array_equal(predictions["probability"], expected)


def test_metrics_are_flat_numbers_with_their_intervals(workspace: Workspace) -> None:
    judge_candidate(workspace, PARAMS)
    metrics = json.loads(workspace.metrics.read_text())
    assert all(isinstance(value, int | float) for value in metrics.values())
    for name in ("average_precision", "roc_auc", "recall_at_5pct_fpr", "precision_at_1pct", "brier", "log_loss", "ece"):
        assert {name, f"{name}_low", f"{name}_high"} <= set(metrics)
    assert metrics["average_precision_low"] <= metrics["average_precision"] <= metrics["average_precision_high"]


def test_judging_again_gives_the_same_bytes_pictures_included(workspace: Workspace) -> None:
    judge_candidate(workspace, PARAMS)
    first = outputs(workspace)
    judge_candidate(workspace, PARAMS)
    assert outputs(workspace) == first
    assert {"precision_recall.png", "calibration.png"} <= set(first)


def test_without_a_champion_a_good_candidate_is_accepted(workspace: Workspace) -> None:
    candidate = judge_candidate(workspace, PARAMS)
    verdict = load(Verdict, workspace.evaluation_verdict)
    verdict.require_accepted(subject_digest=candidate.model_digest)
    assert verdict.about == "candidate random_forest"
    assert "average_precision_over_champion" not in json.loads(workspace.metrics.read_text())


def test_a_missed_floor_is_a_verdict_and_the_candidate_still_stands(workspace: Workspace) -> None:
    candidate = judge_candidate(workspace, PARAMS.model_copy(update={"min_lift_over_prevalence": 50.0}))
    verdict = load(Verdict, workspace.evaluation_verdict)
    assert verdict.decision is Decision.REJECTED
    assert [f.code for f in verdict.stopping] == ["GATE001"]
    assert load(Candidate, workspace.candidate) == candidate


def test_a_champion_is_met_on_the_same_claims(workspace: Workspace) -> None:
    crown(workspace)
    judge_candidate(workspace, PARAMS.model_copy(update={"max_loss_to_champion": 0.5}))
    metrics = json.loads(workspace.metrics.read_text())
    difference = metrics["average_precision"] - metrics["champion_average_precision"]
    assert metrics["average_precision_over_champion"] == pytest.approx(difference, abs=2e-6)
    assert finding(workspace, "GATE002").outcome is Outcome.PASSED


def test_a_candidate_clearly_worse_than_the_champion_is_rejected(workspace: Workspace) -> None:
    crown(workspace)
    path = workspace.features / "test.parquet"
    flipped = pd.read_parquet(path)
    champion = load_model(workspace.champion_model).predict(flipped)
    flipped["label"] = (champion >= np.sort(champion)[-20]).astype(
        "int8"
    )  # a window that the champion foresees exactly
    flipped.to_parquet(path)
    judge_candidate(workspace, PARAMS)
    assert finding(workspace, "GATE002").outcome is Outcome.FAILED
    assert not load(Verdict, workspace.evaluation_verdict).is_accepted


def test_the_champion_itself_comes_through_again(workspace: Workspace) -> None:
    digest = load(TrainingReport, workspace.training_report).results[0].model_digest
    save(Champion("3", "c" * 64, digest), workspace.champion_record)
    judge_candidate(workspace, PARAMS)
    assert "this very model" in finding(workspace, "GATE002").arrived


@pytest.mark.parametrize("fault", ["absent", "changed byte", "other model", "other columns", "no golden claims"])
def test_a_champion_that_cannot_be_scored_stops_the_candidate(workspace: Workspace, fault: str) -> None:
    champion = crown(workspace)
    if fault == "absent":
        shutil.rmtree(workspace.champion_model)
    elif fault == "changed byte":
        path = workspace.champion_model / "golden.json"
        path.write_text(path.read_text().replace("0.1", "0.2", 1))
    elif fault == "other model":
        save(dataclasses.replace(champion, model_digest="0" * 64), workspace.champion_record)
    elif fault == "other columns":
        for name in ("inputs.json", "golden.json"):
            path = workspace.champion_model / name
            path.write_text(path.read_text().replace("garage", "colour"))
        reseal(workspace.champion_model)
    else:
        (workspace.champion_model / "golden.json").write_text("{}")
        reseal(workspace.champion_model)
    judge_candidate(workspace, PARAMS)
    assert finding(workspace, "GATE002").outcome is Outcome.UNDECIDED
    assert not load(Verdict, workspace.evaluation_verdict).is_accepted


def test_a_run_without_a_champion_record_was_opened_wrongly(workspace: Workspace) -> None:
    workspace.champion_record.unlink()
    with pytest.raises(Unavailable, match=r"champion\.json is not there"):
        judge_candidate(workspace, PARAMS)


def test_a_changed_byte_of_the_candidate_model_is_named(workspace: Workspace) -> None:
    path = workspace.models / "random_forest" / "forest.skops"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(Tampered, match=r"forest\.skops: its bytes differ"):
        judge_candidate(workspace, PARAMS)


def test_another_whole_model_in_the_candidates_place_is_refused(workspace: Workspace) -> None:
    crown(workspace)
    shutil.rmtree(workspace.models / "random_forest")
    shutil.copytree(workspace.champion_model, workspace.models / "random_forest")
    with pytest.raises(Tampered, match="not the model that training reported"):
        judge_candidate(workspace, PARAMS)


def test_models_of_another_snapshot_are_refused(workspace: Workspace) -> None:
    training = load(TrainingReport, workspace.training_report)
    save(dataclasses.replace(training, snapshot_digest="0" * 64), workspace.training_report)
    with pytest.raises(BadInput, match="another snapshot"):
        judge_candidate(workspace, PARAMS)


def test_a_test_window_without_fraud_has_no_figures(workspace: Workspace) -> None:
    path = workspace.features / "test.parquet"
    frame = pd.read_parquet(path)
    frame["label"] = (frame["label"] * 0).astype("int8")
    frame.to_parquet(path)
    with pytest.raises(Undefined, match="no confirmed fraud"):
        judge_candidate(workspace, PARAMS)
    assert not workspace.evaluation.exists()


def test_other_params_anywhere_are_another_candidate(workspace: Workspace) -> None:
    first = judge_candidate(workspace, PARAMS)
    params = yaml.safe_load(workspace.params.read_text())
    params["governance"]["required_approvals"] += 1
    workspace.params.write_text(yaml.safe_dump(params))
    assert judge_candidate(workspace, PARAMS).digest != first.digest


def test_no_claims_values_reach_figures_verdict_or_candidate(workspace: Workspace) -> None:
    crown(workspace)
    judge_candidate(workspace, PARAMS)
    written = "".join(
        path.read_text() for path in (workspace.metrics, workspace.evaluation_verdict, workspace.candidate)
    )
    for value in ("north", "third party", *toy_claims()["claim"].head(20)):
        assert not re.search(rf"\b{value}\b", written)


def reseal(folder: Path) -> None:
    from fraud_ml.artifacts import ModelManifest
    from fraud_ml.models.manifest import files_of

    files = {name: file_digest(folder / name) for name in files_of(folder)}
    manifest = load(ModelManifest, folder / "model.json")
    save(
        dataclasses.replace(manifest, files=files, artifact_digest=ModelManifest.digest_files(files)),
        folder / "model.json",
    )
