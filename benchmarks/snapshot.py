"""What it costs to freeze and fold ten million claims, and the day after that.

A log of 16 million rows over three years (motor's contract; one claim in two hundred is corrected to another month) is
written into an S3 server of its own. The days are two in the middle of a month; the snapshot remote is a folder.

- `fold_over_copy`: the fold against DuckDB copying the same Parquet into one file, in turns.
- `fold_over_pandas`: the fold against pandas (read, sort, last row of each claim, one file a month), in turns, on a
  part of the log that pandas can hold.
- `peak_gib`: the larger of the peaks of freezing, pinning and folding, in a process of its own.
- `next_day_over_first`: freeze, pin and fold of the next day against the same of the first, which finds nothing.
- `new_bytes_over_changed_bytes`: what the snapshot cache grows by, against the Parquet of that day's rows.
- `backfill_over_work`: 36 monthly dates, oldest first, each frozen by the command that Airflow runs, two at a time as
  Airflow does, against the seconds of the same freezes, newest first, one after another in one process that has
  imported everything; on a tenth of the claims.
- `replay_identical`: 1 when all 36 snapshots and the last one's fold are byte-equal in both, whose orders differ.
"""

import json
import shutil
import sys
import tempfile
import time
from calendar import monthrange
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks._claim_rows import rows_by_recorded_month
from benchmarks.harness import Figure, Figures, in_own_process, in_turns, peak_gib, say
from fraud_ml.artifacts import SnapshotManifest, Workspace, file_digest
from fraud_ml.contract import Contract, load_contract
from fraud_ml.data.duck import connect, scan, text
from fraud_ml.data.fold import fold
from fraud_ml.data.fold_cache import FoldCache
from fraud_ml.data.log import BatchManifest, LogObject
from fraud_ml.data.parquet import by_recorded_day, to_parquet
from fraud_ml.data.snapshots import freeze, pin_snapshot, read_manifest
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import PROJECT, Settings

CLAIMS, QUICK_CLAIMS = 10_000_000, 200_000
PANDAS_ROWS = 1_500_000
FIRST, NEXT = date(2025, 12, 17), date(2025, 12, 18)
_FREEZE = ("fraud_ml", "snapshot", "freeze", "motor", "--json")  # a module, and its arguments but the date
MONTH_ENDS = [date(2023 + n // 12, n % 12 + 1, monthrange(2023 + n // 12, n % 12 + 1)[1]) for n in range(36)]


def run(*, quick: bool) -> Figures:
    """Measure in a temporary folder, which is gone afterwards."""
    from fraud_ml.stack import Stack

    claims, turns = (QUICK_CLAIMS, 1) if quick else (CLAIMS, 3)
    contract = load_contract("motor", PROJECT / "expectations")
    home = Path(tempfile.mkdtemp(prefix="fraud-ml-bench."))
    stack = Stack(home / "stack")
    try:
        settings = stack.up(["s3"])
        whole, part = (_place(settings, home / name) for name in ("whole", "part"))
        say(f"writing the log of {claims:,} claims")
        _write_log(whole, contract, claims, home / "rows")
        first, grown, day_bytes, next_day = _two_days(whole)
        say(f"first {first}, next {next_day}")
        over_copy = _fold_against_copy(whole, contract, turns, home)
        over_pandas = _fold_against_pandas(whole, contract, turns, home)
        shutil.rmtree(whole.home)
        _write_log(part, contract, max(claims // 10, 20_000), home / "rows")
        backfill, work, identical = _backfill(part, contract, home)
    finally:
        stack.down()
        shutil.rmtree(home, ignore_errors=True)
    return {
        "fold_over_copy": Figure.median_of(over_copy, "ratio", peer="DuckDB copying the same Parquet"),
        "fold_over_pandas": Figure.median_of(over_pandas, "ratio", peer="pandas, on a part of the log"),
        "peak_gib": Figure(round(max(first.peak_gib, next_day.peak_gib), 2), "GiB", note="resident, one process"),
        "next_day_over_first": Figure(
            round(next_day.seconds / first.seconds, 3),
            "ratio",
            peer=f"the first: {first.seconds:.1f} s",
            note=f"next day {next_day.seconds:.1f} s: {next_day}",
        ),
        "new_bytes_over_changed_bytes": Figure(round(grown / day_bytes, 3), "ratio", note=f"{grown:,} bytes new"),
        "backfill_over_work": Figure(
            round(backfill / work, 3), "ratio", peer=f"36 freezes one after another: {work:.1f} s"
        ),
        "replay_identical": Figure(float(identical), "boolean", note="36 snapshots and a fold, two orders"),
    }


# --- the log --------------------------------------------------------------------------------------------------------


def _place(settings: Settings, home: Path) -> Settings:
    own = {
        "FRAUD_ML_CLAIMS_URL": f"s3://claims/{home.name}",
        "FRAUD_ML_SNAPSHOT_REMOTE": str(home / "remote"),
        "FRAUD_ML_HOME": str(home),
    }
    return Settings(home=home, values={**settings.values, **own})


def _write_log(settings: Settings, contract: Contract, claims: int, scratch: Path) -> None:
    """Land the rows as one batch a recorded month, without asking whether the log holds them already."""
    store = ObjectStore(settings)
    root = f"{settings.claims_url}/{contract.dataset}"
    scratch.mkdir()
    for month, rows in rows_by_recorded_month(claims, contract, scratch):
        objects, files = [], {}
        for day, part in by_recorded_day(rows):
            file = scratch / f"{day}.parquet"
            file.write_bytes(to_parquet(part))
            objects.append(LogObject(day.isoformat(), part.num_rows, file_digest(file)))
            files[f"{root}/log/recorded_day={day}/{month}.parquet"] = file
        store.upload(files)
        for file in files.values():
            file.unlink()
        batch = BatchManifest(
            dataset=contract.dataset,
            id=month,
            rows=rows.num_rows,
            source="bulk",
            source_digest="",
            first_event="2023-01-01T00:00:00",
            last_event="2023-01-01T00:00:00",
            first_recorded=f"{objects[0].day}T00:00:00",
            last_recorded=f"{objects[-1].day}T23:59:59",
            objects=tuple(objects),
        )
        store.write(f"{root}/batches/{month}.json", json.dumps(batch.sealed().content).encode())
    shutil.rmtree(scratch)


# --- processes of their own -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """Seconds of the work, imports left out, and the process's peak."""

    freeze_s: float
    pin_s: float
    fold_s: float
    peak_gib: float

    @property
    def seconds(self) -> float:
        return self.freeze_s + self.pin_s + self.fold_s


def _in_place(settings: Settings, module: str, *arguments: str) -> Any:
    """Run a module as a process in that place, and return what it says."""
    values = {name: value for name, value in settings.values.items() if name.startswith(("AWS_", "FRAUD_ML_"))}
    return in_own_process(module, *arguments, environment=values)


def _main(act: str, days: list[date]) -> Any:
    settings, contract = Settings.load(), load_contract("motor", PROJECT / "expectations")
    workspace = Workspace(settings.home / "run")
    begin = time.perf_counter()
    for day in days:
        freeze(settings, contract, day)
    frozen = time.perf_counter()
    if act == "freeze":
        return frozen - begin
    manifest = pin_snapshot(settings, contract.dataset, days[-1], workspace)
    pinned = time.perf_counter()
    fold(workspace.snapshot, manifest, contract, workspace.claims, cache=FoldCache(settings.fold_cache))
    folded = time.perf_counter()
    return asdict(Cost(frozen - begin, pinned - frozen, folded - pinned, peak_gib()))


def _two_days(settings: Settings) -> tuple[Cost, int, int, Cost]:
    """Return the first day's cost, the bytes that the next adds to the cache, those of its rows, and its cost."""
    first = Cost(**_in_place(settings, "benchmarks.snapshot", "fold", FIRST.isoformat()))
    before = _held(settings)
    next_day = Cost(**_in_place(settings, "benchmarks.snapshot", "fold", NEXT.isoformat()))
    rows = settings.home / "run" / "workspace" / "snapshot" / "log" / f"{NEXT}.parquet"
    return first, _held(settings) - before, rows.stat().st_size, next_day


def _held(settings: Settings) -> int:
    return sum(
        path.stat().st_size for path in (settings.home / "snapshot-cache" / "files").rglob("*") if path.is_file()
    )


# --- peers ----------------------------------------------------------------------------------------------------------


def _fold_against_copy(settings: Settings, contract: Contract, turns: int, home: Path) -> list[float]:
    snapshot = Workspace(settings.home / "run").snapshot
    manifest = read_manifest(snapshot)
    files = [snapshot / name for name in sorted(manifest.files)]

    def copy() -> None:
        with connect(files=True) as duck:
            duck.execute(f"COPY ({scan(files)}) TO {text(str(home / 'copy.parquet'))} (FORMAT parquet)")

    seconds = in_turns(turns, copy=copy, fold=lambda: fold(snapshot, manifest, contract, home / "claims"))
    say(f"fold against copy {seconds}")
    (home / "copy.parquet").unlink()
    shutil.rmtree(home / "claims")
    return [a / b for a, b in zip(seconds["fold"], seconds["copy"], strict=True)]


def _fold_against_pandas(settings: Settings, contract: Contract, turns: int, home: Path) -> list[float]:
    snapshot = Workspace(settings.home / "run").snapshot
    manifest = _some(snapshot, read_manifest(snapshot))

    def in_pandas() -> None:
        import pandas as pd

        rows = pd.concat([pd.read_parquet(snapshot / name) for name in manifest.files], ignore_index=True)
        latest = rows.sort_values("recorded_at", kind="stable").drop_duplicates(contract.key, keep="last")
        for month, claims in latest.sort_values(contract.key).groupby(latest["event_time"].dt.strftime("%Y-%m")):
            claims.to_parquet(home / "pandas" / f"{month}.parquet", index=False)

    (home / "pandas").mkdir()
    seconds = in_turns(turns, pandas=in_pandas, fold=lambda: fold(snapshot, manifest, contract, home / "claims"))
    say(f"fold against pandas {seconds}")
    return [a / b for a, b in zip(seconds["fold"], seconds["pandas"], strict=True)]


def _some(snapshot: Path, manifest: SnapshotManifest) -> SnapshotManifest:
    """Return the manifest of the first partitions, up to a number of rows that pandas can hold."""
    from pyarrow import parquet

    files: dict[str, str] = {}
    rows = 0
    for name in sorted(manifest.files):
        rows += parquet.read_metadata(snapshot / name).num_rows
        if files and rows > PANDAS_ROWS:
            break
        files[name] = manifest.files[name]
    return replace(manifest, files=files)


# --- a backfill -----------------------------------------------------------------------------------------------------


def _backfill(settings: Settings, contract: Contract, home: Path) -> tuple[float, float, bool]:
    """Return the seconds of 36 freezes two at a time, those of the freezes alone, and whether both gave the same."""
    days = [day.isoformat() for day in MONTH_ENDS]
    with _another_home(settings, home / "one-by-one") as alone, _another_home(settings, home / "two-by-two") as crowd:
        work = float(_in_place(alone, "benchmarks.snapshot", "freeze", *reversed(days)))
        begin = time.perf_counter()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda day: _in_place(crowd, *_FREEZE, day), days))
        seconds = time.perf_counter() - begin
        say(f"backfill {seconds:.1f} s of {work:.1f} s of work")
        return seconds, work, _told(alone, contract, days) == _told(crowd, contract, days)


@contextmanager
def _another_home(settings: Settings, home: Path) -> Iterator[Settings]:
    places = {"FRAUD_ML_HOME": str(home), "FRAUD_ML_SNAPSHOT_REMOTE": str(home / "remote")}
    yield Settings(home=home, values={**settings.values, **places})
    shutil.rmtree(home)


def _told(settings: Settings, contract: Contract, days: list[str]) -> Any:
    """Return every snapshot's files by SHA-256, and those of the last one's fold."""
    from fraud_ml.data.snapshots import show_version

    workspace = Workspace(settings.home / "run")
    last = pin_snapshot(settings, contract.dataset, days[-1], workspace)
    folded = fold(workspace.snapshot, last, contract, workspace.claims)
    return [show_version(settings, contract.dataset, day)[1].files for day in days], folded.manifest


if __name__ == "__main__":
    print(json.dumps(_main(sys.argv[1], [date.fromisoformat(day) for day in sys.argv[2:]])))
