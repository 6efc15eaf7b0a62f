"""Snapshots: the prefix of the claim log recorded up to a date, frozen once, pinned by version, folded into claims.

A snapshot's folder holds manifest.json and immutable Parquet partitions by recorded time: one file for each month that
was over on the as-of date (`log/2025-11.parquet`), one for each day of a month that was not (`log/2025-12-03.parquet`).
The same date gives the same bytes in whatever order and batches the claims were landed, and consecutive dates share
their closed months.
"""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.artifacts import SnapshotManifest, Workspace, file_digest, load, save
from fraud_ml.contract import Contract
from fraud_ml.data.log import BatchManifest, ClaimLog, LogObject, recorded_until
from fraud_ml.data.parquet import by_recorded_day, by_recorded_month, to_parquet
from fraud_ml.data.tables import fold_rows, merge_files
from fraud_ml.data.versions import MANIFEST, SnapshotRegistry, Version
from fraud_ml.errors import BadInput, Tampered, Unavailable
from fraud_ml.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_ROWS_IN_MEMORY = 500_000  # rows merged at once, unless a single month has more


@dataclass(frozen=True)
class Frozen:
    """A snapshot version; `created` is False when the same content had been frozen for that date before."""

    manifest: SnapshotManifest
    tag: str
    git_rev: str
    created: bool


@dataclass(frozen=True)
class Snapshot:
    """A pinned snapshot whose every byte was compared with its manifest."""

    folder: Path
    manifest: SnapshotManifest
    contract: Contract

    def claims(self) -> "pd.DataFrame":
        """Return the claims as known on the as-of date, one row a claim, sorted by key.

        Columns: the contract's in its order (category -> str with NaN for missing, number -> float64, timestamp ->
        datetime64[us]), then event_time and recorded_at (datetime64[us], UTC) unless the contract has them already.
        """
        from pyarrow import parquet

        files = [self.folder / name for name in sorted(self.manifest.files)]
        held = set(parquet.read_schema(files[0]).names)
        absent = [name for name in self.contract.names if name not in held]
        if absent:
            raise BadInput(
                f"the snapshot of `{self.manifest.dataset}` as of {self.manifest.as_of} has no column `{absent[0]}`",
                expected="the columns of the contract it was landed with",
                next_step="take the column out of the contract, or land and freeze the claims with it",
            )
        frame: pd.DataFrame = fold_rows(files, self.contract).to_pandas()
        return frame


def freeze(settings: Settings, contract: Contract, as_of: date) -> Frozen:
    """Version everything the log says was recorded on or before `as_of` (UTC). Freezing a date again changes nothing.

    Raises BadInput when nothing was recorded by then, Tampered naming the log object whose bytes differ from its
    manifest, Unavailable when S3 or the registry is not there.
    """
    log, registry = ClaimLog(settings, contract), SnapshotRegistry(settings)
    with registry.locked():
        committed = log.batches()
        batches = tuple(batch for batch in committed if recorded_until(batch, as_of))
        if not batches:
            raise _nothing_recorded(contract, as_of, committed)
        known = [version for version in registry.versions(contract.dataset) if version.as_of == as_of.isoformat()]
        for version in known:
            manifest = registry.manifest(version)
            if manifest.batches == tuple(batch.id for batch in batches):  # batches never change, so nothing has
                return _frozen(version, manifest, created=False)
        folder = registry.scratch / "snapshot"
        manifest = lay_out(log, contract, as_of, batches, folder)
        for version in known:
            if version.digest == manifest.digest:
                return _frozen(version, registry.manifest(version), created=False)
        version = registry.record(folder, manifest, revision=len(known) + 1)
        return _frozen(version, manifest, created=True)


def list_versions(settings: Settings, dataset: str) -> tuple[Version, ...]:
    """Return the dataset's frozen versions, oldest date first."""
    return SnapshotRegistry(settings).versions(dataset)


def show_version(settings: Settings, dataset: str, as_of: str) -> tuple[Version, SnapshotManifest]:
    """Return a version and its manifest; needs neither S3 nor DVC."""
    registry = SnapshotRegistry(settings)
    version = registry.version(dataset, as_of)
    return version, registry.manifest(version)


def verify_version(settings: Settings, dataset: str, as_of: str, *, remote: bool) -> int:
    """Hash every file of a version in the cache and, if asked, in the remote. Return how many copies are whole.

    Raises Tampered naming the first that is not.
    """
    registry = SnapshotRegistry(settings)
    version = registry.version(dataset, as_of)
    with tempfile.TemporaryDirectory(prefix="fraud-ml-verify-") as scratch:
        registry.materialise(version, Path(scratch))
        manifest = verify_folder(Path(scratch))
    return len(manifest.files) + 1 + (registry.check_remote(version) if remote else 0)


def pin_snapshot(settings: Settings, dataset: str, as_of: date | str, workspace: Workspace) -> SnapshotManifest:
    """Bring a version into `workspace.snapshot`, every byte compared with its manifest; nothing happens if it is there.

    `as_of` is an ISO date, or `<date>.r2` for a restated one. Works from the local cache without S3, otherwise pulls.
    Raises BadInput naming the versions that exist, Tampered naming the file, Unavailable when the bytes are nowhere.
    """
    registry = SnapshotRegistry(settings)
    version = registry.version(dataset, as_of if isinstance(as_of, str) else as_of.isoformat())
    if _is_pinned(workspace.snapshot, version):
        return registry.manifest(version)
    scratch = workspace.snapshot.with_name(".pinning")
    if scratch.exists():  # a killed pin left it
        shutil.rmtree(scratch)
    fresh = scratch / "snapshot"
    fresh.mkdir(parents=True)
    registry.materialise(version, fresh)
    manifest = verify_folder(fresh)
    if workspace.snapshot.exists():
        workspace.snapshot.rename(scratch / "before")
    fresh.rename(workspace.snapshot)
    shutil.rmtree(scratch)
    return manifest


def open_snapshot(folder: Path, contract: Contract) -> Snapshot:
    """Return the snapshot in `folder`. Raises Tampered naming the changed file, Unavailable when none is there."""
    manifest = verify_folder(folder)
    if manifest.dataset != contract.dataset:
        raise BadInput(f"{folder} holds claims of another dataset", expected=contract.dataset, arrived=manifest.dataset)
    return Snapshot(folder, manifest, contract)


def verify_folder(folder: Path) -> SnapshotManifest:
    """Return the folder's manifest if every file is the one it names, and there is no other. Raises Tampered."""
    path = folder / MANIFEST
    if not path.is_file():
        raise Unavailable(f"{path} is not there", next_step="pin a snapshot first: fraud-ml pin DATASET AS_OF")
    try:
        manifest = load(SnapshotManifest, path)
        whole = manifest.digest == manifest.content_digest()
    except (BadInput, AttributeError, TypeError, ValueError):
        whole = False
    if not whole:
        raise Tampered(
            f"{path} was changed: its digest is not that of its content", next_step="pin again", path=str(path)
        )
    found = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir()} - {MANIFEST}
    for name in sorted(found ^ set(manifest.files)):
        what = "is missing" if name in manifest.files else "is not part of the snapshot"
        raise Tampered(f"{folder / name} {what}", next_step="pin the snapshot again", path=str(folder / name))
    for name, expected in sorted(manifest.files.items()):
        if file_digest(folder / name) != expected:
            raise Tampered(
                f"{folder / name} was changed after it was frozen",
                next_step="pin the snapshot again",
                path=str(folder / name),
            )
    return manifest


# --- inside ---------------------------------------------------------------------------------------------------------


def lay_out(
    log: ClaimLog, contract: Contract, as_of: date, batches: tuple[BatchManifest, ...], folder: Path
) -> SnapshotManifest:
    """Write the snapshot of `batches` at `as_of` into `folder`: partitions and manifest, whatever the log's place."""
    files: dict[str, str] = {}
    total = 0
    for objects in _by_months(batches, as_of):
        with tempfile.TemporaryDirectory(prefix="objects-", dir=folder.parent) as scratch:
            rows = merge_files(log.fetch(objects, Path(scratch)), contract)
        total += rows.num_rows
        for name, part in _partitions(rows, as_of):
            path = folder / "log" / f"{name}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(to_parquet(part))
            files[path.relative_to(folder).as_posix()] = file_digest(path)
    manifest = SnapshotManifest(
        dataset=contract.dataset,
        as_of=as_of.isoformat(),
        digest="",
        rows=total,
        files=files,
        batches=tuple(batch.id for batch in batches),
        source_digests=tuple(sorted({batch.source_digest for batch in batches})),
    )
    manifest = replace(manifest, digest=manifest.content_digest())
    save(manifest, folder / MANIFEST)
    return manifest


def _by_months(batches: tuple[BatchManifest, ...], as_of: date) -> Iterator[list[tuple[BatchManifest, LogObject]]]:
    """Yield the log's objects in groups of whole recorded months, in order; a group fits into memory."""
    months: dict[str, list[tuple[BatchManifest, LogObject]]] = {}
    for batch in batches:
        for item in recorded_until(batch, as_of):
            months.setdefault(item.day[:7], []).append((batch, item))
    group: list[tuple[BatchManifest, LogObject]] = []
    for month in sorted(months):
        if group and sum(item.rows for _, item in (*group, *months[month])) > _ROWS_IN_MEMORY:
            yield group
            group = []
        group = [*group, *months[month]]
    if group:
        yield group


def _partitions(rows: "pa.Table", as_of: date) -> "Iterator[tuple[str, pa.Table]]":
    for month, part in by_recorded_month(rows):
        if _last_day(month) <= as_of:
            yield f"{month:%Y-%m}", part
        else:
            yield from ((day.isoformat(), rest) for day, rest in by_recorded_day(part))


def _last_day(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def _is_pinned(folder: Path, version: Version) -> bool:
    """Say whether `folder` already holds exactly this version; a damaged copy does not count."""
    if not (folder / MANIFEST).is_file() or file_digest(folder / MANIFEST) != version.manifest_sha256:
        return False
    try:
        verify_folder(folder)
    except Tampered:
        return False
    return True


def _frozen(version: Version, manifest: SnapshotManifest, *, created: bool) -> Frozen:
    return Frozen(manifest, version.tag, version.git_rev, created)


def _nothing_recorded(contract: Contract, as_of: date, committed: tuple[BatchManifest, ...]) -> BadInput:
    if not committed:
        return BadInput(
            f"the log of `{contract.dataset}` is empty",
            expected="landed claims",
            next_step=f"land some: fraud-ml land {contract.dataset} FILE",
        )
    first = min(batch.first_recorded for batch in committed)[:10]
    last = max(batch.last_recorded for batch in committed)[:10]
    return BadInput(
        f"nothing of `{contract.dataset}` was recorded on or before {as_of}",
        expected=f"a date from {first} on (the log ends {last})",
        next_step="choose such a date, or land the earlier claims",
    )
