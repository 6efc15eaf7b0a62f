"""What the bridge reads out of a dvc.yaml."""

from pathlib import Path

import pytest

from fraud_airflow.plan import Plan, read_plan
from fraud_ml.errors import BadInput
from fraud_ml.settings import PROJECT


def plan_of(folder: Path, text: str) -> Plan:
    path = folder / "dvc.yaml"
    path.write_text(text)
    return read_plan(path)


def edges(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {stage.name: stage.after for stage in plan.stages}


def test_this_project_runs_validate_features_train_evaluate() -> None:
    plan = read_plan(PROJECT / "dvc.yaml")
    assert edges(plan) == {
        "validate": (),
        "features": ("validate",),
        "train": ("validate", "features"),
        "evaluate": ("validate", "features", "train"),
    }
    assert plan.stages[0].verdict == "workspace/validation/verdict.json"
    assert plan.stages[0].report == "workspace/validation/report/index.html"
    assert plan.stages[3].verdict == "workspace/evaluation/verdict.json"


def test_stages_come_in_an_order_in_which_they_can_run_whatever_the_file_says(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        """
        stages:
          last: {cmd: c, deps: [b.txt]}
          middle: {cmd: b, deps: [a.txt], outs: [b.txt]}
          first: {cmd: a, outs: [a.txt]}
        """,
    )
    assert [stage.name for stage in plan.stages] == ["first", "middle", "last"]


@pytest.mark.parametrize(
    ("dep", "out"),
    [
        ("data/a.txt", "data/a.txt"),
        ("data/deep/a.txt", "data"),
        ("data", "data/deep/a.txt"),
        ("./data/../data/a.txt", "data/a.txt"),
        (".", "data"),
    ],
)
def test_reading_a_file_inside_or_a_folder_around_an_output_makes_an_edge(tmp_path: Path, dep: str, out: str) -> None:
    plan = plan_of(tmp_path, f"stages:\n  a: {{cmd: a, outs: ['{out}']}}\n  b: {{cmd: b, deps: ['{dep}']}}\n")
    assert edges(plan)["b"] == ("a",)


@pytest.mark.parametrize("dep", ["data2/a.txt", "dat", "s3://data/a.txt", "/data/a.txt"])
def test_a_path_that_only_looks_alike_makes_no_edge(tmp_path: Path, dep: str) -> None:
    plan = plan_of(tmp_path, f"stages:\n  a: {{cmd: a, outs: [data]}}\n  b: {{cmd: b, deps: ['{dep}']}}\n")
    assert edges(plan)["b"] == ()


@pytest.mark.parametrize(
    "out",
    ["outs: [x.json]", "outs: [{x.json: {cache: false}}]", "metrics: [x.json]", "plots: [{x.json: {x: a}}]"],
)
def test_every_kind_of_output_makes_an_edge(tmp_path: Path, out: str) -> None:
    plan = plan_of(tmp_path, f"stages:\n  a:\n    cmd: a\n    {out}\n  b: {{cmd: b, deps: [x.json]}}\n")
    assert edges(plan)["b"] == ("a",)


def test_a_params_file_that_another_stage_writes_makes_an_edge(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        "stages:\n  tune: {cmd: a, outs: [tuned.yaml]}\n  fit: {cmd: b, params: [seed, {tuned.yaml: [depth]}]}\n",
    )
    assert edges(plan)["fit"] == ("tune",)


def test_paths_are_taken_from_the_stage_working_folder(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        "stages:\n  a: {cmd: a, wdir: sub, outs: [x]}\n  b: {cmd: b, deps: [sub/x]}\n  c: {cmd: c, deps: [x]}\n",
    )
    assert (edges(plan)["b"], edges(plan)["c"]) == (("a",), ())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stages:\n  fit:\n    foreach: [a, b]\n    do: {cmd: x}\n", "`fit` uses `foreach`"),
        ("stages:\n  fit:\n    matrix: {a: [1, 2]}\n    cmd: x\n", "`fit` uses `matrix`"),
        ("stages:\n  fit: {cmd: 'run ${depth}'}\n", "`fit` uses templating"),
        ("stages:\n  fit: {cmd: run, outs: ['${folder}/x']}\n", "`fit` uses templating"),
        ("vars: [{depth: 3}]\nstages:\n  fit: {cmd: run}\n", "uses `vars`"),
        ("stages:\n  fit: {deps: [a]}\n", "`fit` has no `cmd`"),
        ("stages:\n  fit: run\n", "`fit` is not a mapping"),
        ("stages: {}\n", "declares no stages"),
        ("metrics: [a.json]\n", "declares no stages"),
        ("stages:\n  fit: {cmd: run, meta: {verdict: [a]}}\n", "`meta.verdict` is not a path"),
        ("stages:\n  fit: {cmd: run\n", "dvc.yaml:3: not valid YAML"),
        (
            "stages:\n  a: {cmd: a, deps: [y], outs: [x]}\n  b: {cmd: b, deps: [x], outs: [y]}\n",
            "`a`, `b` wait for each other",
        ),
    ],
)
def test_a_dvc_yaml_that_is_not_plain_is_refused_naming_the_stage(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadInput, match=r"dvc\.yaml") as refused:
        plan_of(tmp_path, text)
    assert says in str(refused.value)


def test_a_missing_dvc_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        read_plan(tmp_path / "dvc.yaml")
