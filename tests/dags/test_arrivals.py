"""What the wait for claims makes of a real claim log and real objects."""

import asyncio
import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred

from fraud_airflow.arrivals import ArrivalTrigger, ClaimsArrived, arrived
from fraud_ml.contract import load_contract
from fraud_ml.data.log import land
from fraud_ml.data.simulator import simulate, write_rows
from fraud_ml.errors import BadInput, Unavailable
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import PROJECT, Settings

pytestmark = pytest.mark.stack


@pytest.fixture
def place(s3_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A log of one's own, which tasks and triggers find through their environment."""
    monkeypatch.setenv("FRAUD_ML_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FRAUD_ML_CLAIMS_URL", f"s3://claims/{uuid.uuid4().hex[:8]}")
    for name, value in s3_settings.values.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return Settings.load()


def land_until(place: Settings, end: date) -> None:
    """Land a small log whose last row is recorded on `end` or shortly before."""
    contract, file = load_contract("motor", PROJECT / "expectations"), place.home / f"{end}.parquet"
    write_rows(simulate("motor", claims=20, seed=3, begin=date(2024, 1, 1), end=end), file)
    land(place, contract, file)


def waiting(**asked: str) -> ClaimsArrived:
    with DAG("waiting", schedule=None):
        return ClaimsArrived(task_id="claims", waits_at_most=timedelta(days=1), poll_s=0.1, **asked)


def run(task: ClaimsArrived) -> dict[str, str]:
    return task.execute({})  # type: ignore[typeddict-item]


async def woken(trigger: ArrivalTrigger, *, by: Any) -> dict[str, Any]:
    """Run a trigger, do `by` once it has polled, and return the event that it then gives."""
    waits = asyncio.ensure_future(anext(trigger.run()))
    await asyncio.sleep(0.5)
    assert not waits.done()
    await asyncio.to_thread(by)
    payload: dict[str, Any] = (await asyncio.wait_for(waits, 10)).payload
    return payload


def test_batch_of_a_later_day_lets_the_run_go_on(place: Settings) -> None:
    land_until(place, date(2024, 2, 2))
    found = run(waiting(dataset="motor", recorded_from="2024-02-01"))

    assert found["last_recorded"] >= "2024-02-01"


def test_log_that_ends_before_the_date_defers_the_task_until_a_later_batch(place: Settings) -> None:
    land_until(place, date(2024, 2, 2))
    task = waiting(dataset="motor", recorded_from="2024-02-20")
    with pytest.raises(TaskDeferred) as deferred:
        run(task)
    assert deferred.value.timeout == timedelta(days=1)
    path, asked = deferred.value.trigger.serialize()
    assert path == "fraud_airflow.arrivals.ArrivalTrigger"

    asyncio.run(woken(ArrivalTrigger(**asked), by=lambda: land_until(place, date(2024, 3, 12))))
    assert run(task)["last_recorded"] >= "2024-02-20"


def test_an_event_alone_does_not_stand_for_a_batch(place: Settings) -> None:
    with pytest.raises(TaskDeferred):
        waiting(dataset="motor", recorded_from="2024-02-20").execute({}, event={"dataset": "motor"})  # type: ignore[typeddict-item]


def test_new_object_below_the_prefix_wakes_and_an_old_one_does_not(place: Settings) -> None:
    store, prefix = ObjectStore(place), f"s3://claims/sent-{uuid.uuid4().hex[:8]}/"
    store.write(f"{prefix}old.csv", b"x")
    old = store.listing(prefix)[0].modified
    task = waiting(prefix=prefix, newer_than=(old + timedelta(seconds=1)).isoformat())
    with pytest.raises(TaskDeferred) as deferred:
        run(task)
    _, asked = deferred.value.trigger.serialize()

    async def bring() -> None:
        await woken(ArrivalTrigger(**asked), by=lambda: _write_later(store, f"{prefix}new.csv", old))

    asyncio.run(bring())
    assert run(task)["object"] == f"{prefix}new.csv"
    assert run(waiting(prefix=prefix))["object"] == f"{prefix}new.csv"


def test_listing_that_was_landed_holds_nothing_new_and_any_other_does(place: Settings) -> None:
    """No clock is asked: an object of the same second, or one written anew under its old name, is seen."""
    store, prefix = ObjectStore(place), f"s3://claims/sent-{uuid.uuid4().hex[:8]}/"
    seen = [""]

    def is_new(pattern: str = "*") -> bool:
        found = arrived("", "", prefix + pattern, "", seen[-1])
        seen.append(found["listing"] if found else seen[-1])
        return found is not None

    assert not is_new()
    store.write(f"{prefix}a.csv", b"x")
    assert is_new()
    assert not is_new()
    for name, content in (("b.csv", b"y"), ("a.csv", b"z"), ("c.csv", b"z")):
        store.write(prefix + name, content)
        assert is_new()
    for name in ("_SUCCESS", ".hidden", "deeper/"):
        store.write(prefix + name, b"")
        assert not is_new()
    assert not is_new("day=*")


def _write_later(store: ObjectStore, url: str, old: datetime) -> None:
    import time

    while datetime.now(UTC) < old + timedelta(seconds=2.5):  # listings tell whole seconds
        time.sleep(0.1)
    store.write(url, b"y")


def test_store_that_is_away_is_asked_again_by_the_trigger_and_retried_by_the_task(
    place: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    land_until(place, date(2024, 2, 2))
    here = place.values["AWS_ENDPOINT_URL"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(Unavailable):
        run(waiting(dataset="motor", recorded_from="2024-02-01"))
    trigger = ArrivalTrigger("motor", "2024-02-01", "", "", 0.1)
    waits = woken(trigger, by=lambda: monkeypatch.setenv("AWS_ENDPOINT_URL", here))
    assert asyncio.run(asyncio.wait_for(waits, 60))["dataset"] == "motor"


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"dataset": "motor"},
        {"dataset": "motor", "recorded_from": "soon"},
        {"dataset": "motor", "recorded_from": "2024-01-01", "prefix": "s3://claims/x"},
    ],
)
def test_question_that_cannot_be_answered_is_refused(place: Settings, asked: dict[str, str]) -> None:
    with pytest.raises(BadInput):
        run(waiting(**asked))
