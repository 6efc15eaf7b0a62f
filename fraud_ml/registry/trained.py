"""Which registered model versions learned from given snapshots, by the digests that registration tagged them with.

MLflow's documented REST API, asked without the library, whose import takes longer than the answer.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from fraud_ml.errors import Unavailable
from fraud_ml.registry.champion import model_name
from fraud_ml.settings import Settings

_TIMEOUT_S = 30.0
_PAGE = 200


@dataclass(frozen=True)
class TrainedVersion:
    """A registered version; `aliases` say what it is used as, for example champion."""

    name: str
    version: str
    as_of: str
    snapshot_digest: str
    model_digest: str
    aliases: tuple[str, ...]


def versions_trained_on(settings: Settings, dataset: str, snapshots: Collection[str]) -> tuple[TrainedVersion, ...]:
    """Return the versions of `fraud-<dataset>` that were trained on one of the snapshots (digests), oldest first.

    Raises Unavailable when MLflow does not answer. Source: MLflow REST API 2.0, `model-versions/search`.
    """
    found = []
    for version in _versions(settings, model_name(dataset)):
        tags = {tag["key"]: tag.get("value", "") for tag in version.get("tags", ())}
        if tags.get("snapshot_digest") in snapshots:
            found.append(
                TrainedVersion(
                    version["name"],
                    str(version["version"]),
                    tags.get("as_of", ""),
                    tags["snapshot_digest"],
                    tags.get("model_digest", ""),
                    tuple(sorted(version.get("aliases", ()))),
                )
            )
    return tuple(sorted(found, key=lambda one: int(one.version)))


def _versions(settings: Settings, name: str) -> Iterator[dict[str, Any]]:
    import httpx

    uri = settings.mlflow_tracking_uri.rstrip("/")
    token, user = settings.values.get("MLFLOW_TRACKING_TOKEN"), settings.values.get("MLFLOW_TRACKING_USERNAME")
    page = ""
    while True:
        try:
            answer = httpx.get(
                f"{uri}/api/2.0/mlflow/model-versions/search",
                params={"filter": f"name='{name}'", "max_results": _PAGE, **({"page_token": page} if page else {})},
                headers={"Authorization": f"Bearer {token}"} if token else None,
                auth=(user, settings.values.get("MLFLOW_TRACKING_PASSWORD", "")) if user and not token else None,
                timeout=_TIMEOUT_S,
            )
            told = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise Unavailable(
                f"MLflow does not answer at {uri} ({type(error).__name__})", next_step="start it (`fraud-ml stack up`)"
            ) from None
        yield from told.get("model_versions", ())
        page = told.get("next_page_token", "")
        if not page:
            return
