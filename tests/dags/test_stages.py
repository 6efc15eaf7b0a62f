"""A dvc.yaml as a task group, and what a task makes of its stage's verdict."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from fraud_airflow.checkout import OpenRun
from fraud_airflow.plan import Plan, StagePlan, read_plan
from fraud_airflow.policies import RETRY_ONLY_WHAT_MAY_PASS, tell_failure
from fraud_airflow.stages import StageOperator, describe, dvc_task_group, rejection
from fraud_ml import errors
from fraud_ml.artifacts import Finding, Outcome, Severity, Verdict, load, save
from fraud_ml.errors import NotAccepted, Rejected, Unavailable
from fraud_ml.settings import PROJECT, Settings

NULLS = Finding(
    code="EXP014",
    title="Values are present",
    severity=Severity.STOP,
    outcome=Outcome.FAILED,
    expected="at most 1 % missing",
    arrived="30 % missing",
    column="Fault",
    count=4626,
    share=0.3,
    next_step="ask the source for the column",
)
PASSED = Finding("EXP001", "Columns are known", Severity.STOP, Outcome.PASSED, "33 columns", "33 columns")


@contextmanager
def lines_of(logger: logging.Logger) -> Iterator[list[str]]:
    """Collect what a logger says, whatever Airflow has configured."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def rendered(plan: Plan, **options: Any) -> DAG:
    with DAG("rendered", schedule=None) as dag:
        run = OpenRun(task_id="open_run", dataset="motor", plan=plan)
        dvc_task_group(plan, run.output, **options)
    return dag


def stages_before(dag: DAG, name: str) -> set[str]:
    before = dag.get_task(f"stages.{name}").upstream_task_ids
    return {task.removeprefix("stages.") for task in before if task.startswith("stages.")}


def test_real_pipeline_becomes_a_group_with_a_task_for_each_stage() -> None:
    dag = rendered(read_plan(PROJECT / "dvc.yaml"))
    assert set(dag.task_dict) == {"open_run"} | {f"stages.{s}" for s in ("validate", "features", "train", "evaluate")}
    assert stages_before(dag, "validate") == set()
    assert stages_before(dag, "features") == {"validate"}
    assert stages_before(dag, "train") == {"validate", "features"}
    assert stages_before(dag, "evaluate") == {"validate", "features", "train"}


def test_stages_without_a_common_file_stand_side_by_side() -> None:
    plan = Plan((StagePlan("a", ()), StagePlan("b", ()), StagePlan("c", ("a", "b"))))
    dag = rendered(plan)
    assert stages_before(dag, "b") == set()
    assert stages_before(dag, "c") == {"a", "b"}


def test_every_stage_waits_for_the_run_to_be_opened() -> None:
    dag = rendered(read_plan(PROJECT / "dvc.yaml"))
    for task in dag.tasks:
        assert task.task_id == "open_run" or "open_run" in task.upstream_task_ids


def test_pool_and_time_limit_are_given_by_stage() -> None:
    plan = Plan((StagePlan("a", ()), StagePlan("b", ("a",))))
    dag = rendered(plan, pools={"b": "training"}, timeouts={"b": timedelta(hours=8)})
    assert (dag.get_task("stages.a").pool, dag.get_task("stages.b").pool) == ("default_pool", "training")
    assert dag.get_task("stages.b").execution_timeout == timedelta(hours=8)


def test_only_stages_that_publish_something_have_a_link_to_it() -> None:
    dag = rendered(read_plan(PROJECT / "dvc.yaml"))
    links = {task.task_id: [link.name for link in task.operator_extra_links] for task in dag.tasks}
    assert links["stages.validate"] == ["Validation report"]
    assert links["stages.evaluate"] == ["Evaluation report"]
    assert links["stages.train"] == []


# --- verdicts ---


def judged(tmp_path: Path, *findings: Finding) -> StageOperator:
    """A stage task whose stage has left this verdict."""
    verdict = Verdict.of("snapshot motor as of 2025-12-31", "ab" * 32, findings, rows=15_420)
    save(verdict, tmp_path / "workspace" / "verdict.json")
    stage = StagePlan("validate", (), verdict="workspace/verdict.json")
    with DAG("judged", schedule=None):
        return StageOperator(task_id="validate", stage=stage, run={"path": str(tmp_path)})


UNREACHABLE = {"FRAUD_ML_REPORTS_URL": "s3://reports", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@pytest.fixture
def no_store(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, values=UNREACHABLE | KEYS)


@pytest.fixture
def run_facts(tmp_path: Path) -> dict[str, str]:
    return {"path": str(tmp_path), "dataset": "motor", "as_of": "2025-12-31", "run_key": "0123456789ab"}


def test_rejected_verdict_ends_the_run_with_code_column_expected_arrived_and_counts_in_the_log(
    tmp_path: Path, no_store: Settings, run_facts: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    """Even where the report cannot be published."""
    task = judged(tmp_path, PASSED, NULLS)
    task.run = run_facts
    with pytest.raises(NotAccepted) as refused:
        task._publish_and_judge(no_store, tmp_path)
    lines = "".join(capfd.readouterr()).splitlines()  # where Airflow's logger writes outside a task
    said = next(line for line in lines if "EXP014" in line)
    for fact in ("Values are present", "column Fault", "at most 1 % missing", "30 % missing", "4,626 of 15,420 rows"):
        assert fact in said
        assert fact in str(refused.value)
    assert refused.value.facts["codes"] == ("EXP014",)
    assert not any("EXP001" in line for line in lines)


def test_accepted_verdict_whose_report_cannot_be_published_is_tried_again(
    tmp_path: Path, no_store: Settings, run_facts: dict[str, str]
) -> None:
    task = judged(tmp_path, PASSED)
    task.run = run_facts
    with pytest.raises(Unavailable):
        task._publish_and_judge(no_store, tmp_path)


def test_event_of_an_accepted_verdict_tells_what_was_judged_and_what_warned(tmp_path: Path) -> None:
    warning = replace(NULLS, code="DATA124", severity=Severity.WARN)
    aside = replace(NULLS, code="DATA004", severity=Severity.QUARANTINE)
    task = judged(tmp_path, PASSED, warning, aside)
    told = task.announcement(load(Verdict, tmp_path / "workspace" / "verdict.json"))
    assert told == {
        "about": "snapshot motor as of 2025-12-31",
        "digest": "ab" * 32,
        "rows": 15_420,
        "quarantined_rows": 0,
        "warnings": ["DATA004", "DATA124"],
        "report": "",
    }


def test_verdict_without_any_finding_is_a_rejection() -> None:
    empty = Verdict.of("snapshot", "ab" * 32, (), rows=0)
    assert not empty.is_accepted
    assert "no finding" in str(rejection(empty, "validate", ""))


def test_undecided_finding_is_told_as_such() -> None:
    finding = Finding("GATE001", "AP", Severity.STOP, Outcome.UNDECIDED, "a fraud", "none in the window")
    verdict = Verdict.of("candidate", "ab" * 32, (finding,), rows=10)
    assert describe(finding, verdict).startswith("GATE001 AP (undecided): expected a fraud, arrived none in the window")


# --- what is tried again ---


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (Rejected("x"), "fail"),
        (errors.BadInput("x"), "fail"),
        (NotAccepted("x"), "fail"),
        (errors.NotApproved("x"), "fail"),
        (errors.Tampered("x"), "fail"),
        (errors.Undefined("x"), "fail"),
        (Unavailable("x"), "retry"),
        (ConnectionResetError("x"), "retry"),
        (TimeoutError("x"), "retry"),
        (KeyError("x"), "fail"),
        (errors.FraudMLError("x"), "fail"),
    ],
)
def test_only_what_may_pass_is_tried_again(error: Exception, action: str) -> None:
    assert RETRY_ONLY_WHAT_MAY_PASS.evaluate(error, 1, 3).action.value == action


class _Task:
    dag_id, run_id, task_id, log_url = "fraud_retraining_motor", "r", "stages.validate", "http://airflow/log"


def test_failure_is_told_in_one_sentence_with_date_reason_and_links() -> None:
    task = type("Operator", (), {"report_page": "http://airflow/report"})()
    error = NotAccepted("snapshot is rejected", codes=("EXP014",))
    with lines_of(logging.getLogger("airflow.task")) as lines:
        tell_failure({"ti": _Task(), "task": task, "exception": error, "partition_key": "2025-12-31"})
    assert lines == [
        "fraud_retraining_motor as of 2025-12-31 failed at stages.validate: snapshot is rejected. "
        "Report: http://airflow/report Log: http://airflow/log"
    ]


def test_text_of_a_foreign_error_is_not_told_as_it_may_carry_a_claim() -> None:
    error = ValueError("could not convert 'Mary Smith'")
    with lines_of(logging.getLogger("airflow.task")) as lines:
        tell_failure({"ti": _Task(), "exception": error, "partition_key": None})
    assert "Mary" not in lines[0]
    assert "ValueError" in lines[0]
