"""What a scorer is told to serve, and what has to hold before it believes it.

A promotion arrives by a message, and a message is only a claim: the candidate must reseal to its digest, the list of
files and the accepting evaluation must be the candidate's, and enough distinct people must have signed that digest.
Bytes are checked later, when they are fetched.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from fraud_ml.artifacts import Candidate, Decision, ModelManifest, evaluation_digest
from fraud_ml.errors import BadInput, NotAccepted, Tampered
from fraud_ml.events import Event
from fraud_ml.governance.approvals import Approval, verify_approvals

_DATASET = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Deployment:
    """One model in its place: the ledger's decision (`sequence`, `event_id`) and the candidate it was about.

    `deployed` are the sequences that this scorer served for the dataset, this one last.
    """

    dataset: str
    sequence: int
    event_id: str
    model_name: str
    version: str
    model_uri: str
    candidate: Candidate
    manifest: ModelManifest
    since: str = ""  # ISO 8601, when this scorer began to serve it
    deployed: tuple[int, ...] = ()

    def require_whole(self) -> None:
        """Raise Tampered unless candidate, manifest and dataset recompute and belong together."""
        candidate, manifest = self.candidate, self.manifest
        for what, expected, arrived in (
            ("the candidate's digest is not that of its fields", candidate.digest, candidate.sealed().digest),
            ("the candidate is of another dataset", self.dataset, candidate.dataset),
            ("the list of files is not the manifest's", manifest.artifact_digest, _files_digest(manifest)),
            ("the model's files are not the candidate's", candidate.artifact_digest, manifest.artifact_digest),
            ("the model is not the candidate's", candidate.model_digest, manifest.model_digest),
            ("the model's family is not the candidate's", candidate.family, manifest.family),
        ):
            if expected != arrived:
                raise Tampered(
                    what,
                    expected=str(expected)[:12],
                    arrived=str(arrived)[:12],
                    next_step="promote it again",
                    path="event",
                )
        for name in manifest.files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or str(path) != name:
                raise Tampered("a file of the model lies outside its folder", next_step="register it again", path=name)


def read_promotion(event: Event, *, approvers: Mapping[str, str], at_least: int) -> Deployment:
    """Return what the event tells to serve, once it is whole and approved.

    `at_least` is this scorer's own floor: the event can ask for more approvals, never for fewer.
    Raises BadInput when a part is absent, Tampered when digests do not recompute, NotAccepted, NotApproved.
    """
    data = event.data
    try:
        deployment = Deployment(
            dataset=_text(data["dataset"]),
            sequence=_whole(data["sequence"]),
            event_id=event.id,
            model_name=_text(data["model_name"]),
            version=_text(data["version"]),
            model_uri=_text(data["model_uri"]),
            candidate=Candidate(**{name: _text(value) for name, value in data["candidate"].items()}),
            manifest=_manifest(data["manifest"]),
        )
        told_digest, told_required = _text(data["candidate_digest"]), _whole(data["required_approvals"])
        evaluation, verdict = data["evaluation"], data["evaluation"]["verdict"]
        judged = evaluation_digest(evaluation["metrics"], verdict), verdict["subject_digest"]
        approvals = [Approval(**{name: _text(value) for name, value in one.items()}) for one in data["approvals"]]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadInput(
            "a promotion is not whole",
            arrived=f"{type(error).__name__} in event {event.id}",
            next_step="correct its sender",
        ) from None
    if not _DATASET.fullmatch(deployment.dataset) or not deployment.model_uri.startswith("s3://"):
        raise BadInput("a promotion names no dataset, or no s3:// address", next_step="correct its sender")
    deployment.require_whole()
    if told_digest != deployment.candidate.digest:
        raise Tampered(
            "the promoted digest is not the candidate's",
            expected=deployment.candidate.digest[:12],
            arrived=told_digest[:12],
            path="event",
        )
    if judged != (deployment.candidate.evaluation_digest, deployment.candidate.model_digest):
        raise Tampered("the evaluation is not the candidate's", next_step="register it again", path="event")
    if verdict["decision"] != Decision.ACCEPTED:
        raise NotAccepted("the candidate's evaluation did not accept it", next_step="read its report", codes=())
    verify_approvals(deployment.candidate.digest, approvals, approvers, max(at_least, told_required))
    return deployment


def _manifest(fields: Mapping[str, Any]) -> ModelManifest:
    files = {_text(name): _text(digest) for name, digest in fields["files"].items()}
    features = tuple(_text(name) for name in fields["features"])
    rest = {name: _text(fields[name]) for name in ("family", "model_digest", "artifact_digest")}
    return ModelManifest(**rest, files=files, features=features)


def _files_digest(manifest: ModelManifest) -> str:
    return ModelManifest.digest_files(manifest.files)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not a whole number")
    return value
