"""Tuning tries what params.yaml says first, keeps to its budget, repeats itself, and never sees the test window."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fraud_ml.artifacts import Verdict, Workspace, load, save
from fraud_ml.errors import BadInput, NotAccepted
from fraud_ml.features.windows import read_window
from fraud_ml.models.family import Examples
from fraud_ml.params import Params
from fraud_ml.training.train import accepted_windows
from fraud_ml.tuning import Budget, Trial, TrialState, Tuned, tunable_families, tune
from fraud_ml.tuning.folds import Fold, lay_folds
from fraud_ml.tuning.search import model_of_the_past
from tests.toy_claims import toy_workspace

FEW = {"random_forest": {"trees": 5, "min_samples_leaf": 40}}


def quiet(_: str) -> None:
    """Say nothing."""


def tuned(
    workspace: Workspace, params: Params, budget: Budget, families: tuple[str, ...] = ("random_forest",)
) -> tuple[Tuned, ...]:
    return tune(workspace, params, budget, families=families, progress=quiet)


def figures(found: tuple[Tuned, ...]) -> list[tuple[object, ...]]:
    return [
        (one.family, trial.number, trial.state, trial.settings, trial.log_losses, trial.average_precisions)
        for one in found
        for trial in one.trials
    ]


def ticking(seconds: float) -> Callable[[], float]:
    """Return a clock that is `seconds` later each time somebody looks."""
    ticks: Iterator[int] = count()
    return lambda: next(ticks) * seconds


def test_the_same_seed_and_trials_find_the_same_twice_and_another_seed_does_not(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path, **FEW)
    first, again = (figures(tuned(workspace, params, Budget(trials=4))) for _ in range(2))
    assert first == again
    assert len(first) == 4
    other = params.model_copy(update={"training": params.training.model_copy(update={"seed": 8})})
    assert [row[3] for row in figures(tuned(workspace, other, Budget(trials=4)))] != [row[3] for row in first]


def test_params_yamls_own_settings_are_tried_first_even_outside_the_range_and_nothing_worse_is_proposed(
    tmp_path: Path,
) -> None:
    workspace, params = toy_workspace(tmp_path, random_forest={"trees": 5, "min_samples_leaf": 300})
    (found,) = tuned(workspace, params, Budget(trials=4))
    assert found.current.settings == {"min_samples_leaf": 300}
    assert found.best.log_loss < found.current.log_loss
    assert found.changes == found.best.settings
    assert found.best.log_loss == min(t.log_loss for t in found.trials if t.state is TrialState.COMPLETE)
    gain, error = found.gain
    assert gain == pytest.approx(found.current.log_loss - found.best.log_loss)
    assert error > 0
    (alone,) = tuned(workspace, params, Budget(trials=1))
    assert alone.changes == {}
    assert alone.gain == (0.0, 0.0)


@pytest.mark.parametrize("garbled", [True, False])
def test_the_test_window_is_never_read(tmp_path: Path, garbled: bool) -> None:
    workspace, params = toy_workspace(tmp_path, **FEW)
    whole = figures(tuned(workspace, params, Budget(trials=2)))
    path = workspace.features / "test.parquet"
    if garbled:
        path.write_bytes(b"no parquet")
    else:
        path.unlink()
    assert figures(tuned(workspace, params, Budget(trials=2))) == whole


def test_nothing_is_tuned_on_a_rejected_snapshot(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path, **FEW)
    accepted = load(Verdict, workspace.validation_verdict)
    save(Verdict.of("x", accepted.subject_digest, (), rows=1), workspace.validation_verdict)
    with pytest.raises(NotAccepted):
        tuned(workspace, params, Budget(trials=1))


@pytest.mark.parametrize(("spent", "fits"), [([], True), ([4.0, 6.0], True), ([5.0, 7.0], False), ([1.0], True)])
def test_a_trial_is_begun_only_while_the_mean_one_still_fits(spent: list[float], fits: bool) -> None:
    assert Budget(cpu_s=100, clock=lambda: 94.5).may_begin(spent, 100) is fits


def test_a_budget_in_cpu_seconds_ends_the_search_and_families_share_it(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path, **FEW)
    found = tuned(workspace, params, Budget(cpu_s=40, clock=ticking(1)), ("random_forest", "logistic"))
    first, second = (len(one.trials) for one in found)
    assert 2 <= first <= 6
    assert abs(first - second) <= 2
    (alone,) = tuned(workspace, params, Budget(cpu_s=40, clock=ticking(1)))
    assert len(alone.trials) > first + 2


def test_a_family_for_which_nothing_is_left_is_named(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path, **FEW)
    said: list[str] = []
    budget = Budget(cpu_s=4, clock=ticking(3))
    found = tune(workspace, params, budget, families=("random_forest", "logistic"), progress=said.append)
    assert [one.family for one in found] == ["random_forest"]
    assert said[-1] == "logistic: not tuned, the budget is spent"


def test_no_settings_are_tried_twice_and_a_search_ends_when_nothing_new_is_suggested(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path, random_forest={"trees": 2, "min_samples_leaf": 40})
    (found,) = tuned(workspace, params, Budget(trials=1000))
    tried = [trial.settings["min_samples_leaf"] for trial in found.trials]
    assert len(tried) == len(set(tried)) <= 50


def test_hopeless_settings_are_given_up_before_the_last_fold(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path, logistic={"ridge": 1.0})
    told: list[Trial] = []
    tune(workspace, params, Budget(trials=10), families=["logistic"], progress=quiet, tell=told.append)
    pruned = [trial for trial in told if trial.state is TrialState.PRUNED]
    assert pruned
    assert {len(trial.log_losses) for trial in pruned} <= {1, 2}
    assert all(len(trial.log_losses) == 3 for trial in told if trial.state is TrialState.COMPLETE)


def test_a_fit_that_stops_early_is_told_by_claims_that_it_does_not_answer_for(tmp_path: Path) -> None:
    workspace, params = toy_workspace(tmp_path)
    windows, features = accepted_windows(workspace)
    claims = pd.concat([read_window(workspace.features, name) for name in ("train", "validation")], ignore_index=True)
    earlier, last = lay_folds(claims, features, windows, params.features, 2)
    turned = Fold(last.inputs, last.past, Examples(last.ahead.columns, 1 - last.ahead.labels))
    knobs = params.training.keras_tabular.model_copy(update={"max_epochs": 3, "patience": 1, "members": 1})
    logits = [
        model_of_the_past("keras_tabular", fold, earlier, knobs, 7).logits(last.ahead.columns)
        for fold in (last, turned)
    ]
    assert np.array_equal(*logits)


def test_a_blend_is_tuned_by_its_parts_each_once(tmp_path: Path) -> None:
    _, params = toy_workspace(tmp_path, families=["keras_tabular", "blend", "random_forest"])
    assert tunable_families(params.training) == ("keras_tabular", "boosted_trees", "random_forest")


def test_a_tuning_without_end_or_of_a_blend_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no end"):
        Budget()
    workspace, params = toy_workspace(tmp_path)
    with pytest.raises(BadInput, match=r"`blend` cannot be tuned.*boosted_trees"):
        tuned(workspace, params, Budget(trials=1), ("blend",))
