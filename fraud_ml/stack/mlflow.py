"""MLflow's tracking server and registry, on PostgreSQL and S3; artifacts go straight from client to S3."""

import sys

from fraud_ml.stack import postgres, s3
from fraud_ml.stack.component import Component, Launch, NotReady
from fraud_ml.stack.place import LOOPBACK, Place


def _url(place: Place) -> str:
    return f"http://{LOOPBACK}:{place.port('mlflow')}"


def _prepare(place: Place) -> Launch:
    port = place.port("mlflow")
    environment = {
        **s3.S3.settings(place),
        "MLFLOW_BACKEND_STORE_URI": postgres.url(place, "mlflow", driver="psycopg"),
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": "s3://mlflow",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    command = (
        *(sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port)),
        *("--workers", "1", "--no-serve-artifacts"),
    )
    return Launch(command=command, folder=place.folder_of("mlflow"), environment=environment)


def _check(place: Place) -> None:
    import httpx

    try:
        httpx.get(f"{_url(place)}/health", timeout=5).raise_for_status()
    except httpx.HTTPError as error:
        raise NotReady(f"no answer to /health ({type(error).__name__})") from None


def _settings(place: Place) -> dict[str, str]:
    return {"MLFLOW_TRACKING_URI": _url(place)}


MLFLOW = Component(
    name="mlflow",
    prepare=_prepare,
    check=_check,
    needs=("postgres", "s3"),
    settings=_settings,
    ports=("mlflow",),
    outside=("MLFLOW_TRACKING_URI",),
)
