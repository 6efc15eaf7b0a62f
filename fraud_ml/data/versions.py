"""The registry of frozen snapshots: a git repository of DVC pointers, an annotated tag a version; the owner of dvc.

    claims/<dataset>/snapshot.dvc     DVC's pointer to the data (cache beside the registry, remote in S3)
    claims/<dataset>/manifest.json    a copy of the snapshot's manifest, so that listing needs no data
    tag claims/<dataset>/<as-of>      the version; its message holds the manifest's SHA-256 and its digest

When rows of its past were landed late, or code lays rows out otherwise, the same date freezes to other bytes. The first
version stays what it was, the new one is tagged `claims/<dataset>/<as-of>.r2` (git cannot hold `<as-of>` and
`<as-of>/r2` at once).
A version exists when its tag does, and the tag is written last: whatever a killed freeze leaves behind is cleared by
the next one. DVC moves the bytes; it does not notice when they change, so every byte is hashed here.
"""

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from fraud_ml.artifacts import SnapshotManifest, file_digest, file_digests, load
from fraud_ml.data.layout import MANIFEST
from fraud_ml.errors import BadInput, FraudMLError, Tampered, Unavailable
from fraud_ml.objects import ObjectStore
from fraud_ml.settings import Settings

_LOCK_SECONDS = 600
_LOCK_POLL_SECONDS = 0.02  # a freeze of a day takes one
# What DVC imports only when it adds and pushes, in the order in which it does: two thirds of a second.
_LOADED_LATE = (
    "dvc.repo",
    "dvc.repo.artifacts",
    "dvc.repo.datasets",
    "dvc.repo.index",
    "dvc.repo.metrics",
    "dvc.repo.params",
    "dvc.repo.plots",
    "dvc.repo.stage",
    "dvc.repo.worktree",
    "dvc.cachemgr",
    "dvc.data_cloud",
    "dvc.rwlock",
    "dvc.scm",
    "dvc.utils.strictyaml",
    "dvc_data.hashfile.db.index",
    "dvc_data.hashfile.db.local",
    "dvc_data.hashfile.status",
    "dvc_data.index.checkout",
    "dvc_data.index.push",
    "networkx",
)
_VERSION = re.compile(r"(?P<as_of>\d{4}-\d{2}-\d{2})(?:\.r(?P<revision>\d+))?")
_DAMAGED = re.compile(r"\.git/(objects/\S+?)(?=[\s:;)]|$)|\b(refs/\S+?)(?=[\s:;)]|$)|index file")  # in what fsck says
_CONFIG = """[core]
    analytics = false
    check_update = false
    autostage = false
    remote = store
['remote "store"']
    url = {remote}
"""
_GIT_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,  # a person's hooks, signing and line endings are none of the registry's
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "fraud-ml",
    "GIT_AUTHOR_EMAIL": "fraud-ml@localhost",
    "GIT_COMMITTER_NAME": "fraud-ml",
    "GIT_COMMITTER_EMAIL": "fraud-ml@localhost",
}


@dataclass(frozen=True)
class Version:
    """One frozen snapshot, as its tag tells it."""

    dataset: str
    as_of: str  # ISO date
    revision: int  # 1, or 2 … where the same date gave other bytes
    tag: str
    git_rev: str
    frozen_at: str
    manifest_sha256: str
    digest: str
    rows: int

    @property
    def name(self) -> str:
        return version_name(self.as_of, self.revision)


def version_name(as_of: str, revision: int) -> str:
    return as_of if revision == 1 else f"{as_of}.r{revision}"


class SnapshotRegistry:
    """The registry at `settings.snapshot_registry`. Reading it needs no lock; `record` is called inside `locked()`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.root = settings.snapshot_registry.resolve()
        self.cache = settings.home / "snapshot-cache"
        self.scratch = self.root.with_name(f".{self.root.name}-scratch")  # empty whenever the lock is taken

    # --- reading ---

    def versions(self, dataset: str) -> tuple[Version, ...]:
        """Return the dataset's versions, oldest date first."""
        if not (self.root / ".git").is_dir():
            return ()
        fields = "%(refname:strip=2)%00%(*objectname)%00%(taggerdate:iso-strict)%00%(contents)%01"
        told = self._git("for-each-ref", f"--format={fields}", f"refs/tags/claims/{dataset}/")
        found = [_parse_tag(dataset, record.strip("\n")) for record in told.split("\x01") if record.strip("\n")]
        return tuple(sorted((version for version in found if version), key=lambda v: (v.as_of, v.revision)))

    def version(self, dataset: str, name: str) -> Version:
        """Return the version called `name` (an ISO date, or `<date>.r2`). Raises BadInput naming those that exist."""
        versions = self.versions(dataset)
        wanted = next((version for version in versions if version.name == name), None)
        if wanted is None:
            names = [version.name for version in versions]
            shown = ", ".join(names if len(names) <= 8 else [*names[:3], "…", *names[-4:]])
            raise BadInput(
                f"no snapshot of `{dataset}` as of {name}",
                expected=f"one of {shown}" if names else "a frozen date; none is frozen yet",
                next_step=f"freeze it: fraud-ml snapshot freeze {dataset} {name[:10]}",
            )
        return wanted

    def manifest(self, version: Version) -> SnapshotManifest:
        """Return the version's manifest from git. Raises Tampered when it is not the one its tag was written for."""
        content = self._git_bytes("show", f"{version.git_rev}:claims/{version.dataset}/{MANIFEST}")
        if hashlib.sha256(content).hexdigest() != version.manifest_sha256:
            raise Tampered(f"{MANIFEST} of {version.tag} is not the one that was tagged", path=version.tag)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / MANIFEST
            path.write_bytes(content)
            return load(SnapshotManifest, path)

    def size_bytes(self, version: Version) -> int:
        """Return how many bytes the version's files have together, as DVC's pointer tells."""
        return int(self._out(version)["size"])

    # --- bytes ---

    def materialise(self, version: Version, folder: Path) -> SnapshotManifest:
        """Copy the version's files into the empty `folder`, from the cache and, what is not there, from the remote.

        Every byte in `folder` was compared with the manifest, which is returned. Raises Tampered naming the cached or
        remote object whose bytes are not those of the manifest, and Unavailable when an object is in neither.
        """
        manifest = self.manifest(version)
        expected = {**manifest.files, MANIFEST: version.manifest_sha256}
        listing = self._listing(version)
        if set(listing) != set(expected):
            raise Tampered(f"{version.tag}: DVC's list of files is not that of the manifest", path=version.tag)
        present = {name for name, oid in listing.items() if self._cached(oid).is_file()}
        self._copy({name: listing[name] for name in sorted(present)}, expected, folder, fetched=False)
        absent = {name: oid for name, oid in listing.items() if name not in present}
        if absent:
            self._fetch(version)
            self._copy(absent, expected, folder, fetched=True)
        return manifest

    def cached_files(self, version: Version) -> dict[str, Path]:
        """Return where the cache keeps each of the version's files; what it lacks is left out. Nothing is hashed."""
        if not self._cached(self._pointer(version)).is_file():
            return {}
        found = {name: self._cached(oid) for name, oid in self._listing(version).items()}
        return {name: path for name, path in found.items() if path.is_file()}

    @staticmethod
    def link(cached: Path, into: Path, *, name: str, sha256: str) -> str:
        """Make `into` the cached file and return its SHA-256. Raises Tampered naming it when its bytes are others."""
        if file_digest(cached) != sha256:
            raise _changed(str(cached), name)
        try:
            os.link(cached, into)  # a freeze only reads what it has laid out, and DVC keeps its cache read-only
        except OSError:  # another file system
            shutil.copyfile(cached, into)
        return sha256

    def check_git(self) -> None:
        """Have git hash its objects and follow its references. Raises Tampered naming the first that is damaged."""
        if not (self.root / ".git").is_dir():
            return
        run = self._run_git("fsck", "--full", "--no-dangling", "--no-progress")
        if run.returncode:
            said = run.stderr.decode(errors="replace")
            named = _DAMAGED.search(said)
            path = self.root / ".git" / (named[1] or named[2] or "index" if named else "")
            raise Tampered(
                f"{path} was changed: git cannot read what it wrote",
                next_step="restore it from a copy of the registry",
                path=str(path),
            )

    def check_remote(self, version: Version) -> int:
        """Hash the remote's copy of every file of the version; return how many. Raises Tampered naming the object."""
        listing = self._listing(version)
        expected = {**self.manifest(version).files, MANIFEST: version.manifest_sha256}
        for name, oid in listing.items():
            content = self._read_remote(oid)
            if hashlib.sha256(content).hexdigest() != expected[name]:
                raise _changed(self._remote_url(oid), name, version)
        self._check_remote_listing(version)
        return len(listing) + 1

    def _check_remote_listing(self, version: Version) -> None:
        pointer = self._pointer(version)
        if _md5(self._read_remote(pointer)) != pointer.removesuffix(".dir"):
            raise _changed(self._remote_url(pointer), "list of files", version)

    def _copy(self, objects: dict[str, str], expected: Any, folder: Path, *, fetched: bool) -> None:
        for name, oid in objects.items():
            cached = self._cached(oid)
            if not cached.is_file():
                raise Unavailable(
                    f"{name} is neither in the snapshot cache nor at {self._remote_url(oid)}",
                    next_step="restore the object, or freeze the date again from the log",
                )
            into = folder / name
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(cached, into)
        for (name, oid), arrived in zip(objects.items(), file_digests(folder / name for name in objects), strict=True):
            if arrived != expected[name]:
                cached = self._cached(oid)
                if fetched:  # so that mending the remote is enough
                    cached.unlink()
                raise _changed(self._remote_url(oid) if fetched else str(cached), name)

    def _listing(self, version: Version) -> dict[str, str]:
        """Return path -> DVC object id (an MD5) of the version's files."""
        pointer = self._pointer(version)
        cached = self._cached(pointer)
        is_cached = cached.is_file()
        content = cached.read_bytes() if is_cached else self._read_remote(pointer)
        if _md5(content) != pointer.removesuffix(".dir"):
            raise _changed(str(cached) if is_cached else self._remote_url(pointer), "list of files", version)
        return {item["relpath"]: item["md5"] for item in json.loads(content)}

    def _pointer(self, version: Version) -> str:
        oid: str = self._out(version)["md5"]
        return oid

    def _out(self, version: Version) -> dict[str, Any]:
        """Return what DVC's pointer says about the version's folder."""
        import yaml

        pointer = yaml.safe_load(self._git("show", f"{version.git_rev}:claims/{version.dataset}/snapshot.dvc"))
        out: dict[str, Any] = pointer["outs"][0]
        return out

    def _cached(self, oid: str) -> Path:
        """Return where DVC 3 keeps an object."""
        return self.cache / "files" / "md5" / oid[:2] / oid[2:]

    def _remote_url(self, oid: str) -> str:
        return f"{self._settings.snapshot_remote.rstrip('/')}/files/md5/{oid[:2]}/{oid[2:]}"

    def _read_remote(self, oid: str) -> bytes:
        url = self._remote_url(oid)
        if url.startswith("s3://"):
            return ObjectStore(self._settings).read(url)
        try:
            return Path(url).read_bytes()
        except OSError as error:
            raise Unavailable(
                f"the remote {self._settings.snapshot_remote} does not give {url} ({error.strerror})",
                next_step="mount or restore it, check FRAUD_ML_SNAPSHOT_REMOTE, or freeze the date again from the log",
            ) from None

    def _fetch(self, version: Version) -> None:
        """Let DVC bring the version's objects from the remote into the cache."""
        self._check_remote_listing(version)  # DVC would ask a dead server for half a minute
        with self.locked(), self._dvc(f"fetch {version.tag}") as repo:
            # relative: DVC looks for it in the revision, not in the working tree
            repo.fetch(targets=[f"claims/{version.dataset}/snapshot.dvc"], revs=[version.git_rev], workspace=False)

    # --- writing ---

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the registry: freezes and fetches of all processes take turns. A dead holder's lock is free at once.

        The lock is the kernel's (flock); the file holds the holder's process id, for people.
        """
        for name in _LOADED_LATE:  # takes seconds: before others have to wait
            import_module(name)
        self.root.parent.mkdir(parents=True, exist_ok=True)
        path = self.root.with_name(f"{self.root.name}.lock")
        with path.open("a+") as file:
            until = time.monotonic() + _LOCK_SECONDS
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        holder = path.read_text().strip()
                        raise Unavailable(
                            f"{self.root} is being written by process {holder} since {_LOCK_SECONDS} s",
                            next_step="wait for it",
                        ) from None
                    time.sleep(_LOCK_POLL_SECONDS)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            self._prepare()
            yield
            shutil.rmtree(self.scratch)

    def record(self, folder: Path, manifest: SnapshotManifest, revision: int) -> Version:
        """Version the files of `folder` (which is moved away): DVC add and push, git commit, and last the tag."""
        home = self.root / "claims" / manifest.dataset
        home.mkdir(parents=True, exist_ok=True)
        data = home / "snapshot"
        digest_of_manifest = file_digest(folder / MANIFEST)
        shutil.copyfile(folder / MANIFEST, home / MANIFEST)
        shutil.move(folder, data)
        tag = f"claims/{manifest.dataset}/{version_name(manifest.as_of, revision)}"
        with self._dvc(f"store {tag}") as repo:
            repo.add([str(data)])
            self._require_whole_cache(home / "snapshot.dvc", {**manifest.files, MANIFEST: digest_of_manifest})
            repo.push(targets=[str(home / "snapshot.dvc")])
        self._git("add", "--all", "--", f"claims/{manifest.dataset}")
        self._git(
            "commit", "--quiet", "--allow-empty", "--message", f"Freeze {manifest.dataset} as of {manifest.as_of}"
        )
        message = (
            f"{manifest.dataset} as known on {manifest.as_of}: {manifest.rows} rows\n\n"
            f"manifest-sha256: {digest_of_manifest}\nsnapshot-digest: {manifest.digest}\nrows: {manifest.rows}\n"
        )
        self._git("tag", "--annotate", "--message", message, tag)
        shutil.rmtree(data)  # the cache holds it
        return self.version(manifest.dataset, version_name(manifest.as_of, revision))

    def _require_whole_cache(self, pointer: Path, expected: Mapping[str, str]) -> None:
        """Raise Tampered when the cache held another content under one of the names: DVC would version that one."""
        import yaml

        listing = json.loads(self._cached(yaml.safe_load(pointer.read_text())["outs"][0]["md5"]).read_bytes())
        cached = {item["relpath"]: self._cached(item["md5"]) for item in listing}
        for name, arrived in zip(cached, file_digests(cached.values()), strict=True):
            if arrived != expected[name]:
                raise _changed(str(cached[name]), name)

    def _prepare(self) -> None:
        """Make the registry, or clear what a killed writer left in it. The lock is held."""
        if self.scratch.exists():
            shutil.rmtree(self.scratch)
        self.scratch.mkdir()
        dvc = self.root / ".dvc"
        dvc.mkdir(parents=True, exist_ok=True)
        if not (self.root / ".git" / "HEAD").is_file():
            self._git("init", "--quiet", "--initial-branch=main")
        for leftover in (*(self.root / ".git").rglob("*.lock"), dvc / "tmp" / "rwlock"):
            leftover.unlink(missing_ok=True)
        if self._git("for-each-ref", "refs/heads/main"):
            self._git("reset", "--quiet", "--hard", "main")
            self._git("clean", "--quiet", "--force", "-d")
            for data in self.root.glob("claims/*/snapshot"):
                shutil.rmtree(data)
        self._write_config(dvc)

    def _write_config(self, dvc: Path) -> None:
        """Write what DVC needs; endpoint and credentials go only where git does not look, for the owner alone."""
        values = self._settings.values
        shared = {
            dvc / "config": _CONFIG.format(remote=self._settings.snapshot_remote),
            dvc / ".gitignore": "/config.local\n/tmp\n/cache\n",
            self.root / ".dvcignore": "",
        }
        for path, text in shared.items():
            if not path.is_file() or path.read_text() != text:
                path.write_text(text)
        if self._git("status", "--porcelain"):
            self._git("add", "--all", "--", ".dvc", ".dvcignore")
            self._git("commit", "--quiet", "--message", "Say where snapshots are stored")
        lines = [
            "[core]",
            f"    site_cache_dir = {self.cache.with_name('snapshot-cache-index')}",
            "[cache]",
            f"    dir = {self.cache}",
            "    type = hardlink",  # what is versioned is removed at once: no copy of it is needed
        ]
        if self._settings.snapshot_remote.startswith("s3://"):
            names = {
                "endpointurl": "AWS_ENDPOINT_URL",
                "access_key_id": "AWS_ACCESS_KEY_ID",
                "secret_access_key": "AWS_SECRET_ACCESS_KEY",
                "region": "AWS_DEFAULT_REGION",
            }
            lines.append("['remote \"store\"']")
            lines += [f"    {option} = {values[name]}" for option, name in names.items() if values.get(name)]
        local = dvc / "config.local"
        descriptor = os.open(local, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write("\n".join(lines) + "\n")

    @contextmanager
    def _dvc(self, purpose: str) -> Iterator[Any]:
        """Open the registry with DVC, whose errors become Unavailable."""
        from dvc.repo import Repo

        logging.getLogger("dvc").setLevel(logging.ERROR)  # its hints are for people who type dvc themselves
        try:
            with Repo(str(self.root)) as repo:
                yield repo
        except FraudMLError:
            raise
        except Exception as error:  # DVC passes through whatever its storage libraries raise
            raise Unavailable(
                f"DVC could not {purpose} ({type(error).__name__})",
                next_step="check the object store and the settings FRAUD_ML_SNAPSHOT_REMOTE and AWS_ENDPOINT_URL",
            ) from error

    def _git(self, *arguments: str) -> str:
        return self._git_bytes(*arguments).decode()

    def _git_bytes(self, *arguments: str) -> bytes:
        run = self._run_git(*arguments)
        if run.returncode:
            said = run.stderr.decode(errors="replace").strip().splitlines()
            raise Unavailable(f"git {arguments[0]} failed in {self.root}", arrived=said[-1] if said else None)
        return run.stdout

    def _run_git(self, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env={**environment, **_GIT_ENVIRONMENT},
            capture_output=True,
            check=False,
        )


def _md5(content: bytes) -> str:
    """Return what DVC calls the content by."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _parse_tag(dataset: str, record: str) -> Version | None:
    tag, rev, at, message = record.split("\x00")
    name = _VERSION.fullmatch(tag.removeprefix(f"claims/{dataset}/"))
    facts = dict(line.split(": ", 1) for line in message.splitlines() if ": " in line)
    if name is None or "manifest-sha256" not in facts:
        return None  # somebody's own tag
    return Version(
        dataset=dataset,
        as_of=name["as_of"],
        revision=int(name["revision"] or 1),
        tag=tag,
        git_rev=rev,
        frozen_at=at,
        manifest_sha256=facts["manifest-sha256"],
        digest=facts["snapshot-digest"],
        rows=int(facts["rows"]),
    )


def _changed(where: str, name: str, version: Version | None = None) -> Tampered:
    of = f" of {version.tag}" if version else ""
    mend = "delete it: the next pin takes it from the remote" if where.startswith("/") else "restore it, then pin again"
    return Tampered(f"{where} ({name}{of}) was changed after it was frozen", next_step=mend, path=where)
