"""The ledger's connection to PostgreSQL: short-lived, with a timeout on every wait, failures told in our errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fraud_ml.errors import BadInput, Rejected, Tampered, Unavailable

APPENDING = 0x6C656467  # advisory lock: one appender at a time, whoever migrates included
RELAYING = 0x72656C61  # advisory lock: one relay at a time, so that events leave in order
_MIGRATIONS = Path(__file__).parent / "migrations"
_CONNECT_ARGS = {
    "connect_timeout": 5,
    "application_name": "fraud-ml ledger",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
_TIMEOUTS = ("statement_timeout=20s", "idle_in_transaction_session_timeout=30s")
_REFUSED_BY_TRIGGER, _NO_TABLE = "P0001", "42P01"


class Database:
    """Opens a connection for each transaction and closes it afterwards; nothing to fork, leak or keep alive."""

    def __init__(self, url: str, *, lock_timeout_s: int) -> None:
        self._url = url
        self._lock_timeout_s = lock_timeout_s
        self._made: Any = None

    @property
    def _engine(self) -> Any:
        if self._made is None:
            from sqlalchemy import create_engine, make_url
            from sqlalchemy.exc import ArgumentError
            from sqlalchemy.pool import NullPool

            ours = [f"-c {name}" for name in (*_TIMEOUTS, f"lock_timeout={self._lock_timeout_s}s")]
            try:
                url = make_url(self._url)
                asked = url.query.get("options", "")  # of the address itself, such as a search_path
                options = " ".join([*([asked] if isinstance(asked, str) else asked), *ours])
                arguments = {**_CONNECT_ARGS, "options": options}
                self._made = create_engine(url, poolclass=NullPool, connect_args=arguments)
            except (ArgumentError, ImportError):  # its message may carry the password
                raise BadInput(
                    "the ledger's address is not a database URL",
                    expected="postgresql+psycopg://user@host/database",
                    next_step="correct FRAUD_ML_LEDGER_URL",
                ) from None
        return self._made

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Yield a connection; what was done on it is committed as one when the block ends, and undone when it fails."""
        with translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def session(self) -> Iterator[Any]:
        """Yield a connection on which every statement stands alone."""
        with translated(), self._engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    def migrate(self) -> None:
        """Bring the tables to this code's version; doing it twice, or twice at once, changes nothing."""
        from alembic import command
        from alembic.config import Config
        from sqlalchemy import text

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        with self.transaction() as connection:
            connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": APPENDING})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


@contextmanager
def translated() -> Iterator[None]:
    """Turn database errors into ours: no answer is Unavailable, a refused change is Tampered."""
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

    try:
        yield
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state == _NO_TABLE:
            raise Unavailable(
                "the ledger has no tables yet", next_step="run `fraud-ml stack up`, or `fraud-ml ledger migrate`"
            ) from None
        if state == _REFUSED_BY_TRIGGER:
            raise Tampered("the ledger refuses to change or remove what is recorded", path="ledger") from None
        if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
            raise Unavailable(
                f"the ledger's database does not answer ({type(error.orig).__name__})",
                next_step="start it (`fraud-ml stack up`) or check FRAUD_ML_LEDGER_URL, then try again",
            ) from None
        raise Rejected(f"the ledger's database refused the statement ({type(error.orig).__name__} {state})") from None
