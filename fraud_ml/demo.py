"""The main job, shown: claims in, a scored claim out, through Airflow and nothing else.

Everything that changes the world here is done by the DAGs; the demo lands a file, presses the button, lends its two
demo people's keys when the run waits for approval, and asks the scorer at the end.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from fraud_ml.airflow_api import AirflowApi, Run, TaskState
from fraud_ml.artifacts import Workspace
from fraud_ml.contract import load_contract
from fraud_ml.errors import Rejected, Unavailable
from fraud_ml.settings import PROJECT, Settings

DEMO_PEOPLE = ("demo-ada", "demo-grace")
SIMULATED_CLAIMS = 20_000
_RUN_LIMIT_S = 1200.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class ScoredClaim:
    """One of the ten claims: its place in the request, its chance of fraud in [0, 1] and its rank (1 = riskiest)."""

    position: int
    probability: float
    rank: int


@dataclass(frozen=True)
class DemoResult:
    """What the main job left behind, and where to look at it."""

    dataset: str
    as_of: str
    candidate_digest: str
    model_digest: str
    model_version: str
    scores: tuple[ScoredClaim, ...]
    links: dict[str, str]
    seconds: dict[str, float]  # wall clock of each leg
    retraining_run_id: str


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def run_demo(
    *, dataset: str, claims: Path | None, home: Path, checkout: Path = PROJECT, say: Say = _to_stderr
) -> DemoResult:
    """Land, freeze, retrain, approve, deploy and score; afterwards the promoted version answers over HTTP.

    Without `claims` the simulator writes them. The run's inputs are left in `checkout`, ready for `dvc repro`.
    Raises Rejected when a run was rejected, Unavailable when a server does not come up or a run does not end in time.
    """
    clock = _Clock()
    settings = _start_stack(home, say)
    clock.lap("stack")
    contract = load_contract(dataset, PROJECT / "expectations")
    as_of = _land(settings, contract, claims or _simulated(settings, dataset, say), say)
    clock.lap("land")

    airflow = AirflowApi(settings)
    snapshot_dag, retraining_dag = f"claims_snapshot_{dataset}", f"fraud_retraining_{dataset}"
    for dag_id in (snapshot_dag, retraining_dag):
        airflow.unpause(dag_id)
    say(f"DAG {snapshot_dag}: freezing the claims known on {as_of}")
    frozen = _finish(airflow, airflow.trigger(snapshot_dag, partition_key=as_of.isoformat()), say)
    if airflow.result(frozen, "freeze")["day_is_open"]:
        say(f"  {as_of} is not over (UTC): a run of the calendar would wait; what is recorded later makes a revision")
    clock.lap("snapshot")

    retraining = _wait_for_start(airflow, retraining_dag, frozen)
    say(f"DAG {retraining_dag}: started by the new snapshot")
    finish_retraining(settings, airflow, retraining, say)
    clock.lap("retraining")

    registered = airflow.result(retraining, "register")
    workspace = Workspace(checkout)
    _pin_here(settings, dataset, as_of, registered["code_rev"], workspace, say)
    answer = _score_ten(settings, dataset, workspace)
    clock.lap("scoring")
    return DemoResult(
        dataset=dataset,
        as_of=as_of.isoformat(),
        candidate_digest=registered["candidate_digest"],
        model_digest=registered["model_digest"],
        model_version=str(answer["model_version"]),
        scores=tuple(
            ScoredClaim(place, scored["probability"], scored["rank"])
            for place, scored in enumerate(answer["scores"], 1)
        ),
        links={
            "Airflow run": airflow.link(retraining),
            "MLflow run": registered["run_url"],
            "Scorer": settings.scorer_url,
        },
        seconds=clock.laps,
        retraining_run_id=retraining.run_id,
    )


def finish_retraining(settings: Settings, airflow: AirflowApi, run: Run, say: Say) -> Run:
    """Follow a retraining run to its end, approving its candidate with the demo keys on the way.

    Raises Rejected naming the failed task when it does not succeed.
    """
    return _finish(airflow, run, say, on_tasks=_Approving(settings, airflow, say))


def _start_stack(home: Path, say: Say) -> Settings:
    from fraud_ml.stack import Stack

    say("starting the embedded stack (PostgreSQL, S3, RabbitMQ, MLflow, Airflow, relay, scorer)")
    settings = Stack(home).up()
    if settings.rabbitmq_url is None:
        raise Unavailable(
            "no RabbitMQ could be had, so a promotion would wait in the outbox and no scorer would hear of it",
            next_step="set RABBITMQ_URL, or install rabbitmq-server, and run the demo again",
        )
    return settings


def _simulated(settings: Settings, dataset: str, say: Say) -> Path:
    from fraud_ml.data.simulator import simulate, write_rows

    path = settings.home / "simulated" / f"{dataset}.parquet"
    say(f"simulating {SIMULATED_CLAIMS:,} claims of `{dataset}`")
    rows = simulate(dataset, claims=SIMULATED_CLAIMS, seed=7, begin=date(2023, 1, 1), end=date(2025, 12, 31))
    write_rows(rows, path)
    return path


def _land(settings: Settings, contract: Any, claims: Path, say: Say) -> date:
    """Land the file and return the last day on which it recorded something: the date to freeze."""
    from fraud_ml.data.log import land

    batch = land(settings, contract, claims)
    say(
        f"landed {batch.rows:,} rows of {claims.name} in {settings.claims_url}"
        if batch.created
        else f"{claims.name} had been landed before; nothing was added"
    )
    return date.fromisoformat(batch.last_recorded[:10])


def _wait_for_start(airflow: AirflowApi, dag_id: str, source: Run) -> Run:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := airflow.started_by(dag_id, source):
            return found
        time.sleep(0.3)
    raise Unavailable(f"the snapshot started no run of {dag_id} within 60 s", next_step="look at the scheduler's log")


def _finish(
    airflow: AirflowApi, run: Run, say: Say, on_tasks: Callable[[Run, list[TaskState]], None] | None = None
) -> Run:
    shown: dict[str, str] = {}
    for state, tasks in airflow.follow(run, limit_s=_RUN_LIMIT_S):
        for task in tasks:
            if shown.get(task.task_id) != task.state and task.state in ("running", "success", "failed", "deferred"):
                took = f" ({task.seconds:.1f} s)" if task.state == "success" and task.seconds else ""
                say(f"  {task.task_id}: {task.state}{took}")
            shown[task.task_id] = task.state
        if on_tasks:
            on_tasks(state, tasks)
        run = state
    if not run.has_succeeded:
        failed = [task.task_id for task in airflow.tasks(run) if task.state == "failed"]
        raise Rejected(
            f"{run.dag_id} ended as {run.state} in {', '.join(failed) or 'no task of its own'}",
            next_step=f"read the task's log: {airflow.link(run)}",
            failed=failed,
        )
    return run


class _Approving:
    """Gives the two demo people's approvals once the candidate is registered, saying so."""

    def __init__(self, settings: Settings, airflow: AirflowApi, say: Say) -> None:
        self.settings, self.airflow, self.say = settings, airflow, say
        self.is_done = False

    def __call__(self, run: Run, tasks: list[TaskState]) -> None:
        if self.is_done or not any(task.task_id == "register" and task.state == "success" for task in tasks):
            return
        from fraud_ml.governance.approvals import approve, make_key
        from fraud_ml.ledger import Ledger

        digest = self.airflow.result(run, "register")["candidate_digest"]
        ledger = Ledger(self.settings.ledger_url)
        for person in DEMO_PEOPLE:
            key = self.settings.home / "keys" / f"{person}.key"
            if not key.exists():
                make_key(person, key.parent, approvers=self.settings.approvers)
            approve(ledger, digest, key, approvers=self.settings.approvers)
            self.say(f"  approval of {digest[:12]} by {person} (a demo key: in earnest, people hold their own)")
        self.is_done = True


def _pin_here(settings: Settings, dataset: str, as_of: date, code_rev: str, workspace: Workspace, say: Say) -> None:
    """Leave the run's inputs in this checkout, so that `dvc repro` repeats it without the stack."""
    from fraud_ml.promotion.pinning import pin_inputs

    pin_inputs(settings, workspace, dataset=dataset, as_of=as_of.isoformat(), code_rev=code_rev)
    say("pinned the run's snapshot here: `dvc repro` repeats the run, with the stack up or down")


def _score_ten(settings: Settings, dataset: str, workspace: Workspace) -> dict[str, Any]:
    """Ask the scorer for the ten newest claims of the snapshot."""
    import httpx

    from fraud_ml.data.snapshots import open_snapshot

    contract = load_contract(dataset, PROJECT / "expectations")
    claims = open_snapshot(workspace.snapshot, contract).claims()
    newest = claims.sort_values(["event_time", contract.key]).tail(10)[[column.name for column in contract.features]]
    rows = newest.astype(object).where(newest.notna(), None).to_dict(orient="records")
    try:
        response = httpx.post(
            f"{settings.scorer_url}/claims/score", json={"dataset": dataset, "claims": rows}, timeout=30
        )
        response.raise_for_status()
    except httpx.HTTPError as error:
        raise Unavailable(
            f"the scorer does not answer ({type(error).__name__})", next_step="fraud-ml stack logs scorer"
        ) from None
    answer: dict[str, Any] = response.json()
    return answer


class _Clock:
    def __init__(self) -> None:
        self._last = time.monotonic()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name] = round(now - self._last, 2)
        self._last = now
