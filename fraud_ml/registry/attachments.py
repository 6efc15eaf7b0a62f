"""What MLflow is given to show for a candidate: tags, figures, the snapshot it learned from, reports and the model.

No claim row leaves the workspace this way: of the reports only the kinds of file that people read are taken, and never
a Parquet or CSV file.
"""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fraud_ml.artifacts import Workspace
from fraud_ml.contract import Column, Kind
from fraud_ml.params import load_params
from fraud_ml.registry.evidence import Evidence, read_metrics

MODEL_FOLDER = "model"  # below the logged model's own folder, so that MLflow's MLmodel is no part of what was digested
_PEOPLE_READ = {".json", ".html", ".png", ".svg", ".css", ".js"}
_RUNTIME = ("numpy", "pandas", "scikit-learn", "skops", "tensorflow")
_MLFLOW_TYPES = {Kind.CATEGORY: "string", Kind.NUMBER: "double", Kind.TIMESTAMP: "datetime"}
_MLFLOW_DIGEST_LENGTH = 36  # its column is that narrow; the whole digest stands in the dataset's source


def digests(evidence: Evidence) -> dict[str, str]:
    """Return the tags by which run, logged model and version are found and told apart."""
    candidate = evidence.candidate
    return {
        "candidate_digest": candidate.digest,
        "model_digest": candidate.model_digest,
        "artifact_digest": candidate.artifact_digest,
        "snapshot_digest": candidate.snapshot_digest,
        "as_of": candidate.as_of,
    }


def run_tags(evidence: Evidence, *, code_rev: str, run_key: str, airflow_run_url: str | None) -> dict[str, str]:
    """Return the run's tags: every link of the chain from the claims to the model."""
    candidate = evidence.candidate
    tags = {
        **digests(evidence),
        "dataset": candidate.dataset,
        "family": candidate.family,
        "params_digest": candidate.params_digest,
        "evaluation_digest": candidate.evaluation_digest,
        "snapshot_tag": evidence.snapshot_tag,
        "code_rev": code_rev,
        "run_key": run_key,
        "verdict.validation": evidence.validation.decision.value,
        "verdict.evaluation": evidence.evaluation.decision.value,
        "mlflow.source.name": "dvc.yaml",
        "mlflow.source.git.commit": code_rev,
        "mlflow.note.content": (
            f"Candidate `{candidate.digest}`, learned from `{evidence.snapshot_tag}`. "
            "Who approved it and where it serves stands in the ledger."
        ),
    }
    return tags if airflow_run_url is None else {**tags, "airflow_run_url": airflow_run_url}


def params(workspace: Workspace) -> dict[str, str]:
    """Return params.yaml, flattened."""
    return {name: _spelled(value) for name, value in flatten(load_params(workspace.params).model_dump(mode="json"))}


def metrics(workspace: Workspace) -> dict[str, float]:
    """Return the numbers of metrics.json, flattened."""
    content = read_metrics(workspace)
    return {
        re.sub(r"[^\w\-./ ]", "_", name): float(value)
        for name, value in flatten(content)
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def flatten(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted name, leaf) for every leaf of nested mappings."""
    for name, item in value.items():
        if isinstance(item, Mapping):
            yield from flatten(item, f"{above}{name}.")
        else:
            yield f"{above}{name}", item


def dataset_input(evidence: Evidence) -> Any:
    """Return the snapshot as MLflow's dataset, its source naming registry tag and whole digest.

    MLflow's own dataset digest hashes 10,000 rows to 8 hex digits: it cannot be evidence.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    from fraud_ml.registry.snapshot_source import SnapshotSource

    snapshot = evidence.snapshot
    source = SnapshotSource(tag=evidence.snapshot_tag, digest=snapshot.digest)
    profile = {"rows": snapshot.rows, "files": len(snapshot.files), "batches": len(snapshot.batches)}
    dataset = Dataset(
        name=evidence.snapshot_tag,
        digest=snapshot.digest[:_MLFLOW_DIGEST_LENGTH],
        source_type=source._get_source_type(),
        source=source.to_json(),
        schema=json.dumps({"mlflow_colspec": [_column(column) for column in evidence.contract.columns]}),
        profile=json.dumps(profile),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def collect_reports(workspace: Workspace, into: Path) -> None:
    """Copy verdicts, reports, plots, figures and knobs below `into`, in the workspace's own layout."""
    base = workspace.root / "workspace"
    named = (
        workspace.validation_verdict,
        workspace.features / "report.json",
        workspace.training_report,
        workspace.metrics,
    )
    folders = (workspace.validation_report, workspace.evaluation)
    for path in (*named, *(found for folder in folders for found in sorted(folder.rglob("*")))):
        if path.is_file() and path.suffix in _PEOPLE_READ:
            target = into / path.relative_to(base)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    shutil.copyfile(workspace.params, into / workspace.params.name)


def collect_model(evidence: Evidence, into: Path, *, run_id: str, logged_model: Any) -> None:
    """Copy the exported folder unchanged to `into/model`, and write the MLmodel that lets MLflow show its columns."""
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, Schema

    shutil.copytree(evidence.model, into / MODEL_FOLDER)
    inputs = [_column(evidence.contract.column(name)) for name in evidence.manifest.features]
    signature = ModelSignature(
        inputs=Schema([ColSpec(**column) for column in inputs]), outputs=Schema([ColSpec("double", "probability")])
    )
    flavour = {"data": MODEL_FOLDER, "family": evidence.candidate.family, **digests(evidence)}
    described = Model(
        artifact_path=logged_model.artifact_location,
        run_id=run_id,
        model_id=logged_model.model_id,
        flavors={"fraud_ml": flavour},
        signature=signature,
    )
    described.save(str(into / "MLmodel"))
    (into / "requirements.txt").write_text("".join(_pins()), encoding="utf-8")  # stated, never inferred


def _column(column: Column) -> dict[str, Any]:
    return {"type": _MLFLOW_TYPES[column.kind], "name": column.name, "required": False}


def _pins() -> Iterator[str]:
    for package in _RUNTIME:
        try:
            yield f"{package}=={version(package)}\n"
        except PackageNotFoundError:
            continue


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
