"""What a plan tells of a real log and registry, and that what it tells comes true."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from fraud_ml.backfill import Order, Plan, State, plan_backfill
from fraud_ml.contract import Contract
from fraud_ml.data.log import land
from fraud_ml.data.simulator import write_rows
from fraud_ml.data.snapshots import freeze
from fraud_ml.data.versions import SnapshotRegistry
from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings
from tests.command_line import Command

pytestmark = pytest.mark.stack
BEGIN, END = date(2024, 2, 1), date(2024, 4, 30)
BEFORE_THE_LOG = date(2023, 12, 1)


@pytest.fixture
def landed(place: Settings, motor: Contract, motor_file: Path) -> Settings:
    land(place, motor, motor_file)
    return place


def plan(settings: Settings, motor: Contract, **more: object) -> Plan:
    return plan_backfill(settings, motor, BEGIN, END, **more)  # type: ignore[arg-type]


def states(planned: Plan) -> dict[str, State]:
    return {one.as_of: one.state for one in planned.dates}


def late(rows: pd.DataFrame, recorded_at: str, folder: Path) -> Path:
    """Return a file in which one claim is corrected, recorded at that time."""
    path = folder / f"late-{recorded_at}.parquet"
    one = rows.sort_values("recorded_at").head(1).assign(recorded_at=pd.Timestamp(recorded_at), event="closed")
    write_rows(one, path)
    return path


def test_rows_are_those_recorded_by_each_date_and_nothing_is_written(
    landed: Settings, motor: Contract, motor_rows: pd.DataFrame
) -> None:
    objects = ObjectStore(landed).below(landed.claims_url)
    planned = plan(landed, motor)
    by_then = {
        day: int((motor_rows["recorded_at"] < pd.Timestamp(day) + pd.Timedelta(days=1)).sum())
        for day in ("2024-02-01", "2024-03-01", "2024-04-01")
    }
    assert {one.as_of: one.rows for one in planned.dates} == by_then
    assert sum(one.new_rows for one in planned.dates) == len(motor_rows)
    assert not landed.snapshot_registry.exists()
    assert ObjectStore(landed).below(landed.claims_url) == objects


def test_date_before_the_log_is_told_and_left_out_of_the_command(landed: Settings, motor: Contract) -> None:
    planned = plan_backfill(landed, motor, BEFORE_THE_LOG, END)
    assert states(planned)["2023-12-01"] is State.EMPTY
    assert planned.arguments[planned.arguments.index("--from-date") + 1] == "2024-01-01"
    with pytest.raises(BadInput, match=r"nothing of `motor` was recorded by 2023-12-01"):
        plan_backfill(landed, motor, BEFORE_THE_LOG, date(2023, 12, 31))


def test_frozen_dates_cost_nothing_and_the_order_is_the_asked_one(landed: Settings, motor: Contract) -> None:
    freeze(landed, motor, date(2024, 2, 1))
    planned = plan(landed, motor, order=Order.NEWEST)
    assert [one.as_of for one in planned.dates] == ["2024-04-01", "2024-03-01", "2024-02-01"]
    assert states(planned)["2024-02-01"] is State.FROZEN
    assert "2024-02-01" not in {one.as_of for one in planned.to_make}
    assert planned.minutes > 0
    assert "--run-backwards" in planned.arguments


def test_late_rows_change_the_dates_from_their_recording_on_and_none_before(
    landed: Settings, motor: Contract, motor_rows: pd.DataFrame, tmp_path: Path
) -> None:
    before = {one.as_of: freeze(landed, motor, date.fromisoformat(one.as_of)) for one in plan(landed, motor).dates}
    assert set(states(plan(landed, motor)).values()) == {State.FROZEN}

    land(landed, motor, late(motor_rows, "2024-03-20T10:00:00", tmp_path))
    found = plan(landed, motor, past_seconds={"2024-04-01": 3.0})

    assert [as_of for as_of, state in states(found).items() if state is State.RESTATED] == ["2024-04-01"]
    assert found.reprocess == "completed"  # its run has succeeded: it must be asked to run again
    again = {as_of: freeze(landed, motor, date.fromisoformat(as_of)) for as_of in before}
    assert [as_of for as_of in again if again[as_of].created] == ["2024-04-01"]
    assert again["2024-04-01"].tag == "claims/motor/2024-04-01.r2"
    for as_of in ("2024-02-01", "2024-03-01"):
        assert again[as_of].manifest == before[as_of].manifest
    assert set(states(plan(landed, motor)).values()) == {State.FROZEN}


def test_dates_that_earlier_code_froze_are_made_again(
    landed: Settings, motor: Contract, freeze_by_earlier_code: Callable[..., object]
) -> None:
    freeze_by_earlier_code(date(2024, 2, 1), other_bytes=True)
    assert states(plan(landed, motor))["2024-02-01"] is State.RELAID
    assert "2024-02-01" in {one.as_of for one in plan(landed, motor).to_make}
    assert freeze(landed, motor, date(2024, 2, 1)).created
    assert states(plan(landed, motor))["2024-02-01"] is State.FROZEN


def test_estimated_bytes_are_near_to_those_that_a_backfill_stores(landed: Settings, motor: Contract) -> None:
    freeze(landed, motor, date(2024, 2, 1))  # what the estimate is scaled by
    planned = plan(landed, motor)
    assert f"scaled by claims/motor/2024-02-01, which has {size(landed, '2024-02-01'):,}" in planned.basis[0]
    cache = SnapshotRegistry(landed).cache
    before = stored(cache)
    for one in planned.to_make:
        freeze(landed, motor, date.fromisoformat(one.as_of))
    assert planned.new_bytes == pytest.approx(stored(cache) - before, rel=0.5)


def size(settings: Settings, as_of: str) -> int:
    registry = SnapshotRegistry(settings)
    return registry.size_bytes(registry.version("motor", as_of))


def stored(cache: Path) -> int:
    return sum(path.stat().st_size for path in (cache / "files").rglob("*") if path.is_file())


def test_size_of_a_version_is_that_of_its_files(landed: Settings, motor: Contract, tmp_path: Path) -> None:
    freeze(landed, motor, date(2024, 2, 1))
    registry = SnapshotRegistry(landed)
    folder = tmp_path / "version"
    folder.mkdir()
    registry.materialise(registry.version("motor", "2024-02-01"), folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert size(landed, "2024-02-01") == sum(path.stat().st_size for path in files)


def test_minutes_are_scaled_by_what_earlier_runs_took(landed: Settings, motor: Contract) -> None:
    guessed = plan(landed, motor)
    measured = plan(landed, motor, past_seconds={"2024-01-01": 40.0, "2023-12-01": 40.0, "2023-11-01": 4000.0})
    assert measured.minutes == pytest.approx(10 * guessed.minutes, rel=0.01)
    assert "the median of 3 earlier runs" in measured.basis[1]
    assert "a rule of thumb" in guessed.basis[1]


def test_days_that_are_not_over_and_absent_servers_are_told(landed: Settings, motor: Contract) -> None:
    for today in (date(2024, 4, 29), END):
        with pytest.raises(BadInput, match="ends on a day that is not over"):
            plan_backfill(landed, motor, BEGIN, END, today=today)
    assert plan_backfill(landed, motor, BEGIN, END, today=date(2024, 5, 1)).to_make
    away = Settings(home=landed.home, values={**landed.values, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    with pytest.raises(Unavailable):
        plan(away, motor)


def test_commands_print_json_a_command_line_and_how_to_start_it(landed: Settings, command: Command) -> None:
    told = command("backfill", "plan", "motor", "--from", BEGIN, "--to", END, "--json")
    answer = json.loads(told.communicate()[0])
    assert told.returncode == 0
    assert [one["state"] for one in answer["dates"]] == ["missing"] * 3
    assert answer["command"].startswith("airflow backfill create --dag-id claims_snapshot_motor --from-date 2024-02-01")
    shown, _ = (people := command("backfill", "plan", "motor", "--from", BEGIN, "--to", END)).communicate()
    assert people.returncode == 0
    assert "3 as-of dates of motor, oldest first: 0 are frozen already, 3 to make" in shown
    assert f"fraud-ml stack {answer['command']}" in shown
    started = command("backfill", "start", "motor", "--from", BEGIN, "--to", END)
    _, said = started.communicate()
    assert (started.returncode, "FRAUD_ML_AIRFLOW_URL is not set" in said) == (3, True)
