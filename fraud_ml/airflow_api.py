"""Start DAG runs and backfills over Airflow's REST API, and read how they go; the library never imports airflow."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from fraud_ml.errors import Unavailable
from fraud_ml.settings import Settings

_FINISHED = frozenset({"success", "failed"})


@dataclass(frozen=True)
class TaskState:
    """Where one task of a run stands; `try_number` counts from 1, `queued` and `ended` are seconds since the epoch."""

    task_id: str
    state: str
    try_number: int
    seconds: float | None
    queued: float | None
    ended: float | None


@dataclass(frozen=True)
class Run:
    """One DAG run. `seconds` is known when it has ended."""

    dag_id: str
    run_id: str
    state: str
    partition_key: str | None
    seconds: float | None

    @property
    def is_finished(self) -> bool:
        return self.state in _FINISHED

    @property
    def has_succeeded(self) -> bool:
        return self.state == "success"


@dataclass(frozen=True)
class Backfill:
    """A backfill that Airflow knows. It stays active for up to half a minute after its last run has ended."""

    id: int
    dag_id: str
    begin: datetime
    end: datetime
    is_active: bool


class AirflowApi:
    """A logged-in client. Every method raises Unavailable when the API server does not answer as expected."""

    def __init__(self, settings: Settings) -> None:
        import httpx

        self.url = settings.airflow_url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, timeout=120)  # its first request builds all routes
        self._login = {
            "username": settings.need("FRAUD_ML_AIRFLOW_USER"),
            "password": settings.need("FRAUD_ML_AIRFLOW_PASSWORD"),
        }

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run `dag_id`, waiting up to a minute for the DAG processor to have read it."""
        deadline = time.monotonic() + 60
        while True:
            found = self._call("PATCH", f"/dags/{dag_id}", json={"is_paused": False}, allow=(404,))
            if found is not None:
                return
            if time.monotonic() > deadline:
                raise Unavailable(f"Airflow does not know the DAG `{dag_id}`", next_step="look at its import errors")
            time.sleep(0.5)

    def is_paused(self, dag_id: str) -> bool:
        return bool(self._call("GET", f"/dags/{dag_id}")["is_paused"])

    def ensure_pool(self, name: str, *, slots: int, about: str) -> None:
        """Make a pool unless it is there; one that is there keeps the slots that somebody gave it."""
        body = {"name": name, "slots": slots, "description": about}
        self._call("POST", "/pools", json=body, allow=(409,))

    def trigger(self, dag_id: str, *, partition_key: str, conf: dict[str, Any] | None = None) -> Run:
        """Start a run for one as-of date."""
        body = {"logical_date": None, "partition_key": partition_key, "conf": conf or {}}
        return _run(self._call("POST", f"/dags/{dag_id}/dagRuns", json=body))

    def run(self, dag_id: str, run_id: str) -> Run:
        return _run(self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}"))

    def runs(self, dag_id: str, *, limit: int = 50) -> list[Run]:
        """Return the newest runs of a DAG."""
        found = self._call("GET", f"/dags/{dag_id}/dagRuns", params={"limit": limit, "order_by": "-run_after"})
        return [_run(item) for item in found["dag_runs"]]

    def started_by(self, dag_id: str, source: Run) -> Run | None:
        """Return the run of `dag_id` that an asset event of the run `source` started, if there is one yet."""
        for run in self.runs(dag_id):
            if run.partition_key != source.partition_key:
                continue
            events = self._call("GET", f"/dags/{dag_id}/dagRuns/{run.run_id}/upstreamAssetEvents")["asset_events"]
            if any(event["source_run_id"] == source.run_id for event in events):
                return run
        return None

    def runs_of_dates(self, dag_id: str, begin: date, end: date) -> dict[str, Run]:
        """Return partition key -> the newest run of it, for the keys whose dates lie in [begin, end]."""
        found: dict[str, Run] = {}
        wanted = {"partition_date_gte": begin.isoformat(), "partition_date_lte": end.isoformat(), "order_by": "id"}
        offset = 0
        while True:
            page = self._call("GET", f"/dags/{dag_id}/dagRuns", params={**wanted, "limit": 100, "offset": offset})
            found |= {run.partition_key: run for run in map(_run, page["dag_runs"]) if run.partition_key}
            offset += len(page["dag_runs"])
            if not page["dag_runs"] or offset >= page["total_entries"]:
                return found

    def backfills(self, dag_id: str) -> list[Backfill]:
        """Return the newest backfills of a DAG, newest first."""
        found = self._call("GET", "/backfills", params={"dag_id": dag_id, "order_by": "-id", "limit": 20})
        return [_backfill(item) for item in found["backfills"]]

    def backfill_keys(
        self, dag_id: str, begin: datetime, end: datetime, *, newest_first: bool, reprocess: str
    ) -> list[str]:
        """Return the partition keys of the runs that such a backfill would create now, in their order."""
        body = _backfill_body(dag_id, begin, end, newest_first=newest_first, reprocess=reprocess)
        return [item["partition_key"] for item in self._call("POST", "/backfills/dry_run", json=body)["backfills"]]

    def create_backfill(
        self,
        dag_id: str,
        begin: datetime,
        end: datetime,
        *,
        max_active: int,
        newest_first: bool,
        reprocess: str,
    ) -> Backfill:
        """Create one run for each partition key in [begin, end] that has none; `reprocess`: none, failed or completed.

        Raises Unavailable while another backfill of the DAG is active: Airflow allows one at a time.
        """
        body = {
            **_backfill_body(dag_id, begin, end, newest_first=newest_first, reprocess=reprocess),
            "max_active_runs": max_active,
        }
        made = self._call("POST", "/backfills", json=body, allow=(409,))
        if made is None:
            raise Unavailable(
                f"another backfill of {dag_id} is active",
                next_step="wait for its end (Airflow notes that up to half a minute later), or cancel it",
            )
        return _backfill(made)

    def tasks(self, run: Run) -> list[TaskState]:
        found = self._call("GET", f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances", params={"limit": 100})
        return [
            TaskState(
                item["task_id"],
                item["state"] or "waiting",
                item["try_number"],
                item["duration"],
                _epoch(item["queued_when"]),
                _epoch(item["end_date"]),
            )
            for item in found["task_instances"]
        ]

    def result(self, run: Run, task_id: str) -> Any:
        """Return what a finished task returned, or None."""
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        found = self._call("GET", path, params={"deserialize": "false", "stringify": "false"}, allow=(404,))
        return None if found is None else found["value"]

    def log(self, run: Run, task_id: str, *, try_number: int = 1) -> str:
        """Return a task's log as text, one line per event."""
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task_id}/logs/{try_number}"
        found = self._call("GET", path, params={"full_content": "true"})
        return "\n".join(
            str(line.get("event", "")) if isinstance(line, dict) else str(line) for line in found["content"]
        )

    def follow(self, run: Run, *, limit_s: float, pause_s: float = 0.5) -> Iterator[tuple[Run, list[TaskState]]]:
        """Yield the run and its tasks until it has ended. Raises Unavailable after `limit_s` seconds."""
        deadline = time.monotonic() + limit_s
        while True:
            run = self.run(run.dag_id, run.run_id)
            yield run, self.tasks(run)
            if run.is_finished:
                return
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"{run.dag_id} has not ended within {limit_s:.0f} s", arrived=run.state, next_step=self.link(run)
                )
            time.sleep(pause_s)

    def link(self, run: Run) -> str:
        """Return the address of the run's page."""
        return f"{self.url}/dags/{run.dag_id}/runs/{run.run_id}"

    def _call(self, method: str, path: str, *, allow: tuple[int, ...] = (), **kwargs: Any) -> Any:
        import httpx

        try:
            if "Authorization" not in self._http.headers:
                token = self._http.post("/auth/token", json=self._login).raise_for_status().json()["access_token"]
                self._http.headers["Authorization"] = f"Bearer {token}"
            response = self._http.request(method, f"/api/v2{path}", **kwargs)
            if response.status_code in allow:
                return None
            return response.raise_for_status().json()
        except httpx.HTTPStatusError as error:
            raise Unavailable(
                f"Airflow answered {error.response.status_code} to {method} {path}",
                next_step="look at its API server's log",
            ) from None
        except httpx.HTTPError as error:
            raise Unavailable(
                f"Airflow does not answer at {self.url} ({type(error).__name__})", next_step="run `fraud-ml stack up`"
            ) from None


def _epoch(moment: str | None) -> float | None:
    return datetime.fromisoformat(moment).timestamp() if moment else None


def _backfill(item: dict[str, Any]) -> Backfill:
    begin, end = (datetime.fromisoformat(item[name]) for name in ("from_date", "to_date"))
    return Backfill(item["id"], item["dag_id"], begin, end, item["completed_at"] is None)


def _backfill_body(
    dag_id: str, begin: datetime, end: datetime, *, newest_first: bool, reprocess: str
) -> dict[str, Any]:
    return {
        "dag_id": dag_id,
        "from_date": begin.isoformat(),
        "to_date": end.isoformat(),
        "run_backwards": newest_first,
        "reprocess_behavior": reprocess,
    }


def _run(item: dict[str, Any]) -> Run:
    return Run(item["dag_id"], item["dag_run_id"], item["state"], item["partition_key"], item["duration"])
