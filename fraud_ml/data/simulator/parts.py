"""A simulated log too large for memory: part files in a folder, and the truth in one file beside it."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud_ml.artifacts import whole_folder
from fraud_ml.data.simulator import stream
from fraud_ml.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

Say = Callable[[str], None]


class PartFormat(StrEnum):
    PARQUET = "parquet"
    CSV = "csv"


@dataclass(frozen=True)
class Written:
    """What stands in the folder now."""

    folder: str
    files: int
    claims: int
    rows: int


def write_parts(
    dataset: str,
    folder: Path,
    *,
    claims: int | None = None,
    per_month: int | None = None,
    seed: int,
    begin: date,
    end: date,
    form: PartFormat = PartFormat.PARQUET,
    truth: Path | None = None,
    say: Say,
) -> Written:
    """Write the log into `folder`, one file a part, named so that they sort by month of opening; say what is done.

    A part's rows are in the order they were recorded; a claim's rows are all in one part. Equal arguments give equal
    bytes. The folder appears when it is whole, and so does `truth` (.parquet or .csv).
    Raises BadInput when the folder holds something already, or for a truth file of another kind.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} holds something already", expected="a new or empty folder", next_step="name another")
    parts = stream(dataset, claims=claims, per_month=per_month, seed=seed, begin=begin, end=end)
    files, done, rows, began = 0, 0, 0, time.monotonic()
    with ExitStack() as stack:
        told = stack.enter_context(_OneFile(truth)) if truth else None
        partial = stack.enter_context(whole_folder(folder))
        for part in parts:
            _write(part.rows, partial / f"part-{part.month}-{part.first:09d}.{form}")
            if told:
                told.add(part.truth)
            files, done, rows = files + 1, done + part.truth.num_rows, rows + part.rows.num_rows
            say(f"{part.month}: {done:,} claims, {rows:,} rows, {time.monotonic() - began:,.0f} s")
    return Written(str(folder), files, done, rows)


class _OneFile:
    """A file that grows table by table and appears when it is whole."""

    def __init__(self, path: Path) -> None:
        if path.suffix not in (".parquet", ".csv"):
            raise BadInput(f"{path}: no way to write the truth so", expected="a name ending in .parquet or .csv")
        self._path, self._partial = path, path.with_name(f".{path.name}.partial")
        self._writer: Any = None

    def __enter__(self) -> "_OneFile":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def add(self, table: "pa.Table") -> None:
        from pyarrow import csv, parquet

        if self._writer is None:
            kind: Any = parquet.ParquetWriter if self._path.suffix == ".parquet" else csv.CSVWriter
            self._writer = kind(self._partial, table.schema)
        self._writer.write_table(table)

    def __exit__(self, kind: object, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
        if kind is None:
            self._partial.replace(self._path)
        else:
            self._partial.unlink(missing_ok=True)


def _write(rows: "pa.Table", path: Path) -> None:
    from pyarrow import csv, parquet

    if path.suffix == ".parquet":
        parquet.write_table(rows, path, compression="zstd", compression_level=1)
    else:
        csv.write_csv(rows, path, csv.WriteOptions(quoting_style="none"))
