"""A stack's folder: where its files are, which ports it keeps, and its secrets, generated once."""

import fcntl
import hashlib
import json
import os
import random
import secrets
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fraud_ml.errors import Unavailable

LOOPBACK = "127.0.0.1"
_PORTS = range(20_000, 32_000)  # below the kernel's ephemeral range, where any client may sit
_SOCKET_PATH_LIMIT = 90  # AF_UNIX holds 107 bytes; supervisord appends its process id while it binds

# What a component inherits from the shell that called `up`; everything else it is told by name.
_INHERITED = ("HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_INHERITED_PREFIXES = ("LC_", "AWS_", "FRAUD_ML_")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class Place:
    """The folder of one stack. Files in it are readable by its owner only."""

    def __init__(self, home: Path, environ: Mapping[str, str] | None = None) -> None:
        self.home = home.resolve()
        self.environ = dict(os.environ if environ is None else environ)
        self.folder = self.home / "stack"
        self.orders = self.folder / "run"
        self.logs = self.home / "logs"
        self._remembering = threading.Lock()  # components are prepared side by side, and share two files

    def make(self) -> None:
        """Create the folders, closed to others. Raises Unavailable when the disk does not let us."""
        try:
            for folder in (self.home, self.folder, self.orders, self.logs):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            self.logs.chmod(0o700)
        except OSError as error:
            raise Unavailable(
                f"{self.home} cannot hold the stack ({error.strerror})",
                next_step="set FRAUD_ML_HOME to a writable folder",
            ) from None

    @property
    def exists(self) -> bool:
        return self.folder.is_dir()

    @property
    def stack_id(self) -> str:
        """The stack's unguessable name: its processes carry it."""
        return self.secret("stack_id")

    def folder_of(self, name: str) -> Path:
        """Return the folder <home>/<name>, created for the owner only."""
        folder = self.home / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def log_of(self, component: str) -> Path:
        return self.logs / f"{component}.log"

    def secret(self, name: str) -> str:
        """Return the secret, generated at its first use."""
        path = self.folder / "secrets.json"
        with self._remembering:
            known = _read(path)
            if name not in known:
                known[name] = secrets.token_urlsafe(32)
                write_private(path, json.dumps(known, indent=1))
        return str(known[name])

    def port(self, name: str) -> int:
        """Return the port, chosen free at its first use and kept."""
        with self._remembering:
            return int(_read(self.folder / "ports.json").get(name) or self._choose(name))

    def move_taken_ports(self, names: tuple[str, ...]) -> list[str]:
        """Choose again what a stranger holds now. Call it only for a component that does not run; returns the moved."""
        moved = [name for name in names if not is_free(self.port(name))]
        with self._remembering:
            for name in moved:
                self._choose(name)
        return moved

    def _choose(self, name: str) -> int:
        path = self.folder / "ports.json"
        known = _read(path)
        others = {port for other, port in known.items() if other != name}
        candidates = random.sample(_PORTS, 200)
        for port in candidates:
            if port not in others and is_free(port):
                known[name] = port
                write_private(path, json.dumps(known, indent=1))
                return port
        raise Unavailable(f"no free port for {name} between {_PORTS.start} and {_PORTS.stop}")

    def socket(self, name: str) -> Path:
        """Return a path for a Unix socket: below home, or in a short private folder where home's path is too long."""
        path = self.folder / name
        if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
            return path
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        folder = Path("/tmp") / f"fraud-ml-{os.geteuid()}-{digest}"  # noqa: S108 - owner and mode are checked below
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if found.st_uid != os.geteuid() or found.st_mode & 0o777 != 0o700 or folder.is_symlink():
            raise Unavailable(f"{folder} belongs to someone else", next_step="set FRAUD_ML_HOME to a shorter path")
        return folder / name

    def base_environment(self) -> dict[str, str]:
        """Return what every component inherits: this interpreter first on PATH, and never a proxy for loopback."""
        kept = {name: value for name, value in self.environ.items() if name in (*_INHERITED, *_PROXIES)}
        kept |= {name: value for name, value in self.environ.items() if name.startswith(_INHERITED_PREFIXES)}
        for name in ("no_proxy", "NO_PROXY"):
            kept[name] = ",".join(filter(None, (kept.get(name), LOOPBACK, "localhost")))
        path = [str(Path(sys.executable).parent), *self.environ.get("PATH", os.defpath).split(os.pathsep)]
        kept["PATH"] = os.pathsep.join(dict.fromkeys(path))
        kept.setdefault("HOME", str(self.home))
        kept["FRAUD_ML_HOME"] = str(self.home)
        return kept

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the stack alone while starting or stopping; a second caller waits."""
        with (self.folder / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def is_free(port: int) -> bool:
    """Say whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step; only its owner can read it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 600
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    Path(name).replace(path)


def _read(path: Path) -> dict[str, str | int]:
    try:
        content: dict[str, str | int] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return content
