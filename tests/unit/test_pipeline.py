"""STAGES, dvc.yaml, params.yaml and the command line tell the same story."""

from pathlib import Path

import grimp
import yaml
from click.testing import CliRunner

from fraud_ml.cli import COMMANDS, cli
from fraud_ml.params import Params
from fraud_ml.pipeline import STAGES

PROJECT = Path(__file__).resolve().parents[2]
DECLARED = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]


def test_dvc_yaml_declares_exactly_the_stages_in_their_order() -> None:
    assert list(DECLARED) == [stage.name for stage in STAGES]


def test_each_declared_command_runs_its_stage() -> None:
    assert [DECLARED[stage.name]["cmd"] for stage in STAGES] == [f"python -m fraud_ml {stage.name}" for stage in STAGES]


def test_each_stage_depends_on_its_own_section_of_params() -> None:
    for stage in STAGES:
        assert stage.section in DECLARED[stage.name]["params"]
        assert set(DECLARED[stage.name]["params"]) <= set(Params.model_fields)


def test_evaluation_depends_on_all_params_because_the_candidate_names_their_digest() -> None:
    assert DECLARED["evaluate"]["params"] == list(Params.model_fields)


def test_stage_help_names_every_file_it_reads_and_writes() -> None:
    for stage in STAGES:
        shown = CliRunner().invoke(cli, [stage.name, "--help"]).output
        for path in [*DECLARED[stage.name]["deps"], *DECLARED[stage.name]["outs"]]:
            assert path in shown


def test_each_stage_declares_every_room_whose_code_can_change_its_outputs() -> None:
    """A code change that reaches a stage must make DVC run it again."""
    graph = grimp.build_graph("fraud_ml")
    for stage in STAGES:
        room = ROOMS[stage.name]
        reached = {room} | {name for name in graph.find_upstream_modules(room, as_package=True)}
        declared = [dep for dep in DECLARED[stage.name]["deps"] if dep.startswith("fraud_ml/")]
        for module in reached - {"fraud_ml"}:
            if any(module == free or module.startswith(f"{free}.") for free in NOT_BEHAVIOUR):
                continue
            path = module.replace(".", "/")
            assert any(path == d.removesuffix(".py") or path.startswith(d + "/") for d in declared), (
                f"{stage.name}: {module}"
            )


ROOMS = {
    "validate": "fraud_ml.validation",
    "features": "fraud_ml.features",
    "train": "fraud_ml.training",
    "evaluate": "fraud_ml.evaluation",
}
# params.py only reads params.yaml, whose values DVC watches by themselves; edits.py changes what people write
NOT_BEHAVIOUR = {
    "fraud_ml.documents",
    "fraud_ml.edits",
    "fraud_ml.errors",
    "fraud_ml.objects",
    "fraud_ml.params",
    "fraud_ml.settings",
}


def test_every_command_has_help_with_an_example() -> None:
    for name in [*COMMANDS, *(stage.name for stage in STAGES)]:
        shown = CliRunner().invoke(cli, [name, "--help"])
        assert shown.exit_code == 0, name
        assert "Example" in shown.output, name
