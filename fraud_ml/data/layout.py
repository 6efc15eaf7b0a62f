"""How a prefix of the claim log lies in a folder: Parquet by recorded time, the same bytes for the same rows.

One file for each month that was over on the as-of date, one for each day of a month that was not. What was laid out for
another date from the same log objects is not laid out again.
"""

import hashlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.artifacts import SnapshotManifest, digest_of, save
from fraud_ml.contract import Contract
from fraud_ml.data.log import BatchManifest, ClaimLog, LogObject, recorded_until
from fraud_ml.data.parquet import by_recorded_day, by_recorded_month, to_parquet
from fraud_ml.data.tables import log_schema, merge_files
from fraud_ml.settings import PROJECT

if TYPE_CHECKING:
    import pyarrow as pa

MANIFEST = "manifest.json"
LAYOUT = 1  # raise it with every change, of ours or of a library, that gives the same rows other bytes

# Brings the partition of an origin to a path and returns the SHA-256 that it was found to have; None when it has none.
Reuse = Callable[[str, Path], str | None]

_ROWS_IN_MEMORY = 500_000  # rows merged at once, unless a single month has more


def lay_out(
    log: ClaimLog,
    contract: Contract,
    as_of: date,
    batches: tuple[BatchManifest, ...],
    folder: Path,
    reuse: Reuse | None = None,
) -> SnapshotManifest:
    """Write the partitions of the log's prefix, and their manifest, into `folder`.

    A partition whose log objects are those of a known one is taken from there; the others are merged, as many at a time
    as fit into memory.
    """
    objects: dict[str, list[tuple[BatchManifest, LogObject]]] = {}
    for batch in batches:
        for item in recorded_until(batch, as_of):
            objects.setdefault(_partition_of(date.fromisoformat(item.day), as_of), []).append((batch, item))
    laid_from = {_file(name): _origin(found, contract) for name, found in objects.items()}
    (folder / "log").mkdir(parents=True)
    files = {name: sha256 for name, origin in laid_from.items() if reuse and (sha256 := reuse(origin, folder / name))}
    for group in in_groups({name: found for name, found in objects.items() if _file(name) not in files}):
        with tempfile.TemporaryDirectory(prefix="objects-", dir=folder.parent) as scratch:
            rows = merge_files(log.fetch(group, Path(scratch)), contract)
        for partition, part in _partitions(rows, as_of):
            content = to_parquet(part)
            (folder / _file(partition)).write_bytes(content)
            files[_file(partition)] = hashlib.sha256(content).hexdigest()
    manifest = SnapshotManifest(
        dataset=contract.dataset,
        as_of=as_of.isoformat(),
        digest="",
        rows=sum(_rows(folder / name) for name in laid_from),
        files=dict(sorted(files.items())),
        batches=tuple(batch.id for batch in batches),
        source_digests=tuple(sorted({batch.source_digest for batch in batches})),
        laid_from=laid_from,
        code_version=code_version(),
        layout=LAYOUT,
    )
    manifest = replace(manifest, digest=manifest.content_digest())
    save(manifest, folder / MANIFEST)
    return manifest


def is_laid_from(manifest: SnapshotManifest, batches: tuple[BatchManifest, ...]) -> bool:
    """Say whether laying out these batches would give the manifest's bytes: neither a batch nor a layout changes."""
    return manifest.layout == LAYOUT and manifest.batches == tuple(batch.id for batch in batches)


@cache
def code_version() -> str:
    """Return the version of this program, with the git commit where it runs from a checkout."""
    told = metadata.version("fraud-ml")
    head = subprocess.run(["git", "-C", str(PROJECT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return f"{told}+{head.stdout.strip()}" if head.returncode == 0 else told


# --- inside ---


def _origin(objects: list[tuple[BatchManifest, LogObject]], contract: Contract) -> str:
    """Return the digest of what a partition's bytes depend on: its log objects, in any order, and the columns."""
    columns = [[column.name, str(column.type)] for column in log_schema(contract)]
    return digest_of({"objects": sorted(item.sha256 for _, item in objects), "columns": columns, "key": contract.key})


def in_groups(
    partitions: dict[str, list[tuple[BatchManifest, LogObject]]],
) -> Iterator[list[tuple[BatchManifest, LogObject]]]:
    """Yield the objects of whole partitions, in order; a group fits into memory."""
    group: list[tuple[BatchManifest, LogObject]] = []
    for name in sorted(partitions):
        if group and sum(item.rows for _, item in (*group, *partitions[name])) > _ROWS_IN_MEMORY:
            yield group
            group = []
        group = [*group, *partitions[name]]
    if group:
        yield group


def _partitions(rows: "pa.Table", as_of: date) -> "Iterator[tuple[str, pa.Table]]":
    for month, part in by_recorded_month(rows):
        if _last_day(month) <= as_of:
            yield f"{month:%Y-%m}", part
        else:
            yield from ((day.isoformat(), rest) for day, rest in by_recorded_day(part))


def _partition_of(day: date, as_of: date) -> str:
    return f"{day:%Y-%m}" if _last_day(day) <= as_of else day.isoformat()


def _file(partition: str) -> str:
    return f"log/{partition}.parquet"


def _rows(path: Path) -> int:
    from pyarrow import parquet

    rows: int = parquet.read_metadata(path).num_rows
    return rows


def _last_day(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
