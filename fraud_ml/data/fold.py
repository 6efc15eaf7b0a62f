"""The fold: each claim once, as its latest row tells it, one event month at a time, so that memory never holds a table.

    claims/2025-11.parquet    the claims whose latest row says that they happened in that month, ordered by key
    claims/manifest.json      whose fold this is, and the SHA-256 of each file

It stays as the log is: where the contract can erase people, sealed; `read_fold` opens it in memory.
The same snapshot gives the same bytes, with any number of threads and whatever the cache holds. A correction may move a
claim to another month: which claims have rows of several months is found first, from keys and times alone, and in each
month those whose latest row lies elsewhere are left out (ADR 7). A month is folded again only when one of the log
partitions that hold its rows, or the set of claims that left it, is another one than before.
"""

# ruff: noqa: S608 - names are quoted, and values are paths and months of our own
import hashlib
import io
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fraud_ml.artifacts import (
    SUBJECT_KEYS,
    FoldManifest,
    SnapshotManifest,
    digest_of,
    file_digest,
    load,
    save,
    whole_folder,
)
from fraud_ml.contract import Contract
from fraud_ml.data.duck import connect, quoted, scan, text
from fraud_ml.data.fold_cache import FoldCache
from fraud_ml.data.sealing import open_rows
from fraud_ml.data.subject_keys import SnapshotKeys, read_keys
from fraud_ml.data.tables import EVENT_TIME, RECORDED_AT, log_columns, log_schema
from fraud_ml.errors import BadInput, Tampered, Unavailable

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MANIFEST = "manifest.json"

_FORMAT = 1  # raise it when the same inputs shall give other bytes
_MEMORY_MIB = 1024  # DuckDB's share; what exceeds it goes to disk
_ROWS_PER_GROUP = 128 * 1024


@dataclass(frozen=True)
class Fold:
    """A fold that was written; `reused` of its months came from the cache, byte-equal to folding them.

    inputs: file -> the digest of what that month is folded from, under which the cache keeps it.
    """

    manifest: FoldManifest
    folded: int
    reused: int
    inputs: Mapping[str, str]


@dataclass(frozen=True)
class _Plan:
    """What each event month is folded from."""

    files: Mapping[str, tuple[str, ...]]  # event month -> the log partitions that hold rows of it
    left: Mapping[str, str]  # event month -> digest of the keys whose latest row is in another month


def fold(
    snapshot: Path,
    manifest: SnapshotManifest,
    contract: Contract,
    into: Path,
    *,
    cache: FoldCache | None = None,
    threads: int = 0,
) -> Fold:
    """Write the fold of the snapshot in `snapshot` (whose bytes were verified) as the folder `into`, whole or not.

    threads: 0 for DuckDB's own choice; the bytes are the same. Raises BadInput when the snapshot lacks a column of the
    contract.
    """
    _require_columns(snapshot, manifest, contract)
    files: dict[str, str] = {}
    made_of: dict[str, str] = {}
    claims = folded = 0
    with whole_folder(into) as folder, tempfile.TemporaryDirectory(prefix="fraud-ml-fold-") as scratch:
        with connect(files=True, spill=Path(scratch), memory_mib=_MEMORY_MIB, threads=threads) as duck:
            plan = _plan(duck, snapshot, manifest, contract)
            for month in sorted(plan.files):
                target = folder / f"{month}.parquet"
                inputs = _inputs(month, plan, manifest, contract)
                rows = cache.take(inputs, target) if cache else None
                if rows is None:
                    rows = _fold_month(duck, month, [snapshot / name for name in plan.files[month]], contract, target)
                    folded += 1
                    if cache:
                        cache.keep(inputs, target, rows)
                claims += rows
                files[target.name] = file_digest(target)
                made_of[target.name] = inputs
        told = FoldManifest(
            dataset=manifest.dataset,
            as_of=manifest.as_of,
            snapshot_digest=manifest.digest,
            claims=claims,
            files=files,
        ).sealed()
        save(told, folder / MANIFEST)
    if cache:
        cache.trim()
    return Fold(told, folded, len(files) - folded, made_of)


def read_fold(
    folder: Path, contract: Contract, *, snapshot_digest: str, keys: SnapshotKeys | None = None
) -> "pd.DataFrame":
    """Return the claims of a fold, one row a claim, sorted by key, after comparing every byte with its manifest.

    keys: those that open the personal values; without them those beside the folder are taken. What was erased is null.

    Columns: the contract's in its order (category -> str with NaN for missing, number -> float64, timestamp ->
    datetime64[us]), then event_time and recorded_at (datetime64[us], UTC) unless the contract has them already.
    Raises Tampered naming the file that was changed, or that is the fold of another snapshot.
    """
    import pyarrow as pa
    from pyarrow import parquet

    manifest = verify_fold(folder)
    if manifest.snapshot_digest != snapshot_digest:
        raise Tampered(
            f"{folder} holds the claims of another snapshot",
            expected=f"{snapshot_digest[:12]}…",
            arrived=f"{manifest.snapshot_digest[:12]}…",
            next_step="run the validate stage again",
            path=str(folder / MANIFEST),
        )
    schema = log_schema(contract)
    months = [parquet.read_table(folder / name).cast(schema) for name in sorted(manifest.files)]
    if keys is None:
        keys = read_keys(folder.with_name(SUBJECT_KEYS), contract, snapshot_digest=snapshot_digest)
    rows = open_rows(pa.concat_tables(months).sort_by(contract.key), contract, keys)
    frame: pd.DataFrame = rows.to_pandas()
    return frame


def read_month(
    folder: Path, name: str, manifest: FoldManifest, contract: Contract, columns: Sequence[str] | None = None
) -> "pa.Table":
    """Return the rows of one file of a fold as they lie there, sealed; these columns, or all. Raises Tampered."""
    import pyarrow as pa
    from pyarrow import parquet

    content = (folder / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != manifest.files[name]:
        raise _changed(folder / name)
    rows = parquet.read_table(io.BytesIO(content), columns=columns)
    schema = log_schema(contract)
    return rows.cast(pa.schema([schema.field(column) for column in rows.column_names]))


def verified_month(folder: Path, name: str, manifest: FoldManifest) -> Path:
    """Return where a file of a fold lies, after comparing its bytes. Raises Tampered."""
    if file_digest(folder / name) != manifest.files[name]:
        raise _changed(folder / name)
    return folder / name


def verify_fold(folder: Path) -> FoldManifest:
    """Return the fold's manifest if every file is the one it names, and there is no other. Raises Tampered."""
    path = folder / MANIFEST
    if not path.is_file():
        raise Unavailable(f"{path} is not there", next_step="run the validate stage (`dvc repro`)")
    try:
        manifest = load(FoldManifest, path)
        whole = manifest.is_intact
    except (BadInput, AttributeError, TypeError, ValueError):
        whole = False
    if not whole:
        raise _changed(path)
    found = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir()} - {MANIFEST}
    for name in sorted(found | set(manifest.files)):
        if name not in manifest.files or name not in found or file_digest(folder / name) != manifest.files[name]:
            raise _changed(folder / name)
    return manifest


# --- inside ---------------------------------------------------------------------------------------------------------


def _require_columns(snapshot: Path, manifest: SnapshotManifest, contract: Contract) -> None:
    from pyarrow import parquet

    held = set(parquet.read_schema(snapshot / min(manifest.files)).names)
    absent = [name for name in log_columns(contract) if name not in held]
    if absent:
        raise BadInput(
            f"the snapshot of `{manifest.dataset}` as of {manifest.as_of} has no column `{absent[0]}`",
            expected="the columns of the contract it was landed with",
            next_step="take the column out of the contract, or land and freeze the claims with it",
        )


def _plan(duck: Any, snapshot: Path, manifest: SnapshotManifest, contract: Contract) -> _Plan:
    """Find where each event month's rows lie, and leave in table `away` the (month, claim) whose latest row does not.

    Keys are first told apart by a 64-bit hash, which keeps 10 million of them in a few hundred MiB; two keys that share
    one are looked at exactly, like the claims that moved, so a collision costs time and changes nothing.
    """
    key = quoted(contract.key)
    names = {str(snapshot / name): name for name in sorted(manifest.files)}
    log, placed = scan(map(Path, names)), scan(map(Path, names), path_as="__file")
    month = f"date_trunc('month', {EVENT_TIME})"
    found = duck.execute(f"SELECT DISTINCT strftime({month}, '%Y-%m'), __file FROM ({placed}) ORDER BY ALL").fetchall()
    files: dict[str, tuple[str, ...]] = {}
    for at, path in found:
        files[at] = (*files.get(at, ()), names[path])
    duck.execute(
        f"CREATE TEMP TABLE suspects AS SELECT hash({key}) AS suspect FROM ({log})"
        f" GROUP BY 1 HAVING min({month}) <> max({month})"
    )
    duck.execute(
        f"CREATE TEMP TABLE told AS SELECT {key} AS claim, strftime({month}, '%Y-%m') AS month,"
        f" {RECORDED_AT} AS known, {EVENT_TIME} AS happened FROM ({log}) WHERE hash({key}) IN (FROM suspects)"
    )
    duck.execute(
        "CREATE TEMP TABLE away AS SELECT DISTINCT month, claim FROM told JOIN"
        " (SELECT claim, arg_max(month, ROW(known, happened)) AS home FROM told GROUP BY claim) USING (claim)"
        " WHERE month <> home"
    )
    left = duck.execute(
        "SELECT month, sha256(string_agg(sha256(CAST(claim AS VARCHAR)), '' ORDER BY claim)) FROM away GROUP BY month"
    ).fetchall()
    return _Plan(files, dict(left))


def _inputs(month: str, plan: _Plan, manifest: SnapshotManifest, contract: Contract) -> str:
    """Return the digest of everything that a month's bytes depend on."""
    import duckdb

    return digest_of(
        {
            "format": [_FORMAT, duckdb.__version__],
            "month": month,
            "key": contract.key,
            "columns": [[field.name, str(field.type)] for field in log_schema(contract)],
            "partitions": [manifest.files[name] for name in plan.files[month]],
            "left": plan.left.get(month, ""),
        }
    )


def _fold_month(duck: Any, month: str, files: list[Path], contract: Contract, target: Path) -> int:
    """Write the month's claims, ordered by key, and return how many there are.

    When each claim's latest moment is known, its row is looked up: that is cheaper than a window over whole rows.
    """
    key = quoted(contract.key)
    first = date.fromisoformat(f"{month}-01")
    after = (first + timedelta(days=31)).replace(day=1)
    rows = f"({scan(files)}) WHERE {EVENT_TIME} >= TIMESTAMP '{first}' AND {EVENT_TIME} < TIMESTAMP '{after}'"
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE latest AS SELECT {key}, max({RECORDED_AT}) AS {RECORDED_AT} FROM {rows}"
        f" AND {key} NOT IN (SELECT claim FROM away WHERE month = '{month}') GROUP BY {key}"
    )
    claims: int = duck.execute("SELECT count(*) FROM latest").fetchall()[0][0]
    columns = ", ".join(quoted(name) for name in log_columns(contract))
    found = f"SELECT {columns} FROM (SELECT * FROM {rows}) SEMI JOIN latest USING ({key}, {RECORDED_AT})"
    if _copy(duck, f"{found} ORDER BY {key}", target) > claims:  # a moment is told in two ways: the log refuses that
        ties = ", ".join(f"{quoted(name)} DESC NULLS LAST" for name in (EVENT_TIME, *log_columns(contract)))
        _copy(
            duck, f"{found} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {ties}) = 1 ORDER BY {key}", target
        )
    return claims


def _copy(duck: Any, query: str, target: Path) -> int:
    options = f"FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE {_ROWS_PER_GROUP}"
    written: int = duck.execute(f"COPY ({query}) TO {text(str(target))} ({options})").fetchall()[0][0]
    return written


def _changed(path: Path) -> Tampered:
    return Tampered(
        f"{path} is not what the validate stage wrote", next_step="run the validate stage again", path=str(path)
    )
