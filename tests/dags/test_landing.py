"""What the arrival DAG makes of a real source: claims that arrive are landed and told; refusals fail by themselves."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from airflow.sdk import DAG, Asset
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.context import OutletEventAccessors

from fraud_airflow.landing import NothingRefused
from fraud_airflow.lines import lines_of_business
from fraud_airflow.sources import Source, source_of
from fraud_ml.contract import load_contract
from fraud_ml.data.log import ClaimLog
from fraud_ml.data.simulator import simulate, write_rows
from fraud_ml.errors import BadInput, Rejected
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import PROJECT, Settings

LOG = Asset("claims_log_motor")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return simulate("motor", claims=20, seed=3, begin=date(2024, 1, 1), end=date(2024, 3, 12))


@pytest.fixture
def place(s3_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A log of one's own, and a source in S3 where nothing lies yet, which tasks find through their environment."""
    own = uuid.uuid4().hex[:8]
    monkeypatch.setenv("FRAUD_ML_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FRAUD_ML_CLAIMS_URL", f"s3://claims/{own}")
    monkeypatch.setenv("FRAUD_ML_SOURCE_MOTOR", f"s3://claims/sent-{own}/*")
    for name, value in s3_settings.values.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return Settings.load()


@pytest.fixture
def send(place: Settings, tmp_path: Path) -> Callable[..., str]:
    """Write rows as an object of the source and return its address."""

    def send(name: str, rows: pd.DataFrame) -> str:
        write_rows(rows, tmp_path / name)
        url = place.source_of("motor").replace("*", name)
        ObjectStore(place).write(url, (tmp_path / name).read_bytes())
        return url

    return send


def arrival_dag(dataset: str = "motor") -> DAG:
    """The DAG as its file makes it in this environment."""
    spec = importlib.util.spec_from_file_location("dag_file_claims_arrival", PROJECT / "dags" / "claims_arrival.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dag: DAG = vars(module)[f"claims_arrival_{dataset}"]
    return dag


class _Attempt:
    dag_id, run_id, task_id, map_index = "claims_arrival_motor", "a run", "land", -1


def land(dag: DAG, listing: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the task that lands; return its answer, and what its event says."""
    task, events = dag.get_task("land"), OutletEventAccessors()
    task.listing = listing
    answer = task.execute({"dag": dag, "ti": _Attempt(), "outlet_events": events})
    return answer, dict(events[LOG].extra)


def rows_in_the_log(place: Settings) -> int:
    log = ClaimLog(place, load_contract("motor", PROJECT / "expectations"))
    return sum(batch.rows for batch in log.batches())


# --- landing ---


@pytest.mark.stack
def test_what_was_landed_is_told_and_nothing_new_is_skipped(
    place: Settings, rows: pd.DataFrame, send: Callable[..., str]
) -> None:
    send("a.csv", rows.iloc[:9])
    send("b.parquet", rows.iloc[9:])
    answer, told = land(arrival_dag(), listing="seen")
    assert (answer["rows"], answer["deliveries"], len(answer["batches"])) == (len(rows), 2, 2)
    assert told == {"source": place.source_of("motor"), "listing": "seen", **answer}
    assert rows_in_the_log(place) == len(rows)
    with pytest.raises(AirflowSkipException, match="nothing new"):
        land(arrival_dag())
    assert land(arrival_dag(), listing="another")[1]["rows"] == 0  # else this state of the source would come again


@pytest.mark.stack
def test_refused_delivery_stops_no_other_and_fails_a_task_of_its_own(
    place: Settings, rows: pd.DataFrame, send: Callable[..., str]
) -> None:
    send("a.csv", rows.drop(columns=["region"]))
    send("b.csv", rows)
    answer, told = land(arrival_dag(), listing="seen")
    assert (told["rows"], told["refused"]) == (len(rows), {"LAND013": 1})
    with DAG("told", schedule=None):
        judged = NothingRefused(task_id="nothing_refused", landed=answer)
    with pytest.raises(BadInput, match=r"1 of 2 deliveries were refused\. Arrived: LAND013 1"):
        judged.execute({})  # type: ignore[typeddict-item]
    judged.landed = {**answer, "refused": {}}
    judged.execute({})  # type: ignore[typeddict-item]


@pytest.mark.stack
def test_source_that_cannot_be_opened_is_no_landing(place: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUD_ML_SOURCE_MOTOR", "ftp://example/claims")
    with pytest.raises(Rejected, match="no source of claims for ftp"):
        land(arrival_dag())


@pytest.mark.stack
def test_messages_of_a_topic_are_landed_once(
    place: Settings, rows: pd.DataFrame, kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from confluent_kafka import Producer

    topic = f"landed-{uuid.uuid4().hex[:8]}"
    producer = Producer({"bootstrap.servers": kafka})
    for row in json.loads(rows.to_json(orient="records", date_format="iso")):
        producer.produce(topic, json.dumps(row).encode())
    producer.produce(topic, b"no claim")
    assert producer.flush(20) == 0
    monkeypatch.setenv("FRAUD_ML_SOURCE_MOTOR", f"kafka://{kafka}/{topic}?group=g&patience=20")

    _, told = land(arrival_dag())
    assert (told["rows"], told["dead_letters"], told["refused"]) == (len(rows), 1, {})
    assert rows_in_the_log(place) == len(rows)
    with pytest.raises(AirflowSkipException):
        land(arrival_dag())


# --- through Airflow ---

# Two runs of the DAG, the second begun when all is landed; each tells how its tasks ended and what was announced.
STORY = """
import json, sys, threading
from claims_arrival import claims_arrival_motor as dag
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings
from sqlalchemy import select
from airflow.models.asset import AssetEvent
from airflow.utils.session import create_session

dag.get_task("arrival").poll_s = 0.2
told = []
for name, path in zip(sys.argv[1::2], sys.argv[2::2]):
    content = open(path, "rb").read()
    send = threading.Timer(3, lambda: ObjectStore(Settings.load()).write(name, content))
    send.start()
    run = dag.test()
    states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
    with create_session() as session:
        extras = session.scalars(select(AssetEvent.extra).order_by(AssetEvent.id)).all()
    told.append({"was_sent": not send.is_alive(), "states": states, "extras": extras})
print(json.dumps(told))
"""


@pytest.mark.stack
@pytest.mark.slow
def test_run_waits_for_an_object_lands_it_and_the_next_run_waits_for_another(
    place: Settings, rows: pd.DataFrame, tmp_path: Path
) -> None:
    (dags := tmp_path / "dags").mkdir()
    shutil.copy(PROJECT / "dags" / "claims_arrival.py", dags)
    arguments = []
    for name, part in (("a.csv", rows.iloc[:9]), ("b.csv", rows.iloc[9:])):
        write_rows(part, tmp_path / name)
        arguments += [place.source_of("motor").replace("*", name), str(tmp_path / name)]
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "plugins"), str(dags)]),
    }
    for command in (["-m", "airflow", "db", "migrate"], ["-c", STORY, *arguments]):
        done = subprocess.run(
            [sys.executable, *command], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    first, second = json.loads(done.stdout.splitlines()[-1])
    for told in (first, second):
        assert told["was_sent"]
        assert told["states"] == dict.fromkeys(("arrival", "land", "nothing_refused"), "success")
    assert [event["rows"] for event in second["extras"]] == [9, len(rows) - 9]
    assert len({event["listing"] for event in second["extras"]}) == 2
    assert rows_in_the_log(place) == len(rows)


# --- the DAG by its source ---


@pytest.mark.parametrize(
    ("address", "tasks", "schedule"),
    [
        ("", {"land", "nothing_refused"}, "NullTimetable"),
        ("s3://deliveries/motor/day=*", {"arrival", "land", "nothing_refused"}, "CronTriggerTimetable"),
        ("kafka://host:9092/claims", {"land", "nothing_refused"}, "AssetOrTimeSchedule"),
        ("gs://deliveries/motor/", {"land", "nothing_refused"}, "CronTriggerTimetable"),
        ("kafka://", {"land", "nothing_refused"}, "AssetOrTimeSchedule"),
    ],
)
def test_dag_waits_as_its_source_allows(
    address: str, tasks: set[str], schedule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    monkeypatch.setenv("FRAUD_ML_SOURCE_MOTOR", address)
    dag = arrival_dag()
    assert set(dag.task_ids) == tasks
    assert type(dag.timetable).__name__ == schedule
    (line,) = (line for line in lines_of_business() if line.dataset == "motor")
    assert (dag.description or "").endswith(source_of(line).about)
    again = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    assert {task.task_id for task in again.tasks} == tasks


def test_topic_wakes_its_dag_for_the_group_that_lands_it() -> None:
    topic = Source("motor", "kafka://one:9092,two:9092/claims?group=night&batch=500").topic
    assert topic is not None
    _, facts = topic.watchers[0].trigger.serialize()
    assert {name: facts[name] for name in ("brokers", "topic", "group")} == {
        "brokers": "one:9092,two:9092",
        "topic": "claims",
        "group": "night",
    }


def test_line_without_a_source_says_which_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRAUD_ML_SOURCE_MOTOR", raising=False)
    dag = arrival_dag()
    assert "no source is set: let `FRAUD_ML_SOURCE_MOTOR` name one" in (dag.description or "")
    with pytest.raises(BadInput, match=r"an address in FRAUD_ML_SOURCE_MOTOR"):
        land(dag)
