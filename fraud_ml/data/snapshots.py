"""Snapshots: the prefix of the claim log recorded up to a date, frozen once, pinned by version, folded into claims.

A snapshot's folder holds manifest.json and immutable Parquet partitions by recorded time: one file for each month that
was over on the as-of date (`log/2025-11.parquet`), one for each day of a month that was not (`log/2025-12-03.parquet`).
The same date gives the same bytes in whatever order and batches the claims were landed, and consecutive dates share
their closed months.
"""

import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from fraud_ml.artifacts import SUBJECT_KEYS, SnapshotManifest, Workspace, file_digest, file_digests, load
from fraud_ml.contract import Contract
from fraud_ml.data.changes import Difference, compare
from fraud_ml.data.fold import Fold, fold, read_fold
from fraud_ml.data.fold_cache import FoldCache
from fraud_ml.data.layout import LAYOUT, MANIFEST, Reuse, in_groups, is_laid_from, lay_out
from fraud_ml.data.log import BatchManifest, ClaimLog, recorded_until
from fraud_ml.data.sealing import people_in
from fraud_ml.data.subject_keys import KeyRing, SnapshotKeys, read_keys, write_keys
from fraud_ml.data.versions import SnapshotRegistry, Version
from fraud_ml.errors import BadInput, Tampered, Unavailable
from fraud_ml.settings import Settings

if TYPE_CHECKING:
    import pandas as pd


class Reason(StrEnum):
    """Why a date has another version than the one before it."""

    LATE_ROWS = "late rows"  # rows of its past were landed since
    OTHER_LAYOUT = "other layout"  # the code lays the same rows out as other bytes


@dataclass(frozen=True)
class Frozen:
    """A snapshot version; `created` is False when the same content had been frozen for that date before.

    A revision says what it tells differently than the revision before it (`restated`), and why it was made. As long as
    `day_is_open`, rows may still be recorded on the as-of date; they would make a revision.
    """

    manifest: SnapshotManifest
    tag: str
    git_rev: str
    created: bool
    restated: Difference | None = None
    because: tuple[Reason, ...] = ()
    day_is_open: bool = False


@dataclass(frozen=True)
class Verified:
    """How many stored copies are what was frozen, by where they lie."""

    cached: int
    remote: int
    log: int
    folded: int

    @property
    def total(self) -> int:
        return self.cached + self.remote + self.log + self.folded


@dataclass(frozen=True)
class Snapshot:
    """A pinned snapshot whose every byte was compared with its manifest."""

    folder: Path
    manifest: SnapshotManifest
    contract: Contract
    given_keys: SnapshotKeys | None = None  # else those that lie beside the folder

    @property
    def keys(self) -> SnapshotKeys:
        """The keys that open its personal values."""
        if self.given_keys is not None:
            return self.given_keys
        return read_keys(self.folder.with_name(SUBJECT_KEYS), self.contract, snapshot_digest=self.manifest.digest)

    def claims(self) -> "pd.DataFrame":
        """Return the claims as known on the as-of date, one row a claim, sorted by key; columns as of `read_fold`."""
        with tempfile.TemporaryDirectory(prefix="fraud-ml-claims-") as scratch:
            folder = Path(scratch) / "claims"
            fold(self.folder, self.manifest, self.contract, folder)
            return read_fold(folder, self.contract, snapshot_digest=self.manifest.digest, keys=self.keys)

    def fold_into(self, folder: Path, cache: FoldCache | None) -> Fold:
        """Leave the claims in `folder`, folding only the months that the cache does not hold."""
        return fold(self.folder, self.manifest, self.contract, folder, cache=cache)


def freeze(settings: Settings, contract: Contract, as_of: date, *, now: datetime | None = None) -> Frozen:
    """Version everything the log says was recorded on or before `as_of` (UTC). Freezing a date again changes nothing.

    Where late rows, or code that lays rows out otherwise, give other bytes, they become a revision beside the first.

    now: the moment by which the day is over or not, with its offset; the clock's by default. Raises BadInput when
    nothing was recorded by then, Tampered naming the log object whose bytes differ from its manifest, Unavailable when
    S3 or the registry is not there.
    """
    import duckdb  # noqa: F401 - both lay rows out; imported before the registry is held
    import pyarrow.parquet  # noqa: F401

    log, registry = ClaimLog(settings, contract), SnapshotRegistry(settings)
    log.batches()  # read before the registry is held, and kept: then only what was landed meanwhile
    day_is_open = (now or datetime.now(UTC)).astimezone(UTC).date() <= as_of
    with registry.locked():
        committed = log.batches()
        batches = tuple(batch for batch in committed if recorded_until(batch, as_of))
        if not batches:
            raise _nothing_recorded(contract, as_of, committed)
        known = [known for known in registry.versions(contract.dataset) if known.as_of == as_of.isoformat()]
        for held in known:
            manifest = registry.manifest(held)
            if is_laid_from(manifest, batches):
                return _frozen(held, manifest, created=False, day_is_open=day_is_open)
        folder = registry.scratch / "snapshot"
        manifest = lay_out(log, contract, as_of, batches, folder, _reuse(registry, contract.dataset, as_of))
        for held in known:
            if held.digest == manifest.digest:
                return _frozen(held, registry.manifest(held), created=False, day_is_open=day_is_open)
        recorded = registry.record(folder, manifest, revision=len(known) + 1)
    frozen = _frozen(recorded, manifest, created=True, day_is_open=day_is_open)
    if not known:
        return frozen
    before = registry.manifest(known[-1])
    found = {
        Reason.LATE_ROWS: before.batches != manifest.batches,
        Reason.OTHER_LAYOUT: before.layout != manifest.layout,
    }
    return replace(
        frozen,
        restated=diff_versions(settings, contract, known[-1].name, recorded.name),
        because=tuple(reason for reason, holds in found.items() if holds),
    )


def list_versions(settings: Settings, dataset: str) -> tuple[Version, ...]:
    """Return the dataset's frozen versions, oldest date first."""
    return SnapshotRegistry(settings).versions(dataset)


def show_version(settings: Settings, dataset: str, as_of: str) -> tuple[Version, SnapshotManifest]:
    """Return a version and its manifest; needs neither S3 nor DVC."""
    registry = SnapshotRegistry(settings)
    version = registry.version(dataset, as_of)
    return version, registry.manifest(version)


def verify_version(settings: Settings, contract: Contract, as_of: str, *, remote: bool) -> Verified:
    """Hash everything a version consists of: the registry's git objects, manifest and tag, the cache, the fold cache,
    and, if `remote`, the objects in S3: DVC's, and the log's batch manifests and rows that it was frozen from.

    Raises Tampered naming the first file, object or reference that is not what was frozen.
    """
    registry = SnapshotRegistry(settings)
    registry.check_git()
    held = registry.version(contract.dataset, as_of)
    with tempfile.TemporaryDirectory(prefix="fraud-ml-verify-") as scratch:
        manifest = registry.materialise(held, Path(scratch))
    return Verified(
        cached=len(manifest.files) + 1,
        remote=registry.check_remote(held) if remote else 0,
        log=_check_log(ClaimLog(settings, contract), manifest) if remote else 0,
        folded=FoldCache(settings.fold_cache).verify(),
    )


def diff_versions(settings: Settings, contract: Contract, before: str, after: str) -> Difference:
    """Return what the version `after` holds that `before` does not, and the other way round; counts, never values."""
    registry = SnapshotRegistry(settings)
    versions = [registry.version(contract.dataset, name) for name in (before, after)]
    with tempfile.TemporaryDirectory(prefix="fraud-ml-diff-") as scratch:
        folders = [Path(scratch) / name for name in ("before", "after")]
        old, new = (
            (folder, registry.materialise(held, folder)) for held, folder in zip(versions, folders, strict=True)
        )
        return compare(old, new, contract, names=(before, after))


def pin_snapshot(settings: Settings, dataset: str, as_of: date | str, workspace: Workspace) -> SnapshotManifest:
    """Bring a version into `workspace.snapshot`, every byte compared with its manifest; nothing happens if it is there.

    `as_of` is an ISO date, or `<date>.r2` for a restated one. Works from the local cache without S3, otherwise pulls.
    Raises BadInput naming the versions that exist, Tampered naming the file, Unavailable when the bytes are nowhere.
    """
    registry = SnapshotRegistry(settings)
    return _bring(registry, registry.version(dataset, str(as_of)), workspace.snapshot)


def pin_keys(settings: Settings, contract: Contract, workspace: Workspace) -> str:
    """Leave the keys of everybody in the pinned snapshot beside it, readable by its owner alone; return the digest.

    The file is there, and empty, for a contract that erases nobody: stages depend on it. What was erased since an
    earlier pin has no key in it any more. Raises Unavailable when the object store does not answer, or its key ring
    lacks somebody.
    """
    write_keys(collect_keys(settings, contract, workspace.snapshot), workspace.subject_keys)
    return file_digest(workspace.subject_keys)


def collect_keys(settings: Settings, contract: Contract, folder: Path) -> SnapshotKeys:
    """Return the keys of everybody in the snapshot that lies in `folder`; nobody's where the contract erases nobody.

    Raises Unavailable when the object store does not answer, or its key ring lacks somebody.
    """
    import pyarrow as pa
    from pyarrow import parquet

    manifest, people = read_manifest(folder), {}
    if contract.erasure is not None:
        columns = [contract.erasure.subject, *contract.erasure.mentions]
        tables = [parquet.read_table(folder / name, columns=columns) for name in sorted(manifest.files)]
        wanted = people_in(pa.concat_tables(tables), contract.erasure)
        people = KeyRing(settings, contract.dataset).find(wanted)
        lost = [name for name in wanted if name not in people]
        if lost:
            raise Unavailable(
                f"the key ring of `{contract.dataset}` lacks {len(lost):,} of the snapshot's {len(wanted):,} people",
                next_step="restore its objects (subject-keys/ beside the log) from a backup",
            )
    return SnapshotKeys(manifest.digest, people)


def pull_snapshot(settings: Settings, dataset: str, as_of: str, folder: Path) -> SnapshotManifest:
    """Bring a version into a folder of one's own, as `pin_snapshot` does; another version there is replaced.

    Raises BadInput when the folder holds anything else than a snapshot.
    """
    if folder.exists() and not (folder / MANIFEST).is_file() and (folder.is_file() or any(folder.iterdir())):
        raise BadInput(
            f"{folder} holds something else than a snapshot",
            expected="a folder that is absent, empty, or holds a snapshot",
            next_step="choose another folder",
        )
    registry = SnapshotRegistry(settings)
    return _bring(registry, registry.version(dataset, as_of), folder.resolve())


def open_snapshot(folder: Path, contract: Contract, *, keys: SnapshotKeys | None = None) -> Snapshot:
    """Return the snapshot in `folder`, to be opened by `keys` or by those that were pinned beside it.

    Raises Tampered naming the changed file, Unavailable when none is there.
    """
    manifest = verify_folder(folder)
    if manifest.dataset != contract.dataset:
        raise BadInput(f"{folder} holds claims of another dataset", expected=contract.dataset, arrived=manifest.dataset)
    return Snapshot(folder, manifest, contract, keys)


def verify_folder(folder: Path) -> SnapshotManifest:
    """Return the folder's manifest if every file is the one it names, and there is no other. Raises Tampered."""
    manifest = read_manifest(folder)
    found = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if not file.is_dir()} - {MANIFEST}
    for name in sorted(found ^ set(manifest.files)):
        what = "is missing" if name in manifest.files else "is not part of the snapshot"
        raise Tampered(f"{folder / name} {what}", next_step="pin the snapshot again", path=str(folder / name))
    names = sorted(manifest.files)
    for name, arrived in zip(names, file_digests(folder / name for name in names), strict=True):
        if arrived != manifest.files[name]:
            raise Tampered(
                f"{folder / name} was changed after it was frozen",
                next_step="pin the snapshot again",
                path=str(folder / name),
            )
    return manifest


def read_manifest(folder: Path) -> SnapshotManifest:
    """Return the folder's manifest, whose digest is that of its content; the files it names are not looked at."""
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
    return manifest


# --- inside ---------------------------------------------------------------------------------------------------------


def _reuse(registry: SnapshotRegistry, dataset: str, as_of: date) -> Reuse:
    """Return a function that brings a partition, by its origin, from the versions just before and after the date.

    What was laid out otherwise than today is left alone.
    """
    versions = registry.versions(dataset)
    before = [held for held in versions if held.as_of <= as_of.isoformat()][-1:]
    after = [held for held in versions if held.as_of > as_of.isoformat()][:1]
    known: dict[str, tuple[str, str, Path]] = {}
    for held in (*after, *before):
        manifest, cached = registry.manifest(held), registry.cached_files(held)
        known |= {
            origin: (name, manifest.files[name], cached[name])
            for name, origin in manifest.laid_from.items()
            if name in cached and manifest.layout == LAYOUT
        }

    def reuse(origin: str, into: Path) -> str | None:
        if origin not in known:
            return None
        name, sha256, cached = known[origin]
        return registry.link(cached, into, name=name, sha256=sha256)

    return reuse


def _bring(registry: SnapshotRegistry, held: Version, into: Path) -> SnapshotManifest:
    if _is_pinned(into, held):
        return registry.manifest(held)
    scratch = into.with_name(f".{into.name}-pinning")
    if scratch.exists():  # a killed pin left it
        shutil.rmtree(scratch)
    fresh = scratch / "snapshot"
    manifest = registry.materialise(held, fresh)
    if into.exists():
        into.rename(scratch / "before")
    fresh.rename(into)
    shutil.rmtree(scratch)
    return manifest


def _check_log(log: ClaimLog, manifest: SnapshotManifest) -> int:
    """Hash the log's objects that the snapshot was frozen from, and their batches' manifests; return how many."""
    batches = {batch.id: batch for batch in log.batches()}
    for lost in sorted(set(manifest.batches) - set(batches)):
        url = log.manifest_url(lost)
        raise Tampered(f"{url} is not there any more", next_step="land its file again", path=url)
    as_of = date.fromisoformat(manifest.as_of)
    days = {
        f"{batch} {item.day}": [(batches[batch], item)]
        for batch in manifest.batches
        for item in recorded_until(batches[batch], as_of)
    }
    for group in in_groups(days):
        with tempfile.TemporaryDirectory(prefix="fraud-ml-log-") as scratch:
            log.fetch(group, Path(scratch))
    return len(days) + len(manifest.batches)


def _is_pinned(folder: Path, version: Version) -> bool:
    """Say whether `folder` already holds exactly this version; a damaged copy does not count."""
    if not (folder / MANIFEST).is_file() or file_digest(folder / MANIFEST) != version.manifest_sha256:
        return False
    try:
        verify_folder(folder)
    except Tampered:
        return False
    return True


def _frozen(version: Version, manifest: SnapshotManifest, *, created: bool, day_is_open: bool) -> Frozen:
    return Frozen(manifest, version.tag, version.git_rev, created, day_is_open=day_is_open)


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
