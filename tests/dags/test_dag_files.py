"""The DAG files: what they load, how fast they parse, and what every DAG has for the people who run it."""

import json
import os
import subprocess
import sys
from copy import copy
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from airflow.sdk import DAG, ExceptionRetryPolicy
from airflow.sdk.exceptions import ParamValidationError

from fraud_airflow.form import CHANGES, RETRAINING_FORM, SCORING_FORM, chosen_overrides, override_params
from fraud_airflow.lines import lines_of_business
from fraud_ml.errors import BadInput
from fraud_ml.params import Params, TrainingParams, load_params
from fraud_ml.settings import PROJECT

DAG_FILES = sorted((PROJECT / "dags").glob("*.py"))
HEAVY = {
    "boto3",
    "duckdb",
    "dvc",
    "great_expectations",
    "keras",
    "matplotlib",
    "mlflow",
    "numpy",
    "pandas",
    "pika",
    "psycopg",
    "pyarrow",
    "sklearn",
    "tensorflow",
}
PARSE = """
import json, sys, time
import airflow.sdk
import airflow.triggers.base
before, begin = set(sys.modules), time.perf_counter()
import importlib.util
spec = importlib.util.spec_from_file_location("a_dag_file", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
print(json.dumps({"seconds": time.perf_counter() - begin, "loaded": sorted(set(sys.modules) - before)}))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("airflow")),
        "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "plugins")]),
    }


@pytest.fixture(scope="module", params=DAG_FILES, ids=lambda path: path.name)
def parsed(request: pytest.FixtureRequest, environment: dict[str, str]) -> dict[str, Any]:
    """What parsing one DAG file costs beyond Airflow's own SDK; the quickest of three, as the machine may be busy."""
    results = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", PARSE, str(request.param)],
            env=environment,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        )
        results.append(json.loads(done.stdout.splitlines()[-1]))
    found: dict[str, Any] = min(results, key=lambda result: result["seconds"])
    return found


def test_a_dag_file_parses_within_a_second(parsed: dict[str, Any]) -> None:
    assert parsed["seconds"] <= 1.0


def test_a_dag_file_loads_no_heavy_library(parsed: dict[str, Any]) -> None:
    assert {name.split(".")[0] for name in parsed["loaded"]} & HEAVY == set()


def test_a_dag_file_loads_only_light_rooms_of_the_library(parsed: dict[str, Any]) -> None:
    rooms = {name.split(".")[1] for name in parsed["loaded"] if name.startswith("fraud_ml.")}
    assert rooms <= {"artifacts", "errors", "settings"}


def test_a_dag_file_fits_on_two_screens_and_holds_no_work() -> None:
    for path in DAG_FILES:
        code = path.read_text()
        assert len(code.splitlines()) <= 100
        assert "subprocess" not in code
        assert "open(" not in code


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    """Every DAG of the folder, as the DAG processor would find them."""
    import importlib.util

    found: dict[str, DAG] = {}
    for path in DAG_FILES:
        spec = importlib.util.spec_from_file_location(f"dag_file_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found |= {value.dag_id: value for value in vars(module).values() if isinstance(value, DAG)}
    return found


def test_each_line_of_business_has_its_dags(dags: dict[str, DAG]) -> None:
    datasets = [path.parent.name for path in (PROJECT / "expectations").glob("*/contract.yaml")]
    kinds = ("claims_arrival", "claims_snapshot", "fraud_retraining", "score_history")
    assert set(dags) == {f"{kind}_{name}" for name in datasets for kind in kinds}


def test_every_dag_explains_itself_and_has_an_owner_and_tags(dags: dict[str, DAG]) -> None:
    for dag in dags.values():
        assert len(dag.doc_md or "") > 200
        assert dag.description
        assert "fraud" in dag.tags
        assert dag.owner
        assert dag.owner != "airflow"
        assert dag.catchup is False
        assert dag.max_active_runs in (1, 2)
        assert dag.rerun_with_latest_version is not None


def test_every_task_has_a_time_limit_a_retry_policy_and_says_its_failure(dags: dict[str, DAG]) -> None:
    for task in (task for dag in dags.values() for task in dag.tasks):
        assert isinstance(task.execution_timeout, timedelta), task.task_id
        assert isinstance(task.retry_policy, ExceptionRetryPolicy), task.task_id
        assert task.retries > 0, task.task_id
        assert task.on_failure_callback, task.task_id


def test_every_dag_survives_serialization(dags: dict[str, DAG]) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    for dag in dags.values():
        again = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
        assert {task.task_id for task in again.tasks} == {task.task_id for task in dag.tasks}


def test_retraining_runs_the_stages_then_registers_waits_promotes_and_crowns(dags: dict[str, DAG]) -> None:
    dag = dags["fraud_retraining_motor"]
    order = [task.task_id for task in dag.topological_sort()]
    assert order == [
        "open_run",
        "stages.validate",
        "stages.features",
        "stages.train",
        "stages.evaluate",
        "register",
        "approval",
        "promote",
        "acknowledgement",
        "crown",
    ]
    for earlier, later in pairwise(order):
        assert earlier in dag.get_task(later).upstream_task_ids


def test_one_training_at_a_time_has_the_machine(dags: dict[str, DAG]) -> None:
    from fraud_ml.stack.airflow import TRAINING_POOL

    assert dags["score_history_motor"].get_task("score").pool == TRAINING_POOL
    pools = {task.task_id: task.pool for task in dags["fraud_retraining_motor"].tasks}
    assert pools.pop("stages.train") == TRAINING_POOL
    assert set(pools.values()) == {"default_pool"}


def test_snapshot_is_announced_under_the_name_that_retraining_waits_for(dags: dict[str, DAG]) -> None:
    for line in lines_of_business():
        (outlet,) = dags[f"claims_snapshot_{line.dataset}"].get_task("freeze").outlets
        waits_for = dags[f"fraud_retraining_{line.dataset}"].timetable.asset_condition
        assert (outlet.name, outlet.uri) == (waits_for.name, waits_for.uri)


def test_accepted_claims_are_announced_and_start_nothing_here(dags: dict[str, DAG]) -> None:
    for line in lines_of_business():
        outlets = {task.task_id: task.outlets for task in dags[f"fraud_retraining_{line.dataset}"].tasks}
        assert [outlet.name for outlet in outlets["stages.validate"]] == [f"claims_accepted_{line.dataset}"]
        assert not any(given for task, given in outlets.items() if task != "stages.validate")


def test_partition_key_of_a_snapshot_is_its_as_of_date(dags: dict[str, DAG]) -> None:
    for kind in ("claims_snapshot", "score_history"):
        timetable = dags[f"{kind}_motor"].timetable
        assert (timetable.expression, timetable.key_format) == ("0 0 1 * *", "%Y-%m-%d")


def test_nobody_scores_history_unasked(dags: dict[str, DAG]) -> None:
    assert dags["score_history_motor"].is_paused_upon_creation is True


@pytest.mark.parametrize("said", ["newest", "", "3; rm -rf /", "ABCDEF012345"])
def test_scoring_form_takes_a_version_a_digest_or_the_champion(said: str) -> None:
    model = copy(SCORING_FORM["model"])  # it keeps what it resolved last
    assert model.resolve() == "champion"
    assert model.resolve("17") == "17"
    with pytest.raises(ParamValidationError):
        model.resolve(said)


# --- lines of business ---


def contract(folder: Path, name: str, **changes: object) -> None:
    (folder / name).mkdir(parents=True)
    content = {"dataset": name, "title": "T", "owner": "o", "schedule": {"cron": "@daily"}} | changes
    (folder / name / "contract.yaml").write_text(yaml.safe_dump(content))


def test_a_folder_with_a_contract_is_a_line_of_business(tmp_path: Path) -> None:
    contract(tmp_path, "household")
    (tmp_path / "notes").mkdir()
    assert [line.dataset for line in lines_of_business(tmp_path)] == ["household"]


@pytest.mark.parametrize("changes", [{"schedule": None}, {"schedule": {}}, {"dataset": "another"}, {"title": "x"}])
def test_a_broken_contract_takes_only_its_own_dags_away(
    tmp_path: Path, changes: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    contract(tmp_path, "household")
    contract(tmp_path, "broken", **changes)
    if changes == {"title": "x"}:
        (tmp_path / "broken" / "contract.yaml").write_text("dataset: [")
    assert [line.dataset for line in lines_of_business(tmp_path)] == ["household"]
    assert "broken/contract.yaml: no DAGs are made of it" in caplog.text


# --- the form ---


def test_form_offers_the_families_that_params_know() -> None:
    offered = RETRAINING_FORM["families"].schema["items"]["enum"]
    known, _ = get_args(TrainingParams.model_fields["families"].annotation)  # tuple[Literal[…], ...]
    assert tuple(offered) == get_args(known)


def test_every_field_of_the_form_has_a_title_and_a_description_and_a_default_that_fits() -> None:
    for name, param in RETRAINING_FORM.items():
        assert param.schema["title"], name
        assert param.description, name
        param.resolve()


def test_every_field_changes_a_parameter_that_exists() -> None:
    params = load_params(PROJECT / "params.yaml").model_dump()
    for path in CHANGES.values():
        value: Any = params
        for key in path:
            value = value[key]
    assert set(CHANGES) | {"force"} == set(RETRAINING_FORM)


def test_empty_form_leaves_the_bytes_of_params_alone(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes((PROJECT / "params.yaml").read_bytes())
    form = {name: param.resolve() for name, param in RETRAINING_FORM.items()}
    assert not override_params(path, chosen_overrides(form))
    assert path.read_bytes() == (PROJECT / "params.yaml").read_bytes()


def test_filled_form_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes((PROJECT / "params.yaml").read_bytes())
    before = load_params(path).model_dump()
    assert override_params(path, chosen_overrides({"families": ["random_forest"], "seed": 11, "max_epochs": None}))
    after = load_params(path).model_dump()
    assert after["training"].pop("families") == ("random_forest",)
    assert after["training"].pop("seed") == 11
    del before["training"]["families"], before["training"]["seed"]
    assert after == before
    assert isinstance(Params.model_validate(yaml.safe_load(path.read_text()), strict=False), Params)


def test_form_that_names_a_parameter_this_commit_lacks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("training: {families: [keras_tabular]}\n")
    with pytest.raises(BadInput, match=r"training\.keras_tabular\.max_epochs"):
        override_params(path, chosen_overrides({"max_epochs": 3}))
