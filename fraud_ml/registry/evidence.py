"""What a registration stands on: the workspace's candidate with everything its digest covers, checked again."""

import json
from dataclasses import dataclass
from pathlib import Path

from fraud_ml.artifacts import (
    Candidate,
    ModelManifest,
    SnapshotManifest,
    Verdict,
    Workspace,
    digest_of,
    evaluation_digest,
    file_digest,
    load,
)
from fraud_ml.contract import Contract, load_contract
from fraud_ml.errors import BadInput, Tampered
from fraud_ml.params import load_params

MANIFEST_FILE = "model.json"


@dataclass(frozen=True)
class Evidence:
    """A candidate, the model folder that was exported for it, and the verdicts that let it pass."""

    candidate: Candidate
    manifest: ModelManifest
    model: Path
    snapshot: SnapshotManifest
    validation: Verdict
    evaluation: Verdict
    contract: Contract

    @property
    def snapshot_tag(self) -> str:
        """The tag in the snapshot registry under which these claims stand."""
        return f"claims/{self.candidate.dataset}/{self.candidate.as_of}"


def read_evidence(workspace: Workspace) -> Evidence:
    """Return what the stages left. Raises NotAccepted when a verdict says no, Tampered when digests or bytes differ."""
    candidate = load(Candidate, workspace.candidate)
    validation = load(Verdict, workspace.validation_verdict)
    evaluation = load(Verdict, workspace.evaluation_verdict)
    snapshot = load(SnapshotManifest, workspace.snapshot_manifest)
    model = workspace.models / candidate.family
    manifest = load(ModelManifest, model / MANIFEST_FILE)
    for what, expected, arrived in (
        ("the candidate", candidate.sealed().digest, candidate.digest),
        ("the snapshot", candidate.snapshot_digest, snapshot.digest),
        ("the exported model", candidate.model_digest, manifest.model_digest),
        ("the exported model's manifest", candidate.artifact_digest, manifest.artifact_digest),
        ("the exported model's list of files", manifest.artifact_digest, ModelManifest.digest_files(manifest.files)),
    ):
        _require_same(what, expected, arrived)
    validation.require_accepted(subject_digest=candidate.snapshot_digest)
    evaluation.require_accepted(subject_digest=candidate.model_digest)
    figures = evaluation_digest(read_metrics(workspace), evaluation)
    knobs = digest_of(load_params(workspace.params).model_dump(mode="json"))
    for what, expected, arrived in (
        ("metrics.json or the evaluation's verdict", candidate.evaluation_digest, figures),
        ("params.yaml", candidate.params_digest, knobs),
    ):
        _require_same(what, expected, arrived)
    _require_bytes(model, manifest)
    contract = load_contract(candidate.dataset, workspace.expectations)
    return Evidence(candidate, manifest, model, snapshot, validation, evaluation, contract)


def read_metrics(workspace: Workspace) -> dict[str, float]:
    """Return metrics.json. Raises BadInput when it is not one mapping of figures."""
    try:
        content = json.loads(workspace.metrics.read_text(encoding="utf-8"))
        return {str(name): value for name, value in content.items()}
    except (OSError, ValueError, AttributeError):
        raise BadInput(
            f"{workspace.metrics} is not a mapping of figures", next_step="run the evaluate stage again (`dvc repro`)"
        ) from None


def _require_same(what: str, expected: str, arrived: str) -> None:
    if expected != arrived:
        raise Tampered(
            f"{what} is not what the candidate was made from",
            expected=expected[:12],
            arrived=arrived[:12],
            next_step="run the stages again (`dvc repro`)",
            path=what,
        )


def _require_bytes(folder: Path, manifest: ModelManifest) -> None:
    """Raise Tampered unless the folder holds exactly the manifest's files, byte for byte, beside the manifest."""
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {MANIFEST_FILE}
    for name in sorted(present | set(manifest.files)):
        arrived = file_digest(folder / name) if name in present else "absent"
        if arrived != manifest.files.get(name):
            raise Tampered(
                f"{folder / name} is not the file that was exported",
                expected=manifest.files.get(name, "no such file")[:12],
                arrived=arrived[:12],
                next_step="run the train stage again (`dvc repro`)",
                path=name,
            )
