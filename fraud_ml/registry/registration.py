"""A candidate becomes one registered model version, whoever asks, how often, and wherever an attempt was killed.

Every step first looks for its own result by the candidate's digest and goes on from there. Two callers that race may
both create a version; MLflow numbers versions one by one, so both agree that the lower one stands, and the rest goes.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fraud_ml.artifacts import Workspace
from fraud_ml.errors import FraudMLError, Rejected, Unavailable
from fraud_ml.registry import attachments
from fraud_ml.registry.champion import model_name
from fraud_ml.registry.evidence import Evidence, read_evidence
from fraud_ml.settings import Settings

_REFUSALS = {"INVALID_PARAMETER_VALUE", "PERMISSION_DENIED", "UNAUTHENTICATED", "BAD_REQUEST"}


@dataclass(frozen=True)
class Registered:
    """A candidate's registered model version. `created` is False when it was there before."""

    name: str
    version: str
    run_id: str
    run_url: str
    model_uri: str  # s3:// folder with exactly the exported model's files
    created: bool


def register(
    settings: Settings, workspace: Workspace, *, code_rev: str, run_key: str, airflow_run_url: str | None = None
) -> Registered:
    """Register the workspace's candidate; afterwards exactly one version of `fraud-<dataset>` carries its digest.

    Raises NotAccepted unless both verdicts accept exactly this candidate, Tampered when bytes differ from digests,
    Unavailable when MLflow or its object store does not answer. Safe to repeat, to kill and to race.
    """
    evidence = read_evidence(workspace)
    name, digest = model_name(evidence.candidate.dataset), evidence.candidate.digest
    tags = attachments.run_tags(evidence, code_rev=code_rev, run_key=run_key, airflow_run_url=airflow_run_url)
    with mlflow_client(settings) as client:
        version, created = _lowest_version(client, name, digest), False
        if version is None:
            run_id = _run(client, evidence, tags)
            _describe(client, run_id, evidence, workspace)
            model = _logged_model(client, run_id, evidence)
            client.set_terminated(run_id)
            mine = _new_version(client, name, run_id, model, evidence)
            version = _lowest_version(client, name, digest) or mine
            created = str(version.version) == str(mine.version)
        _remove_rivals(client, name, digest, version)
        experiment = client.get_run(version.run_id).info.experiment_id
    return Registered(
        name=name,
        version=str(version.version),
        run_id=version.run_id,
        run_url=f"{settings.mlflow_tracking_uri.rstrip('/')}/#/experiments/{experiment}/runs/{version.run_id}",
        model_uri=version.tags["model_uri"],
        created=created,
    )


# --- the steps, each finding what an earlier attempt left -------------------------------------------------------------


def _run(client: Any, evidence: Evidence, tags: dict[str, str]) -> str:
    experiment, candidate = experiment_of(client, model_name(evidence.candidate.dataset)), evidence.candidate
    order = ["attributes.start_time ASC", "attributes.run_id ASC"]
    found = client.search_runs([experiment], _carrying(candidate.digest), max_results=1, order_by=order)
    if found:
        return str(found[0].info.run_id)
    name = f"{candidate.as_of} {candidate.family} {candidate.digest[:8]}"
    return str(client.create_run(experiment, tags=tags, run_name=name).info.run_id)


def experiment_of(client: Any, name: str) -> str:
    """Return the id of the experiment of this name, made where it was absent. Raises Rejected when it was deleted."""
    from mlflow.exceptions import MlflowException

    if client.get_experiment_by_name(name) is None:
        try:
            client.create_experiment(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # somebody else was quicker
                raise
    found = client.get_experiment_by_name(name)
    if found.lifecycle_stage != "active":
        raise Rejected(f"the MLflow experiment `{name}` was deleted", next_step="`mlflow experiments restore` it")
    return str(found.experiment_id)


def _describe(client: Any, run_id: str, evidence: Evidence, workspace: Workspace) -> None:
    """Log params, figures, the snapshot and the reports. Done again, it leaves the same run."""
    from mlflow.entities import Metric, Param

    at_ms = client.get_run(run_id).info.start_time  # one fixed time: the same figure again is the same point
    client.log_batch(
        run_id,
        metrics=[Metric(name, value, at_ms, 0) for name, value in attachments.metrics(workspace).items()],
        params=[Param(name, value) for name, value in attachments.params(workspace).items()],
    )
    client.log_inputs(run_id, datasets=[attachments.dataset_input(evidence)])
    with tempfile.TemporaryDirectory(prefix="fraud-ml-register-") as staging:
        attachments.collect_reports(workspace, Path(staging))
        client.log_artifacts(run_id, staging)


def _logged_model(client: Any, run_id: str, evidence: Evidence) -> Any:
    """Return the READY logged model of this run."""
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    candidate, experiment = evidence.candidate, client.get_run(run_id).info.experiment_id
    found = client.search_logged_models([experiment], _carrying(candidate.digest))
    mine = sorted(
        (model for model in found if model.source_run_id == run_id), key=lambda model: model.creation_timestamp
    )
    model = (
        mine[0]
        if mine
        else client.create_logged_model(
            experiment,
            name=f"{candidate.as_of}-{candidate.family}",
            source_run_id=run_id,
            tags=attachments.digests(evidence),
            model_type=candidate.family,
        )
    )
    if model.status != LoggedModelStatus.READY:
        with tempfile.TemporaryDirectory(prefix="fraud-ml-register-") as staging:
            attachments.collect_model(evidence, Path(staging), run_id=run_id, logged_model=model)
            client.log_model_artifacts(model.model_id, staging)
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        model = client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    return model


def _new_version(client: Any, name: str, run_id: str, model: Any, evidence: Evidence) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(
            name, description=f"{evidence.contract.title}: probability that a claim is fraud"
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    model_uri = f"{model.artifact_location.rstrip('/')}/{attachments.MODEL_FOLDER}"
    tags = {**attachments.digests(evidence), "model_uri": model_uri}
    return client.create_model_version(name, f"models:/{model.model_id}", run_id, tags=tags, model_id=model.model_id)


def _lowest_version(client: Any, name: str, digest: str) -> Any | None:
    return min(_versions(client, name, digest), key=lambda version: int(version.version), default=None)


def _versions(client: Any, name: str, digest: str) -> list[Any]:
    return list(client.search_model_versions(f"name = '{name}' and {_carrying(digest)}"))


def _remove_rivals(client: Any, name: str, digest: str, standing: Any) -> None:
    """Delete what a race or a kill left of this candidate beside the standing version, its model and its run."""
    for version in _versions(client, name, digest):
        if version.version != standing.version:
            client.delete_model_version(name, str(version.version))
    experiment = client.get_run(standing.run_id).info.experiment_id
    for model in client.search_logged_models([experiment], _carrying(digest)):
        if f"models:/{model.model_id}" != standing.source:
            client.delete_logged_model(model.model_id)
    for run in client.search_runs([experiment], _carrying(digest)):
        if run.info.run_id != standing.run_id:
            client.delete_run(run.info.run_id)


def _carrying(digest: str) -> str:
    return f"tags.candidate_digest = '{digest}'"


@contextmanager
def mlflow_client(settings: Settings) -> Iterator[Any]:
    """Yield a client; what it cannot reach becomes Unavailable, what it refuses becomes Rejected."""
    from mlflow import MlflowClient  # heavy
    from mlflow.exceptions import MlflowException

    uri = settings.mlflow_tracking_uri
    try:
        with _environment(_what_mlflow_reads(settings)):
            yield MlflowClient(tracking_uri=uri, registry_uri=uri)
    except FraudMLError:
        raise
    except MlflowException as error:
        code = str(getattr(error, "error_code", "unknown"))
        if code in _REFUSALS:
            raise Rejected(f"MLflow at {uri} refused ({code})", arrived=_first_line(error)) from error
        raise Unavailable(
            f"MLflow at {uri} does not answer as it should ({code})",
            arrived=_first_line(error),
            next_step="look at its log, then try again",
        ) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in {"boto3", "botocore", "s3transfer"}:
            raise
        raise Unavailable(
            f"MLflow's object store does not answer ({type(error).__name__})",
            next_step="start it (`fraud-ml stack up`) or check AWS_ENDPOINT_URL",
        ) from error


def _what_mlflow_reads(settings: Settings) -> dict[str, str]:
    """Return the variables through which alone MLflow's artifact stores learn where they are."""
    read = {name: value for name, value in settings.values.items() if name.startswith("AWS_")}
    if "AWS_ENDPOINT_URL" in read:
        read["MLFLOW_S3_ENDPOINT_URL"] = read["AWS_ENDPOINT_URL"]
    return {
        **read,
        "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        # the caller retries; the default waits minutes
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": os.environ.get("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3"),
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # standard output is the command's answer
    }


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Have the process environment hold `values` too; afterwards it is what it was, for another place's sake."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
