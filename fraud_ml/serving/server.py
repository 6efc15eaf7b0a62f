"""One scorer as a process: HTTP in the main thread, promotions and counts in others, one folder that is its alone."""

import fcntl
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fraud_ml.errors import Rejected
from fraud_ml.serving.deployer import Deployer
from fraud_ml.serving.logbook import Logbook
from fraud_ml.serving.metrics import Metrics
from fraud_ml.serving.scorer import Scorer
from fraud_ml.serving.shelf import Shelf
from fraud_ml.settings import Settings

_log = logging.getLogger(__name__)


def run_scorer(settings: Settings, *, host: str, port: int, name: str) -> None:
    """Serve until the process is told to end. Raises Rejected when another scorer keeps the same folder."""
    import uvicorn

    from fraud_ml.serving.app import create_app  # heavy: fastapi

    logging.getLogger("fraud_ml").setLevel(logging.INFO)
    metrics, stop = Metrics(), threading.Event()
    with _alone(settings.scorer_home):
        scorer = Scorer(Shelf(settings.scorer_home, settings))
        deployer = Deployer(settings, scorer, metrics, name=name)
        logbook = Logbook(settings, metrics, name=name)
        app = create_app(scorer, metrics, logbook, name=name)
        # no access log: an address may carry what a caller typed
        server = uvicorn.Server(uvicorn.Config(app, host=host, port=port, access_log=False, log_level="warning"))
        failed = threading.Event()

        def obey() -> None:
            try:
                deployer.run(stop)
            except Exception:  # whatever it was: a scorer that no longer obeys must not go on serving
                _log.exception("the deployer broke; the scorer ends, so that whoever keeps it starts it again")
                failed.set()
                server.should_exit = True

        threads = [
            threading.Thread(target=obey, name="deployer", daemon=True),
            threading.Thread(target=logbook.run, args=(stop,), name="logbook", daemon=True),
        ]
        for thread in threads:
            thread.start()
        signal.signal(signal.SIGTERM, _leave)  # uvicorn answers what it has begun, and then raises the signal again
        try:
            server.run()
        finally:
            stop.set()
            for thread in threads:
                thread.join(timeout=10)
        if failed.is_set() or not server.started:
            raise SystemExit(1)


def _leave(*_: object) -> None:
    raise SystemExit(0)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Hold the folder; two scorers in one folder would prune each other's models."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Rejected(
                f"another scorer keeps {home}", next_step="give each its own FRAUD_ML_SCORER_HOME and --name"
            ) from None
        yield
