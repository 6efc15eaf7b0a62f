"""Claims of insurers that do not exist. To add one: a module with `stream`, and a row in SIMULATORS."""

import gzip
import importlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud_ml.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

# dataset -> a module whose stream(claims, per_month=…, seed=…, begin=…, end=…) yields parts: rows, truth, month, first
SIMULATORS = {
    "motor": "fraud_ml.data.simulator.motor",
}


def simulate(dataset: str, *, claims: int, seed: int, begin: date, end: date) -> "pd.DataFrame":
    """Return the log rows of `claims` simulated claims, recorded until `end`; equal arguments, equal rows."""
    return simulate_with_truth(dataset, claims=claims, seed=seed, begin=begin, end=end)[0]


def simulate_with_truth(
    dataset: str, *, claims: int | None = None, per_month: int | None = None, seed: int, begin: date, end: date
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Return the log rows in the order they were recorded, and beside them what is true: one row a claim."""
    import pyarrow as pa

    parts = list(stream(dataset, claims=claims, per_month=per_month, seed=seed, begin=begin, end=end))
    rows = pa.concat_tables([part.rows for part in parts])
    truth: pd.DataFrame = pa.concat_tables([part.truth for part in parts]).to_pandas()
    return rows.sort_by([("recorded_at", "ascending"), ("claim_id", "ascending")]).to_pandas(), truth


def stream(
    dataset: str, *, claims: int | None = None, per_month: int | None = None, seed: int, begin: date, end: date
) -> Iterator[Any]:
    """Yield the same log part by part; memory does not grow with the number of claims.

    Give either `claims`, how many are opened in all, or `per_month`, how many in a month of 21 working days and mean
    season: then a log that ends later begins with the one that ended with an earlier month.
    """
    if dataset not in SIMULATORS:
        raise BadInput(f"no simulator for dataset `{dataset}`", expected=f"one of {', '.join(SIMULATORS)}")
    if (claims is None) == (per_month is None):
        raise BadInput(
            "the number of claims is not clear",
            expected="either the number in all, or the number in a month",
            arrived="neither" if claims is None else "both",
            next_step="give one of them",
        )
    if (claims or per_month or 0) < 1:
        raise BadInput("too few claims to simulate", expected="1 or more", arrived=str(claims or per_month))
    run = importlib.import_module(SIMULATORS[dataset]).stream
    parts: Iterator[Any] = run(claims, per_month=per_month, seed=seed, begin=begin, end=end)
    return parts


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
