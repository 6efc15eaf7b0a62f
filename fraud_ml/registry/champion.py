"""Point MLflow's alias `champion` at a version.

One request of MLflow's documented REST API, sent without the library: importing that takes three times as long as the
whole rest of the command.
"""

from fraud_ml.errors import Rejected, Unavailable
from fraud_ml.settings import Settings

CHAMPION = "champion"
_TIMEOUT_S = 30.0


def model_name(dataset: str) -> str:
    """Return the name of a dataset's registered model, and of its experiment."""
    return f"fraud-{dataset}"


def set_champion(settings: Settings, dataset: str, version: str) -> None:
    """Point the alias `champion` of `fraud-<dataset>` at `version`.

    Raises Rejected when MLflow does not know that version, Unavailable when it does not answer.
    Source: MLflow REST API 2.0, `registered-models/alias`; credentials are those that MLflow's own client reads.
    """
    import httpx

    uri = settings.mlflow_tracking_uri.rstrip("/")
    wanted = {"name": model_name(dataset), "alias": CHAMPION, "version": version}
    token, user = settings.values.get("MLFLOW_TRACKING_TOKEN"), settings.values.get("MLFLOW_TRACKING_USERNAME")
    try:
        answer = httpx.post(
            f"{uri}/api/2.0/mlflow/registered-models/alias",
            json=wanted,
            headers={"Authorization": f"Bearer {token}"} if token else None,
            auth=(user, settings.values.get("MLFLOW_TRACKING_PASSWORD", "")) if user and not token else None,
            timeout=_TIMEOUT_S,
        )
    except httpx.HTTPError as error:
        raise Unavailable(
            f"MLflow does not answer at {uri} ({type(error).__name__})", next_step="start it (`fraud-ml stack up`)"
        ) from None
    if answer.is_client_error:
        raise Rejected(
            f"MLflow refused to make version {version} of {wanted['name']} the champion ({answer.status_code})",
            next_step="look whether somebody deleted that version",
        )
    if not answer.is_success:
        raise Unavailable(f"MLflow answered {answer.status_code} at {uri}", next_step="look at its log, then try again")
