"""What the whole verdict costs: seconds and memory of processes of their own, on bulk claims that lie folded by month.

The claims are those of `_claim_rows`: motor's 35 columns, three years, nobody to erase. Each is laid out as folding
leaves it; tomorrow's fold is the same but for the rows of one recorded day.
"""

# ruff: noqa: S608 - names are quoted, and paths are our own
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks._claim_rows import rows_by_recorded_month
from benchmarks.harness import Figure, Figures, in_own_process, peak_gib, say
from fraud_ml.artifacts import FoldManifest, SnapshotManifest, Workspace, file_digest, load, save
from fraud_ml.contract import Contract, load_contract
from fraud_ml.data.duck import connect, quoted, scan, text
from fraud_ml.data.fold import fold
from fraud_ml.data.fold_cache import FoldCache
from fraud_ml.data.parquet import to_parquet
from fraud_ml.data.subject_keys import SnapshotKeys
from fraud_ml.data.tables import log_columns, log_schema
from fraud_ml.params import load_params
from fraud_ml.promotion.served_requests import none_served
from fraud_ml.settings import PROJECT, Settings

if TYPE_CHECKING:
    import pandas as pd

CLAIMS, QUICK_CLAIMS = 10_000_000, 100_000
PEER_CLAIMS = 1_000_000  # that pandas holds as one frame
FIRST, NEXT = date(2025, 12, 17), date(2025, 12, 18)
RULES = PROJECT / "expectations" / "motor"


def costs(*, quick: bool) -> Figures:
    """Measure in a temporary folder, which is gone afterwards."""
    claims = QUICK_CLAIMS if quick else CLAIMS
    home = Path(tempfile.mkdtemp(prefix="fraud-ml-bench."))
    try:
        _lay_out(home / "all", claims, (FIRST, NEXT))
        first = _alone("judge", home / "all" / f"{FIRST}", home / "cache")
        again = [_next_day(home) for _ in range(1 if quick else 3)]
        scanned = _alone("scan", home / "all" / f"{FIRST}")
        shutil.rmtree(home / "all")
        _lay_out(home / "peer", min(claims, PEER_CLAIMS), (FIRST,))
        part = home / "peer" / f"{FIRST}"
        turns = [tuple(_alone(act, part) for act in ("judge", "plain", "pandera")) for _ in range(1 if quick else 3)]
        empty = [_empty(home / "empty") for _ in range(1 if quick else 3)]
    finally:
        shutil.rmtree(home, ignore_errors=True)
    rows = first["rows"]
    return {
        "rows_per_s": Figure(round(rows / first["seconds"]), "rows/s", note=f"{rows:,} claims of 35 columns"),
        "over_gx_pandas": Figure.median_of(
            [plain["seconds"] / ours["seconds"] for ours, plain, _ in turns],
            "ratio",
            peer="Great Expectations on one pandas frame, the same suite and nothing else",
            note=f"{turns[0][0]['rows']:,} claims",
        ),
        "over_pandera": Figure.median_of(
            [pandera["seconds"] / ours["seconds"] for ours, _, pandera in turns],
            "ratio",
            peer="pandera on one pandas frame, the same expectations and nothing else",
        ),
        "peak_gib": Figure(
            round(max(one["peak_gib"] for one in (first, *again)), 2), "GiB", note="resident, one process"
        ),
        "next_day_over_full": Figure.median_of(
            [one["seconds"] / first["seconds"] for one in again],
            "ratio",
            peer=f"the first: {first['seconds']:.1f} s",
            note=f"{again[0]['judged']} of {again[0]['months']} months had changed",
        ),
        "empty_reject_s": Figure.median_of(empty, "s", note="`fraud-ml validate`, the whole process"),
        "over_scan_limit": Figure(
            round(scanned["seconds"] / first["seconds"], 4), "ratio", peer="DuckDB reading the same Parquet once"
        ),
    }


# --- the claims -----------------------------------------------------------------------------------------------------


def _contract() -> Contract:
    """Return motor's contract without `erasure`; what that said of columns with several people still holds."""
    contract = load_contract("motor", PROJECT / "expectations")
    lists = {} if contract.erasure is None else contract.erasure.mentions
    columns = tuple(
        column.model_copy(update={"nothing": lists[column.name].nobody, "joined_by": lists[column.name].joined_by})
        if column.name in lists
        else column
        for column in contract.columns
    )
    return contract.model_copy(update={"erasure": None, "columns": columns})


def _lay_out(home: Path, claims: int, days: tuple[date, ...]) -> None:
    """Fold the claims as known on each of the days, a folder each."""
    contract = _contract()
    (home / "rows").mkdir(parents=True)
    cache = FoldCache(home / "fold-cache")
    for month, rows in rows_by_recorded_month(claims, contract, home / "rows"):
        (home / "log").mkdir(exist_ok=True)
        (home / "log" / f"{month}.parquet").write_bytes(to_parquet(rows))
    last = home / "log" / f"{days[0]:%Y-%m}.parquet"
    later = last.with_suffix(".later")
    last.rename(later)
    for file in (home / "log").glob("*.parquet"):  # of months after the day
        if file.stem > later.stem:
            file.unlink()
    for day in days:
        with connect(files=True) as duck:
            known = f"{scan([later])} WHERE recorded_at < TIMESTAMP '{day}' + INTERVAL 1 DAY"
            duck.execute(f"COPY ({known}) TO {text(str(last))} (FORMAT parquet)")
        files = {f"log/{file.name}": file_digest(file) for file in sorted((home / "log").glob("*.parquet"))}
        manifest = SnapshotManifest("motor", day.isoformat(), "", 0, files, ())
        folded = fold(home, manifest, contract, home / f"{day}", cache=cache)
        save(folded.manifest, home / f"{day}.json")
        save(dict(folded.inputs), home / f"{day}.inputs.json")


# --- processes of their own -----------------------------------------------------------------------------------------


def _alone(act: str, *places: Path) -> Any:
    found = in_own_process("benchmarks._validation_cost", act, *places)
    say(f"{act} {places[0].name}: {found}")
    return found


def _next_day(home: Path) -> Any:
    """Judge tomorrow's fold with what was kept of today's, and nothing of tomorrow's."""
    cache = home / "cache of the next day"
    shutil.rmtree(cache, ignore_errors=True)
    shutil.copytree(home / "cache", cache)
    return _alone("judge", home / "all" / f"{NEXT}", cache)


def _measured(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    begin = time.perf_counter()
    told = act()
    return {**told, "seconds": time.perf_counter() - begin, "peak_gib": peak_gib()}


def _judge(folder: Path, cache: Path | None) -> dict[str, Any]:
    """Judge the fold: the whole verdict with its report, TFDV and Data Docs, imports included."""
    from fraud_ml.validation.changed_months import EarlierFolds
    from fraud_ml.validation.months import table_of_fold
    from fraud_ml.validation.partial_cache import PartialCache
    from fraud_ml.validation.quarantine import write_quarantine
    from fraud_ml.validation.report import write_report
    from fraud_ml.validation.verdict import judge_table

    contract, manifest = _contract(), load(FoldManifest, folder.with_suffix(".json"))
    kept = PartialCache(cache) if cache else None
    made_of = json.loads(folder.with_suffix(".inputs.json").read_bytes())
    earlier = EarlierFolds(FoldCache(folder.with_name("fold-cache")), made_of)
    before = len(list(cache.rglob("*.json"))) if cache else 0
    report = folder.with_name("report")
    judgement = judge_table(
        table_of_fold(folder, manifest, contract, SnapshotKeys("", {}), rules=RULES, cache=kept, earlier=earlier),
        contract,
        load_params(PROJECT / "params.yaml").validation,
        rules=RULES,
        as_of=date.fromisoformat(manifest.as_of),
        subject_digest="",
        tfdv_python=Settings.load().tfdv_python,
        data_docs=report / "data_docs",
    )
    write_report(report, judgement, title=contract.title, dataset="motor", as_of=manifest.as_of)
    write_quarantine(judgement.set_aside, report / "quarantine.parquet")
    judged = len(list(cache.rglob("*.json"))) - before if cache else len(manifest.files)
    return {"rows": judgement.verdict.rows, "judged": judged, "months": len(manifest.files)}


def _asked(folder: Path) -> "tuple[pd.DataFrame, dict[str, Any]]":
    """Return all claims as one pandas frame, read from the same Parquet, and the suite as it is written."""
    import pandas as pd

    claims = pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))], ignore_index=True)
    return claims, json.loads((RULES / "suite.json").read_text(encoding="utf-8"))


def _pandera(folder: Path) -> dict[str, Any]:
    """Let pandera ask the suite's expectations."""
    from benchmarks._pandera_peer import broken

    claims, content = _asked(folder)
    return {"rows": len(claims), "broken": len(broken(claims, content["expectations"]))}


def _plain(folder: Path) -> dict[str, Any]:
    """Let Great Expectations validate the suite."""
    import great_expectations as gx

    claims, content = _asked(folder)
    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_pandas("snapshot").add_dataframe_asset("claims")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": claims})
    suite = context.suites.add(gx.ExpectationSuite(name="motor", expectations=content["expectations"]))
    return {"rows": len(claims), "results": len(batch.validate(suite, result_format="BASIC").results)}


def _scan(folder: Path) -> dict[str, Any]:
    files = sorted(folder.glob("*.parquet"))
    with connect(files=True) as duck:
        columns = ", ".join(f"max({quoted(name)})" for name in log_columns(_contract()))
        duck.execute(f"SELECT {columns} FROM ({scan(files)})").fetchall()
    return {}


def _empty(root: Path) -> float:
    """Return the seconds of `fraud-ml validate` on a pinned snapshot without a row."""
    shutil.rmtree(root, ignore_errors=True)
    workspace = Workspace(root)
    shutil.copytree(PROJECT / "expectations", workspace.expectations)
    shutil.copy(PROJECT / "params.yaml", workspace.params)
    contract = load_contract("carclaims", workspace.expectations)
    path = workspace.snapshot / "log" / "1994-01-01.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(to_parquet(log_schema(contract).empty_table()))
    name = path.relative_to(workspace.snapshot).as_posix()
    manifest = SnapshotManifest("carclaims", "1994-01-01", "", 0, {name: file_digest(path)}, ())
    save(replace(manifest, digest=manifest.content_digest()), workspace.snapshot_manifest)
    none_served(workspace, "carclaims")
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "fraud_ml", "validate"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "FRAUD_ML_HOME": str(root / "home")},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - begin


def _main(act: str, folder: Path, cache: Path | None = None) -> dict[str, Any]:
    acts: dict[str, Callable[[], dict[str, Any]]] = {
        "judge": lambda: _judge(folder, cache),
        "pandera": lambda: _pandera(folder),
        "plain": lambda: _plain(folder),
        "scan": lambda: _scan(folder),
    }
    return _measured(acts[act])


if __name__ == "__main__":
    print(json.dumps(_main(sys.argv[1], *map(Path, sys.argv[2:]))))
