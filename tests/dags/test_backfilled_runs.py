"""A backfill freezes, retrains and registers. It never asks for approval, and no run is taken for one that is none."""

import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Asset
from airflow.sdk.api.datamodels._generated import DagRunType
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
from airflow.sdk.execution_time.comms import AssetEventDagRunReferenceResult
from airflow.sdk.execution_time.context import OutletEventAccessors, TriggeringAssetEventsAccessor

from fraud_airflow.backfill import was_started_by_backfill
from fraud_airflow.commands import FreezeSnapshot
from fraud_airflow.waits import ApprovalWait
from fraud_ml.contract import load_contract
from fraud_ml.data.log import land
from fraud_ml.data.simulator import simulate, write_rows
from fraud_ml.ledger import EntryKind, Ledger
from fraud_ml.settings import PROJECT, Settings

CANDIDATE = "ab" * 32
SNAPSHOT = Asset("claims_snapshot_motor")


class _Run:
    """The one fact that a snapshot's task reads of its DAG run."""

    def __init__(self, run_type: DagRunType) -> None:
        self.run_type = run_type


class _Attempt:
    dag_id, run_id, task_id, map_index = "claims_snapshot_motor", "a run", "freeze", -1


@pytest.fixture
def place(s3_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A log of its own with a few claims, found by tasks through their environment."""
    own = uuid.uuid4().hex[:8]
    changes = {
        "FRAUD_ML_HOME": str(tmp_path / "home"),
        "FRAUD_ML_CLAIMS_URL": f"s3://claims/{own}",
        "FRAUD_ML_SNAPSHOT_REMOTE": f"s3://snapshots/{own}",
    }
    values = {**s3_settings.values, **changes}
    for name, value in values.items():
        if name.startswith(("AWS_", "FRAUD_ML_")):
            monkeypatch.setenv(name, value)
    settings = Settings(home=tmp_path / "home", values=values)
    claims = tmp_path / "claims.parquet"
    write_rows(simulate("motor", claims=30, seed=5, begin=date(2024, 1, 1), end=date(2024, 3, 12)), claims)
    land(settings, load_contract("motor", PROJECT / "expectations"), claims)
    return settings


def announced_by(run_type: DagRunType, as_of: str = "2024-02-29") -> dict[str, Any]:
    """Freeze as a run of that type does, and return what its asset event says."""
    with DAG("claims_snapshot_motor", schedule=None) as dag:
        task = FreezeSnapshot(task_id="freeze", dataset="motor", announces=SNAPSHOT)
    outlet_events = OutletEventAccessors()
    context = {
        "dag": dag,
        "ti": _Attempt(),
        "dag_run": _Run(run_type),
        "partition_key": as_of,
        "outlet_events": outlet_events,
    }
    task.execute(context)  # type: ignore[arg-type]
    return dict(outlet_events[SNAPSHOT].extra)


def woken_by(*extras: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a context that tells of the asset events that started the run."""
    events = [
        AssetEventDagRunReferenceResult.model_validate(
            {
                "asset": {"name": SNAPSHOT.name, "uri": SNAPSHOT.uri, "extra": {}},
                "extra": extra,
                "source_task_id": "freeze",
                "source_dag_id": "claims_snapshot_motor",
                "source_run_id": "a run",
                "source_map_index": -1,
                "source_aliases": [],
                "timestamp": datetime.now(UTC),
                "partition_key": "2024-02-29",
            }
        )
        for extra in extras
    ]
    return {"triggering_asset_events": TriggeringAssetEventsAccessor.build(events)}


@pytest.mark.stack
def test_snapshot_of_a_backfill_says_so_in_its_event_and_no_other_does(place: Settings) -> None:
    for run_type in (DagRunType.BACKFILL, DagRunType.SCHEDULED, DagRunType.MANUAL):
        extra = announced_by(run_type)
        assert extra["tag"] == "claims/motor/2024-02-29"
        assert was_started_by_backfill(woken_by(extra)) is (run_type is DagRunType.BACKFILL)  # type: ignore[arg-type]


@pytest.mark.stack
def test_run_of_the_calendar_waits_for_its_day_to_end_and_one_that_was_asked_for_does_not(place: Settings) -> None:
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)  # today may end while this runs
    for run_type in (DagRunType.SCHEDULED, DagRunType.BACKFILL):
        with pytest.raises(TaskDeferred) as deferred:
            announced_by(run_type, tomorrow.isoformat())
        assert deferred.value.method_name == "execute"  # which asks the clock again
        _, asked = deferred.value.trigger.serialize()
        assert asked["moment"] == datetime.combine(tomorrow + timedelta(days=1), datetime.min.time(), UTC)
        assert not Settings.load().snapshot_registry.exists()
    for run_type in (DagRunType.MANUAL, DagRunType.OPERATOR_TRIGGERED):
        assert announced_by(run_type, tomorrow.isoformat())["day_is_open"] is True
    assert announced_by(DagRunType.SCHEDULED)["day_is_open"] is False


def test_run_is_a_backfills_only_when_nothing_else_woke_it() -> None:
    backfilled, scheduled, older = {"backfill": True}, {"backfill": False}, {"tag": "claims/motor/2024-02-29"}
    assert was_started_by_backfill(woken_by(backfilled, backfilled))  # type: ignore[arg-type]
    assert not was_started_by_backfill(woken_by(backfilled, scheduled))  # type: ignore[arg-type]
    assert not was_started_by_backfill(woken_by(older))  # type: ignore[arg-type]  # an event from before this rule
    assert not was_started_by_backfill(woken_by())  # type: ignore[arg-type]
    assert not was_started_by_backfill({})  # type: ignore[typeddict-item]  # started by hand: no event at all


@pytest.fixture
def approval() -> ApprovalWait:
    candidate = {"candidate_digest": CANDIDATE, "required_approvals": 2, "as_of": "2024-02-29"}
    with DAG("fraud_retraining_motor", schedule=None):
        return ApprovalWait(task_id="approval", candidate=candidate, waits_at_most=timedelta(days=1))


@pytest.mark.stack
def test_backfilled_run_skips_approval_even_where_enough_people_have_signed(
    approval: ApprovalWait, ledger: Ledger
) -> None:
    for person in ("ana", "ben"):
        ledger.append(EntryKind.APPROVED, dataset="motor", subject=CANDIDATE, actor=person, body={})
    with pytest.raises(AirflowSkipException, match="no approval is asked for, nothing is promoted") as skipped:
        approval.execute(woken_by({"backfill": True}))  # type: ignore[arg-type]
    assert "trigger fraud_retraining_motor over the API with `partition_key: 2024-02-29`" in str(skipped.value)


@pytest.mark.stack
def test_scheduled_run_of_the_same_date_asks_for_approval(approval: ApprovalWait, ledger: Ledger) -> None:
    with pytest.raises(TaskDeferred):
        approval.execute(woken_by({"backfill": False}))  # type: ignore[arg-type]


def test_all_that_follows_the_approval_is_skipped_with_it(load_dag: Callable[[str], DAG]) -> None:
    """No task after it has a trigger rule that would let it run after a skipped one."""
    dag = load_dag("fraud_retraining_motor")
    for task_id in ("promote", "acknowledgement", "crown"):
        task = dag.get_task(task_id)
        assert task.trigger_rule == "all_success"
        assert "approval" in {upstream.task_id for upstream in task.get_flat_relatives(upstream=True)}


def test_no_dag_that_changes_the_world_may_be_backfilled_itself(load_dag: Callable[[str], DAG]) -> None:
    """Airflow refuses a backfill of a DAG whose schedule is not periodic; only snapshots have a calendar."""
    assert load_dag("claims_snapshot_motor").timetable.__class__.__name__ == "CronPartitionTimetable"
    assert load_dag("fraud_retraining_motor").timetable.__class__.__name__ == "PartitionedAssetTimetable"


@pytest.fixture(scope="module")
def load_dag() -> Callable[[str], DAG]:
    """Return a DAG of the dags folder by its id, as the DAG processor would find it."""
    import importlib.util

    from fraud_ml.settings import PROJECT

    def load(dag_id: str) -> DAG:
        name = "claims_snapshot" if dag_id.startswith("claims_snapshot") else "fraud_retraining"
        spec = importlib.util.spec_from_file_location(f"dag_file_{name}", PROJECT / "dags" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        dag: DAG = vars(module)[dag_id]
        return dag

    return load
