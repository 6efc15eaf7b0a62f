"""Claims of insurers that do not exist. To add one: a module with `simulate`, and a row in SIMULATORS."""

import gzip
import importlib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

# dataset -> where its simulate(claims, seed=…, begin=…, end=…) stands
SIMULATORS = {
    "motor": "fraud_ml.data.simulator.motor:simulate",
}


def simulate(dataset: str, *, claims: int, seed: int, begin: date, end: date) -> "pd.DataFrame":
    """Return the log rows of `claims` simulated claims, recorded until `end`; equal arguments, equal rows."""
    if dataset not in SIMULATORS:
        raise BadInput(f"no simulator for dataset `{dataset}`", expected=f"one of {', '.join(SIMULATORS)}")
    if claims < 1:
        raise BadInput("too few claims to simulate", expected="1 or more", arrived=str(claims))
    module, name = SIMULATORS[dataset].split(":")
    run: Callable[..., pd.DataFrame] = getattr(importlib.import_module(module), name)
    return run(claims, seed=seed, begin=begin, end=end)


def write_rows(rows: "pd.DataFrame", path: Path) -> None:
    """Write `rows` as .csv, .csv.gz or .parquet: equal rows give equal bytes, and no reader sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    if path.name.endswith(".parquet"):
        rows.to_parquet(partial, index=False, compression="zstd")
    elif path.name.endswith((".csv", ".csv.gz")):
        text = rows.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%S", lineterminator="\n").encode()
        partial.write_bytes(gzip.compress(text, compresslevel=6, mtime=0) if path.suffix == ".gz" else text)
    else:
        raise BadInput(f"{path}: no way to write such a file", expected="a name ending in .csv, .csv.gz or .parquet")
    partial.replace(path)
