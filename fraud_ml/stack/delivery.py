"""Our own two processes: the relay, between ledger and broker, and the scorer."""

import sys

from fraud_ml.settings import PROJECT
from fraud_ml.stack.component import Component, Launch, NotReady
from fraud_ml.stack.place import LOOPBACK, Place


def _scorer_url(place: Place) -> str:
    return f"http://{LOOPBACK}:{place.port('scorer')}"


def _prepare_relay(_: Place) -> Launch:
    return Launch((sys.executable, "-m", "fraud_ml", "relay"), folder=PROJECT, environment={"PYTHONUNBUFFERED": "1"})


def _prepare_scorer(place: Place) -> Launch:
    command = (sys.executable, "-m", "fraud_ml", "serve", "--host", LOOPBACK, "--port", str(place.port("scorer")))
    environment = {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    return Launch(command, folder=PROJECT, environment=environment)


def _check_relay(_: Place) -> None:
    """Nothing listens there: supervisord sees that it lives, and the outbox shows whether it works."""


def _check_scorer(place: Place) -> None:
    import httpx

    try:
        httpx.get(f"{_scorer_url(place)}/v2/health/live", timeout=5).raise_for_status()
    except httpx.HTTPError as error:
        raise NotReady(f"no answer to /v2/health/live ({type(error).__name__})") from None


def _scorer_settings(place: Place) -> dict[str, str]:
    return {"FRAUD_ML_SCORER_URL": _scorer_url(place)}


RELAY = Component(name="relay", prepare=_prepare_relay, check=_check_relay, needs=("postgres", "rabbitmq"))
SCORER = Component(
    name="scorer",
    prepare=_prepare_scorer,
    check=_check_scorer,
    needs=("s3", "rabbitmq"),
    settings=_scorer_settings,
    ports=("scorer",),
    outside=("FRAUD_ML_SCORER_URL",),
)
