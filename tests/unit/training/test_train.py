"""Training refuses what was not accepted, names its choice, and leaves the same outputs however often it was killed."""

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest

from fraud_ml.artifacts import TrainingReport, Verdict, file_digest, load, save
from fraud_ml.errors import BadInput, NotAccepted
from fraud_ml.models import load_model, verify_model
from fraud_ml.training import fit_families
from tests.toy_claims import AS_OF, toy_claims, toy_contract, toy_workspace, write_windows

FOREST = {"families": ["random_forest"]}


def outputs(root: Path) -> dict[str, str]:
    files = [*(root / "workspace" / "models").rglob("*"), root / "workspace" / "training.json"]
    return {path.relative_to(root).as_posix(): file_digest(path) for path in files if path.is_file()}


def quiet(_: str) -> None:
    """Say nothing."""


def test_afterwards_each_family_stands_verified_beside_the_report(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path, **FOREST)
    said: list[str] = []
    report = fit_families(workspace, params.training, said.append)
    assert load(TrainingReport, workspace.training_report) == report
    folder = workspace.models / report.chosen
    assert verify_model(folder, load_model(folder).manifest).manifest.model_digest == report.results[0].model_digest
    assert (
        said[0] == f"random_forest: learning from {len(pd.read_parquet(workspace.features / 'train.parquet')):,} claims"
    )


def test_nothing_is_trained_on_a_rejected_snapshot_or_on_another_ones_verdict(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path, **FOREST)
    accepted = load(Verdict, workspace.validation_verdict)
    for refused in (
        Verdict.of("x", accepted.subject_digest, (), rows=1),
        dataclasses.replace(accepted, subject_digest="0"),
    ):
        save(refused, workspace.validation_verdict)
        with pytest.raises(NotAccepted):
            fit_families(workspace, params.training, quiet)
    assert not workspace.models.exists()


def test_the_test_window_is_never_read(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path, **FOREST)
    (workspace.features / "test.parquet").unlink()
    fit_families(workspace, params.training, quiet)


def test_a_run_killed_at_any_step_is_made_good_by_running_again(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path, families=["random_forest"])
    fit_families(workspace, params.training, quiet)
    whole = outputs(tmp_path)
    lines: list[str] = []
    fit_families(workspace, params.training, lines.append)
    for dying_at in range(len(lines)):
        calls = iter(range(len(lines)))

        def die(_: str, calls: object = calls, dying_at: int = dying_at) -> None:
            if next(calls) == dying_at:  # type: ignore[call-overload]
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fit_families(workspace, params.training, die)
        assert not workspace.training_report.exists()
        fit_families(workspace, params.training, quiet)
        assert outputs(tmp_path) == whole
    left_over = sorted(path.name for path in workspace.models.parent.iterdir())
    assert left_over == ["champion", "claims", "features", "models", "training.json", "validation"]


def test_a_leftover_file_of_an_older_run_does_not_stay_among_the_models(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path, **FOREST)
    stale = workspace.models / "keras_tabular" / "model.json"
    stale.parent.mkdir(parents=True)
    stale.write_text("{}")
    fit_families(workspace, params.training, quiet)
    assert not stale.exists()


def test_a_constant_column_is_refused_by_name(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path, toy_claims().assign(garage="north"), **FOREST)
    with pytest.raises(BadInput, match="column `garage` holds one and the same value"):
        fit_families(workspace, params.training, quiet)


def test_a_window_of_one_class_is_refused_by_name(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path, **FOREST)
    frame = pd.read_parquet(workspace.features / "validation.parquet")
    frame["label"] = frame["label"] * 0
    frame.to_parquet(workspace.features / "validation.parquet")
    with pytest.raises(BadInput, match="validation window holds one class only"):
        fit_families(workspace, params.training, quiet)


def test_a_model_that_answers_no_numbers_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path, families=["keras_tabular"])
    steep = params.training.keras_tabular.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(BadInput, match=r"`keras_tabular` learned to answer what is no number.*lower its learning rate"):
        fit_families(workspace, params.training.model_copy(update={"keras_tabular": steep}), quiet)
    assert not workspace.models.exists()
    assert not workspace.training_report.exists()


def test_windows_older_than_the_contract_are_refused(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path, **FOREST)
    report = json.loads((workspace.features / "report.json").read_text())
    report["features"].append("colour")
    (workspace.features / "report.json").write_text(json.dumps(report))
    with pytest.raises(BadInput, match="`colour`, which the contract no longer declares"):
        fit_families(workspace, params.training, quiet)


def test_the_chosen_family_learns_again_from_both_windows_and_the_others_do_not(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path, families=["random_forest", "logistic"])
    frame = pd.read_parquet(workspace.features / "validation.parquet")
    frame["garage"] = "abroad"
    frame.to_parquet(workspace.features / "validation.parquet")
    report = fit_families(workspace, params.training, quiet)
    known = {
        name: next(c.vocabulary for c in load_model(workspace.models / name).inputs.columns if c.name == "garage")
        for name in params.training.families
    }
    assert {name for name, garages in known.items() if "abroad" in garages} == {report.chosen}
    once = fit_families(workspace, params.training.model_copy(update={"refit": False}), quiet)
    assert once.chosen == report.chosen
    assert "abroad" not in str(load_model(workspace.models / once.chosen).inputs)


def test_the_seed_is_part_of_the_model(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path, **FOREST)
    digests = {
        fit_families(workspace, params.training.model_copy(update={"seed": seed}), quiet).results[0].model_digest
        for seed in (1, 2)
    }
    assert len(digests) == 2


def test_windows_split_at_another_time_give_another_model(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path, **FOREST)
    first = fit_families(workspace, params.training, quiet)
    longer = params.features.model_copy(update={"test_months": 5})
    write_windows(workspace, toy_claims(), toy_contract(), AS_OF, longer)
    assert fit_families(workspace, params.training, quiet).results != first.results
