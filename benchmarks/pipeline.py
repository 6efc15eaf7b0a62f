"""What the orchestration costs: a whole retraining run through Airflow against the work of its own stages.

A stack of its own is started in an empty folder and the demo is run in it (simulated motor claims, default size). Then
the retraining DAG is started again with `force`, so that every stage works, not the run cache: `dag_run_s` is Airflow's
own duration of such a run (approvals are given as soon as it registers), `stage_work_s` the sum of the stages' commands
alone, timed inside the tasks. The overhead per stage is what stays when register, approval, promotion and
acknowledgement are taken out too. `warm_demo_s` is `fraud-ml demo` on the running stack; `stack_rest_gib` is the sum of
the proportional memory of all of the stack's processes, a minute after the last run.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Figure, Figures
from fraud_ml.airflow_api import AirflowApi, Run
from fraud_ml.demo import DemoResult, finish_retraining, run_demo
from fraud_ml.pipeline import STAGES
from fraud_ml.settings import Settings


def run(*, quick: bool) -> Figures:
    """Measure on a stack of its own, which is gone afterwards."""
    from fraud_ml.stack import Stack

    home = Path(tempfile.mkdtemp(prefix="fraud-ml-bench."))
    stack = Stack(home)
    try:
        first = _demo(home)
        settings = stack.settings()
        runs = [_forced_run(settings, first) for _ in range(1 if quick else 3)]
        warm = [_timed_demo(home) for _ in range(1 if quick else 3)]
        time.sleep(5 if quick else 60)
        rest = stack.memory_gib()
    finally:
        stack.down()
        shutil.rmtree(home, ignore_errors=True)
    whole = [seconds for seconds, _, _ in runs]
    work = [sum(stages.values()) for _, stages, _ in runs]
    between = [(span - sum(stages.values())) / len(stages) for _, stages, span in runs]
    return {
        "warm_demo_s": Figure.median_of(warm, "s", note="second and later `fraud-ml demo` on a running stack"),
        "dag_run_s": Figure.median_of(whole, "s"),
        "stage_work_s": Figure.median_of(work, "s", note="the stages' commands alone"),
        "overhead_ratio": Figure.median_of(
            [a / b for a, b in zip(whole, work, strict=True)], "ratio", peer="stage_work_s"
        ),
        "overhead_per_stage_s": Figure.median_of(
            between, "s", note="scheduler, task start and dvc around a stage's command"
        ),
        "stack_rest_gib": Figure(round(rest, 2), "GiB", note="PSS of all processes"),
    }


def _demo(home: Path) -> DemoResult:
    return run_demo(dataset="motor", claims=None, home=home)


def _timed_demo(home: Path) -> float:
    begin = time.perf_counter()
    _demo(home)
    return time.perf_counter() - begin


def _forced_run(settings: Settings, demo: DemoResult) -> tuple[float, dict[str, float], float]:
    """Return Airflow's duration of a run whose stages all work, each stage's command seconds, and the stages' span."""
    airflow = AirflowApi(settings)
    started = airflow.trigger(f"fraud_retraining_{demo.dataset}", partition_key=demo.as_of, conf={"force": True})
    done = finish_retraining(settings, airflow, started, say=lambda line: print(line, file=sys.stderr))
    commands = {stage.name: airflow.result(done, f"stages.{stage.name}")["command_s"] for stage in STAGES}
    assert done.seconds is not None
    return done.seconds, commands, _span(airflow, done)


def _span(airflow: AirflowApi, run: Run) -> float:
    """Return the seconds from the start of the first stage's task to the end of the last one's."""
    names = {f"stages.{stage.name}" for stage in STAGES}
    times = [task for task in airflow.tasks(run) if task.task_id in names]
    begin = min(task.queued for task in times if task.queued is not None)
    return max(task.ended for task in times if task.ended is not None) - begin
