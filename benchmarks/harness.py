"""Run a benchmark and say its figures in one form, so that a program or a page can read any of them.

A benchmark is a module beside this one with `run(quick: bool) -> Figures`; its docstring says what is measured and how.
One that knows several datasets has DATASETS, whose keys are their names, and `run(quick: bool, dataset: str)`.
"""

import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fraud_ml.errors import BadInput

PLACE = Path(__file__).resolve().parent
RESULTS = PLACE / "results"
PAGE = PLACE.parent / "docs" / "benchmarks.md"
_VERSIONS = ("apache-airflow", "dvc", "great-expectations", "mlflow", "tensorflow", "duckdb", "pandas", "pika")


@dataclass(frozen=True)
class Figure:
    """One measured value: the median of `runs`, in `unit`; `peer` names what a ratio is taken against."""

    value: float
    unit: str
    runs: tuple[float, ...] = ()
    peer: str | None = None
    note: str | None = None

    @classmethod
    def median_of(
        cls, runs: Sequence[float], unit: str, *, peer: str | None = None, note: str | None = None
    ) -> "Figure":
        rounded = tuple(round(run, 4) for run in runs)
        return cls(round(statistics.median(rounded), 4), unit, rounded, peer, note)


Figures = dict[str, Figure]


def names() -> list[str]:
    """Return the benchmarks there are."""
    return sorted(path.stem for path in PLACE.glob("*.py") if path.stem != "harness" and path.stem[0] != "_")


def datasets(name: str) -> list[str | None]:
    """Return the datasets that a benchmark knows; [None] where it has its own."""
    if name not in names():
        raise BadInput(f"no benchmark is called `{name}`", expected=f"one of {', '.join(names())}")
    return list(getattr(importlib.import_module(f"benchmarks.{name}"), "DATASETS", [None]))


def measure(name: str, *, quick: bool, dataset: str | None = None) -> dict[str, Any]:
    """Run one benchmark and return its report in the form every reader expects."""
    known = datasets(name)
    if dataset not in known:
        expected = ", ".join(one for one in known if one) or "none"
        raise BadInput(f"`{name}` is not measured on dataset `{dataset}`", expected=expected)
    chosen = {} if dataset is None else {"dataset": dataset}
    figures: Figures = importlib.import_module(f"benchmarks.{name}").run(quick=quick, **chosen)
    return {
        "benchmark": name,
        **chosen,
        "quick": quick,
        "machine": machine(),
        "versions": {package: version(package) for package in _VERSIONS},
        "figures": {key: {k: v for k, v in asdict(figure).items() if v is not None} for key, figure in figures.items()},
    }


def machine() -> dict[str, Any]:
    """Say what the figures were taken on, without naming the machine."""
    import psutil

    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(aliased=True, terse=True),
        "python": platform.python_version(),
    }


def in_turns(runs: int, **contenders: Callable[[], object]) -> dict[str, list[float]]:
    """Return each contender's wall-clock seconds, run A B A B … so that a drifting machine treats them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(runs):
        for name, contender in contenders.items():
            begin = time.perf_counter()
            contender()
            seconds[name].append(time.perf_counter() - begin)
    return seconds


def peak_gib() -> float:
    """Return this program's largest resident memory; getrusage would tell that of the process that forked it."""
    status = Path("/proc/self/status").read_text()
    kib: str = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kib) / 2**20


def in_own_process(
    module: str, *arguments: object, folder: Path = PLACE.parent, environment: Mapping[str, str] | None = None
) -> Any:
    """Run a module as a process of its own, and return what it says, as JSON. environment: what it has beside ours."""
    told = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **(environment or {}), "PYTHONPATH": str(PLACE.parent)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(told.stdout)


def say(line: str) -> None:
    """Tell people how far it is; standard output is the report's."""
    print(line, file=sys.stderr, flush=True)


def keep(report: dict[str, Any]) -> Path:
    """Write a report where `write_page` finds it."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{_title(report).replace(' --dataset ', '-')}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    return path


def write_page() -> Path:
    """Write docs/benchmarks.md from the kept reports."""
    lines = [
        "# Benchmarks",
        "",
        "Generated by `fraud-ml bench all --write`; medians; seconds are wall clock.",
        "",
    ]
    for path in sorted(RESULTS.glob("*.json")):
        report = json.loads(path.read_text())
        about = (importlib.import_module(f"benchmarks.{report['benchmark']}").__doc__ or "").strip()
        host = report["machine"]
        lines += [f"## {_title(report)}", "", about, ""]
        lines += [
            f"Machine: {host['cpu']}, {host['cores']} cores, {host['memory_gib']} GiB, Python {host['python']}.",
            "",
        ]
        lines += ["| figure | value | unit | runs | against | note |", "|---|---|---|---|---|---|"]
        for name, figure in report["figures"].items():
            runs = ", ".join(f"{run:g}" for run in figure.get("runs", ()))
            cells = (name, f"{figure['value']:g}", figure["unit"], runs, figure.get("peer", ""), figure.get("note", ""))
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text("\n".join(lines))
    return PAGE


def _title(report: dict[str, Any]) -> str:
    return report["benchmark"] + (f" --dataset {report['dataset']}" if "dataset" in report else "")
