"""RabbitMQ as a private node: the system's program if there is one, else unpacked from the distribution's packages."""

import os
import re
import shutil
import socket
import stat
import struct
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from fraud_ml.stack.component import Absent, Component, Launch, NotReady
from fraud_ml.stack.place import LOOPBACK, Place, write_private

_USER = "fraud"
_UNPACK_TIMEOUT_S = 180
_SYSTEM = Path("/usr/lib/rabbitmq/lib")
_APT_OPTIONS = ("-o", "Acquire::http::Timeout=15", "-o", "Acquire::https::Timeout=15", "-o", "Acquire::Retries=1")
_HANDSHAKE_TIMEOUT_S = 5
_METHOD_FRAME, _FRAME_END = 1, b"\xce"
_START, _START_OK, _TUNE = (10, 10), (10, 11), (10, 30)  # AMQP 0-9-1, class connection


def url(place: Place) -> str:
    return f"amqp://{_USER}:{place.secret('rabbitmq_password')}@{LOOPBACK}:{place.port('rabbitmq')}/%2F"


def _prepare(place: Place) -> Launch:
    folder = place.folder_of("rabbitmq")
    server, erlang = _find(place, folder)
    port, dist, epmd = (place.port(name) for name in ("rabbitmq", "rabbitmq.dist", "rabbitmq.epmd"))
    for name in ("data", "log", "home"):
        (folder / name).mkdir(exist_ok=True)
    write_private(
        folder / "rabbitmq.conf",
        "\n".join(
            (
                f"default_user = {_USER}",
                f"default_pass = {place.secret('rabbitmq_password')}",
                "default_user_tags.administrator = true",
                "loopback_users = none",
                "log.file = false",
                "log.console = true",
                "log.console.level = warning",
                "disk_free_limit.absolute = 50MB",
                "vm_memory_high_watermark.absolute = 512MB",
            )
        )
        + "\n",
    )
    write_private(folder / "plugins", "[].\n")
    write_private(folder / "rabbitmq-env.conf", "")
    _write_cookie(place, folder / "home")
    beam = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"  # no busy waiting on a shared machine
    environment = {
        **erlang,
        "HOME": str(folder / "home"),
        "RABBITMQ_NODENAME": f"fraud-{place.port('rabbitmq')}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": LOOPBACK,
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(dist),
        "ERL_EPMD_PORT": str(epmd),
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_MNESIA_DIR": str(folder / "data" / "node"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "data" / "pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": beam,
    }
    return Launch(command=(str(server),), folder=folder, environment=environment)


def _find(place: Place, folder: Path) -> tuple[Path, dict[str, str]]:
    """Return the server's script, not the distribution's wrapper (which changes the user), and Erlang's variables."""
    installed = sorted(_SYSTEM.glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    if installed and shutil.which("erl"):
        return installed[-1], {}
    on_path = shutil.which("rabbitmq-server", path=place.base_environment()["PATH"])
    if on_path and shutil.which("erl"):
        return Path(on_path), {}
    unpacked = folder / "unpacked"
    if not unpacked.is_dir():
        _unpack(place, unpacked)
    server = next(iter(sorted(unpacked.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"))), None)
    erlang = unpacked / "usr" / "lib" / "erlang"
    if server is None or not erlang.is_dir():
        raise Absent("the distribution's packages hold no RabbitMQ")
    libraries = sorted({str(library.parent) for library in unpacked.glob("usr/lib/*/lib*.so*")})
    return server, {
        "ERL_ROOTDIR": str(erlang),
        "PATH": os.pathsep.join((str(erlang / "bin"), place.base_environment()["PATH"])),
        "LD_LIBRARY_PATH": os.pathsep.join(libraries),
    }


def _unpack(place: Place, into: Path) -> None:
    """Unpack RabbitMQ, Erlang and what they miss here from the distribution's packages, root or not. Raises Absent."""
    for program in ("apt-get", "dpkg"):
        if not shutil.which(program):
            raise Absent(f"no rabbitmq-server here, and no {program} to get one with")
    making = into.with_name("unpacked.making")
    packages = into.with_name("packages")
    for leftover in (making, packages):
        shutil.rmtree(leftover, ignore_errors=True)
    packages.mkdir(mode=0o755)
    making.mkdir()
    plan = _run(
        place, "apt-get", "install", "--simulate", "--no-install-recommends", "rabbitmq-server", folder=packages
    )
    wanted = re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+)", plan, flags=re.MULTILINE)
    if not wanted:
        raise Absent("apt-get knows no rabbitmq-server")
    names = [f"{name}={version}" for name, version in wanted]
    _run(place, "apt-get", "-o", "APT::Sandbox::User=root", "download", *names, folder=packages)
    for package in sorted(packages.glob("*.deb")):
        _run(place, "dpkg", "-x", str(package), str(making), folder=packages)
    _mend_paths(making, into)
    shutil.rmtree(packages)
    making.replace(into)


def _mend_paths(unpacked: Path, final: Path) -> None:
    """Point Erlang's start scripts, which carry the system's folder, at `final`, where they will lie."""
    erlang = unpacked / "usr" / "lib" / "erlang"
    for script in (erlang / "bin" / "erl", erlang / "bin" / "start", *erlang.glob("erts-*/bin/erl")):
        if script.is_file():
            text = script.read_text(encoding="utf-8")
            root = final / "usr" / "lib" / "erlang"
            script.write_text(text.replace("ROOTDIR=/usr/lib/erlang\n", f'ROOTDIR="{root}"\n'), "utf-8")
    for script in unpacked.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/*"):
        script.chmod(script.stat().st_mode | stat.S_IXUSR)


def _run(place: Place, *command: str, folder: Path) -> str:
    arguments = (command[0], *_APT_OPTIONS, *command[1:]) if command[0] == "apt-get" else command
    try:
        done = subprocess.run(
            arguments,
            cwd=folder,
            env={**place.base_environment(), "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=_UNPACK_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Absent(f"{command[0]} did not finish within {_UNPACK_TIMEOUT_S} s") from None
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Absent(f"{command[0]} could not get it ({reason})")
    return done.stdout


def _write_cookie(place: Place, home: Path) -> None:
    cookie = home / ".erlang.cookie"
    if not cookie.exists():
        write_private(cookie, place.secret("rabbitmq_cookie"))
        cookie.chmod(0o400)


def _check(place: Place) -> None:
    """Log in as a client does: AMQP 0-9-1 up to connection.tune, which the broker sends once the password is right."""
    parts = urlsplit(url(place))
    response = f"\0{parts.username}\0{parts.password}".encode()
    login = (
        struct.pack(">HH", *_START_OK)
        + struct.pack(">I", 0)  # no client properties
        + b"\x05PLAIN"
        + struct.pack(">I", len(response))
        + response
        + b"\x05en_US"
    )
    try:
        with socket.create_connection((LOOPBACK, place.port("rabbitmq")), timeout=_HANDSHAKE_TIMEOUT_S) as connection:
            connection.settimeout(_HANDSHAKE_TIMEOUT_S)
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            _expect(connection, _START)
            connection.sendall(struct.pack(">BHI", _METHOD_FRAME, 0, len(login)) + login + _FRAME_END)
            _expect(connection, _TUNE)
    except OSError as error:
        raise NotReady(f"no AMQP handshake ({type(error).__name__})") from None


def _expect(connection: socket.socket, method: tuple[int, int]) -> None:
    kind, _, size = struct.unpack(">BHI", _receive(connection, 7))
    payload = _receive(connection, size + 1)[:-1]
    if kind != _METHOD_FRAME or struct.unpack(">HH", payload[:4]) != method:
        raise NotReady("the broker refused the AMQP handshake")


def _receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        chunk = connection.recv(size - len(received))
        if not chunk:
            raise NotReady("the broker closed the AMQP handshake")
        received += chunk
    return received


def _settings(place: Place) -> dict[str, str]:
    return {"RABBITMQ_URL": url(place)}


RABBITMQ = Component(
    name="rabbitmq",
    prepare=_prepare,
    check=_check,
    settings=_settings,
    ports=("rabbitmq", "rabbitmq.dist", "rabbitmq.epmd"),
    outside=("RABBITMQ_URL",),
    stop_wait_s=30,
)
