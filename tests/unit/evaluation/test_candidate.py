"""A candidate is judged on the test window alone, sealed with all that is behind it, and the same on every run."""

import csv
import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from fraud_ml.artifacts import (
    Candidate,
    Champion,
    Decision,
    EvaluationReport,
    ModelManifest,
    Outcome,
    TrainingReport,
    Verdict,
    Workspace,
    digest_of,
    file_digest,
    load,
    save,
)
from fraud_ml.errors import BadInput, FraudMLError, Tampered, Unavailable, Undefined
from fraud_ml.evaluation import judge_candidate
from fraud_ml.evaluation.gates import GATES
from fraud_ml.evaluation.judging import Rival, RivalState, score_champion
from fraud_ml.models import load_model
from fraud_ml.params import load_params
from fraud_ml.training import fit_families
from tests.tampering import flip_a_byte
from tests.toy_claims import AS_OF, PROJECT, toy_claims, toy_contract, toy_params, toy_workspace, write_fold

GIVEN = toy_params().evaluation
PARAMS = GIVEN.model_copy(
    update={
        "bootstrap_rounds": 100,
        "min_lift_over_prevalence": 1.2,
        "calibration": GIVEN.calibration.model_copy(update={"max_error": 0.2}),
        "stability": GIVEN.stability.model_copy(update={"min_frauds": 4, "max_loss": 0.3}),
        "leak": GIVEN.leak.model_copy(update={"max_roc_auc": 0.75}),
    }
)


def quiet(_: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace as the train stage leaves it."""
    workspace, params = toy_workspace(tmp_path_factory.mktemp("trained"), families=["random_forest"])
    fit_families(workspace, params.training, quiet)
    return workspace.root


@pytest.fixture(scope="module")
def judged(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The same after the evaluate stage. Read only."""
    workspace = Workspace(Path(shutil.copytree(trained, tmp_path_factory.mktemp("judged") / "run")))
    judge_candidate(workspace, PARAMS)
    return workspace


@pytest.fixture
def workspace(trained: Path, tmp_path: Path) -> Workspace:
    return Workspace(Path(shutil.copytree(trained, tmp_path / "run")))


@pytest.fixture(scope="module")
def champions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another forest, of the same windows."""
    other, params = toy_workspace(tmp_path_factory.mktemp("champions"), families=["random_forest"], seed=1)
    fit_families(other, params.training, quiet)
    return other.models / "random_forest"


def crown(workspace: Workspace, champions: Path) -> Champion:
    shutil.copytree(champions, workspace.champion_model)
    digest = load_model(workspace.champion_model).manifest.model_digest
    champion = Champion("3", "c" * 64, digest)
    save(champion, workspace.champion_record)
    return champion


def finding(workspace: Workspace, code: str) -> object:
    verdict = load(Verdict, workspace.evaluation_verdict)
    return next(f for f in verdict.findings if f.code == code)


def outputs(workspace: Workspace) -> dict[str, str]:
    files = [path for path in workspace.evaluation.rglob("*") if path.is_file()]
    return {path.name: file_digest(path) for path in [*files, workspace.metrics]}


def changed_test(workspace: Workspace, change: Callable[[pd.DataFrame], pd.Series]) -> None:
    path = workspace.features / "test.parquet"
    frame = pd.read_parquet(path)
    frame.assign(label=change(frame).astype("int8")).to_parquet(path)


# --- what stands afterwards -----------------------------------------------------------------------------------------


def test_the_sealed_candidate_names_everything_behind_it(judged: Workspace) -> None:
    candidate = load(Candidate, judged.candidate)
    assert candidate == candidate.sealed()
    training = load(TrainingReport, judged.training_report)
    assert candidate.family == training.chosen
    assert candidate.model_digest == training.results[0].model_digest
    assert candidate.as_of == "2024-12-31"
    assert candidate.params_digest == digest_of(load_params(judged.params).model_dump(mode="json"))
    metrics, verdict = json.loads(judged.metrics.read_text()), load(Verdict, judged.evaluation_verdict)
    assert candidate.evaluation_digest == digest_of({"metrics": metrics, "verdict": digest_of(verdict)})


def test_verdict_and_report_name_the_frozen_window_by_its_digest(judged: Workspace) -> None:
    digest = file_digest(judged.features / "test.parquet")
    report = load(EvaluationReport, judged.evaluation_report)
    assert report.test_window_digest == digest
    assert (report.test_window.begin, report.test_window.end) == ("2024-07-01", "2025-01-01")
    assert load(Verdict, judged.evaluation_verdict).about == f"candidate random_forest on test window {digest[:12]}"


def test_predictions_are_of_the_test_window_without_keys(judged: Workspace) -> None:
    predictions = pd.read_parquet(judged.evaluation / "predictions.parquet")
    test = pd.read_parquet(judged.features / "test.parquet")
    assert list(predictions.columns) == ["key_sha256", "event_time", "label", "probability"]
    assert predictions["key_sha256"].tolist() == test["key_sha256"].tolist()
    expected = load_model(judged.models / "random_forest").predict(test)
    np.testing.assert_array_equal(predictions["probability"], expected)


def test_metrics_are_flat_numbers_with_their_intervals(judged: Workspace) -> None:
    metrics = json.loads(judged.metrics.read_text())
    assert all(isinstance(value, int | float) for value in metrics.values())
    for name in (
        *("average_precision", "roc_auc", "recall_at_5pct_fpr", "precision_at_1pct", "precision_at_capacity"),
        *("brier", "log_loss", "ece", "accuracy", "precision", "recall", "saving_eur", "cost_per_claim_eur"),
    ):
        assert metrics[f"{name}_low"] <= metrics[name] <= metrics[f"{name}_high"], name


def test_a_figure_that_does_not_exist_is_absent_and_named_never_zero(workspace: Workspace) -> None:
    dear = PARAMS.money.model_copy(update={"investigation_eur": 1e9})
    judge_candidate(workspace, PARAMS.model_copy(update={"money": dear}))
    report = load(EvaluationReport, workspace.evaluation_report)
    assert report.threshold is None
    assert report.undefined == ("precision",)
    metrics = json.loads(workspace.metrics.read_text())
    assert not {"threshold", "precision", "precision_low"} & set(metrics)
    assert (metrics["recall"], metrics["saving_eur"]) == (0, 0)


def test_each_plot_of_dvc_yaml_is_a_table_with_the_columns_that_it_draws_and_has_its_picture(judged: Workspace) -> None:
    declared = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["plots"]
    for plot in declared:
        [(name, drawn)] = plot.items()
        with (judged.root / name).open() as stream:
            rows = list(csv.DictReader(stream))
        assert rows
        assert {drawn["x"], drawn["y"]} <= set(rows[0])
        assert len(rows) <= 201  # a curve, never a claim a row
        assert (judged.root / name).with_suffix(".png").stat().st_size > 2000
    assert len(declared) == len(list((judged.evaluation / "plots").glob("*.csv"))) == 7


def test_the_page_shows_every_gate_and_picture_and_links_nothing_else(judged: Workspace) -> None:
    page = (judged.evaluation / "report" / "index.html").read_text()
    assert "Accepted" in page
    assert all(code in page for code in GATES)
    shown = set(re.findall(r'src="([^"]+)"', page))
    assert shown == {path.name for path in (judged.evaluation / "report").glob("*.png")}
    assert len(shown) == 7
    assert "http" not in page


def test_judging_again_gives_the_same_bytes_pictures_included(judged: Workspace, workspace: Workspace) -> None:
    judge_candidate(workspace, PARAMS)
    assert outputs(workspace) == outputs(judged)


def test_without_a_champion_a_good_candidate_is_accepted(judged: Workspace) -> None:
    verdict = load(Verdict, judged.evaluation_verdict)
    verdict.require_accepted(subject_digest=load(Candidate, judged.candidate).model_digest)
    assert {f.code for f in verdict.findings} == set(GATES)
    assert "average_precision_over_champion" not in json.loads(judged.metrics.read_text())


def test_no_claims_values_reach_figures_verdict_or_candidate(judged: Workspace) -> None:
    written = "".join(path.read_text() for path in (judged.metrics, judged.evaluation_verdict, judged.candidate))
    for value in ("north", "third party", *toy_claims()["claim"].head(20)):
        assert not re.search(rf"\b{value}\b", written)


def test_no_claim_is_named_anywhere_in_what_is_published(judged: Workspace) -> None:
    published = [p for p in judged.evaluation.rglob("*") if p.suffix in {".json", ".csv", ".html"}]
    written = "".join(path.read_text() for path in published)
    assert len(published) > 10
    assert not re.search(r"\bc\d{5}\b", written)


# --- verdicts -------------------------------------------------------------------------------------------------------


def test_a_missed_floor_is_a_verdict_and_the_candidate_still_stands(workspace: Workspace) -> None:
    candidate = judge_candidate(workspace, PARAMS.model_copy(update={"min_lift_over_prevalence": 50.0}))
    verdict = load(Verdict, workspace.evaluation_verdict)
    assert verdict.decision is Decision.REJECTED
    assert [f.code for f in verdict.stopping] == ["GATE001"]
    assert load(Candidate, workspace.candidate) == candidate
    assert "Rejected" in (workspace.evaluation / "report" / "index.html").read_text()


def test_a_champion_is_met_on_the_same_claims_and_a_candidate_clearly_worse_is_rejected(
    workspace: Workspace, champions: Path
) -> None:
    crown(workspace, champions)

    def foreseen(frame: pd.DataFrame) -> pd.Series:
        """A window that the champion foresees exactly."""
        champion = load_model(workspace.champion_model).predict(frame)
        return pd.Series(champion >= np.sort(champion)[-25])

    changed_test(workspace, foreseen)
    judge_candidate(workspace, PARAMS)
    assert finding(workspace, "GATE002").outcome is Outcome.FAILED
    assert not load(Verdict, workspace.evaluation_verdict).is_accepted
    metrics = json.loads(workspace.metrics.read_text())
    difference = metrics["average_precision"] - metrics["champion_average_precision"]
    assert metrics["average_precision_over_champion"] == pytest.approx(difference, abs=2e-6)


def test_other_params_anywhere_are_another_candidate(judged: Workspace, workspace: Workspace) -> None:
    params = yaml.safe_load(workspace.params.read_text())
    params["governance"]["required_approvals"] += 1
    workspace.params.write_text(yaml.safe_dump(params))
    assert judge_candidate(workspace, PARAMS).digest != load(Candidate, judged.candidate).digest


# --- champions ------------------------------------------------------------------------------------------------------


def met(workspace: Workspace) -> Rival:
    test = pd.read_parquet(workspace.features / "test.parquet")
    candidate = load(ModelManifest, workspace.models / "random_forest" / "model.json")
    return score_champion(workspace, test, candidate)


def test_the_champion_itself_comes_through_again(workspace: Workspace) -> None:
    digest = load(TrainingReport, workspace.training_report).results[0].model_digest
    save(Champion("3", "c" * 64, digest), workspace.champion_record)
    assert met(workspace).state is RivalState.SAME


def test_a_champion_is_scored_on_the_candidates_window(workspace: Workspace, champions: Path) -> None:
    crown(workspace, champions)
    rival = met(workspace)
    test = pd.read_parquet(workspace.features / "test.parquet")
    assert rival.state is RivalState.SCORED
    np.testing.assert_array_equal(rival.probabilities, load_model(champions).predict(test))


@pytest.mark.parametrize("fault", ["absent", "changed byte", "other model", "other columns", "no golden claims"])
def test_a_champion_that_cannot_be_scored_is_unknown_and_says_why(
    workspace: Workspace, champions: Path, fault: str
) -> None:
    champion = crown(workspace, champions)
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
    rival = met(workspace)
    assert rival.state is RivalState.UNKNOWN
    assert re.match(r"Unavailable|Tampered|BadInput", rival.reason)


def test_a_run_without_a_champion_record_was_opened_wrongly(workspace: Workspace) -> None:
    workspace.champion_record.unlink()
    with pytest.raises(Unavailable, match=r"champion\.json is not there"):
        met(workspace)


# --- what cannot be judged ------------------------------------------------------------------------------------------


def refused(workspace: Workspace, kind: type[FraudMLError], text: str) -> None:
    with pytest.raises(kind, match=text) as raised:
        judge_candidate(workspace, PARAMS)
    assert raised.value.exit_code == 2
    assert not workspace.evaluation.exists()
    assert not workspace.metrics.exists()


def test_a_changed_byte_of_the_candidate_model_is_named(workspace: Workspace) -> None:
    path = workspace.models / "random_forest" / "forest.skops"
    flip_a_byte(path)
    refused(workspace, Tampered, r"forest\.skops: its bytes differ")


def test_another_whole_model_in_the_candidates_place_is_refused(workspace: Workspace, champions: Path) -> None:
    shutil.rmtree(workspace.models / "random_forest")
    shutil.copytree(champions, workspace.models / "random_forest")
    refused(workspace, Tampered, "not the model that training reported")


def test_models_of_another_snapshot_are_refused(workspace: Workspace) -> None:
    training = load(TrainingReport, workspace.training_report)
    save(dataclasses.replace(training, snapshot_digest="0" * 64), workspace.training_report)
    refused(workspace, BadInput, "another snapshot")


def test_a_claim_of_the_window_that_was_never_judged_is_refused(workspace: Workspace) -> None:
    claims = toy_claims()
    write_fold(workspace.claims, claims[claims["claim"] != claims["claim"].iloc[-1]], toy_contract(), AS_OF)
    refused(workspace, Tampered, "not among the judged claims")


def test_a_test_window_without_fraud_has_no_figures(workspace: Workspace) -> None:
    changed_test(workspace, lambda frame: frame["label"] * 0)
    refused(workspace, Undefined, "no confirmed fraud")


def test_a_test_window_of_frauds_alone_has_no_figures(workspace: Workspace) -> None:
    changed_test(workspace, lambda frame: frame["label"] * 0 + 1)
    refused(workspace, Undefined, "confirmed frauds only")


def test_a_test_window_with_fewer_frauds_than_are_needed_is_not_judged(workspace: Workspace) -> None:
    changed_test(workspace, lambda frame: (frame.index < PARAMS.min_positives - 1).astype(int))
    refused(workspace, Undefined, r"too few confirmed frauds.*Expected: at least 20\. Arrived: 19")


def test_a_model_that_answers_a_claim_of_the_window_with_no_number_is_refused(workspace: Workspace) -> None:
    """Its golden claims pass: it overflows to not-a-number only beyond the riskiest of them."""
    folder, frame = workspace.models / "random_forest", pd.read_parquet(workspace.features / "test.parquet")
    calibration = folder / "calibration.json"
    golden = json.loads((folder / "golden.json").read_text())

    def logits(slope: float, intercept: float, claims: pd.DataFrame) -> np.ndarray:
        calibration.write_text(json.dumps({"slope": slope, "intercept": intercept}))
        reseal(folder)
        answers = load_model(folder).predict(claims)
        return np.log(answers / (1 - answers))

    made_up = pd.DataFrame(golden["claims"]).replace({None: np.nan})
    safe, far = logits(1.0, 0.0, made_up).max(), logits(1.0, 0.0, frame).max()
    assert 0 < safe < far
    calibration.write_text(json.dumps({"slope": np.finfo(float).max / ((safe + far) / 2), "intercept": -np.inf}))
    (folder / "golden.json").write_text(json.dumps({**golden, "predictions": [0.0] * len(made_up)}))
    reseal(folder)
    with np.errstate(all="ignore"):
        refused(workspace, BadInput, "the model's answer is no probability for")


def reseal(folder: Path) -> None:
    from fraud_ml.models.manifest import files_of

    files = {name: file_digest(folder / name) for name in files_of(folder)}
    manifest = load(ModelManifest, folder / "model.json")
    save(
        dataclasses.replace(manifest, files=files, artifact_digest=ModelManifest.digest_files(files)),
        folder / "model.json",
    )
