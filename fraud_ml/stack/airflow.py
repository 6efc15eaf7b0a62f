"""Airflow's four processes on PostgreSQL: API server, scheduler with its own workers, DAG processor, triggerer."""

import base64
import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from importlib.metadata import version

from fraud_ml.errors import FraudMLError, Unavailable
from fraud_ml.settings import PROJECT, Settings
from fraud_ml.stack import postgres
from fraud_ml.stack.component import Component, Launch, NotReady
from fraud_ml.stack.place import LOOPBACK, Place, write_private

USER = "admin"
TRAINING_POOL = "training"
_WORKERS = 3  # each idle worker of the LocalExecutor holds about 150 MiB
_migration = threading.Lock()


def _url(place: Place) -> str:
    return f"http://{LOOPBACK}:{place.port('airflow.api')}"


def _environment(place: Place) -> dict[str, str]:
    home = place.folder_of("airflow")
    fernet = base64.urlsafe_b64encode(hashlib.sha256(place.secret("airflow_fernet").encode()).digest()).decode()
    options: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": PROJECT / "dags",
            "plugins_folder": PROJECT / "plugins",
            "load_examples": False,
            "executor": "LocalExecutor",
            "parallelism": _WORKERS,
            "fernet_key": fernet,
            "execution_api_server_url": f"{_url(place)}/execution/",
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": home / "passwords.json",
            "default_task_retry_delay": 5,
        },
        "database": {
            "sql_alchemy_conn": postgres.url(place, "airflow", driver="psycopg"),
            "sql_alchemy_conn_async": postgres.url(place, "airflow", driver="asyncpg"),
        },
        "api": {
            "host": LOOPBACK,
            "port": place.port("airflow.api"),
            "base_url": _url(place),
            "secret_key": place.secret("airflow_api"),
            "workers": 1,
        },
        "api_auth": {"jwt_secret": place.secret("airflow_jwt")},
        "logging": {
            "base_log_folder": home / "logs",
            "worker_log_server_port": place.port("airflow.worker-logs"),
            "trigger_log_server_port": place.port("airflow.trigger-logs"),
        },
        # The defaults are for clusters; on one machine a task should start when it can and be missed when it is gone.
        "scheduler": {
            "scheduler_idle_sleep_time": 0.1,
            "job_heartbeat_sec": 2,
            "task_instance_heartbeat_timeout": 30,
            "task_instance_heartbeat_timeout_detection_interval": 5,
            # A killed scheduler's tasks are nobody's until this check finds its heartbeat 30 s old. By default that is
            # asked once at the start, when the heartbeat is still fresh, and then every five minutes.
            "orphaned_tasks_check_interval": 10,
        },
        "workers": {"min_heartbeat_interval": 2},
        "triggerer": {"job_heartbeat_sec": 2},
        "dag_processor": {"parsing_processes": 1, "refresh_interval": 60, "min_file_process_interval": 60},
        "usage_data_collection": {"enabled": False},
    }
    named = {
        f"AIRFLOW__{section}__{name}".upper(): str(value)
        for section, entries in options.items()
        for name, value in entries.items()
    }
    return {
        **named,
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": f"{PROJECT}:{PROJECT / 'plugins'}",
        "PYTHONUNBUFFERED": "1",
        "DVC_NO_ANALYTICS": "1",
    }


def _prepare(place: Place, *, command: str) -> Launch:
    environment = _environment(place)
    with _migration:  # the four processes start side by side; the first makes the tables for all
        _make_ready(place, environment)
    return Launch((sys.executable, "-m", "airflow", command), folder=PROJECT, environment=environment)


def command_environment(place: Place) -> dict[str, str]:
    """Return the environment in which Airflow's own commands reach this stack's Airflow.

    Raises Unavailable when the stack has never started one.
    """
    if not (place.home / "airflow" / "migrated").is_file():
        raise Unavailable(f"{place.home} holds no Airflow yet", next_step="start it: fraud-ml stack up")
    return {**place.base_environment(), **_environment(place)}


def _make_ready(place: Place, environment: dict[str, str]) -> None:
    """Write the login and bring the database to this Airflow's version, unless that was done before."""
    home = place.folder_of("airflow")
    passwords = home / "passwords.json"
    if not passwords.exists():
        write_private(passwords, json.dumps({USER: place.secret("airflow_password")}))
    migrated, wanted = home / "migrated", version("apache-airflow")
    if migrated.exists() and migrated.read_text() == wanted:
        return
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        cwd=PROJECT,
        env={**place.base_environment(), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode != 0:
        log = place.log_of("airflow-migration")
        write_private(log, done.stdout + done.stderr)
        raise Unavailable("Airflow's database cannot be migrated", next_step=f"see {log}", log=str(log))
    write_private(migrated, wanted)


def _check(place: Place, *, part: str) -> None:
    """Ask the API server's own health page, which hears each part's heartbeat."""
    import httpx

    try:
        health = httpx.get(f"{_url(place)}/api/v2/monitor/health", timeout=5).raise_for_status().json()
        # The first task would wait for this: the execution API builds its routes at its first request, with all others
        # waiting meanwhile (half a minute on a busy machine).
        httpx.get(f"{_url(place)}/execution/health", timeout=5).raise_for_status()
    except (httpx.HTTPError, ValueError) as error:
        raise NotReady(f"the API server does not answer ({type(error).__name__})") from None
    if (health.get(part) or {}).get("status") != "healthy":
        raise NotReady(f"{part} is not healthy yet")


def _make_pool(place: Place) -> None:
    """Make the pool in which one training at a time has the machine."""
    from fraud_ml.airflow_api import AirflowApi

    settings = Settings(home=place.home, values=_settings(place))
    try:
        AirflowApi(settings).ensure_pool(TRAINING_POOL, slots=1, about="One training at a time has the machine")
    except FraudMLError as error:
        raise Unavailable(f"the pool `{TRAINING_POOL}` cannot be made ({error.what})") from None


def _settings(place: Place) -> dict[str, str]:
    return {
        "FRAUD_ML_AIRFLOW_URL": _url(place),
        "FRAUD_ML_AIRFLOW_USER": USER,
        "FRAUD_ML_AIRFLOW_PASSWORD": place.secret("airflow_password"),
    }


def _part(name: str, command: str, health: str, **own: object) -> Component:
    prepare: Callable[[Place], Launch] = partial(_prepare, command=command)
    check: Callable[[Place], None] = partial(_check, part=health)
    return Component(
        name=name,
        prepare=prepare,
        check=check,
        needs=("postgres",),
        settings=_settings,
        outside=("FRAUD_ML_AIRFLOW_URL",),
        **own,  # type: ignore[arg-type]
    )


AIRFLOW = (
    _part("airflow-api", "api-server", "metadatabase", ports=("airflow.api",), finish=_make_pool),
    _part("airflow-scheduler", "scheduler", "scheduler", ports=("airflow.worker-logs",)),
    _part("airflow-dag-processor", "dag-processor", "dag_processor"),
    _part("airflow-triggerer", "triggerer", "triggerer", ports=("airflow.trigger-logs",)),
)
