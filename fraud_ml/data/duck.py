"""Connections to DuckDB, and the quoting its SQL needs; every module that computes on rows opens one here."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any


def connect(*, files: bool = False, spill: Path | None = None, memory_mib: int = 0, threads: int = 0) -> Any:
    """Return a connection to an empty database in memory.

    files: it may read and write files. spill: folder for what exceeds `memory_mib`; 0 leaves DuckDB's own limits.
    """
    import duckdb

    config: dict[str, Any] = {"enable_external_access": files, "autoinstall_known_extensions": False}
    if spill is not None:
        config["temp_directory"] = str(spill)
    if memory_mib:
        config["memory_limit"] = f"{memory_mib}MiB"
    if threads:
        config["threads"] = threads
    return duckdb.connect(config=config)


def io_errors() -> tuple[type[Exception], ...]:
    """Return what is raised when a file cannot be read or written, here or by DuckDB: the disk is full, or gone."""
    import duckdb

    return OSError, duckdb.IOException


def scan(files: Iterable[Path], *, path_as: str = "") -> str:
    """Return SQL for all rows of the Parquet files; `path_as` names a further column with the file of each row."""
    listed = ", ".join(text(str(file)) for file in files)
    named = f", filename = {text(path_as)}" if path_as else ""
    return f"SELECT * FROM read_parquet([{listed}], hive_partitioning = false{named})"  # noqa: S608 - quoted


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
